//! The bus may lose everything at any moment.

use std::{collections::BTreeSet, time::Duration};

use bus::Intake;
use contract::DirectoryEvent;

use crate::support::{SOON, event, publish, servers, start, subject, tenant};

#[tokio::test]
async fn i15_a_consumer_outlives_a_kill_of_the_server() {
    for server in servers() {
        let (mut nats, bus) = start(server).await;
        let intake = Intake::directory_events(&tenant()).settle_within(Duration::from_secs(2));
        let mut consumer = bus.consume::<DirectoryEvent>(intake).await.unwrap();
        publish(&bus, 1).await;
        nats.kill();
        nats.restart().await.unwrap();
        harness::eventually(SOON, "a publish", async || Ok(bus.publish(&subject(), "v2", &event(2)).await.ok()))
            .await
            .unwrap();
        let mut seen = BTreeSet::new();
        while seen.len() < 2 {
            let batch = consumer.next_batch(10, SOON).await;
            assert!(!batch.is_empty(), "seen {seen:?}");
            for delivery in batch {
                seen.insert(delivery.value().version);
                delivery.ack().await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn i15_streams_and_consumers_that_vanish_are_declared_again() {
    for server in servers() {
        let (mut nats, bus) = start(server).await;
        let mut consumer = bus.consume::<DirectoryEvent>(Intake::directory_events(&tenant())).await.unwrap();
        publish(&bus, 1).await;
        nats.stop().await.unwrap();
        nats.wipe().unwrap();
        nats.restart().await.unwrap();
        // The consumer notices by itself and declares its stream; version 1 is lost, as it may be.
        let hearing = tokio::spawn(async move {
            loop {
                for delivery in consumer.next_batch(10, SOON).await {
                    let version = delivery.value().version;
                    delivery.ack().await.unwrap();
                    if version == 2 {
                        return;
                    }
                }
            }
        });
        harness::eventually(SOON, "a publish", async || Ok(bus.publish(&subject(), "v2", &event(2)).await.ok()))
            .await
            .unwrap();
        tokio::time::timeout(SOON, hearing).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn i15_a_stream_deleted_under_a_running_consumer_comes_back() {
    for server in servers() {
        let (nats, bus) = start(server).await;
        let mut consumer = bus.consume::<DirectoryEvent>(Intake::directory_events(&tenant())).await.unwrap();
        publish(&bus, 1).await;
        consumer.next_batch(1, SOON).await.remove(0).ack_surely().await.unwrap();
        let admin = async_nats::jetstream::new(nats.connect().await.unwrap());
        admin.delete_stream("ROLLCALL_DIRECTORY").await.unwrap();
        let hearing = tokio::spawn(async move { consumer.next_batch(1, SOON).await.len() });
        harness::eventually(SOON, "a publish", async || Ok(bus.publish(&subject(), "v2", &event(2)).await.ok()))
            .await
            .unwrap();
        assert_eq!(hearing.await.unwrap(), 1);
    }
}
