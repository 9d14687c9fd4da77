//! API calls of `rollcall apply`, counted by the twin, for every connector: for a first import, and when nothing has
//! changed. Beside them the least that is possible; point reads, sign-ins, looks for what is late and
//! what was sent again are apart.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use scenarios::Outside;
use serde_json::Value;
use twin::engine::{count::Figures, fault::FaultKind};

use crate::{
    connectors::{self, Connector},
    machine::figure,
    report::Report,
};

const GOOGLE: &str = "google.directory";
/// Reads of one thing: what was lost is looked for by itself, and so is what was just made.
const POINT_READS: [&str; 5] = ["users.get", "groups.get", "members.get", "members.hasMember", "groups.count"];
/// Fewer calls than these are counted and not divided.
const FEW: u64 = 10;
/// Runs that a first import may take.
const RUNS_MAX: usize = 3;
/// How late it is seen what was made, in that run, and how often each of its faults comes.
const LATE_MS: i64 = 3_000;
const FAULTS: u64 = 3;
/// What is asked of a Crowd of a hundred thousand memberships.
const CROWD_READS: f64 = 20.0;

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    for connector in connectors::all() {
        measure_one(report, &connector).await?;
    }
    late_and_faulty(report).await
}

/// A first import where what is made is seen later, and some calls fail: what is asked again because of that is counted
/// by itself, and the rest is as little as ever.
async fn late_and_faulty(report: &mut Report) -> Result<()> {
    let organization = connectors::all().into_iter().find(|connector| connector.name == "organization");
    let Some(connector) = organization else { bail!("there is no organization to measure") };
    let Some(start) = connector.start()? else { return Ok(()) };
    let policy = start.policy.replace("lag = \"0s\"", &format!("lag = \"{}s\"", LATE_MS / 1_000));
    ensure!(policy != start.policy, "the policy says of no directory how late it is");
    let outside = Outside::begin(&start.snapshot, &policy, &start.beginning).await?;
    outside.twin.twin.engine.lag.set_visibility("atlassian.org", LATE_MS);
    for (operation, kind) in [
        ("memberships.add", FaultKind::Fail { status: 503, after: false, plain: false }),
        ("memberships.add", FaultKind::Throttle { retry_after: Some("1".to_owned()), shape: None }),
        ("groups.create", FaultKind::Fail { status: 503, after: true, plain: false }),
    ] {
        outside.fault("atlassian.org", operation, kind, |fault| (fault.skip, fault.times) = (20, Some(FAULTS)));
    }
    let filled: Vec<u64> = outside.wanted().values().map(|members| members.len() as u64).collect();
    let wanted: u64 = filled.iter().sum();
    let (people, groups) = listed(&outside, &connector);
    let sizes = connector.sizes(people, groups, filled);
    apply(&outside, &connector).await?;
    let added = outside.effects(0).iter().filter(|(_, key, there)| key.contains("/member/") && *there).count() as u64;
    ensure!(added == wanted, "{added} memberships were made, not {wanted}");
    let what = "late-and-faulty-organization";
    let calls = calls(&outside, connector.families);
    let count = |of: fn(&Figures) -> u64| calls.values().map(of).sum::<u64>();
    ensure!(count(|of| of.again) > 0, "nothing was late");
    ensure!(count(|of| of.statuses.get(&503).copied().unwrap_or(0)) == 2 * FAULTS, "not every fault came");
    against(report, what, &calls, connector.first_import(&sizes));
    Ok(())
}

async fn measure_one(report: &mut Report, connector: &Connector) -> Result<()> {
    let Some(start) = connector.start()? else {
        println!("{}: the shared data is absent: not measured", connector.name);
        return Ok(());
    };
    let outside = Outside::begin(&start.snapshot, &start.policy, &start.beginning).await?;
    std::fs::write(outside.folder.path().join("secrets/scim-key"), "twin-scim-key")?;
    let filled = outside.wanted().values().map(|members| members.len() as u64).collect();
    let (people, groups) = listed(&outside, connector);
    let sizes = connector.sizes(people, groups, filled);
    let google = google(&outside);
    let wanted = sizes.filled.iter().sum::<u64>();
    let mut added = 0;
    // Who gets an account in one run is let into groups by the next one: its reads count too.
    for _ in 0..RUNS_MAX {
        apply(&outside, connector).await?;
        let effects = outside.effects(0);
        added = effects.iter().filter(|(_, key, there)| key.contains("/member/") && *there).count() as u64;
        if added >= wanted {
            break;
        }
    }
    ensure!(added == wanted, "{}: {added} memberships were made, not {wanted}", connector.name);
    compare(report, "first-import", &outside, connector, connector.first_import(&sizes));
    if connector.name == "organization" {
        against(report, "google-first-import", &calls(&outside, &[GOOGLE]), google);
    }
    outside.twin.twin.engine.counters.clear();
    let before = outside.sequence();
    apply(&outside, connector).await?;
    ensure!(outside.sequence() == before, "{}: something was changed where nothing had to be", connector.name);
    compare(report, "nothing-changed", &outside, connector, connector.nothing_changed(&sizes));
    if connector.name == "organization" {
        against(report, "google-nothing-changed", &calls(&outside, &[GOOGLE]), google);
    }
    if connector.name == "crowd-of-100000" {
        let reads: u64 = calls(&outside, connector.families).values().map(|of| of.calls).sum();
        report.at_most("crowd-of-100000-reads", figure(reads), CROWD_READS, "reads of everything");
    }
    Ok(())
}

/// One run of the command, with limits that hold nothing back.
async fn apply(outside: &Outside, connector: &Connector) -> Result<()> {
    let limits =
        [("ROLLCALL_LIMIT", "target=1000000/1"), ("ROLLCALL_READ_LIMIT", "workspace=100000/1,target=100000/1")];
    let said = outside.rollcall_with(&["apply", "--yes", "--quiet"], &limits).await?;
    if said.code != 0 {
        let text = said.err + &said.out;
        bail!("{}: ended with {}:\n{}", connector.name, said.code, text.chars().take(4_000).collect::<String>());
    }
    Ok(())
}

/// How many people and groups the target lists now.
fn listed(outside: &Outside, connector: &Connector) -> (u64, u64) {
    let world = outside.twin.twin.world();
    let family = connector.families.first().copied().unwrap_or_default();
    if let Some(instance) = family.strip_prefix("atlassian.dc.").and_then(|name| world.dc.instance(name)) {
        return (instance.users().len() as u64, instance.groups().len() as u64);
    }
    let accounts = world.atlassian.accounts().len() as u64;
    match connector.name {
        // Whoever is to be provisioned, and the desk itself.
        "scim" => (list(&world.google.dump(), "users").len() as u64, 0),
        "service-desk" => (accounts, 1),
        _ => (accounts, 0),
    }
}

/// The least that Google must be asked: each user and group in a page, and each group that can be read walked.
fn google(outside: &Outside) -> u64 {
    let google = outside.twin.twin.world().google.dump();
    let groups = list(&google, "groups");
    let readable: Vec<&Value> =
        groups.iter().filter(|group| group.get("external").and_then(Value::as_bool) != Some(true)).collect();
    let walks: u64 = readable.iter().map(|group| (list(group, "members").len() as u64).div_ceil(200).max(1)).sum();
    let users = list(&google, "users").len() as u64;
    users.div_ceil(500).max(1) + (readable.len() as u64).div_ceil(200).max(1) + walks
}

fn list(value: &Value, key: &str) -> Vec<Value> {
    value.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Calls of these families since the counters were cleared, by operation.
fn calls(outside: &Outside, families: &[&str]) -> BTreeMap<String, Figures> {
    let (operations, _) = outside.twin.twin.engine.counters.all();
    let of = families.iter().filter_map(|family| operations.get(*family)).flatten();
    of.map(|(operation, figures)| (operation.clone(), figures.clone())).collect()
}

fn compare(report: &mut Report, what: &str, outside: &Outside, connector: &Connector, least: u64) {
    against(report, &format!("{}-{what}", connector.name), &calls(outside, connector.families), least);
}

/// Calls against the least possible. Each call that failed is sent again, or looked for: one of the two is apart.
fn against(report: &mut Report, what: &str, calls: &BTreeMap<String, Figures>, least: u64) {
    let points: u64 = calls.iter().filter(|(name, _)| is_point(name)).map(|(_, of)| of.calls).sum();
    let others = || calls.iter().filter(|(name, _)| !is_point(name)).map(|(_, of)| of);
    let failed = |of: &Figures| -> u64 {
        of.statuses.iter().filter(|(status, _)| is_failed(**status)).map(|(_, count)| count).sum()
    };
    let (repeats, polls): (u64, u64) = (others().map(failed).sum(), others().map(|of| of.again).sum());
    let all: u64 = others().map(|of| of.calls).sum();
    let made = all.saturating_sub(repeats + polls);
    for (operation, of) in calls {
        eprintln!("  {what} {operation}: {}", of.calls);
    }
    report.note(&format!("{what}-calls"), figure(made), &format!("calls, of {least} at least"));
    for (class, count) in [("point-reads", points), ("lag-polls", polls), ("repeats", repeats)] {
        if count > 0 {
            report.note(&format!("{what}-{class}"), figure(count), "calls, apart");
        }
    }
    // One call to try the credentials is no share of two or three: larger worlds of the same connector tell.
    if least >= FEW {
        report.at_most(&format!("{what}-ratio"), figure(made) / figure(least), 1.10, "× the least possible");
    } else {
        report.at_most(&format!("{what}-more"), figure(made.saturating_sub(least)), 1.0, "calls more than the least");
    }
}

/// An answer after which a call is sent again: none at all, a quota's, or the vendor's own trouble.
const fn is_failed(status: u16) -> bool {
    status == 0 || status == 429 || status >= 500
}

fn is_point(operation: &str) -> bool {
    POINT_READS.contains(&operation)
}
