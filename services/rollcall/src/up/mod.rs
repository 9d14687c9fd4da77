//! `rollcall up`: everything on one machine. Private NATS and PostgreSQL unless others are named, and the four services
//! as tasks of this process.

pub mod binaries;
pub mod private;
pub mod stack;
pub mod tokens;

use std::path::PathBuf;

use runtime::{Exit, Fault, Shutdown, telemetry};
use secrecy::{ExposeSecret as _, SecretString};

pub use stack::{Settings, Stack};

use crate::{args::UpArgs, local::journal::state_home, policy_file, show};

/// Runs until it is told to stop.
///
/// # Errors
/// When the policy cannot be right, a server cannot be started or reached, or a service cannot begin.
pub async fn up(args: &UpArgs) -> Result<Exit, Fault> {
    // The file is looked at before anything is started.
    policy_file::load(&args.policy)?;
    let telemetry = telemetry::init("up", &crate::services::options::<telemetry::Options>(&[])?)?;
    let shutdown = Shutdown::on_signals()
        .map_err(|cause| Fault::new("E0130", Exit::Error, format!("signals cannot be caught: {cause}")))?;
    let stack = Stack::start(settings(args)).await?;
    show::note(&format!("The operators' API is at http://{}; your token is in {}", stack.console, stack.token_shown()));
    show::note(&format!("Ask it with: rollcall status --server http://{} --token-file …", stack.console));
    let ended = tokio::select! {
        () = shutdown.begun() => Ok(Exit::Done),
        fault = stack.failed() => Err(fault),
    };
    stack.stop().await;
    drop(telemetry);
    ended
}

/// What these arguments ask for.
pub fn settings(args: &UpArgs) -> Settings {
    Settings {
        folder: args.data.clone().unwrap_or_else(default_folder),
        policy: args.policy.path.clone(),
        nats: args.nats.clone(),
        database: args.database.clone(),
        console: args.console,
        tokens: args.tokens.clone(),
        extra: Vec::new(),
    }
}

/// Where private servers keep their data when no folder is named. PostgreSQL runs as nobody's root, so root's own home
/// will not do.
fn default_folder() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        PathBuf::from("/var/lib/rollcall/up")
    } else {
        state_home().join("rollcall/up")
    }
}

/// `rollcall migrate`.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn migrate(database: &SecretString) -> Result<Exit, Fault> {
    stack::migrate(database.expose_secret()).await?;
    show::note("The database's schema is up to date.");
    Ok(Exit::Done)
}
