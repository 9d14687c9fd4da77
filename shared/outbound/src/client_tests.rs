#![expect(clippy::unwrap_used, reason = "tests")]
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use secrecy::SecretString;

use super::*;
use crate::credential::{TokenFuture, TokenSource};

async fn serve(app: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

fn config(base: &str, credential: Credential) -> ClientConfig {
    let clock = Clock::real();
    let budget = Budget::learned("test", 100, 8, clock.clone());
    let mut config = ClientConfig::new("test", base, credential, budget, clock);
    config.retry.first = Duration::from_millis(2);
    config.timeout = Duration::from_secs(20);
    config
}

fn client(base: &str) -> Client {
    Client::new(config(base, Credential::Bearer("hunter2".into()))).unwrap()
}

#[test]
fn plain_http_goes_to_loopback_only() {
    let made = |base: &str| Client::new(config(base, Credential::None)).map(|_| ());
    assert_eq!(made("http://10.0.0.1:80"), Err(ClientError::PlainHttp("http://10.0.0.1:80".to_owned())));
    assert_eq!(
        made("http://localhost.evil.example"),
        Err(ClientError::PlainHttp("http://localhost.evil.example".to_owned()))
    );
    for bad in ["ftp://127.0.0.1", "nonsense", "mailto:a@b.c"] {
        assert!(matches!(made(bad), Err(ClientError::Address(_))), "{bad}");
    }
    for good in ["http://127.0.0.1:7001", "http://[::1]:7001", "http://localhost:7001", "https://api.atlassian.com"] {
        assert_eq!(made(good), Ok(()), "{good}");
    }
}

#[tokio::test]
async fn an_answer_of_any_status_is_an_answer() {
    let app = Router::new().route("/a/{id}", get(|| async { (StatusCode::CONFLICT, "{}") }));
    let base = serve(app).await;
    let answer = client(&base).send(&Request::get("/a/{id}", &["x"])).await.unwrap();
    assert_eq!(answer.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_closed_port_is_not_sent_and_a_cut_answer_is_unknown() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 64];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await.unwrap();
    });
    let client = client(&base);
    let call = Request::post("/x/{id}", &["ana@example.com"]);
    let error = client.send(&call).await.unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Unknown);
    assert_eq!(error.disposition(), model::Disposition::Unknown);
    // The listener is gone with its task.
    let error = loop {
        let error = client.send(&call).await.unwrap_err();
        if error.kind != CallErrorKind::Unknown {
            break error;
        }
    };
    assert_eq!(error.kind, CallErrorKind::NotSent);
    let shown = format!("{error} {error:?} {client:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("ana"), "{shown}");
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_takes_no_credential_along() {
    let app =
        Router::new().route("/from", get(|| async { Redirect::temporary("/to") })).route("/to", get(|| async { "{}" }));
    let client = client(&serve(app).await);
    let answer = client.send(&Request::get("/from", &[])).await.unwrap();
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(client.sense(&answer), Sense::Troubled);
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let app = Router::new().route("/big", get(|| async { "x".repeat(10_000) }));
    let mut config = config(&serve(app).await, Credential::None);
    config.largest_answer = 1_000;
    let error = Client::new(config).unwrap().send(&Request::get("/big", &[])).await.unwrap_err();
    assert!(error.message.contains("larger than 1000 bytes"));
}

/// Answers with these in turn, the last for ever.
fn in_turn(answers: Vec<fn() -> Response>) -> (Arc<AtomicU32>, Router) {
    let calls = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&calls);
    let answer = move || {
        let index = seen.fetch_add(1, Ordering::SeqCst) as usize;
        let answer = answers.get(index).or(answers.last()).map(|answer| answer());
        async move { answer.unwrap() }
    };
    (calls, Router::new().route("/x", get(answer.clone()).merge(post(answer))))
}

#[tokio::test]
async fn a_read_is_repeated_through_trouble_and_a_write_is_not() {
    let trouble: fn() -> Response = || StatusCode::SERVICE_UNAVAILABLE.into_response();
    let page: fn() -> Response = || axum::response::Html("<p>maintenance</p>").into_response();
    let good: fn() -> Response = || "{}".into_response();
    let (calls, app) = in_turn(vec![trouble, page, good]);
    let client = client(&serve(app).await);
    let answer = client.read(&Request::get("/x", &[])).await.unwrap();
    assert_eq!(client.sense(&answer), Sense::Judged);
    assert_eq!(calls.load(Ordering::SeqCst), 3);

    let (calls, app) = in_turn(vec![trouble, good]);
    let client = self::client(&serve(app).await);
    let answer = client.send(&Request::post("/x", &[])).await.unwrap();
    assert_eq!((answer.status.as_u16(), calls.load(Ordering::SeqCst)), (503, 1));
}

#[tokio::test]
async fn a_throttled_read_waits_as_asked_and_counts() {
    let throttled: fn() -> Response = || (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0.2")], "").into_response();
    let (calls, app) = in_turn(vec![throttled, || "{}".into_response()]);
    let client = client(&serve(app).await);
    let began = runtime::clock::monotonic();
    assert!(client.read(&Request::get("/x", &[])).await.unwrap().is_success());
    assert!(runtime::clock::monotonic() - began >= Duration::from_millis(190));
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    assert_eq!(client.budget().counts().throttled, 1);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    struct Source(AtomicU32);
    impl TokenSource for Source {
        fn token(&self, refresh: bool) -> TokenFuture<'_> {
            let number =
                if refresh { self.0.fetch_add(1, Ordering::SeqCst) + 1 } else { self.0.load(Ordering::SeqCst) };
            Box::pin(async move { Ok(SecretString::from(format!("t{number}"))) })
        }
    }
    let app = Router::new().route(
        "/x",
        get(|headers: HeaderMap| async move {
            let good = headers.get("authorization").is_some_and(|value| value == "Bearer t1");
            if good { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
        }),
    );
    let base = serve(app).await;
    let source = Arc::new(Source(AtomicU32::new(0)));
    let client = Client::new(config(&base, Credential::Tokens(source.clone()))).unwrap();
    assert!(client.send(&Request::get("/x", &[])).await.unwrap().is_success());
    assert_eq!(source.0.load(Ordering::SeqCst), 1);

    let hopeless = Arc::new(Source(AtomicU32::new(5)));
    let client = Client::new(config(&base, Credential::Tokens(hopeless.clone()))).unwrap();
    assert_eq!(client.send(&Request::get("/x", &[])).await.unwrap().status, StatusCode::UNAUTHORIZED);
    assert_eq!(hopeless.0.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn a_secret_that_was_replaced_is_taken_over_and_one_that_was_not_is_tried_once() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let answer = move |headers: HeaderMap| {
        counted.fetch_add(1, Ordering::SeqCst);
        let good = headers.get("authorization").is_some_and(|value| value == "Bearer new");
        std::future::ready(if good { StatusCode::OK } else { StatusCode::UNAUTHORIZED })
    };
    let base = serve(Router::new().route("/x", get(answer))).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "old").unwrap();
    let secret = runtime::secret::Secret::fetch("file:key".parse().unwrap(), folder.path()).unwrap();
    let client = Client::new(config(&base, Credential::Bearer(secret))).unwrap();
    let call = Request::get("/x", &[]);
    assert_eq!(client.send(&call).await.unwrap().status, StatusCode::UNAUTHORIZED);
    assert_eq!(calls.load(Ordering::SeqCst), 1, "the same secret is not shown twice");
    std::fs::write(folder.path().join("key"), "new").unwrap();
    assert!(client.send(&call).await.unwrap().is_success());
    assert!(client.send(&call).await.unwrap().is_success());
    assert_eq!(calls.load(Ordering::SeqCst), 4);
}

/// A server that keeps the request ids of what it is sent, and is in trouble so many times.
async fn naming(trouble: usize) -> (String, Arc<std::sync::Mutex<Vec<String>>>) {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let answer = move |headers: HeaderMap| {
        let mut kept = kept.lock().unwrap();
        kept.push(headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned());
        let status = if kept.len() > trouble { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        std::future::ready((status, "{}"))
    };
    (serve(Router::new().route("/a", axum::routing::any(answer))).await, seen)
}

#[tokio::test]
async fn i06_every_request_is_named_and_a_repeated_one_anew() {
    let (base, seen) = naming(2).await;
    client(&base).read(&Request::get("/a", &[])).await.unwrap();
    let ids = seen.lock().unwrap().clone();
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 3, "{ids:?}");
    assert!(ids.iter().all(|id| crate::attempt_of(id).is_some()), "{ids:?}");
}

#[tokio::test]
async fn i06_the_writes_of_an_attempt_are_named_after_it() {
    let (base, seen) = naming(0).await;
    let attempt = runtime::ids::uuid();
    let turn = crate::Turn::new(model::Lane::Urgent, Time(i64::MAX), attempt);
    for _ in 0..2 {
        client(&base).send(&Request::post("/a", &[]).turn(&turn)).await.unwrap();
    }
    assert_eq!(*seen.lock().unwrap(), [attempt.to_string(), format!("{attempt}.2")]);
}
