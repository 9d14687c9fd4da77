//! The organization API against its column of the behaviour table.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use serde_json::{Value, json};

use super::super::testing::{Bench, ORG_KEY};
use crate::engine::{Fault, FaultKind};
use crate::world::atlassian::ORGANIZATION;
use crate::world::atlassian::switches::{CursorPlace, LicenceRefusal, NonEmptyGroup};

fn names(body: &Value, field: &str) -> Vec<String> {
    body["data"].as_array().unwrap().iter().map(|it| it[field].as_str().unwrap().to_owned()).collect()
}

async fn create(bench: &Bench, name: &str) -> String {
    let created = bench.org("POST", "groups", json!({ "name": name })).await;
    assert_eq!((created.status, created.text.as_str()), (201, ""), "created without a body");
    let found = bench.org("POST", "groups/search", json!({ "groupNames": [name.to_uppercase()] })).await;
    found.body["data"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_group_is_created_found_by_name_and_filled() {
    let bench = Bench::new();
    let group = create(&bench, "devs").await;
    let again = bench.org("POST", "groups", json!({ "name": "Devs" })).await;
    assert_eq!((again.status, again.code()), (409, "ADMIN-409-2"));

    let ann = bench.account("ann@acme.com");
    let path = format!("groups/{group}/memberships");
    assert_eq!(bench.org("POST", &path, json!({ "accountId": ann })).await.status, 200);
    let twice = bench.org("POST", &path, json!({ "accountId": ann })).await;
    assert_eq!(twice.status, 409);
    assert!(twice.text.contains("already"), "the body says so: {}", twice.text);
    assert_eq!(bench.members("devs"), ["ann@acme.com"]);

    let members = bench.org("POST", "users/search", json!({ "groupIds": [group], "expand": ["groups"] })).await;
    assert_eq!(names(&members.body, "email"), ["ann@acme.com"]);
    assert_eq!(members.body["data"][0]["groups"][0]["id"], json!(group));
    assert!(members.body["links"].get("next").is_none(), "the last page has no next");

    let one = format!("{path}/{ann}");
    assert_eq!(bench.org("DELETE", &one, Value::Null).await.status, 204);
    assert_eq!(bench.org("DELETE", &one, Value::Null).await.status, 404);
    assert_eq!(bench.members("devs"), Vec::<String>::new());
    assert_eq!(bench.org("DELETE", &format!("groups/{group}"), Value::Null).await.status, 204);
    assert_eq!(bench.org("GET", &format!("groups/{group}"), Value::Null).await.code(), "ADMIN-404-10");

    let world = bench.twin.world();
    let by_key: Vec<_> = world.log.after(0).filter(|it| it.family == "atlassian.org").collect();
    let changes: Vec<_> = by_key.iter().map(|it| (it.operation.as_str(), it.caller.as_str())).collect();
    assert_eq!(
        changes,
        [
            ("groups.create", "org-key"),
            ("memberships.add", "org-key"),
            ("memberships.remove", "org-key"),
            ("groups.delete", "org-key")
        ],
        "only what really changed is in the log"
    );
}

#[tokio::test]
async fn refusals_have_their_codes() {
    let bench = Bench::new();
    for group in ["plain", "synced", "default", "admins", "full"] {
        bench.edit(json!({ "op": "group", "name": group, "members": ["bob@acme.com"] }));
    }
    let resource = "ari:cloud:jira-software::site/acme";
    bench.edit(json!({ "op": "group_owned", "group": "synced",
        "scim_directory": crate::world::atlassian::SCIM_DIRECTORY }));
    bench.edit(json!({ "op": "group_default", "group": "default", "default": true }));
    bench.edit(json!({ "op": "group", "name": "admins", "roles": [[resource, "atlassian/admin"]] }));
    bench.edit(json!({ "op": "group", "name": "full", "roles": [[resource, "atlassian/user"]] }));
    bench.edit(json!({ "op": "seats", "resource": resource, "seats": 1 }));
    bench.edit(json!({ "op": "account_status", "account": "cat@acme.com", "status": "inactive" }));
    let (ann, bob, cat) = (bench.account("ann@acme.com"), bench.account("bob@acme.com"), bench.account("cat@acme.com"));
    let add = |group: &str, account: &str| {
        (format!("groups/{}/memberships", bench.group(group)), json!({ "accountId": account }))
    };
    for (group, account, status, code) in [
        ("plain", "712020:nobody", 404, "ADMIN-404-8"),
        ("plain", bob.as_str(), 409, "ADMIN-409-2"),
        ("plain", cat.as_str(), 400, "ADMIN-UAM-400-2"),
        ("synced", ann.as_str(), 403, "ADMIN-403-5"),
        ("full", ann.as_str(), 409, "ADMIN-409-3"),
    ] {
        let (path, body) = add(group, account);
        let refused = bench.org("POST", &path, body).await;
        assert_eq!((refused.status, refused.code()), (status, code), "adding {account} to {group}");
        assert_eq!(refused.body["errors"][0]["status"], json!(status.to_string()));
    }
    for (group, status, code) in [
        ("plain", 409, "ADMIN-409-5"),
        ("synced", 403, "ADMIN-403-5"),
        ("default", 403, "ADMIN-403-6"),
        ("admins", 403, "ADMIN-403-7"),
    ] {
        let refused = bench.org("DELETE", &format!("groups/{}", bench.group(group)), Value::Null).await;
        assert_eq!((refused.status, refused.code()), (status, code), "deleting {group}");
    }
    let unknown = bench.org("POST", "groups/none/memberships", json!({ "accountId": ann })).await;
    assert_eq!((unknown.status, unknown.code()), (404, "ADMIN-404-10"));
    let invalid = bench.org("POST", &add("plain", "").0, json!({ "account_id": ann })).await;
    assert_eq!((invalid.status, invalid.code()), (400, "ADMIN-400-24"), "the field of version 1 is not the one of 2");
}

#[tokio::test]
async fn switches_change_the_open_answers() {
    let bench = Bench::new();
    let resource = "ari:cloud:jira-software::site/acme";
    bench.edit(json!({ "op": "group", "name": "full", "members": ["bob@acme.com"],
        "roles": [[resource, "atlassian/user"]] }));
    bench.edit(json!({ "op": "seats", "resource": resource, "seats": 1 }));
    bench.switch(|it| {
        it.org_add_status = 204;
        it.org_remove_status = 200;
        it.org_licence_refusal = LicenceRefusal::BadRequest;
        it.org_delete_non_empty = NonEmptyGroup::Delete;
        it.dead_v1_status = 404;
        it.add_inactive = true;
    });
    let (ann, bob) = (bench.account("ann@acme.com"), bench.account("bob@acme.com"));
    let path = format!("groups/{}/memberships", bench.group("full"));
    let full = bench.org("POST", &path, json!({ "accountId": ann })).await;
    assert_eq!((full.status, full.code()), (400, "ADMIN-400-32"));
    assert_eq!(bench.org("DELETE", &format!("{path}/{bob}"), Value::Null).await.status, 200);
    assert_eq!(bench.org("POST", &path, json!({ "accountId": ann })).await.status, 204, "the seat is free again");
    assert_eq!(bench.org("DELETE", &format!("groups/{}", bench.group("full")), Value::Null).await.status, 204);
    let dead = format!("/admin/v1/orgs/{ORGANIZATION}/directory/groups");
    assert_eq!(bench.send("POST", &dead, ORG_KEY, json!({ "name": "x" })).await.status, 404);
}

#[tokio::test]
async fn version_one_is_gone_but_for_what_lives() {
    let bench = Bench::new();
    let org = format!("/admin/v1/orgs/{ORGANIZATION}");
    for (method, path) in [
        ("POST", "users/search"),
        ("POST", "users/invite"),
        ("POST", "groups/search"),
        ("POST", "directory/groups"),
        ("DELETE", "directory/groups/g"),
        ("POST", "directory/groups/g/memberships"),
        ("DELETE", "directory/groups/g/memberships/a"),
        ("POST", "directory/groups/g/roles/assign"),
        ("POST", "directory/groups/g/roles/revoke"),
        ("DELETE", "directory/users/a"),
        ("POST", "directory/users/a/suspend-access"),
        ("POST", "directory/users/a/restore-access"),
    ] {
        let gone = bench.send(method, &format!("{org}/{path}"), ORG_KEY, json!({})).await;
        assert_eq!(gone.status, 410, "{method} {path}");
    }
    let organization = bench.send("GET", &org, ORG_KEY, Value::Null).await;
    assert_eq!(organization.body["data"]["attributes"]["name"], "Acme");
    let accounts = bench.send("GET", &format!("{org}/users"), ORG_KEY, Value::Null).await;
    assert_eq!(accounts.body["meta"]["total"], 4, "the managed ones");
    let events = bench.send("GET", &format!("{org}/events-stream"), ORG_KEY, Value::Null).await;
    assert_eq!(events.body["data"][0]["attributes"]["action"], "user_created");
    let cursor = events.body["meta"]["next"].as_str().unwrap().to_owned();
    bench.edit(json!({ "op": "group", "name": "new", "members": ["ann@acme.com"] }));
    let more = bench.send("GET", &format!("{org}/events-stream?cursor={cursor}"), ORG_KEY, Value::Null).await;
    let actions: Vec<_> = more.body["data"].as_array().unwrap().iter().map(|it| &it["attributes"]["action"]).collect();
    assert_eq!(actions, ["group_created", "user_added_to_group"], "a stream's cursor leads to what comes later");
}

#[tokio::test]
async fn credentials_are_asked_for() {
    let bench = Bench::new();
    let orgs = "/admin/v1/orgs";
    let unauthorized = bench.send("GET", orgs, "Bearer wrong", Value::Null).await;
    assert_eq!((unauthorized.status, &unauthorized.body["code"]), (401, &json!(401)));
    let listed = bench.send("GET", orgs, ORG_KEY, Value::Null).await;
    assert_eq!(listed.body["data"][0]["id"], ORGANIZATION);
    let other = bench.send("GET", "/admin/v1/orgs/another", ORG_KEY, Value::Null).await;
    assert_eq!((other.status, other.code()), (404, "ADMIN-404-2"));
    let other = "/admin/v2/orgs/another/directories/d/groups";
    let other = bench.send("POST", other, ORG_KEY, json!({ "name": "g" })).await;
    assert_eq!((other.status, other.code()), (403, "ADMIN-403-3"));
    for secret in &mut bench.twin.engine.credentials().secrets {
        secret.scopes.insert("read:orgs:admin".to_owned());
    }
    let scoped = bench.send("GET", orgs, ORG_KEY, Value::Null).await;
    assert_eq!(scoped.body["data"], json!([]), "a scoped key sees no organizations");
    let search = async |what: &str| bench.org("POST", what, json!({ "limit": 1 })).await.status;
    assert_eq!((search("users/search").await, search("groups/search").await), (403, 403), "other scopes");
    for secret in &mut bench.twin.engine.credentials().secrets {
        secret.scopes.insert("read:accounts:admin".to_owned());
    }
    assert_eq!((search("users/search").await, search("groups/search").await), (200, 403), "one of them");
    for secret in &mut bench.twin.engine.credentials().secrets {
        secret.expires_at = Some(1);
    }
    assert_eq!(bench.send("GET", orgs, ORG_KEY, Value::Null).await.status, 401, "expired");
}

#[tokio::test]
async fn pages_follow_a_cursor_that_carries_the_query() {
    let bench = Bench::new();
    let first = bench.org("POST", "users/search", json!({ "limit": 2, "emailDomains": ["ACME.com"] })).await;
    assert_eq!(names(&first.body, "email"), ["bot@acme.com", "ann@acme.com"]);
    let cursor = first.body["links"]["next"].as_str().unwrap();
    // Everything beside a cursor is ignored.
    let second = bench.org("POST", "users/search", json!({ "cursor": cursor, "emails": ["eve@outside.org"] })).await;
    assert_eq!(names(&second.body, "email"), ["bob@acme.com", "cat@acme.com"]);
    assert!(second.body["links"].get("next").is_none());
    for (body, code) in [
        (json!({ "cursor": "nonsense" }), "ADMIN-400-1"),
        (json!({ "limit": 101 }), "ADMIN-400-24"),
        (json!({ "limit": 0 }), "ADMIN-400-24"),
        (json!({ "emails": ["a@b.c"], "searchTerm": "a" }), "ADMIN-400-24"),
        (json!({ "expand": ["everything"] }), "ADMIN-400-24"),
        (json!({ "mail": "a@b.c" }), "ADMIN-400-24"),
    ] {
        let refused = bench.org("POST", "users/search", body.clone()).await;
        assert_eq!((refused.status, refused.code()), (400, code), "{body}");
    }
    bench.switch(|it| it.cursor_life_ms = 1000);
    bench.twin.engine.clock.advance(1001);
    assert_eq!(bench.org("POST", "users/search", json!({ "cursor": cursor })).await.code(), "ADMIN-400-1");
}

#[tokio::test]
async fn a_removal_between_pages_hides_somebody_only_from_counting_cursors() {
    for (place, expected) in [(CursorPlace::Element, "cat@acme.com"), (CursorPlace::Offset, "eve@outside.org")] {
        let bench = Bench::new();
        bench.switch(|it| it.cursor = place);
        bench.edit(json!({ "op": "group", "name": "g",
            "members": ["ann@acme.com", "bob@acme.com", "cat@acme.com", "eve@outside.org"] }));
        let query = json!({ "groupIds": [bench.group("g")], "limit": 2 });
        let first = bench.org("POST", "users/search", query).await;
        assert_eq!(names(&first.body, "email"), ["ann@acme.com", "bob@acme.com"]);
        bench.edit(json!({ "op": "member_removed", "group": "g", "account": "ann@acme.com" }));
        let next = json!({ "cursor": first.body["links"]["next"] });
        let second = bench.org("POST", "users/search", next).await;
        assert_eq!(names(&second.body, "email")[0], expected, "{place:?}");
    }
}

#[tokio::test]
async fn searches_filter() {
    let bench = Bench::new();
    bench.edit(json!({ "op": "group", "name": "alpha", "members": ["ann@acme.com", "bob@acme.com"] }));
    bench.edit(json!({ "op": "group", "name": "beta", "members": ["bob@acme.com", "eve@outside.org"] }));
    bench.edit(json!({ "op": "standing", "account": "bob@acme.com", "standing": "suspended" }));
    bench.edit(json!({ "op": "account_status", "account": "cat@acme.com", "status": "inactive" }));
    let (alpha, beta) = (bench.group("alpha"), bench.group("beta"));
    let bob = bench.account("bob@acme.com");
    for (query, expected) in [
        (json!({ "emails": ["ANN@acme.com", "none@acme.com"] }), vec!["ann@acme.com"]),
        (json!({ "accountIds": [bob] }), vec!["bob@acme.com"]),
        (json!({ "groupIds": [alpha, beta] }), vec!["ann@acme.com", "bob@acme.com", "eve@outside.org"]),
        (json!({ "groupIds": [alpha], "accountIds": [bob] }), vec!["bob@acme.com"]),
        (json!({ "groupIds": ["none"] }), vec![]),
        (json!({ "status": ["suspended"] }), vec!["bob@acme.com"]),
        (json!({ "status": ["deactivated"] }), vec!["cat@acme.com"]),
        (json!({ "membershipStatus": ["suspended"] }), vec!["bob@acme.com"]),
        (json!({ "accountStatus": ["inactive"] }), vec!["cat@acme.com"]),
        (json!({ "claimStatus": "unmanaged" }), vec!["eve@outside.org"]),
        (json!({ "searchTerm": "AN" }), vec!["ann@acme.com"]),
        (json!({ "emailDomains": ["outside.org"] }), vec!["eve@outside.org"]),
        (json!({ "directoryIds": ["another"] }), vec![]),
    ] {
        let found = bench.org("POST", "users/search", query.clone()).await;
        assert_eq!(names(&found.body, "email"), expected, "{query}");
    }
    let sorted = json!({ "sortBy": [{ "field": "email", "direction": "desc" }], "limit": 2 });
    let found = bench.org("POST", "users/search", sorted).await;
    assert_eq!(names(&found.body, "email"), ["eve@outside.org", "cat@acme.com"]);
    let found = bench.org("POST", "users/search", json!({ "cursor": found.body["links"]["next"] })).await;
    assert_eq!(names(&found.body, "email"), ["bot@acme.com", "bob@acme.com"]);
    for (query, expected) in [
        (json!({ "groupNames": ["ALPHA", "gamma"] }), vec!["alpha"]),
        (json!({ "groupIds": [beta] }), vec!["beta"]),
        (json!({ "accountIds": [bob] }), vec!["alpha", "beta"]),
        (json!({ "searchTerm": "et" }), vec!["beta"]),
        (json!({}), vec!["alpha", "beta"]),
    ] {
        let found = bench.org("POST", "groups/search", query.clone()).await;
        assert_eq!(names(&found.body, "name"), expected, "{query}");
    }
    let counted = bench.org("POST", "groups/search", json!({ "expand": ["counts.users"], "limit": 1 })).await;
    assert_eq!(counted.body["data"][0]["counts"], json!({ "users": 2 }));
    let mixed = bench.org("POST", "groups/search", json!({ "groupNames": ["a"], "searchTerm": "a" })).await;
    assert_eq!(mixed.status, 400);
}

#[tokio::test]
async fn reads_lag_behind_writes() {
    let bench = Bench::new();
    bench.edit(json!({ "op": "group", "name": "old", "members": ["ann@acme.com"] }));
    bench.twin.engine.lag.set_visibility("atlassian.org", 1500);
    let (ann, bob) = (bench.account("ann@acme.com"), bench.account("bob@acme.com"));
    let (old, path) = (bench.group("old"), format!("groups/{}/memberships", bench.group("old")));
    assert_eq!(bench.org("POST", "groups", json!({ "name": "new" })).await.status, 201);
    assert_eq!(bench.org("POST", &path, json!({ "accountId": bob })).await.status, 200);
    assert_eq!(bench.org("DELETE", &format!("{path}/{ann}"), Value::Null).await.status, 204);
    assert_eq!(bench.org("POST", "groups", json!({ "name": "new" })).await.status, 409, "writes know at once");
    for (after, groups, members) in
        [(1499, vec!["old"], vec!["ann@acme.com"]), (1, vec!["old", "new"], vec!["bob@acme.com"])]
    {
        bench.twin.engine.clock.advance(after);
        let found = bench.org("POST", "groups/search", json!({})).await;
        assert_eq!(names(&found.body, "name"), groups);
        let found = bench.org("POST", "users/search", json!({ "groupIds": [old] })).await;
        assert_eq!(names(&found.body, "email"), members);
    }
    let new = bench.group("new");
    assert_eq!(bench.org("DELETE", &format!("groups/{new}"), Value::Null).await.status, 204);
    assert_eq!(bench.org("GET", &format!("groups/{new}"), Value::Null).await.status, 200, "still seen");
    bench.twin.engine.clock.advance(1500);
    assert_eq!(bench.org("GET", &format!("groups/{new}"), Value::Null).await.status, 404);
}

#[tokio::test]
async fn people_are_suspended_restored_removed_and_invited() {
    let bench = Bench::new();
    bench.edit(json!({ "op": "group", "name": "g", "members": ["ann@acme.com"] }));
    let ann = bench.account("ann@acme.com");
    let status = async || bench.org("GET", &format!("users/{ann}"), Value::Null).await.body["data"]["status"].clone();
    assert_eq!(bench.org("POST", &format!("users/{ann}/suspend"), Value::Null).await.status, 200);
    assert_eq!(status().await, "suspended");
    assert_eq!(bench.members("g"), ["ann@acme.com"], "groups are kept");
    assert_eq!(bench.org("POST", &format!("users/{ann}/restore"), Value::Null).await.status, 200);
    assert_eq!(status().await, "active");
    assert_eq!(bench.org("DELETE", &format!("users/{ann}"), Value::Null).await.status, 202);
    assert_eq!(status().await, "active", "queued");
    bench.twin.engine.clock.advance(5000);
    assert_eq!(status().await, "not_invited", "of a claimed domain: known, and no member");
    let restored = bench.org("POST", &format!("users/{ann}/restore"), Value::Null).await;
    assert_eq!(restored.status, 404, "only an invitation lets in");
    assert_eq!(bench.jira("GET", &format!("user?accountId={ann}"), Value::Null).await.status, 404);
    assert_eq!(bench.members("g"), Vec::<String>::new());
    let group = bench.group("g");
    let add = bench.org("POST", &format!("groups/{group}/memberships"), json!({ "accountId": ann })).await;
    assert_eq!((add.status, add.code()), (404, "ADMIN-404-8"), "not in the directory any more");

    let invite = format!("/admin/v2/orgs/{ORGANIZATION}/users/invite");
    let body = json!({ "emails": ["ann@acme.com", "new@outside.org"], "additionalGroups": [group] });
    assert_eq!(bench.send("POST", &invite, ORG_KEY, body.clone()).await.status, 200);
    assert_eq!(bench.members("g"), ["ann@acme.com", "new@outside.org"]);
    bench.switch(|it| it.org_paid = false);
    assert_eq!(bench.send("POST", &invite, ORG_KEY, body).await.status, 402);
}

#[tokio::test]
async fn roles_are_assigned_and_read() {
    let bench = Bench::new();
    bench.edit(json!({ "op": "group", "name": "g", "members": ["ann@acme.com"] }));
    let (group, resource) = (bench.group("g"), "ari:cloud:jira-software::site/acme");
    let body = json!({ "resourceId": resource, "roleId": "atlassian/admin" });
    let path = format!("groups/{group}/role-assignments");
    assert_eq!(bench.org("POST", &format!("{path}/assign"), body.clone()).await.status, 200);
    let listed = bench.org("GET", &path, Value::Null).await;
    assert_eq!(
        listed.body["data"],
        json!([{ "resourceId": resource, "resourceOwner": "jira-software", "roles": ["atlassian/admin"] }])
    );
    let ann = bench.account("ann@acme.com");
    let of_user = bench.org("GET", &format!("users/{ann}/role-assignments"), Value::Null).await;
    assert_eq!(of_user.body["data"][0]["roles"], json!(["atlassian/admin"]));
    assert_eq!(bench.org("POST", &format!("{path}/revoke"), body).await.status, 200);
    assert_eq!(bench.org("GET", &path, Value::Null).await.body["data"], json!([]));
    let bad =
        bench.org("POST", &format!("{path}/assign"), json!({ "resourceId": "x", "roleId": "atlassian/user" })).await;
    assert_eq!(bad.status, 404);
    let workspaces = format!("/admin/v2/orgs/{ORGANIZATION}/workspaces");
    assert_eq!(bench.send("POST", &workspaces, ORG_KEY, json!({})).await.body["data"][0]["id"], resource);
    let org_role = format!("/admin/v1/orgs/{ORGANIZATION}/users/{ann}/role-assignments/assign");
    assert_eq!(bench.send("POST", &org_role, ORG_KEY, json!({ "role": "atlassian/org-admin" })).await.status, 200);
    let user = bench.org("GET", &format!("users/{ann}"), Value::Null).await;
    assert_eq!(user.body["data"]["platformRoles"], json!(["atlassian/org-admin"]));
}

#[tokio::test]
async fn throttling_and_faults_speak_the_gateways_language() {
    let bench = Bench::new();
    bench.edit(json!({ "op": "group", "name": "g", "members": ["ann@acme.com", "bob@acme.com"] }));
    let limit = crate::engine::Limit { per_minute: 60.0, burst: 1.0 };
    bench.twin.engine.quota.set("atlassian.org", Some(limit));
    assert_eq!(bench.org("GET", "groups/count", Value::Null).await.body, json!({ "count": 1 }));
    let throttled = bench.org("GET", "groups/count", Value::Null).await;
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, "1"));
    assert_eq!(throttled.body["code"], 429);
    bench.twin.engine.quota.enable(false);

    let page = json!({ "limit": 1, "groupIds": [bench.group("g")] });
    for (kind, emails, next) in [
        (FaultKind::EmptyPage { keep_next: false }, 0, false),
        (FaultKind::EmptyPage { keep_next: true }, 0, true),
        (FaultKind::Truncate, 1, false),
        (FaultKind::Shrink { shown_percent: 0 }, 0, false),
    ] {
        bench.twin.engine.faults.clear();
        bench.twin.engine.faults.inject(Fault::new("atlassian.org", "users.search", kind.clone()));
        let found = bench.org("POST", "users/search", page.clone()).await;
        assert_eq!(names(&found.body, "email").len(), emails, "{kind:?}");
        assert_eq!(found.body["links"].get("next").is_some(), next, "{kind:?}");
    }
    bench.twin.engine.faults.clear();
    bench.twin.engine.faults.inject(Fault::new("atlassian.org", "users.search", FaultKind::RepeatPage));
    let once = bench.org("POST", "users/search", page).await;
    let again = bench.org("POST", "users/search", json!({ "cursor": once.body["links"]["next"] })).await;
    assert_eq!(again.body["data"], once.body["data"], "the next page is this page again");

    bench.twin.engine.faults.clear();
    let after = FaultKind::Fail { status: 503, after: true, plain: false };
    bench.twin.engine.faults.inject(Fault::new("atlassian.org", "memberships.remove", after));
    let path = format!("groups/{}/memberships/{}", bench.group("g"), bench.account("ann@acme.com"));
    assert_eq!(bench.org("DELETE", &path, Value::Null).await.status, 503);
    assert_eq!(bench.members("g"), ["bob@acme.com"], "the effect happened");
}
