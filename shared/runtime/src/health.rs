//! What a process says of itself over HTTP: `/livez`, `/readyz`, `/loops`, `/metrics`.
//!
//! *Live* says that the process answers. *Ready* says that everything it needs is there; when not, why not. *Loops* is
//! the typed report of each loop: idle or running, why it woke, how the last round went, when the next is due; the
//! console, the command line and alerts all read this one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::fault::Fault;
use crate::metrics::Metrics;

/// How often it is looked whether what a process needs is there.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What does not answer in this time is not there: silence must not go on looking like the last good answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// What a process knows of its own health. Clones share it.
#[derive(Clone, Debug)]
pub struct HealthState {
    service: Arc<str>,
    clock: Clock,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    conditions: BTreeMap<String, Condition>,
    loops: BTreeMap<String, LoopReport>,
}

/// One thing that the process needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What is needed, for example `postgres`.
    pub name: String,
    /// Whether it is there.
    pub ready: bool,
    /// Why not; empty when it is.
    pub reason: String,
    /// Since when it is so: microseconds since the Unix epoch.
    pub since_micros: i64,
}

/// What `/readyz` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyReport {
    /// Always `rollcall.ready/1`.
    pub schema: String,
    /// For example `watcher`.
    pub service: String,
    /// Whether all conditions are met.
    pub ready: bool,
    /// Each condition, by name.
    pub conditions: Vec<Condition>,
}

/// What `/loops` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopsReport {
    /// Always `rollcall.loops/1`.
    pub schema: String,
    /// For example `watcher`.
    pub service: String,
    /// Each loop, by name.
    pub loops: Vec<LoopReport>,
}

/// What one loop says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopReport {
    /// For example `sweep workspace`.
    pub name: String,
    /// What it is doing.
    pub state: LoopState,
    /// How often it has run to the end since the process started.
    pub rounds: u64,
    /// How the last round ended; `None` before the first.
    pub last: Option<LastRound>,
    /// When it will wake by itself: microseconds since the Unix epoch; `None`: only when something wakes it.
    pub next_due_micros: Option<i64>,
}

/// What a loop is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum LoopState {
    /// Waiting to be woken.
    Idle,
    /// At work.
    Running {
        /// What woke it: `event`, `tick`, `request`, …
        woken_by: String,
        /// Since when: microseconds since the Unix epoch.
        since_micros: i64,
    },
}

/// How a round ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRound {
    /// What woke it.
    pub woken_by: String,
    /// When it began: microseconds since the Unix epoch.
    pub started_micros: i64,
    /// When it ended: microseconds since the Unix epoch.
    pub ended_micros: i64,
    /// Whether it did what it set out to do.
    pub ok: bool,
    /// In a few words, with numbers; no personal data.
    pub result: String,
}

impl HealthState {
    /// A process that needs nothing yet, and is therefore ready: call [`Self::require`] before serving.
    pub fn new(service: &str, clock: Clock) -> Self {
        Self { service: service.into(), clock, inner: Arc::default() }
    }

    /// Something that the process needs; not there until the handle says so.
    pub fn require(&self, name: &str) -> Readiness {
        let readiness = Readiness { health: self.clone(), name: name.to_owned() };
        readiness.not_ready("starting");
        readiness
    }

    /// A loop that reports here.
    pub fn register_loop(&self, name: &str) -> LoopHandle {
        let report =
            LoopReport { name: name.to_owned(), state: LoopState::Idle, rounds: 0, last: None, next_due_micros: None };
        self.lock().loops.insert(name.to_owned(), report);
        LoopHandle { health: self.clone(), name: name.to_owned() }
    }

    /// Readiness as of now.
    pub fn ready_report(&self) -> ReadyReport {
        let conditions: Vec<Condition> = self.lock().conditions.values().cloned().collect();
        ReadyReport {
            schema: "rollcall.ready/1".to_owned(),
            service: self.service.to_string(),
            ready: conditions.iter().all(|condition| condition.ready),
            conditions,
        }
    }

    /// The loops as of now.
    pub fn loops_report(&self) -> LoopsReport {
        LoopsReport {
            schema: "rollcall.loops/1".to_owned(),
            service: self.service.to_string(),
            loops: self.lock().loops.values().cloned().collect(),
        }
    }

    /// A panic elsewhere does not make what is written here wrong: every change is one assignment.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, name: &str, ready: bool, reason: &str) {
        let now = self.clock.now_micros();
        let mut inner = self.lock();
        let since_micros = inner
            .conditions
            .get(name)
            .filter(|before| before.ready == ready && before.reason == reason)
            .map_or(now, |before| before.since_micros);
        let condition = Condition { name: name.to_owned(), ready, reason: reason.to_owned(), since_micros };
        inner.conditions.insert(name.to_owned(), condition);
    }
}

/// One condition of readiness, held by whoever knows.
#[derive(Clone, Debug)]
pub struct Readiness {
    health: HealthState,
    name: String,
}

impl Readiness {
    /// It is there.
    pub fn ready(&self) {
        self.health.set(&self.name, true, "");
    }

    /// It is not, and why: one line, no secret.
    pub fn not_ready(&self, reason: impl AsRef<str>) {
        self.health.set(&self.name, false, reason.as_ref());
    }
}

/// What tells whether something that the process needs is there; why not, in one line without a secret.
pub type Probe = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// A probe of a function.
pub fn probe<Look, Looked>(look: Look) -> Probe
where
    Look: Fn() -> Looked + Send + Sync + 'static,
    Looked: Future<Output = Result<(), String>> + Send + 'static,
{
    Box::new(move || Box::pin(look()))
}

/// Looks every two seconds whether what the process needs is there, until `stop` fires. What turns bad or good again is
/// logged once.
pub async fn watch(needs: Vec<(Readiness, Probe)>, stop: CancellationToken) {
    let mut told: Vec<Option<String>> = vec![None; needs.len()];
    loop {
        for ((readiness, probe), told) in needs.iter().zip(&mut told) {
            let answered = tokio::time::timeout(ANSWERS_WITHIN, probe()).await;
            let reason = answered.unwrap_or_else(|_| Err("there is no answer".to_owned())).err();
            match &reason {
                None => readiness.ready(),
                Some(reason) => readiness.not_ready(reason),
            }
            if *told != reason {
                let need = readiness.name.as_str();
                match &reason {
                    None => tracing::info!(event.name = "rollcall.health.ready", need, "what was missing is there"),
                    Some(reason) => {
                        tracing::warn!(event.name = "rollcall.health.not_ready", need, %reason, "not ready");
                    }
                }
                *told = reason;
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// A loop's own report, held by the loop.
#[derive(Clone, Debug)]
pub struct LoopHandle {
    health: HealthState,
    name: String,
}

impl LoopHandle {
    /// A round begins; `woken_by` says why: `event`, `tick`, `request`, …
    pub fn started(&self, woken_by: impl Into<String>) {
        let since_micros = self.health.clock.now_micros();
        let woken_by = woken_by.into();
        self.change(|report| report.state = LoopState::Running { woken_by, since_micros });
    }

    /// The round ended as `result` says; the loop waits until `next_due_micros` or for something to wake it.
    pub fn finished(&self, result: Result<String, String>, next_due_micros: Option<i64>) {
        let ended_micros = self.health.clock.now_micros();
        let (ok, result) = match result {
            Ok(said) => (true, said),
            Err(said) => (false, said),
        };
        self.change(|report| {
            let (woken_by, started_micros) = match std::mem::replace(&mut report.state, LoopState::Idle) {
                LoopState::Running { woken_by, since_micros } => (woken_by, since_micros),
                LoopState::Idle => (String::new(), ended_micros),
            };
            report.rounds += 1;
            report.last = Some(LastRound { woken_by, started_micros, ended_micros, ok, result });
            report.next_due_micros = next_due_micros;
        });
    }

    /// The next round is due at another time than was said when the last one ended.
    pub fn due(&self, next_due_micros: i64) {
        self.change(|report| report.next_due_micros = Some(next_due_micros));
    }

    /// The loop has no more to do in this process (its lease went elsewhere); its report disappears.
    pub fn ended(&self) {
        self.health.lock().loops.remove(&self.name);
    }

    fn change(&self, edit: impl FnOnce(&mut LoopReport)) {
        if let Some(report) = self.health.lock().loops.get_mut(&self.name) {
            edit(report);
        }
    }
}

/// Takes the address for [`serve`].
///
/// # Errors
/// E0103 when the port is taken or the address is not ours.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Fault> {
    TcpListener::bind(address).await.map_err(|cause| Fault::cannot_listen("--listen", &address, &cause))
}

/// Answers until `stop` fires. Loopback unless the operator says otherwise: the pages have no sign-in.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    health: HealthState,
    metrics: Metrics,
    stop: CancellationToken,
) -> std::io::Result<()> {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(event.name = "rollcall.health.listening", %address, "health endpoint is up");
    }
    axum::serve(listener, router(health, metrics)).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// The pages by themselves, for a process that has a listener of its own.
pub fn router(health: HealthState, metrics: Metrics) -> Router {
    let pages = Router::new()
        .route("/livez", get(async || Json(serde_json::json!({ "live": true }))))
        .route("/readyz", get(readyz))
        .route("/loops", get(async |State(health): State<HealthState>| Json(health.loops_report())))
        .with_state(health);
    let scrape = Router::new().route("/metrics", get(scrape)).with_state(metrics);
    pages.merge(scrape)
}

async fn readyz(State(health): State<HealthState>) -> impl IntoResponse {
    let report = health.ready_report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report))
}

async fn scrape(State(metrics): State<Metrics>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.exposition())
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
