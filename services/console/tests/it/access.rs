//! Who gets in, and who may do what.

use console::Role;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::world::{World, case, token};

/// A path of each route with its parts filled in by things that exist.
fn filled(path: &str, digest: &str, letter: u64) -> String {
    path.replace("{digest}", digest)
        .replace("{id}", &letter.to_string())
        .replace("{number}", "1")
        .replace("{target}", "cloud")
        .replace("{group}", "g-1")
        .replace("/explain", "/explain?person=nobody@acme.com")
}

/// A body that each write takes, if the role reaches.
fn body(path: &str, digest: &str, letter: u64) -> serde_json::Value {
    match path {
        "/cases/verdict" => json!({"digests": [digest], "verdict": "reject", "reason": "matrix"}),
        "/conflicts/decision" => {
            json!({"target": "cloud", "groups": ["g-9"], "decision": "keep-apart", "reason": "matrix"})
        }
        "/conflicts/{target}/{group}" => json!({"decision": "keep-apart", "reason": "matrix"}),
        "/hints/sign-in" => json!({"person": "pat@acme.com"}),
        "/plans/apply" => json!({"digests": [digest]}),
        "/dead-letters/redrive" | "/dead-letters/discard" => json!({"ids": [letter], "reason": "matrix"}),
        _ => json!({"reason": "matrix"}),
    }
}

#[tokio::test]
async fn each_role_may_take_exactly_its_routes() {
    let world = World::start().await;
    let held = case("g-1", &["a", "b"]);
    world.hold(1, std::slice::from_ref(&held)).await;
    let letter = world.letter("a").await;
    let digest = held.digest.to_string();
    let _reconciler = world.answer("apply").await;
    let routes = console::routes();
    assert!(routes.len() >= 20);
    for route in &routes {
        for role in Role::ALL {
            let path = filled(route.path, &digest, letter);
            let mut request = world.request(route.method.clone(), &path).bearer_auth(token(role.as_str()));
            if route.method == Method::POST {
                request = request.json(&body(route.path, &digest, letter));
            }
            let (status, answer) = world.send(request).await;
            // There is nobody of that address, and no group in conflict.
            let nothing = route.path == "/explain"
                || (route.method == Method::GET && route.path == "/conflicts/{target}/{group}");
            let found = if nothing { StatusCode::NOT_FOUND } else { StatusCode::OK };
            let wanted = if role >= route.role { found } else { StatusCode::FORBIDDEN };
            assert_eq!(status, wanted, "{role:?} {} {path}: {answer}", route.method);
            if status == StatusCode::FORBIDDEN {
                assert_eq!(answer["code"], "forbidden");
            }
        }
    }
    // Everybody who is known and tried what they may not is in the chain; looking is not an attempt.
    let refused = world.refusals().await;
    let writes = routes.iter().filter(|route| route.method == Method::POST);
    let below: usize = writes.map(|route| Role::ALL.iter().filter(|role| **role < route.role).count()).sum();
    assert_eq!(refused.len(), below);
}

#[tokio::test]
async fn i12_an_outsider_learns_nothing_and_changes_no_row() {
    let world = World::start().await;
    let held = case("g-1", &["a", "b"]);
    world.hold(1, std::slice::from_ref(&held)).await;
    let before = world.count("common.audit").await;
    let digest = held.digest.to_string();
    let mut said = Vec::new();
    let wrong = ["", "Bearer", "Bearer ", "Bearer wrong", "Basic a2ltOng=", "Bearer token-of-viewer"];
    let paths = ["/status", "/nowhere", &format!("/cases/{digest}/approve"), "/cases/0123"];
    for path in paths {
        for header in wrong {
            for method in [Method::GET, Method::POST, Method::DELETE] {
                let request = world.request(method, path).header("authorization", header).json(&json!({"reason": "x"}));
                let (status, answer) = world.send(request).await;
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{path} {header}");
                said.push(answer);
            }
        }
    }
    said.dedup();
    assert_eq!(said.len(), 1, "the same words for each reason");
    assert_eq!(world.count("common.audit").await, before);
    assert_eq!(world.count("console.approval").await, 0);
}

#[tokio::test]
async fn another_tenants_admin_sees_and_does_nothing_here() {
    let world = World::start().await;
    let held = case("g-1", &["a", "b"]);
    world.hold(1, std::slice::from_ref(&held)).await;
    let (status, answer) = world.get("eve", "/status").await;
    assert_eq!((status, answer["tenants"].as_array().map(Vec::len)), (StatusCode::OK, Some(0)));
    for path in ["/cases?tenant=acme", "/plans/1?tenant=acme", "/status?tenant=acme", "/dead-letters?tenant=acme"] {
        assert_eq!(world.get("eve", path).await.0, StatusCode::FORBIDDEN, "{path}");
    }
    let path = format!("/cases/{}/approve?tenant=acme", held.digest);
    assert_eq!(world.post("eve", &path, json!({"reason": "x"})).await.0, StatusCode::FORBIDDEN);
    assert_eq!(world.count("console.approval").await, 0);
    assert_eq!(world.get("viewer", "/cases?tenant=globex").await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn only_names_that_are_ours_are_answered() {
    let world = World::start().await;
    let ask = |host: String| world.request(Method::GET, "/status").bearer_auth(token("viewer")).header("host", host);
    let port = world.port;
    for host in [format!("127.0.0.1:{port}"), format!("LOCALHOST:{port}"), "console.acme.example".to_owned()] {
        assert_eq!(world.send(ask(host.clone())).await.0, StatusCode::OK, "{host}");
    }
    let wrong = ["evil.example", "127.0.0.1", "127.0.0.1:1", "console.acme.example.evil.example", "localhost"];
    for host in wrong.iter().map(|host| (*host).to_owned()).chain([format!("127.0.0.1:{port}.evil.example")]) {
        let (status, answer) = world.send(ask(host.clone())).await;
        assert_eq!((status, answer["code"].as_str()), (StatusCode::MISDIRECTED_REQUEST, Some("misdirected")), "{host}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_said_in_our_words_and_nothing_is_kept() {
    let world = World::start().await;
    let ask = |path: &str| world.request(Method::POST, path).bearer_auth(token("admin"));
    let (status, answer) =
        world.send(ask("/pause").body("{\"reason\": \"hunter2").header("content-type", "application/json")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(!answer.to_string().contains("hunter2"));
    assert_eq!(world.send(ask("/pause").body("reason=x")).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let long = json!({"reason": "x".repeat(70 * 1024)});
    assert_eq!(world.send(ask("/pause").json(&long)).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(world.send(ask("/pause").json(&json!({"reason": " "}))).await.0, StatusCode::BAD_REQUEST);
    let answer = world.request(Method::GET, "/status").bearer_auth(token("viewer")).send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(world.send(ask("/status")).await.0, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(world.get("viewer", "/nowhere").await.1["code"], "not-found");
    assert_eq!(world.count("console.pause").await, 0);
}

#[tokio::test]
async fn a_token_never_reaches_the_database() {
    let world = World::start().await;
    let held = case("g-1", &["a", "b"]);
    world.hold(1, std::slice::from_ref(&held)).await;
    world.approve("approver", &held.digest.to_string()).await;
    world.approve("viewer", &held.digest.to_string()).await;
    for table in ["common.audit", "console.approval"] {
        let rows = world.owner.query(&format!("select t::text from {table} t"), &[]).await.unwrap();
        assert!(!rows.is_empty());
        assert!(rows.iter().all(|row| !row.get::<_, String>(0).contains("0123456789abcdef")), "{table}");
    }
}
