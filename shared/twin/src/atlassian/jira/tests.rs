//! Jira Cloud v3 against its column of the behaviour table.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::testing::Bench;
use crate::engine::{Fault, FaultKind, Limit};
use crate::world::atlassian::{CLOUD_ID, SCIM_DIRECTORY};

async fn create(bench: &Bench, name: &str) -> String {
    let made = bench.jira("POST", "group", json!({ "name": name })).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.body["groupId"].as_str().unwrap().to_owned()
}

fn names(body: &Value, field: &str) -> Vec<String> {
    body.as_array().unwrap().iter().map(|it| it[field].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_group_is_created_filled_and_deleted() {
    let bench = Bench::new();
    let group = create(&bench, "devs").await;
    assert_eq!(bench.group("devs"), group, "a view shows the organization's groups under their own ids");
    let again = bench.jira("POST", "group", json!({ "name": "DEVS" })).await;
    assert_eq!(again.status, 400);
    assert_eq!(again.body["errorMessages"], json!(["A group or user with this name already exists."]));
    assert_eq!(bench.jira("POST", "group", json!({})).await.status, 400);

    let ann = bench.account("ann@acme.com");
    let path = format!("group/user?groupId={group}");
    let added = bench.jira("POST", &path, json!({ "accountId": ann })).await;
    assert_eq!((added.status, &added.body["users"]["size"]), (201, &json!(1)));
    let twice = bench.jira("POST", &path, json!({ "accountId": ann })).await;
    assert_eq!(twice.status, 400);
    assert_eq!(twice.body["errorMessages"], json!(["Cannot add user 'ann', user is already a member of 'devs'"]));
    let listed = bench.jira("GET", "group/member?groupname=devs", Value::Null).await.body;
    assert_eq!(names(&listed["values"], "emailAddress"), ["ann@acme.com"]);
    assert_eq!((&listed["isLast"], &listed["total"]), (&json!(true), &json!(1)));

    let one = format!("{path}&accountId={ann}");
    let removed = bench.jira("DELETE", &one, Value::Null).await;
    assert_eq!((removed.status, removed.text.as_str()), (200, ""));
    let twice = bench.jira("DELETE", &one, Value::Null).await;
    assert_eq!(twice.status, 400);
    assert_eq!(
        twice.body["errorMessages"],
        json!(["Cannot remove user 'ann' from group 'devs' since user is not a member of 'devs'"])
    );
    assert_eq!(bench.jira("POST", &path, json!({ "accountId": "nobody" })).await.status, 404);
    assert_eq!(bench.jira("POST", &path, json!({ "name": "ann" })).await.status, 400);
    assert_eq!(bench.jira("POST", "group/user?groupId=none", json!({ "accountId": ann })).await.status, 404);
    assert_eq!(bench.jira("POST", "group/user", json!({ "accountId": ann })).await.status, 400);
    let both = format!("group/member?groupId={group}&groupname=devs");
    assert_eq!(bench.jira("GET", &both, Value::Null).await.status, 400, "mutually exclusive");
    assert_eq!(bench.jira("DELETE", &format!("group?groupId={group}"), Value::Null).await.status, 200);
    assert_eq!(bench.jira("GET", &format!("group?groupId={group}"), Value::Null).await.status, 404);
}

#[tokio::test]
async fn refusals_have_their_statuses_and_switches() {
    let bench = Bench::new();
    let resource = "ari:cloud:jira-software::site/acme";
    for group in ["synced", "default", "admins", "full", "plain"] {
        bench.edit(json!({ "op": "group", "name": group, "members": ["bob@acme.com"] }));
    }
    bench.edit(json!({ "op": "group_owned", "group": "synced", "scim_directory": SCIM_DIRECTORY }));
    bench.edit(json!({ "op": "group_default", "group": "default", "default": true }));
    bench.edit(json!({ "op": "group", "name": "admins", "roles": [[resource, "atlassian/admin"]] }));
    bench.edit(json!({ "op": "group", "name": "full", "roles": [[resource, "atlassian/user"]] }));
    bench.edit(json!({ "op": "seats", "resource": resource, "seats": 1 }));
    bench.edit(json!({ "op": "account_status", "account": "cat@acme.com", "status": "inactive" }));
    let (ann, cat) = (bench.account("ann@acme.com"), bench.account("cat@acme.com"));
    for (group, account, expected) in
        [("synced", ann.as_str(), 403), ("full", ann.as_str(), 400), ("plain", cat.as_str(), 400)]
    {
        let path = format!("group/user?groupname={group}");
        let refused = bench.jira("POST", &path, json!({ "accountId": account })).await;
        assert_eq!(refused.status, expected, "{group}: {}", refused.text);
    }
    for (group, expected) in [("synced", 403), ("default", 400), ("admins", 400), ("none", 404), ("plain", 200)] {
        let deleted = bench.jira("DELETE", &format!("group?groupname={group}"), Value::Null).await;
        assert_eq!(deleted.status, expected, "{group}");
    }
    bench.switch(|it| {
        it.jira_external_group_status = 400;
        it.jira_protected_group_status = 403;
        it.jira_unknown_user_status = 400;
    });
    let synced = bench.jira("POST", "group/user?groupname=synced", json!({ "accountId": ann })).await;
    assert_eq!(synced.status, 400);
    assert_eq!(bench.jira("DELETE", "group?groupname=default", Value::Null).await.status, 403);
    assert_eq!(bench.jira("GET", "user?accountId=nobody", Value::Null).await.status, 400);
}

#[tokio::test]
async fn members_come_in_pages_without_inactive_ones() {
    let bench = Bench::new();
    bench.edit(json!({ "op": "group", "name": "g",
        "members": ["ann@acme.com", "bob@acme.com", "cat@acme.com", "eve@outside.org"] }));
    bench.edit(json!({ "op": "account_status", "account": "bob@acme.com", "status": "inactive" }));
    let first = bench.jira("GET", "group/member?groupname=g&maxResults=2", Value::Null).await.body;
    assert_eq!(names(&first["values"], "displayName"), ["ann", "cat"]);
    assert_eq!((&first["isLast"], &first["total"]), (&json!(false), &json!(3)));
    let next = first["nextPage"].as_str().unwrap();
    let next = next.split_once("/rest/api/3/").unwrap().1;
    let second = bench.jira("GET", next, Value::Null).await.body;
    assert_eq!((names(&second["values"], "displayName"), &second["isLast"]), (vec!["eve".to_owned()], &json!(true)));
    let all = bench.jira("GET", "group/member?groupname=g&includeInactiveUsers=true&maxResults=100", Value::Null).await;
    assert_eq!((&all.body["total"], &all.body["maxResults"]), (&json!(4), &json!(50)), "no more than 50 a page");
}

#[tokio::test]
async fn groups_are_looked_up() {
    let bench = Bench::new();
    let resource = "ari:cloud:jira-software::site/acme";
    for (name, role) in [("jira-users", "atlassian/user"), ("jira-admins", "atlassian/admin")] {
        bench.edit(json!({ "op": "group", "name": name, "roles": [[resource, role]] }));
    }
    bench.edit(json!({ "op": "group", "name": "site-admins" }));
    bench.edit(json!({ "op": "group_default", "group": "jira-users", "default": true }));
    let id = bench.group("jira-users");
    for (query, expected) in [
        (String::new(), vec!["jira-users", "jira-admins", "site-admins"]),
        (format!("groupId={id}&groupName=Site-Admins"), vec!["jira-users", "site-admins"]),
        ("accessType=admin".to_owned(), vec!["jira-admins"]),
        ("accessType=site-admin".to_owned(), vec!["site-admins"]),
        ("accessType=user&applicationKey=jira-software".to_owned(), vec!["jira-users"]),
        ("startAt=1&maxResults=1".to_owned(), vec!["jira-admins"]),
    ] {
        let found = bench.jira("GET", &format!("group/bulk?{query}"), Value::Null).await.body;
        assert_eq!(names(&found["values"], "name"), expected, "{query}");
    }
    let picked = bench.jira("GET", "groups/picker?query=jira&maxResults=1", Value::Null).await.body;
    assert_eq!((&picked["total"], &picked["header"]), (&json!(2), &json!("Showing 1 of 2 matching groups")));
    let roles = bench.jira("GET", "applicationrole", Value::Null).await.body;
    assert_eq!(roles[0]["defaultGroups"], json!(["jira-users"]));
    assert_eq!(
        (&roles[0]["hasUnlimitedSeats"], &roles[0]["groups"]),
        (&json!(true), &json!(["jira-users", "jira-admins"]))
    );
    assert_eq!(bench.jira("GET", "applicationrole/none", Value::Null).await.status, 404);
}

#[tokio::test]
async fn people_are_found_and_hide_their_addresses() {
    let bench = Bench::new();
    bench.edit(json!({ "op": "group", "name": "g", "members": ["ann@acme.com"] }));
    bench.edit(json!({ "op": "email", "account": "ann@acme.com", "hidden": true }));
    let (ann, bob) = (bench.account("ann@acme.com"), bench.account("bob@acme.com"));
    let one = bench.jira("GET", &format!("user?accountId={ann}&expand=groups,applicationRoles"), Value::Null).await;
    assert!(one.body.get("emailAddress").is_none(), "{}", one.text);
    assert_eq!(one.body["groups"]["items"][0]["name"], "g");
    let found = bench.jira("GET", "user/search?query=ann@acme", Value::Null).await.body;
    assert_eq!(found, json!([]), "a hidden address is not searched");
    assert_eq!(
        names(&bench.jira("GET", "user/search?query=bo", Value::Null).await.body, "displayName"),
        ["bot", "bob"]
    );
    assert_eq!(bench.jira("GET", "user/search", Value::Null).await.status, 400);
    let all = bench.jira("GET", "users/search?startAt=1&maxResults=2", Value::Null).await.body;
    assert_eq!(names(&all, "displayName"), ["ann", "bob"]);
    let several = format!("user/bulk?accountId={ann}&accountId={bob}&accountId=nobody");
    assert_eq!(bench.jira("GET", &several, Value::Null).await.body["total"], 2);
    let groups = bench.jira("GET", &format!("user/groups?accountId={ann}"), Value::Null).await.body;
    assert_eq!(names(&groups, "groupId"), [bench.group("g")]);
    assert_eq!(bench.jira("GET", &format!("user/email?accountId={ann}"), Value::Null).await.status, 400);
    let me = bench.jira("GET", "myself", Value::Null).await;
    assert_eq!(
        (me.body["emailAddress"].as_str(), me.header("x-aaccountid")),
        (Some("bot@acme.com"), bench.account("bot@acme.com").as_str())
    );
    let may = bench.jira("GET", "mypermissions?permissions=ADMINISTER", Value::Null).await.body;
    assert_eq!(may["permissions"]["ADMINISTER"]["havePermission"], true);
    assert_eq!(bench.jira("GET", "mypermissions", Value::Null).await.status, 400);
    assert_eq!(bench.jira("GET", "serverInfo", Value::Null).await.body["deploymentType"], "Cloud");
    let audit = bench.jira("GET", "auditing/record?limit=1", Value::Null).await.body;
    assert_eq!(audit["records"][0]["summary"], "User added to group");
}

#[tokio::test]
async fn people_are_created_within_the_licence_and_removed() {
    let bench = Bench::new();
    let resource = "ari:cloud:jira-software::site/acme";
    bench.edit(json!({ "op": "group", "name": "users", "default": true, "roles": [[resource, "atlassian/user"]] }));
    bench.edit(json!({ "op": "seats", "resource": resource, "seats": 1 }));
    let new = |email: &str| json!({ "emailAddress": email, "products": ["jira-software"] });
    assert_eq!(bench.jira("POST", "user", new("ann@acme.com")).await.status, 400, "exists without access");
    assert_eq!(bench.jira("POST", "user", new("new@acme.com")).await.status, 201);
    assert_eq!(bench.members("users"), ["new@acme.com"]);
    assert_eq!(bench.jira("POST", "user", new("more@acme.com")).await.status, 400, "the licence is exhausted");
    let without = json!({ "emailAddress": "guest@acme.com", "products": [] });
    assert_eq!(bench.jira("POST", "user", without).await.status, 201);
    assert_eq!(bench.jira("POST", "user", json!({ "emailAddress": "x@acme.com" })).await.status, 400);
    let path = format!("user?accountId={}", bench.account("new@acme.com"));
    assert_eq!(bench.jira("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(bench.members("users"), Vec::<String>::new());
    assert_eq!(bench.jira("DELETE", &path, Value::Null).await.status, 404);
    let own = format!("user?accountId={}", bench.account("bot@acme.com"));
    assert_eq!(bench.jira("DELETE", &own, Value::Null).await.status, 400);
}

#[tokio::test]
async fn a_site_that_owns_its_groups_has_others() {
    let bench = Bench::new();
    bench.edit(json!({ "op": "load",
        "sites": [{ "name": "emea", "cloud_id": "cloud-2" }],
        "accounts": [{ "email": "bot@acme.com", "site": "emea" }, { "email": "ann@acme.com", "site": "emea" }],
        "groups": [{ "name": "devs", "site": "emea", "members": ["ann@acme.com"] }] }));
    bench.twin.engine.credentials().merge(
        serde_json::from_value(json!({ "secrets":
        [{ "kind": "jira", "realm": "emea", "principal": "bot@acme.com", "secret": "emea-token" }] }))
        .unwrap(),
    );
    let token = format!("Basic {}", STANDARD.encode("bot@acme.com:emea-token"));
    create(&bench, "devs").await;
    for prefix in ["/sites/emea", "/ex/jira/cloud-2", ""] {
        let found =
            bench.send("GET", &format!("{prefix}/rest/api/3/group/member?groupname=devs"), &token, Value::Null).await;
        assert_eq!(names(&found.body["values"], "displayName"), ["ann"], "{prefix}: {}", found.text);
    }
    assert_eq!(bench.members("devs"), Vec::<String>::new(), "the organization's group of that name is another one");
    let path = format!("/ex/jira/{CLOUD_ID}/rest/api/3/myself");
    assert_eq!(bench.send("GET", &path, &token, Value::Null).await.status, 401, "a token of another site");
}

#[tokio::test]
async fn a_view_may_lag_behind_its_organization() {
    let bench = Bench::new();
    bench.switch(|it| it.site_lag_ms = 3000);
    let group = create(&bench, "devs").await;
    let path = format!("group?groupId={group}");
    assert_eq!(bench.org("GET", &format!("groups/{group}"), Value::Null).await.status, 200);
    assert_eq!(bench.jira("GET", &path, Value::Null).await.status, 404);
    bench.twin.engine.clock.advance(3000);
    assert_eq!(bench.jira("GET", &path, Value::Null).await.status, 200);
}

#[tokio::test]
async fn credentials_are_asked_for() {
    let bench = Bench::new();
    let wrong = format!("Basic {}", STANDARD.encode("bot@acme.com:wrong"));
    let other = format!("Basic {}", STANDARD.encode("ann@acme.com:twin-api-token"));
    for token in [wrong.as_str(), other.as_str(), "", "Bearer twin-org-key"] {
        let refused = bench.send("GET", "/rest/api/3/myself", token, Value::Null).await;
        assert_eq!((refused.status, refused.body), (401, Value::Null), "{token}");
    }
    bench.edit(json!({ "op": "account_status", "account": "bot@acme.com", "status": "inactive" }));
    assert_eq!(bench.jira("GET", "myself", Value::Null).await.status, 401, "a deactivated account logs in nowhere");
}

#[tokio::test]
async fn bursts_are_limited_by_endpoint_and_method() {
    let bench = Bench::new();
    let quota = &bench.twin.engine.quota;
    quota.set("atlassian.jira.get", Some(Limit { per_minute: 60.0, burst: 5.0 }));
    let first = bench.jira("GET", "myself", Value::Null).await;
    assert_eq!((first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")), ("5", "4"));
    for _ in 0..4 {
        bench.jira("GET", "myself", Value::Null).await;
    }
    let throttled = bench.jira("GET", "myself", Value::Null).await;
    assert_eq!(throttled.status, 429);
    for (name, value) in [
        ("retry-after", "1"),
        ("x-ratelimit-remaining", "0"),
        ("ratelimit-reason", "jira-burst-based"),
        ("x-ratelimit-reset", "2027-01-15T08:00Z"),
    ] {
        assert_eq!(throttled.header(name), value, "{name}");
    }
    assert_eq!(bench.jira("GET", "serverInfo", Value::Null).await.status, 200, "another endpoint has its own bucket");
    assert_eq!(bench.jira("POST", "group", json!({ "name": "x" })).await.status, 201);
}

#[tokio::test]
async fn faults_speak_jira() {
    let bench = Bench::new();
    bench.edit(json!({ "op": "group", "name": "g", "members": ["ann@acme.com", "bob@acme.com", "cat@acme.com"] }));
    let faults = &bench.twin.engine.faults;
    let path = "group/member?groupname=g&maxResults=1";
    for (kind, shown, last) in [
        (FaultKind::EmptyPage { keep_next: true }, 0, false),
        (FaultKind::EmptyPage { keep_next: false }, 0, true),
        (FaultKind::Truncate, 1, true),
        (FaultKind::RepeatPage, 1, false),
    ] {
        faults.clear();
        faults.inject(Fault { page: Some(2), ..Fault::new("atlassian.jira", "group.member", kind.clone()) });
        assert_eq!(bench.jira("GET", path, Value::Null).await.body["isLast"], false, "the first page is whole");
        let second = bench.jira("GET", &format!("{path}&startAt=1"), Value::Null).await.body;
        assert_eq!(second["values"].as_array().unwrap().len(), shown, "{kind:?}");
        assert_eq!(second["isLast"], last, "{kind:?}");
    }
    faults.clear();
    faults.inject(Fault::new("atlassian.jira", "*", FaultKind::SkipItems { count: 1 }));
    let rest = bench.jira("GET", "group/member?groupname=g", Value::Null).await.body;
    assert_eq!(names(&rest["values"], "displayName"), ["bob", "cat"]);
    let rest = bench.jira("GET", "users/search?maxResults=2", Value::Null).await.body;
    assert_eq!(names(&rest, "displayName"), ["ann"]);
    faults.clear();
    let after = FaultKind::Fail { status: 500, after: true, plain: false };
    faults.inject(Fault::new("atlassian.jira", "group.user.remove", after));
    let remove = format!("group/user?groupname=g&accountId={}", bench.account("ann@acme.com"));
    assert_eq!(bench.jira("DELETE", &remove, Value::Null).await.status, 500);
    assert_eq!(bench.members("g"), ["bob@acme.com", "cat@acme.com"], "the effect happened");
}
