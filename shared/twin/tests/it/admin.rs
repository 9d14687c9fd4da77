//! The operator's endpoint.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{READ, column, site};

#[tokio::test]
async fn everybody_has_an_account_and_newcomers_get_one() {
    let site = site(READ).await;
    let (_, world) = site.operate(Method::GET, "/world", Value::Null).await;
    let emails = |world: &Value| -> Vec<String> {
        world["atlassian"]["accounts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["email"].as_str().unwrap().to_lowercase())
            .collect()
    };
    for email in ["ada@example.com", "eve@other.example.org", "sync@example.com"] {
        assert!(emails(&world).contains(&email.to_owned()), "{email}");
    }
    let person = json!({"op": "user_created", "id": "u6", "email": "fay@other.example.org", "given_name": "Fay",
                        "family_name": "Far", "external": true});
    let member = json!({"op": "member_added", "group": "g3", "id": "u6", "type": "USER", "role": "MEMBER"});
    let line = json!({"seq": 1, "t": 1_600_000_000, "set_clock": true, "changes": [person, member]});
    let (status, done) = site.operate(Method::POST, "/changes", line).await;
    assert_eq!((status, &done["applied"], &done["at"]), (200, &json!(2), &json!(1_600_000_000_000_i64)));
    let renamed = json!({"op": "user_renamed", "id": "u6", "set": {"email": "fay@new.example.org"}, "old": {}});
    assert_eq!(site.operate(Method::POST, "/changes", json!([renamed])).await.0, 200);
    let (_, world) = site.operate(Method::GET, "/world", Value::Null).await;
    assert!(emails(&world).contains(&"fay@new.example.org".to_owned()));
    let core = world["google"]["groups"].as_array().unwrap().iter().find(|it| it["id"] == "g3").unwrap();
    assert_eq!(column(core["members"].as_array().unwrap(), "email"), ["cyd@example.com", "fay@new.example.org"]);
}

#[tokio::test]
async fn every_effective_change_is_logged_once_with_its_request() {
    let site = site(crate::support::WRITE).await;
    let url = format!("{}/admin/directory/v1/groups/g3/members", site.running.google_url());
    for status in [200, 409] {
        let request = site.client.post(&url).bearer_auth(&site.token).header("X-Request-Id", "r-1");
        let answer = request.json(&json!({"email": "dan@example.com"})).send().await.unwrap();
        assert_eq!(answer.status(), status);
    }
    let (_, log) = site.operate(Method::GET, "/log?after=0", Value::Null).await;
    let mutations = log["mutations"].as_array().unwrap();
    assert_eq!(mutations.len(), 1, "{log}");
    assert_eq!(mutations[0]["key"], "google/group/g3/member/u4");
    assert_eq!((&mutations[0]["request_id"], &mutations[0]["new"]), (&json!("r-1"), &json!("MEMBER")));
    assert_eq!(mutations[0]["caller"], site.running.service_account_key()["client_email"]);
    let (_, later) = site.operate(Method::GET, "/log?after=1", Value::Null).await;
    assert_eq!(later["mutations"], json!([]));
}

#[tokio::test]
async fn a_change_that_cannot_be_is_refused_by_name() {
    let site = site(READ).await;
    let good = json!({"op": "user_archived", "id": "u1"});
    let bad = json!({"op": "member_removed", "group": "g3", "id": "u1"});
    let (status, body) = site.operate(Method::POST, "/changes", json!({"changes": [good, bad]})).await;
    assert_eq!((status, &body["applied"]), (409, &json!(1)));
    assert!(body["error"].as_str().unwrap().contains("memberKey"), "{body}");
    assert_eq!(site.operate(Method::POST, "/changes", json!({"op": "dance"})).await.0, 400);
    assert_eq!(site.operate(Method::POST, "/load", json!({"format": "other/1"})).await.0, 400);
    assert_eq!(site.get("users/u1").await.1["archived"], true);
}

#[tokio::test]
async fn a_reset_forgets_everything_and_both_ports_serve_both_sides() {
    let site = site(READ).await;
    site.operate(Method::POST, "/faults", json!({"kind": "forbidden"})).await;
    let (status, summary) = site.operate(Method::POST, "/reset", json!({})).await;
    assert_eq!((status, &summary["users"], &summary["groups"]), (200, &json!(1), &json!(0)));
    let url = format!("{}/_twin/faults", site.running.atlassian_url());
    let faults: Value = site.client.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(faults["faults"], json!([]));
    let url = format!("{}/admin/directory/v1/users?customer=my_customer", site.running.atlassian_url());
    assert_eq!(site.client.get(url).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn revoked_credentials_stop_working() {
    let site = site(READ).await;
    assert_eq!(site.get("groups/g1").await.0, 200);
    site.operate(Method::POST, "/credentials/revoke", json!({"access_tokens": true})).await;
    assert_eq!(site.get("groups/g1").await.0, 401);
    let narrow = json!({"scopes": ["https://www.googleapis.com/auth/admin.directory.user.readonly"]});
    let (_, key) = site.operate(Method::POST, "/credentials/key-file", narrow).await;
    assert_eq!(key["token_uri"], format!("{}/token", site.running.google_url()));
    let claims = crate::support::claims(&site.running, "sync@example.com", READ);
    let assertion = crate::support::assertion(&claims, false);
    assert_eq!(crate::support::ask_token(&site.client, &site.running, &assertion).await.status(), 401);
}

#[tokio::test]
async fn a_world_file_brings_everything_with_it() {
    let site = site(READ).await;
    let file = json!({
        "format": "twin-world/1",
        "options": {"accounts": "none", "administrator": "boss@example.com"},
        "snapshot": crate::support::company(),
        "changes": [{"op": "member_added", "group": "core@example.com", "id": "C01twin00", "type": "CUSTOMER", "role": "MEMBER"}],
        "atlassian": [{"op": "group", "name": "core", "members": ["ada@example.com"]}],
        "credentials": {"secrets": [{"kind": "atlassian-org", "realm": "org-1", "secret": "another-key"}]},
        "faults": [{"kind": "forbidden", "operation": "groups.get"}],
    });
    let (status, summary) = site.operate(Method::POST, "/load", file).await;
    assert_eq!((status, &summary["sequence"]), (200, &json!(0)), "{summary}");
    let token = crate::support::sign_in(&site.client, &site.running, "boss@example.com", READ).await;
    let site = crate::support::Site { token, ..site };
    let members = site.walk("groups/g3/members", "members").await;
    assert_eq!(column(&members, "type"), ["CUSTOMER", "USER"]);
    assert_eq!((members[0].get("email"), &members[0]["id"]), (None, &json!("C01twin00")));
    assert_eq!(site.get("groups/g1").await.0, 403, "the fault is armed");
    let (_, world) = site.operate(Method::GET, "/world/atlassian", Value::Null).await;
    assert_eq!(world["organizations"]["org-1"]["groups"]["core"]["members"], json!(["ada@example.com"]));
    assert_eq!(world["accounts"].as_array().map(Vec::len), Some(2), "the administrator and the member");
    let (_, credentials) = site.operate(Method::GET, "/credentials", Value::Null).await;
    assert!(credentials.to_string().contains("another-key") && credentials.to_string().contains("twin-org-key"));
}
