//! API calls of `rollcall apply` on the real organization, counted by the twin: for the first import, and when nothing
//! has changed. Beside them the least that is possible; point reads, sign-ins and what was throttled are apart.

use std::{collections::BTreeMap, process::Command};

use anyhow::{Result, bail};
use harness::find;
use serde_json::Value;

use crate::{company::UNGUARDED, machine::figure, report::Report, stack::Stack};

const GOOGLE: &str = "google.directory";
const ATLASSIAN: &str = "atlassian.org";
/// Reads of one thing: what was lost is looked for by itself, and so is what was just made.
const POINT_READS: [&str; 5] = ["users.get", "groups.get", "members.get", "members.hasMember", "groups.count"];

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let Some((policy, world)) = real()? else { return Ok(()) };
    let mut stack = Stack::start(&format!("{policy}\n[guard]\n{UNGUARDED}"), &world, false).await?;
    apply(&stack)?;
    let made = Shape::of(&stack);
    compare(report, "first-import", &stack, &made.google(), made.first_import());
    stack.converged(std::time::Duration::from_secs(5)).await?;
    stack.twin.twin.engine.counters.clear();
    let before = stack.sequence();
    apply(&stack)?;
    anyhow::ensure!(stack.sequence() == before, "something was changed where nothing had to be");
    compare(report, "nothing-changed", &stack, &made.google(), made.nothing_changed());
    Ok(())
}

/// The real organization and its policy; `None` where the data is absent.
pub(crate) fn real() -> Result<Option<(String, Vec<u8>)>> {
    let Some(shared) = find::shared()? else {
        println!("the shared data is absent: not measured");
        return Ok(None);
    };
    let policy = std::fs::read_to_string(shared.join("data/k8s-policy.toml"))?;
    let world = std::fs::read(shared.join("data/k8s-google-groups/snapshot.json"))?;
    Ok(Some((policy, world)))
}

/// One run of the command, with limits that hold nothing back.
fn apply(stack: &Stack) -> Result<()> {
    let mut command = Command::new(find::ours("rollcall")?);
    command.args(["apply", "--yes", "--quiet"]).arg("--config").arg(stack.policy());
    command.arg("--journal").arg(stack.folder.path().join("journal"));
    command.env("ROLLCALL_LIMIT", "cloud=1000000/1").env("ROLLCALL_READ_LIMIT", "workspace=100000/1,cloud=100000/1");
    let output = tokio::task::block_in_place(|| command.output())?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        bail!("rollcall apply ended with {}:\n{}", output.status, text.chars().take(4_000).collect::<String>());
    }
    Ok(())
}

/// The sizes that the least number of calls follows from.
struct Shape {
    users: u64,
    /// Direct members of each of Google's groups that can be read.
    direct: Vec<u64>,
    groups: u64,
    accounts: u64,
    /// Members of each group that we fill.
    filled: Vec<u64>,
}

impl Shape {
    fn of(stack: &Stack) -> Self {
        let google = stack.twin.twin.world().google.dump();
        let list = |key: &str| google.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let readable = |group: &&Value| group.get("external").and_then(Value::as_bool) != Some(true);
        let members = |group: &Value| group.get("members").and_then(Value::as_array).map_or(0, Vec::len) as u64;
        let groups = list("groups");
        let accounts = stack.twin.twin.world().atlassian.accounts().len() as u64;
        Self {
            users: list("users").len() as u64,
            direct: groups.iter().filter(readable).map(members).collect(),
            groups: groups.iter().filter(readable).count() as u64,
            accounts,
            filled: stack.wanted().values().map(|members| members.len() as u64).collect(),
        }
    }

    fn google(&self) -> BTreeMap<&'static str, u64> {
        let walks = self.direct.iter().map(|members| members.div_ceil(200).max(1)).sum();
        BTreeMap::from([
            ("users.list", self.users.div_ceil(500).max(1)),
            ("groups.list", self.groups.div_ceil(200).max(1)),
            ("members.list", walks),
        ])
    }

    /// Nobody's groups before; each is made, its id looked up with a hundred others, and filled one by one.
    fn first_import(&self) -> u64 {
        let made = self.filled.len() as u64;
        let listings = self.accounts.div_ceil(100) + 1;
        listings + made + made.div_ceil(100) + self.filled.iter().sum::<u64>()
    }

    /// Both lists, and a walk of each managed group.
    fn nothing_changed(&self) -> u64 {
        let walks: u64 = self.filled.iter().map(|members| members.div_ceil(100).max(1)).sum();
        self.accounts.div_ceil(100) + (self.filled.len() as u64).div_ceil(100) + walks
    }
}

/// Calls against the least possible.
fn compare(report: &mut Report, what: &str, stack: &Stack, google: &BTreeMap<&'static str, u64>, atlassian: u64) {
    let least = google.values().sum::<u64>();
    for (side, family, least) in [("google", GOOGLE, least), ("atlassian", ATLASSIAN, atlassian)] {
        let calls = stack.calls(family);
        let points: u64 = calls.iter().filter(|(name, _)| is_point(name)).map(|(_, (calls, _))| calls).sum();
        let throttled: u64 = calls.values().map(|(_, throttled)| throttled).sum();
        let made = calls.values().map(|(calls, _)| calls).sum::<u64>().saturating_sub(points + throttled);
        for (operation, (count, _)) in &calls {
            eprintln!("  {what} {side} {operation}: {count}");
        }
        report.note(&format!("{what}-{side}-calls"), figure(made), "calls");
        report.note(&format!("{what}-{side}-least"), figure(least), "calls at least");
        report.note(&format!("{what}-{side}-point-reads"), figure(points), "calls, apart");
        report.at_most(
            &format!("{what}-{side}-ratio"),
            figure(made) / figure(least.max(1)),
            1.10,
            "× the least possible",
        );
    }
}

fn is_point(operation: &str) -> bool {
    POINT_READS.contains(&operation)
}
