//! The four products against the idempotency matrix of atlassian-dc.md §8, paging, credentials and throttling.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::engine::{Fault, FaultKind, Limit};
use crate::server::{Shared, Twin};
use crate::world::Cause;

struct Bench(Shared);

struct Reply {
    status: u16,
    headers: HeaderMap,
    text: String,
    body: Value,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }
}

const PRODUCTS: [&str; 4] = ["jira", "confluence", "bitbucket", "crowd"];

impl Bench {
    /// Each product with `ann`, `bob` and `cat`; `eng` with `ann` in it; `full` gives access, and the only seat is
    /// `ann`'s; `ldap` is a directory that is only read, with `far` in the group `synced`.
    fn new() -> Self {
        let twin: Shared = Arc::new(Twin::default());
        twin.engine.credentials().merge(super::super::sample_credentials("bot@acme.com"));
        twin.engine.clock.set(1_800_000_000_000);
        let bench = Self(twin);
        for product in PRODUCTS {
            bench.edit(json!({ "op": "directory", "instance": product, "directory": "ldap", "writable": false }));
            for name in ["ann", "bob", "cat"] {
                bench.edit(json!({ "op": "user", "instance": product, "name": name,
                    "email": format!("{name}@acme.com"), "display_name": format!("{name} Acme") }));
            }
            bench.edit(json!({ "op": "user", "instance": product, "directory": "ldap", "name": "far", "email": "far@acme.com" }));
            bench.edit(json!({ "op": "group", "instance": product, "directory": "ldap", "name": "synced", "members": ["far"] }));
            bench.edit(json!({ "op": "group", "instance": product, "name": "eng", "members": ["ann"] }));
            bench.edit(json!({ "op": "group", "instance": product, "name": "full", "members": ["ann"] }));
            if product != "crowd" {
                let key = if product == "jira" { "jira-software" } else { product };
                bench.edit(
                    json!({ "op": "application", "instance": product, "key": key, "groups": ["full"], "seats": 1 }),
                );
            }
        }
        bench.edit(
            json!({ "op": "project", "instance": "jira", "key": "OPS", "lead": "bob", "components": { "net": "bob" } }),
        );
        bench
    }

    fn edit(&self, edit: Value) {
        self.0.world().edit_dc(serde_json::from_value(edit).unwrap(), &Cause::default()).unwrap();
    }

    fn switch(&self, instance: &str, change: impl FnOnce(&mut crate::world::dc::DcSwitches)) {
        change(&mut self.0.world().dc.instance_mut(instance).unwrap().switches);
    }

    fn credential(product: &str) -> String {
        match product {
            "crowd" => format!("Basic {}", STANDARD.encode("rollcall:twin-crowd-application")),
            other => format!("Bearer twin-{other}-token"),
        }
    }

    fn root(product: &str) -> &'static str {
        match product {
            "jira" => "/dc/jira/rest/api/2/",
            "confluence" => "/dc/confluence/rest/api/",
            "bitbucket" => "/dc/bitbucket/rest/api/latest/",
            _ => "/dc/crowd/rest/usermanagement/1/",
        }
    }

    async fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let router = super::super::router().with_state(Arc::clone(&self.0));
        let (parts, body) = router.oneshot(request.body(body).unwrap()).await.unwrap().into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Reply { status: parts.status.as_u16(), headers: parts.headers, text, body }
    }

    async fn ask(&self, product: &str, method: &str, path: &str, body: Value) -> Reply {
        let credential = Self::credential(product);
        let headers = [
            ("authorization", credential.as_str()),
            ("accept", "application/json"),
            ("content-type", "application/json"),
        ];
        self.raw(method, &format!("{}{path}", Self::root(product)), &headers, &body).await
    }

    fn members(&self, product: &str, group: &str) -> Vec<String> {
        let all = self.0.world().dc.memberships(product);
        all.get(group).into_iter().flatten().cloned().collect()
    }
}

/// One row: what is done, how, and the status of the first time and of every other time.
type Row = (&'static str, &'static str, &'static str, Value, u16, u16);

fn rows(product: &str) -> Vec<Row> {
    match product {
        "jira" => jira_rows(),
        "confluence" => confluence_rows(),
        "bitbucket" => bitbucket_rows(),
        _ => crowd_rows(),
    }
}

fn jira_rows() -> Vec<Row> {
    vec![
        (
            "create user",
            "POST",
            "user",
            json!({ "name": "dan", "emailAddress": "dan@acme.com", "displayName": "Dan" }),
            201,
            400,
        ),
        ("create group", "POST", "group", json!({ "name": "ops" }), 201, 400),
        ("add member", "POST", "group/user?groupname=eng", json!({ "name": "cat" }), 201, 400),
        ("remove member", "DELETE", "group/user?groupname=eng&username=cat", Value::Null, 200, 400),
        ("deactivate", "PUT", "user?username=cat", json!({ "active": false }), 200, 200),
        ("delete user", "DELETE", "user?username=dan", Value::Null, 204, 404),
        ("delete group", "DELETE", "group?groupname=ops", Value::Null, 200, 404),
        ("add to unknown group", "POST", "group/user?groupname=none", json!({ "name": "ann" }), 404, 404),
        ("add unknown user", "POST", "group/user?groupname=eng", json!({ "name": "nobody" }), 404, 404),
        ("remove unknown user", "DELETE", "group/user?groupname=eng&username=nobody", Value::Null, 404, 404),
        ("beyond the licence", "POST", "group/user?groupname=full", json!({ "name": "bob" }), 400, 400),
        ("read-only directory", "POST", "group/user?groupname=synced", json!({ "name": "ann" }), 403, 403),
        ("deactivate a project lead", "PUT", "user?username=bob", json!({ "active": false }), 400, 400),
    ]
}

fn confluence_rows() -> Vec<Row> {
    vec![
        (
            "create user",
            "POST",
            "admin/user",
            json!({ "userName": "dan", "email": "dan@acme.com", "fullName": "Dan", "password": "long enough" }),
            201,
            409,
        ),
        ("create group", "POST", "admin/group", json!({ "type": "group", "name": "ops" }), 200, 409),
        ("add member", "PUT", "user/cat/group/eng", Value::Null, 204, 204),
        ("remove member", "DELETE", "user/cat/group/eng", Value::Null, 204, 204),
        ("deactivate", "PUT", "admin/user/cat/disable", Value::Null, 204, 204),
        ("delete user", "DELETE", "admin/user/dan", Value::Null, 202, 404),
        ("delete group", "DELETE", "admin/group/ops", Value::Null, 204, 404),
        ("add to unknown group", "PUT", "user/ann/group/none", Value::Null, 404, 404),
        ("add unknown user", "PUT", "user/nobody/group/eng", Value::Null, 404, 404),
        ("beyond the licence", "PUT", "user/bob/group/full", Value::Null, 402, 402),
        ("read-only directory", "PUT", "user/ann/group/synced", Value::Null, 403, 403),
        ("last administrators", "DELETE", "admin/group/confluence-administrators", Value::Null, 400, 400),
        (
            "a name in upper case",
            "POST",
            "admin/user",
            json!({ "userName": "Dan", "email": "d@acme.com", "fullName": "D", "password": "x" }),
            400,
            400,
        ),
    ]
}

fn bitbucket_rows() -> Vec<Row> {
    vec![
        (
            "create user",
            "POST",
            "admin/users?name=dan&displayName=Dan&emailAddress=dan@acme.com&password=x",
            Value::Null,
            204,
            409,
        ),
        ("create group", "POST", "admin/groups?name=ops", Value::Null, 200, 409),
        ("add members", "POST", "admin/groups/add-users", json!({ "group": "eng", "users": ["bob", "cat"] }), 200, 200),
        ("remove member", "POST", "admin/users/remove-group", json!({ "context": "cat", "itemName": "eng" }), 200, 404),
        ("delete user", "DELETE", "admin/users?name=dan", Value::Null, 200, 404),
        ("delete group", "DELETE", "admin/groups?name=ops", Value::Null, 200, 404),
        (
            "add to unknown group",
            "POST",
            "admin/groups/add-users",
            json!({ "group": "none", "users": ["ann"] }),
            404,
            404,
        ),
        (
            "add unknown user",
            "POST",
            "admin/groups/add-users",
            json!({ "group": "eng", "users": ["nobody"] }),
            404,
            404,
        ),
        (
            "beyond the licence",
            "POST",
            "admin/groups/add-users",
            json!({ "group": "full", "users": ["bob"] }),
            403,
            403,
        ),
        (
            "read-only directory",
            "POST",
            "admin/groups/add-users",
            json!({ "group": "synced", "users": ["ann"] }),
            403,
            403,
        ),
        ("deactivate", "PUT", "admin/users", json!({ "name": "cat", "active": false }), 400, 400),
        ("delete yourself", "DELETE", "admin/users?name=rollcall", Value::Null, 409, 409),
        ("demote yourself", "DELETE", "admin/groups?name=stash-administrators", Value::Null, 409, 409),
    ]
}

fn crowd_rows() -> Vec<Row> {
    vec![
        (
            "create user",
            "POST",
            "user",
            json!({ "name": "dan", "first-name": "Dan", "last-name": "D", "email": "dan@acme.com", "active": true }),
            201,
            400,
        ),
        ("create group", "POST", "group", json!({ "name": "ops", "type": "GROUP" }), 201, 400),
        ("add member", "POST", "group/user/direct?groupname=eng", json!({ "name": "cat" }), 201, 409),
        ("remove member", "DELETE", "group/user/direct?groupname=eng&username=cat", Value::Null, 204, 404),
        ("add member from the user", "POST", "user/group/direct?username=cat", json!({ "name": "eng" }), 201, 409),
        (
            "deactivate",
            "PUT",
            "user?username=cat",
            json!({ "name": "cat", "email": "cat@acme.com", "active": false }),
            204,
            204,
        ),
        ("delete user", "DELETE", "user?username=dan", Value::Null, 204, 404),
        ("delete group", "DELETE", "group?groupname=ops", Value::Null, 204, 404),
        ("add to unknown group", "POST", "group/user/direct?groupname=none", json!({ "name": "ann" }), 404, 404),
        ("add unknown user", "POST", "group/user/direct?groupname=eng", json!({ "name": "nobody" }), 400, 400),
        (
            "the wrong shape of a public client",
            "POST",
            "user/group/direct?groupname=eng",
            json!({ "name": "ann" }),
            400,
            400,
        ),
        ("read-only directory", "POST", "group/user/direct?groupname=synced", json!({ "name": "ann" }), 403, 403),
        ("clear attribute", "DELETE", "user/attribute?username=ann&attributename=team", Value::Null, 204, 204),
        ("clear attribute of nobody", "DELETE", "user/attribute?username=no&attributename=team", Value::Null, 404, 404),
        ("names that differ", "PUT", "user?username=ann", json!({ "name": "bob" }), 400, 400),
    ]
}

#[tokio::test]
async fn every_row_of_the_idempotency_matrix() {
    for product in PRODUCTS {
        let bench = Bench::new();
        for (what, method, path, body, first, again) in rows(product) {
            let reply = bench.ask(product, method, path, body.clone()).await;
            assert_eq!(reply.status, first, "{product}: {what}: {}", reply.text);
            let reply = bench.ask(product, method, path, body).await;
            assert_eq!(reply.status, again, "{product}: {what}, again: {}", reply.text);
        }
        assert_eq!(bench.members(product, "synced"), ["far@acme.com"], "{product}");
    }
}

#[tokio::test]
async fn credentials_are_what_each_product_takes() {
    let bench = Bench::new();
    for product in ["jira", "confluence", "bitbucket"] {
        let path = match product {
            "jira" => "/dc/jira/rest/api/2/user?username=ann",
            "confluence" => "/dc/confluence/rest/api/user?username=ann",
            _ => "/dc/bitbucket/rest/api/1.0/admin/users",
        };
        let token_as_password = format!("Basic {}", STANDARD.encode(format!("rollcall:twin-{product}-token")));
        let password = format!("Basic {}", STANDARD.encode(format!("rollcall:twin-{product}-password")));
        for (credential, status) in [
            (Bench::credential(product), 200),
            (password, 200),
            (token_as_password, 401),
            ("Bearer none".to_owned(), 401),
        ] {
            let reply = bench.raw("GET", path, &[("authorization", &credential)], &Value::Null).await;
            assert_eq!(reply.status, status, "{product} {credential}");
        }
        assert_eq!(bench.raw("GET", path, &[], &Value::Null).await.status, 401, "{product}");
    }
    // A bad token is nobody, and what nobody may see is empty, with status 200.
    let picker = "/dc/jira/rest/api/2/groups/picker";
    let reply = bench.raw("GET", picker, &[("authorization", "Bearer none")], &Value::Null).await;
    assert_eq!((reply.status, reply.header("x-ausername"), &reply.body["total"]), (200, "anonymous", &json!(0)));
    let reply = bench.raw("GET", picker, &[("authorization", "Bearer twin-jira-token")], &Value::Null).await;
    assert_eq!((reply.header("x-ausername"), &reply.body["total"]), ("rollcall", &json!(4)));
    bench.switch("crowd", |it| it.crowd_address_refused = true);
    assert_eq!(bench.ask("crowd", "GET", "user?username=ann", Value::Null).await.status, 403);
    // Jira is a user server too.
    let application = format!("Basic {}", STANDARD.encode("rollcall:twin-jira-application"));
    let path = "/dc/jira/rest/usermanagement/latest/group/user/direct?groupname=eng";
    let reply = bench.raw("GET", path, &[("authorization", &application)], &Value::Null).await;
    assert_eq!(reply.body["users"], json!([{ "name": "ann" }]));
}

#[tokio::test]
async fn what_a_form_could_send_needs_the_header() {
    let bench = Bench::new();
    let path = "/dc/bitbucket/rest/api/latest/admin/groups?name=ops";
    let token = ("authorization", "Bearer twin-bitbucket-token");
    assert_eq!(bench.raw("POST", path, &[token], &Value::Null).await.status, 403);
    let checked = [token, ("x-atlassian-token", "no-check")];
    assert_eq!(bench.raw("POST", path, &checked, &Value::Null).await.status, 200);
}

#[tokio::test]
async fn throttled_answers_bear_five_headers_in_json_or_html() {
    let bench = Bench::new();
    let quiet = bench.ask("jira", "GET", "myself", Value::Null).await;
    assert_eq!(quiet.header("x-ratelimit-limit"), "", "off until an administrator turns it on");
    bench.0.engine.quota.set("atlassian.dc.jira", Some(Limit { per_minute: 300.0, burst: 2.0 }));
    for (left, status) in [("1", 200), ("0", 200), ("0", 429)] {
        let reply = bench.ask("jira", "GET", "myself", Value::Null).await;
        let headers = ["limit", "remaining", "fillrate", "interval-seconds"];
        let seen = headers.map(|it| reply.header(&format!("x-ratelimit-{it}")).to_owned());
        assert_eq!((reply.status, seen), (status, ["2", left, "5", "1"].map(str::to_owned)));
        assert_eq!(reply.header("retry-after"), if left == "1" { "0" } else { "1" });
    }
    let token = ("authorization", "Bearer twin-jira-token");
    let page = bench.raw("GET", "/dc/jira/rest/api/2/myself", &[token], &Value::Null).await;
    assert!(page.status == 429 && page.text.starts_with("<html>"), "{}", page.text);
    assert_eq!(
        bench.ask("jira", "GET", "myself", Value::Null).await.body,
        json!({ "message": "Rate limit exceeded." })
    );
}

#[tokio::test]
async fn lists_come_in_the_pages_of_each_product() {
    let bench = Bench::new();
    let first = bench.ask("jira", "GET", "user/list?maxResults=2", Value::Null).await.body;
    assert_eq!((first["values"].as_array().unwrap().len(), &first["isLast"]), (2, &json!(false)));
    let cursor = first["nextCursor"].as_str().unwrap();
    let rest = bench.ask("jira", "GET", &format!("user/list?cursor={cursor}"), Value::Null).await.body;
    assert_eq!((rest["values"].as_array().unwrap().len(), &rest["isLast"]), (3, &json!(true)));
    assert_eq!(bench.ask("jira", "GET", "user/list?cursor=x", Value::Null).await.status, 400);
    bench.switch("confluence", |it| it.confluence_page = 2);
    let first = bench.ask("confluence", "GET", "user/list?limit=500&expand=status", Value::Null).await.body;
    assert_eq!((&first["limit"], &first["results"][0]["status"]), (&json!(2), &json!("current")));
    assert_eq!(first["_links"]["next"], json!("/rest/api/user/list?limit=2&start=2&expand=status"));
    assert_eq!(first["results"][0]["email"], Value::Null, "an address is shown of those only who take a seat");
    let active = bench.ask("confluence", "GET", "admin/users/list/active", Value::Null).await.body;
    assert_eq!((&active["totalCount"], &active["results"][0]["email"]), (&json!(1), &json!("ann@acme.com")));
    let page = bench.ask("bitbucket", "GET", "admin/users?limit=2", Value::Null).await.body;
    assert_eq!((&page["isLastPage"], &page["nextPageStart"]), (&json!(false), &json!(2)));
    let found = bench.ask("crowd", "GET", "search?entity-type=user&max-results=2&expand=user", Value::Null).await.body;
    assert_eq!(found["users"].as_array().unwrap().len(), 2);
    assert!(found["users"][0]["key"].as_str().unwrap().starts_with("1:"), "{found}");
    let names = bench.ask("crowd", "GET", "search?entity-type=group", Value::Null).await.body;
    assert_eq!(names["groups"][1], json!({ "name": "eng" }));
}

#[tokio::test]
async fn groups_in_groups_count_where_the_directory_says_so() {
    let bench = Bench::new();
    let put = bench.ask("crowd", "POST", "group/child-group/direct?groupname=full", json!({ "name": "eng" })).await;
    assert_eq!(put.status, 201, "{}", put.text);
    let back = bench.ask("crowd", "POST", "group/child-group/direct?groupname=eng", json!({ "name": "full" })).await;
    assert_eq!((back.status, &back.body["reason"]), (400, &json!("INVALID_MEMBERSHIP")));
    bench.ask("crowd", "POST", "group/user/direct?groupname=eng", json!({ "name": "cat" })).await;
    for (kind, expected) in
        [("direct", json!([{ "name": "ann" }])), ("nested", json!([{ "name": "ann" }, { "name": "cat" }]))]
    {
        let reply = bench.ask("crowd", "GET", &format!("group/user/{kind}?groupname=full"), Value::Null).await;
        assert_eq!(reply.body["users"], expected, "{kind}");
    }
    let credential = Bench::credential("crowd");
    let headers = [("authorization", credential.as_str()), ("accept", "application/xml")];
    let all = bench.raw("GET", "/dc/crowd/rest/usermanagement/1/group/membership", &headers, &Value::Null).await;
    let full = "<membership group=\"full\"><users><user name=\"ann\"/></users><groups><group name=\"eng\"/></groups></membership>";
    assert!(all.text.contains(full), "{}", all.text);
    assert_eq!(bench.ask("crowd", "GET", "group/membership", Value::Null).await.status, 406, "XML only");
    let flat = bench.ask("jira", "GET", "group/member?groupname=eng", Value::Null).await;
    assert_eq!(flat.body["total"], json!(1));
}

#[tokio::test]
async fn leads_are_found_and_replaced_before_somebody_is_deactivated() {
    let bench = Bench::new();
    let projects = bench.ask("jira", "GET", "project?expand=lead", Value::Null).await.body;
    assert_eq!(projects[0]["lead"]["name"], json!("bob"));
    let components = bench.ask("jira", "GET", "component/page?startAt=0", Value::Null).await.body;
    let id = components["values"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(bench.ask("jira", "PUT", "project/OPS", json!({ "lead": "nobody" })).await.status, 400);
    assert_eq!(bench.ask("jira", "PUT", "project/OPS", json!({ "lead": "ann" })).await.status, 200);
    let path = format!("component/{id}");
    let changed = bench.ask("jira", "PUT", &path, json!({ "leadUserName": "ann" })).await;
    assert_eq!((changed.status, &changed.body["lead"]["name"]), (200, &json!("ann")));
    assert_eq!(bench.ask("jira", "PUT", "user?username=bob", json!({ "active": "false" })).await.status, 200);
}

#[tokio::test]
async fn paths_of_other_clients_that_no_document_knows_are_refused() {
    let bench = Bench::new();
    for (product, method, path, status) in [
        ("confluence", "POST", "group/eng/member", 405),
        ("confluence", "DELETE", "group/eng/member", 405),
        ("jira", "GET", "users/search", 404),
        ("jira", "GET", "group?groupname=eng", 405),
        ("crowd", "PUT", "user/attribute?username=ann", 405),
    ] {
        assert_eq!(bench.ask(product, method, path, json!({})).await.status, status, "{product} {method} {path}");
    }
    bench.0.engine.faults.inject(Fault::new("atlassian.dc.*", "user.list", FaultKind::Truncate));
    let cut = bench.ask("jira", "GET", "user/list?maxResults=1", Value::Null).await.body;
    assert_eq!((&cut["isLast"], &cut["nextCursor"]), (&json!(true), &Value::Null));
}

/// Given and family name are kept apart; the name to show tells neither.
#[tokio::test]
async fn crowd_keeps_given_and_family_names_apart() {
    let bench = Bench::new();
    let shown = async || {
        let body = bench.ask("crowd", "GET", "user?username=mal", Value::Null).await.body;
        ["first-name", "last-name", "display-name"].map(|name| body[name].as_str().unwrap_or_default().to_owned())
    };
    let mary =
        json!({ "name": "mal", "first-name": "Mary Ann", "last-name": "Lee", "email": "mal@acme.com", "active": true });
    assert_eq!(bench.ask("crowd", "POST", "user", mary).await.status, 201);
    assert_eq!(shown().await, ["Mary Ann", "Lee", "Mary Ann Lee"]);
    let before = bench.0.world().log.sequence();
    let other = json!({ "name": "mal", "first-name": "Mary", "last-name": "Ann Lee", "display-name": "Mary Ann Lee",
        "email": "mal@acme.com", "active": true });
    assert_eq!(bench.ask("crowd", "PUT", "user?username=mal", other).await.status, 204);
    assert_eq!(shown().await, ["Mary", "Ann Lee", "Mary Ann Lee"]);
    assert!(bench.0.world().log.sequence() > before, "that is a change");
}

#[tokio::test]
async fn jira_ten_finds_no_more_than_a_hundred() {
    let bench = Bench::new();
    for n in 0..150 {
        bench.edit(json!({ "op": "user", "instance": "jira", "name": format!("u{n:03}") }));
    }
    let count = async |path: &str| bench.ask("jira", "GET", path, Value::Null).await.body.as_array().unwrap().len();
    assert_eq!(count("user/search?username=.&maxResults=1000").await, 100);
    assert_eq!(count("user/search?username=.&startAt=100").await, 0);
    bench.switch("jira", |it| it.jira_search_total = 0);
    assert_eq!(count("user/search?username=.&maxResults=1000").await, 155);
}
