//! What is held stays held, however far the base moves on that its guard compared with.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use model::{CaseKind, EdgeOp, GuardName, MemberKind, UserState};
use proptest::prelude::*;

use crate::{
    Decision, Occasion, Verdict,
    testing::{World, acc, cases, edges, grp},
};

/// Ten groups of four people each, everything equal.
fn company() -> World {
    let mut world = World::new("", "");
    for at in 0..40 {
        world.person(&person(at));
    }
    for group in 0..10 {
        let people: Vec<String> = (0..4).map(|at| person(group * 4 + at)).collect();
        world.fill(&format!("g{group}"), &people.iter().map(String::as_str).collect::<Vec<_>>());
    }
    world.converge();
    world
}

fn person(at: usize) -> String {
    format!("p{at:03}")
}

/// One of each group is gone from the source: a quarter of it.
fn shrink(world: &mut World) {
    for group in 0..10 {
        world.leave(&format!("g{group}"), &person(group * 4));
    }
}

fn held_by(decision: &Decision, guard: GuardName) -> usize {
    cases(decision).iter().filter(|case| case.held.iter().any(|held| held.guard == guard)).count()
}

fn released(decision: &Decision) -> usize {
    cases(decision).iter().filter(|case| case.is_released()).count()
}

#[test]
fn i03_what_shrank_stays_held_through_sweeps_and_events_until_a_person_approves() {
    let mut world = company();
    shrink(&mut world);
    world.sweep_source();
    let decision = world.decide_informed();
    assert_eq!((held_by(&decision, GuardName::SourceShrink), released(&decision)), (10, 0));
    world.memory.learn(&decision);
    for occasion in [Occasion::Event, Occasion::Sweep, Occasion::Event, Occasion::OneShot] {
        world.sweep_source();
        world.sweep_target();
        let decision = world.decide_on(occasion);
        assert_eq!((held_by(&decision, GuardName::SourceShrink), released(&decision)), (10, 0), "{occasion:?}");
        world.memory.learn(&decision);
    }
    // An approval binds to its case and goes on holding the others.
    let digest = cases(&world.decide())[0].digest;
    world.memory.approvals.insert(digest, Verdict::Approved);
    let decision = world.decide();
    assert_eq!((held_by(&decision, GuardName::SourceShrink), released(&decision)), (9, 1));
    assert_eq!(world.carry_out(&decision), 1);
    world.sweep_target();
    let decision = world.decide();
    assert_eq!((held_by(&decision, GuardName::SourceShrink), released(&decision)), (9, 0));
    world.memory.learn(&decision);
    assert_eq!(world.memory.plan_holds.len(), 9, "what was done is no longer held");
}

#[test]
fn i03_a_source_that_came_back_is_held_for_no_longer() {
    let mut world = company();
    shrink(&mut world);
    world.sweep_source();
    let decision = world.decide_informed();
    world.memory.learn(&decision);
    for group in 0..9 {
        world.fill(&format!("g{group}"), &[&person(group * 4)]);
    }
    world.sweep_source();
    let decision = world.decide_informed();
    assert_eq!(edges(&decision), ["-g9 a-p036"]);
    assert_eq!(held_by(&decision, GuardName::SourceShrink), 1, "one did not come back");
    world.memory.learn(&decision);
    assert_eq!(world.memory.plan_holds.len(), 1);
    world.leave("g0", &person(0));
    world.sweep_source();
    let decision = world.decide_informed();
    assert_eq!((released(&decision), held_by(&decision, GuardName::SourceShrink)), (1, 1), "that one left by itself");
}

#[test]
fn i03_what_could_not_be_judged_when_the_source_shrank_is_held_when_it_can() {
    let mut world = company();
    shrink(&mut world);
    world.tick(600);
    let mut reading = world.source.reading(world.now);
    // The walk of one group breaks off after it had lost somebody: nothing of it is judged.
    world.see(&reading);
    world.tick(5);
    reading.began_at = world.now;
    reading.ended_at = world.now;
    reading.members.retain(|read| read.group == grp("g3"));
    (reading.users.complete, reading.groups.complete) = (false, false);
    reading.members[0].complete = false;
    world.see(&reading);
    let decision = world.decide_informed();
    assert_eq!(cases(&decision).len(), 9);
    world.memory.learn(&decision);
    world.sweep_source();
    world.sweep_source();
    let decision = world.decide_informed();
    assert_eq!((held_by(&decision, GuardName::SourceShrink), released(&decision)), (10, 0));
}

#[test]
fn i03_what_is_held_survives_a_rule_that_stops_claiming_it_for_a_while() {
    let mut world = company();
    shrink(&mut world);
    world.sweep_source();
    let decision = world.decide_informed();
    world.memory.learn(&decision);
    let policy = world.planner.policy().clone();
    world.planner.set_policy(crate::testing::policy("except = [\"g0@*\"]", ""));
    world.sweep_source();
    let decision = world.decide();
    assert_eq!(cases(&decision).len(), 9);
    world.memory.learn(&decision);
    world.planner.set_policy(policy);
    assert_eq!(released(&world.decide_informed()), 0);
}

#[test]
fn i03_a_group_that_would_become_empty_stays_held_while_its_leavers_go() {
    let mut world = World::converged("", "");
    for name in ["ann", "bob", "cho"] {
        world.source.user(name).state = UserState::Suspended;
    }
    world.leave("eng", "dan");
    world.sweep_source();
    let decision = world.decide_informed();
    let of_eng = |decision: &Decision| {
        let is = |case: &&model::Case| matches!(&case.kind, CaseKind::Removals { name, .. } if name == "eng");
        cases(decision).into_iter().find(is).cloned().unwrap()
    };
    assert!(of_eng(&decision).held.iter().any(|held| held.guard == GuardName::EmptiedGroup));
    assert!(world.carry_out(&decision) > 0, "leavers go");
    world.sweep_source();
    world.sweep_target();
    assert_eq!(world.in_target("eng").len(), 1);
    let decision = world.decide();
    assert!(of_eng(&decision).held.iter().any(|held| held.guard == GuardName::EmptiedGroup), "one is left, and held");
    world.memory.learn(&decision);
    // Somebody joins: the group would no longer be empty, and the last removal is an ordinary one.
    world.fill("eng", &["eve"]);
    world.sweep_source();
    assert!(of_eng(&world.decide_informed()).is_released());
}

#[test]
fn a_hold_of_a_journal_of_before_reads_as_one_of_the_whole_plan() {
    let hold: crate::PlanHold = serde_json::from_str(r#"{"target":"cloud","name":"eng","op":"remove"}"#).unwrap();
    assert_eq!(hold.guard, GuardName::PerPlanRemovals);
}

#[test]
fn the_second_opinion_stops_what_is_held_and_not_approved() {
    let mut world = World::converged("", "");
    world.leave("eng", "ann");
    world.sweep_source();
    let decision = world.decide_informed();
    assert!(decision.plan.cases().all(|(_, case)| case.is_released()));
    let mut memory = world.memory.clone();
    let (target, name) = (crate::testing::dir("cloud"), "eng".to_owned());
    let hold = crate::PlanHold { target, name, op: EdgeOp::Remove, guard: GuardName::SourceShrink };
    memory.plan_holds.insert(hold);
    let found = crate::check::check(&decision.plan, &world.planner, &memory).unwrap_err();
    assert!(found.iter().any(|violation| violation.to_string().contains("which is held")), "{found:?}");
}

/// What happens between looks.
#[derive(Debug, Clone)]
enum Happening {
    Leave(usize),
    Return(usize),
    Shrink,
    SweepSource,
    SweepTarget,
    Decide(Occasion),
    Approve(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        2 => (0..40_usize).prop_map(Happening::Leave),
        2 => (0..40_usize).prop_map(Happening::Return),
        1 => Just(Happening::Shrink),
        3 => Just(Happening::SweepSource),
        2 => Just(Happening::SweepTarget),
        2 => Just(Happening::Decide(Occasion::Event)),
        2 => Just(Happening::Decide(Occasion::Sweep)),
        1 => (0..10_usize).prop_map(Happening::Approve),
    ]
}

proptest! {
    #[test]
    fn i03_nothing_goes_that_a_shrunken_source_held_unless_approved_or_back(
        happenings in prop::collection::vec(happening(), 5..40),
    ) {
        let mut world = company();
        // Held removals as the test sees them: (group, person), until the person was seen to be back.
        let mut held: BTreeSet<(String, String)> = BTreeSet::new();
        let mut shown: Vec<model::Digest> = Vec::new();
        for each in &happenings {
            match each {
                Happening::Leave(at) => world.leave(&format!("g{}", at / 4), &person(*at)),
                Happening::Return(at) => world.fill(&format!("g{}", at / 4), &[&person(*at)]),
                Happening::Shrink => shrink(&mut world),
                Happening::SweepSource => {
                    world.sweep_source();
                    let back = |(group, account): &(String, String)| {
                        let kind = MemberKind::User(acc(account.trim_start_matches("a-")));
                        world.source.members[&grp(group)].contains_key(&kind)
                    };
                    held.retain(|edge| !back(edge));
                }
                Happening::SweepTarget => world.sweep_target(),
                Happening::Approve(at) => {
                    if let Some(digest) = shown.get(*at) {
                        world.memory.approvals.insert(*digest, Verdict::Approved);
                    }
                }
                Happening::Decide(occasion) => {
                    let asked = world.decide_on(*occasion);
                    world.answer(&asked.needs);
                    world.tick(1);
                    let decision = world.decide_on(*occasion);
                    for case in cases(&decision) {
                        let approved = world.memory.approvals.contains_key(&case.digest);
                        for edge in case.edges().filter(|edge| edge.op == EdgeOp::Remove) {
                            let key = (edge.group_name.clone(), edge.account.as_ref().unwrap().to_string());
                            if case.is_released() {
                                prop_assert!(approved || !held.contains(&key), "{key:?} went unapproved");
                                held.remove(&key);
                            } else if case.held.iter().any(|by| by.guard == GuardName::SourceShrink) {
                                held.insert(key);
                            }
                        }
                    }
                    shown = cases(&decision).iter().map(|case| case.digest).collect();
                    world.carry_out(&decision);
                }
            }
        }
        // Everything that is still held can be let go, and then everything is equal.
        for _ in 0..6 {
            world.sweep_source();
            world.sweep_target();
            let decision = world.decide_informed();
            let digests: Vec<model::Digest> = cases(&decision).iter().map(|case| case.digest).collect();
            world.memory.approvals.extend(digests.into_iter().map(|digest| (digest, Verdict::Approved)));
            let decision = world.decide();
            world.carry_out(&decision);
        }
        world.sweep_target();
        let decision = world.decide();
        prop_assert!(cases(&decision).is_empty(), "{:?}", edges(&decision));
        world.memory.learn(&decision);
        prop_assert!(world.memory.plan_holds.is_empty(), "{:?}", world.memory.plan_holds);
    }
}
