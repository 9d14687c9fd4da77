use super::*;

/// One series in every family.
fn filled() -> Metrics {
    let metrics = Metrics::new();
    let second = Duration::from_secs(1);
    metrics.change_latency("acme", "cloud", "membership", "add", Duration::from_millis(700), 1);
    metrics.change_source_lag("acme", "membership", second, 1);
    metrics.changes("acme", "cloud", "membership", "add", "done", 3);
    metrics.oldest_pending_age("acme", "writer", second);
    metrics.drift_objects("acme", "cloud", "group", 2);
    metrics.conflicts_open("acme", "cloud", &[("name", 1)]);
    metrics.dead_letters("acme", &[DeadLetters { reason: "ownership".to_owned(), messages: 1, oldest_age: second }]);
    metrics.api_budget_remaining("google-directory", 0.25);
    metrics.api_throttled("google-directory");
    metrics.watcher_last_success("acme", "source", 1_700_000_000_500_000);
    metrics.snapshot_age("acme", "source", second);
    metrics.plan_pending_approvals("acme", &[("per_group", 1)]);
    metrics.guard_holding("acme", &[("per_group", 12)]);
    metrics.seats("acme", "jira", "jira-software", [480, 5, 2]);
    metrics.seats_limit("acme", "jira", "jira-software", 500);
    metrics.consumer("ROLLCALL_COMMAND", "writer-acme_cloud_urgent", Some([1, 2, 3]));
    metrics.messaging_operation("publish", "ROLLCALL_COMMAND", "", second);
    metrics.messaging_process("settle", "ROLLCALL_OUTCOME", "", second);
    metrics.http_client("GET", "admin.googleapis.com", "200", "", second);
    metrics.http_server("GET", "/v1/status", "200", second);
    metrics.db_operation("decide", "", second);
    metrics
}

/// Names of the labels in a line of the text format, whose values here hold neither commas nor quotation marks.
fn labels_of(line: &str) -> Vec<&str> {
    let inside = line.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(inside, _)| inside);
    inside.split(',').filter_map(|pair| pair.split_once('=')).map(|(name, _)| name).collect()
}

#[test]
fn only_the_allowed_labels_are_ever_exposed() {
    let text = filled().exposition();
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        for label in labels_of(line) {
            assert!(ALLOWED_LABELS.contains(&label), "the label {label} is not allowed: {line}");
            seen.insert(label);
        }
    }
    assert_eq!(seen.len(), ALLOWED_LABELS.len(), "an allowed label that no metric bears should go");
}

/// That services fill them is for `tests/scenarios` to show, on what they really expose.
#[test]
fn the_order_of_families_and_series_never_changes() {
    assert_eq!(filled().exposition(), filled().exposition());
    assert_eq!(Metrics::new().exposition(), "");
    let metrics = Metrics::new();
    for api in ["b", "a", "c", "a"] {
        metrics.api_throttled(api);
    }
    let text = metrics.exposition();
    let series: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let expected = [("a", 2), ("b", 1), ("c", 1)];
    assert_eq!(series, expected.map(|(api, calls)| format!("rollcall_api_throttled_total{{api=\"{api}\"}} {calls}")));
}

#[test]
fn a_consumer_that_another_process_looks_after_is_not_shown_here() {
    let metrics = filled();
    assert!(metrics.exposition().contains("rollcall_jetstream_consumer_pending{"));
    metrics.consumer("ROLLCALL_COMMAND", "writer-acme_cloud_urgent", None);
    assert!(!metrics.exposition().contains("rollcall_jetstream_consumer_"));
}

#[test]
fn numbers_come_out_as_they_went_in() {
    let text = filled().exposition();
    for line in [
        "rollcall_changes_total{org=\"acme\",site=\"cloud\",kind=\"membership\",action=\"add\",outcome=\"done\"} 3",
        "rollcall_change_latency_seconds_bucket{org=\"acme\",site=\"cloud\",kind=\"membership\",action=\"add\",le=\"1\"} 1",
        "rollcall_change_latency_seconds_bucket{org=\"acme\",site=\"cloud\",kind=\"membership\",action=\"add\",le=\"+Inf\"} 1",
        "rollcall_change_latency_seconds_sum{org=\"acme\",site=\"cloud\",kind=\"membership\",action=\"add\"} 0.7",
        "rollcall_watcher_last_success_timestamp_seconds{org=\"acme\",side=\"source\"} 1700000000.5",
        "rollcall_api_budget_remaining_ratio{api=\"google-directory\"} 0.25",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
    }
}

#[test]
fn what_is_not_reported_any_more_falls_to_zero() {
    let metrics = filled();
    metrics.dead_letters("acme", &[]);
    metrics.guard_holding("acme", &[("per_plan", 1)]);
    let text = metrics.exposition();
    assert!(text.contains("rollcall_dead_letters_messages{org=\"acme\",reason=\"ownership\"} 0"));
    assert!(text.contains("rollcall_guard_holding{org=\"acme\",rule=\"per_group\"} 0"));
    assert!(text.contains("rollcall_guard_holding{org=\"acme\",rule=\"per_plan\"} 1"));
}

#[test]
fn an_address_never_becomes_a_series() {
    let metrics = Metrics::new();
    metrics.api_throttled("jane@acme.com");
    metrics.api_throttled("say \"hi\"\\");
    let text = metrics.exposition();
    assert!(!text.contains("jane"));
    assert!(text.contains("api=\"say \\\"hi\\\"\\\\\""), "{text}");
}
