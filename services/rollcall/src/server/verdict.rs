//! `approve` and `reject`.

use contract::ops;
use runtime::{Exit, Fault};

use super::client::Client;
use crate::args::VerdictArgs;

/// Releases a held case.
///
/// # Errors
/// 3 when the case changed meanwhile, or the role does not reach, or it is one's own; 64 when there is none such.
pub async fn approve(args: &VerdictArgs) -> Result<Exit, Fault> {
    judge(args, "approve").await
}

/// Turns a held case down.
///
/// # Errors
/// As [`approve`].
pub async fn reject(args: &VerdictArgs) -> Result<Exit, Fault> {
    judge(args, "reject").await
}

async fn judge(args: &VerdictArgs, verb: &str) -> Result<Exit, Fault> {
    let client = Client::new(&args.server.server, args.server.token_file.as_deref())?;
    let because = ops::Because { reason: args.reason.clone() };
    let result: ops::VerdictResult = client.post(&["cases", args.case.as_str(), verb], &because).await?;
    super::print_one(args.server.output, "rollcall.verdict/1", &result, || {
        format!("{} {}: {}\n", super::short(&result.digest), result.result, result.why)
    });
    Ok(Exit::Done)
}
