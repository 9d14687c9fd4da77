use model::{AccountChange, CommandBody, StepResult};

use crate::world::World;

/// A provisioning directory beside the source.
const PROVISION: &str = r#"
[directory.idp]
kind = "atlassian-scim"
directory_id = "s"
token = "file:token"
lag = "0s"
[[people.provision]]
from = "workspace"
to = "idp"
create = true
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_made_once_linked_and_asked_for_again_only_after_it_was_read_back() {
    let mut world = World::start(PROVISION).await;
    world.hire(&["ann"]);
    world.sweep_source().await;
    world.sweep_accounts(&[]).await;
    let running = world.reconcile("0.1");
    world.counts("select count(*) from plan.command where target = 'idp'", 1).await;
    let commands = world.waiting_at("idp").await;
    assert!(matches!(&commands[0].body, CommandBody::Account { change: AccountChange::Create { .. }, .. }));
    world.report_account(&commands[0], "s-ann").await;
    world.counts("select count(*) from plan.person_link where target = 'idp' and account = 's-ann'", 1).await;
    // The mirror does not show the account yet: it is asked for by itself, and not made again.
    world.counts("select count(*) from plan.need where directory = 'idp' and fact = 'user/s-ann'", 1).await;
    world.sweep_source().await;
    world.taken_in().await;
    assert_eq!(world.count("select count(*) from plan.command where target = 'idp'").await, 1);
    world.sweep_accounts(&["ann"]).await;
    world.counts("select count(*) from plan.account_open", 0).await;
    world.counts("select count(*) from plan.need", 0).await;
    world.sweep_source().await;
    world.taken_in().await;
    assert_eq!(world.count("select count(*) from plan.command where target = 'idp'").await, 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivation_that_was_not_tried_counts_once() {
    let mut world = World::start(PROVISION).await;
    world.hire(&["ann", "ben"]);
    world.sweep_source().await;
    world.sweep_accounts(&["ann", "ben"]).await;
    let running = world.reconcile("0.1");
    world.counts("select count(*) from plan.person_link where target = 'idp'", 2).await;
    world.people.remove("ben");
    world.sweep_source().await;
    let open = "select count(*) from plan.command where target = 'idp' and settled_at is null";
    for _ in 0..3 {
        while world.waiting_at("idp").await.is_empty() {
            world.answer().await;
        }
        let commands = world.waiting_at("idp").await;
        assert!(matches!(&commands[0].body, CommandBody::Account { change: AccountChange::Deactivate, .. }));
        world.report(&commands[0], StepResult::NotTried, None).await;
        let settled =
            format!("select count(*) from plan.command where id = '{}' and settled_at is null", commands[0].id);
        world.counts(&settled, 0).await;
    }
    world.counts(open, 1).await;
    let counted = "select coalesce(sum(count), 0)::bigint from plan.window_entry where kind = 'deactivations'";
    assert_eq!(world.count(counted).await, 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_waits_in_a_queue_is_asked_for_once_and_remembered() {
    let entry = "[[people.provision]]\nfrom = \"workspace\"\nto = \"cloud\"\non_leave = { deleted = \"remove\" }\n";
    let mut world = World::start(entry).await;
    world.hire(&["ann", "ben", "cid"]);
    world.sweep_source().await;
    world.sweep_target().await;
    let mut running = world.reconcile("0.1");
    world.counts("select count(*) from plan.person_link", 3).await;
    world.people.remove("ben");
    world.sweep_source().await;
    while world.waiting().await.is_empty() {
        world.answer().await;
    }
    let commands = world.waiting().await;
    assert!(matches!(&commands[0].body, CommandBody::Account { change: AccountChange::Remove, .. }));
    world.report(&commands[0], StepResult::Done, None).await;
    world.counts("select count(*) from plan.leaving where removed_at is not null", 1).await;
    // It is read back, and the list of the target still has the member: that is no reason to ask again.
    for round in 0..2 {
        while world.count("select count(*) from plan.account_open").await > 0 {
            world.answer().await;
        }
        world.sweep_source().await;
        world.taken_in().await;
        assert!(world.waiting().await.is_empty(), "round {round}");
        let waiting = "select count(*) from plan.sync_state where body like '%\"waiting\"%'";
        world.counts(waiting, 1).await;
        running.stop().await;
        running = world.reconcile("0.1");
    }
    assert_eq!(world.count("select count(*) from plan.window_entry where person = 'p-ben'").await, 1);
    world.sweep_target().await;
    world.counts("select count(*) from plan.sync_state where body like '%\"in_sync\":true%'", 1).await;
    assert_eq!(world.count("select count(*) from plan.command").await, 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grace_of_two_months_ends_though_nobody_remembers_when_it_began() {
    const DAY: i64 = 24 * 3600 * 1_000_000;
    let entry = PROVISION.replace("create = true", "on_leave = { deleted = \"deactivate\", grace = \"60d\" }");
    let mut world = World::start(&entry).await;
    let file = world.policy.with_file_name("clock");
    let clock = file.display().to_string();
    let began = runtime::clock::now_micros();
    runtime::clock::set_shared(&file, began).unwrap();
    world.hire(&["ann", "ben"]);
    world.sweep_source().await;
    world.sweep_accounts(&["ann", "ben"]).await;
    let running = world.reconcile_with("0.1", &["--clock-file", &clock]);
    world.counts("select count(*) from plan.person_link where target = 'idp'", 2).await;
    world.people.remove("ben");
    world.sweep_source().await;
    world.counts("select count(*) from plan.leaving", 1).await;
    world.taken_in().await;
    running.stop().await;
    // What is read meanwhile says nothing new of somebody who is gone.
    runtime::clock::set_shared(&file, began + 61 * DAY).unwrap();
    world.pass(61 * DAY);
    world.sweep_source().await;
    world.sweep_accounts(&["ann", "ben"]).await;
    let running = world.reconcile_with("0.1", &["--clock-file", &clock]);
    let deadline = harness::Deadline::after(crate::world::WITHIN);
    while world.waiting_at("idp").await.is_empty() {
        assert!(!deadline.is_over(), "ben keeps the account");
        world.answer().await;
    }
    let commands = world.waiting_at("idp").await;
    assert!(matches!(&commands[0].body, CommandBody::Account { change: AccountChange::Deactivate, .. }));
    running.stop().await;
}
