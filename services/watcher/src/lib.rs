//! Sees: reads directories on both sides and announces what changed.
//!
//! Purpose: what is so at Google and at Atlassian becomes rows in PostgreSQL, and the reconciler is told which. Read in
//! the order the data passes: [`setup`] (which directories, and how each is reached) · `tenant` (which policy is in
//! force) · `tenure` (whose turn it is) · `sweep` (everything, every so often) · `ask` (one fact, one person, one group) ·
//! [`scope`] (whose members matter) · `post` (the commit) · `announce` (the events about it).
//!
//! Guarantees:
//! * nothing outside is ever changed: the readers cannot;
//! * a commit and its events are one transaction, under the directory's lease; events go out in order;
//! * requests and messages only wake: what is to be read stands in PostgreSQL, and all that waits is one transaction;
//! * a directory that cannot be read is marked blind, and stays as it was last seen; so is one that no rule names any
//!   more, from when it is let go until it is read again;
//! * what the policy in force says is heeded while running, and so is a secret that was replaced.
//!
//! Caveat: policy files are found at the start: a further tenant needs a restart.

mod announce;
mod ask;
mod options;
mod post;
pub mod reader;
pub mod scope;
pub mod setup;
mod sweep;
mod tenant;
mod tenure;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use bus::{Access, Bus, BusError, BusOptions};
use model::{Span, Time};
use runtime::{Fault, Shutdown, health, lifecycle, metrics, spans};
use store::{Role, Schema, Store, StoreError};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use options::Options;
pub use reader::{Reader, ReaderOptions};

/// Connections to the database: sweeps, answers, leases and relays of a few directories.
const CONNECTIONS: usize = 12;

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
    let health = health::HealthState::new("watcher", clock.clone());
    let database = health.require("postgres");
    let broker = health.require("nats");
    let store = connect_store(&options).await?.seen_by(SEEN.1);
    let bus = connect_bus(&options).await?.seen_by(SEEN.0);
    let last = CancellationToken::new();
    let serving = health::serve(listener, health.clone(), metrics::process().clone(), last.clone());
    // It ends last: until then the process says how it is.
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
    shutdown.spawn(store.clone().keep_pruned(Schema::Directory, keep, now, async move { end.begun().await }));
    let shared = Arc::new(watch::Shared { store, bus, clock, health, options, shutdown: shutdown.clone() });
    for tenant in tenants {
        shutdown.spawn(tenant::follow(Arc::clone(&shared), tenant));
    }
    shutdown.finish().await;
    last.cancel();
    // Somebody may still be reading a page; that is not waited for.
    let _ended = tokio::time::timeout(Duration::from_secs(1), outlasting.join_next()).await;
    Ok(())
}

async fn connect_store(options: &Options) -> Result<Store, Fault> {
    let url = options.service.database_url();
    let role = options.service.role_set.then_some(Role::Watcher);
    let by = Some(options.service.access.tls()?);
    Store::connect_by(url, by, role, CONNECTIONS).await.map_err(|error| match &error {
        StoreError::Unreachable(_) => Fault::no_postgres(url, &error, &error.why()),
        other => Fault::postgres_refuses(url, "watcher", other),
    })
}

async fn connect_bus(options: &Options) -> Result<Bus, Fault> {
    let url = options.service.nats_url();
    let of = &options.service.access;
    let access = Access { credentials: of.credentials()?, tls: Some(of.tls()?) };
    let declare = BusOptions { declare: of.nats_declare, ..BusOptions::default() };
    Bus::connect_as(url, "watcher", access, declare).await.map_err(|error| match &error {
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
