//! `sync`.

use contract::ops;
use runtime::{Exit, Fault};

use super::client::Client;
use crate::args::SyncArgs;

/// Asks for a read, now, of one address or of everything.
///
/// # Errors
/// When the operators' API cannot be asked or refuses.
pub async fn sync(args: &SyncArgs) -> Result<Exit, Fault> {
    let client = Client::new(&args.server.server, args.server.token_file.as_deref())?;
    let request = ops::SyncRequest { person: args.address.clone(), directory: None };
    let accepted: ops::Accepted = client.post(&["sync"], &request).await?;
    super::print_one(args.server.output, "rollcall.accepted/1", &accepted, || format!("{}\n", accepted.message));
    Ok(Exit::Done)
}
