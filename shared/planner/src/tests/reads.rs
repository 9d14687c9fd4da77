//! What may be believed: partial, empty, stale, contradicted and missing reads.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use model::{MemberKind, Span, WaitWhy};

use crate::testing::{Side, World, acc, cases, dir, edges, grp};

fn waits(decision: &crate::Decision) -> Vec<WaitWhy> {
    let targets = decision.plan.body.targets.iter();
    targets.flat_map(|target| target.waits.iter().map(|wait| wait.why.clone())).collect()
}

#[test]
fn i02_a_partial_read_removes_nobody_and_still_adds() {
    let mut world = World::converged("", "");
    world.tick(600);
    let mut reading = world.source.reading(world.now);
    for read in &mut reading.members {
        if read.group == grp("eng") {
            read.seen.retain(|member| member.kind.id() != "ann");
            read.seen.push(model::Member { kind: MemberKind::User(acc("eve")), role: model::Role::Member });
            read.complete = false;
        }
    }
    world.see(&reading);
    let decision = world.decide();
    assert_eq!(edges(&decision), ["+eng a-eve"]);
}

#[test]
fn i02_while_one_group_below_is_read_partly_nobody_goes_from_the_groups_above() {
    let mut world = World::converged("", "");
    world.leave("ops", "eve");
    world.tick(600);
    let mut reading = world.source.reading(world.now);
    for read in reading.members.iter_mut().filter(|read| read.group == grp("eng")) {
        read.seen.clear();
        read.complete = false;
    }
    world.see(&reading);
    let decision = world.decide_informed();
    assert_eq!(edges(&decision), ["-ops a-eve"], "ops is whole; all holds eng, which is not");
    let wait = WaitWhy::CompleteRead { directory: dir("workspace"), group: Some(grp("eng")) };
    assert!(waits(&decision).contains(&wait), "{:#?}", waits(&decision));
}

#[test]
fn i02_while_another_source_was_never_read_nobody_goes_from_what_it_may_fill() {
    let partner = r#"
[directory.partner]
kind = "google-workspace"
customer = "my_customer"
service_account = "file:partner.json"
subject = "rollcall@partner.com"
[[sync]]
name = "partners"
from = "partner"
groups = ["*"]
to = "cloud"
rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]
"#;
    let mut world = World::converged("", partner);
    world.leave("ops", "eve");
    world.tick(600);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide_informed();
    assert!(edges(&decision).is_empty(), "eve may be in by a group of the partner's: {:?}", edges(&decision));
    let wait = WaitWhy::CompleteRead { directory: dir("partner"), group: None };
    assert!(waits(&decision).contains(&wait), "{:#?}", waits(&decision));
    // It turns out to have no groups at all.
    let mut read = Side::new("partner");
    let delta = read.observe(&read.reading(world.now));
    world.planner.apply(&delta);
    assert_eq!(edges(&world.decide_informed()), ["-all a-eve", "-ops a-eve"]);
}

#[test]
fn i02_an_empty_list_of_groups_removes_nobody() {
    let mut world = World::converged("", "");
    world.tick(600);
    let mut reading = world.source.reading(world.now);
    reading.groups.seen.clear();
    reading.members.clear();
    world.see(&reading);
    let decision = world.decide_informed();
    assert!(edges(&decision).is_empty(), "a deleted source group leaves its target as it is");
}

#[test]
fn i02_members_that_are_read_as_empty_are_held() {
    let mut world = World::converged("", "");
    world.tick(600);
    let mut reading = world.source.reading(world.now);
    for read in reading.members.iter_mut().filter(|read| read.group == grp("eng")) {
        read.seen.clear();
    }
    world.see(&reading);
    let decision = world.decide();
    assert!(cases(&decision).iter().all(|case| !case.is_released()));
    let eng = cases(&decision).into_iter().find(|case| case.edges().all(|edge| edge.group_name == "eng")).unwrap();
    assert!(eng.held.iter().any(|held| held.guard == model::GuardName::EmptiedGroup), "{eng:#?}");
    // The members are there after all: the questions say so, and the case is gone.
    world.answer(&decision.needs);
    assert!(edges(&world.decide()).is_empty());
}

#[test]
fn i13_from_a_stale_source_nobody_is_removed() {
    let mut world = World::converged("", "");
    world.leave("eng", "bob");
    world.sweep_source();
    let needs = world.decide().needs;
    world.answer(&needs);
    world.tick(2 * 6 * 3600 + 3600);
    let decision = world.decide();
    assert!(edges(&decision).is_empty());
    assert!(waits(&decision).iter().any(|why| matches!(why, WaitWhy::CompleteRead { .. })));
    world.sweep_source();
    assert_eq!(edges(&world.decide()), ["-all a-bob", "-eng a-bob"]);
}

#[test]
fn i13_nothing_new_is_decided_from_a_blind_source() {
    let mut world = World::converged("", "");
    world.fill("eng", &["eve"]);
    world.leave("ops", "eve");
    world.source.user("dan").state = model::UserState::Suspended;
    world.sweep_source();
    world.memory.blind.insert(dir("workspace"));
    let decision = world.decide();
    assert!(cases(&decision).is_empty());
    assert!(decision.needs.is_empty());
    assert!(waits(&decision).iter().all(|why| matches!(why, WaitWhy::SourceBlind { .. })));
    assert!(!waits(&decision).is_empty());
    world.memory.blind.clear();
    assert!(!cases(&world.decide()).is_empty(), "and all of it when it sees again");
}

#[test]
fn an_outsider_goes_by_a_second_read_after_the_lag() {
    let mut world = World::converged("", "");
    world.outsider("zoe");
    world.fill("eng", &["zoe"]);
    world.converge();
    assert!(world.in_target("eng").contains("a-zoe"));
    world.leave("eng", "zoe");
    world.sweep_source();
    let decision = world.decide();
    world.answer(&decision.needs);
    let decision = world.decide();
    assert!(decision.needs.is_empty(), "there is nobody to ask: {:#?}", decision.needs);
    assert!(cases(&decision).iter().all(|case| !case.is_released()));
    let wait = WaitWhy::CompleteRead { directory: dir("workspace"), group: Some(grp("eng")) };
    assert!(waits(&decision).contains(&wait));
    world.sweep_source();
    let decision = world.decide();
    assert!(cases(&decision).iter().all(|case| case.is_released()));
    assert_eq!(edges(&decision), ["-all a-zoe", "-eng a-zoe"]);
}

#[test]
fn a_person_who_is_merely_absent_from_the_list_is_asked_about() {
    let mut world = World::converged("", "");
    world.source.users.remove(&acc("bob"));
    world.sweep_source();
    let decision = world.decide();
    assert_eq!(decision.needs.len(), 1);
    assert!(matches!(&decision.needs[0], model::Fact::User { user, .. } if user == &acc("bob")));
    assert!(cases(&decision).iter().all(|case| !case.is_released()));
    world.answer(&decision.needs);
    assert!(cases(&world.decide()).iter().all(|case| case.is_released()));
}

#[test]
fn a_nested_group_of_others_contributes_nobody_and_is_listed() {
    let mut world = World::converged("", "");
    let mut foreign = model::Group::new(grp("foreign"), "foreign");
    foreign.opaque = true;
    world.source.groups.insert(grp("foreign"), foreign);
    world.nest("all", "foreign");
    world.sweep_source();
    let decision = world.decide();
    assert!(cases(&decision).is_empty(), "{:#?}", cases(&decision));
    assert!(waits(&decision).contains(&WaitWhy::Opaque { group: grp("foreign") }));
    let state = world.planner.sync_state(&world.memory, &decision)[&dir("cloud")].clone();
    assert!(state.in_sync, "it is listed, and no reason to be out of sync: {state:#?}");
}

#[test]
fn a_nested_group_that_turns_unreadable_keeps_its_people() {
    let mut world = World::converged("", "");
    world.source.group("ops").opaque = true;
    world.leave("eng", "ann");
    world.sweep_source();
    let decision = world.decide_informed();
    assert_eq!(edges(&decision), ["-eng a-ann"], "all holds ops, so all waits");
}

#[test]
fn a_target_group_that_was_never_read_is_not_judged() {
    let mut world = World::new("on_conflict = \"adopt\"", "");
    world.person("ann");
    world.fill("eng", &["ann"]);
    world.existing("t-eng", "eng", &[]);
    world.sweep_source();
    world.tick(600);
    let mut reading = world.target.reading(world.now);
    reading.members.clear();
    let delta = world.target.observe(&reading);
    world.planner.apply(&delta);
    let decision = world.decide();
    assert!(cases(&decision).is_empty());
    assert_eq!(waits(&decision), [WaitWhy::TargetRead { group: grp("t-eng") }]);
}

#[test]
fn a_group_taken_out_of_another_is_one_question() {
    let mut world = World::converged("guard = { per_group = { removals = { count = 50, percent = 100 } } }", "");
    world.source.members.get_mut(&grp("all")).unwrap().remove(&MemberKind::Group(grp("eng")));
    world.sweep_source();
    let decision = world.decide();
    assert_eq!(edges(&decision), ["-all a-ann", "-all a-bob", "-all a-dan"], "cho stays, through ops");
    assert_eq!(decision.needs.len(), 1);
    assert!(matches!(&decision.needs[0], model::Fact::Nested { nested, .. } if nested == &grp("eng")));
    let _ = Span::ZERO;
}

#[test]
fn everybody_of_the_customer_is_whoever_is_listed_and_works() {
    let mut world = World::converged("", "");
    world.outsider("zoe");
    world.fill("company", &[]);
    world.source.add("company", MemberKind::Everyone("C01".to_owned()));
    world.source.user("bob").state = model::UserState::Suspended;
    world.converge();
    let company = world.in_target("company");
    assert_eq!(company, ["a-ann", "a-cho", "a-dan", "a-eve"].map(String::from).into());
    world.person("fay");
    world.converge();
    assert!(world.in_target("company").contains("a-fay"), "a newcomer is in without any membership");
}
