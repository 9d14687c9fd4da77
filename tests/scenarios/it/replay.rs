//! A slice of the real organization's history, while the services run; where the data are absent, the whole of a small
//! made-up one. Once with budgets of 100 %, while the history goes on; once with the default guards and an approver, the
//! pipeline looking at every few commits.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use harness::{eventually, find};
use model::{Case, EdgeOp, Step};
use scenarios::{Company, Members, Options, WIDE, World, real, real_of};
use serde_json::{Value, json};

use crate::WITHIN;

/// So many lines of the real history.
const LINES: usize = 60;
/// What stands in for it: kept in the repository, in the same format.
const MADE_UP: &str = include_str!("../made-up/history.jsonl");
/// Commits between two looks, where the pipeline looks at all of them before the next ones.
const COMMITS_A_LOOK: usize = 6;
/// The calls that change something.
const WRITES: [&str; 3] = ["memberships.add", "memberships.remove", "groups.create"];

/// The made-up groups are so small that the default guards hold nothing of them.
const NARROW: &str = "\n[guard]\nper_group = { removals = { count = 1, percent = 1 } }\n";

/// Which history.
struct Told {
    policy: String,
    /// Further text of the policy where guards are to hold something.
    guard: &'static str,
    lines: Vec<Value>,
    /// More changes than these.
    least: usize,
    /// How many changes it has, if it is the one that we know, and how many cases are held in it.
    known: (usize, i64),
}

impl Told {
    fn of(real: Option<(Value, String, Vec<Value>)>) -> Result<Self> {
        let Some((_, policy, mut lines)) = real else {
            let lines = MADE_UP.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
            return Ok(Self { policy: Company::of(0).policy(), guard: NARROW, lines, least: 80, known: (97, 1) });
        };
        lines.truncate(LINES);
        Ok(Self { policy, guard: "", lines, least: 500, known: (798, 5) })
    }

    /// The changes of each commit.
    fn commits(&self) -> Result<Vec<Vec<Value>>> {
        let of = |line: &Value| line["changes"].as_array().cloned().context("a line has no changes");
        let commits = self.lines.iter().map(of).collect::<Result<Vec<_>>>()?;
        let changes: usize = commits.iter().map(Vec::len).sum();
        ensure!(changes > self.least, "{changes} changes");
        Ok(commits)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_of_the_real_history_ends_equal() -> Result<()> {
    replayed(&Told::of(real()?)?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_made_up_history_stands_in_for_absent_data_and_ends_equal() -> Result<()> {
    replayed(&made_up()?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_of_the_real_history_is_held_where_the_default_guards_say_and_waits_for_its_approval() -> Result<()> {
    guarded(&Told::of(real()?)?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_made_up_history_is_held_where_narrow_guards_say_and_waits_for_its_approval() -> Result<()> {
    guarded(&made_up()?).await
}

/// What stands in where there are no data.
fn made_up() -> Result<Told> {
    let folder = tempfile::tempdir()?;
    Told::of(real_of(find::shared_at(&folder.path().join("shared"), false)?)?)
}

fn nobody() -> Value {
    json!({ "format": "orgdir-snapshot/1", "users": [], "groups": [] })
}

async fn replayed(told: &Told) -> Result<()> {
    let world = World::start(&nobody(), &(told.policy.clone() + WIDE), &Options::default()).await?;
    let mut before = world.wanted();
    let mut needed = 0;
    for changes in told.commits()? {
        world.at_google(json!(changes))?;
        needed += difference(&before, &world.wanted());
        before = world.wanted();
        world.sync(None).await?;
    }
    // The last request may have met a sweep that had begun before the last change.
    world.sweep().await?;
    world.until_equal(WITHIN).await?;
    world.until_in_sync(WITHIN).await?;
    let held: Vec<Value> = world.held().await?;
    assert!(held.is_empty(), "{held:?}");
    within_a_tenth(writes(&world), needed)
}

async fn guarded(told: &Told) -> Result<()> {
    let (snapshot, commits) = everybody_first(told.commits()?);
    let world = World::start(&snapshot, &(told.policy.clone() + told.guard), &Options::default()).await?;
    let (mut before, mut needed) = (world.wanted(), 0);
    for (look, commits) in commits.chunks(COMMITS_A_LOOK).enumerate() {
        world.at_google(json!(commits.concat()))?;
        needed += difference(&before, &world.wanted());
        before = world.wanted();
        world.sweep().await?;
        settle(&world).await.with_context(|| format!("look {look}"))?;
    }
    world.until_in_sync(WITHIN).await?;
    within_a_tenth(writes(&world), needed)?;
    let held = world.one("select count(*)::bigint from plan.case_held").await?;
    let approved = world.one("select count(*)::bigint from common.audit where verb = 'case.approved'").await?;
    let changes: usize = told.commits()?.iter().map(Vec::len).sum();
    let (known, must) = told.known;
    println!("{changes} changes: {needed} writes needed, {held} cases held, {approved} approved");
    if changes == known {
        assert_eq!((held, approved), (must, must), "cases held and approved");
    } else {
        println!("this is another history than the one that we know: how many cases must be held is not");
        assert!(held > 0 && approved > 0);
    }
    Ok(())
}

/// Everybody is there from the beginning, at both sides: whose account is seen first is chance, and would be what is held.
fn everybody_first(mut commits: Vec<Vec<Value>>) -> (Value, Vec<Vec<Value>>) {
    let mut people: Vec<Value> = Vec::new();
    for commit in &mut commits {
        commit.retain(|change| {
            let is_new = change["op"] == "user_created" && people.iter().all(|person| person["id"] != change["id"]);
            if is_new {
                people.push(change.clone());
            }
            !is_new
        });
    }
    let mut snapshot = nobody();
    snapshot["users"] = json!(people);
    (snapshot, commits)
}

/// Approves what is held, until nothing is and both sides are equal.
async fn settle(world: &World) -> Result<()> {
    const LEFT: &str = "select (select count(*) from plan.command where settled_at is null) \
        + (select count(*) from plan.case_held where state = 'approved')";
    let mut approved = BTreeSet::new();
    eventually(WITHIN, "everything to be approved and done", async || {
        world.until_decided().await?;
        if world.one(LEFT).await? > 0 {
            return Ok(None);
        }
        let held = held(world).await?;
        for case in held.iter().filter(|case| !approved.contains(&case.digest)) {
            untouched(world, case)?;
        }
        let digests: Vec<String> = held.iter().map(|case| case.digest.to_string()).collect();
        approved.extend(held.iter().map(|case| case.digest));
        if digests.is_empty() {
            return Ok(world.difference().is_empty().then_some(()));
        }
        let verdict = json!({ "digests": digests, "verdict": "approve", "reason": "the history says so" });
        world.post("cases/verdict", &verdict).await?;
        Ok(None)
    })
    .await
}

/// The cases that wait for a person.
async fn held(world: &World) -> Result<Vec<Case>> {
    let rows = world.sql().await?.query("select body from plan.case_held where state = 'held'", &[]).await?;
    rows.iter().map(|row| Ok(serde_json::from_slice(row.try_get(0)?)?)).collect()
}

/// An error if anything that a held case wants was done before anybody approved it.
fn untouched(world: &World, case: &Case) -> Result<()> {
    let dump = world.twin.twin.world().atlassian.dump();
    let accounts = dump["accounts"].as_array().context("no accounts")?;
    let email_of = |id: &str| accounts.iter().find(|account| account["id"] == *id).and_then(|it| it["email"].as_str());
    let found = world.all_found();
    for step in &case.steps {
        match step {
            Step::CreateGroup { name, .. } => {
                ensure!(
                    !found.contains_key(&name.to_lowercase()),
                    "{name} of a held case was made before its approval"
                );
            }
            Step::Edge { edge, .. } => {
                let account = edge.account.as_ref().context("everybody has an account")?;
                let email = email_of(account.as_str()).context("an account is not known")?.to_lowercase();
                let members = found.get(&edge.group_name.to_lowercase());
                let member = members.is_some_and(|members| members.contains(&email));
                ensure!(member == (edge.op == EdgeOp::Remove), "{edge:?} of a held case was done before its approval");
            }
            _ => {}
        }
    }
    Ok(())
}

/// Calls that changed something, without those that were turned away.
fn writes(world: &World) -> usize {
    let (operations, _) = world.twin.twin.engine.counters.all();
    let of = |name: &str| operations.get("atlassian.org").and_then(|all| all.get(name)).map_or(0, |it| it.calls);
    WRITES.into_iter().map(|name| usize::try_from(of(name)).unwrap_or(usize::MAX)).sum()
}

/// How many writes bring one state to the other: memberships, and groups that are new.
fn difference(before: &Members, after: &Members) -> usize {
    let none = BTreeSet::new();
    let of = |(name, members): (&String, &BTreeSet<String>)| {
        let old = before.get(name);
        members.symmetric_difference(old.unwrap_or(&none)).count() + usize::from(old.is_none())
    };
    after.iter().map(of).sum()
}

fn within_a_tenth(writes: usize, needed: usize) -> Result<()> {
    ensure!(needed > 0 && writes * 100 <= needed * 110, "{writes} writes where {needed} were needed");
    Ok(())
}
