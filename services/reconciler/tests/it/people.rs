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
