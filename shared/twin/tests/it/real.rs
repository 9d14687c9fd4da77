//! The real snapshot and its history, where they are.

use std::fs;

use reqwest::Method;
use serde_json::Value;

use crate::support::{READ, Site, bare, data, sign_in};

async fn loaded(bytes: &[u8]) -> Site {
    let site = bare(&serde_json::from_slice(bytes).unwrap()).await;
    let token = sign_in(&site.client, &site.running, "sync@example.com", READ).await;
    Site { token, ..site }
}

#[tokio::test]
async fn the_real_snapshot_is_served_whole() {
    let Some(data) = data() else {
        println!("the folder with real data is absent: nothing to load");
        return;
    };
    let bytes = fs::read(data.join("k8s-google-groups/snapshot.json")).unwrap();
    let snapshot: Value = serde_json::from_slice(&bytes).unwrap();
    let site = loaded(&bytes).await;
    site.operate(Method::PUT, "/quota", serde_json::json!({"enabled": false})).await;
    let users = site.walk("users?customer=my_customer", "users").await;
    assert_eq!(users.len(), 2, "one of theirs and the administrator: everybody else is outside");
    let groups = site.walk("groups?customer=my_customer", "groups").await;
    assert_eq!(groups.len(), 197, "two of 199 belong to others");
    let mut memberships = 0;
    for group in &groups {
        let path = format!("groups/{}/members?maxResults=7", group["id"].as_str().unwrap());
        memberships += site.walk(&path, "members").await.len();
    }
    assert_eq!(memberships, 1223);
    let people = snapshot["users"].as_array().unwrap().len();
    let accounts = site.running.twin.world().atlassian.accounts().len();
    assert_eq!(accounts, people + 1, "one account for every person and the administrator's");
}

#[tokio::test]
async fn the_real_histories_lead_to_the_real_snapshots() {
    let Some(data) = data() else {
        println!("the folder with real data is absent: nothing to replay");
        return;
    };
    for name in ["k8s-google-groups", "knative-google-groups", "knative-github-teams"] {
        let snapshot = fs::read(data.join(name).join("snapshot.json")).unwrap();
        let history = fs::read_to_string(data.join(name).join("history.jsonl")).unwrap();
        let empty = serde_json::json!({"format": "orgdir-snapshot/1", "users": [], "groups": []});
        let replayed = bare(&empty).await;
        for line in history.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let changes: Vec<twin::load::Change> = serde_json::from_value(line["changes"].clone()).unwrap();
            replayed.running.twin.change(&changes).unwrap();
        }
        let target = loaded(&snapshot).await;
        assert_eq!(state(&replayed), state(&target), "{name}");
    }
}

/// Groups with members, and people, without what only one of the two ways leaves behind: aliases from renames.
fn state(site: &Site) -> Value {
    let mut dump = site.running.twin.world().google.dump();
    for list in ["users", "groups", "outsiders"] {
        for it in dump[list].as_array_mut().unwrap() {
            it.as_object_mut().unwrap().remove("aliases");
        }
    }
    for it in ["deleted_users", "domains"] {
        dump.as_object_mut().unwrap().remove(it);
    }
    dump
}
