//! The console as a process of its own.

use std::process::ExitCode;

use clap::Parser;
use console::ConsoleOptions;
use runtime::{Exit, Fault, Shutdown, config, fault, telemetry};

/// Operators' API: status, plans, held cases, dead letters, explain.
#[derive(Debug, Parser)]
#[command(name = "rollcall-console", version, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    console: ConsoleOptions,
}

fn main() -> ExitCode {
    let options: Arguments = match config::parse() {
        Ok(options) => options,
        Err(exit) => return exit,
    };
    match serve(options.console) {
        Ok(()) => Exit::Done.into(),
        Err(error) => fault::report(&error),
    }
}

#[tokio::main]
async fn serve(options: ConsoleOptions) -> Result<(), Fault> {
    let telemetry = telemetry::init("console", &options.service.telemetry)?;
    let shutdown = Shutdown::on_signals().map_err(|cause| {
        Fault::new("E0130", Exit::Error, format!("the signals of this process are not to be had: {cause}"))
    })?;
    let ended = console::run(options, shutdown.clone()).await;
    shutdown.begin();
    shutdown.finish().await;
    telemetry.shutdown();
    ended
}
