//! A group whose source is gone, by a rule that deletes: always held, and never with anybody in it who is protected.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use model::{CaseKind, EdgeOp, GuardName, MemberKind, Plan, RefusalWhy, Step};

use crate::{
    Decision, Verdict,
    check::{Violation, check},
    testing::{World, acc, cases, dir, grp, only},
};

const DELETE: &str = "on_source_deleted = \"delete\"";

/// The source group `ops` is gone.
fn gone(world: &mut World) {
    world.source.groups.remove(&grp("ops"));
    world.source.members.remove(&grp("ops"));
    world.source.members.entry(grp("all")).or_default().remove(&MemberKind::Group(grp("ops")));
    world.sweep_source();
    world.sweep_target();
}

fn deletes(decision: &Decision) -> usize {
    cases(decision).iter().filter(|case| matches!(case.kind, CaseKind::Delete { .. })).count()
}

fn refused(decision: &Decision) -> Vec<RefusalWhy> {
    let refusals = decision.plan.body.targets.iter().flat_map(|target| &target.refusals);
    let of_group = refusals.filter(|refusal| matches!(refusal.step, Step::DeleteGroup { .. }));
    of_group.map(|refusal| refusal.why).collect()
}

#[test]
fn i04_a_group_that_holds_somebody_protected_is_never_deleted() {
    let rest = "[guard]\nprotected_people = [\"breakglass@acme.com\"]";
    for (name, why) in [
        ("breakglass", RefusalWhy::ProtectedPerson),
        ("sync-bot", RefusalWhy::OurOwnAccount),
        ("robot", RefusalWhy::OurOwnAccount),
    ] {
        for members in ["exact", "managed"] {
            let mut world = World::converged(&format!("{DELETE}\nmembers = \"{members}\""), rest);
            world.person(name);
            world.memory.own_accounts.entry(dir("cloud")).or_default().insert(acc("a-robot"));
            let ops = world.group_named("ops").to_string();
            world.target.add(&ops, MemberKind::User(acc(&format!("a-{name}"))));
            gone(&mut world);
            let decision = world.decide_informed();
            assert_eq!((deletes(&decision), refused(&decision)), (0, vec![why]), "{name} {members}");
        }
    }
}

#[test]
fn i04_who_was_added_a_moment_ago_is_in_the_group_too() {
    let mut world = World::converged(DELETE, "[guard]\nprotected_people = [\"breakglass@acme.com\"]");
    world.person("breakglass");
    gone(&mut world);
    assert_eq!(deletes(&world.decide_informed()), 1);
    let key = (dir("cloud"), world.group_named("ops"), acc("a-breakglass"));
    world.memory.confirm(&key, EdgeOp::Add, world.now);
    let decision = world.decide();
    assert_eq!((deletes(&decision), refused(&decision)), (0, vec![RefusalWhy::ProtectedPerson]));
}

#[test]
fn i04_the_second_opinion_looks_into_a_group_that_is_deleted() {
    let mut world = World::converged(DELETE, "");
    gone(&mut world);
    let decision = world.decide_informed();
    let plan: Plan = decision.plan;
    world.memory.own_accounts.entry(dir("cloud")).or_default().insert(acc("a-eve"));
    let found = check(&plan, &world.planner, &world.memory).unwrap_err();
    let account = Violation::ProtectedAccount { target: dir("cloud"), account: acc("a-eve") };
    assert!(found.contains(&account), "{found:#?}");
    let ops = world.group_named("ops");
    world.memory.own_accounts.clear();
    assert_eq!(check(&plan, &world.planner, &world.memory), Ok(()));
    world.memory.own_accounts.entry(dir("cloud")).or_default().insert(acc("a-new"));
    world.memory.confirm(&(dir("cloud"), ops, acc("a-new")), EdgeOp::Add, world.now);
    assert!(check(&plan, &world.planner, &world.memory).is_err(), "added since the last read");
}

#[test]
fn a_group_of_whom_nobody_may_be_removed_is_offered_for_deletion_too() {
    for members in ["exact", "managed"] {
        let mut world = World::converged(&format!("{DELETE}\nmembers = \"{members}\""), "");
        gone(&mut world);
        let decision = world.decide_informed();
        assert_eq!(deletes(&decision), 1, "{members}: {:#?}", decision.plan.body);
        let case = cases(&decision).into_iter().find(|case| matches!(case.kind, CaseKind::Delete { .. }));
        let case = case.cloned();
        assert!(case.is_some_and(|case| case.held[0].guard == GuardName::GroupDelete && !case.is_released()));
    }
}

#[test]
fn an_empty_group_is_offered_for_deletion_too() {
    let mut world = World::new(DELETE, "");
    world.person("ann");
    world.fill("eng", &["ann"]);
    world.fill("ops", &[]);
    world.converge();
    assert!(world.in_target("ops").is_empty());
    gone(&mut world);
    let first = world.decide();
    assert!(matches!(only(&first).kind, CaseKind::Delete { .. }));
    assert!(!only(&first).is_released() && !first.needs.is_empty(), "that the source is gone is asked by itself");
    world.memory.approvals.insert(only(&first).digest, Verdict::Approved);
    let decision = world.decide_informed();
    assert!(only(&decision).is_released(), "{:#?}", only(&decision));
    world.carry_out(&decision);
    world.sweep_target();
    assert!(cases(&world.decide()).is_empty());
}
