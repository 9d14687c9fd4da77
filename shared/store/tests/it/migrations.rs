use model::Time;
use store::directory::Pass;
use store::{Role, Store};

use crate::world::{World, no_messages, sweep};

/// The number of the last step in `migrations`.
const NEWEST: i64 = 20;

#[tokio::test]
async fn many_processes_may_migrate_at_once_and_rows_stay() {
    let world = World::start().await;
    let directory = world.directory().await;
    let reading = sweep(10, &["ann"], &[("g", &["ann"])]);
    world.watcher.commit_reading(None, &directory, Pass::Sweep, &reading, None, no_messages).await.unwrap();
    let tasks: Vec<_> = (0..4).map(|_| tokio::spawn(store_migrate(world.url.clone()))).collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), NEWEST);
    }
    let delta = world.reconciler.delta_since(&directory, 0, Time(20)).await.unwrap();
    assert_eq!((delta.users.len(), delta.members.len()), (1, 1));

    // An empty database of the same cluster, by several at once: the roles are there already.
    let url = world.postgres.database("second").await.unwrap();
    let tasks: Vec<_> = (0..3).map(|_| tokio::spawn(store_migrate(url.clone()))).collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), NEWEST);
    }
    Store::connect(&url, Some(Role::Writer), 1).await.unwrap();
}

async fn store_migrate(url: String) -> i64 {
    store::migrate(&url).await.unwrap()
}

#[tokio::test]
async fn a_copy_of_another_environment_is_refused() {
    let world = World::start().await;
    store::check_environment(&world.url, "production").await.unwrap();
    store::check_environment(&world.url, "production").await.unwrap();
    let error = store::check_environment(&world.url, "staging").await.unwrap_err();
    assert!(error.to_string().contains("production"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let port = harness::ports::free().unwrap();
    let url = format!("postgresql://nobody@127.0.0.1:{port}/x");
    let error = Store::connect(&url, None, 1).await.unwrap_err();
    assert!(matches!(error, store::StoreError::Unreachable(_)), "{error:?}");
    assert!(error.is_transient());
}
