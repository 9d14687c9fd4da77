//! From committed rows to deliveries.

use std::{collections::BTreeSet, time::Duration};

use bus::{Bus, Intake, OrderedRelay, Outlet, Relay, RelayOptions, outgoing};
use contract::DirectoryEvent;
use harness::Postgres;
use store::{Envelope, Lease, OutboxMessage, Schema, Store};
use tokio_util::sync::CancellationToken;

use crate::support::{SOON, directory, event, servers, start, tenant};

struct Database {
    _server: Postgres,
    store: Store,
    sql: tokio_postgres::Client,
}

async fn database() -> Database {
    let server = Postgres::fast().await.unwrap();
    let url = server.database("relay").await.unwrap();
    store::migrate(&url).await.unwrap();
    let store = Store::connect(&url, None, 4).await.unwrap();
    let (sql, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    Database { _server: server, store, sql }
}

impl Database {
    async fn put(&self, table: &str, message: &OutboxMessage) {
        let statement = format!(
            "insert into {table} (topic, settle_key, subject, message_id, payload, headers) values ($1,$2,$3,$4,$5,$6)"
        );
        let headers: Vec<String> =
            message.headers.iter().map(|(name, value)| format!("[\"{name}\",\"{value}\"]")).collect();
        let headers = format!("[{}]", headers.join(","));
        self.sql
            .execute(
                &statement,
                &[
                    &message.topic,
                    &message.settle_key,
                    &message.subject,
                    &message.message_id,
                    &message.payload,
                    &headers,
                ],
            )
            .await
            .unwrap();
    }

    async fn waiting(&self, schema: Schema) -> u64 {
        self.store.outbox_backlog(schema).await.unwrap().0
    }
}

fn relay(bus: &Bus, store: &Store, schema: Schema, options: RelayOptions) -> (Outlet, CancellationToken) {
    let (outlet, stop) = (Outlet::default(), CancellationToken::new());
    let relay = Relay { bus: bus.clone(), store: store.clone(), schema, outlet: outlet.clone(), options };
    tokio::spawn(relay.run(stop.clone()));
    (outlet, stop)
}

async fn versions(bus: &Bus, count: usize) -> Vec<u64> {
    let mut consumer = bus.consume::<DirectoryEvent>(Intake::directory_events(&tenant())).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < count {
        let batch = consumer.next_batch(500, SOON).await;
        assert!(!batch.is_empty(), "{} of {count} came", seen.len());
        for delivery in batch {
            assert_eq!(delivery.traceparent(), Some("00-trace"));
            seen.push(delivery.value().version);
            delivery.ack().await.unwrap();
        }
    }
    seen
}

fn envelope(id: i64, message: OutboxMessage) -> Envelope {
    let OutboxMessage { subject, message_id, payload, headers, .. } = message;
    Envelope { id, subject, message_id, payload, headers }
}

fn ordered(bus: &Bus, store: &Store, lease: &Lease) -> OrderedRelay {
    OrderedRelay {
        bus: bus.clone(),
        store: store.clone(),
        schema: Schema::Directory,
        lease: lease.clone(),
        topic: format!("{}/{}", tenant(), directory()),
        outlet: Outlet::default(),
    }
}

#[tokio::test]
async fn what_is_committed_is_published_and_marked() {
    for server in servers() {
        let ((_nats, bus), database) = (start(server).await, database().await);
        let (outlet, stop) = relay(&bus, &database.store, Schema::Plan, RelayOptions::default());
        for version in 1..=700 {
            database.put("plan.outbox", &outgoing::event(&event(version), Some("00-trace"))).await;
        }
        outlet.look();
        let seen: BTreeSet<u64> = versions(&bus, 700).await.into_iter().collect();
        assert_eq!(seen.len(), 700);
        harness::eventually(SOON, "the marks", async || Ok((database.waiting(Schema::Plan).await == 0).then_some(())))
            .await
            .unwrap();
        stop.cancel();
    }
}

#[tokio::test]
async fn what_is_handed_over_goes_out_at_once_and_what_is_not_when_its_claim_is_over() {
    let ((_nats, bus), database) = (start(servers()[0]).await, database().await);
    for version in [1, 2] {
        database.put("plan.outbox", &outgoing::event(&event(version), Some("00-trace"))).await;
    }
    let claim = "update plan.outbox set claimed_till = clock_timestamp() + interval '1 hour'";
    database.sql.batch_execute(claim).await.unwrap();
    let (outlet, stop) = relay(&bus, &database.store, Schema::Plan, RelayOptions::default());
    let message = outgoing::event(&event(1), Some("00-trace"));
    outlet.hand(vec![envelope(1, message)]);
    assert_eq!(versions(&bus, 1).await, [1]);
    harness::eventually(SOON, "its mark", async || Ok((database.waiting(Schema::Plan).await == 1).then_some(())))
        .await
        .unwrap();
    // Whoever committed the other one died before it went out.
    database.sql.batch_execute("update plan.outbox set claimed_till = clock_timestamp()").await.unwrap();
    assert_eq!(versions(&bus, 1).await, [2]);
    stop.cancel();
}

#[tokio::test]
async fn what_is_handed_over_in_order_goes_out_after_all_that_is_older_and_once() {
    let ((_nats, bus), database) = (start(servers()[0]).await, database().await);
    let (store, minute) = (&database.store, Duration::from_mins(1));
    let lease = store.acquire("watcher/acme/workspace", "one", minute, Duration::ZERO).await.unwrap().unwrap();
    // Left behind by an earlier holder; the second one is handed over before the relay has looked.
    for version in [1, 2] {
        database.put("directory.outbox", &outgoing::event(&event(version), Some("00-trace"))).await;
    }
    let relay = ordered(&bus, store, &lease);
    let (outlet, stop) = (relay.outlet.clone(), CancellationToken::new());
    outlet.hand(vec![envelope(2, outgoing::event(&event(2), Some("00-trace")))]);
    let relaying = tokio::spawn(relay.run(stop.clone()));
    assert_eq!(versions(&bus, 2).await, [1, 2]);
    // Not in the outbox: it is not looked up. Nor does the relay send again what it has sent.
    let again = outgoing::event(&event(9), Some("00-trace"));
    outlet.hand(vec![envelope(2, again), envelope(3, outgoing::event(&event(3), Some("00-trace")))]);
    assert_eq!(versions(&bus, 1).await, [3]);
    // What was committed at the last moment still goes out.
    database.put("directory.outbox", &outgoing::event(&event(4), Some("00-trace"))).await;
    stop.cancel();
    relaying.await.unwrap().unwrap();
    assert_eq!(database.waiting(Schema::Directory).await, 0);
}

#[tokio::test]
async fn i15_a_relay_waits_out_a_server_that_is_gone_and_forgot_everything() {
    let ((mut nats, bus), database) = (start(servers()[0]).await, database().await);
    let (outlet, stop) = relay(&bus, &database.store, Schema::Plan, RelayOptions::default());
    nats.stop().await.unwrap();
    nats.wipe().unwrap();
    for version in 1..=50 {
        database.put("plan.outbox", &outgoing::event(&event(version), Some("00-trace"))).await;
    }
    outlet.look();
    nats.restart().await.unwrap();
    let seen: BTreeSet<u64> = versions(&bus, 50).await.into_iter().collect();
    assert_eq!(seen.len(), 50);
    stop.cancel();
}

#[tokio::test]
async fn what_is_not_settled_in_time_is_published_again() {
    let ((_nats, bus), database) = (start(servers()[0]).await, database().await);
    let options = RelayOptions {
        republish_after: Duration::from_millis(200),
        upkeep_every: Duration::from_millis(100),
        ..RelayOptions::default()
    };
    let mut message = outgoing::event(&event(1), Some("00-trace"));
    message.settle_key = "11111111-1111-1111-1111-111111111111".to_owned();
    database.put("plan.outbox", &message).await;
    let (_outlet, stop) = relay(&bus, &database.store, Schema::Plan, options);
    // Within two minutes the server would swallow the same message id.
    assert_eq!(versions(&bus, 3).await, [1, 1, 1]);
    stop.cancel();
}

#[tokio::test]
async fn events_of_a_directory_go_out_in_order_by_the_holder_of_its_lease() {
    for server in servers() {
        let ((_nats, bus), database) = (start(server).await, database().await);
        let minute = Duration::from_mins(1);
        let store = &database.store;
        let lease = store.acquire("watcher/acme/workspace", "one", minute, Duration::ZERO).await.unwrap().unwrap();
        for version in 1..=900 {
            database.put("directory.outbox", &outgoing::event(&event(version), Some("00-trace"))).await;
        }
        let relaying = tokio::spawn(ordered(&bus, store, &lease).run(CancellationToken::new()));
        let seen = versions(&bus, 900).await;
        assert!(seen.is_sorted(), "in order");
        // Somebody else takes over: the first holder publishes no more.
        store.release(&lease).await.unwrap();
        database.put("directory.outbox", &outgoing::event(&event(901), Some("00-trace"))).await;
        let ended = tokio::time::timeout(SOON, relaying).await.unwrap().unwrap();
        assert!(matches!(ended, Err(store::StoreError::LeaseLost { .. })), "{ended:?}");
        assert_eq!(database.waiting(Schema::Directory).await, 1);
    }
}
