use std::collections::BTreeSet;
use std::time::Duration;

use model::Lane;
use store::directory::Pass;
use store::{Schema, Store};

use crate::world::{World, command, message, no_messages, tenant, turn_with, walk};

/// Claims and marks until `total` different messages went out; the ids in the order they went.
async fn relay(store: Store, total: usize) -> Vec<String> {
    let mut sent = Vec::new();
    while sent.len() < total {
        let claimed = store.claim(Schema::Directory, 7).await.unwrap();
        if claimed.is_empty() {
            tokio::task::yield_now().await;
        }
        let ids: Vec<i64> = claimed.iter().map(|envelope| envelope.id).collect();
        sent.extend(claimed.into_iter().map(|envelope| envelope.message_id));
        store.mark_published(Schema::Directory, &ids).await.unwrap();
    }
    sent
}

#[tokio::test]
async fn i01_no_message_is_missed_whatever_commits_at_once() {
    let world = World::start().await;
    let writers: Vec<_> = (0..6_usize)
        .map(|task| {
            let store = world.watcher.clone();
            tokio::spawn(async move {
                // One directory each, so that their commits overlap.
                let name = model::DirectoryId::new(format!("d{task}")).unwrap();
                let directory = store.directory(&tenant(), &name).await.unwrap();
                for n in 0..40_usize {
                    let read = walk(10 + i64::try_from(n).unwrap(), "g", &["ann"], true);
                    let announce = |_: &store::directory::Committed| vec![message(&format!("d{task}"), "", n)];
                    store.commit_reading(None, &directory, Pass::Targeted, &read, None, announce).await.unwrap();
                }
            })
        })
        .collect();
    let sent = tokio::time::timeout(Duration::from_mins(1), relay(world.watcher.clone(), 240)).await.unwrap();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(sent.iter().collect::<BTreeSet<_>>().len(), 240, "each once");
    assert!(world.watcher.claim(Schema::Directory, 10).await.unwrap().is_empty());
    assert_eq!(world.watcher.outbox_backlog(Schema::Directory).await.unwrap().0, 0);
}

#[tokio::test]
async fn directory_events_go_in_order_and_only_by_the_holder() {
    let world = World::start().await;
    let directory = world.directory().await;
    let lease = world.lease(&world.watcher, "watcher/acme/workspace").await;
    for n in 0..5_usize {
        let read = walk(10 + i64::try_from(n).unwrap(), "g", &["ann"], true);
        let announce = |_: &store::directory::Committed| vec![message("acme/workspace", "", n)];
        world.watcher.commit_reading(Some(&lease), &directory, Pass::Targeted, &read, None, announce).await.unwrap();
    }
    let claim =
        async |limit| world.watcher.claim_in_order(Schema::Directory, &lease, "acme/workspace", limit).await.unwrap();
    let first = claim(2).await;
    let names: Vec<&str> = first.iter().map(|envelope| envelope.message_id.as_str()).collect();
    assert_eq!(names, ["acme/workspace/0", "acme/workspace/1"]);
    assert_eq!(claim(2).await, first, "what was not marked is first again");
    world.watcher.mark_published(Schema::Directory, &[first[0].id, first[1].id]).await.unwrap();
    assert_eq!(claim(9).await.len(), 3);
    world.watcher.release(&lease).await.unwrap();
    let lost = world.watcher.claim_in_order(Schema::Directory, &lease, "acme/workspace", 1).await.unwrap_err();
    assert!(matches!(lost, store::StoreError::LeaseLost { .. }));
}

#[tokio::test]
async fn i15_a_command_that_is_published_and_not_settled_goes_out_again_under_another_id() {
    let world = World::start().await;
    let lease = world.lease(&world.reconciler, "reconciler/acme").await;
    let command = command("g", &["a"], Lane::Normal, 1);
    let turn = turn_with(std::slice::from_ref(&command));
    let first = world.reconciler.commit_turn(&lease, &tenant(), &turn).await.unwrap();
    let store = &world.reconciler;
    assert_eq!(first.len(), 1, "whoever commits a message publishes it");
    assert!(store.claim(Schema::Plan, 10).await.unwrap().is_empty(), "claimed is not free");
    store.mark_published(Schema::Plan, &[first[0].id]).await.unwrap();
    assert_eq!(store.republish_commands(Duration::from_hours(1)).await.unwrap(), 0, "not yet");
    assert_eq!(store.republish_commands(Duration::ZERO).await.unwrap(), 1);
    let second = store.claim(Schema::Plan, 10).await.unwrap();
    assert_eq!(second[0].message_id, format!("{}.2", first[0].message_id));
    assert_eq!(second[0].payload, first[0].payload);
    store.mark_published(Schema::Plan, &[second[0].id]).await.unwrap();

    // Once it is settled it stays in for the time a broker may forget, and goes then.
    let settle = store::plan::Turn { at: model::Time(9), settled: vec![command.id], ..Default::default() };
    store.commit_turn(&lease, &tenant(), &settle).await.unwrap();
    assert_eq!(store.republish_commands(Duration::ZERO).await.unwrap(), 0);
    assert_eq!(store.prune_outbox(Schema::Plan, Duration::from_hours(1)).await.unwrap(), 0);
    assert_eq!(store.prune_outbox(Schema::Plan, Duration::ZERO).await.unwrap(), 1);
}

#[tokio::test]
async fn a_commit_that_fails_sends_nothing() {
    let world = World::start().await;
    let directory = world.directory().await;
    let lease = world.lease(&world.watcher, "watcher/acme/workspace").await;
    world.watcher.release(&lease).await.unwrap();
    let announce = |_: &store::directory::Committed| vec![message("acme/workspace", "", 1)];
    let read = walk(10, "g", &["ann"], true);
    world.watcher.commit_reading(Some(&lease), &directory, Pass::Targeted, &read, None, announce).await.unwrap_err();
    assert!(world.watcher.claim(Schema::Directory, 10).await.unwrap().is_empty());
    let done = world.watcher.commit_reading(None, &directory, Pass::Targeted, &read, None, no_messages).await.unwrap();
    assert_eq!(done.version, 1, "the failed commit took no version");
}
