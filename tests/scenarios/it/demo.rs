//! The README's first command, as a newcomer runs it.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::find;

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_a_person_join_move_and_leave_and_ends_with_both_sides_equal() -> Result<()> {
    let mut demo = tokio::process::Command::new(find::ours("rollcall")?);
    demo.args(["demo", "--once"]).stdin(Stdio::null()).kill_on_drop(true);
    let said = tokio::time::timeout(Duration::from_mins(4), demo.output()).await.context("the demo does not end")??;
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{}\n{out}\n{err}", said.status);
    assert!(out.contains("Plan: 78 to add, 0 to remove, 10 groups to create."), "{out}");
    assert!(out.contains("3 of 3 changes arrived; both sides are equal."), "{out}");
    assert_eq!(out.matches(": at Atlassian after ").count(), 3, "{out}");
    Ok(())
}
