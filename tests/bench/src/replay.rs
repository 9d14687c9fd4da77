//! The whole history of the real organization, commit by commit, against running services on the history's own clock:
//! once with budgets of 100 %, once with the default guards and a scripted approver.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use harness::{eventually, find};
use model::{Case, Digest, EdgeOp, Span, Step, TenantId, Time};
use serde_json::Value;
use store::{Role, Store, console::Decider, plan::CaseState};
use twin::load::Change;

use crate::{
    company::UNGUARDED,
    machine::figure,
    oracle::Oracle,
    report::Report,
    stack::{Members, Stack},
};

/// Commits of the history between two looks of the pipeline.
const COMMITS_A_LOOK: usize = 2;
/// Longest real time between a look and both sides being equal.
const WITHIN: Duration = Duration::from_mins(2);
/// A look that was under way when the history went on saw less than all of it. When nothing came of a look for so long,
/// the time of the next one is let come.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the clock moves while we wait, and how far: an open question may need time to pass.
const TICK: Duration = Duration::from_millis(100);
const A_SECOND: i64 = 1_000_000;
/// More than the time between two sweeps of the source, and of the target.
const AN_HOUR: i64 = 3_601 * A_SECOND;
const HALF_AN_HOUR: i64 = 1_801 * A_SECOND;
/// The watcher's loops that sweep.
const SWEEPS: [&str; 2] = ["sweep k8s/cloud", "sweep k8s/workspace"];
/// The history by its digest, and how many cases the default guards hold when all of it is replayed with so many commits
/// between two looks. The clock is the history's own and every look is whole, so it is the same in every run; of other
/// data it is not known.
const KNOWN: (&str, u64) = ("ca7907ba08c9363d818f9a1c1e2ff24e7f7726efc8032762cb9736a9028cc527", 164);
const EMPTY: &[u8] = br#"{"format": "orgdir-snapshot/1", "users": [], "groups": []}"#;

/// One commit of the history.
struct Line {
    at: i64,
    changes: Vec<Change>,
}

pub(crate) async fn measure(report: &mut Report, lines: Option<usize>) -> Result<()> {
    let Some(shared) = find::shared()? else {
        println!("the shared data is absent: not measured");
        return Ok(());
    };
    let policy = std::fs::read_to_string(shared.join("data/k8s-policy.toml"))?;
    let policy = policy
        .replace("customer =", "sweep_every = \"1h\"\ncustomer =")
        .replace("owner =", "sweep_every = \"30m\"\nowner =");
    let text = std::fs::read_to_string(shared.join("data/k8s-google-groups/history.jsonl"))?;
    let known = Digest::of(text.as_bytes()).to_string() == KNOWN.0;
    let mut history = history(&text)?;
    history.truncate(lines.unwrap_or(usize::MAX));
    let whole = lines.is_none();
    for (name, policy) in [("open", format!("{policy}\n[guard]\n{UNGUARDED}")), ("guarded", policy)] {
        let ran =
            Box::pin(run(&policy, &history, name == "guarded")).await.with_context(|| format!("the {name} run"))?;
        report.note(&format!("{name}-commits"), figure(history.len() as u64), "of the history");
        if whole {
            report.at_least(&format!("{name}-looks"), figure(ran.looks), 300.0, "looks of the pipeline");
        } else {
            report.note(&format!("{name}-looks"), figure(ran.looks), "looks of the pipeline");
        }
        report.note(&format!("{name}-needed"), figure(ran.needed), "writes at least");
        report.note(&format!("{name}-writes"), figure(ran.writes), "writes");
        report.at_most(&format!("{name}-ratio"), figure(ran.writes) / figure(ran.needed), 1.10, "× what was needed");
        let held = format!("{name}-held");
        if name == "open" {
            report.at_most(&held, figure(ran.held), 0.0, "cases held");
        } else {
            let words = "cases held, as many as the planner alone at the same looks; none applied before its approval";
            report.exactly(&held, ran.held, ran.must, words);
            let words =
                "cases that the planner alone, at the same looks, holds and the pipeline does not, or the reverse";
            report.at_most(&format!("{name}-held-otherwise"), figure(ran.otherwise), 0.0, words);
            if whole && known {
                report.exactly(&format!("{name}-held-known"), ran.held, KNOWN.1, "cases held in this very history");
            } else {
                println!("how many cases must be held is known of the whole history that we know, and this is not it");
            }
        }
        report.note(&format!("{name}-seconds"), ran.took.as_secs_f64(), "s");
    }
    Ok(())
}

fn history(text: &str) -> Result<Vec<Line>> {
    let line = |line: &str| -> Result<Line> {
        let mut value: Value = serde_json::from_str(line)?;
        let at = value.get("t").and_then(Value::as_i64).context("a line has no time")?;
        let changes = value.get_mut("changes").map(Value::take).context("a line has no changes")?;
        Ok(Line { at: at * A_SECOND, changes: serde_json::from_value(changes)? })
    };
    text.lines().map(line).collect()
}

/// How a run went.
struct Ran {
    looks: u64,
    needed: u64,
    writes: u64,
    /// Cases that waited for the approver.
    held: u64,
    /// Cases that the planner alone holds.
    must: u64,
    /// Cases that were held and should not have been, or the reverse.
    otherwise: u64,
    took: Duration,
}

/// The history's clock, as services and twin see it.
struct Hands {
    file: PathBuf,
    now: i64,
}

impl Hands {
    fn set(&mut self, stack: &Stack, micros: i64) -> Result<()> {
        self.now = micros;
        stack.twin.twin.engine.clock.set(micros / 1_000);
        Ok(runtime::clock::set_shared(&self.file, micros)?)
    }
}

async fn run(policy: &str, history: &[Line], guarded: bool) -> Result<Ran> {
    let started = Instant::now();
    let mut stack = Stack::start(policy, EMPTY, false).await?;
    let mut hands = Hands { file: stack.folder.path().join("clock"), now: 0 };
    hands.set(&stack, history.first().context("there is no history")?.at - AN_HOUR)?;
    let clock = hands.file.display().to_string();
    stack.serve("reconciler", &["--clock-file", &clock, "--tick", "1"]).await?;
    stack.serve("writer", &["--clock-file", &clock, "--limit", "cloud=1000000/1"]).await?;
    let limits = "workspace=100000/1,cloud=100000/1";
    stack.serve("watcher", &["--clock-file", &clock, "--read-limit", limits]).await?;
    let mut approver = Approver { store: stack.store(Role::Console).await?, approved: BTreeSet::new() };
    let mut oracle = None;
    if guarded {
        oracle = Some(Oracle::new(&std::fs::read_to_string(stack.policy())?, stack.folder.path())?);
    }
    let mut ran = Ran { looks: 0, needed: 0, writes: 0, held: 0, must: 0, otherwise: 0, took: Duration::ZERO };
    let (mut before, mut looks_of_oracle) = (Members::new(), 0);
    quiet(&stack, hands.now, hands.now).await?;
    for (number, commits) in history.chunks(COMMITS_A_LOOK).enumerate() {
        let at = commits.last().map_or(0, |line| line.at).max(hands.now + AN_HOUR);
        for line in commits {
            let refused = |(applied, error)| anyhow::anyhow!("change {applied} of a commit: {error}");
            stack.twin.twin.change(&line.changes).map_err(refused)?;
        }
        if let Some(oracle) = &mut oracle {
            oracle.look(Time(at)).await?;
            looks_of_oracle += 1;
        }
        // Whoever is new has an account. It is known before it is decided about anybody: both sides are read at the hour,
        // and which of them comes first would be chance.
        let half_past = hands.now + HALF_AN_HOUR;
        hands.set(&stack, half_past)?;
        swept(&stack, &SWEEPS[..1], half_past, half_past).await?;
        hands.set(&stack, at)?;
        let wanted = stack.wanted();
        ran.needed += difference(&before, &wanted);
        before = wanted;
        approver.approved.clear();
        settle(&mut stack, &mut hands, &mut approver).await.with_context(|| format!("at look {number}"))?;
        quiet(&stack, half_past, hands.now).await.with_context(|| format!("after look {number}"))?;
        let held = approver.held_since(Time(half_past)).await?;
        ran.held += held.len() as u64;
        if let Some(oracle) = &mut oracle {
            let must = oracle.settle(Time(at), &stack.group_ids()).await?;
            ran.must += must.len() as u64;
            ran.otherwise += told(number, &held, &must);
        }
    }
    let calls = stack.calls("atlassian.org");
    let of = |name: &str| calls.get(name).map_or(0, |(calls, throttled)| calls - throttled);
    ran.writes = of("memberships.add") + of("memberships.remove") + of("groups.create");
    ran.looks = stack.calls("google.directory").get("groups.list").map_or(0, |(calls, _)| *calls) - looks_of_oracle;
    ran.took = started.elapsed();
    Ok(ran)
}

/// Says where the pipeline held otherwise than the planner alone, and gives how many cases that is.
fn told(look: usize, held: &BTreeMap<Digest, String>, must: &BTreeMap<Digest, String>) -> u64 {
    let only = |these: &BTreeMap<Digest, String>, others: &BTreeMap<Digest, String>, who: &str| {
        let alone: Vec<&String> =
            these.iter().filter(|(digest, _)| !others.contains_key(*digest)).map(|(_, kind)| kind).collect();
        for kind in &alone {
            println!("at look {look} only {who} holds {kind}");
        }
        alone.len() as u64
    };
    only(held, must, "the pipeline") + only(must, held, "the planner")
}

/// Waits until these directories were swept at this time or later, are no longer, and will not be before the clock moves.
async fn swept(stack: &Stack, sweeps: &[&str], since: i64, now: i64) -> Result<()> {
    eventually(WITHIN, "both sides to be read", async || {
        let loops = stack.loops("watcher").await?;
        let all = loops.pointer("/loops").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_over = |name: &&str| {
            all.iter().any(|of| {
                of.get("name").and_then(Value::as_str) == Some(name)
                    && of.pointer("/state/is").and_then(Value::as_str) == Some("idle")
                    && of.pointer("/last/started_micros").and_then(Value::as_i64) >= Some(since)
                    && of.get("next_due_micros").and_then(Value::as_i64) > Some(now)
            })
        };
        if sweeps.iter().all(is_over) { Ok(Some(())) } else { bail!("since {since}, at {now}: {loops}") }
    })
    .await
}

/// Waits until nothing is under way: both sides were read since, all of it was decided upon, every question has its
/// answer and every command its outcome. What comes then is seen whole, by one look.
async fn quiet(stack: &Stack, since: i64, now: i64) -> Result<()> {
    const LEFT: &str = "select (select count(*) from directory.directory d left join plan.progress p \
        on p.tenant = d.tenant and p.directory = d.directory where d.version > coalesce(p.version, 0)) \
        + (select count(*) from plan.need) + (select count(*) from plan.command where settled_at is null) \
        + (select count(*) from plan.case_held where state in ('held', 'approved'))";
    swept(stack, &SWEEPS, since, now).await?;
    let client = stack.postgres.connect("bench").await?;
    eventually(WITHIN, "nothing to be under way", async || {
        let left: i64 = client.query_one(LEFT, &[]).await?.try_get(0)?;
        Ok((left == 0).then_some(()))
    })
    .await
}

/// Waits until both sides are equal; time passes and held cases are approved meanwhile.
async fn settle(stack: &mut Stack, hands: &mut Hands, approver: &mut Approver) -> Result<()> {
    let (started, mut looked) = (Instant::now(), Instant::now());
    loop {
        let (wanted, observed) = (stack.wanted(), stack.observed());
        let other = wanted.iter().find(|(name, members)| observed.get(*name) != Some(members));
        let Some((name, members)) = other else { return Ok(()) };
        if started.elapsed() > WITHIN {
            let found = observed.get(name);
            bail!("{name} should have {members:?} and has {found:?}\n{}", stack.tail());
        }
        stack.check()?;
        approver.approve(stack, Time(hands.now)).await?;
        tokio::time::sleep(TICK).await;
        let mut passes = A_SECOND;
        if looked.elapsed() > PATIENCE {
            (looked, passes) = (Instant::now(), AN_HOUR);
        }
        hands.set(stack, hands.now + passes)?;
    }
}

/// Approves whatever is held.
struct Approver {
    store: Store,
    /// At this look.
    approved: BTreeSet<Digest>,
}

impl Approver {
    async fn approve(&mut self, stack: &Stack, at: Time) -> Result<()> {
        let tenant = TenantId::new("k8s")?;
        for row in self.store.cases(&tenant, &[CaseState::Held]).await? {
            let decider = Decider { actor: "approver".to_owned(), reason: "the history says so".to_owned(), at };
            if self.approved.insert(row.case.digest) {
                untouched(stack, &row.case)?;
                let expires = Span::from_secs(3_600);
                self.store.decide_case(&tenant, row.case.digest, true, "history", &decider, expires).await?;
            }
        }
        Ok(())
    }

    /// The cases that were held at some time or later, whatever became of them: digest and kind.
    async fn held_since(&self, at: Time) -> Result<BTreeMap<Digest, String>> {
        let any = [CaseState::Held, CaseState::Approved, CaseState::Rejected, CaseState::Released, CaseState::Void];
        let rows = self.store.cases(&TenantId::new("k8s")?, &any).await?.into_iter();
        Ok(rows.filter(|row| row.held_at >= at).map(|row| (row.case.digest, format!("{:?}", row.case.kind))).collect())
    }
}

/// An error if anything that a held case wants was done before anybody approved it.
fn untouched(stack: &Stack, case: &Case) -> Result<()> {
    let present = stack.observed_ids();
    for step in &case.steps {
        let Step::Edge { edge, .. } = step else { continue };
        let (Some(group), Some(account)) = (&edge.group, &edge.account) else { continue };
        let member = present.contains(&(group.to_string(), account.to_string()));
        ensure!(member == (edge.op == EdgeOp::Remove), "{edge:?} of a held case was done before its approval");
    }
    Ok(())
}

/// How many writes bring one state to the other: memberships, and groups that are new.
fn difference(before: &Members, after: &Members) -> u64 {
    let none = BTreeSet::new();
    let of = |(name, members): (&String, &BTreeSet<String>)| {
        let old = before.get(name);
        members.symmetric_difference(old.unwrap_or(&none)).count() as u64 + u64::from(old.is_none())
    };
    after.iter().map(of).sum()
}
