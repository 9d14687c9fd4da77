#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use super::*;
use std::sync::atomic::AtomicI64;

async fn get_json(base: &str, page: &str) -> (u16, serde_json::Value) {
    let answer = reqwest::get(format!("{base}{page}")).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn the_pages_say_what_the_process_knows() {
    crate::tls::install_provider();
    let hands = Arc::new(AtomicI64::new(1_000));
    let health = HealthState::new("watcher", Clock::manual(Arc::clone(&hands)));
    let postgres = health.require("postgres");
    let sweep = health.register_loop("sweep workspace");
    let metrics = Metrics::new();
    metrics.api_throttled("google-directory");
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let server = tokio::spawn(serve(listener, health.clone(), metrics, stop.clone()));

    assert_eq!(get_json(&base, "/livez").await, (200, serde_json::json!({ "live": true })));
    let (status, ready) = get_json(&base, "/readyz").await;
    assert_eq!((status, &ready["conditions"][0]["reason"]), (503, &serde_json::json!("starting")));
    postgres.ready();
    assert_eq!(get_json(&base, "/readyz").await.0, 200);

    sweep.started("tick");
    hands.store(3_000, std::sync::atomic::Ordering::SeqCst);
    let (_, loops) = get_json(&base, "/loops").await;
    assert_eq!(
        loops["loops"][0]["state"],
        serde_json::json!({"is": "running", "woken_by": "tick", "since_micros": 1_000})
    );
    sweep.finished(Ok("412 groups read".to_owned()), Some(9_000));
    let (_, loops) = get_json(&base, "/loops").await;
    assert_eq!(loops["loops"][0]["last"]["ended_micros"], 3_000);
    assert_eq!(loops["loops"][0]["next_due_micros"], 9_000);

    let text = reqwest::get(format!("{base}/metrics")).await.unwrap().text().await.unwrap();
    assert!(text.contains("rollcall_api_throttled_total{api=\"google-directory\"} 1"), "{text}");
    stop.cancel();
    tokio::time::timeout(std::time::Duration::from_secs(10), server).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_taken_port_is_a_fault_with_what_to_do() {
    let holder = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let fault = bind(holder.local_addr().unwrap()).await.unwrap_err();
    assert_eq!(fault.code, "E0103");
    assert!(fault.message.contains("taken"));
}

#[test]
fn a_condition_keeps_the_time_since_it_holds() {
    let hands = Arc::new(AtomicI64::new(10));
    let health = HealthState::new("writer", Clock::manual(Arc::clone(&hands)));
    let nats = health.require("nats");
    hands.store(20, std::sync::atomic::Ordering::SeqCst);
    nats.not_ready("starting");
    assert_eq!(health.ready_report().conditions[0].since_micros, 10);
    nats.ready();
    assert_eq!(health.ready_report().conditions[0].since_micros, 20);
}
