#![expect(clippy::indexing_slicing, reason = "tests")]

use model::{CaseKind, EdgeOp, Lane};

use crate::testing::{World, acc, cases, edges, grp, only};

#[test]
fn a_first_import_makes_groups_and_fills_them() {
    let world = World::converged("", "");
    assert_eq!(world.in_target("eng"), ["a-ann", "a-bob", "a-cho", "a-dan"].map(String::from).into());
    assert_eq!(world.in_target("all").len(), 5, "nested groups are opened");
}

#[test]
fn i10_a_converged_state_has_an_empty_plan() {
    let mut world = World::converged("", "");
    for _ in 0..3 {
        world.sweep_source();
        world.sweep_target();
        let decision = world.decide();
        assert!(decision.plan.body.targets.is_empty(), "{:#?}", decision.plan.body);
        assert!(decision.needs.is_empty());
    }
}

#[test]
fn a_joiner_is_added_to_every_group_above() {
    let mut world = World::converged("", "");
    world.fill("eng", &["eve"]);
    world.sweep_source();
    let decision = world.decide();
    assert_eq!(edges(&decision), ["+eng a-eve"], "eve is in all already, through ops");
    assert_eq!(only(&decision).lane, Lane::Normal);
    assert!(only(&decision).is_released());
}

#[test]
fn i02_a_removal_waits_for_the_lost_fact_to_be_read_by_itself() {
    let mut world = World::converged("", "");
    world.leave("eng", "bob");
    world.sweep_source();
    let decision = world.decide();
    assert_eq!(edges(&decision), ["-all a-bob", "-eng a-bob"]);
    assert_eq!(decision.needs.len(), 1, "one lost fact, however many groups it reaches");
    assert!(cases(&decision).iter().all(|case| !case.is_released() && case.held.is_empty()));
    world.answer(&decision.needs);
    let decision = world.decide();
    assert!(decision.needs.is_empty());
    assert!(cases(&decision).iter().all(|case| case.is_released() && case.lane == Lane::Urgent));
    world.carry_out(&decision);
    world.converge();
    assert!(!world.in_target("eng").contains("a-bob"));
}

#[test]
fn i02_a_fact_that_holds_after_all_voids_the_read_that_missed_it() {
    let mut world = World::converged("", "");
    world.leave("eng", "bob");
    world.leave("eng", "ann");
    world.sweep_source();
    let decision = world.decide();
    // Only bob is really gone; the read missed ann by mistake.
    world.fill("eng", &["ann"]);
    world.answer(&decision.needs);
    let decision = world.decide();
    assert!(edges(&decision).is_empty(), "nobody goes by a read that was wrong once: {:#?}", decision.plan.body);
    assert!(!decision.plan.body.targets[0].waits.is_empty());
    world.converge();
    assert!(world.in_target("eng").contains("a-ann") && !world.in_target("eng").contains("a-bob"));
}

#[test]
fn a_suspended_person_is_one_urgent_case_that_needs_no_question() {
    let mut world = World::converged("", "");
    world.source.user("cho").state = model::UserState::Suspended;
    world.sweep_source();
    let decision = world.decide();
    let case = only(&decision);
    assert!(matches!(&case.kind, CaseKind::Leaver { person, .. } if person == &acc("cho")));
    assert_eq!(edges(&decision), ["-all a-cho", "-eng a-cho", "-ops a-cho"]);
    assert!(case.is_released() && case.lane == Lane::Urgent);
    assert_eq!(case.count(EdgeOp::Remove), 3);
    let _ = grp("eng");
}
