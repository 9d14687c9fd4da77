//! The reconciler as a process of its own.

use std::process::ExitCode;

use clap::Parser;
use runtime::{Fault, Shutdown, config, fault, telemetry};

/// Decides what is to be done at the targets, and has it done by the writers.
#[derive(Debug, Parser)]
#[command(name = "rollcall-reconciler", version)]
struct Arguments {
    #[command(flatten)]
    options: reconciler::Options,
}

fn main() -> ExitCode {
    let arguments = match config::parse::<Arguments>() {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    match begin(arguments.options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => fault::report(&fault),
    }
}

#[tokio::main]
async fn begin(options: reconciler::Options) -> Result<(), Fault> {
    let telemetry = telemetry::init("reconciler", &options.service.telemetry)?;
    let shutdown = Shutdown::on_signals().map_err(|cause| {
        Fault::new("E0130", runtime::Exit::Error, format!("the signals of this process are not to be had: {cause}"))
    })?;
    let ended = reconciler::run(options, shutdown).await;
    telemetry.shutdown();
    ended
}
