//! First contact, adoption, groups that are not what they were.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use model::{CaseKind, GuardName, Link, LinkHow, MemberKind, RefusalWhy, Step};

use crate::{
    ConflictDecision, Verdict,
    testing::{World, acc, cases, dir, edges, grp, only},
};

/// A source group `eng` of ann and bob; the target has a group of that name with bob and a stranger.
fn met(rule: &str) -> World {
    let mut world = World::new(rule, "");
    for name in ["ann", "bob", "dan"] {
        world.person(name);
    }
    world.fill("eng", &["ann", "bob"]);
    world.existing("t-eng", "Eng", &["a-bob", "a-dan"]);
    world.sweep_source();
    world.sweep_target();
    world
}

#[test]
fn a_group_that_existed_waits_for_a_person_with_its_whole_difference() {
    let mut world = met("");
    let decision = world.decide();
    let case = only(&decision);
    assert!(matches!(&case.kind, CaseKind::Conflict { group, name } if group == &grp("t-eng") && name == "Eng"));
    assert_eq!(edges(&decision), ["+Eng a-ann", "-Eng a-dan"]);
    assert_eq!(case.held[0].guard, GuardName::Conflict);
    world.memory.approvals.insert(case.digest, Verdict::Approved);
    let decision = world.decide();
    assert!(only(&decision).is_released());
    let links = &decision.plan.body.targets[0].links;
    assert!(links.iter().any(|link| matches!(link, Link::Group { how: LinkHow::Adopted, .. })));
    world.carry_out(&decision);
    world.converge();
    assert_eq!(world.in_target("Eng"), ["a-ann", "a-bob"].map(String::from).into());
}

#[test]
fn a_group_that_already_is_equal_is_pinned_silently() {
    let mut world = met("");
    world.target.members.get_mut(&grp("t-eng")).unwrap().clear();
    for account in ["a-ann", "a-bob"] {
        world.target.add("t-eng", MemberKind::User(acc(account)));
    }
    world.sweep_target();
    let decision = world.decide();
    assert!(cases(&decision).is_empty());
    world.memory.learn(&decision);
    let pin = &world.memory.pins[&(dir("cloud"), "eng".to_owned())];
    assert_eq!((pin.group.clone(), pin.how, pin.equal_once), (grp("t-eng"), LinkHow::Equal, true));
    assert_eq!(pin.source, Some((dir("workspace"), grp("eng"))));
}

#[test]
fn adopting_adds_and_removes_and_add_only_never_removes() {
    assert_eq!(edges(&met("on_conflict = \"adopt\"").decide()), ["+Eng a-ann", "-Eng a-dan"]);
    let mut world = met("on_conflict = \"add-only\"");
    assert_eq!(edges(&world.decide()), ["+Eng a-ann"]);
    world.converge();
    assert!(world.in_target("Eng").contains("a-dan"), "not even later");
    let mut world = met("");
    world.memory.conflicts.insert((dir("cloud"), grp("t-eng")), ConflictDecision::AddOnly);
    world.converge();
    assert_eq!(world.in_target("Eng"), ["a-ann", "a-bob", "a-dan"].map(String::from).into());
}

#[test]
fn a_group_that_is_kept_apart_is_refused_and_left_alone() {
    let mut world = met("on_conflict = \"skip\"");
    let decision = world.decide();
    assert!(cases(&decision).is_empty());
    assert_eq!(decision.plan.body.targets[0].refusals[0].why, RefusalWhy::Skipped);
    let mut world = met("");
    let until = world.now.plus(model::Span::from_secs(1000));
    world.memory.conflicts.insert((dir("cloud"), grp("t-eng")), ConflictDecision::Ignore { until });
    assert!(cases(&world.decide()).is_empty());
    world.tick(2000);
    assert_eq!(cases(&world.decide()).len(), 1, "asked about again after the date");
}

#[test]
fn i05_the_same_name_with_a_new_id_is_held() {
    let mut world = World::converged("", "");
    let eng = world.group_named("eng");
    let members = world.target.members.remove(&eng).unwrap();
    world.target.groups.remove(&eng);
    world.existing("other", "eng", &[]);
    world.sweep_target();
    let decision = world.decide();
    let case = only(&decision);
    assert_eq!(case.held[0].guard, GuardName::IdentityChanged);
    assert_eq!(members.len(), 4);
}

#[test]
fn i05_a_pinned_group_that_was_deleted_by_hand_is_held_and_not_made_again() {
    let mut world = World::converged("", "");
    let eng = world.group_named("eng");
    world.target.groups.remove(&eng);
    world.sweep_target();
    let decision = world.decide();
    let case = only(&decision);
    assert!(matches!(case.kind, CaseKind::Create { .. }) && case.held[0].guard == GuardName::IdentityChanged);
    world.memory.approvals.insert(case.digest, Verdict::Approved);
    assert!(only(&world.decide()).is_released());
}

#[test]
fn i05_another_source_group_under_the_old_name_inherits_nothing() {
    let mut world = World::converged("", "");
    world.source.groups.remove(&grp("eng"));
    world.source.members.get_mut(&grp("all")).unwrap().remove(&MemberKind::Group(grp("eng")));
    let mut usurper = model::Group::new(grp("usurper"), "eng");
    usurper.email = model::Email::new("eng@acme.com").ok();
    world.source.groups.insert(grp("usurper"), usurper);
    world.source.add("usurper", MemberKind::User(acc("eve")));
    world.sweep_source();
    let decision = world.decide_informed();
    let case = cases(&decision).into_iter().find(|case| matches!(case.kind, CaseKind::Conflict { .. })).unwrap();
    assert_eq!(case.held[0].guard, GuardName::IdentityChanged, "{case:#?}");
}

#[test]
fn a_source_group_that_is_renamed_keeps_its_target_group() {
    let mut world = World::converged("", "");
    world.source.group("eng").email = model::Email::new("engineering@acme.com").ok();
    world.source.group("eng").name = "engineering".to_owned();
    world.sweep_source();
    let decision = world.decide();
    assert!(cases(&decision).is_empty(), "{:#?}", decision.plan.body);
    world.fill("eng", &["eve"]);
    world.sweep_source();
    assert_eq!(edges(&world.decide()), ["+eng a-eve"]);
}

#[test]
fn two_source_groups_that_come_to_one_name_are_held_and_others_go_on() {
    let mut world = World::converged("", "");
    world.fill("eng2", &["eve"]);
    world.source.group("eng2").email = model::Email::new("eng@other.acme.com").ok();
    world.fill("ops", &["ann"]);
    world.sweep_source();
    let decision = world.decide();
    let collision = cases(&decision).into_iter().find(|case| case.steps.is_empty()).unwrap();
    assert_eq!(collision.held[0].guard, GuardName::NameCollision);
    assert_eq!(edges(&decision), ["+ops a-ann"], "ann is in all already");
}

#[test]
fn a_union_is_one_wanted_set_whatever_the_order() {
    let mut world = World::new("into = \"everyone\"", "");
    for name in ["ann", "bob"] {
        world.person(name);
    }
    world.fill("a", &["ann"]);
    world.fill("b", &["ann", "bob"]);
    world.converge();
    assert_eq!(world.in_target("everyone"), ["a-ann", "a-bob"].map(String::from).into());
    world.leave("b", "ann");
    world.sweep_source();
    assert!(edges(&world.decide()).is_empty(), "ann is still in through a");
}

#[test]
fn a_deleted_source_group_leaves_empties_or_deletes_its_target() {
    let delete = |rule: &str| {
        let mut world = World::converged(rule, "");
        world.source.groups.remove(&grp("ops"));
        world.source.members.get_mut(&grp("all")).unwrap().remove(&MemberKind::Group(grp("ops")));
        world.sweep_source();
        let decision = world.decide_informed();
        let of_ops: Vec<model::Case> = cases(&decision)
            .into_iter()
            .filter(|case| format!("{:?}", case.kind).contains("\"ops\""))
            .cloned()
            .collect();
        of_ops
    };
    assert!(delete("on_source_deleted = \"keep\"").is_empty());
    let empty = delete("on_source_deleted = \"empty\"");
    assert_eq!(empty[0].steps.len(), 2);
    assert_eq!(empty[0].held[0].guard, GuardName::GroupDelete);
    let gone = delete("on_source_deleted = \"delete\"");
    assert!(matches!(gone[0].steps[..], [Step::DeleteGroup { .. }]));
    assert_eq!(gone[0].held[0].guard, GuardName::GroupDelete);
}

#[test]
fn drift_is_repaired_reported_or_taken_over() {
    let drifted = |rule: &str| {
        let mut world = World::converged(rule, "");
        let eng = world.group_named("eng").to_string();
        world.target.add(&eng, MemberKind::User(acc("a-eve")));
        world.target.members.get_mut(&grp(&eng)).unwrap().remove(&MemberKind::User(acc("a-ann")));
        world.sweep_target();
        world
    };
    let mut world = drifted("drift = \"repair\"");
    let decision = world.decide();
    assert_eq!(edges(&decision), ["+eng a-ann", "-eng a-eve"]);
    assert!(decision.needs.is_empty(), "what the source never had needs no question");
    assert!(cases(&decision).iter().all(|case| case.is_released()));
    let mut world = drifted("drift = \"report\"");
    let decision = world.decide();
    assert_eq!(edges(&decision), ["+eng a-ann", "-eng a-eve"]);
    assert!(cases(&decision).iter().all(|case| case.held[0].guard == GuardName::DriftReport));
    assert!(cases(&drifted("drift = \"adopt\"").decide()).is_empty());
}

#[test]
fn managed_members_remove_only_what_we_added() {
    let mut world = World::converged("members = \"managed\"", "");
    let eng = world.group_named("eng").to_string();
    world.target.add(&eng, MemberKind::User(acc("a-eve")));
    world.leave("eng", "ann");
    world.sweep_source();
    world.sweep_target();
    assert_eq!(edges(&world.decide()), ["-all a-ann", "-eng a-ann"]);
}
