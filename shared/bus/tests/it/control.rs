//! Requests to running services.

use std::time::Duration;

use bus::BusError;

use crate::support::{SOON, servers, start, tenant};

#[tokio::test]
async fn a_request_is_heard_once_by_each_group_and_answered() {
    for server in servers() {
        let (_nats, bus) = start(server).await;
        let mut requests = bus.serve(&tenant(), "sync", "watcher").await.unwrap();
        bus.ping().await.unwrap();
        let serving = tokio::spawn(async move {
            let request = requests.next().await.unwrap();
            assert_eq!((request.verb(), request.body()), ("sync", &b"everybody"[..]));
            request.answer(b"begun".to_vec()).await.unwrap();
        });
        let answer = bus.ask(&tenant(), "sync", b"everybody".to_vec(), SOON).await.unwrap();
        assert_eq!(answer, b"begun");
        serving.await.unwrap();
    }
}

#[tokio::test]
async fn a_request_that_nobody_serves_fails_at_once() {
    let (_nats, bus) = start(servers()[0]).await;
    let answer = bus.ask(&tenant(), "pause", Vec::new(), Duration::from_mins(1)).await;
    assert_eq!(answer, Err(BusError::NoService));
}
