#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use model::{CaseKind, EdgeOp, Lane};

use crate::testing::{World, acc, cases, dir, edges, only, policy};

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
}

#[test]
fn what_is_released_is_not_decided_again() {
    let mut world = World::converged("", "");
    world.fill("eng", &["eve"]);
    world.sweep_source();
    let key = (dir("cloud"), world.group_named("eng"), acc("a-eve"));
    world.memory.released.insert(key.clone(), EdgeOp::Add);
    assert!(cases(&world.decide()).is_empty());
    assert!(world.planner.still_wanted(&world.memory, &key.0, &key.1).holds(&key.2, EdgeOp::Add));
    world.leave("eng", "eve");
    world.sweep_source();
    world.decide();
    assert!(!world.planner.still_wanted(&world.memory, &key.0, &key.1).holds(&key.2, EdgeOp::Add));
}

#[test]
fn i04_what_was_released_is_not_wanted_of_a_group_that_is_not_ours_to_change_by_now() {
    type Change = fn(&mut World);
    let changes: [(&str, bool, Change); 8] = [
        ("nothing", true, |_| {}),
        ("administrators", false, |world| {
            let eng = world.group_named("eng");
            world.target.group(eng.as_str()).grants_admin = true;
        }),
        ("an identity provider's", false, |world| {
            let eng = world.group_named("eng");
            world.target.group(eng.as_str()).ownership = model::Ownership::IdentityProvider;
        }),
        ("gives a product", false, |world| {
            let eng = world.group_named("eng");
            world.target.group(eng.as_str()).default_access = true;
        }),
        ("protected", false, |world| {
            world.planner.set_policy(policy("", "[guard]\nprotected_groups = [\"eng\"]"));
        }),
        ("switched off", false, |world| world.planner.set_policy(policy("enabled = false", ""))),
        ("claimed by two", false, |world| {
            world.fill("eng-2", &["ann"]);
            world.source.group("eng-2").email = model::Email::new("eng@other.com").ok();
        }),
        ("claimed by another", false, |world| {
            world.memory.pins.get_mut(&(dir("cloud"), "eng".to_owned())).unwrap().source =
                Some((dir("workspace"), crate::testing::grp("gone")));
        }),
    ];
    for (what, wanted, change) in changes {
        let mut world = World::converged("", "");
        world.fill("eng", &["eve"]);
        world.sweep_source();
        let eng = world.group_named("eng");
        world.memory.released.insert((dir("cloud"), eng.clone(), acc("a-eve")), EdgeOp::Add);
        change(&mut world);
        world.sweep_source();
        world.sweep_target();
        world.decide();
        let still = world.planner.still_wanted(&world.memory, &dir("cloud"), &eng);
        assert_eq!(still.holds(&acc("a-eve"), EdgeOp::Add), wanted, "{what}");
    }
}

#[test]
fn a_confirmed_fact_yields_only_to_a_read_that_began_after_the_lag() {
    let mut world = World::converged("", "");
    world.fill("eng", &["eve"]);
    world.sweep_source();
    let key = (dir("cloud"), world.group_named("eng"), acc("a-eve"));
    world.memory.confirmed.insert(key.clone(), crate::Confirmed { present: true, at: world.now });
    assert!(cases(&world.decide()).is_empty(), "the writer said so");
    // A read within the lag still shows the old state, one after it the truth.
    let stale = world.target.reading(world.now.plus(model::Span::from_secs(10)));
    let delta = world.target.observe(&stale);
    world.planner.apply(&delta);
    assert!(cases(&world.decide()).is_empty(), "an older sweep never resurrects anything");
    world.sweep_target();
    assert_eq!(edges(&world.decide()), ["+eng a-eve"], "a read after the lag says that it did not last");
}

#[test]
fn a_dead_letter_keeps_its_edges_back_and_nothing_else() {
    let mut world = World::converged("", "");
    world.fill("eng", &["eve"]);
    world.fill("ops", &["ann"]);
    world.sweep_source();
    let fault = model::Fault::Person { account: acc("a-eve"), step: None };
    world.memory.dead_letters.push((dir("cloud"), 7, fault));
    let decision = world.decide();
    assert_eq!(edges(&decision), ["+ops a-ann"]);
    let waits = &decision.plan.body.targets[0].waits;
    assert!(waits.iter().any(|wait| wait.why == model::WaitWhy::DeadLetter { id: 7 } && wait.edges == 1));
}

#[test]
fn unmapping_is_not_removing() {
    let mut world = World::converged("", "");
    let text = r#"except = ["eng@acme.com"]"#;
    world.planner.set_policy(crate::testing::policy(text, ""));
    let decision = world.decide();
    assert!(cases(&decision).is_empty(), "{:#?}", decision.plan.body);
    assert!(!world.in_target("eng").is_empty());
}

#[test]
fn explain_names_the_first_link_that_is_missing() {
    use crate::explain::Missing;
    let mut world = World::converged("", "");
    let missing = |world: &mut World, person: &str, group: &str| {
        let now = world.now;
        let explained = world.planner.explain(&world.memory, now, person, Some(group));
        explained.persons[0].groups[0].missing.clone()
    };
    assert_eq!(missing(&mut world, "ann@acme.com", "eng"), None);
    assert_eq!(missing(&mut world, "eve", "eng"), Some(Missing::NotInSourceGroup));
    world.fill("eng", &["eve"]);
    world.sweep_source();
    assert_eq!(missing(&mut world, "eve", "eng"), Some(Missing::UnderWay));
    world.source.user("eve").state = model::UserState::Suspended;
    world.sweep_source();
    assert_eq!(missing(&mut world, "eve", "eng"), Some(Missing::MayNotWork));
}

#[test]
fn in_sync_is_said_only_when_digests_are_equal_and_nothing_waits() {
    use crate::sync_state::WhyNot;
    let mut world = World::converged("", "");
    let state = |world: &mut World| {
        let decision = world.decide_on(crate::Occasion::Event);
        world.planner.sync_state(&world.memory, &decision)[&dir("cloud")].clone()
    };
    let before = state(&mut world);
    assert!(before.in_sync && before.wanted == before.observed && before.as_of.is_some(), "{before:#?}");
    world.fill("eng", &["eve"]);
    world.sweep_source();
    let after = state(&mut world);
    assert!(!after.in_sync && after.wanted != after.observed && after.why_not.contains(&WhyNot::Differs));
    assert_eq!(after.drifted, ["eng".to_owned()].into());
    world.memory.blind.insert(dir("workspace"));
    assert!(state(&mut world).why_not.contains(&WhyNot::Blind));
}

#[test]
fn a_directory_may_fill_its_own_groups() {
    let text = r#"
tenant = "acme"
[directory.cloud]
kind = "atlassian-org"
org = "o"
directory = "d"
api_key = "file:key"
[people]
domains = ["acme.com"]
[[sync]]
name = "product access"
from = "cloud"
groups = ["scim-all-staff"]
to = "cloud"
into = "jira-users-acme"
default_access_group = true
members = "managed"
on_conflict = "adopt"
"#;
    let mut world = World::new("", "");
    world.planner = crate::Planner::new(std::sync::Arc::new(policy::Policy::parse(text).unwrap()));
    world.person("ann");
    world.target.user("a-ann").email = None;
    world.existing("staff", "scim-all-staff", &["a-ann"]);
    world.existing("jira", "jira-users-acme", &[]);
    world.target.group("jira").default_access = true;
    world.sweep_target();
    let decision = world.decide();
    assert_eq!(edges(&decision), ["+jira-users-acme a-ann"], "even where addresses are hidden");
    assert_eq!(only(&decision).held[0].guard, model::GuardName::DefaultAccessGroup);
}

#[test]
fn what_newer_reads_have_taken_the_place_of_is_forgotten() {
    let mut world = World::converged("", "");
    let key = (dir("cloud"), world.group_named("eng"), acc("a-eve"));
    world.memory.confirm(&key, EdgeOp::Add, world.now);
    world.planner.prune(&mut world.memory, world.now);
    assert!(world.memory.confirmed.contains_key(&key) && world.memory.managed.contains_key(&key));
    world.sweep_target();
    world.planner.prune(&mut world.memory, world.now);
    assert!(world.memory.confirmed.is_empty());
}

#[test]
fn explain_believes_a_writer_for_as_long_as_the_planner_does() {
    let mut world = World::converged("", "");
    let key = (dir("cloud"), world.group_named("eng"), acc("a-eve"));
    world.fill("eng", &["eve"]);
    world.sweep_source();
    world.memory.confirm(&key, EdgeOp::Add, world.now);
    // A walk that began within the lag of the target does not show it yet.
    world.tick(5);
    let read = world.target.observe(&world.target.reading(world.now));
    world.planner.apply(&read);
    assert!(edges(&world.decide()).is_empty(), "the planner knows that she is in");
    let explained = world.planner.explain(&world.memory, world.now, "eve", Some("eng"));
    let group = &explained.persons[0].groups[0];
    assert!(group.has_access && group.missing.is_none(), "{group:#?}");
}
