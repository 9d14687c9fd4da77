//! The whole history of the real organization, commit by commit, against running services on the history's own clock:
//! once with budgets of 100 %, once with the default guards and a scripted approver.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use harness::find;
use model::{Case, Digest, EdgeOp, Span, Step, TenantId, Time};
use serde_json::Value;
use store::{Role, Store, console::Decider, plan::CaseState};
use twin::load::Change;

use crate::{
    company::UNGUARDED,
    machine::figure,
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
/// How many cases the default guards hold over the whole history. The planner alone, which looks after every commit,
/// holds 141. The pipeline looks after every second one, where some come together and others are larger; it held 162, and
/// it depends a little on where in the history its looks fall.
const HELD: std::ops::RangeInclusive<u64> = 130..=195;
const A_SECOND: i64 = 1_000_000;
/// More than the time between two sweeps.
const AN_HOUR: i64 = 3_601 * A_SECOND;
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
    let policy = policy.replace("endpoint =", "sweep_every = \"1h\"\nendpoint =");
    let mut history = history(&shared.join("data/k8s-google-groups/history.jsonl"))?;
    history.truncate(lines.unwrap_or(usize::MAX));
    let whole = lines.is_none();
    for (name, policy) in [("open", format!("{policy}\n[guard]\n{UNGUARDED}")), ("guarded", policy)] {
        let ran = run(&policy, &history).await.with_context(|| format!("the {name} run"))?;
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
        match (name, whole) {
            ("open", _) => report.at_most(&held, figure(ran.held), 0.0, "cases held"),
            (_, true) => {
                report.at_least(
                    &held,
                    figure(ran.held),
                    figure(*HELD.start()),
                    "cases held, none applied before its approval",
                );
                ensure!(ran.held <= *HELD.end(), "{} cases were held, more than the guards ask for", ran.held);
            }
            (_, false) => report.note(&held, figure(ran.held), "cases held, none applied before its approval"),
        }
        report.note(&format!("{name}-seconds"), ran.took.as_secs_f64(), "s");
    }
    Ok(())
}

fn history(path: &Path) -> Result<Vec<Line>> {
    let text = std::fs::read_to_string(path)?;
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
    held: u64,
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

async fn run(policy: &str, history: &[Line]) -> Result<Ran> {
    let started = Instant::now();
    let mut stack = Stack::start(policy, EMPTY, false).await?;
    let mut hands = Hands { file: stack.folder.path().join("clock"), now: 0 };
    hands.set(&stack, history.first().context("there is no history")?.at - AN_HOUR)?;
    let clock = hands.file.display().to_string();
    stack.serve("reconciler", &["--clock-file", &clock, "--tick", "1"]).await?;
    stack.serve("writer", &["--clock-file", &clock, "--limit", "cloud=1000000/1"]).await?;
    let limits = "workspace=100000/1,cloud=100000/1";
    stack.serve("watcher", &["--clock-file", &clock, "--read-limit", limits]).await?;
    let mut approver = Approver { store: stack.store(Role::Console).await?, held: BTreeSet::new() };
    let (mut needed, mut before) = (0, Members::new());
    for (number, commits) in history.chunks(COMMITS_A_LOOK).enumerate() {
        let at = commits.last().map_or(0, |line| line.at);
        for line in commits {
            let refused = |(applied, error)| anyhow::anyhow!("change {applied} of a commit: {error}");
            stack.twin.twin.change(&line.changes).map_err(refused)?;
        }
        hands.set(&stack, at.max(hands.now + AN_HOUR))?;
        let wanted = stack.wanted();
        needed += difference(&before, &wanted);
        before = wanted;
        settle(&mut stack, &mut hands, &mut approver).await.with_context(|| format!("at look {number}"))?;
    }
    let calls = stack.calls("atlassian.org");
    let of = |name: &str| calls.get(name).map_or(0, |(calls, throttled)| calls - throttled);
    let writes = of("memberships.add") + of("memberships.remove") + of("groups.create");
    let looks = stack.calls("google.directory").get("groups.list").map_or(0, |(calls, _)| *calls);
    Ok(Ran { looks, needed, writes, held: approver.held.len() as u64, took: started.elapsed() })
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
    held: BTreeSet<Digest>,
}

impl Approver {
    async fn approve(&mut self, stack: &Stack, at: Time) -> Result<()> {
        let tenant = TenantId::new("k8s")?;
        for row in self.store.cases(&tenant, &[CaseState::Held]).await? {
            let decider = Decider { actor: "approver".to_owned(), reason: "the history says so".to_owned(), at };
            if self.held.insert(row.case.digest) {
                untouched(stack, &row.case)?;
                let expires = Span::from_secs(3_600);
                self.store.decide_case(&tenant, row.case.digest, true, "history", &decider, expires).await?;
            }
        }
        Ok(())
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
