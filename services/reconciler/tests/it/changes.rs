use std::{collections::BTreeSet, time::Duration};

use harness::eventually;
use model::{Canonical as _, CommandBody, EdgeOp, GroupId, Lane, Outcome, StepResult, Time};
use store::effect::{NewAttempt, RecordedOutcomes};
use tokio_util::sync::CancellationToken;

use crate::world::{WITHIN, World, cloud, tenant};

#[tokio::test(flavor = "multi_thread")]
async fn a_first_import_makes_groups_fills_them_and_then_is_quiet() {
    let mut world = World::start("").await;
    world.hire(&["ann", "bob", "cid"]);
    world.at_source("eng", &["ann", "bob"]);
    world.at_source("ops", &["bob", "cid"]);
    world.sweep_source().await;
    world.sweep_target().await;
    let running = world.reconcile("0.1");
    world.converge().await;
    // Read back twice: nothing to do, and nothing is done.
    let before = world.count("select count(*) from plan.command").await;
    for _ in 0..2 {
        world.sweep_target().await;
        world.sweep_source().await;
        world.taken_in().await;
    }
    assert!(world.waiting().await.is_empty());
    assert_eq!(world.count("select count(*) from plan.command").await, before, "i10: converged is quiet");
    world.counts("select count(*) from plan.pin where equal_once and source_group is not null", 2).await;
    world.counts("select count(*) from plan.managed_edge", 4).await;
    world.counts("select count(*) from plan.released_edge", 0).await;
    world.counts("select count(*) from plan.opening", 0).await;
    world.counts("select count(*) from plan.sync_state where body like '%\"in_sync\":true%'", 1).await;
    // Every plan reads back with the steps that it was decided with.
    let mut steps = 0;
    for summary in world.console.plans(&crate::world::tenant(), None, 100).await.unwrap() {
        let plan = world.console.plan(&crate::world::tenant(), summary.number).await.unwrap().unwrap();
        for (target, case) in plan.cases() {
            assert_eq!(case.digest, model::Case::digest_of(target, &case.kind, &case.steps));
            steps += case.steps.len();
        }
    }
    assert!(steps > 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i02_nobody_is_removed_before_the_lost_fact_was_read_by_itself() {
    let mut world = World::start("").await;
    world.hire(&["ann", "bob", "cid"]);
    world.at_source("eng", &["ann", "bob", "cid"]);
    world.sweep_source().await;
    world.sweep_target().await;
    let running = world.reconcile("0.1");
    world.converge().await;
    world.sweep_target().await;
    world.taken_in().await;

    // A read misses Cid although he is there: the answer voids it.
    world.at_source("eng", &["ann", "bob"]);
    world.read_group("eng").await;
    world.counts("select count(*) from plan.need", 1).await;
    assert!(world.waiting().await.is_empty(), "asked first");
    world.at_source("eng", &["ann", "bob", "cid"]);
    assert_eq!(world.answer().await, 1);
    world.read_group("eng").await;
    world.taken_in().await;
    world.counts("select count(*) from plan.need", 0).await;
    assert!(world.waiting().await.is_empty());

    // He really leaves: asked, answered, removed with urgency.
    world.at_source("eng", &["ann", "bob"]);
    world.read_group("eng").await;
    eventually(WITHIN, "the question", async || {
        Ok((world.count("select count(*) from plan.need").await == 1).then_some(()))
    })
    .await
    .unwrap();
    world.answer().await;
    let commands = eventually(WITHIN, "the removal", async || {
        let waiting = world.waiting().await;
        Ok((!waiting.is_empty()).then_some(waiting))
    })
    .await
    .unwrap();
    let CommandBody::Edges { edges, .. } = &commands[0].body else { panic!("{commands:?}") };
    assert_eq!((commands.len(), edges.len(), edges[0].op), (1, 1, EdgeOp::Remove));
    assert_eq!(commands[0].lane, Lane::Urgent);
    world.converge().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_wakes_at_once_and_the_outcome_too() {
    let mut world = World::start("").await;
    world.hire(&["ann", "bob"]);
    world.at_source("eng", &["ann"]);
    world.sweep_source().await;
    world.sweep_target().await;
    let stop = CancellationToken::new();
    world.relay(stop.clone()).await;
    // No tick will come: only the bus can wake it.
    let running = world.reconcile("3600");
    world.converge().await;
    world.at_source("eng", &["ann", "bob"]);
    world.read_group("eng").await;
    world.converge().await;
    stop.cancel();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i08_a_burst_collapses_into_one_open_command() {
    let mut world = World::start("").await;
    let names: Vec<String> = (0..60).map(|n| format!("u{n:02}")).collect();
    world.hire(&names.iter().map(String::as_str).collect::<Vec<_>>());
    world.at_source("eng", &["u00"]);
    world.sweep_source().await;
    world.sweep_target().await;
    let running = world.reconcile("0.05");
    world.converge().await;
    world.sweep_target().await;
    world.taken_in().await;
    // The first change makes a command that nobody carries out yet; the others come one by one.
    for end in 2..20 {
        let members: Vec<&str> = names[..end].iter().map(String::as_str).collect();
        world.at_source("eng", &members);
        world.read_group("eng").await;
        world.taken_in().await;
    }
    assert_eq!(world.waiting().await.len(), 1, "one open command of the group");
    let mut commands = 0;
    let deadline = harness::Deadline::after(WITHIN);
    while world.target != world.source {
        assert!(!deadline.is_over(), "{:?}", world.target);
        commands += world.act().await.len();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(commands, 2, "the open one, and one with all that came meanwhile");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_person_is_one_letter_and_everybody_else_arrives() {
    let mut world = World::start("").await;
    world.hire(&["ann", "bob", "eve"]);
    world.at_source("eng", &["ann", "eve"]);
    world.at_source("ops", &["bob", "eve"]);
    world.poisoned.insert("eve".to_owned());
    world.sweep_source().await;
    world.sweep_target().await;
    let running = world.reconcile("0.1");
    let expected = |name: &str| BTreeSet::from([name.to_owned()]);
    let deadline = harness::Deadline::after(WITHIN);
    while world.target.get("eng") != Some(&expected("ann")) || world.target.get("ops") != Some(&expected("bob")) {
        assert!(!deadline.is_over(), "{:?}", world.target);
        world.act().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.settled().await;
    world.taken_in().await;
    assert!(world.waiting().await.is_empty(), "it is not issued again");
    assert_eq!(world.count("select count(*) from effect.letter where state = 'open'").await, 1);

    // Redriven after the fix: the letter is gone, and she is in.
    world.poisoned.clear();
    let at = model::Time(runtime::clock::now_micros());
    let decider = store::console::Decider { actor: "ann".to_owned(), reason: "invited".to_owned(), at };
    world.console.judge_letters(&crate::world::tenant(), &[1], false, &decider).await.unwrap();
    world.converge().await;
    world.counts("select count(*) from effect.letter where state = 'open'", 0).await;
    running.stop().await;
}

/// I5: a name that was taken when we came to make the group is ours only if an attempt of ours may have made it.
#[tokio::test(flavor = "multi_thread")]
async fn i05_a_group_that_was_found_is_ours_only_after_an_attempt_whose_end_nobody_knows() {
    for lost in [false, true] {
        let mut world = World::start("").await;
        world.hire(&["ann", "bob"]);
        world.at_source("eng", &["ann"]);
        world.sweep_source().await;
        world.sweep_target().await;
        let running = world.reconcile("0.1");
        world.counts("select count(*) from plan.command", 1).await;
        let command = world.waiting().await.remove(0);
        if lost {
            let attempt = NewAttempt {
                id: runtime::ids::uuid(),
                command: command.id,
                digest: command.digest(),
                target: cloud(),
                request: "create a group".to_owned(),
                edges: vec!["create-group/eng".to_owned()],
                began_at: Time(1),
            };
            world.writer.begin_attempts(&world.writing, &tenant(), &[attempt]).await.unwrap();
        }
        let found = Outcome {
            command: command.id,
            tenant: tenant(),
            target: cloud(),
            at: Time(runtime::clock::now_micros()),
            result: StepResult::AlreadySo,
            edges: Vec::new(),
            group: Some(GroupId::new("eng").unwrap()),
            account: None,
            behind: None,
        };
        let none = |_: &RecordedOutcomes| Vec::new();
        let outcomes = std::slice::from_ref(&found);
        world.writer.record_outcomes(&world.writing, &tenant(), &[], outcomes, &[], &[], none).await.unwrap();
        let settled =
            format!("select count(*) from plan.command where id = '{}' and settled_at is not null", command.id);
        world.counts(&settled, 1).await;
        let ours = world.count("select count(*) from plan.pin where name = 'eng' and how = 'created'").await;
        assert_eq!(ours, i64::from(lost));
        if !lost {
            // Somebody made it, and somebody else is in it: a person decides.
            world.target.insert("eng".to_owned(), BTreeSet::from(["bob".to_owned()]));
            world.sweep_target().await;
            let held = "select count(*) from plan.case_held where state = 'held'";
            world.counts(held, 1).await;
            let edges = |command: &model::Command| matches!(command.body, CommandBody::Edges { .. });
            assert!(!world.waiting().await.iter().any(edges), "nobody is put in or taken out");
        }
        running.stop().await;
    }
}
