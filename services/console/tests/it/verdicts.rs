//! Verdicts bind to bytes, end by themselves, and are another person's.

use model::{Digest, GroupId, Span};
use reqwest::StatusCode;
use serde_json::json;
use store::StoreError;
use store::console::Decider;
use store::plan::{PolicyRow, PolicyState};

use crate::world::{World, case, cloud, listed, tenant};

#[tokio::test]
async fn an_approval_binds_to_the_digest_and_wakes_the_reconciler() {
    let world = World::start().await;
    let (first, second) = (case("g-1", &["a", "b"]), case("g-2", &["c"]));
    world.hold(1, &[first.clone(), second.clone()]).await;
    let mut wakes = world.nats.connect().await.unwrap().subscribe("rollcall.v1.control.acme.wake").await.unwrap();
    let shown = listed(&world.get("viewer", "/cases").await.1);
    assert_eq!(shown.len(), 2);
    let one = shown.iter().find(|shown| shown.digest == first.digest.to_string()).unwrap();
    assert_eq!((one.removals, one.state.as_str(), one.proposer.as_str()), (2, "held", "policy"));
    assert_eq!(
        (one.held[0].guard.as_str(), one.held[0].found, one.held[0].limit),
        ("per-group-removals", Some(2), Some(1))
    );

    let (status, answer) = world.approve("approver", &first.digest.to_string()[..12]).await;
    assert_eq!((status, answer["result"].as_str()), (StatusCode::OK, Some("approved")), "{answer}");
    let verdicts = world.reconciler.load_verdicts(&tenant(), world.now()).await.unwrap().cases;
    assert_eq!(verdicts.len(), 1);
    assert_eq!(
        (verdicts[0].digest, verdicts[0].approved, verdicts[0].actor.as_str()),
        (first.digest, true, "approver")
    );
    harness::eventually(std::time::Duration::from_secs(10), "the wake", async || {
        Ok(futures(&mut wakes).await.then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(listed(&world.get("viewer", "/cases").await.1).len(), 1, "an approved case is not held any more");
    assert_eq!(listed(&world.get("viewer", "/cases?state=approved").await.1).len(), 1);
    let entry = world.console_role.audit_page(&tenant(), None, 1).await.unwrap().remove(0).entry;
    assert_eq!((entry.actor.as_str(), entry.verb.as_str()), ("approver", "case.approved"));
    assert_eq!(entry.cause, "offboarding wave");
}

async fn futures(subscriber: &mut async_nats::Subscriber) -> bool {
    use futures_util::StreamExt as _;
    tokio::time::timeout(std::time::Duration::from_millis(200), subscriber.next()).await.is_ok_and(|got| got.is_some())
}

#[tokio::test]
async fn an_approval_ends_by_itself() {
    let world = World::start().await;
    let held = case("g-1", &["a", "b"]);
    world.hold(1, std::slice::from_ref(&held)).await;
    world.approve("approver", &held.digest.to_string()).await;
    world.later(59 * 60);
    assert!(listed(&world.get("viewer", "/cases").await.1).is_empty());
    world.later(2 * 60);
    let again = listed(&world.get("viewer", "/cases").await.1);
    assert_eq!(again.len(), 1, "after an hour it is held again");
    assert!(world.reconciler.load_verdicts(&tenant(), world.now()).await.unwrap().cases.is_empty());
}

#[tokio::test]
async fn what_changed_is_another_case_and_the_old_one_is_stale() {
    let world = World::start().await;
    let (old, new) = (case("g-1", &["a", "b"]), case("g-1", &["a", "b", "c"]));
    world.hold(1, std::slice::from_ref(&old)).await;
    world.hold(2, std::slice::from_ref(&new)).await;
    let (status, answer) = world.approve("approver", &old.digest.to_string()).await;
    assert_eq!((status, answer["code"].as_str()), (StatusCode::CONFLICT, Some("stale")));
    let (status, _) = world.approve("approver", &Digest::of(b"never held").to_string()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    for short in ["", "abc", &old.digest.to_string()[..11], "zzzzzzzzzzzz"] {
        let status = world.approve("approver", short).await.0;
        assert!(status == StatusCode::BAD_REQUEST || status == StatusCode::NOT_FOUND, "{short}: {status}");
    }
    assert_eq!(world.count("console.approval").await, 0);
    let refused = world.refusals().await;
    assert!(refused.iter().any(|(actor, _, code)| actor == "approver" && code == "stale"));
    let mixed =
        json!({"digests": [old.digest.to_string(), new.digest.to_string()], "verdict": "reject", "reason": "no"});
    let (status, answer) = world.post("approver", "/cases/verdict", mixed).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (answer["results"][0]["result"].as_str(), answer["results"][1]["result"].as_str()),
        (Some("stale"), Some("rejected"))
    );
}

#[tokio::test]
async fn nobody_approves_what_they_set_in_motion() {
    let world = World::start().await;
    let adopt = json!({"decision": "adopt", "reason": "it is ours"});
    let (status, answer) = world.post("operator", "/conflicts/cloud/g-1", adopt.clone()).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "adopting takes access, and the policy wants it approved: {answer}");
    assert_eq!(world.post("approver", "/conflicts/cloud/g-1", adopt).await.0, StatusCode::OK);
    let held = case("g-1", &["a", "b"]);
    world.hold(1, std::slice::from_ref(&held)).await;
    assert_eq!(listed(&world.get("viewer", "/cases").await.1)[0].proposer, "approver");
    let (status, answer) = world.approve("approver", &held.digest.to_string()).await;
    assert_eq!((status, answer["code"].as_str()), (StatusCode::FORBIDDEN, Some("four-eyes")));
    assert_eq!(world.count("console.approval").await, 0);
    assert!(world.refusals().await.iter().any(|(actor, _, code)| actor == "approver" && code == "four-eyes"));
    assert_eq!(world.approve("ravi", &held.digest.to_string()).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_database_itself_refuses_ones_own_approval() {
    let world = World::start().await;
    let decider = Decider { actor: "kim".to_owned(), reason: "mine".to_owned(), at: world.now() };
    let own =
        world.console_role.decide_case(&tenant(), Digest::of(b"x"), true, "kim", &decider, Span::from_secs(60)).await;
    assert!(matches!(own, Err(StoreError::Refused { constraint }) if constraint == "four_eyes"));
    let insert = "insert into console.approval (tenant, digest, verdict, proposer, actor, reason, at, expires_at)
                  values ('acme', '\\x00', 'approved', 'kim', 'kim', '', 0, 1)";
    let refused = world.owner.batch_execute(insert).await.unwrap_err();
    assert_eq!(refused.as_db_error().and_then(|error| error.constraint()), Some("four_eyes"));
    assert_eq!(world.count("console.approval").await, 0);
}

#[tokio::test]
async fn a_redrive_is_its_askers_and_the_case_that_comes_of_it_another_persons() {
    let world = World::start().await;
    let letter = world.letter("a").await;
    let (status, answer) =
        world.post("approver", &format!("/dead-letters/{letter}/redrive"), json!({"reason": "restored"})).await;
    assert_eq!((status, answer["acted"].as_u64()), (StatusCode::OK, Some(1)));
    let held = case("g-7", &["a"]);
    world.hold(1, std::slice::from_ref(&held)).await;
    assert_eq!(world.approve("approver", &held.digest.to_string()).await.1["code"], "four-eyes");
    assert_eq!(world.approve("ravi", &held.digest.to_string()).await.0, StatusCode::OK);
}

#[tokio::test]
async fn conflicts_are_decided_in_bulk_and_for_targets_that_exist() {
    let world = World::start().await;
    let decision = json!({"target": "cloud", "groups": ["g-1", "g-2"], "decision": "ignore",
                          "until": "2026-12-24T00:00:00Z", "reason": "after the migration"});
    assert_eq!(world.post("operator", "/conflicts/decision", decision).await.0, StatusCode::OK);
    let conflicts = world.reconciler.load_verdicts(&tenant(), world.now()).await.unwrap().conflicts;
    let groups: Vec<_> = conflicts.iter().map(|row| (&row.target, &row.group)).collect();
    let (one, two) = (GroupId::new("g-1").unwrap(), GroupId::new("g-2").unwrap());
    assert_eq!(groups, [(&cloud(), &one), (&cloud(), &two)]);
    assert!(conflicts.iter().all(|row| row.decision == "ignore" && row.until.is_some()));
    let nowhere = json!({"decision": "keep-apart", "reason": "x"});
    assert_eq!(world.post("admin", "/conflicts/nowhere/g-1", nowhere).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_policy_that_would_shrink_too_much_waits_like_a_case() {
    let world = World::start().await;
    let hash = Digest::of(b"the smaller policy");
    let row = PolicyRow {
        hash,
        body: "tenant = \"acme\"".to_owned(),
        loaded_at: world.now(),
        state: PolicyState::Held,
        note: "40 % of the groups would no longer be managed".to_owned(),
    };
    world.reconciler.keep_policy(&tenant(), &row, &[]).await.unwrap();
    let shown = listed(&world.get("viewer", "/cases").await.1);
    assert_eq!((shown.len(), shown[0].kind.as_str(), shown[0].held[0].guard.as_str()), (1, "policy", "policy-shrink"));
    assert_eq!(world.approve("operator", &hash.to_string()).await.0, StatusCode::FORBIDDEN);
    assert_eq!(world.approve("approver", &hash.short()).await.0, StatusCode::OK);
    let verdicts = world.reconciler.load_verdicts(&tenant(), world.now()).await.unwrap().cases;
    assert_eq!((verdicts[0].digest, verdicts[0].approved), (hash, true));
    assert!(listed(&world.get("viewer", "/cases").await.1).is_empty());
}

#[tokio::test]
async fn a_plan_goes_with_all_that_is_named_or_not_at_all() {
    let world = World::start().await;
    let held = case("g-1", &["a", "b"]);
    world.hold(1, std::slice::from_ref(&held)).await;
    let apply = |digests: Vec<String>| world.post("operator", "/plans/apply", json!({ "digests": digests }));
    let named = held.digest.to_string();
    let (status, answer) = apply(vec![named.clone()]).await;
    assert_eq!((status, answer["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("unavailable")), "{answer}");
    let mut heard = world.nats.connect().await.unwrap().subscribe("rollcall.v1.control.acme.apply").await.unwrap();
    let _reconciler = world.answer("apply").await;
    let (status, answer) = apply(vec![named.clone(), Digest::of(b"another").to_string()]).await;
    assert_eq!((status, answer["code"].as_str()), (StatusCode::CONFLICT, Some("stale")), "{answer}");
    assert!(!futures(&mut heard).await, "nothing of a stale plan is asked for");
    let (status, answer) = apply(vec![named]).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(futures(&mut heard).await);
    let entry = world.console_role.audit_page(&tenant(), None, 1).await.unwrap().remove(0).entry;
    assert_eq!((entry.actor.as_str(), entry.verb.as_str(), entry.key.as_str()), ("operator", "plan.applied", "plan/1"));
    let verdicts = world.reconciler.load_verdicts(&tenant(), world.now()).await.unwrap().cases;
    assert!(verdicts.is_empty(), "to apply is not to approve");
}
