//! What the services expose to Prometheus, as it is scraped.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};

use crate::World;

/// One series of one service.
#[derive(Clone, Debug)]
pub struct Series {
    /// Who exposes it: `watcher`, `reconciler`, `writer`, `console`.
    pub service: &'static str,
    /// The family's name; of a histogram's series that which counts is kept.
    pub family: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// Every family that is promised, with its labels (`reference/ux.md` §4.1). Seats bear the tenant too: two tenants may
/// call a directory the same.
pub const TABLE: [(&str, &[&str]); 24] = [
    ("rollcall_change_latency_seconds", &["org", "site", "kind", "action"]),
    ("rollcall_change_source_lag_seconds", &["org", "kind"]),
    ("rollcall_changes_total", &["org", "site", "kind", "action", "outcome"]),
    ("rollcall_change_oldest_pending_age_seconds", &["org", "stage"]),
    ("rollcall_drift_objects", &["org", "site", "kind"]),
    ("rollcall_conflicts_open", &["org", "site", "class"]),
    ("rollcall_dead_letters_messages", &["org", "reason"]),
    ("rollcall_dead_letters_oldest_age_seconds", &["org", "reason"]),
    ("rollcall_api_budget_remaining_ratio", &["api"]),
    ("rollcall_api_throttled_total", &["api"]),
    ("rollcall_watcher_last_success_timestamp_seconds", &["org", "side"]),
    ("rollcall_snapshot_age_seconds", &["org", "side"]),
    ("rollcall_plan_pending_approvals", &["org", "rule"]),
    ("rollcall_guard_holding", &["org", "rule"]),
    ("rollcall_seats", &["org", "site", "product", "state"]),
    ("rollcall_seats_limit", &["org", "site", "product"]),
    ("rollcall_jetstream_consumer_pending", &["stream", "consumer"]),
    ("rollcall_jetstream_consumer_ack_pending", &["stream", "consumer"]),
    ("rollcall_jetstream_consumer_redelivered", &["stream", "consumer"]),
    (
        "messaging_client_operation_duration_seconds",
        &["messaging_operation_name", "messaging_destination_name", "error_type"],
    ),
    ("messaging_process_duration_seconds", &["messaging_operation_name", "messaging_destination_name", "error_type"]),
    (
        "http_client_request_duration_seconds",
        &["http_request_method", "server_address", "http_response_status_code", "error_type"],
    ),
    ("http_server_request_duration_seconds", &["http_request_method", "http_route", "http_response_status_code"]),
    ("db_client_operation_duration_seconds", &["db_operation_name", "error_type"]),
];

/// Families that only what went wrong brings forth: a letter is provoked by a test of letters.
pub const LETTERS: [&str; 2] = ["rollcall_dead_letters_messages", "rollcall_dead_letters_oldest_age_seconds"];

impl World {
    /// Scrapes all services.
    ///
    /// # Errors
    /// When one does not answer, or a line cannot be read.
    pub async fn scrape(&self) -> Result<Vec<Series>> {
        let mut all = Vec::new();
        for (service, health) in ["watcher", "reconciler", "writer", "console"].into_iter().zip(&self.health) {
            let text = harness::http()?.get(format!("{health}/metrics")).send().await?.text().await?;
            for line in text.lines().filter(|line| counts(line)) {
                all.push(series(service, line).with_context(|| line.to_owned())?);
            }
        }
        Ok(all)
    }
}

/// What of the table is not exposed with exactly its labels, and what is exposed and not in the table.
pub fn amiss(all: &[Series]) -> Vec<String> {
    let mut found: BTreeMap<&str, BTreeSet<Vec<&str>>> = BTreeMap::new();
    for series in all {
        found.entry(&series.family).or_default().insert(series.labels.keys().map(String::as_str).collect());
    }
    let mut lines = Vec::new();
    for (family, labels) in TABLE {
        let mut labels = labels.to_vec();
        labels.sort_unstable();
        match found.remove(family) {
            Some(with) if with == BTreeSet::from([labels]) => {}
            Some(with) => lines.push(format!("{family} has {with:?}")),
            None => lines.push(format!("{family} is exposed by nobody")),
        }
    }
    lines.extend(found.keys().map(|family| format!("{family} is in no table")));
    lines
}

/// Whether a line holds a value of its own: of a histogram's lines the one that counts does.
fn counts(line: &str) -> bool {
    let name = line.split('{').next().unwrap_or_default();
    !(line.starts_with('#') || name.ends_with("_bucket") || name.ends_with("_sum"))
}

/// Reads a line. Label values of ours hold neither commas nor quotation marks.
fn series(service: &'static str, line: &str) -> Option<Series> {
    let (name, rest) = line.split_once('{')?;
    let (inside, value) = rest.rsplit_once("} ")?;
    let pairs = inside.split(',').map(|pair| pair.split_once('='));
    let labels = pairs.map(|pair| pair.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())));
    let family = name.strip_suffix("_count").unwrap_or(name).to_owned();
    Some(Series { service, family, labels: labels.collect::<Option<_>>()?, value: value.parse().ok()? })
}
