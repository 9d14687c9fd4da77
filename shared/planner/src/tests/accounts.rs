//! Accounts that are made, kept up to date, taken away and given back.

#![expect(clippy::indexing_slicing, clippy::panic, reason = "tests")]

use model::{AccountChange, CaseKind, Fault, GuardName, PersonStep, RefusalWhy, Step, UserState, WaitWhy};

use crate::testing::{World, acc, cases, dir, edges, only};

const PROVISION: &str = r#"
[[people.provision]]
name = "people"
from = "workspace"
to = "cloud"
create = true
update = true
org_units = ["/Staff/**"]
"#;

fn staffed(rest: &str) -> World {
    let mut world = World::new("", &format!("{PROVISION}{rest}"));
    for name in ["ann", "bob", "cho", "dan"] {
        world.person(name);
        world.source.user(name).org_unit = Some("/Staff/Engineering".to_owned());
        world.source.user(name).display_name = Some(name.to_owned());
        world.target.user(&format!("a-{name}")).display_name = Some(name.to_owned());
    }
    world.fill("eng", &["ann", "bob", "cho", "dan"]);
    world.converge();
    world
}

fn changes(decision: &crate::Decision) -> Vec<&AccountChange> {
    let steps = cases(decision).into_iter().flat_map(|case| &case.steps);
    steps
        .filter_map(|step| match step {
            Step::Account { change, .. } => Some(change),
            _ => None,
        })
        .collect()
}

#[test]
fn a_newcomer_gets_an_account_and_then_memberships() {
    let mut world = staffed("");
    world.person("fay");
    world.target.users.remove(&acc("a-fay"));
    world.source.user("fay").org_unit = Some("/Staff".to_owned());
    world.fill("eng", &["fay"]);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    let [AccountChange::Create { attributes }] = changes(&decision)[..] else { panic!("{:#?}", decision.plan.body) };
    assert_eq!(attributes["userName"], "fay@acme.com");
    world.carry_out(&decision);
    world.converge();
    assert!(world.in_target("eng").contains("a-fay"));
}

#[test]
fn a_leaver_loses_account_and_memberships_in_one_case() {
    let mut world = staffed("");
    world.source.user("ann").state = UserState::Suspended;
    world.sweep_source();
    let decision = world.decide();
    let case = only(&decision);
    assert!(matches!(&case.kind, CaseKind::Leaver { person, .. } if person == &acc("ann")));
    assert_eq!(case.steps.len(), 2);
    assert_eq!(changes(&decision), [&AccountChange::Deactivate]);
    world.carry_out(&decision);
    world.sweep_target();
    world.sweep_source();
    let quiet = world.decide();
    assert!(cases(&quiet).is_empty());
    // Back again: what we took away is given back.
    world.source.user("ann").state = UserState::Active;
    world.sweep_source();
    let decision = world.decide();
    assert_eq!(changes(&decision), [&AccountChange::Restore]);
    world.carry_out(&decision);
    world.converge();
    assert!(world.in_target("eng").contains("a-ann"));
    assert!(world.memory.leaving.is_empty());
}

#[test]
fn what_somebody_else_deactivated_is_not_given_back() {
    let mut world = staffed("");
    world.target.user("a-ann").state = UserState::Deactivated;
    world.sweep_target();
    assert!(changes(&world.decide()).is_empty());
}

#[test]
fn whose_account_is_no_member_is_invited_and_not_restored() {
    let mut world = staffed("");
    // Known to the organization since its domain was claimed, and never a member: nobody took anything away.
    world.target.user("a-ann").state = UserState::Uninvited;
    for members in world.target.members.values_mut() {
        members.remove(&model::MemberKind::User(acc("a-ann")));
    }
    world.sweep_target();
    let decision = world.decide();
    assert!(matches!(changes(&decision)[..], [AccountChange::Create { .. }]), "{:#?}", changes(&decision));
    world.carry_out(&decision);
    world.converge();
    assert!(world.in_target("eng").contains("a-ann"));
    // Who leaves and has no membership has no access that could be taken away.
    world.target.user("a-bob").state = UserState::Uninvited;
    world.source.user("bob").state = UserState::Suspended;
    world.sweep_source();
    world.sweep_target();
    assert!(changes(&world.decide()).is_empty());
}

#[test]
fn a_person_who_leaves_every_scope_is_a_leaver() {
    let mut world = staffed("");
    world.source.user("ann").org_unit = Some("/Alumni".to_owned());
    world.sweep_source();
    let decision = world.decide();
    assert!(matches!(only(&decision).kind, CaseKind::Leaver { .. }));
    assert_eq!(only(&decision).steps.len(), 2);
}

#[test]
fn the_grace_holds_the_account_and_not_the_memberships() {
    let rest = "on_leave = { suspended = \"deactivate\", grace = \"1h\" }";
    let mut world = staffed(rest);
    world.source.user("ann").state = UserState::Suspended;
    world.sweep_source();
    let decision = world.decide();
    assert!(changes(&decision).is_empty());
    assert_eq!(only(&decision).steps.len(), 1);
    assert!(decision.plan.body.targets[0].waits.iter().any(|wait| matches!(wait.why, WaitWhy::Grace { .. })));
    world.carry_out(&decision);
    world.tick(3600);
    world.sweep_source();
    world.sweep_target();
    assert_eq!(changes(&world.decide()), [&AccountChange::Deactivate]);
}

#[test]
fn i04_the_last_administrators_keep_their_accounts() {
    let mut world = staffed("");
    for name in ["a-ann", "a-bob"] {
        world.target.user(name).admin = true;
    }
    world.source.user("ann").state = UserState::Suspended;
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert!(changes(&decision).is_empty());
    let refused = &decision.plan.body.targets[0].refusals;
    assert!(refused.iter().any(|refusal| refusal.why == RefusalWhy::LastAdministrator));
}

#[test]
fn an_address_that_moves_to_another_domain_is_held() {
    let mut world = staffed("");
    world.source.user("ann").email = model::Email::new("ann@elsewhere.org").ok();
    world.sweep_source();
    let decision = world.decide();
    assert_eq!(only(&decision).held[0].guard, GuardName::IdentityChanged);
}

#[test]
fn an_account_with_an_open_command_is_not_decided_again() {
    let mut world = staffed("");
    world.source.user("ann").display_name = Some("Ann B.".to_owned());
    world.sweep_source();
    assert_eq!(changes(&world.decide()).len(), 1);
    world.memory.accounts_open.insert((dir("cloud"), dir("workspace"), acc("ann")));
    assert!(changes(&world.decide()).is_empty());
}

#[test]
fn what_is_refused_about_an_account_keeps_nobody_from_leaving() {
    for step in [PersonStep::Update, PersonStep::Create, PersonStep::Restore, PersonStep::Join] {
        let mut world = staffed("");
        world.fill("ops", &["bob"]);
        world.converge();
        // The new name is refused, or there was no seat.
        let fault = Fault::Person { account: acc("a-ann"), step: Some(step) };
        world.memory.dead_letters.push((dir("cloud"), 7, fault));
        world.fill("ops", &["ann"]);
        world.leave("eng", "ann");
        world.source.user("ann").display_name = Some("Ann B.".to_owned());
        world.converge();
        assert!(!world.in_target("eng").contains("a-ann"), "{step:?} holds back no removal");
        assert_eq!(world.in_target("ops").contains("a-ann"), step != PersonStep::Join, "{step:?}");
        let renamed = world.target.user("a-ann").display_name.as_deref() == Some("Ann B.");
        assert_eq!(renamed, step != PersonStep::Update, "{step:?}");
        world.source.user("ann").state = UserState::Suspended;
        world.sweep_source();
        let decision = world.decide();
        assert!(changes(&decision).contains(&&AccountChange::Deactivate), "{step:?}: {:#?}", decision.plan.body);
        assert_eq!(edges(&decision).len(), usize::from(step != PersonStep::Join), "{step:?}");
    }
}

#[test]
fn a_deactivation_that_was_refused_is_not_asked_for_again() {
    let mut world = staffed("");
    let fault = Fault::Person { account: acc("a-ann"), step: Some(PersonStep::Leave) };
    world.memory.dead_letters.push((dir("cloud"), 7, fault));
    world.source.user("ann").state = UserState::Suspended;
    world.sweep_source();
    let decision = world.decide();
    assert!(changes(&decision).is_empty());
    assert_eq!(edges(&decision), ["-eng a-ann"], "the memberships go all the same");
    assert!(decision.plan.body.targets[0].waits.iter().any(|wait| wait.why == WaitWhy::DeadLetter { id: 7 }));
}

#[test]
fn a_rehire_ends_the_grace_though_an_update_of_theirs_is_held() {
    let mut world = staffed("on_leave = { suspended = \"deactivate\", grace = \"2h\" }");
    let key = (dir("cloud"), dir("workspace"), acc("ann"));
    world.source.user("ann").state = UserState::Suspended;
    world.sweep_source();
    let decision = world.decide();
    world.carry_out(&decision);
    assert!(world.memory.leaving.contains_key(&key));
    // Back, with an address of another domain: that update is held.
    world.source.user("ann").state = UserState::Active;
    world.source.user("ann").email = model::Email::new("ann@elsewhere.org").ok();
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert!(cases(&decision).iter().any(|case| case.held.iter().any(|held| held.guard == GuardName::IdentityChanged)));
    world.carry_out(&decision);
    assert!(!world.memory.leaving.contains_key(&key), "whoever works does not leave");
    world.tick(3600);
    world.source.user("ann").state = UserState::Suspended;
    world.sweep_source();
    world.sweep_target();
    assert!(changes(&world.decide()).iter().all(|change| !matches!(change, AccountChange::Deactivate)));
}
