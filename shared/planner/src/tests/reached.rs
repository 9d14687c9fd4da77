//! What a decision was about, for whoever tells the story of a change.

use std::collections::BTreeSet;

use crate::{
    Object,
    testing::{World, acc, dir, edges},
    tests::people,
};

fn group(key: &str) -> Object {
    Object::Group { target: dir("cloud"), key: key.to_owned() }
}

#[test]
fn a_change_reaches_the_groups_that_it_is_about_and_no_others() {
    let mut world = World::new("", "");
    for name in ["ann", "bob"] {
        world.person(name);
    }
    world.fill("inner", &["ann"]);
    world.fill("outer", &["ann"]);
    world.fill("other", &["ann"]);
    world.nest("outer", "inner");
    world.converge();
    assert!(world.planner.take_reached().is_empty(), "nobody asked");
    world.planner.note_reached();
    world.fill("inner", &["ann", "bob"]);
    world.sweep_source();
    let decision = world.decide();
    let reached: BTreeSet<Object> = [group("inner"), group("outer")].into();
    assert_eq!(world.planner.take_reached(), reached);
    assert!(reached.iter().all(|object| !world.planner.is_quiet(object)));
    assert!(world.planner.is_quiet(&group("other")) && world.planner.is_quiet(&group("unheard-of")));
    assert_eq!(edges(&decision).len(), 2);
    world.decide();
    assert!(world.planner.take_reached().is_empty(), "nothing has changed since");
    world.converge();
    assert!(reached.iter().all(|object| world.planner.is_quiet(object)));
}

#[test]
fn a_newcomer_is_reached_and_is_quiet_once_the_account_is_there() {
    let mut world = people::world(people::ORG, "external = \"create\"\n");
    people::swept(&mut world);
    world.converge();
    world.planner.note_reached();
    people::newcomer(&mut world, "fay", "fay@acme.com");
    people::swept(&mut world);
    world.decide();
    let account =
        |person: &str| Object::Account { target: dir("cloud"), source: dir("workspace"), person: acc(person) };
    let reached = world.planner.take_reached();
    assert!(reached.contains(&account("fay")) && !reached.contains(&account("ann")), "{reached:?}");
    assert!(!world.planner.is_quiet(&account("fay")) && world.planner.is_quiet(&account("ann")));
    world.converge();
    assert!(world.planner.is_quiet(&account("fay")));
}
