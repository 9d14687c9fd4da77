//! Commands become effects, outcomes and letters.

use bus::{Bus, Intake};
use model::{Access, CommandBody, EdgeOp, GroupId, Lane, Outcome, Rejection, StepResult};
use store::audit::ChainState;
use twin::engine::fault::{Fault, FaultKind};
use twin::world::atlassian::ORGANIZATION;

use crate::bench::{Bench, SOON, email, tenant};

#[tokio::test]
async fn a_group_is_made_and_filled_and_the_reconciler_hears_of_it() {
    let bench = Bench::start().await.with_relay().await;
    let bus = Bus::connect(&bench.nats.url(), "test").await.unwrap();
    let mut heard = bus.consume::<Outcome>(Intake::outcomes(&tenant())).await.unwrap();
    let writer = bench.writer();
    let group = bench.group("eng").await;
    let made = heard.next_batch(1, SOON).await;
    assert_eq!(made[0].value().group.as_ref(), Some(&group));
    let accounts: Vec<String> = (0..3).map(|n| bench.account(n)).collect();
    let changes: Vec<_> = accounts.iter().map(|account| (account.as_str(), EdgeOp::Add)).collect();
    let fill = bench.edges(Lane::Normal, &group, 1, &changes);
    bench.send(std::slice::from_ref(&fill)).await;
    let outcome = bench.outcomes(std::slice::from_ref(&fill)).await.remove(&fill.id).unwrap();
    assert!(outcome.edges.iter().all(|edge| edge.result == StepResult::Done && edge.confirmed_at.is_some()));
    assert_eq!(bench.members("eng"), [email(0), email(1), email(2)]);
    let filled = heard.next_batch(1, SOON).await;
    assert_eq!(filled[0].value(), &outcome);
    // I9: each effect is in the chain, and each call was in the ledger before it.
    let chain = bench.store.verify_audit(&tenant()).await.unwrap();
    assert_eq!(chain, ChainState::Whole { entries: 4 });
    bench.each_effect_has_its_attempt_and_its_entry().await;
    assert_eq!(bench.count("select count(*) from effect.attempt where ended_at is null").await, 0);
    assert_eq!(bench.count("select count(*) from effect.budget where remaining between 0 and 1").await, 1);
    writer.stop().await;
}

#[tokio::test]
async fn i07_an_outdated_edge_is_dropped_before_its_call() {
    let bench = Bench::start().await.with_relay().await;
    let writer = bench.writer();
    let group = bench.group("eng").await;
    let account = bench.account(0);
    bench.raise(format!("account/{account}"), 5).await;
    let add = bench.edges(Lane::Normal, &group, 1, &[(&account, EdgeOp::Add)]);
    bench.send(std::slice::from_ref(&add)).await;
    let outcome = bench.outcomes(std::slice::from_ref(&add)).await.remove(&add.id).unwrap();
    assert_eq!(outcome.edges[0].result, StepResult::Outdated);
    assert!(bench.members("eng").is_empty());
    assert_eq!(bench.effects(), 0);
    writer.stop().await;
}

#[tokio::test]
async fn one_poisoned_person_is_one_letter_and_stops_nobody() {
    let bench = Bench::start().await.with_relay().await;
    let writer = bench.writer();
    let (one, two) = (bench.group("one").await, bench.group("two").await);
    let good = bench.account(0);
    let commands = [&one, &two].map(|group| {
        bench.edges(Lane::Normal, group, 1, &[("nobody:at-all", EdgeOp::Add), (good.as_str(), EdgeOp::Add)])
    });
    bench.send(&commands).await;
    for outcome in bench.outcomes(&commands).await.values() {
        assert_eq!(outcome.edges[0].result, StepResult::Rejected(Rejection::UnknownUser));
        assert_eq!(outcome.edges[1].result, StepResult::Done);
    }
    assert_eq!((bench.members("one"), bench.members("two")), (vec![email(0)], vec![email(0)]));
    assert_eq!(bench.count("select count(*) from effect.dead_letter").await, 1, "one fault, one letter");
    assert_eq!(bench.count("select attempts::bigint from effect.dead_letter").await, 2);
    writer.stop().await;
}

#[tokio::test]
async fn a_group_that_is_gone_is_one_letter_for_all_its_edges() {
    let bench = Bench::start().await.with_relay().await;
    let writer = bench.writer();
    let group = GroupId::new("11111111-2222-4333-8444-555555555555").unwrap();
    let (first, second) = (bench.account(0), bench.account(1));
    let add = bench.edges(Lane::Normal, &group, 1, &[(&first, EdgeOp::Add), (&second, EdgeOp::Add)]);
    bench.send(std::slice::from_ref(&add)).await;
    let outcome = bench.outcomes(std::slice::from_ref(&add)).await.remove(&add.id).unwrap();
    let gone = StepResult::Rejected(Rejection::UnknownGroup);
    assert!(outcome.edges.iter().all(|edge| edge.result == gone), "{outcome:?}");
    assert_eq!(bench.count("select count(*) from effect.dead_letter").await, 1);
    writer.stop().await;
}

#[tokio::test]
async fn i06_an_answer_that_was_lost_after_the_effect_is_done_once() {
    let bench = Bench::start().await.with_relay().await;
    let faults = &bench.twin.twin.engine.faults;
    for kind in [FaultKind::Fail { status: 500, after: true, plain: false }, FaultKind::Reset { after: true }] {
        faults.inject(Fault { times: Some(1), ..Fault::new("atlassian.org", "groups.create", kind) });
    }
    let writer = bench.writer();
    let (one, two) = (bench.group("one").await, bench.group("two").await);
    assert_ne!(one, two);
    let made = bench.twin.twin.world().log.after(0).filter(|change| change.operation == "groups.create").count();
    assert_eq!(made, 2, "two groups, whatever was answered");
    bench.each_effect_has_its_attempt_and_its_entry().await;
    writer.stop().await;
}

#[tokio::test]
async fn i09_a_membership_whose_answer_was_lost_is_told_with_the_attempt_that_did_it() {
    let bench = Bench::start().await.with_relay().await;
    let writer = bench.writer();
    let group = bench.group("eng").await;
    let lost = FaultKind::Fail { status: 502, after: true, plain: true };
    bench.twin.twin.engine.faults.inject(Fault { times: Some(2), ..Fault::new("atlassian.org", "*", lost) });
    let accounts: Vec<String> = (0..3).map(|n| bench.account(n)).collect();
    let changes: Vec<_> = accounts.iter().map(|account| (account.as_str(), EdgeOp::Add)).collect();
    let fill = bench.edges(Lane::Normal, &group, 1, &changes);
    bench.send(std::slice::from_ref(&fill)).await;
    let outcome = bench.outcomes(std::slice::from_ref(&fill)).await.remove(&fill.id).unwrap();
    assert_eq!(bench.members("eng").len(), 3, "{outcome:?}");
    assert_eq!(bench.count("select count(*) from effect.attempt where disposition = 'unknown'").await, 2);
    bench.each_effect_has_its_attempt_and_its_entry().await;
    writer.stop().await;
}

/// A product that is not there is one letter, which closes when it is given after all: with one entry, and once.
#[tokio::test]
async fn i06_i09_what_a_group_is_to_give_is_given_once_and_told_with_what_it_is() {
    let bench = Bench::start().await.with_relay().await;
    let writer = bench.writer();
    let group = bench.group("eng").await;
    let access = Access::Product {
        product: "jira-software".to_owned(),
        site: "https://acme.atlassian.net".to_owned(),
        role: "atlassian/user".to_owned(),
    };
    // Nobody settles them here, and a group has one open command a lane.
    let grant = async |lane| {
        let body = CommandBody::GrantAccess { group: group.clone(), access: access.clone(), generation: 1 };
        let grant = bench.command(lane, body);
        bench.send(std::slice::from_ref(&grant)).await;
        bench.outcomes(std::slice::from_ref(&grant)).await.remove(&grant.id).unwrap().result
    };
    let open = "select count(*) from effect.dead_letter where state = 'open'";
    assert_eq!(grant(Lane::Normal).await, StepResult::Rejected(Rejection::Validation));
    assert_eq!(bench.count(open).await, 1);
    bench.with_product("ari:jira", "jira-software", "acme");
    let lost = FaultKind::Fail { status: 502, after: true, plain: true };
    let lost = Fault { times: Some(1), ..Fault::new("atlassian.org", "groups.roles.assign", lost) };
    bench.twin.twin.engine.faults.inject(lost);
    assert!(grant(Lane::Urgent).await.holds());
    assert_eq!(bench.count(open).await, 0);
    let roles = bench.twin.twin.world().atlassian.dump();
    let roles = roles.pointer(&format!("/organizations/{ORGANIZATION}/groups/eng/roles")).cloned();
    assert_eq!(roles, Some(serde_json::json!({ "ari:jira": ["atlassian/user"] })));
    let told = "select count(*) from common.audit where verb = 'group.grant' and key = 'cloud/' || $1 and before = ''
                and after = convert_to($2, 'UTF8')";
    let told = bench.sql.query_one(told, &[&group.as_str(), &access.to_string()]).await.unwrap();
    assert_eq!(told.get::<_, i64>(0), 1);
    bench.each_effect_has_its_attempt_and_its_entry().await;
    bench.raise(format!("access/{group}/{access}"), 2).await;
    assert_eq!(grant(Lane::Bulk).await, StepResult::Outdated);
    writer.stop().await;
}

#[tokio::test]
async fn throttling_never_dead_letters_anything() {
    let bench = Bench::start().await.with_relay().await;
    let writer = bench.writer();
    let group = bench.group("eng").await;
    let throttle = FaultKind::Throttle { retry_after: Some("1".to_owned()), shape: None };
    bench.twin.twin.engine.faults.inject(Fault { times: Some(3), ..Fault::new("atlassian.org", "*", throttle) });
    let account = bench.account(0);
    let add = bench.edges(Lane::Urgent, &group, 1, &[(&account, EdgeOp::Add)]);
    bench.send(std::slice::from_ref(&add)).await;
    let outcome = bench.outcomes(std::slice::from_ref(&add)).await.remove(&add.id).unwrap();
    assert_eq!(outcome.edges[0].result, StepResult::Done);
    assert_eq!(bench.count("select count(*) from effect.dead_letter").await, 0);
    writer.stop().await;
}
