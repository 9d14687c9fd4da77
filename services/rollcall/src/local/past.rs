//! What the ledger says of runs that ended before they could remember: a crash in the middle costs time, and nothing
//! that was done is forgotten, met as a stranger's, or done twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use effect::{Call, What};
use model::{AccountId, CommandId, DirectoryId, EdgeOutcome, GroupId, Outcome, StepResult, Time};
use planner::Memory;
use runtime::Fault;
use store::{
    audit::AuditEntry,
    effect::{AttemptEnd, UnendedAttempt},
};
use writer::{Deeds, Object};

use super::{
    deeds::{Begun, Calls, Open, happened},
    files::{LEDGER, unusable},
    ledger::Line,
};

/// The lines of a ledger from some place on, put together command by command.
#[derive(Debug, Default)]
pub struct Past {
    begun: Vec<Begun>,
    commands: BTreeMap<CommandId, Told>,
    /// In the order of their first attempts.
    order: Vec<CommandId>,
}

/// What is told of one command.
#[derive(Debug)]
struct Told {
    target: DirectoryId,
    /// The run that it belongs to; none in ledgers of an earlier version.
    of: Option<usize>,
    attempts: Vec<(Call, Time)>,
    calls: Calls,
    group: Option<GroupId>,
    account: Option<AccountId>,
    outcome: Option<Outcome>,
}

/// What a ledger said beyond what was remembered.
#[derive(Debug, Default)]
pub struct Replayed {
    /// What belongs into the audit, if it is not there yet.
    pub audit: Vec<AuditEntry>,
    /// Calls of which nobody knows what they did.
    pub open: Vec<Open>,
}

impl Past {
    /// Reads a ledger from a place on; `None`: all of it. A place beyond its end is its end.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(folder: &Path, from: Option<u64>) -> Result<Self, Fault> {
        let path = folder.join(LEDGER);
        let mut text = Vec::new();
        let read = File::open(&path).and_then(|mut file| {
            file.seek(SeekFrom::Start(from.unwrap_or(0)))?;
            file.read_to_end(&mut text)
        });
        match read {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(cause) => return Err(unusable(&path, &cause)),
            Ok(_) => {}
        }
        let mut past = Self::default();
        for line in text.split(|byte| *byte == b'\n') {
            // A crash may have cut the last line in two; what it says had not begun.
            if let Ok(line) = serde_json::from_slice::<Line>(line) {
                past.take(line);
            }
        }
        Ok(past)
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Begun { begun } => self.begun.push(begun),
            Line::Attempt { target, call, at } => {
                let of = self.begun.iter().rposition(|begun| begun.target == target);
                if !self.commands.contains_key(&call.command) {
                    self.order.push(call.command);
                }
                let told = self.commands.entry(call.command).or_insert_with(|| Told {
                    target,
                    of,
                    attempts: Vec::new(),
                    calls: Calls::default(),
                    group: None,
                    account: None,
                    outcome: None,
                });
                let (id, command) = (call.id, call.command);
                told.calls.begun.push(UnendedAttempt {
                    id,
                    command,
                    edges: writer::lines(&call.what, |_| true),
                    began_at: at,
                });
                told.attempts.push((call, at));
            }
            Line::Answer { command, attempt, status, text, disposition, at, group, account } => {
                let Some(told) = self.commands.get_mut(&command) else { return };
                let Some((call, _)) = told.attempts.iter().find(|(call, _)| call.attempt == attempt) else { return };
                told.calls.ends.push(AttemptEnd { id: call.id, ended_at: at, disposition, status, answer: text });
                told.group = group.or(told.group.take());
                told.account = account.or(told.account.take());
            }
            Line::Outcome { outcome } => {
                if let Some(told) = self.commands.get_mut(&outcome.command) {
                    told.outcome = Some(outcome);
                }
            }
        }
    }

    /// Takes everything that was settled into the memory. Doing so twice changes nothing but what is counted.
    pub fn replay(self, memory: &mut Memory) -> Replayed {
        let mut replayed = Replayed::default();
        let mut counted: Vec<BTreeSet<String>> = vec![BTreeSet::new(); self.begun.len()];
        for told in self.order.iter().filter_map(|id| self.commands.get(id)) {
            let mut open = told.open();
            let run = told.of.and_then(|of| Some((self.begun.get(of)?, counted.get_mut(of)?)));
            if let (Some((begun, counted)), Some((first, _))) = (run, told.attempts.first()) {
                counted.extend(open.iter().map(Open::line));
                for open in &mut open {
                    open.about = Some(Box::new(begun.about(&open.what)));
                }
                let object = begun.with_account(Object::from(&first.what));
                if let Some(outcome) = told.outcome(begun, &open) {
                    let deeds = told.calls.deeds(&[]);
                    replayed.audit.extend(learn(memory, begun, object, &outcome, &deeds));
                    counted.extend(happened(object, &outcome));
                }
            }
            replayed.open.extend(open);
        }
        for (begun, counted) in self.begun.iter().zip(&counted) {
            begun.count(memory, counted);
        }
        replayed
    }

    /// The calls that began, and of which nobody knows what they did.
    pub fn open(&self) -> Vec<Open> {
        self.order.iter().filter_map(|id| self.commands.get(id)).flat_map(Told::open).collect()
    }
}

/// Takes a settled command into the memory and gives what the audit says about it.
pub fn learn(
    memory: &mut Memory,
    begun: &Begun,
    object: Object<'_>,
    outcome: &Outcome,
    deeds: &Deeds,
) -> Vec<AuditEntry> {
    begun.absorb(memory, object, outcome, deeds);
    writer::entries(object, outcome, &begun.because, deeds)
}

impl Told {
    /// How an attempt ended, if it did.
    fn end(&self, call: &Call) -> Option<&str> {
        let end = self.calls.ends.iter().rev().find(|end| end.id == call.id);
        end.map(|end| end.disposition.as_str())
    }

    /// Calls without an answer, or without one that says anything, in a command that is not over: one for each thing
    /// that no other call of the command settled.
    fn open(&self) -> Vec<Open> {
        if self.outcome.is_some() {
            return Vec::new();
        }
        let mut open: BTreeMap<String, Open> = BTreeMap::new();
        for (call, at) in &self.attempts {
            let end = self.end(call);
            for what in each(&call.what) {
                let (target, command) = (self.target.clone(), call.command);
                let one = Open { target, attempt: call.id, command, at: *at, what, about: None };
                match end {
                    Some("done" | "already-so") => drop(open.remove(&one.line())),
                    Some("unknown") | None => drop(open.insert(one.line(), one)),
                    Some(_) => {}
                }
            }
        }
        open.into_values().collect()
    }

    /// What became of the command: as it was written down, or as far as its calls were answered.
    fn outcome(&self, begun: &Begun, open: &[Open]) -> Option<Outcome> {
        if let Some(outcome) = &self.outcome {
            return Some(outcome.clone());
        }
        let open: BTreeSet<String> = open.iter().map(Open::line).collect();
        let mut edges: BTreeMap<String, EdgeOutcome> = BTreeMap::new();
        let (mut whole, mut last) = (None, None);
        for (call, _) in &self.attempts {
            let end = self.calls.ends.iter().rev().find(|end| end.id == call.id);
            let (result, at) = match end.map(|end| (end.disposition.as_str(), end.ended_at)) {
                Some(("done", at)) => (StepResult::Done, at),
                Some(("already-so", at)) => (StepResult::AlreadySo, at),
                _ => continue,
            };
            last = Some(at);
            match &call.what {
                What::Edges { group, edges: of, .. } => {
                    for (account, op, _) in of {
                        let (group, account, confirmed_at) = (group.clone(), account.clone(), Some(at));
                        let edge = EdgeOutcome { group, account, op: *op, result, confirmed_at };
                        edges.insert(writer::line(&edge), edge);
                    }
                }
                _ => whole = Some(result),
            }
        }
        let edges: Vec<EdgeOutcome> =
            edges.into_iter().filter(|(line, _)| !open.contains(line)).map(|(_, edge)| edge).collect();
        Some(Outcome {
            command: self.attempts.first()?.0.command,
            tenant: begun.tenant.clone(),
            target: self.target.clone(),
            at: last?,
            result: whole.unwrap_or(StepResult::Done),
            edges,
            group: self.group.clone(),
            account: self.account.clone(),
            behind: None,
        })
    }
}

/// The things that a call is about, one by one.
fn each(what: &What) -> Vec<What> {
    match what {
        What::Edges { group, generation, edges } => {
            let one = |edge: &_| What::Edges {
                group: group.clone(),
                generation: *generation,
                edges: vec![Clone::clone(edge)],
            };
            edges.iter().map(one).collect()
        }
        what => vec![what.clone()],
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::io::Write as _;

    use effect::{Answered, Ledger as _};
    use model::{Disposition, EdgeOp, TenantId};
    use planner::WindowKind;
    use runtime::Shutdown;
    use uuid::Uuid;

    use super::*;
    use crate::local::{
        deeds::{Counted, NewGroup},
        ledger::JournalLedger,
    };

    fn id<T: std::str::FromStr<Err = model::IdError>>(text: &str) -> T {
        text.parse().unwrap()
    }

    fn begun() -> Begun {
        Begun {
            tenant: TenantId::new("acme").unwrap(),
            target: id("cloud"),
            at: Time(5),
            because: "plan/1".to_owned(),
            groups: vec![NewGroup {
                name: "Eng".to_owned(),
                folded: "eng".to_owned(),
                source: Some((id("google"), id("g1"))),
            }],
            people: Vec::new(),
            counted: vec![Counted {
                kind: WindowKind::Removals,
                lines: ["remove/c1/a1", "remove/c1/a2"].map(str::to_owned).into(),
                person: None,
            }],
        }
    }

    fn call(n: u128, what: What) -> Call {
        Call { id: Uuid::from_u128(n), command: CommandId(Uuid::from_u128(n)), attempt: 1, what }
    }

    fn edges(op: EdgeOp, accounts: &[&str]) -> What {
        let edges = accounts.iter().map(|account| (id(account), op, 0)).collect();
        What::Edges { group: id("c1"), generation: 0, edges }
    }

    fn done(group: Option<&str>) -> Answered {
        let group = group.map(id);
        Answered {
            disposition: Disposition::Done,
            status: Some(204),
            text: String::new(),
            group,
            account: None,
            behind: None,
        }
    }

    /// A run that made a group, added one, took one out, and was killed before the answer to a second removal.
    async fn killed(folder: &Path) -> JournalLedger {
        let ledger = JournalLedger::open(folder, &id("cloud"), &Shutdown::manual()).unwrap();
        ledger.begin(&begun()).await.unwrap();
        let calls = [
            (call(1, What::CreateGroup { name: "Eng".to_owned() }), Some(done(Some("c1")))),
            (call(2, edges(EdgeOp::Add, &["a0"])), Some(done(None))),
            (call(3, edges(EdgeOp::Remove, &["a1"])), Some(done(None))),
            (call(4, edges(EdgeOp::Remove, &["a2"])), None),
        ];
        for (call, answered) in &calls {
            assert_eq!(ledger.admit(call).await.unwrap().allowed, [true]);
            if let Some(answered) = answered {
                ledger.answered(call, answered).await.unwrap();
            }
        }
        ledger
    }

    #[tokio::test]
    async fn i06_an_attempt_is_on_the_disk_before_its_call_and_open_until_it_is_known_what_it_did() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = JournalLedger::open(folder.path(), &id("cloud"), &Shutdown::manual()).unwrap();
        let call = call(1, What::CreateGroup { name: "Eng".to_owned() });
        ledger.admit(&call).await.unwrap();
        let lines = |open: Vec<Open>| open.iter().map(Open::line).collect::<Vec<_>>();
        assert_eq!(lines(Past::read(folder.path(), None).unwrap().open()), ["create-group/Eng"]);
        ledger.answered(&call, &done(Some("c1"))).await.unwrap();
        assert!(lines(Past::read(folder.path(), None).unwrap().open()).is_empty());
    }

    #[tokio::test]
    async fn what_a_killed_run_did_is_remembered_counted_and_owed_to_the_audit() {
        let folder = tempfile::tempdir().unwrap();
        killed(folder.path()).await;
        let mut memory = Memory::default();
        memory.managed.insert((id("cloud"), id("c1"), id("a1")), ());
        let replayed = Past::read(folder.path(), Some(0)).unwrap().replay(&mut memory);
        let pin = memory.pins.get(&(id("cloud"), "eng".to_owned())).unwrap();
        assert_eq!((&pin.group, &pin.source), (&id("c1"), &Some((id("google"), id("g1")))));
        let managed: Vec<&str> = memory.managed.keys().map(|(_, _, account)| account.as_str()).collect();
        assert_eq!(managed, ["a0"]);
        // The removal whose answer never came counts, too: it may have happened.
        let counts: Vec<_> = memory.window.iter().map(|entry| (entry.kind, entry.count, entry.at)).collect();
        assert_eq!(counts, [(WindowKind::Removals, 2, Time(5))]);
        let verbs: Vec<&str> = replayed.audit.iter().map(|entry| entry.verb.as_str()).collect();
        assert_eq!(verbs, ["group.create", "member.add", "member.remove"]);
        assert_eq!(replayed.open.iter().map(Open::line).collect::<Vec<_>>(), ["remove/c1/a2"]);
        // The same again changes nothing but what is counted; from the end on there is nothing to take.
        let once = Memory { window: Vec::new(), ..memory.clone() };
        Past::read(folder.path(), Some(0)).unwrap().replay(&mut memory);
        assert_eq!(Memory { window: Vec::new(), ..memory.clone() }, once);
        let end = std::fs::metadata(folder.path().join(LEDGER)).unwrap().len();
        let nothing = Past::read(folder.path(), Some(end)).unwrap().replay(&mut memory);
        assert!(nothing.audit.is_empty() && nothing.open.is_empty());
    }

    #[tokio::test]
    async fn a_line_that_was_cut_in_two_is_passed_over_and_nothing_is_begun_after_a_stop() {
        let folder = tempfile::tempdir().unwrap();
        let shutdown = Shutdown::manual();
        let ledger = JournalLedger::open(folder.path(), &id("cloud"), &shutdown).unwrap();
        let mut file = File::options().append(true).open(folder.path().join(LEDGER)).unwrap();
        file.write_all(b"{\"line\":\"attem").unwrap();
        shutdown.begin();
        let call = call(1, edges(EdgeOp::Add, &["a0", "a1"]));
        assert_eq!(ledger.admit(&call).await.unwrap().allowed, [false, false]);
        assert!(Past::read(folder.path(), None).unwrap().open().is_empty());
    }
}
