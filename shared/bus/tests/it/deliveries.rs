//! A delivery is settled once; what cannot be read is buried.

use std::{collections::BTreeSet, time::Duration};

use bus::{Bus, Consumer, Delivery, Intake};
use contract::{DeadLetterNotice, DirectoryEvent, Payload};
use futures_util::StreamExt as _;

use crate::support::{SOON, event, publish, servers, start, subject, tenant};

async fn one(consumer: &mut Consumer<DirectoryEvent>) -> Delivery<DirectoryEvent> {
    // What cannot be read makes a batch of nothing, if it comes alone.
    harness::eventually(SOON, "a delivery", async || Ok(consumer.next_batch(1, SOON).await.pop())).await.unwrap()
}

async fn nothing(consumer: &mut Consumer<DirectoryEvent>) {
    let batch = consumer.next_batch(1, Duration::from_millis(300)).await;
    assert!(batch.is_empty(), "{batch:?}");
}

#[tokio::test]
async fn what_is_acknowledged_is_gone_and_what_is_not_comes_again() {
    for server in servers() {
        let (_nats, bus) = start(server).await;
        let intake = Intake::directory_events(&tenant()).settle_within(Duration::from_secs(1));
        let mut consumer = bus.consume::<DirectoryEvent>(intake.clone()).await.unwrap();
        for version in 1..=4 {
            publish(&bus, version).await;
        }
        let before = bus.backlog(&intake).await.unwrap();
        assert_eq!(before.pending + before.unsettled, 4);
        one(&mut consumer).await.ack_surely().await.unwrap();
        one(&mut consumer).await.retry(Duration::from_millis(300)).await.unwrap();
        drop(one(&mut consumer).await);
        one(&mut consumer).await.ack().await.unwrap();
        // The dropped one comes at once, the retried one later, the acknowledged ones never.
        let dropped = one(&mut consumer).await;
        assert_eq!((dropped.value(), dropped.deliveries()), (&event(3), 2));
        dropped.ack_surely().await.unwrap();
        let retried = one(&mut consumer).await;
        assert_eq!((retried.value(), retried.deliveries()), (&event(2), 2));
        retried.ack_surely().await.unwrap();
        nothing(&mut consumer).await;
        let settled = |backlog: bus::Backlog| (backlog == bus::Backlog::default()).then_some(());
        harness::eventually(SOON, "everything settled", async || Ok(settled(bus.backlog(&intake).await?)))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn work_that_says_so_may_take_its_time() {
    let (_nats, bus) = start(servers()[0]).await;
    let intake = Intake::directory_events(&tenant()).settle_within(Duration::from_secs(1));
    let mut consumer = bus.consume::<DirectoryEvent>(intake).await.unwrap();
    publish(&bus, 1).await;
    let long = one(&mut consumer).await;
    for _ in 0..5 {
        long.working().await.unwrap();
        nothing(&mut consumer).await;
    }
    long.ack_surely().await.unwrap();
}

#[tokio::test]
async fn a_message_sent_twice_arrives_once() {
    for server in servers() {
        let (_nats, bus) = start(server).await;
        let mut consumer = bus.consume::<DirectoryEvent>(Intake::directory_events(&tenant())).await.unwrap();
        publish(&bus, 1).await;
        publish(&bus, 1).await;
        one(&mut consumer).await.ack().await.unwrap();
        nothing(&mut consumer).await;
    }
}

#[tokio::test]
async fn a_batch_is_what_is_there_and_no_more() {
    let (_nats, bus) = start(servers()[0]).await;
    let mut consumer = bus.consume::<DirectoryEvent>(Intake::directory_events(&tenant())).await.unwrap();
    for version in 1..=50 {
        publish(&bus, version).await;
    }
    let mut seen = BTreeSet::new();
    while seen.len() < 50 {
        let batch = consumer.next_batch(20, SOON).await;
        assert!(!batch.is_empty() && batch.len() <= 20, "{} deliveries", batch.len());
        for delivery in batch {
            assert!(seen.insert(delivery.value().version), "once each");
            delivery.ack().await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_was_pulled_and_not_taken_is_given_back() {
    let (_nats, bus) = start(servers()[0]).await;
    let intake = || Intake::directory_events(&tenant()).settle_within(Duration::from_mins(5));
    let mut first = bus.consume::<DirectoryEvent>(intake()).await.unwrap();
    for version in 1..=10 {
        publish(&bus, version).await;
    }
    one(&mut first).await.ack_surely().await.unwrap();
    drop(first);
    let mut second = bus.consume::<DirectoryEvent>(intake()).await.unwrap();
    let mut seen = BTreeSet::new();
    while seen.len() < 9 {
        let delivery = one(&mut second).await;
        seen.insert(delivery.value().version);
        delivery.ack().await.unwrap();
    }
}

async fn dead_letters(nats: &harness::Nats) -> Vec<DeadLetterNotice> {
    let jetstream = async_nats::jetstream::new(nats.connect().await.unwrap());
    let stream = jetstream.get_stream("ROLLCALL_DEADLETTER").await.unwrap();
    let config = async_nats::jetstream::consumer::pull::Config::default();
    let reader = stream.create_consumer(config).await.unwrap();
    let messages: Vec<_> = reader.fetch().max_messages(100).messages().await.unwrap().collect().await;
    messages.into_iter().map(|message| DeadLetterNotice::from_bytes(&message.unwrap().payload).unwrap()).collect()
}

#[tokio::test]
async fn bytes_that_cannot_be_read_are_buried_and_stop_nobody() {
    for server in servers() {
        let (nats, bus) = start(server).await;
        let intake = Intake::directory_events(&tenant()).settle_within(Duration::from_secs(1));
        let mut consumer = bus.consume::<DirectoryEvent>(intake).await.unwrap();
        let raw = async_nats::jetstream::new(nats.connect().await.unwrap());
        raw.publish(subject().to_string(), "\u{7}nonsense".into()).await.unwrap().await.unwrap();
        publish(&bus, 2).await;
        let good = one(&mut consumer).await;
        assert_eq!(good.value(), &event(2));
        good.ack_surely().await.unwrap();
        let letters = harness::eventually(SOON, "the burial", async || {
            Ok(Some(dead_letters(&nats).await).filter(|letters| !letters.is_empty()))
        })
        .await
        .unwrap();
        assert_eq!(letters[0].tenant, None);
        assert_eq!(letters[0].payload, "\u{7}nonsense".as_bytes());
        assert_eq!(letters[0].subject, subject().to_string());
        assert!(letters[0].reason.contains("DirectoryEvent"), "{}", letters[0].reason);
        nothing(&mut consumer).await;
        tokio::time::timeout(Duration::from_millis(1500), nothing(&mut consumer)).await.unwrap();
        assert_eq!(dead_letters(&nats).await.len(), 1, "buried once");
    }
}

#[tokio::test]
async fn an_address_that_is_none_and_a_server_that_is_none_say_so() {
    let address = Bus::connect("not an address", "test").await.unwrap_err();
    assert!(address.to_string().contains("nats://"), "{address}");
    let port = harness::ports::free().unwrap();
    let nobody = Bus::connect(&format!("nats://127.0.0.1:{port}"), "test").await.unwrap_err();
    assert!(matches!(nobody, bus::BusError::Unreachable(_)), "{nobody:?}");
}
