//! Dead letters over the API.

use contract::ops;
use model::DeadLetterState;
use reqwest::StatusCode;
use serde_json::json;

use crate::world::{World, tenant};

#[tokio::test]
async fn a_letter_is_shown_with_its_calls_and_what_to_do() {
    let world = World::start().await;
    let id = world.letter("a").await;
    let (_, answer) = world.get("viewer", &format!("/dead-letters/{id}")).await;
    let detail: ops::DeadLetterDetail = serde_json::from_value(answer).unwrap();
    let letter = detail.letter.unwrap();
    assert_eq!((letter.id, letter.class.as_str(), letter.state.as_str()), (id, "unknown-user", "open"));
    assert_eq!((letter.fault.as_str(), letter.account.as_deref()), ("person", Some("a")));
    assert_eq!(letter.trace.as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
    assert!(letter.remedy.ends_with("redrive"));
    assert_eq!(detail.attempts.len(), 1);
    assert_eq!(detail.attempts[0].request, "POST /v2/orgs/{org}/groups/{group}/memberships");
    assert_eq!(world.get("viewer", "/dead-letters/999").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn redriving_says_what_was_still_needed_and_asking_for_nothing_does_nothing() {
    let world = World::start().await;
    let (one, two) = (world.letter("a").await, world.letter("b").await);
    let nothing = world.post("operator", "/dead-letters/redrive", json!({"reason": "x"})).await;
    assert_eq!(nothing.0, StatusCode::BAD_REQUEST);
    let (status, _) =
        world.post("approver", &format!("/dead-letters/{two}/discard"), json!({"reason": "left the company"})).await;
    assert_eq!(status, StatusCode::OK);
    let (_, answer) = world.post("operator", "/dead-letters/redrive", json!({"ids": [one, two, 999]})).await;
    assert_eq!((answer["acted"].as_u64(), answer["superseded"].as_u64()), (Some(1), Some(1)));
    let redriven = world.console_role.letters(&tenant(), &[DeadLetterState::Redriven], 10).await.unwrap();
    assert_eq!(redriven.len(), 1);
    let (_, answer) = world.post("operator", "/dead-letters/redrive", json!({"all": true})).await;
    assert_eq!(answer["acted"].as_u64(), Some(0), "none is open any more");
    let (_, answer) = world.get("viewer", "/dead-letters?state=discarded").await;
    assert_eq!(answer["letters"][0]["id"].as_u64(), Some(two));
    let no_reason = world.post("approver", &format!("/dead-letters/{one}/discard"), json!({})).await;
    assert_eq!(no_reason.0, StatusCode::BAD_REQUEST);
}
