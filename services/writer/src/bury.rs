//! Dead letters and the audit trail of what was done: plain functions over what a run gave.

use std::collections::BTreeMap;

use effect::{Finished, What};
use model::{
    Access, AccountId, Command, CommandBody, Disposition, EdgeOutcome, Fault, GroupId, Outcome, Rejection, StepResult,
    Time,
};
use store::{
    audit::AuditEntry,
    effect::{AttemptEnd, NewLetter, UnendedAttempt},
};
use uuid::Uuid;

/// What stands after a change whose answer was lost and which nobody could read since.
const UNCLEAR: &str = "unclear";

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
            attach(Fault::of_edge(&edge.group, &edge.account, edge.op, class), class, place, Some(line(edge)));
        }
    }
    if let (StepResult::Rejected(class), true) = (outcome.result, outcome.edges.is_empty()) {
        attach(Fault::of_command(&command.body), class, 0, None);
    }
    letters.into_values().collect()
}

/// The attempts of a command that changed the target, and those that may have, by what they were to change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deeds {
    lines: BTreeMap<String, Vec<Deed>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Deed {
    attempt: Uuid,
    /// Its answer never came, or did not say what had happened.
    unclear: bool,
}

impl Deeds {
    /// What the attempts of a run did, by their ends; `before` never ended: they are an earlier run's.
    pub fn of(begun: &[UnendedAttempt], ends: &[AttemptEnd], before: &[UnendedAttempt]) -> Self {
        let ended = |id: Uuid| ends.iter().find(|end| end.id == id).map(|end| end.disposition.as_str());
        let of_this_run = begun.iter().filter_map(|attempt| match ended(attempt.id) {
            Some("done") => Some((attempt, false)),
            Some("unknown") | None => Some((attempt, true)),
            Some(_) => None,
        });
        let mut deeds = Self::default();
        for (attempt, unclear) in before.iter().map(|attempt| (attempt, true)).chain(of_this_run) {
            for line in &attempt.edges {
                deeds.lines.entry(line.clone()).or_default().push(Deed { attempt: attempt.id, unclear });
            }
        }
        deeds
    }

    /// Whether it is certain that what this edge says is our doing.
    pub fn did(&self, edge: &EdgeOutcome) -> bool {
        self.behind(Some(&line(edge)), edge.result).is_some_and(|(_, certain)| certain)
    }

    /// The attempts that a result is due to, the oldest first, and whether it is certain that there was an effect;
    /// `None`: nothing of ours changed anything. What already was so is ours if an attempt whose answer we do not know
    /// may have done it; where nobody read what such an attempt did, that is said too.
    fn behind<'a>(&'a self, line: Option<&str>, result: StepResult) -> Option<(Vec<&'a Uuid>, bool)> {
        let deeds = self.lines.iter().filter(|(key, _)| line.is_none_or(|line| line == key.as_str()));
        let deeds = deeds.flat_map(|(_, deeds)| deeds);
        if result == StepResult::Done {
            return Some((deeds.map(|deed| &deed.attempt).collect(), true));
        }
        let unclear: Vec<_> = deeds.filter(|deed| deed.unclear).map(|deed| &deed.attempt).collect();
        (!unclear.is_empty()).then_some((unclear, result == StepResult::AlreadySo))
    }
}

/// What a command without edges is about, as a command says it or as one of its attempts does.
#[derive(Debug, Clone, Copy)]
pub enum Object<'a> {
    /// Memberships: its edges say which.
    Edges,
    /// A group to be made, by its name.
    NewGroup(&'a str),
    /// A group to be deleted.
    OldGroup(&'a GroupId),
    /// What a group is to give.
    Access(&'a GroupId, &'a Access),
    /// An account: whose, what is done to it, and which it is where that was known before.
    Account(&'a AccountId, &'a str, Option<&'a AccountId>),
}

impl<'a> From<&'a CommandBody> for Object<'a> {
    fn from(body: &'a CommandBody) -> Self {
        match body {
            CommandBody::Edges { .. } => Self::Edges,
            CommandBody::CreateGroup { name, .. } => Self::NewGroup(name),
            CommandBody::DeleteGroup { group, .. } => Self::OldGroup(group),
            CommandBody::GrantAccess { group, access, .. } => Self::Access(group, access),
            CommandBody::Account { account, person, change, .. } => {
                Self::Account(person, change.as_str(), account.as_ref())
            }
        }
    }
}

impl<'a> From<&'a What> for Object<'a> {
    fn from(what: &'a What) -> Self {
        match what {
            What::Edges { .. } => Self::Edges,
            What::CreateGroup { name } => Self::NewGroup(name),
            What::DeleteGroup { group, .. } => Self::OldGroup(group),
            What::GrantAccess { group, access, .. } => Self::Access(group, access),
            What::Account { person, change, .. } => Self::Account(person, change, None),
        }
    }
}

/// What goes into the audit chain: everything that changed the target, or may have (after it: `unclear`), and nothing
/// else. Each entry names the attempts that its effect is due to, and with them the requests at the vendor; `because`
/// is what it was done for, a plan.
pub fn entries(object: Object<'_>, outcome: &Outcome, because: &str, deeds: &Deeds) -> Vec<AuditEntry> {
    let entry = |at: Time, verb: String, key: String, (before, after): (&str, &str), attempts: &[&Uuid]| AuditEntry {
        at,
        actor: "writer".to_owned(),
        verb,
        key,
        before: before.as_bytes().to_vec(),
        after: after.as_bytes().to_vec(),
        cause: attempts.iter().fold(format!("{because} command/{}", outcome.command), |cause, attempt| {
            format!("{cause} attempt/{attempt}")
        }),
    };
    let target = &outcome.target;
    let of_edge = |edge: &EdgeOutcome| {
        let (attempts, certain) = deeds.behind(Some(&line(edge)), edge.result)?;
        let (before, after) = if edge.op == model::EdgeOp::Add { ("", "member") } else { ("member", "") };
        let change = (before, if certain { after } else { UNCLEAR });
        let key = format!("{target}/{}/{}", edge.group, edge.account);
        let at = edge.confirmed_at.unwrap_or(outcome.at);
        Some(entry(at, format!("member.{}", edge.op.as_str()), key, change, &attempts))
    };
    let mut entries: Vec<AuditEntry> = outcome.edges.iter().filter_map(of_edge).collect();
    let Some((attempts, certain)) = deeds.behind(None, outcome.result) else { return entries };
    let id = outcome.group.as_ref().map_or("", |group| group.as_str());
    let (verb, key, after) = match object {
        Object::NewGroup(name) => ("group.create".to_owned(), format!("{target}/{name}"), id.to_owned()),
        Object::OldGroup(group) => ("group.delete".to_owned(), format!("{target}/{group}"), String::new()),
        Object::Access(group, access) => ("group.grant".to_owned(), format!("{target}/{group}"), access.to_string()),
        Object::Account(person, change, account) => {
            let account = outcome.account.as_ref().or(account).map_or("", |account| account.as_str());
            (format!("account.{change}"), format!("{target}/{person}"), account.to_owned())
        }
        Object::Edges => return entries,
    };
    let after = if certain { after.as_str() } else { UNCLEAR };
    entries.push(entry(outcome.at, verb, key, ("", after), &attempts));
    entries
}

/// What a call is to change, as the ledger says it, one line each: `add/<group>/<account>`, `create-group/<name>`,
/// `grant/<group>/<what it gives>`, … Of
/// its edges those at the places that were admitted.
pub fn lines(what: &What, admitted: impl Fn(usize) -> bool) -> Vec<String> {
    match what {
        What::Edges { group, edges, .. } => edges
            .iter()
            .enumerate()
            .filter(|(place, _)| admitted(*place))
            .map(|(_, (account, op, _))| format!("{}/{group}/{account}", op.as_str()))
            .collect(),
        What::CreateGroup { name } => vec![format!("create-group/{name}")],
        What::DeleteGroup { group, .. } => vec![format!("delete-group/{group}")],
        What::GrantAccess { group, access, .. } => vec![format!("grant/{group}/{access}")],
        What::Account { person, change, .. } => vec![format!("{change}/{person}")],
    }
}

/// What an answer means, as the ledger says it.
pub const fn word(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Done => "done",
        Disposition::AlreadySo => "already-so",
        Disposition::Throttled { .. } => "throttled",
        Disposition::Retry { .. } => "retry",
        Disposition::Unknown => "unknown",
        Disposition::Look => "look",
        Disposition::Reject(_) => "reject",
        Disposition::Halt => "halt",
    }
}

/// An edge as the ledger says it.
pub fn line(edge: &EdgeOutcome) -> String {
    format!("{}/{}/{}", edge.op.as_str(), edge.group, edge.account)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use effect::Answered;
    use model::{AccountChange, CommandId, EdgeChange, EdgeOp, Lane};
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
    fn a_refused_change_of_an_account_is_the_fault_of_that_step_alone() {
        let (mut command, mut finished) = of(&[]);
        finished.outcome.result = StepResult::Rejected(Rejection::Conflict);
        finished.answers.clear();
        for (account, change, key) in [
            (None, AccountChange::Create { attributes: BTreeMap::new() }, "person/u-ann/create"),
            (Some("a-ann"), AccountChange::Update { attributes: BTreeMap::new() }, "person/a-ann/update"),
            (Some("a-ann"), AccountChange::Deactivate, "person/a-ann/leave"),
        ] {
            let account = account.map(id::<AccountId>);
            command.body = CommandBody::Account { account, person: id("u-ann"), change, generation: 1 };
            let letters = letters(&command, &finished, None);
            assert_eq!((letters.len(), letters[0].fault.key().as_str()), (1, key));
        }
    }

    /// What is given is named in the trail; and a refusal of it keeps nobody from joining or leaving.
    #[test]
    fn what_a_group_was_made_to_give_is_in_the_trail_and_a_refusal_attaches_nothing_else() {
        let access = Access::Portal { desk: "HELP".to_owned() };
        let what = What::GrantAccess { group: id("g"), access: access.clone(), generation: 1 };
        assert_eq!(lines(&what, |_| true), ["grant/g/the portal of HELP"]);
        let (mut command, mut finished) = of(&[]);
        command.body = CommandBody::GrantAccess { group: id("g"), access, generation: 1 };
        let attempt = UnendedAttempt {
            id: Uuid::from_u128(1),
            command: command.id,
            edges: lines(&what, |_| true),
            began_at: Time(1),
        };
        let before = [attempt];
        for (result, after) in [(StepResult::AlreadySo, "the portal of HELP"), (StepResult::Unknown, UNCLEAR)] {
            finished.outcome.result = result;
            let written = entries((&what).into(), &finished.outcome, "plan/3", &Deeds::of(&[], &[], &before));
            assert_eq!(
                written,
                entries((&command.body).into(), &finished.outcome, "plan/3", &Deeds::of(&[], &[], &before))
            );
            assert_eq!((written[0].verb.as_str(), written[0].key.as_str()), ("group.grant", "cloud/g"));
            assert_eq!((written[0].before.as_slice(), written[0].after.as_slice()), (&b""[..], after.as_bytes()));
        }
        finished.outcome.result = StepResult::Rejected(Rejection::Validation);
        let letters = letters(&command, &finished, None);
        assert_eq!((letters.len(), letters[0].fault.key().as_str()), (1, "access/g/the portal of HELP"));
        assert!(!letters[0].fault.covers(&id("g"), &id("a0"), EdgeOp::Add));
    }

    #[test]
    fn who_gets_no_seat_is_kept_from_joining_and_not_from_leaving() {
        let (command, finished) = of(&[StepResult::Rejected(Rejection::Licence)]);
        let fault = letters(&command, &finished, None).remove(0).fault;
        let (group, account) = (id("g"), id("a0"));
        assert!(fault.covers(&group, &account, EdgeOp::Add) && !fault.covers(&group, &account, EdgeOp::Remove));
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
        let attempt = |n: u128, edges: &[&str]| UnendedAttempt {
            id: Uuid::from_u128(n),
            command: command.id,
            edges: edges.iter().map(|edge| (*edge).to_owned()).collect(),
            began_at: Time(1),
        };
        let end = |n: u128, disposition: &str| AttemptEnd {
            id: Uuid::from_u128(n),
            ended_at: Time(2),
            disposition: disposition.to_owned(),
            status: None,
            answer: String::new(),
        };
        let begun = [attempt(1, &["add/g/a0"]), attempt(2, &["add/g/a1"]), attempt(3, &["add/g/a2"])];
        let ends = [end(1, "done"), end(2, "already-so"), end(3, "retry")];
        let written = entries((&command.body).into(), &finished.outcome, "plan/3", &Deeds::of(&begun, &ends, &[]));
        assert_eq!(written.len(), 1);
        assert_eq!((written[0].verb.as_str(), written[0].key.as_str()), ("member.add", "cloud/g/a0"));
        assert_eq!(written[0].cause, format!("plan/3 command/{} attempt/{}", command.id, Uuid::from_u128(1)));
        // Nobody knows what an attempt did whose command was outdated before it could be read.
        let (command_2, outdated) = of(&[StepResult::Outdated]);
        let written = entries(
            (&command_2.body).into(),
            &outdated.outcome,
            "plan/3",
            &Deeds::of(&[], &[], &[attempt(7, &["add/g/a0"])]),
        );
        assert_eq!((written.len(), written[0].after.as_slice()), (1, UNCLEAR.as_bytes()));
        // What a writer did just before it vanished is found to be so by the next one; what an answer that was lost did,
        // by the next attempt.
        let before = [attempt(7, &["add/g/a1"])];
        for deeds in [
            Deeds::of(&begun, &ends, &before),
            Deeds::of(
                &[begun[0].clone(), attempt(7, &["add/g/a1"]), begun[1].clone()],
                &[end(1, "done"), end(7, "unknown"), end(2, "already-so")],
                &[],
            ),
        ] {
            let written = entries((&command.body).into(), &finished.outcome, "plan/3", &deeds);
            let keys: Vec<&str> = written.iter().map(|entry| entry.key.as_str()).collect();
            assert_eq!(keys, ["cloud/g/a0", "cloud/g/a1"]);
            assert!(written[1].cause.ends_with(&format!(" attempt/{}", Uuid::from_u128(7))), "{}", written[1].cause);
        }
    }
}
