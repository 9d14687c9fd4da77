use model::{Digest, Span, Time};
use store::console::Decider;
use store::plan::CaseState;

use crate::world::{World, cloud, tenant};

fn decider(actor: &str) -> Decider {
    Decider { actor: actor.to_owned(), reason: "looked at it".to_owned(), at: Time(runtime::clock::now_micros()) }
}

/// A source group of so many people, read at both sides, and a reconciler that begins with it.
async fn filled(more: &str, people: usize) -> (World, crate::world::Running, Vec<String>) {
    let mut world = World::start(more).await;
    let names: Vec<String> = (0..people).map(|n| format!("u{n:02}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    world.hire(&all);
    world.at_source("eng", &all);
    world.sweep_source().await;
    world.sweep_target().await;
    let running = world.reconcile("0.1");
    (world, running, names)
}

/// A group of thirty, of which everybody but a few leaves: more than the guard lets go.
async fn emptied(more: &str) -> (World, crate::world::Running, Digest) {
    let (mut world, running, all) = filled(more, 30).await;
    world.converge().await;
    world.sweep_target().await;
    world.taken_in().await;
    world.at_source("eng", &all.iter().take(10).map(String::as_str).collect::<Vec<_>>());
    world.read_group("eng").await;
    world.counts("select count(*) from plan.case_held where state = 'held'", 1).await;
    let held = world.console.cases(&tenant(), &[CaseState::Held]).await.unwrap();
    let digest = held[0].case.digest;
    (world, running, digest)
}

#[tokio::test(flavor = "multi_thread")]
async fn i03_a_mass_removal_waits_for_a_person_and_goes_as_approved() {
    let (mut world, running, digest) = emptied("").await;
    for _ in 0..3 {
        world.answer().await;
        world.taken_in().await;
        assert!(world.waiting().await.is_empty(), "held is held");
    }
    let hour = Span::from_secs(3600);
    world.console.decide_case(&tenant(), digest, true, "reconciler", &decider("ann"), hour).await.unwrap();
    world.converge().await;
    assert_eq!(world.target["eng"].len(), 10);
    world.counts("select count(*) from plan.case_held where state = 'released' and decided_by = 'ann'", 1).await;
    let audited = "select count(*) from common.audit where verb in ('case.held', 'case.approved', 'case.released')";
    assert_eq!(world.count(audited).await, 3);
    assert_eq!(world.count("select count(*) from plan.window_entry where kind = 'removals'").await, 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i03_what_was_approved_is_not_held_again_because_the_target_was_down() {
    let (mut world, running, digest) = emptied("").await;
    let hour = Span::from_secs(3600);
    // Approved removals of one group are one command: it comes to nothing twice.
    world.down = 2;
    world.console.decide_case(&tenant(), digest, true, "reconciler", &decider("ann"), hour).await.unwrap();
    world.converge().await;
    assert_eq!((world.down, world.target["eng"].len()), (0, 10));
    assert_eq!(world.count("select count(*) from plan.case_held").await, 1, "nothing was held again");
    assert_eq!(world.count("select count(*) from plan.window_entry where kind = 'removals'").await, 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_again_after_trouble_counts_once_and_is_looked_at_before() {
    let mut world = World::start("").await;
    world.hire(&["ann", "ben", "cid"]);
    world.at_source("eng", &["ann", "ben", "cid"]);
    world.sweep_source().await;
    world.sweep_target().await;
    let running = world.reconcile("0.1");
    world.converge().await;
    world.sweep_target().await;
    world.taken_in().await;
    world.down = 3;
    world.at_source("eng", &["ann"]);
    world.read_group("eng").await;
    world.converge().await;
    assert_eq!(world.down, 0);
    assert_eq!(world.count("select sum(count)::bigint from plan.window_entry where kind = 'removals'").await, 2);
    // Who comes back meanwhile is not taken out because that was decided once.
    world.sweep_target().await;
    world.taken_in().await;
    world.down = 1;
    world.at_source("eng", &[]);
    world.read_group("eng").await;
    while world.waiting().await.is_empty() {
        world.answer().await;
    }
    world.at_source("eng", &["ann"]);
    world.sweep_source().await;
    world.taken_in().await;
    assert_eq!(world.act().await.len(), 1, "the removal, which is not tried");
    world.settled().await;
    world.sweep_source().await;
    world.taken_in().await;
    assert!(world.waiting().await.is_empty());
    assert_eq!(world.target["eng"].len(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strike_of_the_schedule_is_not_lost_because_nobody_decided_at_that_moment() {
    let mut world = World::start("").await;
    world.rewrite_policy(|text| text.replace("[people]", "[schedule]\ncron = \"0 2 * * *\"\n[people]"));
    let file = world.policy.with_file_name("clock");
    let at = |hour: i64| runtime::clock::set_shared(&file, (20_000 * 24 + hour) * 3_600_000_000).unwrap();
    let clock = file.display().to_string();
    at(1);
    world.hire(&["ann"]);
    world.at_source("eng", &["ann"]);
    world.sweep_source().await;
    world.sweep_target().await;
    let running = world.reconcile_with("0.1", &["--clock-file", &clock]);
    world.counts("select least(count(*), 1) from plan.plan", 1).await;
    world.counts("select count(*) from plan.sync_taken", 1).await;
    running.stop().await;
    assert!(world.waiting().await.is_empty(), "before its time");
    at(3);
    let running = world.reconcile_with("0.1", &["--clock-file", &clock]);
    world.converge().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_deleted_once_after_its_approval() {
    let mut world = World::start("").await;
    world.rewrite_policy(|text| format!("{text}on_source_deleted = \"delete\"\n"));
    world.hire(&["ann"]);
    world.at_source("eng", &["ann"]);
    world.at_source("ops", &["ann"]);
    world.sweep_source().await;
    world.sweep_target().await;
    let running = world.reconcile("0.1");
    world.converge().await;
    world.sweep_target().await;
    world.taken_in().await;
    world.source.remove("ops");
    world.sweep_source().await;
    let held = "select count(*) from plan.case_held where state = 'held' and kind = 'delete'";
    world.counts(held, 1).await;
    world.answer().await;
    let digest = world.console.cases(&tenant(), &[CaseState::Held]).await.unwrap()[0].case.digest;
    let hour = Span::from_secs(3600);
    world.console.decide_case(&tenant(), digest, true, "reconciler", &decider("ann"), hour).await.unwrap();
    world.converge().await;
    // The mirror shows the group until the target is read: it is not deleted again and again.
    for _ in 0..3 {
        world.sweep_source().await;
        world.taken_in().await;
        world.answer().await;
        assert!(world.act().await.is_empty());
    }
    let deletions = "select count(*) from plan.command where body like '%delete%'";
    assert_eq!(world.count(deletions).await, 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i04_what_was_released_stops_once_its_group_is_protected_or_its_rule_switched_off() {
    type Stop = fn(&mut World);
    let stops: [Stop; 3] = [
        |world| world.administrators.extend(["eng".to_owned()]),
        |world| {
            let guard = "[guard]\nprotected_groups = [\"eng\"]\n[people]";
            world.rewrite_policy(|text| text.replace("[people]", guard));
        },
        |world| world.rewrite_policy(|text| format!("{text}enabled = false\n")),
    ];
    for stop in stops {
        // A command takes twenty-five at a time: most of a first import waits.
        let (mut world, running, _) = filled("", 60).await;
        let open = "select count(*) from plan.command where settled_at is null";
        world.counts(open, 1).await;
        world.act().await;
        world.counts("select count(*) from plan.released_edge where command is not null", 25).await;
        world.counts("select count(*) from plan.released_edge", 60).await;
        let loaded = world.count("select count(*) from plan.policy where state = 'loaded'").await;
        let text = std::fs::read_to_string(&world.policy).unwrap();
        stop(&mut world);
        if std::fs::read_to_string(&world.policy).unwrap() != text {
            world.counts("select count(*) from plan.policy where state = 'loaded'", loaded + 1).await;
        }
        world.sweep_target().await;
        world.taken_in().await;
        assert_eq!(world.act().await.len(), 1, "what a writer has already");
        world.counts("select count(*) from plan.released_edge", 0).await;
        world.settled().await;
        assert_eq!(world.target["eng"].len(), 25);
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i03_an_approval_of_other_bytes_releases_nothing() {
    let (mut world, running, digest) = emptied("").await;
    // One more leaves: the case that was looked at is no longer the case.
    let members: Vec<String> = world.source["eng"].iter().take(9).cloned().collect();
    world.at_source("eng", &members.iter().map(String::as_str).collect::<Vec<_>>());
    world.read_group("eng").await;
    world.counts("select count(*) from plan.case_held where state = 'void'", 1).await;
    let hour = Span::from_secs(3600);
    world.console.decide_case(&tenant(), digest, true, "reconciler", &decider("ann"), hour).await.unwrap();
    for _ in 0..3 {
        world.answer().await;
        world.sweep_source().await;
        world.taken_in().await;
        assert!(world.waiting().await.is_empty());
    }
    assert_eq!(world.target["eng"].len(), 30);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_target_is_planned_for_and_left_alone() {
    let mut world = World::start("").await;
    world.hire(&["ann"]);
    world.at_source("eng", &["ann"]);
    world.console.set_pause(&tenant(), Some(&cloud()), true, &decider("ann")).await.unwrap();
    world.sweep_source().await;
    world.sweep_target().await;
    let running = world.reconcile("0.1");
    world.counts("select least(count(*), 1) from plan.plan where summary like '%\"cases\":1,%'", 1).await;
    world.taken_in().await;
    assert!(world.waiting().await.is_empty());
    world.console.set_pause(&tenant(), Some(&cloud()), false, &decider("ann")).await.unwrap();
    world.converge().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_cannot_be_right_or_stops_managing_too_much_does_not_replace_the_running_one() {
    let mut world = World::start("").await;
    world.hire(&["ann", "bob"]);
    for name in ["eng", "ops", "hr"] {
        world.at_source(name, &["ann"]);
    }
    world.sweep_source().await;
    world.sweep_target().await;
    let running = world.reconcile("0.1");
    world.converge().await;
    world.rewrite_policy(|text| text.replace("groups = [", "grups = ["));
    world.counts("select count(*) from plan.policy where state = 'refused'", 1).await;
    world.rewrite_policy(|text| text.replace("grups = [\"*\"]", "groups = [\"eng@*\"]"));
    world.counts("select count(*) from plan.policy where state = 'held'", 1).await;
    // The running policy still manages what the new one would not.
    world.at_source("ops", &["ann", "bob"]);
    world.read_group("ops").await;
    world.converge().await;
    // Approved, it takes over.
    let held = world.count("select count(*) from plan.policy where state = 'loaded'").await;
    let owner = world.postgres.connect("rollcall_test").await.unwrap();
    let row = owner.query_one("select hash from plan.policy where state = 'held'", &[]).await.unwrap();
    let hash = Digest(row.get::<_, Vec<u8>>(0).try_into().unwrap());
    let hour = Span::from_secs(3600);
    world.console.decide_case(&tenant(), hash, true, "reconciler", &decider("ann"), hour).await.unwrap();
    world.counts("select count(*) from plan.policy where state = 'loaded'", held + 1).await;
    world.at_source("hr", &["ann", "bob"]);
    world.read_group("hr").await;
    world.taken_in().await;
    assert!(world.waiting().await.is_empty(), "unmapping stops managing");
    assert_eq!(world.target["hr"].len(), 1, "and is not removing");
    running.stop().await;
}
