//! Status, plans, and requests to the other services.

use std::time::Duration;

use contract::ops;
use futures_util::StreamExt as _;
use model::{DirectoryId, Time};
use reqwest::StatusCode;
use serde_json::json;
use store::plan::Turn;

use crate::world::{NOW, World, case, cloud};

async fn status(world: &World) -> ops::Status {
    let (_, answer) = world.get("viewer", "/status").await;
    serde_json::from_value::<ops::StatusList>(answer).unwrap().tenants.remove(0)
}

fn workspace_id() -> DirectoryId {
    DirectoryId::new("workspace").unwrap()
}

fn says(in_sync: bool, as_of: Option<i64>) -> Turn {
    let (drifted, why_not) = if in_sync { (json!([]), json!([])) } else { (json!(["g-1"]), json!(["differs"])) };
    let body = json!({"in_sync": in_sync, "drifted": drifted, "as_of": as_of, "why_not": why_not});
    Turn { at: Time(NOW), sync_states: vec![(cloud(), body.to_string())], held: Some(Vec::new()), ..Turn::default() }
}

/// Watchers hold both directories, and read their lists at this time.
async fn watched(world: &World, at: Time) {
    for directory in ["workspace", "cloud"] {
        let (name, minute) = (format!("watcher/acme/{directory}"), Duration::from_mins(1));
        world.watcher.acquire(&name, "one", minute, Duration::ZERO).await.unwrap();
    }
    let read = format!(
        "insert into directory.directory (tenant, directory) values ('acme', 'workspace'), ('acme', 'cloud')
             on conflict do nothing;
         insert into directory.scope_read (dir, kind, began_at, complete_began_at, ended_at, complete, rows_now,
                                           rows_before, version)
             select d.key, k.kind, {0}, {0}, {0}, true, 0, 0, 1 from directory.directory d, (values (0), (1)) k (kind)
             on conflict (dir, kind, group_id) do update set complete_began_at = excluded.complete_began_at",
        at.0
    );
    world.owner.batch_execute(&read).await.unwrap();
}

#[tokio::test]
async fn in_sync_is_said_only_while_watchers_look_and_have_read_not_long_ago() {
    let world = World::start().await;
    let why = async || {
        let status = status(&world).await;
        assert_eq!(status.sync == "in-sync", status.why_not.is_empty());
        assert!(status.sync == "in-sync" || status.sync == "unknown", "{}", status.sync);
        status.why_not
    };
    world.commit(&says(true, Some(NOW))).await;
    let unwatched = why().await;
    assert!(unwatched.contains(&"cloud: no watcher looks at workspace".to_owned()), "{unwatched:?}");
    watched(&world, Time(NOW)).await;
    assert!(why().await.is_empty());
    let end = "update common.lease set expires_at = '-infinity' where name = 'watcher/acme/cloud'";
    world.owner.batch_execute(end).await.unwrap();
    assert_eq!(why().await, ["cloud: no watcher looks at cloud"]);
    watched(&world, Time(NOW)).await;
    assert!(why().await.is_empty());
    // Whoever holds the directories reads nothing any more.
    world.later(13 * 3600);
    let stale = why().await;
    assert_eq!(stale.len(), 3, "both directories, and what was compared: {stale:?}");
    watched(&world, world.now()).await;
    assert_eq!(why().await, ["cloud: some group was not read for two intervals"]);
    world.commit(&says(true, Some(world.now().0))).await;
    assert!(why().await.is_empty());
}

#[tokio::test]
async fn in_sync_is_said_only_when_it_is_known() {
    let world = World::start().await;
    watched(&world, Time(NOW)).await;
    let first = status(&world).await;
    assert_eq!((first.sync.as_str(), first.in_sync), ("unknown", false), "nothing was decided yet");
    world.commit(&says(true, None)).await;
    assert_eq!(status(&world).await.sync, "unknown", "one side was never read completely");
    world.commit(&says(true, Some(NOW))).await;
    let equal = status(&world).await;
    assert_eq!((equal.sync.as_str(), equal.in_sync, equal.why_not.len()), ("in-sync", true, 0));
    assert_eq!(equal.targets[0].as_of.as_deref(), Some("2026-11-21T12:00:00Z"));
    world.commit(&says(false, Some(NOW))).await;
    assert_eq!((status(&world).await.sync.as_str(), status(&world).await.targets[0].drifted_groups), ("drifted", 1));
    world.commit(&says(true, Some(NOW))).await;
    world.hold(1, &[case("g-1", &["a"])]).await;
    let held = status(&world).await;
    assert_eq!((held.sync.as_str(), held.held, held.targets[0].held), ("drifted", 1, 1));
    world.hold(2, &[]).await;
    world.letter("a").await;
    let waiting = status(&world).await;
    assert_eq!((waiting.sync.as_str(), waiting.dead_letters), ("drifted", 1));
    assert_eq!((waiting.targets[0].lanes[0].lane.as_str(), waiting.targets[0].lanes[0].open), ("normal", 1));
    assert_eq!(waiting.outboxes[1].unpublished, 1);
    world.owner.batch_execute("update common.lease set expires_at = '-infinity'").await.unwrap();
    assert_eq!(status(&world).await.sync, "unknown", "nobody is there who would notice");
}

/// A reconciler that has the tenant and has not loaded it yet, or cannot, has not seen what watchers committed since the
/// row that says in sync. Everything else is as it should be.
#[tokio::test]
async fn in_sync_is_not_said_from_a_row_that_is_older_than_what_was_read() {
    let world = World::start().await;
    watched(&world, Time(NOW)).await;
    let decided = |workspace| Turn { progress: vec![(workspace_id(), workspace)], ..says(true, Some(NOW)) };
    world.commit(&decided(6)).await;
    assert_eq!(status(&world).await.sync, "in-sync");
    let committed = async |version: u64, seconds_ago: i64| {
        let at = NOW - seconds_ago * 1_000_000;
        let rows = format!(
            "update directory.directory set version = {version} where directory = 'workspace';
             insert into directory.commit (dir, version, at)
                 select key, {version}, {at} from directory.directory where directory = 'workspace'"
        );
        world.owner.batch_execute(&rows).await.unwrap();
        status(&world).await
    };
    // The reconciler may be about to decide on what was read just now.
    assert_eq!(committed(7, 5).await.sync, "in-sync");
    world.commit(&decided(7)).await;
    let behind = committed(8, 60).await;
    assert_eq!((behind.sync.as_str(), behind.in_sync, behind.targets[0].in_sync), ("unknown", false, false));
    let why = "cloud: what was read of workspace since 2026-11-21T11:59:00Z is not decided yet";
    assert_eq!(behind.why_not, [why]);
    world.commit(&decided(8)).await;
    assert_eq!(status(&world).await.sync, "in-sync", "it was decided, and nothing differs");
    // The target's own side counts as much.
    world.owner.batch_execute("update directory.directory set version = 3 where directory = 'cloud';
        insert into directory.commit (dir, version, at) select key, 3, 0 from directory.directory where directory = 'cloud'")
        .await
        .unwrap();
    assert_eq!(status(&world).await.sync, "unknown");
}

#[tokio::test]
async fn the_api_budget_is_shown_while_it_is_known() {
    let world = World::start().await;
    assert_eq!(status(&world).await.targets[0].budget_remaining, None);
    let say = async |at: i64| {
        let row = format!(
            "insert into effect.budget values ('acme', 'cloud', 0.25, {at}) on conflict (tenant, target) do update set at = {at}"
        );
        world.owner.batch_execute(&row).await.unwrap();
        status(&world).await.targets[0].budget_remaining
    };
    assert_eq!(say(NOW - 30_000_000).await, Some(0.25));
    assert_eq!(say(NOW - 90_000_000).await, None, "nobody knows what is left by now");
}

#[tokio::test]
async fn plans_are_listed_and_shown_as_they_were_stored() {
    let world = World::start().await;
    let held = case("g-1", &["a", "b"]);
    world.hold(1, std::slice::from_ref(&held)).await;
    world.hold(2, std::slice::from_ref(&held)).await;
    let (_, answer) = world.get("viewer", "/plans?limit=1").await;
    assert_eq!((answer["plans"][0]["number"].as_u64(), answer["next_before"].as_u64()), (Some(2), Some(2)));
    let (_, answer) = world.get("viewer", "/plans?limit=1&before=2").await;
    assert_eq!((answer["plans"][0]["number"].as_u64(), answer["plans"][0]["removals"].as_u64()), (Some(1), Some(2)));
    let (_, answer) = world.get("viewer", "/plans/2").await;
    let detail: ops::PlanDetail = serde_json::from_value(answer).unwrap();
    assert_eq!(detail.cases[0].digest, held.digest.to_string());
    let document: model::Plan = serde_json::from_str(&detail.document).unwrap();
    assert_eq!(document.body.schema, "rollcall.plan/1");
    assert_eq!(world.get("viewer", "/plans/3").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_person_is_looked_for_on_both_sides_and_the_address_stays_off_the_bus() {
    let world = World::start().await;
    let insert = "insert into directory.directory (tenant, directory) values ('acme', 'workspace'), ('acme', 'cloud')";
    world.owner.batch_execute(insert).await.unwrap();
    let nats = world.nats.connect().await.unwrap();
    let mut asked = nats.subscribe("rollcall.v1.control.acme.sync").await.unwrap();
    nats.flush().await.unwrap();
    let answering = tokio::spawn(async move {
        let message = asked.next().await.unwrap();
        nats.publish(message.reply.clone().unwrap(), "heard".into()).await.unwrap();
        nats.flush().await.unwrap();
        message.payload
    });
    let (status, answer) = world.post("operator", "/sync", json!({"person": "Pat@acme.com"})).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!answer.to_string().contains("none answered"), "{answer}");
    let sent = tokio::time::timeout(Duration::from_secs(10), answering).await.unwrap().unwrap();
    assert_eq!(sent, "cloud workspace");
    let wishes = world.owner.query("select place from directory.wish", &[]).await.unwrap();
    let places: Vec<String> = wishes.iter().map(|row| row.get(0)).collect();
    assert_eq!(places, ["email/pat@acme.com", "email/pat@acme.com"]);
    let (_, answer) = world.post("operator", "/sync", json!({})).await;
    assert!(answer["message"].as_str().unwrap().contains("cloud, workspace"), "{answer}");
    assert_eq!(world.post("operator", "/sync", json!({"directory": "nowhere"})).await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.post("operator", "/sync", json!({"person": "a b@acme.com"})).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn pausing_is_a_row_and_shows() {
    let world = World::start().await;
    let (status_code, _) = world.post("operator", "/pause", json!({"target": "cloud", "reason": "migration"})).await;
    assert_eq!(status_code, StatusCode::OK);
    assert_eq!(status(&world).await.targets[0].paused.as_deref(), Some("paused"));
    assert_eq!(world.post("operator", "/resume", json!({"target": "cloud", "reason": "done"})).await.0, StatusCode::OK);
    assert_eq!(status(&world).await.targets[0].paused, None);
    assert_eq!(world.post("operator", "/pause", json!({"target": "x", "reason": "y"})).await.0, StatusCode::NOT_FOUND);
}
