//! Servers whose disk is small.

use bus::{Bus, BusError};
use harness::{Nats, NatsOptions};

use crate::support::{event, publish, servers, subject};

async fn with_room(server: harness::NatsServer, megabytes: u32) -> Nats {
    let options = NatsOptions { server, max_file_store: Some(megabytes), ..NatsOptions::default() };
    Nats::start_with(options).await.unwrap()
}

#[tokio::test]
async fn streams_are_as_small_as_the_disk_asks_for() {
    for server in servers() {
        let nats = with_room(server, 500).await;
        // Several processes begin at once, each sure that it is the first.
        let url = nats.url();
        let (one, other) = tokio::join!(Bus::connect(&url, "one"), Bus::connect(&url, "other"));
        let bus = one.or(other).unwrap();
        bus.declare().await.unwrap();
        bus.ping().await.unwrap();
        publish(&bus, 1).await;
        bus.publish(&subject(), "twice", &event(2)).await.unwrap();
    }
}

#[tokio::test]
async fn a_disk_that_is_too_small_is_told_with_what_is_needed() {
    for server in servers() {
        let nats = with_room(server, 64).await;
        let error = Bus::connect(&nats.url(), "test").await.unwrap_err();
        assert!(matches!(error, BusError::NoRoom { .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.contains("no room") && said.contains("at least 84 MB"), "{said}");
    }
}
