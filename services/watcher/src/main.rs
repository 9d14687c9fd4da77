//! The watcher as a process of its own.

use std::process::ExitCode;

use clap::Parser;
use runtime::{Exit, Fault, Shutdown, config, fault, telemetry};

/// Reads directories on both sides and announces what changed.
#[derive(Debug, Parser)]
#[command(name = "rollcall-watcher", version)]
struct Arguments {
    #[command(flatten)]
    options: watcher::Options,
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
async fn begin(options: watcher::Options) -> Result<(), Fault> {
    let telemetry = telemetry::init("watcher", &options.service.telemetry)?;
    let shutdown = Shutdown::on_signals().map_err(|cause| {
        Fault::new("E0130", Exit::Error, format!("the signals of this process are not to be had: {cause}"))
    })?;
    let ended = watcher::run(options, shutdown).await;
    telemetry.shutdown();
    ended
}
