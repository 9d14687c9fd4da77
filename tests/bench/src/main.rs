//! What `./dev bench` measures: each figure of the issue beside the bare cost of the same machine in the same run.
//!
//!     rollcall-bench [all | plan | change | latency | throughput | calls | quota | replay | kills]
//!
//! Prints a table and writes `bench/<name>.json` into the target folder. Ends with 0 only if every figure is reached.

#![expect(clippy::disallowed_methods, reason = "a measurement looks at the clock and at its environment")]

mod calls;
mod change;
mod company;
mod feed;
mod latency;
mod machine;
mod plan;
mod report;
mod stack;
mod tenant;
mod throughput;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};

use crate::report::Report;

/// As in the services.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures.
#[derive(Debug, Parser)]
#[command(name = "rollcall-bench", version)]
struct Arguments {
    /// What to measure.
    #[arg(value_enum, default_value_t = Bench::All)]
    bench: Bench,
    /// For how long what runs is measured, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bench {
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
}

fn main() -> ExitCode {
    let Arguments { bench, seconds } = Arguments::parse();
    let reached = if bench == Bench::All { all(seconds) } else { one(bench, seconds) };
    match reached {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rollcall-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn name(bench: Bench) -> String {
    bench.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Each in a process of its own, so that none measures the memory or the tasks of another.
fn all(seconds: u32) -> Result<bool> {
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

fn one(bench: Bench, seconds: u32) -> Result<bool> {
    let mut report = Report::new(&name(bench));
    let runtime = tokio::runtime::Runtime::new()?;
    match bench {
        Bench::All => {}
        Bench::Plan => plan::measure(&mut report)?,
        Bench::Change => change::measure(&mut report)?,
        Bench::Latency => runtime.block_on(latency::measure(&mut report, seconds))?,
        Bench::Throughput => runtime.block_on(throughput::measure(&mut report, seconds))?,
        Bench::Calls => runtime.block_on(calls::measure(&mut report))?,
    }
    report.finish()
}
