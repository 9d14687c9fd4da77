//! The numbers that dashboards and alerts read: one function per metric, with the labels it may bear and no others.
//!
//! `org` is the tenant's id, `site` the directory's id as the policy file names them. No label holds a person, a group, a plan
//! or an address; a value with an `@` in it is replaced before it becomes a series.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use family::{Family, Kind};

mod family;

/// Every label that any metric may bear. A test compares this with what is exposed.
pub const ALLOWED_LABELS: [&str; 24] = [
    "action",
    "api",
    "class",
    "consumer",
    "db_operation_name",
    "error_type",
    "http_request_method",
    "http_response_status_code",
    "http_route",
    "kind",
    "messaging_destination_name",
    "messaging_operation_name",
    "org",
    "outcome",
    "product",
    "reason",
    "rule",
    "server_address",
    "side",
    "site",
    "stage",
    "state",
    "stream",
    // Of histogram buckets.
    "le",
];

/// From a second to four hours: a change may wait for a person.
const LATENCY_BUCKETS: &[f64] = &[1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0];

/// What the semantic conventions advise for durations of calls, in seconds.
const CALL_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// All metrics of a process. Clones share the numbers.
#[derive(Clone, Debug)]
pub struct Metrics {
    families: Arc<Families>,
}

/// The registry of this process, for `main` and for libraries that are called from many places.
pub fn process() -> &'static Metrics {
    static PROCESS: LazyLock<Metrics> = LazyLock::new(Metrics::new);
    &PROCESS
}

/// The registry of this process is told of a call to NATS: [`Metrics::messaging_operation`].
pub fn bus_called(operation: &'static str, stream: &'static str, error: &'static str, took: Duration) {
    process().messaging_operation(operation, stream, error, took);
}

/// The registry of this process is told what a consumer has before it: [`Metrics::consumer`].
pub fn bus_waits(stream: &'static str, consumer: &str, waiting: Option<[u64; 3]>) {
    process().consumer(stream, consumer, waiting);
}

/// The registry of this process is told of a call to the database: [`Metrics::db_operation`].
pub fn store_called(function: &'static str, error: &'static str, took: Duration) {
    process().db_operation(function, error, took);
}

#[derive(Debug)]
struct Families {
    change_latency: Family<4>,
    change_source_lag: Family<2>,
    changes: Family<5>,
    oldest_pending_age: Family<2>,
    drift_objects: Family<3>,
    conflicts_open: Family<3>,
    dead_letters: Family<2>,
    dead_letters_oldest_age: Family<2>,
    api_budget_remaining: Family<1>,
    api_throttled: Family<1>,
    watcher_last_success: Family<2>,
    snapshot_age: Family<2>,
    plan_pending_approvals: Family<2>,
    guard_holding: Family<2>,
    seats: Family<4>,
    seats_limit: Family<3>,
    consumer_pending: Family<2>,
    consumer_ack_pending: Family<2>,
    consumer_redelivered: Family<2>,
    messaging_operation: Family<3>,
    messaging_process: Family<3>,
    http_client: Family<4>,
    http_server: Family<3>,
    db_operation: Family<2>,
}

/// One reason why things lie in the dead letters, with how many and how old the oldest is.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetters {
    /// Class of the failure, for example `ownership`.
    pub reason: String,
    /// Open dead letters of that class.
    pub messages: u64,
    /// Age of the oldest.
    pub oldest_age: Duration,
}

impl Metrics {
    /// A registry of its own, with all families and no series.
    pub fn new() -> Self {
        Self { families: Arc::new(Families::new()) }
    }

    /// `count` changes were applied `latency` after they were detected. The time that they waited for a person is no
    /// part of it.
    pub fn change_latency(&self, org: &str, site: &str, kind: &str, action: &str, latency: Duration, count: u64) {
        self.families.change_latency.observe([org, site, kind, action], latency.as_secs_f64(), count);
    }

    /// `count` changes were detected `lag` after the source, or whoever pointed at them, told that they had happened
    /// (which is not ours to promise).
    pub fn change_source_lag(&self, org: &str, kind: &str, lag: Duration, count: u64) {
        self.families.change_source_lag.observe([org, kind], lag.as_secs_f64(), count);
    }

    /// `count` changes ended as `outcome` says.
    pub fn changes(&self, org: &str, site: &str, kind: &str, action: &str, outcome: &str, count: u64) {
        self.families.changes.add([org, site, kind, action, outcome], count);
    }

    /// How long the oldest change has waited in `stage`; zero when none waits. The one number that rises in a stall.
    pub fn oldest_pending_age(&self, org: &str, stage: &str, age: Duration) {
        self.families.oldest_pending_age.set([org, stage], age.as_secs_f64());
    }

    /// Objects at `site` that differ from what is wanted.
    pub fn drift_objects(&self, org: &str, site: &str, kind: &str, objects: u64) {
        self.families.drift_objects.set([org, site, kind], family::to_f64(objects));
    }

    /// Conflicts that wait for a decision at `site`, by class; classes not named here have none.
    pub fn conflicts_open(&self, org: &str, site: &str, by_class: &[(&str, u64)]) {
        self.families.conflicts_open.zero(&[org, site]);
        for (class, open) in by_class {
            self.families.conflicts_open.set([org, site, class], family::to_f64(*open));
        }
    }

    /// Open dead letters of `org`; reasons not named here have none.
    pub fn dead_letters(&self, org: &str, by_reason: &[DeadLetters]) {
        self.families.dead_letters.zero(&[org]);
        self.families.dead_letters_oldest_age.zero(&[org]);
        for letters in by_reason {
            let labels = [org, letters.reason.as_str()];
            self.families.dead_letters.set(labels, family::to_f64(letters.messages));
            self.families.dead_letters_oldest_age.set(labels, letters.oldest_age.as_secs_f64());
        }
    }

    /// Share of an API's budget that is left, 0 to 1.
    pub fn api_budget_remaining(&self, api: &str, ratio: f64) {
        self.families.api_budget_remaining.set([api], ratio);
    }

    /// An API refused a call because there were too many.
    pub fn api_throttled(&self, api: &str) {
        self.families.api_throttled.add([api], 1);
    }

    /// A complete read of one side ended well at `at_micros` since the Unix epoch.
    pub fn watcher_last_success(&self, org: &str, side: &str, at_micros: i64) {
        self.families
            .watcher_last_success
            .set([org, side], Duration::from_micros(at_micros.max(0).unsigned_abs()).as_secs_f64());
    }

    /// Age of the newest complete read of one side.
    pub fn snapshot_age(&self, org: &str, side: &str, age: Duration) {
        self.families.snapshot_age.set([org, side], age.as_secs_f64());
    }

    /// Cases that wait for approval, by the rule that asks for it; rules not named here hold none.
    pub fn plan_pending_approvals(&self, org: &str, by_rule: &[(&str, u64)]) {
        self.families.plan_pending_approvals.zero(&[org]);
        for (rule, cases) in by_rule {
            self.families.plan_pending_approvals.set([org, rule], family::to_f64(*cases));
        }
    }

    /// Edges that a guard holds, by guard; guards not named here hold none.
    pub fn guard_holding(&self, org: &str, by_rule: &[(&str, u64)]) {
        self.families.guard_holding.zero(&[org]);
        for (rule, edges) in by_rule {
            self.families.guard_holding.set([org, rule], family::to_f64(*edges));
        }
    }

    /// Seats of a product: how many are used, how many the plan would take, how many it would free.
    pub fn seats(&self, org: &str, site: &str, product: &str, [used, pending, reclaimable]: [u64; 3]) {
        for (state, seats) in [("used", used), ("pending", pending), ("reclaimable", reclaimable)] {
            self.families.seats.set([org, site, product, state], family::to_f64(seats));
        }
    }

    /// Seats that there are of a product.
    pub fn seats_limit(&self, org: &str, site: &str, product: &str, seats: u64) {
        self.families.seats_limit.set([org, site, product], family::to_f64(seats));
    }

    /// What a durable consumer has before it: undelivered, delivered and unsettled, delivered again. `None`: another
    /// process looks after it from now on.
    pub fn consumer(&self, stream: &str, consumer: &str, waiting: Option<[u64; 3]>) {
        let Families { consumer_pending, consumer_ack_pending, consumer_redelivered, .. } = &*self.families;
        let labels = [stream, consumer];
        for (at, family) in [consumer_pending, consumer_ack_pending, consumer_redelivered].into_iter().enumerate() {
            match waiting.and_then(|waiting| waiting.get(at).copied()) {
                Some(count) => family.set(labels, family::to_f64(count)),
                None => family.remove(labels),
            }
        }
    }

    /// A call to NATS took `took`; `error` is its class, or empty.
    pub fn messaging_operation(&self, operation: &str, stream: &str, error: &str, took: Duration) {
        self.families.messaging_operation.observe([operation, stream, error], took.as_secs_f64(), 1);
    }

    /// A message was handled in `took`; `error` is a class, or empty.
    pub fn messaging_process(&self, operation: &str, stream: &str, error: &str, took: Duration) {
        self.families.messaging_process.observe([operation, stream, error], took.as_secs_f64(), 1);
    }

    /// We called an API. `status` is the answer's, or empty when there was none; `error` its class, or empty.
    pub fn http_client(&self, method: &str, server: &str, status: &str, error: &str, took: Duration) {
        self.families.http_client.observe([method, server, status, error], took.as_secs_f64(), 1);
    }

    /// Somebody called us. `route` is the template, never the path.
    pub fn http_server(&self, method: &str, route: &str, status: &str, took: Duration) {
        self.families.http_server.observe([method, route, status], took.as_secs_f64(), 1);
    }

    /// A query took `took`; `operation` is the name of our function, `error` its class, or empty.
    pub fn db_operation(&self, operation: &str, error: &str, took: Duration) {
        self.families.db_operation.observe([operation, error], took.as_secs_f64(), 1);
    }

    /// All series in the text format that Prometheus scrapes, in an order that does not change.
    pub fn exposition(&self) -> String {
        self.families.exposition()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Families {
    /// The table of all metrics.
    #[rustfmt::skip]
    fn new() -> Self {
        use Kind::{Counter, Gauge, Histogram};
        Self {
            change_latency: Family::new("rollcall_change_latency_seconds", "From detected to applied, without what was waited for a person.", Histogram(LATENCY_BUCKETS), ["org", "site", "kind", "action"]),
            change_source_lag: Family::new("rollcall_change_source_lag_seconds", "From when the source, or whoever pointed at a change, told of it to detected.", Histogram(LATENCY_BUCKETS), ["org", "kind"]),
            changes: Family::new("rollcall_changes_total", "Changes by how they ended.", Counter, ["org", "site", "kind", "action", "outcome"]),
            oldest_pending_age: Family::new("rollcall_change_oldest_pending_age_seconds", "Age of the oldest change that waits; of the stage read: by how much a complete read is overdue.", Gauge, ["org", "stage"]),
            drift_objects: Family::new("rollcall_drift_objects", "Objects that differ from what is wanted.", Gauge, ["org", "site", "kind"]),
            conflicts_open: Family::new("rollcall_conflicts_open", "Conflicts that wait for a decision.", Gauge, ["org", "site", "class"]),
            dead_letters: Family::new("rollcall_dead_letters_messages", "Open dead letters.", Gauge, ["org", "reason"]),
            dead_letters_oldest_age: Family::new("rollcall_dead_letters_oldest_age_seconds", "Age of the oldest open dead letter.", Gauge, ["org", "reason"]),
            api_budget_remaining: Family::new("rollcall_api_budget_remaining_ratio", "Share of the API budget that is left.", Gauge, ["api"]),
            api_throttled: Family::new("rollcall_api_throttled_total", "Calls refused because there were too many.", Counter, ["api"]),
            watcher_last_success: Family::new("rollcall_watcher_last_success_timestamp_seconds", "When the last complete read ended.", Gauge, ["org", "side"]),
            snapshot_age: Family::new("rollcall_snapshot_age_seconds", "Age of the newest complete read; as the reconciler sees it, of the directory of this side that was read longest ago.", Gauge, ["org", "side"]),
            plan_pending_approvals: Family::new("rollcall_plan_pending_approvals", "Cases that wait for approval.", Gauge, ["org", "rule"]),
            guard_holding: Family::new("rollcall_guard_holding", "Edges that a guard holds.", Gauge, ["org", "rule"]),
            seats: Family::new("rollcall_seats", "Seats by state.", Gauge, ["org", "site", "product", "state"]),
            seats_limit: Family::new("rollcall_seats_limit", "Seats that there are.", Gauge, ["org", "site", "product"]),
            consumer_pending: Family::new("rollcall_jetstream_consumer_pending", "Messages not yet delivered.", Gauge, ["stream", "consumer"]),
            consumer_ack_pending: Family::new("rollcall_jetstream_consumer_ack_pending", "Messages delivered and not settled.", Gauge, ["stream", "consumer"]),
            consumer_redelivered: Family::new("rollcall_jetstream_consumer_redelivered", "Messages delivered again.", Gauge, ["stream", "consumer"]),
            messaging_operation: Family::new("messaging_client_operation_duration_seconds", "Calls to NATS.", Histogram(CALL_BUCKETS), ["messaging_operation_name", "messaging_destination_name", "error_type"]),
            messaging_process: Family::new("messaging_process_duration_seconds", "Handling of messages.", Histogram(CALL_BUCKETS), ["messaging_operation_name", "messaging_destination_name", "error_type"]),
            http_client: Family::new("http_client_request_duration_seconds", "Calls to APIs.", Histogram(CALL_BUCKETS), ["http_request_method", "server_address", "http_response_status_code", "error_type"]),
            http_server: Family::new("http_server_request_duration_seconds", "Calls to us.", Histogram(CALL_BUCKETS), ["http_request_method", "http_route", "http_response_status_code"]),
            db_operation: Family::new("db_client_operation_duration_seconds", "Queries.", Histogram(CALL_BUCKETS), ["db_operation_name", "error_type"]),
        }
    }

    fn exposition(&self) -> String {
        let mut text = String::new();
        self.change_latency.write(&mut text);
        self.change_source_lag.write(&mut text);
        self.changes.write(&mut text);
        self.oldest_pending_age.write(&mut text);
        self.drift_objects.write(&mut text);
        self.conflicts_open.write(&mut text);
        self.dead_letters.write(&mut text);
        self.dead_letters_oldest_age.write(&mut text);
        self.api_budget_remaining.write(&mut text);
        self.api_throttled.write(&mut text);
        self.watcher_last_success.write(&mut text);
        self.snapshot_age.write(&mut text);
        self.plan_pending_approvals.write(&mut text);
        self.guard_holding.write(&mut text);
        self.seats.write(&mut text);
        self.seats_limit.write(&mut text);
        self.consumer_pending.write(&mut text);
        self.consumer_ack_pending.write(&mut text);
        self.consumer_redelivered.write(&mut text);
        self.messaging_operation.write(&mut text);
        self.messaging_process.write(&mut text);
        self.http_client.write(&mut text);
        self.http_server.write(&mut text);
        self.db_operation.write(&mut text);
        text
    }
}

#[cfg(test)]
#[path = "metrics/tests.rs"]
mod tests;
