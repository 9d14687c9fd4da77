//! Whose account is whose, and when nobody can say.

#![expect(clippy::indexing_slicing, reason = "tests")]

use model::{Email, MemberKind, WaitWhy};

use crate::testing::{World, acc, cases, dir, edges};

fn waits(decision: &crate::Decision) -> Vec<(String, WaitWhy)> {
    let targets = decision.plan.body.targets.iter();
    targets
        .flat_map(|target| target.waits.iter())
        .filter_map(|wait| Some((wait.person.as_ref()?.to_string(), wait.why.clone())))
        .collect()
}

#[test]
fn a_person_without_an_account_waits_and_stops_nobody() {
    let mut world = World::converged("", "");
    world.person("fay");
    world.target.users.remove(&acc("a-fay"));
    world.fill("eng", &["fay", "eve"]);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert_eq!(edges(&decision), ["+eng a-eve"]);
    assert_eq!(waits(&decision), [("fay".to_owned(), WaitWhy::NoAccount)]);
}

#[test]
fn two_accounts_with_one_address_are_a_doubt_and_neither_is_removed() {
    let mut world = World::new("on_conflict = \"adopt\"", "");
    world.person("ann");
    world.person("bob");
    let mut twin = model::User::new(acc("a-ann-2"), Email::new("ann@acme.com").ok());
    twin.display_name = Some("Ann".to_owned());
    world.target.users.insert(acc("a-ann-2"), twin);
    world.fill("eng", &["ann", "bob"]);
    world.existing("t", "eng", &["a-ann"]);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert_eq!(edges(&decision), ["+eng a-bob"]);
    assert_eq!(waits(&decision), [("ann".to_owned(), WaitWhy::Doubt)]);
}

#[test]
fn a_recorded_link_outlives_a_new_address_on_either_side() {
    let mut world = World::converged("", "");
    world.source.user("ann").email = Email::new("anna@acme.com").ok();
    world.target.user("a-ann").email = Email::new("someone@acme.com").ok();
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert!(decision.plan.body.targets.is_empty(), "{:#?}", decision.plan.body);
}

#[test]
fn somebody_else_who_takes_over_an_address_does_not_take_over_the_account() {
    let mut world = World::converged("", "");
    // ann was deleted; a new person got her address.
    world.source.users.remove(&acc("ann"));
    world.source.members.values_mut().for_each(|members| {
        members.remove(&MemberKind::User(acc("ann")));
    });
    let newcomer = model::User::new(acc("ann-2"), Email::new("ann@acme.com").ok());
    world.source.users.insert(acc("ann-2"), newcomer);
    world.fill("eng", &["ann-2"]);
    world.sweep_source();
    let decision = world.decide_informed();
    assert_eq!(edges(&decision), ["-all a-ann", "-eng a-ann"]);
    assert!(waits(&decision).contains(&("ann-2".to_owned(), WaitWhy::Doubt)));
}

#[test]
fn a_homoglyph_never_finds_an_account() {
    let mut world = World::converged("", "");
    let fake = model::User::new(acc("fake"), Email::new("\u{430}nn@acme.com").ok());
    world.source.users.insert(acc("fake"), fake);
    world.fill("ops", &["fake"]);
    world.sweep_source();
    let decision = world.decide();
    assert!(cases(&decision).is_empty());
    assert_eq!(waits(&decision), [("fake".to_owned(), WaitWhy::Doubt)]);
}

#[test]
fn an_unlisted_person_of_our_own_domain_is_a_doubt() {
    let mut world = World::converged("", "");
    world.person("ghost");
    world.source.user("ghost").standing = model::Standing::Unlisted;
    world.fill("ops", &["ghost"]);
    world.sweep_source();
    world.sweep_target();
    assert_eq!(waits(&world.decide()), [("ghost".to_owned(), WaitWhy::Doubt)]);
}

#[test]
fn an_alias_of_our_own_domain_links_unless_it_is_somebody_elses_address() {
    let mut world = World::new("", "");
    world.person("ann");
    world.source.user("ann").email = Email::new("ann.new@acme.com").ok();
    world.source.user("ann").aliases = Email::new("ann@acme.com").into_iter().collect();
    world.fill("eng", &["ann"]);
    world.converge();
    assert_eq!(world.memory.people[&(dir("workspace"), acc("ann"), dir("cloud"))], acc("a-ann"));
    let mut world = World::new("", "");
    world.person("ann");
    world.person("bob");
    world.target.users.remove(&acc("a-bob"));
    world.source.user("bob").aliases = Email::new("ann@acme.com").into_iter().collect();
    world.fill("eng", &["bob"]);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert_eq!(waits(&decision), [("bob".to_owned(), WaitWhy::Doubt)], "ann has the better claim");
}

#[test]
fn an_outsider_is_matched_or_skipped_as_the_rule_says() {
    let with = |rule: &str| {
        let mut world = World::converged(rule, "");
        world.outsider("zoe");
        world.fill("eng", &["zoe"]);
        world.sweep_source();
        world.sweep_target();
        edges(&world.decide())
    };
    assert_eq!(with("external = \"match\""), ["+all a-zoe", "+eng a-zoe"]);
    assert!(with("external = \"skip\"").is_empty());
}

#[test]
fn a_deactivated_account_waits_and_is_not_removed() {
    let mut world = World::converged("", "");
    world.target.user("a-ann").state = model::UserState::Deactivated;
    world.sweep_target();
    let decision = world.decide();
    assert!(cases(&decision).is_empty());
    assert_eq!(waits(&decision), [("ann".to_owned(), WaitWhy::AccountUnusable)]);
}
