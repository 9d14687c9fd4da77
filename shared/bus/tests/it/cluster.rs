//! Three servers, and the leader of the stream killed under load.

use std::{collections::BTreeSet, time::Duration};

use bus::{Bus, BusOptions, Intake};
use contract::DirectoryEvent;
use harness::{NatsCluster, NatsServer};

use crate::support::{event, servers, subject, tenant};

const MESSAGES: u64 = 2000;

#[tokio::test]
async fn i01_a_leader_killed_under_load_loses_nothing() {
    if !servers().contains(&NatsServer::Current) {
        return;
    }
    let mut cluster = NatsCluster::start().await.unwrap();
    let options = BusOptions { declare: true, replicas: 3 };
    let bus = Bus::connect_with(&cluster.url(), "test", options).await.unwrap();
    let intake = Intake::directory_events(&tenant()).settle_within(Duration::from_secs(5));
    let mut consumer = bus.consume::<DirectoryEvent>(intake).await.unwrap();
    let publisher = bus.clone();
    let publishing = tokio::spawn(async move {
        for version in 1..=MESSAGES {
            // As the relay does: the same id until it is acknowledged.
            while publisher.publish(&subject(), &format!("v{version}"), &event(version)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    });
    let mut seen = BTreeSet::new();
    let mut killed = None;
    while seen.len() < usize::try_from(MESSAGES).unwrap() {
        let batch = consumer.next_batch(100, Duration::from_mins(1)).await;
        assert!(!batch.is_empty(), "{} of {MESSAGES} came", seen.len());
        for delivery in batch {
            seen.insert(delivery.value().version);
            delivery.ack().await.unwrap();
        }
        if seen.len() > 500 && killed.is_none() {
            let leader = cluster.stream_leader("ROLLCALL_DIRECTORY").await.unwrap();
            cluster.nodes.get_mut(leader).unwrap().kill();
            killed = Some(leader);
        }
    }
    publishing.await.unwrap();
    cluster.nodes.get_mut(killed.unwrap()).unwrap().restart().await.unwrap();
    cluster.wait_ready().await.unwrap();
}
