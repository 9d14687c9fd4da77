use std::time::Duration;

use store::StoreError;
use store::directory::Pass;

use crate::world::{LEASE, World, no_messages, sweep};

#[tokio::test]
async fn i08_a_holder_that_was_replaced_commits_nothing() {
    let world = World::start().await;
    let directory = world.directory().await;
    let store = &world.watcher;
    let old = store.acquire("watcher/acme/workspace", "old", LEASE, Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(store.acquire("watcher/acme/workspace", "new", LEASE, Duration::ZERO).await.unwrap(), None);
    assert!(store.renew(&old, LEASE).await.unwrap());

    // Time passes for the lease, not for the test.
    world.owner.execute("update common.lease set expires_at = clock_timestamp() - interval '5 s'", &[]).await.unwrap();
    let settling = Duration::from_mins(1);
    let early = store.acquire("watcher/acme/workspace", "new", LEASE, settling).await.unwrap();
    assert_eq!(early, None, "what the old holder began may still be under way");
    let new = store.acquire("watcher/acme/workspace", "new", LEASE, Duration::from_secs(1)).await.unwrap().unwrap();
    assert_eq!(new.epoch, old.epoch + 1);

    assert!(!store.renew(&old, LEASE).await.unwrap());
    let reading = sweep(10, &["ann"], &[]);
    let error =
        store.commit_reading(Some(&old), &directory, Pass::Sweep, &reading, None, no_messages).await.unwrap_err();
    assert!(matches!(error, StoreError::LeaseLost { .. }), "{error:?}");
    assert_eq!(world.count("select count(*) from directory.user_row").await, 0);
    store.commit_reading(Some(&new), &directory, Pass::Sweep, &reading, None, no_messages).await.unwrap();
    assert_eq!(world.count("select count(*) from directory.user_row").await, 1);
}

#[tokio::test]
async fn a_lease_that_was_given_up_is_free_at_once() {
    let world = World::start().await;
    let store = &world.writer;
    let settling = Duration::from_mins(1);
    let old = store.acquire("writer/acme/cloud", "old", LEASE, settling).await.unwrap().unwrap();
    let again = store.acquire("writer/acme/cloud", "old", LEASE, settling).await.unwrap().unwrap();
    assert_eq!(again.epoch, old.epoch, "taking it again while holding it changes nothing");
    store.release(&old).await.unwrap();
    let new = store.acquire("writer/acme/cloud", "new", LEASE, settling).await.unwrap().unwrap();
    assert!(new.epoch > old.epoch);
    assert_eq!(world.console.leases().await.unwrap(), [new]);
}
