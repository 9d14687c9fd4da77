//! A Confluence site that owns its groups.

use model::{CommandBody, EdgeOp, GroupId, Lane, Rejection, StepResult};
use twin::engine::fault::FaultKind;

use crate::world::{World, email, run};

const FAMILY: &str = "atlassian.confluence";

/// What an edge comes to, row by row of the behaviour table: repeats are said to be done.
#[tokio::test]
async fn every_row_of_the_matrix_of_memberships() {
    use EdgeOp::{Add, Remove};
    let world = World::start().await;
    let wiki = world.confluence();
    let group = world.group(&wiki, "writers").await;
    let gone = GroupId::new("11111111-2222-4333-8444-555555555555").unwrap();
    let (good, other) = (world.account(0), world.account(1));
    let rows = [
        ("adding", &group, good.as_str(), Add, StepResult::Done),
        ("adding again", &group, good.as_str(), Add, StepResult::Done),
        ("adding another", &group, other.as_str(), Add, StepResult::Done),
        ("removing", &group, good.as_str(), Remove, StepResult::Done),
        ("removing a stranger", &group, good.as_str(), Remove, StepResult::Done),
        ("an unknown account", &group, "nobody:here", Add, StepResult::Rejected(Rejection::UnknownUser)),
        ("who is not known is no member", &group, "nobody:here", Remove, StepResult::AlreadySo),
        ("an unknown group", &gone, good.as_str(), Add, StepResult::Rejected(Rejection::UnknownGroup)),
        ("an unknown group", &gone, good.as_str(), Remove, StepResult::Rejected(Rejection::UnknownGroup)),
    ];
    for (what, group, account, op, expected) in rows {
        let outcome = run(&wiki, &world.edges(group, &[(account, op)])).await.outcome;
        assert_eq!(outcome.edges[0].result, expected, "{what}");
    }
    assert_eq!(world.members_of_site("writers"), [email(1)]);
}

#[tokio::test]
async fn a_group_is_made_once_and_deleted_once() {
    let world = World::start().await;
    let wiki = world.confluence();
    world.fault(FAMILY, "group.create", 1, FaultKind::Fail { status: 502, after: true, plain: true });
    let made = run(&wiki, &world.create("writers")).await.outcome;
    assert!(made.result.holds() && made.group.is_some(), "{made:?}");
    assert_eq!(world.effects("group.create"), 1);
    let taken = run(&wiki, &world.create("Writers")).await.outcome;
    assert_eq!(taken.result, StepResult::Rejected(Rejection::Conflict));
    let delete = world.job(Lane::Normal, CommandBody::DeleteGroup { group: made.group.unwrap(), generation: 1 });
    assert_eq!(run(&wiki, &delete).await.outcome.result, StepResult::Done);
    assert_eq!(run(&wiki, &delete).await.outcome.result, StepResult::AlreadySo);
}

#[tokio::test]
async fn throttling_is_waited_out_and_refusals_have_their_class() {
    let world = World::start().await;
    let wiki = world.confluence();
    let group = world.group(&wiki, "writers").await;
    let good = world.account(0);
    let add = world.edges(&group, &[(&good, EdgeOp::Add)]);
    world.fault(FAMILY, "*", 1, FaultKind::Throttle { retry_after: Some("1".to_owned()), shape: None });
    assert_eq!(run(&wiki, &add).await.outcome.edges[0].result, StepResult::Done);
    world.fault(FAMILY, "*", 1, FaultKind::Forbidden);
    let forbidden = run(&wiki, &add).await.outcome;
    assert_eq!(forbidden.edges[0].result, StepResult::Rejected(Rejection::Ownership));
    world.fault(FAMILY, "*", 1, FaultKind::Unauthorized);
    let finished = run(&wiki, &add).await;
    assert_eq!((finished.outcome.edges[0].result, finished.halted), (StepResult::NotTried, true));
    // No seat is free.
    let full = serde_json::json!({ "op": "load", "sites": [{ "name": "own", "cloud_id": "c-1", "products": [
        { "resource": "ari:cloud:confluence::site/own", "key": "confluence", "name": "Confluence", "site": "own", "seats": 0 }] }],
        "groups": [{ "name": "writers", "site": "own", "roles": [["ari:cloud:confluence::site/own", "atlassian/user"]] }] });
    world.edit(full);
    let other = world.account(1);
    let outcome = run(&wiki, &world.edges(&group, &[(&other, EdgeOp::Add)])).await.outcome;
    assert_eq!(outcome.edges[0].result, StepResult::Rejected(Rejection::Licence));
}
