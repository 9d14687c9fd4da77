//! Quotas, lag and faults as a client meets them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{READ, Site, WRITE, column, site};

async fn inject(site: &Site, fault: Value) {
    let (status, body) = site.operate(Method::POST, "/faults", fault).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn the_quota_of_a_user_is_worded_as_google_does() {
    let site = site(READ).await;
    let limits = json!({"limits": {"google.directory.user": {"per_minute": 1, "burst": 2}}});
    site.operate(Method::PUT, "/quota", limits).await;
    assert_eq!([site.get("groups/g1").await.0, site.get("groups/g1").await.0], [200, 200]);
    let (status, body) = site.get("groups/g1").await;
    assert_eq!((status, &body["error"]["errors"][0]["reason"]), (403, &json!("userRateLimitExceeded")));
    site.operate(Method::PUT, "/quota", json!({"enabled": false})).await;
    assert_eq!(site.get("groups/g1").await.0, 200);
    let (_, counters) = site.operate(Method::GET, "/counters", Value::Null).await;
    let figures = &counters["operations"]["google.directory"]["groups.get"];
    assert_eq!((&figures["calls"], &figures["throttled"]), (&json!(4), &json!(1)));
    assert_eq!(counters["peak_concurrency"]["google.directory"], 1);
}

#[tokio::test]
async fn writes_are_seen_after_the_lag() {
    let site = site(WRITE).await;
    site.operate(Method::PUT, "/clock", json!({"real": false})).await;
    site.operate(Method::PUT, "/lag", json!({"visibility": {"google.directory": 1000}})).await;
    let members = || site.walk("groups/g3/members", "members");
    assert_eq!(site.write(Method::POST, "groups/g3/members", json!({"email": "dan@example.com"})).await.0, 200);
    assert_eq!(site.write(Method::DELETE, "groups/g3/members/u3", Value::Null).await.0, 204);
    assert_eq!(column(&members().await, "id"), ["u3"], "reads still see what was before");
    site.operate(Method::PUT, "/clock", json!({"advance": 999})).await;
    assert_eq!(column(&members().await, "id"), ["u3"]);
    site.operate(Method::PUT, "/clock", json!({"advance": 1})).await;
    assert_eq!(column(&members().await, "id"), ["u4"]);
}

#[tokio::test]
async fn a_stale_answer_shows_the_past() {
    let site = site(READ).await;
    let now = 1_000_000;
    site.operate(Method::PUT, "/clock", json!({"real": false})).await;
    site.operate(Method::POST, "/changes", json!({"op": "member_removed", "group": "g3", "id": "u3"})).await;
    site.operate(Method::PUT, "/clock", json!({"advance": 1000})).await;
    inject(&site, json!({"kind": "stale", "ms": now, "operation": "members.list", "times": 1})).await;
    assert_eq!(column(&site.walk("groups/g3/members", "members").await, "id"), ["u3"]);
    assert!(site.walk("groups/g3/members", "members").await.is_empty());
}

#[tokio::test]
async fn failures_come_before_or_after_the_effect() {
    let site = site(WRITE).await;
    let add = || site.send(Method::POST, "groups/g3/members", Some(json!({"email": "dan@example.com"})));
    let remove = || site.send(Method::DELETE, "groups/g3/members/u4", None);
    let there = || async { site.get("groups/g3/members/u4").await.0 == 200 };
    for (fault, expected, effect) in [
        (json!({"kind": "fail", "status": 503}), Some(503), false),
        (json!({"kind": "fail", "status": 500, "after": true}), Some(500), true),
        (json!({"kind": "throttle", "retry_after": "7"}), Some(429), false),
        (json!({"kind": "throttle", "shape": "quotaExceeded"}), Some(403), false),
        (json!({"kind": "reset"}), None, false),
        (json!({"kind": "reset", "after": true}), None, true),
        (json!({"kind": "html"}), Some(200), false),
        (json!({"kind": "html", "after": true}), Some(200), true),
        (json!({"kind": "unauthorized"}), Some(401), false),
        (json!({"kind": "forbidden"}), Some(403), false),
        (json!({"kind": "not-found"}), Some(404), false),
    ] {
        let mut armed = fault.clone();
        armed["operation"] = json!("members.insert");
        armed["times"] = json!(1);
        inject(&site, armed).await;
        let answer = add().await;
        assert_eq!(answer.as_ref().ok().map(|it| it.status().as_u16()), expected, "{fault}");
        if let Some(seconds) = fault.get("retry_after") {
            assert_eq!(answer.unwrap().headers()["retry-after"].to_str().unwrap(), seconds);
        }
        assert_eq!(there().await, effect, "{fault}");
        if effect {
            assert_eq!(remove().await.unwrap().status(), 204);
        }
    }
}

#[tokio::test]
async fn lists_are_broken_page_by_page() {
    let site = site(READ).await;
    let path = "groups/g1/members?maxResults=2";
    inject(&site, json!({"kind": "truncate", "operation": "members.*", "page": 1, "times": 1})).await;
    assert_eq!(site.walk(path, "members").await.len(), 2);
    inject(&site, json!({"kind": "empty-page", "operation": "members.*", "page": 2, "times": 1})).await;
    assert_eq!(site.walk(path, "members").await.len(), 2);
    inject(&site, json!({"kind": "empty-page", "keep_next": true, "operation": "members.*", "page": 1, "times": 1}))
        .await;
    assert_eq!(site.walk(path, "members").await.len(), 1);
    inject(&site, json!({"kind": "bad-token", "operation": "members.*", "page": 2, "times": 1})).await;
    let (_, first) = site.get(path).await;
    let second = format!("{path}&pageToken={}", first["nextPageToken"].as_str().unwrap());
    assert_eq!(site.get(&second).await.0, 400);
    inject(&site, json!({"kind": "repeat-page", "operation": "members.*", "page": 2, "times": 1})).await;
    assert_eq!(site.get(&second).await.1["nextPageToken"], first["nextPageToken"]);
    inject(&site, json!({"kind": "skip-items", "count": 1, "operation": "members.*", "page": 1, "times": 1})).await;
    assert_eq!(column(&site.walk(path, "members").await, "id"), ["g2", "g9"]);
    inject(&site, json!({"kind": "shrink", "shown_percent": 0, "operation": "groups.list", "times": 1})).await;
    let (status, shrunk) = site.get("groups?customer=my_customer").await;
    assert_eq!((status, shrunk.get("groups")), (200, None));
    assert_eq!(site.walk(path, "members").await.len(), 3, "all faults are spent");
}

#[tokio::test]
async fn concurrency_and_plain_bodies_have_their_own_shapes() {
    let site = site(READ).await;
    site.operate(Method::PUT, "/quota", json!({"concurrency": {"google.directory": 0}})).await;
    let (status, body) = site.get("groups/g1").await;
    assert_eq!((status, &body["error"]["errors"][0]["reason"]), (403, &json!("quotaExceeded")));
    site.operate(Method::DELETE, "/quota", Value::Null).await;
    inject(&site, json!({"kind": "throttle", "shape": "plain", "times": 1})).await;
    let answer = site.send(Method::GET, "groups/g1", None).await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.text().await.unwrap(), "Rate Limit Exceeded");
    inject(&site, json!({"kind": "slow", "ms": 1, "times": 1})).await;
    assert_eq!(site.get("groups/g1").await.0, 200);
}
