//! Decides: turns what was seen into plans, and plans into commands.
//!
//! Purpose: one holder of each tenant's lease keeps the tenant's mirrors and memory, and turns. A turn takes in
//! everything that waits, decides once, and commits all that follows from it in one transaction. Read in the order the
//! data passes: `wake` (what ends the wait) · `settle` (outcomes) · `mirror` (rows) · `decide` · `gate` (what goes, what
//! is held) · `dispatch` (commands) · `sweep` and `fresh` (upkeep) · `story` (which traces all that is part of).
//!
//! Guarantees:
//! * messages only wake: outcomes and rows are read from PostgreSQL, so a bus that lost everything costs one tick;
//! * plan, cases, released edges, commands, questions, progress and messages are committed together, or nothing is;
//! * deliveries are acknowledged after that commit;
//! * a plan that the second opinion does not share is shown and not carried out;
//! * a policy file that cannot be right, or that would stop managing too much, never replaces the one in force.
//!
//! It talks to no outside system and holds no outside credential.

mod applied;
mod decide;
mod dispatch;
mod fresh;
mod gate;
mod mirror;
mod options;
mod policy_file;
mod settle;
mod state;
mod story;
mod sweep;
mod tell;
mod tenant;
mod tenure;
#[cfg(test)]
mod testing;
mod turn;
mod wake;

use std::{sync::Arc, time::Duration};

use bus::{Access, Bus, BusError, BusOptions, Outlet, Relay, RelayOptions};
use model::{Span, Time};
use runtime::{Clock, Fault, Shutdown, health, lifecycle, metrics, spans};
use store::{Role, Schema, Store, StoreError};

pub use options::Options;

/// Connections to the database: turns, leases and the relay of a few tenants at once.
const CONNECTIONS: usize = 8;
/// How long the outbox may take to be emptied at the end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What all tenants share.
struct Shared {
    store: Store,
    bus: Bus,
    outlet: Outlet,
    clock: Clock,
    health: health::HealthState,
    options: Options,
    shutdown: Shutdown,
    /// Who this process is in leases.
    holder: String,
}

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

/// Runs until the end begins, then finishes the turn in hand.
///
/// # Errors
/// A fault for the operator when the process cannot begin: a policy that cannot be right (64), a taken port (1), NATS or
/// PostgreSQL out of reach (75).
pub fn run(options: Options, shutdown: Shutdown) -> lifecycle::Run {
    Box::pin(run_to_the_end(options, shutdown))
}

async fn run_to_the_end(options: Options, shutdown: Shutdown) -> Result<(), Fault> {
    let clock = options.service.clock()?;
    let mut tenants = Vec::new();
    for file in options.service.policy_files()? {
        let loaded = policy_file::read(&file)?;
        tenants.push((file, loaded));
    }
    let listener = health::bind(options.service.listen).await?;
    let health = health::HealthState::new("reconciler", clock.clone());
    let database = health.require("postgres");
    let broker = health.require("nats");
    let store = connect_store(&options).await?.seen_by(SEEN.1);
    let bus = connect_bus(&options).await?.seen_by(SEEN.0);
    // These two end last: until then the process says how it is, and what the last turns committed still goes out.
    let last = tokio_util::sync::CancellationToken::new();
    let serving = health::serve(listener, health.clone(), metrics::process().clone(), last.clone());
    let mut outlasting = tokio::task::JoinSet::new();
    outlasting.spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the health endpoint stopped");
        }
    });
    let needs = needs(&store, &bus, database, broker);
    shutdown.spawn(health::watch(needs, shutdown.soft().clone()));
    let (keep, of) = (Span::from_secs(u64::from(options.service.keep_days) * 24 * 3600), clock.clone());
    let (end, now) = (shutdown.clone(), move || Time(of.now_micros()));
    shutdown.spawn(store.clone().keep_pruned(Schema::Plan, keep, now, async move { end.begun().await }));
    let outlet = Outlet::default();
    let relay = Relay {
        bus: bus.clone(),
        store: store.clone(),
        schema: Schema::Plan,
        outlet: outlet.clone(),
        options: RelayOptions { republish_after: options.republish, ..RelayOptions::default() },
    };
    outlasting.spawn(relay.run(last.clone()));
    let holder = runtime::ids::uuid().to_string();
    let shared = Arc::new(Shared { store, bus, outlet, clock, health, options, shutdown: shutdown.clone(), holder });
    for (file, policy) in tenants {
        shutdown.spawn(tenant::serve(Arc::clone(&shared), file, policy));
    }
    shutdown.finish().await;
    last.cancel();
    if tokio::time::timeout(LAST_WORDS, async { while outlasting.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!("the outbox could not be emptied in time; what is left goes out when a reconciler starts again");
    }
    Ok(())
}

async fn connect_store(options: &Options) -> Result<Store, Fault> {
    let url = options.service.database_url();
    let role = options.service.role_set.then_some(Role::Reconciler);
    let by = Some(options.service.access.tls()?);
    Store::connect_by(url, by, role, CONNECTIONS).await.map_err(|error| match &error {
        StoreError::Unreachable(_) => Fault::no_postgres(url, &error, &error.why()),
        other => Fault::postgres_refuses(url, "reconciler", other),
    })
}

async fn connect_bus(options: &Options) -> Result<Bus, Fault> {
    let url = options.service.nats_url();
    let of = &options.service.access;
    let access = Access { credentials: of.credentials()?, tls: Some(of.tls()?) };
    let declare = BusOptions { declare: of.nats_declare, ..BusOptions::default() };
    Bus::connect_as(url, "reconciler", access, declare).await.map_err(|error| match &error {
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
