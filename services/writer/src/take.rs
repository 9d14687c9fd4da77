//! Taking commands: from the bus as they come, from PostgreSQL what the bus forgot.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bus::{Bus, Consumer, Delivery, Intake};
use model::{Canonical as _, Command, CommandId, Lane, Time};
use store::{Store, StoreError, plan::OpenCommand};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{desk::Taken, setup::Place};

/// How many commands are taken at once.
const BATCH: usize = 256;
/// Deliveries that may be unsettled: enough for a target that takes thousands a second.
const WINDOW: i64 = 2048;
/// A command is a few seconds of work that begins within half a minute; after this the bus may offer it again.
const SETTLE_WITHIN: Duration = Duration::from_mins(2);
/// Most rows of one look into PostgreSQL: more than a lane can have in our hands, or those would hide the others.
const LEFT_BEHIND: u32 = 256;

/// The commands that are in our hands, each with the deliveries that its outcome settles.
#[derive(Debug, Default)]
pub(crate) struct Hands {
    held: Mutex<BTreeMap<CommandId, Vec<Delivery<Command>>>>,
}

impl Hands {
    /// Takes a command into our hands; `false`: it is already.
    pub(crate) fn take(&self, id: CommandId) -> bool {
        let mut held = self.lock();
        let new = !held.contains_key(&id);
        held.entry(id).or_default();
        new
    }

    /// Keeps a delivery until its command is settled. Gives it back when the command is not in our hands.
    fn attach(&self, id: CommandId, delivery: Delivery<Command>) -> Option<Delivery<Command>> {
        match self.lock().get_mut(&id) {
            Some(deliveries) => {
                deliveries.push(delivery);
                None
            }
            None => Some(delivery),
        }
    }

    /// Lets go of a command. Its deliveries are to be settled, or dropped for another try.
    pub(crate) fn let_go(&self, id: CommandId) -> Vec<Delivery<Command>> {
        self.lock().remove(&id).unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<CommandId, Vec<Delivery<Command>>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the commands of a target's lane come from.
pub(crate) fn intake(place: &Place, lane: Lane) -> Intake {
    Intake::commands(&place.tenant, &place.directory, lane).window(WINDOW).settle_within(SETTLE_WITHIN)
}

/// Where a command comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Came {
    /// The id of the message; empty: PostgreSQL told, the bus did not.
    pub(crate) message: String,
    /// Its place in the stream.
    pub(crate) sequence: u64,
    /// How often it has been delivered.
    pub(crate) deliveries: u64,
    /// The trace that it was published in.
    pub(crate) traceparent: Option<String>,
}

impl Came {
    fn with(delivery: &Delivery<Command>) -> Self {
        let (message, sequence, deliveries) = delivery.source();
        let traceparent = delivery.traceparent().map(str::to_owned);
        Self { message: message.to_owned(), sequence, deliveries, traceparent }
    }
}

/// One lane of a target.
#[derive(Debug)]
pub(crate) struct Intaker {
    pub(crate) place: Place,
    pub(crate) lane: Lane,
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) hands: std::sync::Arc<Hands>,
    pub(crate) into: mpsc::Sender<Taken>,
    pub(crate) stop: CancellationToken,
}

impl Intaker {
    /// Takes until told to stop. The channel is short: a full one leaves commands at the server for another lane's turn.
    pub(crate) async fn run(self) {
        let intake = intake(&self.place, self.lane);
        let mut consumer = loop {
            match self.bus.consume::<Command>(intake.clone()).await {
                Ok(consumer) => break consumer,
                Err(error) => tracing::warn!(%error, "cannot take commands from the bus, trying again"),
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        };
        while !self.stop.is_cancelled() {
            tokio::select! {
                () = self.stop.cancelled() => return,
                more = self.round(&mut consumer) => if !more { return },
            }
        }
    }

    /// Takes what is there; `false` when nobody takes it from us any more.
    async fn round(&self, consumer: &mut Consumer<Command>) -> bool {
        let batch = consumer.next_batch(BATCH, Duration::from_secs(5)).await;
        if batch.is_empty() {
            return !self.into.is_closed();
        }
        let now = self.place.target.client().now();
        let ids: Vec<CommandId> = batch.iter().map(|delivery| delivery.value().id).collect();
        let mut open = match self.store.load_commands(&ids).await {
            Ok(open) => open,
            Err(error) => {
                tracing::warn!(%error, "cannot read the ledger; commands wait");
                give_back(batch).await;
                return true;
            }
        };
        for delivery in batch {
            let id = delivery.value().id;
            let Some(row) = open.get(&id) else {
                // Settled, or it has its outcome: the message is late. Or there never was such a row: not to be executed.
                if let Some(late) = self.hands.attach(id, delivery) {
                    tracing::debug!(command = %id, "a command that is over came again");
                    if let Err(error) = late.ack().await {
                        tracing::debug!(%error, "a late delivery comes again in its own time");
                    }
                }
                continue;
            };
            if row.digest != delivery.value().digest() || row.command != *delivery.value() {
                if let Err(error) = delivery.bury("the ledger has another command under this id").await {
                    tracing::warn!(%error, "cannot bury a command that differs from the ledger's");
                }
                continue;
            }
            let (new, came) = (self.hands.take(id), Came::with(&delivery));
            let attached = self.hands.attach(id, delivery);
            drop(attached);
            if let Some(row) = open.remove(&id).filter(|_| new)
                && self.into.send(Taken::new(row, now, came)).await.is_err()
            {
                return false;
            }
        }
        true
    }
}

/// What a look into PostgreSQL found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Commands that are in nobody's hands: what a restart or a lost message left behind.
    pub(crate) open: Vec<OpenCommand>,
    /// When the oldest of all that wait was made.
    pub(crate) oldest: Option<Time>,
}

/// Looks for the oldest open commands of a target's lane, and takes at most `most` that are in nobody's hands.
pub(crate) async fn left_behind(
    store: &Store,
    place: &Place,
    lane: Lane,
    hands: &Hands,
    most: usize,
) -> Result<Found, StoreError> {
    let waiting = store.waiting_commands(&place.tenant, &place.directory, lane, LEFT_BEHIND).await?;
    let oldest = waiting.first().map(|open| open.created_at);
    let ours = waiting.into_iter().filter(|open| open.command.digest() == open.digest);
    Ok(Found { open: ours.filter(|open| hands.take(open.command.id)).take(most).collect(), oldest })
}

/// Gives deliveries back for another try a little later.
pub(crate) async fn give_back(batch: Vec<Delivery<Command>>) {
    for delivery in batch {
        if let Err(error) = delivery.retry(Duration::from_secs(1)).await {
            tracing::debug!(%error, "a delivery comes again in its own time");
        }
    }
}
