//! Groups and people of Confluence.

#![expect(clippy::unwrap_used, reason = "tests")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::atlassian::testing::{Bench, Reply};

async fn wiki(bench: &Bench, method: &str, path: &str, body: Value) -> Reply {
    let token = format!("Basic {}", STANDARD.encode("bot@acme.com:twin-api-token"));
    bench.send(method, &format!("/wiki/rest/api/{path}"), &token, body).await
}

#[tokio::test]
async fn what_is_so_already_is_said_to_be_done() {
    let bench = Bench::new();
    let made = wiki(&bench, "POST", "group", json!({ "name": "writers" })).await;
    assert_eq!(made.status, 201);
    let id = made.body.get("id").and_then(Value::as_str).unwrap().to_owned();
    let ann = bench.account("ann@acme.com");
    let (add, remove) =
        (format!("group/userByGroupId?groupId={id}"), format!("group/userByGroupId?groupId={id}&accountId={ann}"));
    for _ in 0..2 {
        assert_eq!(wiki(&bench, "POST", &add, json!({ "accountId": ann })).await.status, 201);
    }
    assert_eq!(bench.members("writers"), ["ann@acme.com"]);
    for _ in 0..2 {
        assert_eq!(wiki(&bench, "DELETE", &remove, Value::Null).await.status, 204);
    }
    assert!(bench.members("writers").is_empty());
    assert_eq!(wiki(&bench, "POST", "group", json!({ "name": "WRITERS" })).await.status, 400);
    assert_eq!(wiki(&bench, "POST", &add, json!({ "accountId": "nobody" })).await.status, 404);
}

#[tokio::test]
async fn listings_come_in_pages_and_leave_the_suspended_out() {
    let bench = Bench::new();
    bench.edit(json!({ "op": "group", "name": "g", "members": ["ann@acme.com", "bob@acme.com", "cat@acme.com"] }));
    bench.edit(json!({ "op": "standing", "account": "bob@acme.com", "standing": "suspended" }));
    let id = bench.group("g");
    let first = wiki(&bench, "GET", &format!("group/{id}/membersByGroupId?limit=1"), Value::Null).await.body;
    assert!(first.pointer("/_links/next").is_some());
    let second = wiki(&bench, "GET", &format!("group/{id}/membersByGroupId?limit=1&start=1"), Value::Null).await.body;
    assert!(second.pointer("/_links/next").is_none());
    let name = |page: &Value| page.pointer("/results/0/displayName").and_then(Value::as_str).unwrap().to_owned();
    assert_eq!((name(&first), name(&second)), ("ann".to_owned(), "cat".to_owned()));
    let large = wiki(&bench, "GET", &format!("group/{id}/membersByGroupId?limit=201"), Value::Null).await;
    assert_eq!(large.status, 400);
    let found = wiki(&bench, "GET", "search/user?cql=type%3Duser", Value::Null).await.body;
    assert_eq!(found.get("totalSize"), Some(&json!(4)));
    assert_eq!(wiki(&bench, "GET", "search/user?cql=nonsense", Value::Null).await.status, 400);
}
