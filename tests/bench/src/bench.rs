//! What can be measured, and how each is run.

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::{Arguments, calls, change, kills, latency, plan, quota, replay, report::Report, throughput};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bench {
    /// Everything, each in a process of its own.
    All,
    /// A whole plan of a large tenant, in memory.
    Plan,
    /// One membership change in that tenant.
    Change,
    /// From a committed change to the call.
    Latency,
    /// Changes a second.
    Throughput,
    /// API calls, beside the least possible.
    Calls,
    /// Use of a quota while there is work.
    Quota,
    /// The real organization's whole history.
    Replay,
    /// Twenty kills of each part under load.
    Kills,
}

fn name(bench: Bench) -> String {
    bench.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Each in a process of its own, so that none measures the memory or the tasks of another.
pub(crate) fn all(seconds: u32) -> Result<bool> {
    let this = std::env::current_exe()?;
    let mut reached = true;
    for bench in Bench::value_variants().iter().filter(|bench| **bench != Bench::All) {
        let name = name(*bench);
        let status = std::process::Command::new(&this)
            .args([&name, "--seconds", &seconds.to_string()])
            .status()
            .with_context(|| name.clone())?;
        reached &= status.success();
    }
    Ok(reached)
}

pub(crate) fn one(arguments: &Arguments) -> Result<bool> {
    let Arguments { bench, seconds, lines } = *arguments;
    let mut report = Report::new(&name(bench));
    let runtime = tokio::runtime::Runtime::new()?;
    match bench {
        Bench::All => {}
        Bench::Plan => plan::measure(&mut report)?,
        Bench::Change => change::measure(&mut report)?,
        Bench::Latency => runtime.block_on(latency::measure(&mut report, seconds))?,
        Bench::Throughput => runtime.block_on(throughput::measure(&mut report, seconds))?,
        Bench::Calls => runtime.block_on(calls::measure(&mut report))?,
        Bench::Quota => runtime.block_on(quota::measure(&mut report, seconds))?,
        Bench::Replay => runtime.block_on(replay::measure(&mut report, lines))?,
        Bench::Kills => kills::measure(&mut report)?,
    }
    report.finish()
}
