//! A Jira site that owns its groups.

use model::{EdgeOp, GroupId, Rejection, StepResult};
use twin::engine::fault::FaultKind;

use crate::world::{World, email, run};

#[tokio::test]
async fn memberships_are_added_and_removed_and_the_known_words_mean_already_so() {
    let world = World::start().await;
    let jira = world.jira();
    let group = world.group(&jira, "eng").await;
    let (first, second) = (world.account(0), world.account(1));
    let add = world.edges(&group, &[(&first, EdgeOp::Add), (&second, EdgeOp::Add)]);
    let done = run(&jira, &add).await.outcome;
    assert!(done.edges.iter().all(|edge| edge.result == StepResult::Done), "{done:?}");
    let again = run(&jira, &add).await.outcome;
    assert!(again.edges.iter().all(|edge| edge.result == StepResult::AlreadySo), "{again:?}");
    let remove = world.edges(&group, &[(&first, EdgeOp::Remove)]);
    assert_eq!(run(&jira, &remove).await.outcome.edges[0].result, StepResult::Done);
    assert_eq!(run(&jira, &remove).await.outcome.edges[0].result, StepResult::AlreadySo);
    assert_eq!(world.members_of_site("eng"), [email(1)]);
}

#[tokio::test]
async fn refusals_have_their_class() {
    let world = World::start().await;
    let jira = world.jira();
    let group = world.group(&jira, "eng").await;
    let good = world.account(0);
    let of = async |group: &GroupId, account: &str| {
        run(&jira, &world.edges(group, &[(account, EdgeOp::Add)])).await.outcome.edges[0].result
    };
    assert_eq!(of(&group, "nobody:here").await, StepResult::Rejected(Rejection::UnknownUser));
    let gone = GroupId::new("11111111-2222-4333-8444-555555555555").unwrap();
    assert_eq!(of(&gone, &good).await, StepResult::Rejected(Rejection::UnknownGroup));
    let taken = run(&jira, &world.create("eng")).await.outcome;
    assert_eq!(taken.result, StepResult::Rejected(Rejection::Conflict));
}

#[tokio::test]
async fn i06_a_group_whose_creation_was_cut_off_is_found() {
    let world = World::start().await;
    let jira = world.jira();
    world.fault("atlassian.jira", "group.create", 1, FaultKind::Fail { status: 502, after: true, plain: true });
    let made = run(&jira, &world.create("eng")).await.outcome;
    assert!(made.result.holds() && made.group.is_some(), "{made:?}");
    assert_eq!(world.effects("group.create"), 1);
    world.every_effect_was_admitted();
}
