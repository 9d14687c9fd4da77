//! How fast it is, for those who look: `cargo nextest run -p rollcall-writer --run-ignored only --no-capture`.

use std::time::Instant;

use model::{EdgeOp, Lane};

use crate::bench::Bench;

const GROUPS: usize = 200;
const ROUNDS: usize = 10;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
#[expect(clippy::disallowed_methods, reason = "a measurement")]
async fn commands_of_one_edge_per_second() {
    let bench = Bench::start().await.with_relay().await;
    let writer = bench.writer_with(&["--limit", "cloud=1000000/1"]);
    let creates: Vec<_> = (0..GROUPS).map(|n| bench.create(&format!("g{n}"))).collect();
    let began = Instant::now();
    bench.send(&creates).await;
    let groups: Vec<_> = bench.outcomes(&creates).await.into_values().map(|outcome| outcome.group.unwrap()).collect();
    println!("{GROUPS} groups made in {:?}", began.elapsed());
    let mut all = Vec::new();
    for round in 0..ROUNDS {
        let account = bench.account(round);
        let adds: Vec<_> = groups
            .iter()
            .map(|group| {
                bench.edges(Lane::Normal, group, u64::try_from(round).unwrap() + 1, &[(&account, EdgeOp::Add)])
            })
            .collect();
        let began = Instant::now();
        bench.send(&adds).await;
        bench.outcomes(&adds).await;
        all.push(began.elapsed());
        bench.sql.execute("update plan.command set settled_at = 1 where settled_at is null", &[]).await.unwrap();
    }
    all.sort_unstable();
    let middle = all[ROUNDS / 2];
    println!("{GROUPS} commands of one edge: {middle:?} from commit to outcome, {:.0}/s", 200.0 / middle.as_secs_f64());
    writer.stop().await;
}
