//! Changes that arrive one by one, or in groups, as fast as the pipeline takes them: SCIM target, quotas and lag off,
//! NATS and PostgreSQL as durable as in production. So many changes are kept under way; what is counted is what changed
//! at Atlassian.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::{
    company::{self, Company, Join, Target},
    feed::Feed,
    latency::ready,
    machine::{self, figure},
    report::Report,
    stack::Stack,
};

/// How changes arrive.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    /// Changes under way at most.
    under_way: usize,
    /// Changes of one group that arrive together.
    together: usize,
    /// Changes that one commit takes at most, as the watcher does.
    batch: usize,
}

const COMPANY: Company = Company { people: 2_000, groups: 1_000 };
/// Before counting begins, so that every part is warm and the line is full.
const WARM: Duration = Duration::from_secs(5);
/// No effect for so long: the pipeline stands.
const STALLED: Duration = Duration::from_mins(1);

pub(crate) async fn measure(report: &mut Report, seconds: u32) -> Result<()> {
    machine::let_the_disk_rest();
    let mut stack = Stack::start(&company::policy(Target::Provisioning), &COMPANY.world(), false).await?;
    stack.note_servers(report).await?;
    let feed = ready(&mut stack, "cloud=1000000/1").await?;
    let during = Duration::from_secs(u64::from(seconds));
    let mut next = 0;
    let one = Arrival { under_way: 2_000, together: 1, batch: 500 };
    let rate = run(&stack, &feed, one, during, &mut next).await.with_context(|| stack.tail())?;
    report.at_least("one-by-one", rate, 1_000.0, "changes a second");
    // In groups of a hundred: begin with a round that nobody has begun.
    next = next.div_ceil(COMPANY.groups);
    let many = Arrival { under_way: 20_000, together: 100, batch: 2_000 };
    let rate = run(&stack, &feed, many, during, &mut next).await.with_context(|| stack.tail())?;
    report.at_least("in-groups", rate, 5_000.0, "changes a second");
    report.note("seconds", f64::from(seconds), "of each");
    stack.check()
}

/// Feeds for so long and counts what changed at the target in a second. `next` is the number of the next change, or
/// where they come in groups the round before which all is done.
async fn run(stack: &Stack, feed: &Feed, arrival: Arrival, during: Duration, next: &mut usize) -> Result<f64> {
    let base = stack.sequence();
    let (started, mut moved) = (Instant::now(), Instant::now());
    let (mut fed, mut done, mut counted_from) = (0_usize, 0_usize, None);
    let first_round = *next;
    while started.elapsed() < WARM + during {
        let now = usize::try_from(stack.sequence() - base)?;
        if now > done {
            (done, moved) = (now, Instant::now());
        }
        ensure!(moved.elapsed() < STALLED, "nothing changed for {STALLED:?}: {done} of {fed} are done");
        if counted_from.is_none() && started.elapsed() >= WARM {
            counted_from = Some((done, Instant::now()));
        }
        let room = arrival.under_way.saturating_sub(fed.saturating_sub(done)).min(arrival.batch);
        if room < arrival.together {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        let joins: Vec<Join> = if arrival.together == 1 {
            let from = *next;
            *next += room;
            (from..from + room).map(|n| COMPANY.join(n)).collect()
        } else {
            let bundles = room / arrival.together;
            let from = fed / arrival.together;
            (from..from + bundles).flat_map(|n| bundle(n, first_round, arrival.together)).collect()
        };
        fed += joins.len();
        feed.commit(&joins).await?;
    }
    let (count, since) = counted_from.context("it was too short to count")?;
    let done = usize::try_from(stack.sequence() - base)? - count;
    Ok(figure(done as u64) / since.elapsed().as_secs_f64())
}

/// The n-th bundle of changes of one group.
fn bundle(n: usize, first_round: usize, together: usize) -> Vec<Join> {
    let (turn, group) = (n / COMPANY.groups, n % COMPANY.groups);
    let rounds = (0..together).map(|member| first_round + turn * together + member);
    rounds.map(|round| COMPANY.join(round * COMPANY.groups + group)).collect()
}
