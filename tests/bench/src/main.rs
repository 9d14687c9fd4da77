//! What `./dev bench` measures: each figure of the issue beside the bare cost of the same machine in the same run.
//!
//!     rollcall-bench [all | plan | change | latency | throughput | calls | quota | replay | kills]
//!
//! Prints a table and writes `bench/<name>.json` into the target folder. Ends with 0 only if every figure is reached.

#![expect(clippy::disallowed_methods, reason = "a measurement looks at the clock and at its environment")]

mod bench;
mod calls;
mod change;
mod company;
mod connectors;
mod feed;
mod kills;
mod latency;
mod machine;
mod oracle;
mod plan;
mod quota;
mod replay;
mod report;
mod shape;
mod stack;
mod tenant;
mod throughput;

use std::process::ExitCode;

use clap::Parser;

use crate::bench::{Bench, all, one};

/// As in the services.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures.
#[derive(Debug, Parser)]
#[command(name = "rollcall-bench", version)]
pub(crate) struct Arguments {
    /// What to measure.
    #[arg(value_enum, default_value_t = Bench::All)]
    pub(crate) bench: Bench,
    /// For how long what runs is measured, in seconds.
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u32,
    /// How many commits of the history are replayed; all if not given.
    #[arg(long)]
    pub(crate) lines: Option<usize>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let reached = if arguments.bench == Bench::All { all(arguments.seconds) } else { one(&arguments) };
    match reached {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rollcall-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
