//! Addresses that move between accounts of a directory in which each has one only once.

#![expect(clippy::indexing_slicing, clippy::panic, reason = "tests")]

use model::{AccountChange, Email, WaitWhy};

use crate::testing::{World, acc, account_changes, only, policy_for};

/// A provisioning directory with ann, bob and cho, who have accounts named by their addresses.
fn world() -> World {
    let kind = "kind = \"atlassian-scim\"\ndirectory_id = \"d\"\ntoken = \"file:token\"";
    let entry = "[[people.provision]]\nname = \"people\"\nfrom = \"workspace\"\nto = \"cloud\"\n";
    let mut world = World::of(policy_for(kind, "", entry));
    for name in ["ann", "bob", "cho"] {
        world.person(name);
        let account = world.target.user(&format!("a-{name}"));
        account.attributes.insert("userName".to_owned(), format!("{name}@acme.com"));
    }
    world
}

fn swept(world: &mut World) {
    world.sweep_source();
    world.sweep_target();
}

/// Gives these people these addresses at the source and carries out what is decided, decision by decision, as a directory
/// that refuses an address which another account has. The updates of each round.
fn addressed(world: &mut World, wanted: &[(&str, &str)]) -> Vec<Vec<String>> {
    for (person, address) in wanted {
        world.source.user(person).email = Email::new(address).ok();
    }
    let mut rounds = Vec::new();
    loop {
        swept(world);
        let changes = account_changes(world);
        if changes.is_empty() {
            return rounds;
        }
        let decision = world.decide();
        let mut round = Vec::new();
        for (person, change) in changes {
            let AccountChange::Update { attributes } = change else { panic!("{change:?}") };
            let address = &attributes["emails[primary].value"];
            assert_eq!(&attributes["userName"], address, "the user name follows");
            let account = acc(&format!("a-{person}"));
            let mut others = world.target.users.values().filter(|user| user.id != account);
            let taken = others.any(|user| user.email.as_ref().is_some_and(|email| email.as_written() == address));
            assert!(!taken, "{person} gets an address that is taken: {address}");
            round.push(format!("{person} {}", address.split('@').next().unwrap_or_default()));
        }
        world.carry_out(&decision);
        rounds.push(round);
        assert!(rounds.len() < 9, "{rounds:?}");
    }
}

#[test]
fn who_holds_an_address_moves_before_whoever_gets_it() {
    let mut world = world();
    world.fill("eng", &["ann", "bob", "cho"]);
    world.converge();
    // A chain: each gets the address of the next.
    let chain = [("ann", "bob@acme.com"), ("bob", "cho@acme.com"), ("cho", "cho.new@acme.com")];
    assert_eq!(addressed(&mut world, &chain), [["cho cho.new"], ["bob cho"], ["ann bob"]]);
    assert_eq!(world.in_target("eng").len(), 3);
}

#[test]
fn swapped_addresses_come_to_rest() {
    for people in [&["ann", "bob"][..], &["ann", "bob", "cho"][..]] {
        let mut world = world();
        world.fill("eng", &["ann", "bob", "cho"]);
        world.converge();
        let next = people.iter().cycle().skip(1).map(|name| format!("{name}@acme.com"));
        let addresses: Vec<String> = next.take(people.len()).collect();
        let wanted: Vec<(&str, &str)> = people.iter().copied().zip(addresses.iter().map(String::as_str)).collect();
        let rounds = addressed(&mut world, &wanted);
        assert_eq!(rounds.len(), people.len() + 1, "{rounds:?}");
        assert_eq!(rounds[0], ["ann rollcall-moves-aann"]);
        for (person, address) in wanted {
            let email = world.target.user(&format!("a-{person}")).email.clone();
            assert_eq!(email, Email::new(address).ok(), "{person}");
        }
        assert_eq!(world.in_target("eng").len(), 3);
    }
}

#[test]
fn a_circle_over_domains_is_held_before_anybody_steps_aside() {
    let mut world = world();
    world.target.user("a-bob").email = Email::new("bob@acme.org").ok();
    world.target.user("a-bob").attributes.insert("userName".to_owned(), "bob@acme.org".to_owned());
    world.source.user("bob").email = Email::new("bob@acme.org").ok();
    world.fill("eng", &["ann", "bob", "cho"]);
    world.converge();
    world.source.user("ann").email = Email::new("bob@acme.org").ok();
    world.source.user("bob").email = Email::new("ann@acme.com").ok();
    swept(&mut world);
    let decision = world.decide();
    assert!(only(&decision).held.iter().any(|held| held.guard == model::GuardName::IdentityChanged));
    let waits = decision.plan.body.targets.iter().flat_map(|target| &target.waits);
    assert!(waits.clone().any(|wait| wait.person == Some(acc("bob")) && wait.why == WaitWhy::AddressTaken));
}
