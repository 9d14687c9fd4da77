//! How much of an API's quota is used while there is work, and how many calls it turns away: with the limit declared,
//! and with the limit left to be found out.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use twin::{engine::Limit, load::Change};

use crate::{
    company::{self, Company, Target},
    machine::figure,
    report::Report,
    stack::Stack,
};

const COMPANY: Company = Company { people: 400, groups: 200 };
/// What the twin lets through, which is not what a limit that is found out begins with: so many calls a second, and
/// five seconds' worth at once after a pause.
const PER_SECOND: u32 = 32;
const BURST: u32 = 160;
/// Until the burst is used up, or the limit is found.
const WARM: Duration = Duration::from_secs(20);

pub(crate) async fn measure(report: &mut Report, seconds: u32) -> Result<()> {
    let during = Duration::from_secs(u64::from(seconds));
    let declared = format!("cloud={BURST}/{}", BURST / PER_SECOND);
    // Reads and writes share the quota, 20 to 80: both have work all the time.
    let policy = company::policy(Target::Organization).replace("lag = ", "sweep_every = \"1s\"\nlag = ");
    let mut stack = Stack::start(&policy, &COMPANY.world(), false).await?;
    stack.serve("reconciler", &["--tick", "1"]).await?;
    stack.serve("writer", &["--limit", "cloud=100000/1"]).await?;
    stack.serve("watcher", &["--read-limit", "workspace=100000/1,cloud=100000/1"]).await?;
    stack.converged(Duration::from_mins(5)).await?;
    let limit = Limit { per_minute: f64::from(PER_SECOND) * 60.0, burst: f64::from(BURST) };
    stack.twin.twin.engine.quota.set("atlassian.org", Some(limit));
    stack.twin.twin.engine.quota.enable(true);
    // Enough for both parts, and more.
    let count = (WARM + during).as_secs() * u64::from(PER_SECOND) * 3;
    let changes = (0..usize::try_from(count)?).map(change).collect::<Result<Vec<Change>, _>>()?;
    stack.twin.twin.change(&changes).map_err(|(applied, error)| anyhow::anyhow!("change {applied}: {error}"))?;
    for (name, usage, refused) in [("declared", 95.0, 0.1), ("learned", 90.0, 1.0)] {
        stack.stop("writer").await?;
        stack.stop("watcher").await?;
        let known = name == "declared";
        let (read, write) = (format!("{declared},workspace=100000/1"), ["--limit", &declared]);
        let read = if known { read } else { "cloud=learned,workspace=100000/1".to_owned() };
        stack.serve("writer", if known { &write } else { &[] }).await?;
        stack.serve("watcher", &["--read-limit", &read]).await?;
        let (used, turned_away) = watch(&stack, during).await?;
        report.at_least(&format!("{name}-usage"), used, usage, "% of the quota");
        report.at_most(&format!("{name}-429"), turned_away, refused, "% of calls");
    }
    report.note("seconds", f64::from(seconds), "of each");
    stack.check()
}

/// The n-th change at Google.
fn change(n: usize) -> Result<Change, serde_json::Error> {
    let join = COMPANY.join(n);
    let (group, person) = (company::group(join.group), company::person(join.person));
    serde_json::from_value(
        json!({ "op": "member_added", "group": group, "id": person, "type": "USER", "role": "MEMBER" }),
    )
}

/// Per cent of the quota that was used, and per cent of calls that were turned away.
async fn watch(stack: &Stack, during: Duration) -> Result<(f64, f64)> {
    tokio::time::sleep(WARM).await;
    stack.twin.twin.engine.counters.clear();
    let started = Instant::now();
    tokio::time::sleep(during).await;
    let elapsed = started.elapsed().as_secs_f64();
    let calls = stack.calls("atlassian.org");
    let all: u64 = calls.values().map(|(calls, _)| calls).sum();
    let refused: u64 = calls.values().map(|(_, throttled)| throttled).sum();
    ensure!(all > 0, "nothing was called");
    let passed = figure(all - refused);
    Ok((100.0 * passed / (f64::from(PER_SECOND) * elapsed), 100.0 * figure(refused) / figure(all)))
}
