//! What has to be known, and to be so, before a target is said to be in sync.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use model::{Answer, Corroboration, Fact, MemberKind, Ownership, ReadRow, ReadScope, Reading};

use crate::{
    Occasion,
    sync_state::{SyncState, WhyNot},
    testing::{World, acc, cases, dir, edges, grp},
};

fn state(world: &mut World) -> SyncState {
    let decision = world.decide_on(Occasion::Event);
    world.planner.sync_state(&world.memory, &decision)[&dir("cloud")].clone()
}

/// A sweep of the source that somebody changed.
fn sweep(world: &mut World, change: impl FnOnce(&mut Reading)) {
    world.tick(600);
    let mut reading = world.source.reading(world.now);
    change(&mut reading);
    world.see(&reading);
    world.tick(5);
}

#[test]
fn a_group_below_that_was_read_in_part_is_not_known() {
    // Only `all` is filled: the groups below it are read for its sake.
    let mut world = World::new("except = [\"below-*\"]", "");
    for name in ["ann", "bob"] {
        world.person(name);
    }
    world.fill("below-web", &["ann"]);
    world.fill("below-eng", &["bob"]);
    world.fill("all", &[]);
    world.nest("all", "below-eng");
    world.nest("below-eng", "below-web");
    world.converge();
    assert_eq!(world.target.groups.len(), 1);
    let before = state(&mut world);
    assert!(before.in_sync, "{before:#?}");
    let (asked_at, whole_at) = (world.now, before.as_of.unwrap());
    sweep(&mut world, |reading| {
        let web = reading.members.iter_mut().find(|read| read.group == grp("below-web")).unwrap();
        web.complete = false;
    });
    world.sweep_target();
    let after = state(&mut world);
    assert!(after.why_not.contains(&WhyNot::Unread) && after.as_of.is_none() && !after.in_sync, "{after:#?}");
    // Not walked at all by a sweep: as old as its last walk.
    world.sweep_source();
    sweep(&mut world, |reading| reading.members.retain(|read| read.group != grp("below-web")));
    world.sweep_target();
    let later = state(&mut world);
    assert!(later.in_sync && later.as_of.unwrap() > whole_at && asked_at < world.now);
    assert!(later.as_of.unwrap().plus(model::Span::from_secs(600)) < world.now, "as of the oldest of all reads");
    // Somebody nests a group that nobody has walked yet.
    world.fill("below-new", &[]);
    world.nest("below-web", "below-new");
    sweep(&mut world, |reading| reading.members.retain(|read| read.group != grp("below-new")));
    assert!(state(&mut world).why_not.contains(&WhyNot::Unread));
}

#[test]
fn accounts_that_were_read_in_part_are_not_known() {
    let mut world = World::converged("", "");
    let before = state(&mut world);
    assert!(before.in_sync, "{before:#?}");
    world.sweep_source();
    world.sweep_target();
    // The next read of both sides finds the second page of the target's accounts missing: as old as the read before.
    let whole_at = world.now;
    sweep(&mut world, |_| {});
    world.tick(600);
    let mut reading = world.target.reading(world.now);
    reading.users.complete = false;
    let mut delta = world.target.observe(&reading);
    world.planner.apply(&delta);
    let older = state(&mut world);
    assert!(older.in_sync && older.as_of.unwrap() < whole_at, "{older:#?}");
    // And a store says that it was tried.
    delta.version += 1;
    (delta.users, delta.groups, delta.members) = (Vec::new(), Vec::new(), Vec::new());
    delta.reads = vec![ReadRow {
        scope: ReadScope::Users,
        complete_began_at: older.as_of,
        ended_at: world.now,
        complete: false,
        rows: 2,
        rows_before: 5,
        digest: None,
    }];
    world.planner.apply(&delta);
    let after = state(&mut world);
    assert!(after.why_not.contains(&WhyNot::Unread) && after.as_of.is_none() && !after.in_sync, "{after:#?}");
}

#[test]
fn drift_that_a_rule_adopts_is_in_sync_and_nothing_else_is() {
    let adopt = "drift = \"adopt\"";
    let mut world = World::converged(adopt, "[guard]\nprotected_people = [\"breakglass@acme.com\"]");
    world.person("breakglass");
    let eng = world.group_named("eng").to_string();
    for account in ["a-eve", "a-breakglass"] {
        world.target.add(&eng, MemberKind::User(acc(account)));
    }
    world.sweep_source();
    world.sweep_target();
    let adopted = state(&mut world);
    assert!(adopted.in_sync && adopted.drifted.is_empty(), "{adopted:#?}");
    // What is under way is no drift.
    let key = (dir("cloud"), world.group_named("eng"), acc("a-eve"));
    world.memory.released.insert(key.clone(), model::EdgeOp::Remove);
    assert_eq!(state(&mut world).drifted, ["eng".to_owned()].into());
    world.memory.released.remove(&key);
    // A group that turned out to be another's differs, whatever the rule says about drift.
    world.target.group(&eng).ownership = Ownership::IdentityProvider;
    world.sweep_target();
    let others = state(&mut world);
    assert!(!others.in_sync && others.drifted == ["eng".to_owned()].into(), "{others:#?}");
}

#[test]
fn a_group_that_is_missing_is_no_adopted_drift() {
    for rule in ["drift = \"adopt\"\ncreate = false", "create = false"] {
        let mut world = World::new(rule, "");
        world.person("ann");
        world.fill("eng", &["ann"]);
        world.sweep_source();
        world.sweep_target();
        let missing = state(&mut world);
        assert!(!missing.in_sync && missing.drifted == ["eng".to_owned()].into(), "{rule}: {missing:#?}");
    }
}

#[test]
fn a_group_that_is_not_ours_yet_is_no_adopted_drift() {
    let mut world = World::new("drift = \"adopt\"\non_conflict = \"skip\"", "[guard]\nprotected_groups = [\"ops*\"]");
    world.person("ann");
    world.fill("ops", &["ann"]);
    world.existing("t", "ops", &[]);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert!(cases(&decision).is_empty() && edges(&decision).is_empty());
    let protected = state(&mut world);
    assert!(!protected.in_sync && protected.drifted == ["ops".to_owned()].into(), "{protected:#?}");
}

#[test]
fn what_the_second_opinion_refuses_is_not_in_sync() {
    let mut world = World::converged("", "");
    let stand = state(&mut world);
    assert!(stand.in_sync);
    let refused = stand.refused();
    assert!(!refused.in_sync && refused.why_not == [WhyNot::Refused].into());
}

/// What we made is read by itself soon after, long before the target's people are listed again.
#[test]
fn an_account_that_is_younger_than_the_list_leaves_the_list_right() {
    let mut world = World::converged("", "");
    let (before, now) = (state(&mut world), world.now);
    assert!(before.in_sync, "{before:#?}");
    let holds = |directory: &str, user: &str| Corroboration {
        fact: Fact::User { directory: dir(directory), user: acc(user) },
        answer: Answer::Holds,
        read_at: now,
    };
    let answer = |world: &World, corroboration: Corroboration| {
        let directory = corroboration.fact.directory().clone();
        let version = world.planner.mirror(&directory).unwrap().version() + 1;
        model::Delta { corroborations: vec![corroboration], ..model::Delta::empty(directory, version) }
    };
    let made = answer(&world, holds("cloud", "just-made"));
    world.planner.apply(&made);
    let after = state(&mut world);
    assert!(after.in_sync && after.as_of == before.as_of, "{after:#?}");
    // A source's list that missed somebody is another matter.
    let missed = answer(&world, holds("workspace", "ann"));
    world.planner.apply(&missed);
    let after = state(&mut world);
    assert!(after.why_not.contains(&WhyNot::Unread) && !after.in_sync, "{after:#?}");
}
