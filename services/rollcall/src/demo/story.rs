//! A person joins, moves and leaves.

use std::time::Duration;

use runtime::{Exit, Fault};
use serde_json::{Value, json};

use super::worlds::Worlds;
use crate::{show, up::Stack};

/// How many changes the story has.
pub const CHANGES: usize = 3;

/// How long one change may take.
const WITHIN: Duration = Duration::from_mins(1);

struct Change {
    text: &'static str,
    at_google: Value,
    expected: &'static [(&'static str, bool)],
}

/// Makes each change at Google, asks for the person to be read now, and shows when Atlassian says the same. Gives how
/// many arrived.
///
/// # Errors
/// When the twin does not take a change, or nobody hears the request.
pub async fn tell(worlds: &Worlds, stack: &Stack) -> Result<usize, Fault> {
    let mut arrived = 0;
    for change in changes() {
        let began = runtime::clock::monotonic();
        make(worlds, &change.at_google)?;
        ask(stack, "ana.joiner@acme.example").await?;
        let mut all = true;
        for (group, present) in change.expected {
            all &= worlds.member_within(group, "ana.joiner@acme.example", *present, WITHIN).await;
        }
        let took = runtime::clock::monotonic().saturating_duration_since(began);
        if all {
            arrived += 1;
            show::data(&format!("  {}: at Atlassian after {} ms\n", change.text, took.as_millis()));
        } else {
            show::data(&format!("  {}: not at Atlassian within {} s\n", change.text, WITHIN.as_secs()));
        }
    }
    Ok(arrived)
}

fn changes() -> [Change; CHANGES] {
    let member =
        |op: &str, group: &str| json!({ "op": op, "group": group, "id": "usr_0900", "type": "USER", "role": "MEMBER" });
    [
        Change {
            text: "Ana joins Backend  (and so Engineering and All staff)",
            at_google: json!([
                { "op": "user_created", "id": "usr_0900", "email": "ana.joiner@acme.example", "given_name": "Ana",
                  "family_name": "Joiner", "external": false },
                member("member_added", "grp_0001"),
            ]),
            expected: &[("eng-backend", true), ("eng-all", true), ("all-staff", true)],
        },
        Change {
            text: "Ana moves to Design (out of Engineering)              ",
            at_google: json!([member("member_removed", "grp_0001"), member("member_added", "grp_0005")]),
            expected: &[("team-design", true), ("eng-backend", false), ("eng-all", false), ("all-staff", true)],
        },
        Change {
            text: "Ana leaves         (suspended at Google)              ",
            at_google: json!([{ "op": "user_suspended", "id": "usr_0900", "suspended": true }]),
            expected: &[("team-design", false), ("all-staff", false)],
        },
    ]
}

fn make(worlds: &Worlds, changes: &Value) -> Result<(), Fault> {
    let refused = |cause: String| Fault::new("E0128", Exit::Error, format!("the twin does not take a change: {cause}"));
    let changes: Vec<twin::load::Change> =
        serde_json::from_value(changes.clone()).map_err(|error| refused(error.to_string()))?;
    worlds.twin().change(&changes).map_err(|(_, error)| refused(error.to_string()))
}

/// *Sync this person now*, over the operators' API and the control subject behind it.
async fn ask(stack: &Stack, address: &str) -> Result<(), Fault> {
    let unheard =
        |cause: String| Fault::new("E0312", Exit::TryLater, format!("the operators' API does not answer: {cause}"));
    let token = stack.token().map(std::fs::read_to_string).transpose().map_err(|cause| unheard(cause.to_string()))?;
    let url = format!("http://{}/api/v1/sync", stack.console);
    let body = json!({ "person": address });
    let until = runtime::clock::deadline(Duration::from_secs(20));
    loop {
        let request = reqwest::Client::new().post(&url).bearer_auth(token.clone().unwrap_or_default()).json(&body);
        match request.send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => {
                let status = answer.status();
                let text = answer.text().await.unwrap_or_default();
                if !status.is_server_error() || runtime::clock::deadline(Duration::ZERO) > until {
                    return Err(unheard(format!("{status} {text}")));
                }
            }
            Err(error) if runtime::clock::deadline(Duration::ZERO) > until => return Err(unheard(error.to_string())),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
