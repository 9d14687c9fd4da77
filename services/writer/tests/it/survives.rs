//! What the writer does when something around it fails.

use model::{EdgeOp, Lane, StepResult};
use twin::engine::fault::{Fault, FaultKind};

use crate::bench::{Bench, SOON, digest, email, tenant};

#[tokio::test]
async fn i15_what_the_bus_never_told_is_found_in_the_ledger() {
    // No relay: the commands are rows and nothing else.
    let bench = Bench::start().await;
    let commands = [bench.create("one"), bench.create("two")];
    bench.send(&commands).await;
    let writer = bench.writer();
    assert!(bench.outcomes(&commands).await.values().all(|outcome| outcome.result == StepResult::Done));
    writer.stop().await;
}

#[tokio::test]
async fn i15_a_bus_that_forgot_everything_costs_nothing() {
    let mut bench = Bench::start().await.with_relay().await;
    let writer = bench.writer();
    let group = bench.group("eng").await;
    bench.nats.stop().await.unwrap();
    bench.nats.wipe().unwrap();
    let accounts: Vec<String> = (0..20).map(|n| bench.account(n)).collect();
    let changes: Vec<_> = accounts.iter().map(|account| (account.as_str(), EdgeOp::Add)).collect();
    let fill = bench.edges(Lane::Normal, &group, 1, &changes);
    bench.send(std::slice::from_ref(&fill)).await;
    bench.nats.restart().await.unwrap();
    bench.outcomes(std::slice::from_ref(&fill)).await;
    assert_eq!(bench.members("eng").len(), 20);
    assert_eq!(bench.effects(), 20, "each once");
    writer.stop().await;
}

#[tokio::test]
async fn i08_a_writer_that_vanished_is_replaced_and_nothing_is_done_twice() {
    let bench = Bench::start().await.with_relay().await;
    let first = bench.writer();
    let group = bench.group("eng").await;
    // Every call hangs for a while, so that the first writer vanishes in the middle of its work.
    let slow = FaultKind::Slow { ms: 300 };
    bench.twin.twin.engine.faults.inject(Fault::new("atlassian.org", "*", slow));
    let accounts: Vec<String> = (0..20).map(|n| bench.account(n)).collect();
    let changes: Vec<_> = accounts.iter().map(|account| (account.as_str(), EdgeOp::Add)).collect();
    let fill = bench.edges(Lane::Normal, &group, 1, &changes);
    bench.send(std::slice::from_ref(&fill)).await;
    harness::eventually(SOON, "the first effects", async || Ok((bench.effects() > 3).then_some(()))).await.unwrap();
    first.vanish();
    assert!(bench.count("select count(*) from effect.outcome").await < 2, "the command was not settled");
    bench.twin.twin.engine.faults.clear();
    let second = bench.writer();
    let outcome = bench.outcomes(std::slice::from_ref(&fill)).await.remove(&fill.id).unwrap();
    assert!(outcome.edges.iter().all(|edge| edge.result.holds()), "{outcome:?}");
    assert_eq!((bench.members("eng").len(), bench.effects()), (20, 20));
    bench.each_effect_has_its_attempt_and_its_entry().await;
    assert_eq!(bench.count("select count(*) from effect.attempt where ended_at is null").await, 0);
    second.stop().await;
}

#[tokio::test]
async fn i08_of_two_writers_one_has_the_target() {
    let bench = Bench::start().await.with_relay().await;
    let (one, two) = (bench.writer(), bench.writer());
    let group = bench.group("eng").await;
    let commands: Vec<_> = (0..30)
        .map(|n| {
            bench.edges(Lane::Normal, &group, 1 + n, &[(&bench.account(usize::try_from(n).unwrap()), EdgeOp::Add)])
        })
        .collect();
    // One open command per object: one after the other.
    for command in &commands {
        bench.send(std::slice::from_ref(command)).await;
        bench.outcomes(std::slice::from_ref(command)).await;
        settle(&bench, command).await;
    }
    assert_eq!((bench.members("eng").len(), bench.effects()), (30, 30));
    let epochs = bench.count("select count(distinct epoch) from effect.attempt").await;
    assert_eq!(epochs, 1, "one of them did all of it");
    one.stop().await;
    // The other one takes over at once: the lease was given up.
    let again = bench.create("late");
    bench.send(std::slice::from_ref(&again)).await;
    bench.outcomes(std::slice::from_ref(&again)).await;
    two.stop().await;
}

#[tokio::test]
async fn a_command_that_differs_from_the_ledger_is_not_executed() {
    let bench = Bench::start().await.with_relay().await;
    let genuine = bench.create("genuine");
    bench.send(std::slice::from_ref(&genuine)).await;
    // Somebody who may publish sends another command under the same id before any writer looks.
    let forged = model::Command { body: bench.create("forged").body, ..genuine.clone() };
    assert_ne!(digest(&forged), digest(&genuine));
    let bus = bus::Bus::connect(&bench.nats.url(), "forger").await.unwrap();
    let subject =
        contract::subjects::Subject::Command { tenant: tenant(), target: genuine.target.clone(), lane: genuine.lane };
    bus.publish(&subject, "forged", &forged).await.unwrap();
    let writer = bench.writer();
    bench.outcomes(std::slice::from_ref(&genuine)).await;
    let names: Vec<String> = {
        let world = bench.twin.twin.world();
        let key = twin::world::atlassian::BaseKey::Organization(twin::world::atlassian::ORGANIZATION.to_owned());
        world.atlassian.memberships(&key).into_keys().collect()
    };
    assert!(names.contains(&"genuine".to_owned()) && !names.contains(&"forged".to_owned()), "{names:?}");
    writer.stop().await;
}

#[tokio::test]
async fn refused_credentials_stop_the_target_and_keep_everything() {
    let bench = Bench::start().await.with_relay().await;
    bench.twin.twin.engine.faults.inject(Fault::new("atlassian.org", "*", FaultKind::Unauthorized));
    let writer = bench.writer();
    let commands: Vec<_> = (0..5).map(|n| bench.create(&format!("g{n}"))).collect();
    bench.send(&commands).await;
    harness::eventually(SOON, "a refusal", async || {
        let refused = bench.count("select count(*) from effect.attempt where disposition = 'halt'").await;
        Ok((refused > 0).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(bench.count("select count(*) from effect.outcome").await, 0, "nothing was given up");
    assert_eq!(bench.count("select count(*) from effect.dead_letter").await, 0);
    bench.twin.twin.engine.faults.clear();
    writer.stop().await;
    // Renewed credentials, and everything goes.
    let writer = bench.writer();
    bench.outcomes(&commands).await;
    writer.stop().await;
}

#[tokio::test]
async fn what_waited_too_long_for_a_writer_is_not_done_any_more() {
    let bench = Bench::start().await.with_relay().await;
    let writer = bench.writer();
    let group = bench.group("eng").await;
    writer.stop().await;
    // Decided before the night, found in the morning: by the bus and by a look into PostgreSQL.
    let account = bench.account(0);
    let old = [bench.edges(Lane::Normal, &group, 1, &[(&account, EdgeOp::Add)]), bench.create("ops")];
    bench.send(&old).await;
    bench.sql.execute("update plan.command set stored_at = stored_at - interval '31 s'", &[]).await.unwrap();
    let writer = bench.writer();
    let outcomes = bench.outcomes(&old).await;
    assert_eq!(outcomes[&old[0].id].edges[0].result, StepResult::NotTried);
    assert_eq!(outcomes[&old[1].id].result, StepResult::NotTried);
    assert_eq!(
        (bench.effects(), bench.count("select count(*) from effect.attempt").await),
        (0, 1),
        "but for the group"
    );
    // What is decided now is done.
    let new = bench.edges(Lane::Urgent, &group, 2, &[(&account, EdgeOp::Add)]);
    bench.send(std::slice::from_ref(&new)).await;
    assert_eq!(bench.outcomes(std::slice::from_ref(&new)).await[&new.id].edges[0].result, StepResult::Done);
    writer.stop().await;
}

#[tokio::test]
async fn a_pause_stops_what_was_issued_already_and_its_end_lets_it_go_on() {
    let bench = Bench::start().await.with_relay().await;
    let writer = bench.writer();
    let group = bench.group("eng").await;
    // Slow enough that the pause comes into the middle.
    let slow = FaultKind::Slow { ms: 1_000 };
    bench.twin.twin.engine.faults.inject(Fault::new("atlassian.org", "*", slow));
    let accounts: Vec<String> = (0..40).map(|n| bench.account(n)).collect();
    let changes: Vec<_> = accounts.iter().map(|account| (account.as_str(), EdgeOp::Add)).collect();
    let fill = bench.edges(Lane::Normal, &group, 1, &changes);
    bench.send(std::slice::from_ref(&fill)).await;
    let under_way = "select count(*) from effect.attempt where ended_at is null";
    harness::eventually(SOON, "a call", async || Ok((bench.count(under_way).await > 0).then_some(()))).await.unwrap();
    bench.pause(true).await;
    let outcomes = bench.outcomes(std::slice::from_ref(&fill)).await;
    let edges = &outcomes[&fill.id].edges;
    let done = edges.iter().filter(|edge| edge.result == StepResult::Done).count();
    assert!(done > 0 && done < 40 && done == bench.effects(), "{done} of 40, {} effects", bench.effects());
    let rest = edges.iter().filter(|edge| edge.result == StepResult::NotTried).count();
    assert_eq!(rest, 40 - done, "the rest goes back to be decided afresh");
    // A group is not made meanwhile, and is when the pause is over.
    let make = bench.create("ops");
    bench.send(std::slice::from_ref(&make)).await;
    bench.twin.twin.engine.faults.clear();
    bench.pause(false).await;
    assert_eq!(bench.outcomes(std::slice::from_ref(&make)).await[&make.id].result, StepResult::Done);
    bench.each_effect_has_its_attempt_and_its_entry().await;
    writer.stop().await;
}

#[tokio::test]
async fn a_database_that_was_away_is_waited_for() {
    let mut bench = Bench::start().await.with_relay().await;
    let writer = bench.writer();
    let group = bench.group("eng").await;
    bench.postgres.stop().await.unwrap();
    bench.postgres.restart().await.unwrap();
    bench.sql = bench.postgres.connect("writer").await.unwrap();
    let account = bench.account(7);
    let add = bench.edges(Lane::Normal, &group, 1, &[(&account, EdgeOp::Add)]);
    harness::eventually(SOON, "the database", async || Ok(bench.store.ping().await.ok())).await.unwrap();
    bench.send(std::slice::from_ref(&add)).await;
    bench.outcomes(std::slice::from_ref(&add)).await;
    assert_eq!(bench.members("eng"), [email(7)]);
    writer.stop().await;
}

/// Takes an outcome in, as the reconciler does.
async fn settle(bench: &Bench, command: &model::Command) {
    let update = "update plan.command set settled_at = 1 where id = $1";
    bench.sql.execute(update, &[&command.id.0]).await.unwrap();
}
