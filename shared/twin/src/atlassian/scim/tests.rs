//! User provisioning against its column of the behaviour table.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use serde_json::{Value, json};

use super::super::testing::{Bench, Reply, SCIM_KEY};
use crate::engine::{Fault, FaultKind};
use crate::world::atlassian::switches::ScimDelete;
use crate::world::atlassian::{ORGANIZATION, SCIM_DIRECTORY};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ATLASSIAN: &str = "urn:scim:schemas:extension:atlassian-external:1.0";

fn user(email: &str) -> Value {
    json!({ "schemas": [USER], "userName": email, "externalId": format!("google-{email}"),
        "emails": [{ "value": email, "primary": true }], "displayName": email, "active": true })
}

async fn make_user(bench: &Bench, email: &str) -> String {
    let made = bench.scim("POST", "Users", user(email)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.body["id"].as_str().unwrap().to_owned()
}

async fn make_group(bench: &Bench, name: &str, members: &[&str]) -> String {
    let members: Vec<Value> = members.iter().map(|it| json!({ "value": it })).collect();
    let made =
        bench.scim("POST", "Groups", json!({ "schemas": [GROUP], "displayName": name, "members": members })).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.body["id"].as_str().unwrap().to_owned()
}

async fn patch(bench: &Bench, path: &str, operations: Value) -> Reply {
    let schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"];
    bench.scim("PATCH", path, json!({ "schemas": schemas, "Operations": operations })).await
}

fn members(body: &Value) -> Vec<&str> {
    let mut all: Vec<&str> =
        body["members"].as_array().unwrap().iter().map(|it| it["display"].as_str().unwrap()).collect();
    all.sort_unstable();
    all
}

#[tokio::test]
async fn a_user_links_to_the_account_of_its_address() {
    let bench = Bench::new();
    let made = bench.scim("POST", "Users", user("ann@acme.com")).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.header("content-type"), "application/scim+json");
    assert_eq!(made.body[ATLASSIAN]["atlassianAccountId"], json!(bench.account("ann@acme.com")));
    assert_eq!(made.body["meta"]["resourceType"], "User");
    let again = bench.scim("POST", "Users", user("ann@acme.com")).await;
    assert_eq!((again.status, &again.body["scimType"]), (409, &json!("uniqueness")));
    let mut other_name = user("ann@acme.com");
    other_name["userName"] = json!("ann2");
    let taken = bench.scim("POST", "Users", other_name).await;
    assert_eq!(taken.body["detail"], "Resource [USER]: with email[ann@acme.com] already exists.");
    let new = bench.scim("POST", "Users", user("new@acme.com")).await;
    assert_eq!(new.body[ATLASSIAN]["atlassianAccountId"], json!(bench.account("new@acme.com")), "the account was made");
    for (body, detail) in [
        (json!({ "schemas": [USER], "emails": [{ "value": "x@acme.com" }] }), "userName"),
        (json!({ "schemas": [USER], "userName": "x" }), "emails"),
        (json!({ "userName": "x", "emails": [{ "value": "x@acme.com" }] }), "schemas"),
        (json!({ "schemas": [USER], "userName": "x", "emails": "x@acme.com" }), "emails"),
    ] {
        let refused = bench.scim("POST", "Users", body.clone()).await;
        assert_eq!(refused.status, 400, "{body}");
        assert!(refused.body["detail"].as_str().unwrap().contains(detail), "{}", refused.text);
    }
}

#[tokio::test]
async fn users_are_listed_by_one_exact_filter() {
    let bench = Bench::new();
    for email in ["ann@acme.com", "bob@acme.com", "cat@acme.com"] {
        make_user(&bench, email).await;
    }
    let empty = bench.scim("GET", "Groups", Value::Null).await.body;
    assert_eq!((&empty["totalResults"], &empty["itemsPerPage"]), (&json!(0), &json!(10_000)));
    for (query, total, first) in [
        ("filter=userName%20eq%20%22ANN@acme.com%22", 1, "ann@acme.com"),
        ("filter=externalId+eq+%22google-bob@acme.com%22", 1, "bob@acme.com"),
        ("filter=externalId+eq+%22Google-bob@acme.com%22", 0, ""),
        ("startIndex=2&count=1", 3, "bob@acme.com"),
        ("", 3, "ann@acme.com"),
    ] {
        let found = bench.scim("GET", &format!("Users?{query}"), Value::Null).await.body;
        assert_eq!(found["totalResults"], total, "{query}");
        assert_eq!(found["Resources"][0]["userName"].as_str().unwrap_or_default(), first, "{query}");
    }
    for query in ["filter=userName+co+%22a%22", "filter=displayName+eq+%22a%22", "filter=userName", "startIndex=x"] {
        assert_eq!(bench.scim("GET", &format!("Users?{query}"), Value::Null).await.status, 400, "{query}");
    }
    let few = bench.scim("GET", "Users?attributes=userName,emails.value&count=1", Value::Null).await;
    let one = few.body["Resources"][0].as_object().unwrap();
    assert!(one.contains_key("id") && !one.contains_key("active"), "{}", few.text);
    assert_eq!(one["emails"], json!([{ "value": "ann@acme.com" }]));
    let both = bench.scim("GET", "Users?attributes=userName&excludedAttributes=emails", Value::Null).await;
    assert_eq!(both.status, 400);
}

#[tokio::test]
async fn deactivation_reaches_managed_accounts_and_empties_external_ones() {
    let bench = Bench::new();
    let (ann, eve) = (make_user(&bench, "ann@acme.com").await, make_user(&bench, "eve@outside.org").await);
    make_group(&bench, "g", &[&ann, &eve]).await;
    assert_eq!(bench.members("g"), ["ann@acme.com", "eve@outside.org"]);
    for id in [&ann, &eve] {
        let off =
            patch(&bench, &format!("Users/{id}"), json!([{ "op": "Replace", "path": "active", "value": "False" }]))
                .await;
        assert_eq!(off.body["active"], false);
    }
    let world = bench.twin.world().atlassian.dump();
    let state = |email: &str| {
        let all = world["accounts"].as_array().unwrap();
        all.iter().find(|it| it["email"] == email).unwrap()["status"].clone()
    };
    assert_eq!((state("ann@acme.com"), state("eve@outside.org")), (json!("inactive"), json!("active")));
    assert_eq!(bench.members("g"), ["ann@acme.com"], "an external account loses its synced groups");
    let on = patch(&bench, &format!("Users/{ann}"), json!([{ "op": "replace", "value": { "active": true } }])).await;
    assert_eq!(on.body["active"], true);
    let path = format!("users/{}", bench.account("ann@acme.com"));
    assert_eq!(bench.org("GET", &path, Value::Null).await.body["data"]["status"], "active");
}

#[tokio::test]
async fn users_are_replaced_patched_and_deleted() {
    let bench = Bench::new();
    let ann = make_user(&bench, "ann@acme.com").await;
    make_user(&bench, "bob@acme.com").await;
    make_group(&bench, "g", &[&ann]).await;
    let path = format!("Users/{ann}");
    let patched = patch(
        &bench,
        &path,
        json!([
            { "op": "replace", "path": "name.familyName", "value": "Smith" },
            { "op": "Add", "path": "phoneNumbers[type eq \"work\"].value", "value": "1" },
            { "op": "add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "R&D" },
            { "op": "replace", "path": "emails[primary eq true].value", "value": "ann.smith@acme.com" },
            { "op": "remove", "path": "externalId" }
        ]),
    );
    let body = patched.await.body;
    assert_eq!(body["name"]["familyName"], "Smith");
    assert_eq!(body["phoneNumbers"], json!([{ "type": "work", "value": "1" }]));
    assert_eq!(body["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]["department"], "R&D");
    assert!(body.get("externalId").is_none());
    assert_eq!(bench.members("g"), ["ann.smith@acme.com"], "a managed account takes the new address");

    let taken = patch(
        &bench,
        &path,
        json!([{ "op": "replace", "path": "emails[primary eq true].value", "value": "BOB@acme.com" }]),
    );
    assert_eq!(taken.await.status, 409);
    let put = bench.scim("PUT", &path, user("ann.smith@acme.com")).await;
    assert_eq!((put.status, put.body.get("name")), (200, None), "what PUT leaves out is cleared");
    assert_eq!(bench.scim("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(bench.scim("DELETE", &path, Value::Null).await.status, 404);
    assert_eq!(bench.scim("GET", &path, Value::Null).await.status, 404);
    assert_eq!(bench.members("g"), Vec::<String>::new());
    assert_ne!(make_user(&bench, "ann.smith@acme.com").await, ann, "a new record has a new id");
}

#[tokio::test]
async fn under_the_rules_of_2022_a_deleted_user_comes_back_with_its_id() {
    let bench = Bench::new();
    bench.switch(|it| it.scim_delete_user = ScimDelete::Deactivate);
    let ann = make_user(&bench, "ann@acme.com").await;
    assert_eq!(bench.scim("DELETE", &format!("Users/{ann}"), Value::Null).await.status, 204);
    assert_eq!(bench.scim("GET", &format!("Users/{ann}"), Value::Null).await.status, 404);
    assert_eq!(make_user(&bench, "ann@acme.com").await, ann);
}

#[tokio::test]
async fn an_external_user_whose_address_changes_is_unlinked() {
    let bench = Bench::new();
    let eve = make_user(&bench, "eve@outside.org").await;
    make_group(&bench, "g", &[&eve]).await;
    let moved = patch(
        &bench,
        &format!("Users/{eve}"),
        json!([{ "op": "replace", "path": "emails", "value": [{ "value": "eve@elsewhere.org" }] }]),
    )
    .await;
    assert!(moved.body.get(ATLASSIAN).is_none());
    assert_eq!(bench.members("g"), Vec::<String>::new());
}

#[tokio::test]
async fn a_groups_members_are_added_removed_and_replaced() {
    let bench = Bench::new();
    let (ann, bob, cat) = (
        make_user(&bench, "ann@acme.com").await,
        make_user(&bench, "bob@acme.com").await,
        make_user(&bench, "cat@acme.com").await,
    );
    let group = make_group(&bench, "devs", &[&ann]).await;
    let path = format!("Groups/{group}");
    let steps: [(Value, &[&str]); 9] = [
        (json!([{ "op": "add", "path": "members", "value": [{ "value": bob }, { "value": ann }] }]), &["ann", "bob"]),
        (json!([{ "op": "Add", "path": "Members", "value": { "value": cat } }]), &["ann", "bob", "cat"]),
        (json!([{ "op": "remove", "path": format!("members[value eq \"{ann}\"]") }]), &["bob", "cat"]),
        (json!([{ "op": "remove", "path": "members", "value": [{ "value": ann }, { "value": bob }] }]), &["cat"]),
        (json!([{ "op": "replace", "path": "members", "value": [{ "value": ann }] }]), &["ann"]),
        (json!([{ "op": "replace", "value": { "members": [{ "value": bob }], "displayName": "devs" } }]), &["bob"]),
        (json!([{ "op": "remove", "path": "members", "value": [] }]), &["bob"]),
        (json!([{ "op": "add", "path": "members", "value": [] }]), &["bob"]),
        (json!([{ "op": "remove", "path": "members" }]), &[]),
    ];
    for (operations, expected) in steps {
        let done = patch(&bench, &path, operations.clone()).await;
        let expected: Vec<String> = expected.iter().map(|it| format!("{it}@acme.com")).collect();
        assert_eq!(done.status, 200, "{}", done.text);
        assert_eq!(members(&done.body), expected, "{operations}");
        assert_eq!(bench.members("devs"), expected, "the organization's group follows: {operations}");
    }
    let unknown = json!([{ "op": "add", "path": "members", "value": [{ "value": ann }, { "value": "nobody" }] }]);
    assert_eq!(patch(&bench, &path, unknown).await.status, 404);
    assert_eq!(bench.members("devs"), Vec::<String>::new(), "all or nothing");
    let put = json!({ "schemas": [GROUP], "displayName": "devs", "members": [{ "value": "nobody" }] });
    let put = bench.scim("PUT", &path, put).await;
    assert_eq!((put.status, &put.body["responseStatus"]), (400, &json!("BAD_REQUEST")));
    let put = json!({ "schemas": [GROUP], "displayName": "devs", "members": [{ "value": cat }] });
    assert_eq!(members(&bench.scim("PUT", &path, put).await.body), ["cat@acme.com"]);
    let renamed = patch(&bench, &path, json!([{ "op": "replace", "path": "displayName", "value": "other" }])).await;
    assert_eq!((renamed.status, &renamed.body["scimType"]), (400, &json!("mutability")));
}

#[tokio::test]
async fn a_group_belongs_to_its_directory_alone() {
    let bench = Bench::new();
    bench.edit(json!({ "op": "group", "name": "local", "members": ["ann@acme.com"] }));
    let taken = bench.scim("POST", "Groups", json!({ "schemas": [GROUP], "displayName": "LOCAL" })).await;
    assert_eq!(taken.status, 409);
    assert_eq!(taken.body["detail"], "Resource [GROUP]: with displayName LOCAL already exists.");
    let ann = make_user(&bench, "ann@acme.com").await;
    let group = make_group(&bench, "synced", &[&ann]).await;
    let id = bench.group("synced");
    let seen = bench.org("POST", "groups/search", json!({ "groupIds": [id] })).await.body;
    assert_eq!(seen["data"][0]["managedBy"], "external");
    assert_eq!(seen["data"][0]["managementAccess"]["modifiable"], false);
    let account = bench.account("ann@acme.com");
    let refused = bench.org("DELETE", &format!("groups/{id}/memberships/{account}"), Value::Null).await;
    assert_eq!(refused.code(), "ADMIN-403-5");

    bench.edit(json!({ "op": "group_owned", "group": "local", "scim_directory": SCIM_DIRECTORY }));
    let found = bench.scim("GET", "Groups?filter=displayName+eq+%22local%22", Value::Null).await.body;
    assert_eq!(members(&found["Resources"][0]), ["ann@acme.com"], "taken over with its linked members");
    assert_eq!(bench.scim("DELETE", &format!("Groups/{group}"), Value::Null).await.status, 204);
    assert_eq!(bench.org("GET", &format!("groups/{id}"), Value::Null).await.status, 404, "deleted everywhere");
}

#[tokio::test]
async fn switches_make_repeats_and_full_licences_errors() {
    let bench = Bench::new();
    let (ann, bob) = (make_user(&bench, "ann@acme.com").await, make_user(&bench, "bob@acme.com").await);
    let group = make_group(&bench, "g", &[&ann]).await;
    let path = format!("Groups/{group}");
    let add = |id: &str| json!([{ "op": "add", "path": "members", "value": [{ "value": id }] }]);
    let remove = |id: &str| json!([{ "op": "remove", "path": "members", "value": [{ "value": id }] }]);
    assert_eq!(patch(&bench, &path, add(&ann)).await.status, 200);
    assert_eq!(patch(&bench, &path, remove(&bob)).await.status, 200);
    let resource = "ari:cloud:jira-software::site/acme";
    bench.edit(json!({ "op": "group", "name": "g", "roles": [[resource, "atlassian/user"]] }));
    bench.edit(json!({ "op": "seats", "resource": resource, "seats": 1 }));
    assert_eq!(patch(&bench, &path, add(&bob)).await.status, 200, "accepted, without access");
    assert_eq!(patch(&bench, &path, remove(&bob)).await.status, 200);
    bench.switch(|it| {
        it.scim_add_existing_status = 409;
        it.scim_remove_non_member_status = 404;
        it.scim_accepts_without_seat = false;
        it.scim_members_per_patch = 1;
        it.scim_accepts_unclaimed_domains = false;
    });
    assert_eq!(patch(&bench, &path, add(&ann)).await.status, 409);
    assert_eq!(patch(&bench, &path, remove(&bob)).await.status, 404);
    assert_eq!(patch(&bench, &path, add(&bob)).await.status, 400);
    let two = json!([{ "op": "replace", "path": "members", "value": [{ "value": ann }, { "value": bob }] }]);
    assert_eq!(patch(&bench, &path, two).await.body["scimType"], "tooMany");
    assert_eq!(bench.scim("POST", "Users", user("eve@outside.org")).await.status, 400);
}

#[tokio::test]
async fn errors_before_scim_are_not_scim() {
    let bench = Bench::new();
    let users = format!("/scim/directory/{SCIM_DIRECTORY}/Users");
    let unauthorized = bench.send("GET", &users, "Bearer wrong", Value::Null).await;
    assert_eq!(unauthorized.status, 401);
    assert!(unauthorized.body["traceId"].is_string() && unauthorized.body["error"].is_string());
    let other = bench.send("GET", "/scim/directory/other/Users", SCIM_KEY, Value::Null).await;
    assert_eq!((other.status, other.body["error"].is_string()), (403, true));
    bench.edit(json!({ "op": "guard", "organization": ORGANIZATION, "guard": false }));
    assert_eq!(bench.scim("GET", "Users", Value::Null).await.status, 403);
    bench.switch(|it| it.scim_without_guard_status = 404);
    assert_eq!(bench.scim("GET", "Users", Value::Null).await.status, 404);
}

#[tokio::test]
async fn the_service_describes_itself() {
    let bench = Bench::new();
    let config = bench.scim("GET", "ServiceProviderConfig", Value::Null).await.body;
    assert_eq!((&config["patch"]["supported"], &config["bulk"]["supported"]), (&json!(true), &json!(false)));
    assert_eq!(bench.scim("GET", "Schemas", Value::Null).await.body["totalResults"], 3);
    assert_eq!(bench.scim("GET", &format!("Schemas/{USER}"), Value::Null).await.body["name"], "User");
    assert_eq!(bench.scim("GET", "ResourceTypes/Group", Value::Null).await.body["endpoint"], "/Groups");
    assert_eq!(bench.scim("GET", "Schemas/other", Value::Null).await.status, 404);
}

#[tokio::test]
async fn faults_speak_scim() {
    let bench = Bench::new();
    let ann = make_user(&bench, "ann@acme.com").await;
    make_user(&bench, "bob@acme.com").await;
    let faults = &bench.twin.engine.faults;
    faults.inject(Fault::new("atlassian.scim", "Users.list", FaultKind::EmptyPage { keep_next: true }));
    let empty = bench.scim("GET", "Users", Value::Null).await.body;
    assert_eq!((&empty["Resources"], &empty["totalResults"]), (&json!([]), &json!(2)));
    faults.clear();
    faults.inject(Fault::new("atlassian.scim", "Users.list", FaultKind::Truncate));
    assert_eq!(bench.scim("GET", "Users?count=1", Value::Null).await.body["totalResults"], 1);
    faults.clear();
    faults.inject(Fault::new("atlassian.scim", "Users.list", FaultKind::SkipItems { count: 1 }));
    let rest = bench.scim("GET", "Users", Value::Null).await.body;
    assert_eq!(rest["Resources"].as_array().unwrap().len(), 1);
    assert!(!rest["schemas"].as_array().unwrap().is_empty());
    faults.clear();
    faults.inject(Fault { times: Some(1), ..Fault::new("atlassian.scim", "Users.get", FaultKind::NotFound) });
    let lost = bench.scim("GET", &format!("Users/{ann}"), Value::Null).await;
    assert_eq!((lost.status, &lost.body["status"]), (404, &json!("404")));
    assert_eq!(bench.scim("GET", &format!("Users/{ann}"), Value::Null).await.status, 200);
    let throttle = FaultKind::Throttle { retry_after: Some("7".to_owned()), shape: None };
    faults.inject(Fault::new("atlassian.scim", "Users.get", throttle));
    let throttled = bench.scim("GET", &format!("Users/{ann}"), Value::Null).await;
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, "7"));
}
