//! What proves that somebody is gone where nobody can be asked, and how old the evidence against a leaver may be.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use model::{CaseKind, Fact, MemberKind, Reading, UserState, WaitWhy};

use crate::{
    Decision,
    testing::{World, acc, cases, dir, edges, grp, only},
};

fn waits_for_a_read(decision: &Decision, group: Option<&str>) -> bool {
    let why = WaitWhy::CompleteRead { directory: dir("workspace"), group: group.map(grp) };
    decision.plan.body.targets.iter().any(|target| target.waits.iter().any(|wait| wait.why == why))
}

/// A group of 36 people and everybody of the customer, who are 40.
fn customer() -> World {
    let mut world = World::new("", "");
    let names: Vec<String> = (0..40).map(|at| format!("p{at:03}")).collect();
    for name in &names {
        world.person(name);
    }
    world.fill("company", &names[..36].iter().map(String::as_str).collect::<Vec<_>>());
    world.source.add("company", MemberKind::Everyone("C01".to_owned()));
    world.converge();
    assert_eq!(world.in_target("company").len(), 40);
    world
}

#[test]
fn i02_who_was_in_as_everybody_goes_by_a_second_read_after_the_lag() {
    let mut world = customer();
    world.source.members.get_mut(&grp("company")).unwrap().remove(&MemberKind::Everyone("C01".to_owned()));
    world.sweep_source();
    let decision = world.decide_informed();
    assert_eq!(edges(&decision).len(), 4);
    assert!(decision.needs.is_empty(), "nobody can be asked about it: {:?}", decision.needs);
    assert!(!only(&decision).is_released(), "one read that lacks a row proves nothing");
    assert!(waits_for_a_read(&decision, Some("company")));
    // A read that begins within the lag of the first is no second opinion.
    let soon = world.source.reading(world.now);
    world.see(&soon);
    assert!(!only(&world.decide()).is_released());
    world.sweep_source();
    let decision = world.decide();
    assert!(only(&decision).is_released(), "{:#?}", only(&decision));
    assert!(!waits_for_a_read(&decision, Some("company")));
}

#[test]
fn i02_a_read_that_lacked_everybody_once_removes_nobody() {
    let mut world = customer();
    world.tick(600);
    let mut reading = world.source.reading(world.now);
    for read in &mut reading.members {
        read.seen.retain(|member| !matches!(member.kind, MemberKind::Everyone(_)));
    }
    world.see(&reading);
    assert!(cases(&world.decide_informed()).iter().all(|case| !case.is_released()));
    world.sweep_source();
    assert!(edges(&world.decide_informed()).is_empty());
}

/// What a read of this person alone shows now.
fn look_at(world: &mut World, person: &str) {
    let mut reading = Reading::begun(world.now);
    reading.ended_at = world.now;
    reading.users.seen.push(world.source.users[&acc(person)].clone());
    world.see(&reading);
}

const TWO_INTERVALS: u64 = 2 * 6 * 3600;

#[test]
fn i13_old_evidence_takes_nothing_from_a_leaver() {
    let rest = "[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\n\
                on_leave = { suspended = \"suspend\", grace = \"24h\" }";
    let mut world = World::converged("", rest);
    world.source.user("ann").state = UserState::Suspended;
    world.sweep_source();
    // Her memberships could go; before they do the watcher dies, and the grace ends.
    let decision = world.decide();
    assert_eq!(only(&decision).steps.len(), 2, "the account waits");
    world.memory.learn(&decision);
    world.tick(24 * 3600);
    world.sweep_target();
    let decision = world.decide();
    let case = only(&decision);
    assert!(matches!(case.kind, CaseKind::Leaver { .. }));
    assert_eq!(case.steps.len(), 3, "two memberships and the account: {case:#?}");
    assert!(!case.is_released(), "a day old");
    let asked = Fact::User { directory: dir("workspace"), user: acc("ann") };
    assert_eq!(decision.needs, [asked], "she can be read by herself");
    // She was reinstated meanwhile.
    world.source.user("ann").state = UserState::Active;
    look_at(&mut world, "ann");
    world.answer(&decision.needs);
    assert!(cases(&world.decide()).is_empty());
}

#[test]
fn i13_a_person_who_is_read_alone_is_fresh_evidence() {
    let mut world = World::converged("", "");
    world.tick(TWO_INTERVALS + 60);
    world.source.user("ann").state = UserState::Suspended;
    look_at(&mut world, "ann");
    let decision = world.decide();
    assert!(!only(&decision).is_released());
    world.answer(&decision.needs);
    let decision = world.decide();
    assert!(only(&decision).is_released() && decision.needs.is_empty(), "{:#?}", only(&decision));
    assert_eq!(edges(&decision), ["-all a-ann", "-eng a-ann"]);
    world.tick(TWO_INTERVALS + 60);
    assert!(!only(&world.decide()).is_released(), "the answer is old by now, too");
    world.sweep_source();
    assert!(only(&world.decide()).is_released());
}

#[test]
fn i13_that_somebody_was_gone_once_is_old_too() {
    let mut world = World::converged("", "");
    world.source.users.remove(&acc("bob"));
    world.sweep_source();
    let decision = world.decide_informed();
    assert!(cases(&decision).iter().all(|case| case.is_released()));
    world.tick(TWO_INTERVALS + 60);
    assert!(cases(&world.decide()).iter().all(|case| !case.is_released()));
    world.sweep_source();
    assert!(cases(&world.decide()).iter().all(|case| case.is_released()));
}
