//! Accounts that are called otherwise from now on, and accounts that were deleted and made again.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use model::{AccountChange, Email, MemberKind, UserState, WaitWhy};

use crate::testing::{World, acc, account_changes, cases, dir, edges, policy_for};

const PRODUCTS: [&str; 4] = [
    "kind = \"jira-dc\"\nurl = \"https://dc.acme.com\"\ntoken = \"file:token\"",
    "kind = \"confluence-dc\"\nurl = \"https://dc.acme.com\"\ntoken = \"file:token\"",
    "kind = \"bitbucket-dc\"\nurl = \"https://dc.acme.com\"\ntoken = \"file:token\"",
    "kind = \"crowd\"\nurl = \"https://dc.acme.com\"\napplication = \"rollcall\"\npassword = \"file:password\"",
];
const SCIM: &str = "kind = \"atlassian-scim\"\ndirectory_id = \"d\"\ntoken = \"file:token\"";
const ENTRY: &str = "[[people.provision]]\nname = \"people\"\nfrom = \"workspace\"\nto = \"cloud\"\n";

/// Three people in one group, all learnt; the ids of accounts are made of a stable key and a name.
fn instance(kind: &str, rule: &str) -> World {
    // Bitbucket deactivates nobody.
    let keep = "on_leave = { suspended = \"keep\", archived = \"keep\", deleted = \"keep\" }\n";
    let entry = if kind.contains("bitbucket") { format!("{ENTRY}{keep}") } else { ENTRY.to_owned() };
    let mut world = World::of(policy_for(kind, rule, &entry));
    for (n, name) in ["ann", "bob", "cho"].into_iter().enumerate() {
        world.person(name);
        rename_account(&mut world, &format!("a-{name}"), &format!("KEY{n}/{name}"));
    }
    world.fill("eng", &["ann", "bob", "cho"]);
    world.converge();
    world
}

/// The same account, with the same memberships, under another id.
fn rename_account(world: &mut World, before: &str, after: &str) {
    let mut user = world.target.users.remove(&acc(before)).expect("an account");
    user.id = acc(after);
    if let Some((_, name)) = after.split_once('/') {
        user.attributes.insert("userName".to_owned(), name.to_owned());
    }
    world.target.users.insert(acc(after), user);
    for members in world.target.members.values_mut() {
        if let Some(role) = members.remove(&MemberKind::User(acc(before))) {
            members.insert(MemberKind::User(acc(after)), role);
        }
    }
}

fn link(world: &World, person: &str) -> String {
    world.memory.people[&(dir("workspace"), acc(person), dir("cloud"))].to_string()
}

#[test]
fn somebody_renamed_at_data_center_stays_who_they_are_and_where_they_are() {
    for kind in PRODUCTS {
        for rule in ["", "members = \"managed\""] {
            let mut world = instance(kind, rule);
            // The address went with the name: only the stable key says who it is.
            rename_account(&mut world, "KEY0/ann", "KEY0/ann.new");
            world.target.user("KEY0/ann.new").email = Email::new("ann.new@elsewhere.org").ok();
            world.source.user("ann").email = Email::new("ann.new@elsewhere.org").ok();
            world.sweep_source();
            world.sweep_target();
            let decision = world.decide();
            assert!(cases(&decision).is_empty(), "{kind}: {:#?}", decision.plan.body);
            world.carry_out(&decision);
            assert_eq!(link(&world, "ann"), "KEY0/ann.new", "{kind}");
            world.sweep_target();
            assert!(world.decide().plan.body.targets.is_empty(), "{kind}");
            // Whoever leaves a group leaves it under whichever name.
            world.leave("eng", "ann");
            world.sweep_source();
            assert_eq!(edges(&world.decide_informed()), ["-eng KEY0/ann.new"], "{kind} {rule}");
        }
    }
}

#[test]
fn who_is_renamed_and_leaves_before_that_was_learnt_loses_everything() {
    let [jira, _, _, crowd] = PRODUCTS;
    for kind in [jira, crowd] {
        let mut world = instance(kind, "");
        rename_account(&mut world, "KEY0/ann", "KEY0/ann.new");
        world.source.user("ann").state = UserState::Suspended;
        world.sweep_source();
        world.sweep_target();
        let decision = world.decide();
        assert_eq!(edges(&decision), ["-eng KEY0/ann.new"], "{kind}");
        assert_eq!(account_changes(&mut world), [("ann".to_owned(), AccountChange::Deactivate)], "{kind}");
    }
}

#[test]
fn a_name_that_only_a_group_tells_so_far_takes_nobody_out_and_adds_nobody() {
    let [jira, ..] = PRODUCTS;
    let mut world = instance(jira, "");
    rename_account(&mut world, "KEY0/ann", "KEY0/ann.new");
    // The members are read after the rename, the users were read before.
    let mut reading = world.target.reading(world.now);
    reading.users.seen.clear();
    reading.users.complete = false;
    let delta = world.target.observe(&reading);
    world.planner.apply(&delta);
    world.tick(5);
    let decision = world.decide();
    assert!(cases(&decision).is_empty(), "{:#?}", decision.plan.body);
    // The users, and nothing else, were read again: the members are still those under the old name.
    world.sweep_target();
    let decision = world.decide();
    assert!(cases(&decision).is_empty(), "{:#?}", decision.plan.body);
    world.carry_out(&decision);
    assert_eq!(link(&world, "ann"), "KEY0/ann.new");
}

#[test]
fn the_old_account_gone_and_the_new_one_not_seen_yet_is_a_wait() {
    let [jira, ..] = PRODUCTS;
    let mut world = instance(jira, "");
    rename_account(&mut world, "KEY0/ann", "KEY0/ann.new");
    let account = world.target.users.remove(&acc("KEY0/ann.new"));
    world.sweep_target();
    let decision = world.decide();
    assert!(cases(&decision).is_empty(), "{:#?}", decision.plan.body);
    world.target.users.extend(account.map(|account| (account.id.clone(), account)));
    world.sweep_target();
    let decision = world.decide();
    assert!(cases(&decision).is_empty(), "{:#?}", decision.plan.body);
    world.carry_out(&decision);
    assert_eq!(link(&world, "ann"), "KEY0/ann.new");
}

#[test]
fn a_record_that_is_deleted_and_made_again_is_the_same_person() {
    let mut world = World::of(policy_for(SCIM, "", ENTRY));
    for name in ["ann", "bob", "cho"] {
        world.person(name);
        world.target.user(&format!("a-{name}")).external_id = Some(name.to_owned());
    }
    world.fill("eng", &["ann", "bob", "cho"]);
    world.converge();
    rename_account(&mut world, "a-ann", "b-ann");
    world.target.user("b-ann").email = Email::new("somebody@acme.com").ok();
    world.source.user("ann").email = Email::new("somebody@acme.com").ok();
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert!(cases(&decision).is_empty(), "{:#?}", decision.plan.body);
    world.carry_out(&decision);
    assert_eq!(link(&world, "ann"), "b-ann");
    world.source.user("ann").state = UserState::Suspended;
    world.sweep_source();
    assert_eq!(account_changes(&mut world), [("ann".to_owned(), AccountChange::Deactivate)]);
}

#[test]
fn an_account_made_anew_under_the_address_is_found_by_it_and_a_doubt_takes_nobody_out() {
    let [jira, ..] = PRODUCTS;
    let mut world = instance(jira, "");
    rename_account(&mut world, "KEY0/ann", "KEY9/ann");
    world.sweep_target();
    let decision = world.decide();
    assert!(cases(&decision).is_empty(), "{:#?}", decision.plan.body);
    world.carry_out(&decision);
    assert_eq!(link(&world, "ann"), "KEY9/ann");
    // Two accounts with the address of somebody whose own is gone: nobody can say which, so neither is taken out.
    rename_account(&mut world, "KEY9/ann", "KEY10/ann");
    let twin = model::User::new(acc("KEY11/ann2"), Email::new("ann@acme.com").ok());
    world.target.users.insert(twin.id.clone(), twin);
    world.sweep_target();
    let decision = world.decide();
    assert!(cases(&decision).is_empty(), "{:#?}", decision.plan.body);
    let waits = decision.plan.body.targets.iter().flat_map(|target| &target.waits);
    assert!(waits.clone().any(|wait| wait.person == Some(acc("ann")) && wait.why == WaitWhy::AccountUnusable));
}

#[test]
fn somebody_deleted_at_the_source_leaves_no_claim_to_an_account_that_has_the_address_now() {
    let [jira, ..] = PRODUCTS;
    let mut world = instance(jira, "");
    world.source.users.remove(&acc("ann"));
    world.source.members.values_mut().for_each(|members| {
        members.remove(&MemberKind::User(acc("ann")));
    });
    rename_account(&mut world, "KEY0/ann", "KEY9/ann");
    world.sweep_source();
    world.sweep_target();
    world.decide_informed();
    assert!(account_changes(&mut world).is_empty(), "the account is another's: of the address nothing is known");
}
