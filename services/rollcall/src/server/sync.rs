//! `sync`, `pause` and `resume`.

use contract::ops;
use runtime::{Exit, Fault};

use super::client::Client;
use crate::args::{PauseArgs, ServerArgs, SyncArgs};

/// Asks for a read, now, of one address or of everything.
///
/// # Errors
/// When the operators' API cannot be asked or refuses.
pub async fn sync(args: &SyncArgs) -> Result<Exit, Fault> {
    let request = ops::SyncRequest { person: args.address.clone(), directory: None };
    ask(&args.server, "sync", &request).await
}

/// Stops sending to a target, or to all. Whoever has something keeps it.
///
/// # Errors
/// As [`sync`].
pub async fn pause(args: &PauseArgs) -> Result<Exit, Fault> {
    ask(&args.server, "pause", &ops::PauseRequest { target: args.target.clone(), reason: args.reason.clone() }).await
}

/// Sends again.
///
/// # Errors
/// As [`sync`].
pub async fn resume(args: &PauseArgs) -> Result<Exit, Fault> {
    ask(&args.server, "resume", &ops::PauseRequest { target: args.target.clone(), reason: args.reason.clone() }).await
}

async fn ask<Body: serde::Serialize + Sync>(server: &ServerArgs, verb: &str, body: &Body) -> Result<Exit, Fault> {
    let client = Client::new(&server.server, server.token_file.as_deref())?;
    let accepted: ops::Accepted = client.post(&[verb], body).await?;
    super::print_one(server.output, "rollcall.accepted/1", &accepted, || format!("{}\n", accepted.message));
    Ok(Exit::Done)
}
