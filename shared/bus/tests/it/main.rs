//! The bus on real servers: nats-server of the distribution (2.9.10), a current one, three current ones.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod cluster;
mod control;
mod deliveries;
mod disposable;
mod relay;
mod room;
mod support;

/// What a test says of a server it says of the version that it is meant for: the running one says so itself.
#[tokio::test]
async fn a_server_that_runs_has_the_version_that_was_asked_for() {
    for server in support::servers() {
        let (nats, _bus) = support::start(server).await;
        assert_eq!(nats.connect().await.unwrap().server_info().version, server.version().unwrap());
    }
}
