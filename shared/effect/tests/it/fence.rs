//! The fence and the time: what is outdated is dropped before its call, what comes too late is not tried.

use model::{EdgeOp, Span, StepResult};
use twin::engine::fault::FaultKind;

use crate::world::{World, email, run};

#[tokio::test]
async fn i07_outdated_edges_are_dropped_and_the_others_go() {
    let world = World::start().await;
    let org = world.org();
    let group = world.group(&org, "eng").await;
    let (revoked, other) = (world.account(0), world.account(1));
    world.ledger.generations.lock().unwrap().insert(format!("account/{revoked}"), 3);
    let job = world.edges(&group, &[(&revoked, EdgeOp::Add), (&other, EdgeOp::Add)]);
    let outcome = run(&org, &job).await.outcome;
    let results: Vec<_> = outcome.edges.iter().map(|edge| edge.result).collect();
    assert_eq!(results, [StepResult::Outdated, StepResult::Done]);
    assert_eq!(world.members("eng"), [email(1)]);
}

#[tokio::test]
async fn i06_no_call_is_made_that_was_not_admitted() {
    let world = World::start().await;
    let org = world.org();
    let group = world.group(&org, "eng").await;
    world.ledger.admitted.lock().unwrap().clear();
    let account = world.account(0);
    world.org_fault("*", 2, FaultKind::Fail { status: 500, after: false, plain: false });
    run(&org, &world.edges(&group, &[(&account, EdgeOp::Add)])).await;
    assert_eq!(world.ledger.admitted.lock().unwrap().len(), 3, "each try was admitted by itself");
}

#[tokio::test]
async fn what_cannot_start_in_time_is_not_tried() {
    let world = World::start().await;
    let org = world.org();
    let group = world.group(&org, "eng").await;
    let account = world.account(0);
    world.org_fault("*", 1_000, FaultKind::Throttle { retry_after: Some("2".to_owned()), shape: None });
    let mut job = world.edges(&group, &[(&account, EdgeOp::Add)]);
    job.since = job.since.minus(Span::from_secs(29));
    let outcome = run(&org, &job).await.outcome;
    assert_eq!(outcome.edges[0].result, StepResult::NotTried);
    assert!(world.members("eng").is_empty());
}

#[tokio::test]
async fn what_was_decided_too_long_ago_is_not_begun() {
    let world = World::start().await;
    let org = world.org();
    let group = world.group(&org, "eng").await;
    let account = world.account(0);
    world.ledger.admitted.lock().unwrap().clear();
    let mut late = [world.edges(&group, &[(&account, EdgeOp::Add)]), world.create("ops")];
    for job in &mut late {
        job.since = job.since.minus(Span::from_secs(30));
        let outcome = run(&org, job).await.outcome;
        let results: Vec<_> = outcome.edges.iter().map(|edge| edge.result).chain([outcome.result]).collect();
        assert!(results.iter().all(|result| *result == StepResult::NotTried), "{results:?}");
        assert!(outcome.at >= job.since.plus(Span::from_secs(30)));
    }
    assert!(world.ledger.admitted.lock().unwrap().is_empty() && world.members("eng").is_empty());
    // What an earlier attempt may have done is not said to be untried.
    let [edges, _] = &mut late;
    edges.begun_before = true;
    assert_eq!(run(&org, edges).await.outcome.edges[0].result, StepResult::Unknown);
}

#[tokio::test]
async fn two_commands_never_hold_one_membership_at_once() {
    let world = World::start().await;
    let org = world.org();
    let group = world.group(&org, "eng").await;
    let account = world.account(0);
    world.org_fault("*", 4, FaultKind::Slow { ms: 200 });
    let (add, remove) =
        (world.edges(&group, &[(&account, EdgeOp::Add)]), world.edges(&group, &[(&account, EdgeOp::Remove)]));
    let (first, second) = (org.clone(), org.clone());
    let adding = tokio::spawn(async move { run(&first, &add).await });
    let removing = tokio::spawn(async move { run(&second, &remove).await });
    let (added, removed) = (adding.await.unwrap().outcome, removing.await.unwrap().outcome);
    // Whichever came first, both were whole: the end is what the later one of them left.
    let (added, removed) = (&added.edges[0], &removed.edges[0]);
    let there = !world.members("eng").is_empty();
    assert_eq!(there, added.confirmed_at > removed.confirmed_at, "{added:?} {removed:?}");
}
