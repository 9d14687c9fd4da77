//! The writer as a process of its own.

use std::process::ExitCode;

use clap::Parser;
use runtime::{Fault, Shutdown, config, fault, telemetry};

/// Carries commands out at Atlassian.
#[derive(Debug, Parser)]
#[command(name = "rollcall-writer", version)]
struct Arguments {
    #[command(flatten)]
    options: writer::Options,
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
async fn begin(options: writer::Options) -> Result<(), Fault> {
    let telemetry = telemetry::init("writer", &options.service.telemetry)?;
    let shutdown = Shutdown::on_signals().map_err(|cause| {
        Fault::new("E0130", runtime::Exit::Error, format!("the signals of this process are not to be had: {cause}"))
    })?;
    let ended = writer::run(options, shutdown).await;
    telemetry.shutdown();
    ended
}
