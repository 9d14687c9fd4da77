//! Operators' API: JSON over HTTP with the messages of `proto/rollcall/ops/v1`.
//!
//! # Who may ask
//! A bearer token names a person and a role; the token file holds their SHA-256 only ([`Tokens`]). Roles rise: `hook` tells of sign-ins, `viewer` looks,
//! `operator` redrives, asks for reads, pauses and sets groups aside, `approver` approves, rejects, adopts and discards,
//! `admin` may everything. The file is read again every two seconds.
//!
//! # Routes, below `/api/v1`
//! `?tenant=NAME` may be left out where the asker sees one tenant only.
//!
//! | route | role | answer |
//! |---|---|---|
//! | `GET status` | viewer | `StatusList`: per tenant directories, targets, queues, `sync` |
//! | `GET plans?limit&before`, `GET plans/{number}` | viewer | `PlanList`, `PlanDetail` |
//! | `GET cases?state=held`, `GET cases/{digest}` | viewer | `CaseList`, `CaseDetail` |
//! | `POST cases/{digest}/approve`, `…/reject` (`Because`) | approver | `VerdictResult` |
//! | `POST cases/verdict` (`Verdict`) | approver | `VerdictAnswer`, a line per digest |
//! | `GET conflicts?target`, `GET conflicts/{target}/{group}` | viewer | `ConflictList`, `ConflictDetail`; who looked at whom is in the chain |
//! | `POST conflicts/{target}/{group}`, `POST conflicts/decision` (`ConflictDecision`) | operator; approver to adopt or add where the policy wants conflicts approved | `Accepted` |
//! | `GET dead-letters?state&target&class`, `GET dead-letters/{id}` | viewer | `DeadLetterList`, `DeadLetterDetail` |
//! | `POST dead-letters/redrive` (`DeadLetterAction`), `POST dead-letters/{id}/redrive` (`Because`) | operator | `DeadLetterActionAnswer` |
//! | `POST dead-letters/discard`, `POST dead-letters/{id}/discard` | approver | `DeadLetterActionAnswer` |
//! | `GET explain?person&group&target` | viewer | `ExplanationList`; who looked at whom is in the chain |
//! | `POST hints/sign-in` (`SyncRequest`) | hook | `Accepted`: that person is read now, on both sides |
//! | `POST sync` (`SyncRequest`) | operator | `Accepted` |
//! | `POST pause`, `POST resume` (`PauseRequest`) | operator | `Accepted` |
//!
//! A digest may be cut to its first twelve digits or more. What fails answers `Failure`: 400 `usage`, 401
//! `unauthenticated`, 403 `forbidden` or `four-eyes`, 404 `not-found`, 409 `stale`, 421 `misdirected`, 503 `unavailable`.
//!
//! # Guarantees
//! - A verdict binds to a digest and ends by itself; who set a case in motion cannot approve it, which the database
//!   refuses too (constraint `four_eyes`).
//! - Rows are the truth: after the commit the reconciler is woken on `control.<tenant>.wake`, and looks by itself if it
//!   does not hear it.
//! - Every write is in the audit chain in the same transaction, every refused attempt of somebody known in one of its own. An outsider
//!   writes no row.
//! - A request by another host name than ours is answered 421 before anything else: a page that points its own name at
//!   this address learns nothing.
//!
//! # Assumptions
//! Whoever can read the traffic can act: that is why the API listens on loopback alone unless a proxy that speaks TLS
//! stands before it.

mod body;
mod cases;
mod conflicts;
mod control;
mod explain;
mod failure;
mod gate;
mod letters;
mod plans;
mod review;
mod routes;
mod state;
mod status;
mod tokens;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use bus::{Access, Bus, BusError, BusOptions};
use policy::Policy;
use runtime::config::ServiceOptions;
use runtime::health::{self, HealthState};
use runtime::{Exit, Fault, Shutdown, lifecycle, metrics};
use store::{Store, StoreError};

pub use failure::Failure;
pub use routes::{PREFIX, Route, routes};
pub use tokens::{Person, Role, Tokens};

use state::Api;
use tokens::TokenFile;

/// Connections to PostgreSQL. People ask seldom, and monitors one at a time.
const CONNECTIONS: usize = 4;

/// What the console is told at its start.
#[derive(Clone, Debug, clap::Args)]
pub struct ConsoleOptions {
    /// What all services share.
    #[command(flatten)]
    pub service: ServiceOptions,

    /// Where the operators' API listens
    #[arg(long, value_name = "ADDR", env = "ROLLCALL_API", default_value = "127.0.0.1:7400")]
    pub api: SocketAddr,

    /// Who may ask: a file of `[[token]]` entries with person, role and sha256
    #[arg(long, value_name = "FILE", env = "ROLLCALL_TOKENS")]
    pub tokens: PathBuf,

    /// Listen on other addresses than loopback: a proxy that speaks TLS stands before the API
    #[arg(long)]
    pub behind_proxy: bool,

    /// A host name by which the proxy is asked, with its port if it has one; may be given several times
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
}

/// Serves until the end begins.
///
/// # Errors
/// E0301 token file, E0302 address without a proxy, E0101/E0102 NATS or PostgreSQL unreachable, E0131 PostgreSQL refuses,
/// E0103 port taken, E0106 or E0114 policy file.
pub fn run(options: ConsoleOptions, shutdown: Shutdown) -> lifecycle::Run {
    Box::pin(async move {
        let listener = listen(options.api, options.behind_proxy, "--api")?;
        run_to_the_end(options, listener, shutdown).await
    })
}

/// As [`run`], on a port that [`listen`] has taken.
///
/// # Errors
/// As [`run`].
pub fn run_on(options: ConsoleOptions, listener: TcpListener, shutdown: Shutdown) -> lifecycle::Run {
    Box::pin(run_to_the_end(options, listener, shutdown))
}

/// Takes the port of the operators' API; `flag` is the option that chooses another one. Whoever connects waits until
/// somebody serves.
///
/// # Errors
/// E0302 an address that others reach without a proxy, E0103 port taken.
pub fn listen(api: SocketAddr, behind_proxy: bool, flag: &str) -> Result<TcpListener, Fault> {
    if !api.ip().is_loopback() && !behind_proxy {
        let message = format!("the operators' API would listen on {api}, where others can read tokens on their way");
        let help = "listen on loopback, or put a proxy that speaks TLS before it and say so with \
                    `rollcall-console --behind-proxy`";
        return Err(Fault::new("E0302", Exit::Usage, message).help(help));
    }
    TcpListener::bind(api).map_err(|cause| Fault::cannot_listen(flag, &api, &cause))
}

async fn run_to_the_end(options: ConsoleOptions, listener: TcpListener, shutdown: Shutdown) -> Result<(), Fault> {
    let ConsoleOptions { service, api, tokens, behind_proxy: _, host } = options;
    let cannot_serve = |cause: std::io::Error| Fault::cannot_listen("--api", &api, &cause);
    listener.set_nonblocking(true).map_err(cannot_serve)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(cannot_serve)?;
    let health_listener = health::bind(service.listen).await?;
    let token_file = TokenFile::open(&tokens)?;
    let policies = policies(&service)?;
    let clock = service.clock()?;
    let health = HealthState::new("console", clock.clone());
    let (postgres, nats, file) = (health.require("postgres"), health.require("nats"), health.require("tokens"));
    let role = service.role_set.then_some(store::Role::Console);
    let (url, by) = (service.database_url(), Some(service.access.tls()?));
    let store = Store::connect_by(url, by, role, CONNECTIONS).await.map_err(|error| store_fault(url, &error))?;
    let store = store.seen_by(store::Seen {
        now: runtime::clock::monotonic,
        called: metrics::store_called,
        calling: runtime::spans::database,
        failed: runtime::spans::failed,
    });
    // The console publishes nothing: it asks, and needs no stream.
    let options = BusOptions { declare: false, ..BusOptions::default() };
    let access = Access { credentials: service.access.credentials()?, tls: Some(service.access.tls()?) };
    let url = service.nats_url();
    let bus = Bus::connect_as(url, "console", access, options).await.map_err(|error| match &error {
        BusError::Denied(why) => Fault::nats_denies(url, why),
        _ => Fault::nats_unreachable(url, &error),
    })?;
    let address = listener.local_addr().unwrap_or(api);
    let metrics = metrics::process().clone();
    let hosts = hosts(address.port(), &host);
    let state = Api::new(store.clone(), bus.clone(), clock, metrics.clone(), token_file, hosts, policies);
    let stop = shutdown.soft().clone();
    shutdown.spawn(health::serve(health_listener, health.clone(), metrics, stop.clone()));
    shutdown.spawn(health::watch(needs(&state, [postgres, nats, file]), stop.clone()));
    tracing::info!(event.name = "rollcall.console.listening", %address, "operators' API is up");
    let served = axum::serve(listener, routes::router(state)).with_graceful_shutdown(stop.cancelled_owned());
    let served = served.await.map_err(cannot_serve);
    // Nothing is lost when the connection is gone already.
    let _gone = bus.close().await;
    served
}

/// What `/readyz` tells of.
fn needs(state: &Api, [postgres, nats, file]: [health::Readiness; 3]) -> Vec<(health::Readiness, health::Probe)> {
    let (store, bus, tokens) = (state.clone(), state.clone(), state.clone());
    let of_store = move || {
        let store = store.clone();
        async move { store.store().ping().await.map_err(|error| error.to_string()) }
    };
    let of_bus = move || {
        let bus = bus.clone();
        async move { bus.inner.bus.ping().await.map_err(|error| error.to_string()) }
    };
    let of_tokens = move || std::future::ready(tokens.inner.tokens.refresh().map_err(|fault| fault.message));
    vec![(postgres, health::probe(of_store)), (nats, health::probe(of_bus)), (file, health::probe(of_tokens))]
}

/// The names that the API answers to: loopback with our port, and those of the proxy.
fn hosts(port: u16, more: &[String]) -> Vec<String> {
    let ours = ["127.0.0.1", "localhost", "[::1]"].map(|name| format!("{name}:{port}"));
    ours.into_iter().chain(more.iter().map(|name| name.to_ascii_lowercase())).collect()
}

fn policies(service: &ServiceOptions) -> Result<BTreeMap<model::TenantId, Arc<Policy>>, Fault> {
    let mut policies = BTreeMap::new();
    for path in service.policy_files()? {
        let text = std::fs::read_to_string(&path).map_err(|cause| {
            Fault::new("E0106", Exit::Usage, format!("the policy {} cannot be read: {cause}", path.display()))
                .help("check the path and that this process may read it")
        })?;
        let policy = Policy::parse(&text).map_err(|problems| {
            let name = path.display().to_string();
            let message = format!("the policy {name} cannot be right:\n{}", problems.render(&name));
            Fault::new("E0114", Exit::Usage, message)
                .help("correct what is named above, then run `rollcall policy check`")
        })?;
        policies.insert(policy.tenant.clone(), Arc::new(policy));
    }
    Ok(policies)
}

fn store_fault(url: &str, error: &StoreError) -> Fault {
    match error {
        StoreError::Unreachable(_) => Fault::no_postgres(url, error, &error.why()),
        other => Fault::postgres_refuses(url, "console", other),
    }
}
