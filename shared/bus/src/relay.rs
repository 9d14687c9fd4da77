//! From outboxes to the bus.
//!
//! The relay publishes what its process hands over after a commit, which is claimed already, and marks it when the server
//! has acknowledged. Twice a second it looks by itself for rows that nobody holds. A crash in between publishes twice,
//! under the same message id, or late, when the claim is over; it never costs a message.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use store::{Envelope, Lease, Schema, Store, StoreError};
use tokio::{sync::Notify, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{Bus, publish::Sent};

/// How many batches are under way at once: the next one need not wait for the marks of the one before.
const AT_ONCE: usize = 4;
/// Most messages that wait in an outlet. What is handed over beyond is found in the outbox when its claim is over.
const MOST_WAITING: usize = 100_000;
/// How many rows are claimed at once.
const BATCH: u32 = 500;
/// How often the relay looks without being woken.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What the server has acknowledged is marked so often, many at once: nobody waits for the marks, and each commit takes
/// time from those that somebody waits for.
const MARK_EVERY: Duration = Duration::from_millis(100);
/// So many are marked at once at the latest.
const MOST_UNMARKED: usize = 500;
/// How long a batch that cannot be published is tried again before its rows are left for another claim. Shorter than a
/// claim lasts.
const TRY_FOR: u32 = 20;
/// The pause after a failure; it doubles up to a second.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Wakes a relay (or anything else that waits for work) after a commit. Cheap to clone; a wake that nobody waits for is
/// kept for the next wait.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// There is work.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits for work.
    pub async fn woken(&self) {
        self.0.notified().await;
    }
}

/// Where a process hands over the messages that it has just committed, so that they go out at once and need not be looked
/// up. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Outlet {
    handed: Arc<Mutex<Handed>>,
    wake: Wake,
}

/// What waits in an outlet.
#[derive(Debug, Default)]
struct Handed {
    rows: Vec<Envelope>,
    /// There may be rows that were not handed over.
    look: bool,
}

impl Outlet {
    /// These are committed and claimed.
    pub fn hand(&self, rows: Vec<Envelope>) {
        if rows.is_empty() {
            return;
        }
        let mut handed = self.lock();
        if handed.rows.len().saturating_add(rows.len()) <= MOST_WAITING {
            handed.rows.extend(rows);
        } else {
            handed.look = true;
        }
        drop(handed);
        self.wake.wake();
    }

    /// There may be rows that were not handed over.
    pub fn look(&self) {
        self.lock().look = true;
        self.wake.wake();
    }

    fn take(&self) -> Handed {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Handed> {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the server has acknowledged and is not marked yet. A crash before it is costs a duplicate under the same id.
#[derive(Debug, Default)]
struct Marks(Mutex<Vec<i64>>);

impl Marks {
    /// Adds these and counts all.
    fn add(&self, acknowledged: &[i64]) -> usize {
        let mut ids = self.lock();
        ids.extend(acknowledged);
        ids.len()
    }

    fn any(&self) -> bool {
        !self.lock().is_empty()
    }

    fn take(&self) -> Vec<i64> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When rows are published again, and when they are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayOptions {
    /// What is published and not settled after this time is published again under another message id.
    pub republish_after: Duration,
    /// What is published (and settled) is kept for this time, which is longer than a broker may lose in a crash.
    pub keep: Duration,
    /// How often both are looked after.
    pub upkeep_every: Duration,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self {
            republish_after: Duration::from_mins(1),
            keep: Duration::from_mins(10),
            upkeep_every: Duration::from_secs(10),
        }
    }
}

/// Publishes what waits in one owner's outbox, past other relays of the same outbox. For messages whose order does not
/// matter: commands, outcomes, notices, requests to verify.
#[derive(Debug, Clone)]
pub struct Relay {
    /// Where to.
    pub bus: Bus,
    /// Where from.
    pub store: Store,
    /// Whose outbox.
    pub schema: Schema,
    /// What is handed over.
    pub outlet: Outlet,
    /// When rows are published again and removed.
    pub options: RelayOptions,
}

impl Relay {
    /// Runs until it is told to stop; then publishes once more what is there.
    pub async fn run(self, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut upkeep = tokio::time::interval(self.options.upkeep_every);
        upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut mark = tokio::time::interval(MARK_EVERY);
        mark.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let marks = Marks::default();
        let mut running: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
        loop {
            let room = running.len() < AT_ONCE;
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(()) = running.next(), if !running.is_empty() => {}
                () = self.outlet.wake.woken(), if room => {
                    let Handed { rows, look } = self.outlet.take();
                    if !rows.is_empty() {
                        running.push(self.send(rows, &marks, &stop).boxed());
                    }
                    if look {
                        running.push(self.drain(&marks, &stop).boxed());
                    }
                }
                _ = mark.tick(), if room && marks.any() => running.push(self.mark(&marks).boxed()),
                _ = upkeep.tick(), if room => running.push(self.upkeep().boxed()),
                _ = look.tick(), if room => running.push(self.drain(&marks, &stop).boxed()),
            }
        }
        while running.next().await.is_some() {}
        // One last look without patience: what does not go now is published by whoever comes next.
        self.send(self.outlet.take().rows, &marks, &stop).await;
        self.drain(&marks, &stop).await;
        self.mark(&marks).await;
    }

    /// Publishes until nothing waits.
    async fn drain(&self, marks: &Marks, stop: &CancellationToken) {
        loop {
            let claimed = match self.store.claim(self.schema, BATCH).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    warn!(%error, outbox = ?self.schema, "cannot look into the outbox, trying again");
                    return;
                }
            };
            let whole = claimed.len() < BATCH as usize;
            self.send(claimed, marks, stop).await;
            if whole || stop.is_cancelled() {
                return;
            }
        }
    }

    /// Publishes claimed rows, again and again while the server does not take them.
    async fn send(&self, mut rows: Vec<Envelope>, marks: &Marks, stop: &CancellationToken) {
        let mut pause = FIRST_PAUSE;
        for _ in 0..TRY_FOR {
            if rows.is_empty() {
                return;
            }
            let sent = self.bus.publish_rows(&rows, false).await;
            if marks.add(&sent.acknowledged) >= MOST_UNMARKED {
                self.mark(marks).await;
            }
            let Sent { acknowledged, error } = sent;
            let Some(error) = error else { return };
            rows.retain(|row| !acknowledged.contains(&row.id));
            warn!(%error, waiting = rows.len(), outbox = ?self.schema, "messages are not acknowledged, trying again");
            self.bus.mend(&error).await;
            if stop.is_cancelled() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Marks what the server has acknowledged.
    async fn mark(&self, marks: &Marks) {
        if let Err(error) = self.store.mark_published(self.schema, &marks.take()).await {
            warn!(%error, outbox = ?self.schema, "cannot mark what was published; it goes out twice");
        }
    }

    async fn upkeep(&self) {
        let again = match self.schema {
            Schema::Directory => Ok(0),
            Schema::Plan => self.store.republish_commands(self.options.republish_after).await,
            Schema::Effect => self.store.republish_outcomes(self.options.republish_after).await,
        };
        match again {
            Ok(0) => {}
            Ok(count) => info!(count, outbox = ?self.schema, "publishing again what was not settled in time"),
            Err(error) => warn!(%error, "cannot look for what is not settled, trying again"),
        }
        if let Err(error) = self.store.prune_outbox(self.schema, self.options.keep).await {
            warn!(%error, "cannot remove old rows of the outbox, trying again");
        }
    }
}

/// One topic's messages, published in order for as long as its lease holds: a directory's events, by the holder of the
/// directory's lease.
#[derive(Debug, Clone)]
pub struct OrderedRelay {
    /// Where to.
    pub bus: Bus,
    /// Where from.
    pub store: Store,
    /// Whose outbox.
    pub schema: Schema,
    /// Who may publish.
    pub lease: Lease,
    /// Which messages.
    pub topic: String,
    /// What is handed over, in the order of its commits.
    pub outlet: Outlet,
}

/// How far an ordered relay is.
#[derive(Debug, Default)]
struct Reached {
    /// The newest row that was published.
    row: i64,
    /// What was acknowledged and is not marked yet: it must be before the outbox is looked at.
    unmarked: Vec<i64>,
    /// Whether all that was committed before what is handed over next is published.
    caught_up: bool,
}

impl OrderedRelay {
    /// Runs until it is told to stop; then publishes once more what is there.
    ///
    /// What is handed over goes out as it is while nothing older waits: it was committed under the lease a moment ago.
    /// Twice a second, and after every trouble, the outbox and the lease are looked at.
    ///
    /// # Errors
    /// [`StoreError`] when the lease is lost; other trouble is waited out.
    pub async fn run(self, stop: CancellationToken) -> Result<(), StoreError> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reached = Reached::default();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.catch_up(&mut reached, &stop).await?;
                    return Ok(());
                }
                _ = look.tick() => reached.caught_up = false,
                () = self.outlet.wake.woken() => {}
            }
            let Handed { mut rows, look } = self.outlet.take();
            if look || !reached.caught_up {
                self.catch_up(&mut reached, &stop).await?;
            }
            // What could not be sent before comes first, and what was found in the outbox is not sent twice.
            rows.retain(|row| row.id > reached.row);
            if reached.caught_up {
                reached.caught_up = self.send(&rows, &mut reached).await;
            }
            if reached.unmarked.len() >= MOST_UNMARKED {
                self.mark(&mut reached).await;
            }
        }
    }

    /// Marks what the server has acknowledged; `false`: it is still to be marked.
    async fn mark(&self, reached: &mut Reached) -> bool {
        match self.store.mark_published(self.schema, &reached.unmarked).await {
            Ok(()) => {
                reached.unmarked.clear();
                true
            }
            Err(error) => {
                warn!(%error, topic = self.topic, "cannot mark what was published, trying again");
                false
            }
        }
    }

    /// Publishes what the outbox holds until nothing waits, or until it fails and was told to stop.
    async fn catch_up(&self, reached: &mut Reached, stop: &CancellationToken) -> Result<(), StoreError> {
        let mut pause = FIRST_PAUSE;
        loop {
            reached.caught_up = false;
            if !self.mark(reached).await {
                return Ok(());
            }
            let rows = match self.store.claim_in_order(self.schema, &self.lease, &self.topic, BATCH).await {
                Ok(rows) => rows,
                Err(error @ StoreError::LeaseLost { .. }) => return Err(error),
                Err(error) => {
                    warn!(%error, topic = self.topic, "cannot look into the outbox, trying again");
                    return Ok(());
                }
            };
            reached.caught_up = rows.is_empty();
            if reached.caught_up {
                return Ok(());
            }
            if !self.send(&rows, reached).await {
                if stop.is_cancelled() {
                    return Ok(());
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    /// Publishes rows one after the other; `false`: not all of them.
    async fn send(&self, rows: &[Envelope], reached: &mut Reached) -> bool {
        let Sent { acknowledged, error } = self.bus.publish_rows(rows, true).await;
        reached.row = acknowledged.iter().copied().fold(reached.row, i64::max);
        reached.unmarked.extend(acknowledged);
        let Some(error) = error else { return true };
        warn!(%error, topic = self.topic, "messages are not acknowledged, trying again");
        self.bus.mend(&error).await;
        false
    }
}
