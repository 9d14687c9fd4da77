//! The whole run of kills: the fault tests with twenty of each.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::report::Report;

/// How often each part is killed.
const KILLS: u32 = 20;

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let mut command = Command::new("cargo");
    let nextest = Command::new("cargo").args(["nextest", "--version"]).output();
    if nextest.is_ok_and(|output| output.status.success()) {
        command.args(["nextest", "run", "--package", "rollcall-faults", "--no-tests", "fail"]);
    } else {
        command.args(["test", "--package", "rollcall-faults"]);
    }
    command.env("ROLLCALL_KILLS", KILLS.to_string()).current_dir(harness::find::repository());
    let status = command.status().context("cannot run the fault tests")?;
    report.note("kills", f64::from(KILLS), "of each part");
    report.at_least("passed", f64::from(u8::from(status.success())), 1.0, "run of the fault tests");
    Ok(())
}
