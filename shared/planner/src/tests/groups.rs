//! How source groups become target groups: roles, nesting, unions, one group for several.

#![expect(clippy::indexing_slicing, reason = "tests")]

use model::{MemberKind, Role};

use crate::testing::{World, acc, edges, grp};

/// `eng` holds ann as owner, bob as manager, cho as member, and the group `web`, which holds dan as owner.
fn company(rule: &str) -> World {
    let mut world = World::new(rule, "");
    for name in ["ann", "bob", "cho", "dan"] {
        world.person(name);
    }
    world.fill("eng", &["ann", "bob", "cho"]);
    world.fill("web", &["dan"]);
    world.nest("eng", "web");
    let mut role = |group: &str, person: &str, role: Role| {
        world.source.members.entry(grp(group)).or_default().insert(MemberKind::User(acc(person)), role);
    };
    role("eng", "ann", Role::Owner);
    role("eng", "bob", Role::Manager);
    role("web", "dan", Role::Owner);
    world.sweep_source();
    world.sweep_target();
    world
}

fn of(world: &mut World, group: &str) -> Vec<String> {
    let prefix = format!("+{group} a-");
    edges(&world.decide()).iter().filter_map(|edge| edge.strip_prefix(&prefix)).map(str::to_owned).collect()
}

#[test]
fn nested_groups_are_opened_or_left_closed() {
    assert_eq!(of(&mut company("nested = \"flatten\""), "eng"), ["ann", "bob", "cho", "dan"]);
    assert_eq!(of(&mut company("nested = \"direct\""), "eng"), ["ann", "bob", "cho"]);
}

#[test]
fn only_members_in_the_roles_of_the_rule_count() {
    assert_eq!(of(&mut company("roles = [\"OWNER\"]"), "eng"), ["ann"]);
    assert_eq!(of(&mut company("roles = [\"OWNER\", \"MANAGER\"]"), "eng"), ["ann", "bob"]);
    // The nested group is itself a member; whoever is in it has that role in `eng`.
    assert_eq!(of(&mut company("roles = [\"MEMBER\"]"), "eng"), ["cho", "dan"]);
}

#[test]
fn a_role_that_is_lost_is_a_membership_that_is_lost() {
    let mut world = company("roles = [\"OWNER\"]");
    world.converge();
    world.source.members.entry(grp("eng")).or_default().insert(MemberKind::User(acc("ann")), Role::Member);
    world.sweep_source();
    assert_eq!(edges(&world.decide_informed()), ["-eng a-ann"]);
}

#[test]
fn one_source_group_fills_every_target_group_that_names_it() {
    let second = "create = true\n[[sync]]\nname = \"second\"\nfrom = \"workspace\"\nto = \"cloud\"\n\
                  groups = [\"web@acme.com\"]\ninto = \"all of the web\"\n\
                  [[sync]]\nname = \"third\"\nfrom = \"workspace\"\nto = \"cloud\"\ngroups = [\"*eng@acme.com\"]\ninto = \"everything\"";
    let mut world = company(second);
    assert_eq!(of(&mut world, "web"), ["dan"]);
    assert_eq!(of(&mut world, "all of the web"), ["dan"]);
    assert_eq!(of(&mut world, "everything"), ["ann", "bob", "cho", "dan"]);
}

#[test]
fn a_rule_that_is_switched_off_decides_nothing_and_removes_nobody() {
    let policy = |more: &str| crate::testing::policy(&format!("on_conflict = \"adopt\"{more}"), "");
    let mut world = World::of(policy(""));
    for name in ["ann", "bob", "cho"] {
        world.person(name);
    }
    world.fill("eng", &["ann", "bob"]);
    world.fill("ops", &["cho"]);
    world.converge();
    world.planner.set_policy(policy("\nenabled = false"));
    world.fill("eng", &["cho"]);
    world.leave("eng", "ann");
    world.source.user("bob").state = model::UserState::Suspended;
    world.fill("new", &["cho"]);
    world.sweep_source();
    world.source.groups.remove(&grp("ops"));
    world.sweep_source();
    let decision = world.decide_informed();
    assert!(decision.plan.body.targets.is_empty(), "{:#?}", decision.plan.body);
    let state = world.planner.sync_state(&world.memory, &decision)[&crate::testing::dir("cloud")].clone();
    assert!(state.drifted.is_empty(), "{state:?}");
    let now = world.now;
    let explained = world.planner.explain(&world.memory, now, "cho", Some("eng"));
    assert_eq!(explained.persons[0].groups[0].missing, Some(crate::explain::Missing::SwitchedOff));
    // On again: what came meanwhile is decided then.
    world.planner.set_policy(policy("\nenabled = true"));
    assert!(edges(&world.decide_informed()).contains(&"+eng a-cho".to_owned()));
}
