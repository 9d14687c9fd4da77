//! `rollcall apply` is killed in the middle: the next run knows everything that was done.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use harness::{Lines, Process, eventually};
use scenarios::{Company, Outside, WIDE};
use serde_json::{Value, json};
use twin::engine::fault::FaultKind;
use uuid::Uuid;

use crate::WITHIN;

fn company() -> Company {
    let mut company = Company::of(24).group("staff", 0..20).group("readers", 4..12).group("writers", 8..16);
    company = company.with_sections(WIDE);
    "members = \"managed\"\n".clone_into(&mut company.rule);
    company
}

async fn outside() -> Result<Outside> {
    let company = company();
    Outside::start(&company.snapshot(), &company.policy()).await
}

/// Kills an apply once so many effects have been seen, while answers are late.
async fn killed(outside: &Outside, effects: usize) -> Result<()> {
    for operation in ["groups.create", "memberships.*"] {
        outside.fault("atlassian.org", operation, FaultKind::Slow { ms: 150 }, |_| {});
    }
    let mut running = Process::spawn("apply", outside.command(&["apply", "--yes"])?, &Lines::default())?;
    eventually(WITHIN, "some of it to be applied", async || {
        ensure!(running.ended().is_none() || outside.effects(0).len() >= effects, "{}", running.lines().tail(20));
        Ok((outside.effects(0).len() >= effects).then_some(()))
    })
    .await?;
    running.kill();
    outside.no_faults();
    Ok(())
}

/// What was done to what, by which attempt: as the twin's log has it.
fn effects(outside: &Outside) -> Result<BTreeMap<(String, Uuid), usize>> {
    let world = outside.twin.twin.world();
    let mut effects = BTreeMap::new();
    for change in world.log.after(0).filter(|change| change.family.starts_with("atlassian.")) {
        let attempt = outbound::attempt_of(&change.request_id).context("a request that names no attempt")?;
        let verb = match (change.key.contains("/member/"), change.new.is_some()) {
            (true, true) => "member.add",
            (true, false) => "member.remove",
            (false, true) => "group.create",
            (false, false) => "group.delete",
        };
        *effects.entry((verb.to_owned(), attempt)).or_default() += 1;
    }
    Ok(effects)
}

/// I9 for one-shot runs: each effect has one line in the audit, which names its attempt; each line of an effect has one;
/// and each line holds the hash of the one before.
pub(crate) fn audit_and_effects_agree(outside: &Outside) -> Result<()> {
    let text = std::fs::read_to_string(outside.journal().join("audit.ndjson"))?;
    let mut told: BTreeMap<(String, Uuid), usize> = BTreeMap::new();
    let mut before = model::Digest::of(b"");
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line)?;
        ensure!(entry["before"] == before.to_string(), "the chain is broken at {line}");
        before = model::Digest::of(line.as_bytes());
        let Some(cause) = entry["detail"]["cause"].as_str() else { continue };
        let attempts: BTreeSet<Uuid> =
            cause.split(' ').filter_map(|word| Uuid::parse_str(word.strip_prefix("attempt/")?).ok()).collect();
        ensure!(attempts.len() == 1 && cause.starts_with("plan/"), "{line}");
        for attempt in attempts {
            *told.entry((entry["verb"].as_str().unwrap_or_default().to_owned(), attempt)).or_default() += 1;
        }
    }
    ensure!(told == effects(outside)?, "the audit tells of {told:?}, and what happened is {:?}", effects(outside)?);
    Ok(())
}

/// Applies what a crash left, and then what leaves at Google: nothing is held, nothing is forgotten.
async fn goes_on(outside: &Outside) -> Result<()> {
    let again = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    assert_eq!(outside.difference(), Vec::<String>::new());
    audit_and_effects_agree(outside)?;
    // A managed group: only those are taken out whom we put in, so the run before the crash must be remembered.
    let leave = |n: usize| json!({ "op": "member_removed", "group": "grp_staff", "id": Company::id(n) });
    outside.at_google((0..20).map(leave).collect())?;
    let left = outside.rollcall(&["apply", "--yes", "--override", "emptied-group", "--reason", "all gone"]).await?;
    assert_eq!(left.code, 0, "{}{}", left.out, left.err);
    assert_eq!(outside.difference(), Vec::<String>::new());
    audit_and_effects_agree(outside)
}

#[tokio::test(flavor = "multi_thread")]
async fn i09_an_apply_that_is_killed_in_the_middle_is_remembered_and_audited_by_the_next() -> Result<()> {
    // In the middle of making groups; at their end; among memberships, some answered and some not.
    for after in [1, 3, 6, 19] {
        let outside = outside().await?;
        killed(&outside, after).await?;
        goes_on(&outside).await.with_context(|| format!("killed after {after} effects"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_counts_against_the_day() -> Result<()> {
    let budget = "\n[guard]\nemptied_group_from = 100000\nsource_shrink_percent = 100\n\
        per_group = { removals = { count = 100, percent = 100 }, additions = { count = 100, percent = 100 } }\n\
        per_plan = { removals = { count = 100, percent = 100 }, additions = { count = 100, percent = 100 } }\n\
        per_day = { removals = { count = 12 }, deactivations = { count = 12 } }\n\
        per_week = { removals = { count = 100, percent = 100 } }\n";
    let company = Company::of(24).group("staff", 0..20).with_sections(budget);
    let outside = Outside::start(&company.snapshot(), &company.policy()).await?;
    assert_eq!(outside.rollcall(&["apply", "--yes"]).await?.code, 0);
    let before = outside.effects(0).len();
    let leave = |range: std::ops::Range<usize>| {
        range.map(|n| json!({ "op": "member_removed", "group": "grp_staff", "id": Company::id(n) })).collect::<Value>()
    };
    outside.at_google(leave(0..6))?;
    killed(&outside, before + 3).await?;
    // What the killed run took away is gone from the day's twelve. What it may have taken away counts too: nobody saw the
    // answer, so up to five of the six count twice.
    let gone = outside.removals(0);
    let again = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!((again.code, outside.removals(0)), (0, 6), "{gone}: {}{}", again.out, again.err);
    // Seven more are thirteen with it, and ten or fewer without.
    outside.at_google(leave(6..13))?;
    let third = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!((third.code, outside.removals(0)), (3, 6), "{}{}", third.out, third.err);
    audit_and_effects_agree(&outside)
}
