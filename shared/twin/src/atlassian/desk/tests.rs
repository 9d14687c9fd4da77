//! Customers, organizations of customers, portal-only accounts.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::atlassian::testing::{Bench, Reply};

async fn desk(bench: &Bench, method: &str, path: &str, body: Value) -> Reply {
    let token = format!("Basic {}", STANDARD.encode("bot@acme.com:twin-api-token"));
    bench.send(method, &format!("/rest/servicedeskapi/{path}"), &token, body).await
}

fn bench() -> Bench {
    let bench = Bench::new();
    bench.switch(|it| it.jsm_needs_opt_in = false);
    bench.edit(json!({ "op": "load",
        "desks": [{ "site": "acme", "key": "HELP", "name": "Help", "customers": ["eve@outside.org"] }],
        "customer_organizations": [{ "site": "acme", "name": "Partners", "desks": ["HELP"] }] }));
    bench
}

fn addresses(reply: &Reply) -> Vec<&str> {
    reply.body["values"].as_array().unwrap().iter().filter_map(|it| it["emailAddress"].as_str()).collect()
}

/// Row by row of the behaviour table: what each call answers the first and the second time.
#[tokio::test]
async fn repeats_change_nothing_and_are_no_refusal() {
    let bench = bench();
    let ann = json!({ "accountIds": [bench.account("ann@acme.com")] });
    let made = desk(&bench, "POST", "organization", json!({ "name": "New" })).await;
    let id = made.body["id"].as_str().unwrap().to_owned();
    let number: u64 = id.parse().unwrap();
    let rows = [
        ("POST", "servicedesk/HELP/customer".to_owned(), ann.clone(), 204),
        ("DELETE", "servicedesk/HELP/customer".to_owned(), ann.clone(), 204),
        ("POST", format!("organization/{id}/user"), ann.clone(), 204),
        ("DELETE", format!("organization/{id}/user"), ann, 204),
        ("POST", "servicedesk/HELP/organization".to_owned(), json!({ "organizationId": number }), 204),
        ("DELETE", "servicedesk/HELP/organization".to_owned(), json!({ "organizationId": number }), 204),
        ("POST", "organization".to_owned(), json!({ "name": "new" }), 201),
    ];
    for (method, path, body, expected) in rows {
        for round in ["first", "again"] {
            let reply = desk(&bench, method, &path, body.clone()).await;
            assert_eq!(reply.status, expected, "{method} {path} {round}: {}", reply.text);
        }
    }
    let again = desk(&bench, "POST", "organization", json!({ "name": "NEW" })).await;
    assert_eq!(again.body["id"], json!(id), "an existing name gives the existing organization");
}

#[tokio::test]
async fn portal_only_accounts_are_made_listed_and_ended() {
    let bench = bench();
    let new = json!({ "email": "pia@partner.org", "displayName": "Pia" });
    let made = desk(&bench, "POST", "customer", new.clone()).await;
    assert_eq!((made.status, made.body["displayName"].as_str()), (201, Some("Pia")));
    let id = made.body["accountId"].as_str().unwrap().to_owned();
    assert!(id.starts_with("qm:"), "{id}");
    assert_eq!(desk(&bench, "POST", "customer", new.clone()).await.status, 400);
    assert_eq!(desk(&bench, "POST", "customer?strictConflictStatusCode=true", new).await.status, 409);
    let added = desk(&bench, "POST", "servicedesk/HELP/customer", json!({ "accountIds": [id] })).await;
    assert_eq!(added.status, 204);
    let found = desk(&bench, "GET", "servicedesk/HELP/customer?query=pia@", Value::Null).await;
    assert_eq!(addresses(&found), ["pia@partner.org"]);
    let all = bench.jira("GET", "users/search?maxResults=100", Value::Null).await.body;
    let listed = all.as_array().unwrap().iter().find(|it| it["accountId"] == json!(id)).unwrap();
    assert_eq!((&listed["accountType"], &listed["active"]), (&json!("customer"), &json!(true)));
    let ended = desk(&bench, "PUT", &format!("customer/user/{id}/revoke-portal-only-access"), Value::Null).await;
    assert_eq!(ended.status, 204);
    let left = desk(&bench, "GET", "servicedesk/HELP/customer", Value::Null).await;
    assert_eq!(addresses(&left), ["eve@outside.org"]);
}

#[tokio::test]
async fn refusals_have_their_statuses() {
    let bench = bench();
    let (ann, nobody) = (bench.account("ann@acme.com"), "712020:nobody");
    let both = json!({ "accountIds": [nobody, ann] });
    let half = desk(&bench, "POST", "servicedesk/HELP/customer", both.clone()).await;
    assert_eq!(half.status, 400, "somebody is unknown, and the others are added");
    let all = desk(&bench, "GET", "servicedesk/HELP/customer", Value::Null).await;
    assert!(addresses(&all).contains(&"ann@acme.com"));
    for (method, path, body, expected) in [
        ("GET", "servicedesk/NONE/customer", Value::Null, 404),
        ("POST", "servicedesk/NONE/customer", both.clone(), 404),
        ("POST", "organization/99/user", both.clone(), 404),
        ("POST", "organization", json!({ "name": "" }), 400),
        ("POST", "customer", json!({ "email": "no address" }), 400),
        ("GET", "nothing", Value::Null, 404),
    ] {
        let reply = desk(&bench, method, path, body).await;
        assert_eq!(reply.status, expected, "{method} {path}: {}", reply.text);
    }
    let partners = desk(&bench, "GET", "organization", Value::Null).await.body["values"][0]["id"].clone();
    let path = format!("organization/{}/user", partners.as_str().unwrap());
    assert_eq!(desk(&bench, "POST", &path, both.clone()).await.status, 400, "unknown people");
    bench.edit(json!({ "op": "load", "customer_organizations": [{ "site": "acme", "name": "Partners", "scim_managed": true }] }));
    assert_eq!(desk(&bench, "POST", &path, json!({ "accountIds": [ann] })).await.status, 403);
    bench.edit(json!({ "op": "load", "desks": [{ "site": "acme", "key": "HELP", "name": "Help", "open": true }] }));
    let open = desk(&bench, "DELETE", "servicedesk/HELP/customer", json!({ "accountIds": [ann] })).await;
    assert_eq!(open.status, 400, "an open desk has no list to leave");
    bench.switch(|it| it.jsm_needs_opt_in = true);
    assert_eq!(desk(&bench, "GET", "servicedesk/HELP/customer", Value::Null).await.status, 412);
    let stranger = format!("Basic {}", STANDARD.encode("bot@acme.com:wrong"));
    let refused = bench.send("GET", "/rest/servicedeskapi/organization", &stranger, Value::Null).await;
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let bench = bench();
    let people: Vec<String> = (0..7).map(|n| format!("p{n}@partner.org")).collect();
    bench.edit(json!({ "op": "load",
        "customer_organizations": [{ "site": "acme", "name": "Partners", "members": people }] }));
    bench.switch(|it| it.jsm_page_max = 3);
    let id = desk(&bench, "GET", "organization", Value::Null).await.body["values"][0]["id"].clone();
    let (mut seen, mut start) = (Vec::new(), 0);
    loop {
        let path = format!("organization/{}/user?start={start}&limit=100", id.as_str().unwrap());
        let page = desk(&bench, "GET", &path, Value::Null).await;
        seen.extend(addresses(&page).into_iter().map(str::to_owned));
        start += addresses(&page).len();
        if page.body["isLastPage"] == json!(true) {
            break;
        }
    }
    assert_eq!(seen, people);
}
