//! What was kept once is kept for ever: the bytes that every later release must read.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::tree::{assert_none, root};

const KEPT: &str = "tests/contracts/golden";

/// Commits that rewrote kept files before there was this rule, by their first line. What they rewrote stands again, in
/// files of its own: `plan_first`.
const BEFORE: [&str; 1] = ["An approval binds to the target too"];

fn git(arguments: &[&str]) -> Result<String> {
    let answer = Command::new("git").args(arguments).arg("--").arg(KEPT).current_dir(root()).output();
    let answer = answer.context("git cannot be run")?;
    ensure!(answer.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&answer.stderr));
    Ok(String::from_utf8(answer.stdout)?)
}

/// Files that a history changed, moved or deleted; a commit begins with a line `# ` and its own first line.
fn rewritten(history: &str) -> Vec<String> {
    let (mut commit, mut found) = ("", Vec::new());
    for line in history.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("# ") {
            Some(words) => commit = words,
            None if BEFORE.contains(&commit) => {}
            None => found.push(format!("{line} (\"{commit}\")")),
        }
    }
    found
}

#[test]
fn kept_messages_are_never_rewritten() -> Result<()> {
    // A move is a deletion here. What a clone without its history cannot tell is found where the history is.
    let changes = ["--no-renames", "--diff-filter=MDT", "--name-only"];
    let mut violations = rewritten(&git(&[&["log", "--format=# %s"], &changes[..]].concat())?);
    let uncommitted = git(&[&["diff", "HEAD"], &changes[..]].concat())?;
    violations.extend(uncommitted.lines().map(|line| format!("{line} (not committed yet)")));
    assert_none("a kept message that changes gets another pair of files, and the old one stays:", &violations);
    // The files are where the rule looks for them.
    let files: BTreeSet<String> = git(&["ls-files"])?.lines().map(str::to_owned).collect();
    ensure!(files.len() > 100, "only {} kept files were found; the rule would say nothing", files.len());
    Ok(())
}

#[test]
fn a_commit_that_rewrites_is_found_and_one_from_before_the_rule_is_not() {
    let history =
        "# An approval binds to the target too\n\nv1/plan.hex\n\n# Make it shorter\n\nv1/verify.hex\nv1/plan.hex\n";
    assert_eq!(rewritten(history), ["v1/verify.hex (\"Make it shorter\")", "v1/plan.hex (\"Make it shorter\")"]);
}
