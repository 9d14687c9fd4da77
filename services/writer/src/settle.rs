//! Outcomes into the ledger, with their letters, their audit entries and the messages about them: one transaction for
//! all that wait. Then, and only then, deliveries are acknowledged.

use std::{sync::Arc, time::Duration};

use bus::{Outlet, StreamName, outgoing};
use contract::{DeadLetterNotice, subjects};
use effect::Finished;
use model::{CommandId, Outcome};
use runtime::spans;
use store::{
    Envelope, OutboxMessage, Store, StoreError,
    effect::{AttemptEnd, NewLetter, RecordedOutcomes},
    plan::OpenCommand,
};
use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::{
    bury::{self, Deeds},
    setup::Place,
    take::Hands,
    tell,
    tenure::Tenure,
};

/// Most commands that are settled at once.
const BATCH: usize = 512;
/// The pause after a failed commit; it doubles up to a second.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A command that was run.
#[derive(Debug)]
pub(crate) struct Done {
    /// As the ledger has it.
    pub(crate) open: OpenCommand,
    /// What became of it.
    pub(crate) finished: Finished,
    /// How its calls ended, those of an earlier writer included.
    pub(crate) ends: Vec<AttemptEnd>,
    /// Which attempts changed what, or may have.
    pub(crate) deeds: Deeds,
    /// The trace of the run.
    pub(crate) traceparent: Option<String>,
    /// The span of the run, which ends when it is settled.
    pub(crate) span: tracing::Span,
}

/// Settles the commands of one tenure.
#[derive(Debug)]
pub(crate) struct Settler {
    pub(crate) store: Store,
    pub(crate) place: Place,
    pub(crate) tenure: Tenure,
    pub(crate) hands: Arc<Hands>,
    pub(crate) outlet: Outlet,
    pub(crate) done: mpsc::Receiver<Done>,
}

impl Settler {
    /// Settles until nothing more comes.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.done.recv_many(&mut batch, BATCH).await > 0 {
            let done = std::mem::take(&mut batch);
            let settled = self.record(&done).await;
            for one in &done {
                self.release(one.open.command.id, settled).instrument(one.span.clone()).await;
            }
        }
    }

    /// Commits a batch; `false` when the lease is lost, and with it the right to say what became of it.
    async fn record(&self, done: &[Done]) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.commit(done).await {
                Ok((messages, letters)) => {
                    self.outlet.hand(messages);
                    tell::letters(&self.place, done, &letters);
                    for one in done {
                        tell::settled(&self.place, one);
                    }
                    return true;
                }
                Err(StoreError::LeaseLost { .. }) => {
                    self.tenure.over().cancel();
                    tracing::warn!(count = done.len(), "outcomes came too late for our lease; they are read anew");
                    return false;
                }
                Err(error) => tracing::warn!(%error, count = done.len(), "cannot commit outcomes, trying again"),
            }
            if self.tenure.over().is_cancelled() {
                return false;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Gives the messages that go out, and the letters that were opened.
    async fn commit(&self, done: &[Done]) -> Result<(Vec<Envelope>, Vec<(u64, NewLetter)>), StoreError> {
        let ends: Vec<AttemptEnd> = done.iter().flat_map(|one| one.ends.iter().cloned()).collect();
        let outcomes: Vec<Outcome> = done.iter().map(|one| one.finished.outcome.clone()).collect();
        let letters: Vec<NewLetter> = done
            .iter()
            .flat_map(|one| bury::letters(&one.open.command, &one.finished, one.traceparent.as_deref()))
            .collect();
        let entries: Vec<_> = done
            .iter()
            .flat_map(|one| {
                let (open, because) = (&one.open, format!("plan/{}", one.open.plan));
                bury::entries((&open.command.body).into(), &one.finished.outcome, &because, &one.deeds)
            })
            .collect();
        let (lease, tenant) = (self.tenure.lease(), &self.place.tenant);
        let announce = |recorded: &RecordedOutcomes| announce(done, &letters, recorded);
        let (recorded, messages) =
            self.store.record_outcomes(lease, tenant, &ends, &outcomes, &letters, &entries, announce).await?;
        let opened = letters.into_iter().zip(recorded.letters).filter(|(_, (_, opened))| *opened);
        Ok((messages, opened.map(|(letter, (id, _))| (id, letter)).collect()))
    }

    /// Lets a command go; its deliveries are acknowledged when it is settled, and come again when it is not.
    async fn release(&self, command: CommandId, settled: bool) {
        let deliveries = self.hands.let_go(command);
        let _acknowledging =
            settled.then(|| spans::ack(StreamName::Command.as_str(), subjects::COMMAND, deliveries.len()));
        for delivery in deliveries {
            if settled && let Err(error) = delivery.ack().await {
                tracing::debug!(%error, "a delivery that is settled comes again");
            }
        }
    }
}

/// The messages about a batch: an outcome for each command whose outcome is new, a notice for each letter.
fn announce(done: &[Done], letters: &[NewLetter], recorded: &RecordedOutcomes) -> Vec<OutboxMessage> {
    let new = done.iter().filter(|one| recorded.new.contains(&one.open.command.id));
    let outcomes = new.map(|one| outgoing::outcome(&one.finished.outcome, one.traceparent.as_deref()));
    let opened = letters.iter().zip(&recorded.letters).filter(|(_, (_, opened))| *opened);
    let notices = opened.map(|(letter, (id, _))| {
        let notice = DeadLetterNotice {
            tenant: done.first().map(|one| one.open.command.tenant.clone()),
            target: letter.target.to_string(),
            id: Some(*id),
            reason: letter.class.as_str().to_owned(),
            subject: String::new(),
            payload: Vec::new(),
        };
        outgoing::notice(&notice, 1, letter.traceparent.as_deref())
    });
    outcomes.chain(notices).collect()
}
