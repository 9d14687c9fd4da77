//! A change committed at the source → the call at Atlassian, at 100 changes a second, on NATS and PostgreSQL as durable
//! as in production, with quotas and lag off; beside it two one-row commits and two hops over the same servers.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream;
use futures_util::StreamExt as _;
use harness::eventually;
use serde_json::Value;

use crate::{
    company::{self, Company, Join, Target},
    feed::Feed,
    machine::{self, as_millis, figure, millis, percentile},
    report::Report,
    stack::Stack,
};

const COMPANY: Company = Company { people: 400, groups: 200 };
const PER_SECOND: u32 = 100;
/// Changes before those that count, so that every part is warm.
const WARM: usize = 200;
/// How many one-row commits and hops are measured before, and again after.
const BARE: usize = 300;
const WITHIN: Duration = Duration::from_mins(3);

pub(crate) async fn measure(report: &mut Report, seconds: u32) -> Result<()> {
    machine::let_the_disk_rest();
    let mut stack = Stack::start(&company::policy(Target::Organization), &COMPANY.world(), false).await?;
    stack.note_servers(report).await?;
    let feed = ready(&mut stack, "cloud=1000000/1").await?;
    let mut bare = Bare::start(&stack).await?;
    let mut beside = bare.run(BARE).await?;
    let count = WARM + (PER_SECOND * seconds) as usize;
    let before = stack.sequence();
    let committed = arrive(&feed, count).await?;
    eventually(WITHIN, "every call", async || Ok((stack.effects(before).len() >= count).then_some(())))
        .await
        .with_context(|| stack.tail())?;
    beside.extend(bare.run(BARE).await?);
    let keys = keys(&stack)?;
    let called: BTreeMap<String, i64> = stack.effects(before).into_iter().collect();
    let mut latencies = Vec::new();
    for (join, at) in committed.iter().skip(WARM) {
        let key = keys.get(&(join.group, join.person)).context("a group or account is not known")?;
        let call = called.get(key).with_context(|| format!("no call for {key}"))?;
        latencies.push(as_millis(Duration::from_micros(u64::try_from(call - at).unwrap_or(0))));
    }
    ensure!(!latencies.is_empty(), "nothing was measured");
    let (p50, p99) = (percentile(&latencies, 50), percentile(&latencies, 99));
    let (bare50, bare99) = (percentile(&beside, 50), percentile(&beside, 99));
    report.note("changes", figure(latencies.len() as u64), "at 100 a second");
    report.note("p50", p50, "ms, committed → call");
    report.note("p99", p99, "ms, committed → call");
    report.note("bare-p50", bare50, "ms, two commits and two hops");
    report.note("bare-p99", bare99, "ms, two commits and two hops");
    report.at_most("p50-ratio", p50 / bare50, 3.0, "× two commits and two hops");
    report.at_most("p99-ratio", p99 / bare50, 10.0, "× two commits and two hops (their p50)");
    Ok(())
}

/// Imports the company with all services, then takes the source over from the watcher.
pub(crate) async fn ready(stack: &mut Stack, limit: &str) -> Result<Feed> {
    stack.serve("reconciler", &["--tick", "1"]).await?;
    stack.serve("writer", &["--limit", limit]).await?;
    stack.serve("watcher", &["--read-limit", "workspace=100000/1,cloud=100000/1"]).await?;
    stack.converged(Duration::from_mins(5)).await?;
    stack.stop("watcher").await?;
    Feed::start(stack).await
}

/// Changes arrive at their times; what waits is committed as one batch, as the watcher does.
async fn arrive(feed: &Feed, count: usize) -> Result<Vec<(Join, i64)>> {
    let started = Instant::now();
    let mut committed = Vec::with_capacity(count);
    while committed.len() < count {
        let due = usize::try_from(started.elapsed().as_millis()).unwrap_or(count) * PER_SECOND as usize / 1_000;
        let due = due.min(count);
        if due > committed.len() {
            let joins: Vec<Join> = (committed.len()..due).map(|n| COMPANY.join(n)).collect();
            let at = feed.commit(&joins).await?;
            committed.extend(joins.into_iter().map(|join| (join, at)));
        }
        let next = Duration::from_millis(1_000 * (committed.len() as u64 + 1) / u64::from(PER_SECOND));
        tokio::time::sleep(next.saturating_sub(started.elapsed())).await;
    }
    Ok(committed)
}

/// The log's key of each possible membership.
fn keys(stack: &Stack) -> Result<BTreeMap<(usize, usize), String>> {
    let world = stack.twin.twin.world().atlassian.dump();
    let groups = world.pointer("/organizations/org-1/groups").and_then(Value::as_object).context("no groups")?;
    let accounts = world.get("accounts").and_then(Value::as_array).context("no accounts")?;
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let by_email: BTreeMap<String, String> =
        accounts.iter().map(|account| (text(account, "email"), text(account, "id"))).collect();
    let mut keys = BTreeMap::new();
    for group in 0..COMPANY.groups {
        let id = groups.get(&company::group(group)).map(|group| text(group, "id")).context("a group is missing")?;
        for person in 0..COMPANY.people {
            let account = by_email.get(&company::email(person)).context("an account is missing")?;
            keys.insert((group, person), format!("atlassian/group/{id}/member/{account}"));
        }
    }
    Ok(keys)
}

/// The least that such a change can cost on these servers: a row, a message, a row, a message.
struct Bare {
    sql: tokio_postgres::Client,
    publisher: jetstream::Context,
    messages: jetstream::consumer::pull::Stream,
}

impl Bare {
    async fn start(stack: &Stack) -> Result<Self> {
        let sql = stack.postgres.connect("bench").await?;
        sql.batch_execute("create table bare (id bigint generated always as identity, body text)").await?;
        let publisher = jetstream::new(stack.nats.connect().await?);
        let config = jetstream::stream::Config {
            name: "BARE".to_owned(),
            subjects: vec!["bare.*".to_owned()],
            ..jetstream::stream::Config::default()
        };
        let stream = publisher.create_stream(config).await?;
        let config = jetstream::consumer::pull::Config {
            durable_name: Some("bare".to_owned()),
            ..jetstream::consumer::pull::Config::default()
        };
        let messages = stream.create_consumer(config).await?.messages().await?;
        Ok(Self { sql, publisher, messages })
    }

    /// Milliseconds of each of so many rounds, at the pace of the changes.
    async fn run(&mut self, rounds: usize) -> Result<Vec<f64>> {
        let mut times = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let started = Instant::now();
            for _ in 0..2 {
                self.sql.execute("insert into bare (body) values ('a row')", &[]).await?;
                let sent = self.publisher.publish("bare.hop", "a message of the usual size".repeat(10).into()).await?;
                let message = self.messages.next().await.context("the bus ended")??;
                message.ack().await.map_err(|error| anyhow::anyhow!("{error}"))?;
                sent.await?;
            }
            times.push(millis(started));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(times)
    }
}
