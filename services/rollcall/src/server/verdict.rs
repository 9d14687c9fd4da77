//! `approve` and `reject`: cases by their digests, groups that were there before us by their names, or all of those.

use contract::ops;
use runtime::{Exit, Fault};

use super::client::Client;
use super::conflicts;
use crate::args::VerdictArgs;

/// So many cases are judged in one request.
const AT_ONCE: usize = 900;

/// Releases held cases.
///
/// # Errors
/// 3 when a case changed meanwhile, or the role does not reach, or it is one's own; 64 when there is none such.
pub async fn approve(args: &VerdictArgs) -> Result<Exit, Fault> {
    judge(args, "approve").await
}

/// Turns held cases down. A target keeps a group that was there before us.
///
/// # Errors
/// As [`approve`].
pub async fn reject(args: &VerdictArgs) -> Result<Exit, Fault> {
    judge(args, "reject").await
}

async fn judge(args: &VerdictArgs, verb: &str) -> Result<Exit, Fault> {
    let client = Client::new(&args.server.server, args.server.token_file.as_deref())?;
    if let ([one], false) = (args.cases.as_slice(), args.cases.iter().any(|case| case.contains('/'))) {
        let because = ops::Because { reason: args.reason.clone() };
        let result: ops::VerdictResult = client.post(&["cases", one.as_str(), verb], &because).await?;
        super::print_one(args.server.output, "rollcall.verdict/1", &result, || line(&result));
        return Ok(Exit::Done);
    }
    let mut results = Vec::new();
    let mut digests = Vec::new();
    for case in &args.cases {
        match case.split_once('/') {
            None => digests.push(case.clone()),
            Some((target, group)) => {
                let conflict = conflicts::one(&client, target, group).await?.conflict.unwrap_or_default();
                match conflict.digest.clone().filter(|_| conflict.state == "waiting") {
                    // The verdict binds to what the group comes to now.
                    Some(digest) => digests.push(digest),
                    None => results.push(conflicts::decide(&client, &conflict, verb, &args.reason).await?),
                }
            }
        }
    }
    if args.conflicts {
        let waiting = conflicts::waiting(&client, args.target.as_deref()).await?;
        digests.extend(waiting.into_iter().filter_map(|conflict| conflict.digest));
    }
    for some in digests.chunks(AT_ONCE) {
        let verdict = ops::Verdict { digests: some.to_vec(), verdict: verb.to_owned(), reason: args.reason.clone() };
        let answer: ops::VerdictAnswer = client.post(&["cases", "verdict"], &verdict).await?;
        results.extend(answer.results);
    }
    let text = || {
        let lines: String = results.iter().map(line).collect();
        if lines.is_empty() { "No group is in conflict.\n".to_owned() } else { lines }
    };
    super::print(args.server.output, "rollcall.verdicts/1", "verdicts", &results, text);
    let done = |result: &ops::VerdictResult| matches!(result.result.as_str(), "approved" | "rejected" | "decided");
    Ok(if results.iter().all(done) { Exit::Done } else { Exit::Held })
}

fn line(result: &ops::VerdictResult) -> String {
    format!("{} {}: {}\n", super::short(&result.digest), result.result, result.why)
}
