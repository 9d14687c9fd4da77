//! A Confluence site that owns its groups.

use model::{CommandBody, Lane, Rejection, StepResult};
use twin::engine::fault::FaultKind;

use crate::world::{World, run};

const FAMILY: &str = "atlassian.confluence";

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
