//! However many administrators leave at once, and by whichever door, enough of them stay.

use std::collections::BTreeSet;

use model::{AccountChange, Plan, PlanBody, RefusalWhy, Step, UserState};

use crate::{
    Decision,
    check::{Violation, check},
    testing::{Side, World, acc, cases, dir, policy_for},
};

const ENTRY: &str = "[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\n";
const MANY: &str = "[guard]\nper_day = { deactivations = { count = 50 } }\n";
const ORG: &str = "kind = \"atlassian-org\"\norg = \"o\"\ndirectory = \"d\"\napi_key = \"file:key\"";
const SCIM: &str = "kind = \"atlassian-scim\"\ndirectory_id = \"d\"\ntoken = \"file:token\"";
const JIRA: &str = "kind = \"jira-dc\"\nurl = \"https://jira.acme.com\"\ntoken = \"file:token\"";

/// Five people with accounts at a target of this kind.
fn world(kind: &str, rest: &str) -> World {
    let mut world = World::of(policy_for(kind, "", &format!("{ENTRY}{MANY}{rest}")));
    for name in ["ann", "bob", "cho", "dan", "eve"] {
        world.person(name);
    }
    world
}

fn suspend(world: &mut World, names: &[&str]) {
    for name in names {
        world.source.user(name).state = UserState::Suspended;
    }
}

/// Whose account goes, and whose is refused to go as the last administrators'.
fn outcome(decision: &Decision) -> (BTreeSet<String>, BTreeSet<String>) {
    let account = |step: &Step| match step {
        Step::Account { account, change: AccountChange::Deactivate, .. } => Some(account.as_ref()?.to_string()),
        _ => None,
    };
    let goes = cases(decision).into_iter().flat_map(|case| &case.steps).filter_map(account).collect();
    let refusals = decision.plan.body.targets.iter().flat_map(|target| &target.refusals);
    let last = refusals.filter(|refusal| refusal.why == RefusalWhy::LastAdministrator);
    (goes, last.filter_map(|refusal| account(&refusal.step)).collect())
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn i04_of_three_administrators_who_leave_together_two_keep_their_accounts() {
    let mut world = world(ORG, "");
    for name in ["a-ann", "a-bob", "a-cho"] {
        world.target.user(name).admin = true;
    }
    suspend(&mut world, &["cho", "bob", "ann", "dan"]);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert_eq!(outcome(&decision), (names(&["a-ann", "a-dan"]), names(&["a-bob", "a-cho"])));
}

#[test]
fn i04_who_is_on_the_way_out_is_no_administrator_who_stays() {
    let mut world = world(ORG, "");
    for name in ["a-ann", "a-bob", "a-cho"] {
        world.target.user(name).admin = true;
    }
    suspend(&mut world, &["cho"]);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert_eq!(outcome(&decision), (names(&["a-cho"]), names(&[])));
    world.memory.learn(&decision);
    // The next one leaves before the first has been read back: released, or decided but not carried out.
    suspend(&mut world, &["ann"]);
    world.sweep_source();
    assert_eq!(outcome(&world.decide()), (names(&["a-cho"]), names(&["a-ann"])), "the first to go goes first");
    world.memory.accounts_open.insert((dir("cloud"), dir("workspace"), acc("cho")));
    assert_eq!(outcome(&world.decide()), (names(&[]), names(&["a-ann"])));
}

#[test]
fn i04_an_administrator_of_the_organization_is_one_in_its_provisioning_directory() {
    let mut world = world(SCIM, &format!("[directory.org]\n{ORG}\n"));
    let mut org = Side::new("org");
    for name in ["ann", "bob", "cho"] {
        let mut user = model::User::new(acc(&format!("o-{name}")), world.source.user(name).email.clone());
        user.admin = true;
        org.users.insert(user.id.clone(), user);
    }
    let seen = |world: &mut World, org: &mut Side| {
        let delta = org.observe(&org.reading(world.now));
        world.planner.apply(&delta);
    };
    seen(&mut world, &mut org);
    suspend(&mut world, &["ann", "bob", "dan"]);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert_eq!(outcome(&decision), (names(&["a-ann", "a-dan"]), names(&["a-bob"])));
    // What the provisioning directory has deactivated does not work, though the organization was not read again.
    world.carry_out(&decision);
    world.sweep_target();
    suspend(&mut world, &["cho"]);
    world.sweep_source();
    assert_eq!(outcome(&world.decide()), (names(&[]), names(&["a-bob", "a-cho"])));
}

#[test]
fn i04_elsewhere_each_group_of_administrators_is_counted() {
    let mut world = world(JIRA, "");
    world.existing("t", "jira-administrators", &["a-ann", "a-bob", "a-cho"]);
    world.target.group("t").grants_admin = true;
    suspend(&mut world, &["ann", "bob", "eve"]);
    world.sweep_source();
    world.sweep_target();
    assert_eq!(outcome(&world.decide()), (names(&["a-ann", "a-eve"]), names(&["a-bob"])));
    world.target.group("t").grants_admin = false;
    world.sweep_target();
    assert_eq!(outcome(&world.decide()).1, names(&[]), "the group gives nothing any more");
}

#[test]
fn i04_the_second_opinion_counts_the_administrators_again() {
    for (kind, of_group) in [(ORG, false), (JIRA, true)] {
        let mut world = world(kind, "");
        suspend(&mut world, &["ann", "bob"]);
        world.sweep_source();
        world.sweep_target();
        let decision = world.decide();
        assert_eq!(outcome(&decision).0, names(&["a-ann", "a-bob"]));
        // The same plan, held against a target where all but one of those who administer would go.
        world.existing("t", "jira-administrators", &["a-ann", "a-bob", "a-cho"]);
        world.target.group("t").grants_admin = of_group;
        for name in ["a-ann", "a-bob", "a-cho"] {
            world.target.user(name).admin = !of_group;
        }
        world.sweep_target();
        let violation = Violation::LastAdministrator { target: dir("cloud") };
        let found = check(&decision.plan, &world.planner, &world.memory);
        assert_eq!(found, Err(vec![violation]), "{kind}");
        // One of them alone may go.
        let mut plan: Plan = decision.plan.clone();
        let PlanBody { targets, .. } = &mut plan.body;
        for target in targets.iter_mut() {
            target.cases.truncate(1);
        }
        assert_eq!(check(&plan, &world.planner, &world.memory), Ok(()));
        // Unless another one is on the way out.
        let key = (dir("workspace"), acc("cho"), dir("cloud"));
        world.memory.people.insert(key, acc("a-cho"));
        world.memory.accounts_open.insert((dir("cloud"), dir("workspace"), acc("cho")));
        assert!(check(&plan, &world.planner, &world.memory).is_err());
    }
}
