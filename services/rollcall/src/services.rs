//! The services' own options, as their binaries would have them.

use clap::{Args, Parser};
use runtime::{Exit, Fault};

#[derive(Debug, Parser)]
struct Service<Options: Args> {
    #[command(flatten)]
    options: Options,
}

/// Options as they come from these arguments, with the environment and the defaults.
///
/// # Errors
/// When an argument or the environment cannot be used.
pub fn options<Options: Args>(arguments: &[String]) -> Result<Options, Fault> {
    let arguments = std::iter::once("rollcall").chain(arguments.iter().map(String::as_str));
    Service::try_parse_from(arguments)
        .map(|service| service.options)
        .map_err(|error| Fault::new("E0126", Exit::Usage, error.to_string().trim_end().to_owned()))
}

/// How NATS and PostgreSQL are shown who we are, as the environment says.
///
/// # Errors
/// As [`options`].
pub fn access() -> Result<runtime::config::Access, Fault> {
    options(&[])
}

/// The writer's options for a run without servers.
///
/// # Errors
/// As [`options`].
pub fn writer_options() -> Result<writer::Options, Fault> {
    options(&[])
}
