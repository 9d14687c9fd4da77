//! The ledger in PostgreSQL: all calls that are about to be made at this moment are admitted in one transaction.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use effect::{Admission, Answered, Call, Ledger, LedgerError, What};
use model::{CommandId, Digest, DirectoryId, Generation, Time};
use runtime::Clock;
use store::{
    Store, StoreError,
    effect::{AttemptEnd, NewAttempt, UnendedAttempt},
};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::{
    bury::{lines, word},
    setup::Place,
    tenure::Tenure,
};

/// Most calls that are admitted at once.
const BATCH: usize = 256;

/// The ledger of one tenure of a target.
#[derive(Debug)]
pub(crate) struct PostgresLedger {
    asks: mpsc::Sender<Ask>,
    notes: Mutex<Notes>,
    target: DirectoryId,
    clock: Clock,
}

/// What is known of commands in our hands until their outcomes are committed.
#[derive(Debug, Default)]
struct Notes {
    digests: BTreeMap<CommandId, Digest>,
    attempts: BTreeMap<(CommandId, u32), Uuid>,
    runs: BTreeMap<CommandId, Run>,
}

/// The calls of one run of a command.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Those that were begun.
    pub(crate) begun: Vec<UnendedAttempt>,
    /// How they ended, as far as they did.
    pub(crate) ends: Vec<AttemptEnd>,
}

/// A call that wants to be made.
#[derive(Debug)]
struct Ask {
    attempt: NewAttempt,
    what: What,
    answer: oneshot::Sender<Result<Admission, LedgerError>>,
}

/// What admits calls, many at once.
#[derive(Debug)]
pub(crate) struct Gate {
    asks: mpsc::Receiver<Ask>,
    store: Store,
    place: Place,
    tenure: Tenure,
    paused: Arc<AtomicBool>,
}

impl PostgresLedger {
    /// A ledger and the gate behind it, which must be run. The gate is shut while the target is `paused`.
    pub(crate) fn new(
        store: &Store,
        place: &Place,
        tenure: &Tenure,
        clock: &Clock,
        paused: &Arc<AtomicBool>,
    ) -> (Arc<Self>, Gate) {
        let (sender, asks) = mpsc::channel(BATCH);
        let ledger =
            Self { asks: sender, notes: Mutex::default(), target: place.directory.clone(), clock: clock.clone() };
        let (place, tenure, paused) = (place.clone(), tenure.clone(), Arc::clone(paused));
        let gate = Gate { asks, store: store.clone(), place, tenure, paused };
        (Arc::new(ledger), gate)
    }

    /// A command is about to be run: what its attempts are recorded under.
    pub(crate) fn begin(&self, command: CommandId, digest: Digest) {
        self.notes().digests.insert(command, digest);
    }

    /// A command was run: its calls, whose ends are to be committed with its outcome.
    pub(crate) fn finish(&self, command: CommandId) -> Run {
        let mut notes = self.notes();
        notes.digests.remove(&command);
        let ended: Vec<_> = notes.attempts.range((command, 0)..=(command, u32::MAX)).map(|(key, _)| *key).collect();
        for key in ended {
            notes.attempts.remove(&key);
        }
        notes.runs.remove(&command).unwrap_or_default()
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Time {
        Time(self.clock.now_micros())
    }
}

impl Ledger for PostgresLedger {
    async fn admit(&self, call: &Call) -> Result<Admission, LedgerError> {
        let closed = || LedgerError("this writer no longer has the target".to_owned());
        let digest = self.notes().digests.get(&call.command).copied().ok_or_else(closed)?;
        let (id, began_at) = (call.id, self.now());
        let attempt = NewAttempt {
            id,
            command: call.command,
            digest,
            target: self.target.clone(),
            request: request(&call.what),
            edges: lines(&call.what, |_| true),
            began_at,
        };
        let (answer, admission) = oneshot::channel();
        let ask = Ask { attempt, what: call.what.clone(), answer };
        self.asks.send(ask).await.map_err(|_| closed())?;
        let admission = admission.await.map_err(|_| closed())??;
        if admission.allowed.contains(&true) {
            let allowed = |place: usize| admission.allowed.get(place).copied().unwrap_or(false);
            let edges = lines(&call.what, allowed);
            let mut notes = self.notes();
            notes.attempts.insert((call.command, call.attempt), id);
            let run = notes.runs.entry(call.command).or_default();
            run.begun.push(UnendedAttempt { id, command: call.command, edges, began_at });
        }
        Ok(admission)
    }

    async fn answered(&self, call: &Call, answered: &Answered) -> Result<(), LedgerError> {
        let at = self.now();
        let mut notes = self.notes();
        if let Some(id) = notes.attempts.remove(&(call.command, call.attempt)) {
            let end = AttemptEnd {
                id,
                ended_at: at,
                disposition: word(answered.disposition).to_owned(),
                status: answered.status,
                answer: answered.text.clone(),
            };
            notes.runs.entry(call.command).or_default().ends.push(end);
        }
        Ok(())
    }
}

impl Gate {
    /// Admits until the ledger is dropped.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.asks.recv_many(&mut batch, BATCH).await > 0 {
            let asks = std::mem::take(&mut batch);
            let (admissions, asks) = (self.admit(&asks).await, asks);
            match admissions {
                Ok(admissions) => {
                    for (ask, admission) in asks.into_iter().zip(admissions) {
                        // Nobody waits any more: the attempt stays unended and is read after by whoever comes next.
                        let _gone = ask.answer.send(Ok(admission));
                    }
                }
                Err(error) => {
                    for ask in asks {
                        let _gone = ask.answer.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    async fn admit(&self, asks: &[Ask]) -> Result<Vec<Admission>, LedgerError> {
        let failed = |error: StoreError| LedgerError(error.to_string());
        if !self.tenure.fits_a_call() {
            return Err(LedgerError("the lease of the target ends too soon for another call".to_owned()));
        }
        if self.paused.load(Ordering::Relaxed) {
            let not_now = |ask: &Ask| Admission { allowed: vec![false; ask.what.len()], not_now: true };
            return Ok(asks.iter().map(not_now).collect());
        }
        let objects: BTreeSet<String> = asks.iter().flat_map(|ask| objects(&ask.what)).collect();
        let objects: Vec<String> = objects.into_iter().collect();
        let (tenant, target) = (&self.place.tenant, &self.place.directory);
        let present = self.store.generations(tenant, target, &objects).await.map_err(failed)?;
        let mut admissions: Vec<Admission> =
            asks.iter().map(|ask| Admission { allowed: allowed(&ask.what, &present), not_now: false }).collect();
        let attempts: Vec<NewAttempt> = asks
            .iter()
            .zip(&admissions)
            .filter(|(_, admission)| admission.allowed.contains(&true))
            .map(|(ask, admission)| NewAttempt {
                edges: lines(&ask.what, |place| admission.allowed.get(place).copied().unwrap_or(false)),
                ..ask.attempt.clone()
            })
            .collect();
        if attempts.is_empty() {
            return Ok(admissions);
        }
        let begun = self.store.begin_attempts(self.tenure.lease(), tenant, &attempts).await;
        if matches!(begun, Err(StoreError::LeaseLost { .. })) {
            self.tenure.over().cancel();
        }
        let begun: BTreeSet<Uuid> = begun.map_err(failed)?.into_iter().collect();
        // The commit may have taken longer than the lease allows. What is begun and not called is looked for later.
        if !self.tenure.fits_a_call() {
            return Err(LedgerError("the lease of the target ended while attempts were committed".to_owned()));
        }
        for (ask, admission) in asks.iter().zip(&mut admissions) {
            // Settled meanwhile, or not the ledger's: it must not be made.
            if !begun.contains(&ask.attempt.id) {
                admission.allowed.fill(false);
            }
        }
        Ok(admissions)
    }
}

/// The objects whose generations decide about a call.
fn objects(what: &What) -> Vec<String> {
    match what {
        What::Edges { group, edges, .. } => std::iter::once(format!("group/{group}"))
            .chain(edges.iter().map(|(account, ..)| format!("account/{account}")))
            .collect(),
        What::CreateGroup { .. } => Vec::new(),
        What::DeleteGroup { group, .. } => vec![format!("group/{group}")],
        What::GrantAccess { group, access, .. } => vec![format!("access/{group}/{access}")],
        What::Account { person, .. } => vec![format!("person/{person}")],
    }
}

/// What of a call is not outdated.
fn allowed(what: &What, present: &BTreeMap<String, Generation>) -> Vec<bool> {
    let current = |object: String, generation: Generation| present.get(&object).copied().unwrap_or(0) <= generation;
    match what {
        What::Edges { group, generation, edges } => {
            let whole = current(format!("group/{group}"), *generation);
            edges.iter().map(|(account, _, person)| whole && current(format!("account/{account}"), *person)).collect()
        }
        What::CreateGroup { .. } => vec![true],
        What::DeleteGroup { group, generation } => vec![current(format!("group/{group}"), *generation)],
        What::GrantAccess { group, access, generation } => {
            vec![current(format!("access/{group}/{access}"), *generation)]
        }
        What::Account { person, generation, .. } => vec![current(format!("person/{person}"), *generation)],
    }
}

/// What a call asks for, without ids.
fn request(what: &What) -> String {
    match what {
        What::Edges { edges, .. } => format!("change {} memberships of a group", edges.len()),
        What::CreateGroup { .. } => "create a group".to_owned(),
        What::DeleteGroup { .. } => "delete a group".to_owned(),
        What::GrantAccess { access, .. } => format!("have a group give {access}"),
        What::Account { change, .. } => format!("{change} an account"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use model::{AccountId, EdgeOp, GroupId};

    use super::*;

    fn two_edges() -> What {
        let edge = |id: &str, op, generation| (AccountId::new(id).unwrap(), op, generation);
        What::Edges {
            group: GroupId::new("g").unwrap(),
            generation: 5,
            edges: vec![edge("a", EdgeOp::Remove, 1), edge("b", EdgeOp::Add, 1)],
        }
    }

    fn present(rows: &[(&str, Generation)]) -> BTreeMap<String, Generation> {
        rows.iter().map(|(object, generation)| ((*object).to_owned(), *generation)).collect()
    }

    #[test]
    fn i07_a_newer_generation_of_the_group_drops_every_edge() {
        assert_eq!(allowed(&two_edges(), &present(&[("group/g", 5)])), [true, true]);
        assert_eq!(allowed(&two_edges(), &present(&[("group/g", 6)])), [false, false]);
    }

    #[test]
    fn i07_a_revocation_of_a_person_drops_that_persons_edges_alone() {
        assert_eq!(allowed(&two_edges(), &present(&[("account/b", 2)])), [true, false]);
        assert_eq!(allowed(&two_edges(), &present(&[("account/a", 1), ("account/b", 0)])), [true, true]);
    }

    #[test]
    fn an_attempt_says_only_what_was_admitted() {
        assert_eq!(lines(&two_edges(), |place| place == 1), ["add/g/b"]);
        assert_eq!(objects(&two_edges()), ["group/g", "account/a", "account/b"]);
    }
}
