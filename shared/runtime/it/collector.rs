//! Telemetry as a process has it: one test, because the subscriber is one for the whole process.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use axum::routing::post;
use runtime::telemetry::{self, LogFormat, Options};

/// A collector gets the spans with the names that operators search for, as JSON; the last ones when the guard goes.
#[tokio::test(flavor = "multi_thread")]
async fn spans_reach_the_collector_with_the_service_that_made_them() {
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel::<serde_json::Value>();
    let collector = axum::Router::new().route(
        "/v1/traces",
        post(async move |axum::Json(body): axum::Json<serde_json::Value>| {
            sender.send(body).unwrap();
            axum::Json(serde_json::json!({}))
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let otlp = Some(format!("http://{}", listener.local_addr().unwrap()).into());
    tokio::spawn(async move { axum::serve(listener, collector).await });

    let guard = telemetry::init("watcher", &Options { otlp, log_format: LogFormat::Json }).unwrap();
    let traceparent = tracing::info_span!("detect change", tenant = "acme").in_scope(|| {
        tracing::info!(event.name = "rollcall.change.detected", "seen");
        runtime::trace::current_traceparent()
    });
    tokio::task::spawn_blocking(move || guard.shutdown()).await.unwrap();

    let body = tokio::time::timeout(Duration::from_secs(10), received.recv()).await.unwrap().unwrap().to_string();
    for expected in ["rollcall-watcher", "service.namespace", "service.instance.id", "detect change", "acme"] {
        assert!(body.contains(expected), "{expected} is not in {body}");
    }
    let trace_id = traceparent.unwrap().split('-').nth(1).unwrap().to_owned();
    assert!(body.contains(&trace_id));
    assert_eq!(telemetry::init("watcher", &Options::default()).unwrap_err().code, "E0108");
}
