//! Dead letters and the audit trail of what was done: plain functions over what a run gave.

use std::collections::{BTreeMap, BTreeSet};

use effect::Finished;
use model::{Command, CommandBody, EdgeOutcome, Fault, Outcome, Rejection, StepResult, Time};
use store::{audit::AuditEntry, effect::NewLetter};

/// The letters of a command: one for each fault, with the edges that attach to it.
pub(crate) fn letters(command: &Command, finished: &Finished, traceparent: Option<&str>) -> Vec<NewLetter> {
    let outcome = &finished.outcome;
    let mut letters: BTreeMap<(Fault, Rejection), NewLetter> = BTreeMap::new();
    let mut attach = |fault: Fault, class: Rejection, place: usize, edge: Option<String>| {
        let answer = finished.answers.get(place).and_then(Option::as_ref);
        let letter = letters.entry((fault.clone(), class)).or_insert_with(|| NewLetter {
            target: outcome.target.clone(),
            fault,
            class,
            at: outcome.at,
            answer: answer.map_or_else(String::new, |answered| match answered.status {
                Some(status) => format!("{status} {}", answered.text),
                None => answered.text.clone(),
            }),
            command: outcome.command,
            edges: Vec::new(),
            traceparent: traceparent.map(str::to_owned),
        });
        letter.edges.extend(edge);
    };
    for (place, edge) in outcome.edges.iter().enumerate() {
        if let StepResult::Rejected(class) = edge.result {
            attach(Fault::of_edge(&edge.group, &edge.account, class), class, place, Some(line(edge)));
        }
    }
    if let (StepResult::Rejected(class), true) = (outcome.result, outcome.edges.is_empty()) {
        attach(fault_of_whole(command), class, 0, None);
    }
    letters.into_values().collect()
}

/// What is at fault when a command without edges is rejected.
fn fault_of_whole(command: &Command) -> Fault {
    match &command.body {
        CommandBody::CreateGroup { name, .. } => Fault::Group { group: name.clone() },
        CommandBody::DeleteGroup { group, .. } | CommandBody::Edges { group, .. } => {
            Fault::Group { group: group.to_string() }
        }
        CommandBody::Account { account, person, .. } => {
            Fault::Person { account: account.clone().unwrap_or_else(|| person.clone()) }
        }
    }
}

/// What goes into the audit chain: everything that changed the target, and nothing else. `interrupted` is what attempts
/// without an end were to do: what already is so and is among them was ours.
pub(crate) fn entries(
    command: &Command,
    outcome: &Outcome,
    plan: u64,
    interrupted: &BTreeSet<String>,
) -> Vec<AuditEntry> {
    let cause = format!("plan/{plan} command/{}", command.id);
    let entry = |at: Time, verb: String, key: String, before: &str, after: &str| AuditEntry {
        at,
        actor: "writer".to_owned(),
        verb,
        key,
        before: before.as_bytes().to_vec(),
        after: after.as_bytes().to_vec(),
        cause: cause.clone(),
    };
    let target = &outcome.target;
    let mut entries: Vec<AuditEntry> = outcome
        .edges
        .iter()
        .filter(|edge| ours(edge.result, interrupted.contains(&line(edge))))
        .map(|edge| {
            let (before, after) = if edge.op == model::EdgeOp::Add { ("", "member") } else { ("member", "") };
            let key = format!("{target}/{}/{}", edge.group, edge.account);
            entry(edge.confirmed_at.unwrap_or(outcome.at), format!("member.{}", edge.op.as_str()), key, before, after)
        })
        .collect();
    if ours(outcome.result, !interrupted.is_empty()) {
        let id = outcome.group.as_ref().map_or("", |group| group.as_str());
        match &command.body {
            CommandBody::CreateGroup { name, .. } => {
                entries.push(entry(outcome.at, "group.create".to_owned(), format!("{target}/{name}"), "", id));
            }
            CommandBody::DeleteGroup { group, .. } => {
                entries.push(entry(outcome.at, "group.delete".to_owned(), format!("{target}/{group}"), "", ""));
            }
            CommandBody::Account { account, person, change, .. } => {
                let account = outcome.account.as_ref().or(account.as_ref()).map_or("", |account| account.as_str());
                let verb = format!("account.{}", change.as_str());
                entries.push(entry(outcome.at, verb, format!("{target}/{person}"), "", account));
            }
            CommandBody::Edges { .. } => {}
        }
    }
    entries
}

/// Whether a result is an effect of ours.
const fn ours(result: StepResult, interrupted: bool) -> bool {
    matches!(result, StepResult::Done) || (interrupted && matches!(result, StepResult::AlreadySo))
}

fn line(edge: &EdgeOutcome) -> String {
    format!("{}/{}/{}", edge.op.as_str(), edge.group, edge.account)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use effect::Answered;
    use model::{AccountId, CommandId, Disposition, EdgeChange, EdgeOp, GroupId, Lane};
    use uuid::Uuid;

    use super::*;

    fn id<T: std::str::FromStr<Err = model::IdError>>(text: &str) -> T {
        text.parse().unwrap()
    }

    fn of(results: &[StepResult]) -> (Command, Finished) {
        let group: GroupId = id("g");
        let accounts: Vec<AccountId> = (0..results.len()).map(|n| id(&format!("a{n}"))).collect();
        let change =
            |account: &AccountId| EdgeChange { account: account.clone(), op: EdgeOp::Add, person_generation: 0 };
        let body =
            CommandBody::Edges { group: group.clone(), generation: 1, edges: accounts.iter().map(change).collect() };
        let command =
            Command { id: CommandId(Uuid::nil()), tenant: id("acme"), target: id("cloud"), lane: Lane::Normal, body };
        let edges = accounts.iter().zip(results).map(|(account, result)| EdgeOutcome {
            group: group.clone(),
            account: account.clone(),
            op: EdgeOp::Add,
            result: *result,
            confirmed_at: None,
        });
        let outcome = Outcome {
            command: command.id,
            tenant: command.tenant.clone(),
            target: command.target.clone(),
            at: Time(7),
            result: StepResult::Done,
            edges: edges.collect(),
            group: None,
            account: None,
            behind: None,
        };
        let answered = Answered {
            disposition: Disposition::Done,
            status: Some(404),
            text: "ADMIN-404-8".to_owned(),
            group: None,
            account: None,
            behind: None,
        };
        (command, Finished { outcome, answers: vec![Some(answered); results.len()], halted: false })
    }

    #[test]
    fn edges_with_one_fault_are_one_letter() {
        let gone = StepResult::Rejected(Rejection::UnknownGroup);
        let (command, finished) = of(&[gone, StepResult::Done, gone]);
        let letters = letters(&command, &finished, Some("00-trace"));
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].fault, Fault::Group { group: "g".to_owned() });
        assert_eq!(letters[0].edges, ["add/g/a0", "add/g/a2"]);
        assert_eq!(letters[0].answer, "404 ADMIN-404-8");
    }

    #[test]
    fn people_who_are_unknown_have_a_letter_each() {
        let unknown = StepResult::Rejected(Rejection::UnknownUser);
        let (command, finished) = of(&[unknown, unknown]);
        assert_eq!(letters(&command, &finished, None).len(), 2);
    }

    #[test]
    fn i09_what_changed_is_in_the_audit_trail_and_what_did_not_is_not() {
        let (command, finished) = of(&[StepResult::Done, StepResult::AlreadySo, StepResult::NotTried]);
        let written = entries(&command, &finished.outcome, 3, &BTreeSet::new());
        assert_eq!(written.len(), 1);
        assert_eq!((written[0].verb.as_str(), written[0].key.as_str()), ("member.add", "cloud/g/a0"));
        assert!(written[0].cause.starts_with("plan/3 command/"));
        // What a writer did just before it vanished is found to be so by the next one.
        let interrupted = BTreeSet::from(["add/g/a1".to_owned(), "add/g/a2".to_owned()]);
        let written = entries(&command, &finished.outcome, 3, &interrupted);
        let keys: Vec<&str> = written.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["cloud/g/a0", "cloud/g/a1"]);
    }
}
