//! User management, and what the world says of itself.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use serde_json::{Value, json};

use super::testing::{Bench, ORG_KEY};
use crate::world::atlassian::AtlassianSwitches;

#[tokio::test]
async fn managed_accounts_are_disabled_and_enabled() {
    let bench = Bench::new();
    let path = |email: &str, rest: &str| format!("/users/{}/manage{rest}", bench.account(email));
    let allowed = bench.send("GET", &path("ann@acme.com", ""), ORG_KEY, Value::Null).await.body;
    assert_eq!(allowed["lifecycle.enablement"]["allowed"], true);
    let disable = path("ann@acme.com", "/lifecycle/disable");
    assert_eq!(bench.send("POST", &disable, ORG_KEY, json!({})).await.status, 204);
    let user = bench.org("GET", &format!("users/{}", bench.account("ann@acme.com")), Value::Null).await;
    assert_eq!(user.body["data"]["status"], "deactivated");
    let enable = path("ann@acme.com", "/lifecycle/enable");
    assert_eq!(bench.send("POST", &enable, ORG_KEY, json!({})).await.status, 204);
    let unclaimed = bench.send("POST", &path("eve@outside.org", "/lifecycle/disable"), ORG_KEY, json!({})).await;
    assert_eq!((unclaimed.status, &unclaimed.body["key"]), (403, &json!("forbidden")));
    let record = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ann",
        "emails": [{ "value": "ann@acme.com" }] });
    assert_eq!(bench.scim("POST", "Users", record).await.status, 201);
    let linked = bench.send("POST", &disable, ORG_KEY, json!({})).await;
    assert_eq!(linked.body["context"]["reason"]["key"], "externalDirectory.scim");
    assert_eq!(bench.send("POST", &disable, "Bearer no", json!({})).await.body["key"], "unauthorized");
}

#[tokio::test]
async fn links_are_found_and_undone() {
    let bench = Bench::new();
    let record = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ann",
        "emails": [{ "value": "ann@acme.com" }] });
    let user = bench.scim("POST", "Users", record).await.body["id"].as_str().unwrap().to_owned();
    let base = format!("/admin/user-provisioning/v1/org/{}", crate::world::atlassian::ORGANIZATION);
    let links = format!("{base}/user/{}/get-scim-links", bench.account("ann@acme.com"));
    let found = bench.send("GET", &links, ORG_KEY, Value::Null).await.body;
    assert_eq!(found["data"][0]["scimUserId"], json!(user));
    let directory = crate::world::atlassian::SCIM_DIRECTORY;
    let unlink = format!("{base}/scimDirectoryId/{directory}/scimUserId/{user}/unlink");
    assert_eq!(bench.send("PATCH", &unlink, ORG_KEY, json!({})).await.status, 204);
    assert_eq!(bench.send("GET", &links, ORG_KEY, Value::Null).await.body["data"], json!([]));
}

#[test]
fn the_world_is_read_back_by_names_and_addresses() {
    let bench = Bench::new();
    bench.edit(json!({ "op": "group", "name": "g", "members": ["cat@acme.com", "ann@acme.com"] }));
    let world = bench.twin.world().atlassian.dump();
    let group = &world["organizations"][crate::world::atlassian::ORGANIZATION]["groups"]["g"];
    assert_eq!(group["members"], json!(["ann@acme.com", "cat@acme.com"]));
    assert_eq!(group["account_ids"], json!([bench.account("ann@acme.com"), bench.account("cat@acme.com")]));
    assert_eq!(world["sites"]["acme"]["view_of"], crate::world::atlassian::ORGANIZATION);
}

#[test]
fn switches_are_named_and_unknown_ones_refused() {
    let whole = serde_json::to_value(AtlassianSwitches::default()).unwrap();
    assert_eq!(serde_json::from_value::<AtlassianSwitches>(whole).unwrap(), AtlassianSwitches::default());
    let one: AtlassianSwitches = serde_json::from_value(json!({ "org_add_status": 204 })).unwrap();
    assert_eq!((one.org_add_status, one.dead_v1_status), (204, 410));
    assert!(serde_json::from_value::<AtlassianSwitches>(json!({ "org_ad_status": 204 })).is_err());
}
