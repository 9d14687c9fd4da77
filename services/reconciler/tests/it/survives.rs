use std::time::Duration;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn i01_a_reconciler_that_vanishes_is_replaced_and_nothing_is_lost() {
    let mut world = World::start("").await;
    let names: Vec<String> = (0..40).map(|n| format!("u{n:02}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    world.hire(&all);
    for name in ["eng", "ops", "hr"] {
        world.at_source(name, &all);
    }
    world.sweep_source().await;
    world.sweep_target().await;
    // Killed again and again while commands and outcomes are under way.
    for round in 0..4_u64 {
        let running = world.reconcile("0.05");
        let deadline = harness::Deadline::after(Duration::from_millis(2_300 + round * 137));
        while !deadline.is_over() {
            world.act().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        running.kill();
    }
    let running = world.reconcile("0.05");
    world.converge().await;
    // One effect per edge: what was done is not done again.
    let edges =
        "select count(*) from plan.command where body::text like '%' and convert_from(body, 'UTF8') like '%\"edges\"%'";
    assert!(world.count(edges).await >= 6);
    world.counts("select count(*) from plan.managed_edge", 120).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i08_two_reconcilers_share_a_tenant_by_its_lease() {
    let mut world = World::start("").await;
    world.hire(&["ann", "bob"]);
    world.at_source("eng", &["ann"]);
    world.sweep_source().await;
    world.sweep_target().await;
    let (one, two) = (world.reconcile("0.05"), world.reconcile("0.05"));
    world.converge().await;
    world.at_source("eng", &["ann", "bob"]);
    world.read_group("eng").await;
    world.converge().await;
    assert_eq!(world.count("select count(*) from common.lease where name = 'reconciler/acme'").await, 1);
    one.stop().await;
    world.sweep_target().await;
    world.at_source("eng", &["bob"]);
    world.read_group("eng").await;
    world.converge().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i15_the_bus_may_forget_everything() {
    let mut world = World::start("").await;
    world.hire(&["ann", "bob"]);
    world.at_source("eng", &["ann"]);
    world.sweep_source().await;
    world.sweep_target().await;
    let running = world.reconcile("0.1");
    world.converge().await;
    world.nats.kill();
    world.nats.wipe().unwrap();
    world.at_source("eng", &["ann", "bob"]);
    world.read_group("eng").await;
    world.converge().await;
    world.nats.restart().await.unwrap();
    world.sweep_target().await;
    world.at_source("eng", &["bob"]);
    world.read_group("eng").await;
    world.converge().await;
    world.counts("select count(*) from plan.outbox where published_at is null", 0).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_database_and_a_wrong_policy_are_faults_with_their_codes() {
    let world = World::start("").await;
    let run = async |arguments: &[&str]| {
        use clap::Parser as _;
        #[derive(Debug, clap::Parser)]
        struct Arguments {
            #[command(flatten)]
            options: reconciler::Options,
        }
        let options = Arguments::try_parse_from(std::iter::once(&"r").chain(arguments)).unwrap().options;
        reconciler::run(options, runtime::Shutdown::manual()).await.unwrap_err()
    };
    let (nats, policy) = (world.nats.url(), world.policy.display().to_string());
    let nowhere = format!("postgresql://x@127.0.0.1:{}/x", harness::ports::free().unwrap());
    let fault = run(&["--nats", &nats, "--database", &nowhere, "--policy", &policy]).await;
    assert_eq!(fault.exit.code(), 75);
    let no_nats = format!("nats://127.0.0.1:{}", harness::ports::free().unwrap());
    let fault = run(&["--nats", &no_nats, "--database", &world.url, "--policy", &policy]).await;
    assert_eq!(fault.exit.code(), 75);
    world.rewrite_policy(|text| text.replace("tenant", "tenannt"));
    let fault = run(&["--nats", &nats, "--database", &world.url, "--policy", &policy]).await;
    assert_eq!(fault.exit.code(), 64);
}
