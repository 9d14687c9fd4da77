//! The organization: one membership a call, groups that are made without an answer.

use model::{EdgeOp, GroupId, Rejection, Span, StepResult};
use twin::engine::fault::FaultKind;

use crate::world::{World, email, run};

#[tokio::test]
async fn memberships_are_added_and_removed_and_what_is_so_already_is_said_so() {
    let world = World::start().await;
    let org = world.org();
    let group = world.group(&org, "eng").await;
    let (first, second) = (world.account(0), world.account(1));
    let add = world.edges(&group, &[(&first, EdgeOp::Add), (&second, EdgeOp::Add)]);
    let done = run(&org, &add).await.outcome;
    assert!(done.edges.iter().all(|edge| edge.result == StepResult::Done && edge.confirmed_at.is_some()), "{done:?}");
    assert_eq!(world.members("eng"), [email(0), email(1)]);
    let again = run(&org, &add).await.outcome;
    assert!(again.edges.iter().all(|edge| edge.result == StepResult::AlreadySo), "{again:?}");
    let remove = world.edges(&group, &[(&first, EdgeOp::Remove)]);
    assert_eq!(run(&org, &remove).await.outcome.edges[0].result, StepResult::Done);
    // A 404 is "already gone" only because the group still exists.
    assert_eq!(run(&org, &remove).await.outcome.edges[0].result, StepResult::AlreadySo);
    assert_eq!(world.members("eng"), [email(1)]);
}

#[tokio::test]
async fn a_group_that_exists_is_a_conflict_and_not_ours() {
    let world = World::start().await;
    let org = world.org();
    world.group(&org, "eng").await;
    let taken = run(&org, &world.create("ENG")).await.outcome;
    assert_eq!((taken.result, taken.group), (StepResult::Rejected(Rejection::Conflict), None));
}

#[tokio::test]
async fn i06_a_group_whose_creation_was_cut_off_is_found_and_not_made_twice() {
    let world = World::start().await;
    let org = world.org();
    // Reads lag behind writes, as they do.
    world.lag("atlassian.org", 1_200);
    world.org_fault("groups.create", 1, FaultKind::Reset { after: true });
    let made = run(&org, &world.create("eng")).await.outcome;
    assert!(made.result.holds() && made.group.is_some(), "{made:?}");
    world.org_fault("groups.create", 2, FaultKind::Fail { status: 503, after: false, plain: true });
    let made = run(&org, &world.create("ops")).await.outcome;
    assert!(made.result.holds() && made.group.is_some(), "{made:?}");
    assert_eq!(world.effects("groups.create"), 2);
    world.every_effect_was_admitted();
}

#[tokio::test]
async fn i06_after_a_crash_the_group_that_an_earlier_attempt_made_is_ours() {
    let world = World::start().await;
    let org = world.org();
    let mut job = world.create("eng");
    let first = run(&org, &job).await.outcome.group.unwrap();
    job.begun_before = true;
    let second = run(&org, &job).await.outcome;
    assert_eq!((second.result, second.group), (StepResult::AlreadySo, Some(first)));
    assert_eq!(world.effects("groups.create"), 1);
}

#[tokio::test]
async fn i06_a_creation_is_not_sent_again_while_nobody_can_read_whether_it_was_done() {
    let world = World::start().await;
    let org = world.org();
    let mut job = world.create("eng");
    run(&org, &job).await.outcome.group.unwrap();
    (job.begun_before, job.since) = (true, job.since.minus(Span::from_secs(28)));
    for operation in ["groups.list", "groups.search", "groups.get"] {
        world.org_fault(operation, 1_000, FaultKind::Fail { status: 503, after: false, plain: true });
    }
    assert_eq!(run(&org, &job).await.outcome.result, StepResult::Unknown);
    assert_eq!(world.effects("groups.create"), 1, "sent once");
}

#[tokio::test]
async fn i06_a_membership_whose_answer_was_lost_is_repeated_and_counts_once() {
    let world = World::start().await;
    let org = world.org();
    let group = world.group(&org, "eng").await;
    let faults = [
        FaultKind::Fail { status: 500, after: true, plain: false },
        FaultKind::Reset { after: true },
        FaultKind::Html { after: true },
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        world.org_fault("*", 1, fault);
        let account = world.account(n);
        let outcome = run(&org, &world.edges(&group, &[(&account, EdgeOp::Add)])).await.outcome;
        assert!(outcome.edges[0].result.holds(), "{outcome:?}");
    }
    assert_eq!(world.members("eng"), [email(0), email(1), email(2)]);
    world.every_effect_was_admitted();
}

#[tokio::test]
async fn refusals_have_their_class() {
    let world = World::start().await;
    let org = world.org();
    let group = world.group(&org, "eng").await;
    let good = world.account(0);
    let gone = GroupId::new("11111111-2222-4333-8444-555555555555").unwrap();
    let of = async |group: &GroupId, account: &str, op| {
        run(&org, &world.edges(group, &[(account, op)])).await.outcome.edges[0].result
    };
    assert_eq!(of(&group, "nobody:here", EdgeOp::Add).await, StepResult::Rejected(Rejection::UnknownUser));
    assert_eq!(of(&gone, &good, EdgeOp::Add).await, StepResult::Rejected(Rejection::UnknownGroup));
    assert_eq!(of(&gone, &good, EdgeOp::Remove).await, StepResult::Rejected(Rejection::UnknownGroup));
    // Who is not known is no member.
    assert_eq!(of(&group, "nobody:here", EdgeOp::Remove).await, StepResult::AlreadySo);
    // A group of the identity provider may not be changed here.
    let synced = world.group(&world.scim(), "synced").await;
    let world_id = {
        let twin = world.twin.twin.world();
        let key = twin::world::atlassian::BaseKey::Organization(twin::world::atlassian::ORGANIZATION.to_owned());
        twin.atlassian.base(&key).unwrap().group_named("synced").unwrap().1.id.clone()
    };
    let shown = GroupId::new(world_id).unwrap();
    assert_eq!(of(&shown, &good, EdgeOp::Add).await, StepResult::Rejected(Rejection::Ownership), "{synced}");
}

#[tokio::test]
async fn throttling_is_waited_out_and_refused_credentials_stop_the_target() {
    let world = World::start().await;
    let org = world.org();
    let group = world.group(&org, "eng").await;
    let account = world.account(0);
    let add = world.edges(&group, &[(&account, EdgeOp::Add)]);
    world.org_fault("*", 2, FaultKind::Throttle { retry_after: Some("1".to_owned()), shape: None });
    let finished = run(&org, &add).await;
    assert_eq!((finished.outcome.edges[0].result, finished.halted), (StepResult::Done, false));
    world.org_fault("*", 1, FaultKind::Unauthorized);
    let finished = run(&org, &world.edges(&group, &[(&account, EdgeOp::Remove)])).await;
    assert_eq!((finished.outcome.edges[0].result, finished.halted), (StepResult::NotTried, true));
}

#[tokio::test]
async fn an_empty_group_is_deleted_and_deleting_it_again_is_said_to_be_so() {
    let world = World::start().await;
    let org = world.org();
    let group = world.group(&org, "eng").await;
    let delete = world.job(model::Lane::Normal, model::CommandBody::DeleteGroup { group, generation: 1 });
    assert_eq!(run(&org, &delete).await.outcome.result, StepResult::Done);
    assert_eq!(run(&org, &delete).await.outcome.result, StepResult::AlreadySo);
}

/// Made together, asked for together: a search takes a hundred names, and what is not visible yet is asked for again.
#[tokio::test]
async fn the_ids_of_groups_that_are_made_at_once_are_looked_up_together() {
    let world = World::start().await;
    let org = world.org();
    let make = async |from: usize, to: usize| {
        let jobs: Vec<_> = (from..to).map(|n| world.create(&format!("Team {n:03}"))).collect();
        let runs = futures_util::future::join_all(jobs.iter().map(|job| run(&org, job))).await;
        runs.into_iter().map(|finished| finished.outcome).collect::<Vec<_>>()
    };
    let made = make(0, 150).await;
    let ids: std::collections::BTreeSet<_> = made.iter().filter_map(|outcome| outcome.group.clone()).collect();
    assert!(made.iter().all(|outcome| outcome.result == StepResult::Done) && ids.len() == 150, "{made:?}");
    let looks = world.calls("atlassian.org", "groups.search");
    assert!(looks <= 15, "{looks} looks for 150 groups");
    // With the vendor's lag; and a look that breaks off is another's to make again.
    world.lag("atlassian.org", 600);
    world.org_fault("groups.search", 1, FaultKind::Fail { status: 500, after: false, plain: false });
    let made = make(150, 170).await;
    assert!(made.iter().all(|outcome| outcome.result.holds() && outcome.group.is_some()), "{made:?}");
}
