//! Acts: carries commands out at Atlassian.
//!
//! Purpose: a command that stands in PostgreSQL becomes calls, attempts, an outcome and, where the target will not have
//! it, a dead letter. Read in the order the data passes: [`setup`] (what the policy names) · `tenant` (which policy is in
//! force) · `tenure` (whose turn it is) · `take` (lanes) · `desk` (many at once, urgent first) · `ledger` (the fence and
//! the attempts) · `settle` and `bury`.
//!
//! Guarantees:
//! * a command is executed only while its row stands in the ledger unsettled and with the same digest;
//! * an attempt is committed before its call, under the target's lease and only while the call's time-out fits into it;
//! * a delivery is acknowledged after the outcome's commit, and whatever the bus forgets is found in PostgreSQL;
//! * loading, attempts and outcomes are each one transaction for all that wait.
//!
//! What the policy in force says is heeded while running: a target that is new is served, one that is gone is let go.
//!
//! Caveat: policy files are found at the start: a further tenant needs a restart.

mod bury;
mod desk;
mod ledger;
mod options;
mod settle;
pub mod setup;
mod take;
mod target;
mod tell;
mod tenant;
mod tenure;

use std::{sync::Arc, time::Duration};

use bus::{Access, Bus, BusError, BusOptions, Outlet, Relay, RelayOptions};
use model::{Span, Time};
use runtime::{Fault, Shutdown, health, lifecycle, metrics, spans};
use store::{Role, Schema, Store, StoreError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use bury::{Deeds, Object, entries, line, lines, word};
pub use options::Options;
pub use setup::Place;

/// Connections to the database: loading, attempts, outcomes, leases and the relay at once, of a few targets.
const CONNECTIONS: usize = 12;
/// How long the outbox may take to be emptied at the end.
const LAST: Duration = Duration::from_secs(3);

/// Who is told about calls to NATS, and to PostgreSQL.
const SEEN: (bus::Seen, store::Seen) = (
    bus::Seen {
        now: runtime::clock::monotonic,
        called: metrics::bus_called,
        waits: metrics::bus_waits,
        traced: spans::collected,
        publishing: spans::publish,
        failed: spans::failed,
    },
    store::Seen {
        now: runtime::clock::monotonic,
        called: metrics::store_called,
        calling: spans::database,
        failed: spans::failed,
    },
);

/// Runs until the end begins, then finishes what is in flight.
///
/// # Errors
/// A fault for the operator when the process cannot begin: a policy that cannot be right (64), a missing credential or
/// a taken port (1), NATS or PostgreSQL out of reach (75).
pub fn run(options: Options, shutdown: Shutdown) -> lifecycle::Run {
    Box::pin(run_to_the_end(options, shutdown))
}

async fn run_to_the_end(options: Options, shutdown: Shutdown) -> Result<(), Fault> {
    let clock = options.service.clock()?;
    let mut tenants = Vec::new();
    for file in options.service.policy_files()? {
        tenants.push(setup::tenant(&file, &clock, &options)?);
    }
    let listener = health::bind(options.service.listen).await?;
    let health = health::HealthState::new("writer", clock.clone());
    let database = health.require("postgres");
    let broker = health.require("nats");
    let store = connect_store(&options).await?.seen_by(SEEN.1);
    let bus = connect_bus(&options).await?.seen_by(SEEN.0);
    let last = CancellationToken::new();
    let serving = health::serve(listener, health.clone(), metrics::process().clone(), last.clone());

    // These two end last: until then the process says how it is, and what is settled on the way out still goes out.
    let mut outlasting = JoinSet::new();
    outlasting.spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the health endpoint stopped");
        }
    });
    let needs = needs(&store, &bus, database, broker);
    shutdown.spawn(health::watch(needs, shutdown.soft().clone()));
    let (keep, of) = (Span::from_secs(u64::from(options.service.keep_days) * 24 * 3600), clock.clone());
    let (end, now) = (shutdown.clone(), move || Time(of.now_micros()));
    shutdown.spawn(store.clone().keep_pruned(Schema::Effect, keep, now, async move { end.begun().await }));
    let outlet = Outlet::default();
    let relay = Relay {
        bus: bus.clone(),
        store: store.clone(),
        schema: Schema::Effect,
        outlet: outlet.clone(),
        options: RelayOptions::default(),
    };
    outlasting.spawn(relay.run(last.clone()));
    let (shutdown_too, ages) = (shutdown.clone(), target::Ages::default());
    let shared = Arc::new(target::Shared { store, bus, outlet, clock, health, options, shutdown: shutdown_too, ages });
    for tenant in tenants {
        shutdown.spawn(tenant::follow(Arc::clone(&shared), tenant));
    }
    shutdown.finish().await;
    last.cancel();
    if tokio::time::timeout(LAST, async { while outlasting.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!("the outbox could not be emptied in time; what is left goes out when a writer starts again");
    }
    Ok(())
}

async fn connect_store(options: &Options) -> Result<Store, Fault> {
    let url = options.service.database_url();
    let role = options.service.role_set.then_some(Role::Writer);
    let by = Some(options.service.access.tls()?);
    Store::connect_by(url, by, role, CONNECTIONS).await.map_err(|error| match &error {
        StoreError::Unreachable(_) => Fault::no_postgres(url, &error, &error.why()),
        other => Fault::postgres_refuses(url, "writer", other),
    })
}

async fn connect_bus(options: &Options) -> Result<Bus, Fault> {
    let url = options.service.nats_url();
    let of = &options.service.access;
    let access = Access { credentials: of.credentials()?, tls: Some(of.tls()?) };
    let declare = BusOptions { declare: of.nats_declare, ..BusOptions::default() };
    Bus::connect_as(url, "writer", access, declare).await.map_err(|error| match &error {
        BusError::Denied(why) => Fault::nats_denies(url, why),
        BusError::Address | BusError::Unreachable(_) => Fault::nats_unreachable(url, &error),
        BusError::NoRoom { .. } => Fault::nats_has_no_room(url, &error),
        _ => Fault::nats_refuses(url, &error),
    })
}

/// What `/readyz` tells of.
fn needs(
    store: &Store,
    bus: &Bus,
    database: health::Readiness,
    broker: health::Readiness,
) -> Vec<(health::Readiness, health::Probe)> {
    let (store, bus) = (store.clone(), bus.clone());
    let of_store = move || {
        let store = store.clone();
        async move { store.ping().await.map_err(|error| error.to_string()) }
    };
    let of_bus = move || {
        let bus = bus.clone();
        async move { bus.ping().await.map_err(|error| error.to_string()) }
    };
    vec![(database, health::probe(of_store)), (broker, health::probe(of_bus))]
}
