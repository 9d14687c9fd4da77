use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use harness::eventually;

use crate::world::{WITHIN, World};

const HOUR: i64 = 3600 * 1_000_000;

/// What this process logs.
#[derive(Debug, Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Told {
    fn listen() -> Self {
        let told = Self::default();
        let writer = told.clone();
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
        told
    }

    /// How often it was said of a directory that its reads are too old.
    fn stale(&self, directory: &str) -> usize {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let site = format!("rollcall.site=\"{directory}\"");
        text.lines().filter(|line| line.contains("rollcall.directory.stale") && line.contains(&site)).count()
    }

    async fn becomes(&self, source: usize, target: usize) {
        eventually(WITHIN, "somebody is told", async || {
            let told = (self.stale("workspace"), self.stale("cloud"));
            if told == (source, target) { Ok(Some(())) } else { Err(anyhow::anyhow!("{told:?}")) }
        })
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i13_when_a_watcher_is_dead_somebody_is_told_and_nobody_is_removed_until_it_reads_again() {
    let told = Told::listen();
    let mut world = World::start("").await;
    let file = world.policy.with_file_name("clock");
    let clock = file.display().to_string();
    let began = runtime::clock::now_micros();
    let at = |hours: i64| runtime::clock::set_shared(&file, began + hours * HOUR).unwrap();
    at(0);
    world.hire(&["ann", "bob"]);
    world.at_source("eng", &["ann", "bob"]);
    world.sweep_source().await;
    world.sweep_target().await;
    let running = world.reconcile_with("0.1", &["--clock-file", &clock]);
    world.converge().await;
    world.sweep_target().await;
    world.taken_in().await;
    assert_eq!((told.stale("workspace"), told.stale("cloud")), (0, 0));
    // Both watchers die. Two intervals of six hours later it is said of each directory, once.
    at(13);
    told.becomes(1, 1).await;
    let age = |side: &str| {
        let line = format!("rollcall_snapshot_age_seconds{{org=\"acme\",side=\"{side}\"}} ");
        let text = runtime::metrics::process().exposition();
        text.lines().find_map(|found| found.strip_prefix(&line)?.parse::<f64>().ok()).unwrap()
    };
    assert!(age("source") > 12.0 * 3600.0 && age("target") > 12.0 * 3600.0);
    // Nobody is removed by a group that was read alone: the lists are too old.
    world.pass(13 * HOUR);
    world.at_source("eng", &["ann"]);
    world.read_group("eng").await;
    for _ in 0..3 {
        world.answer().await;
        world.taken_in().await;
        assert!(world.waiting().await.is_empty());
    }
    // The source's watcher is back: what waited goes, and its next silence is another one.
    world.sweep_source().await;
    world.converge().await;
    assert_eq!((told.stale("workspace"), told.stale("cloud")), (1, 1));
    at(26);
    told.becomes(2, 1).await;
    running.stop().await;
}
