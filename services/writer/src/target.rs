//! One target: waits for its lease, takes its commands, runs them, and starts over when the lease is lost.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bus::{Bus, Outlet};
use effect::{Patience, Runner};
use model::{DirectoryId, Lane, TenantId, Time};
use policy::Directory;
use runtime::{
    Clock, Shutdown,
    clock::deadline,
    health::{HealthState, LoopHandle},
    ids, metrics,
};
use store::{Store, StoreError};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Options,
    desk::{Desk, Queue, Ran, Taken},
    ledger::PostgresLedger,
    settle::Settler,
    setup::{self, Place},
    take::{self, Came, Hands, Intaker, give_back, left_behind},
    tenure::Tenure,
};

/// How often we look for the lease while somebody else has it.
const LOOK_FOR_LEASE: Duration = Duration::from_millis(500);
/// How soon a target is tried again that cannot be opened: a secret is missing.
const OPEN_AGAIN: Duration = Duration::from_secs(5);
/// How often we look into PostgreSQL for what the bus did not tell.
const LOOK_BEHIND: Duration = Duration::from_secs(5);
/// How often we ask, while there is work, whether a person paused the target.
const LOOK_FOR_PAUSE: Duration = Duration::from_secs(1);
/// How often we say what is left of the API budget.
const REPORT_EVERY: Duration = Duration::from_secs(15);
/// How long a target rests after its credentials were refused, before one command is tried again.
const REST: Duration = Duration::from_secs(30);
/// Urgent commands that may run beside a full desk: the API budget puts their calls first.
const URGENT_BESIDE: usize = 4;

/// What all targets of the process share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) outlet: Outlet,
    pub(crate) clock: Clock,
    pub(crate) health: HealthState,
    pub(crate) options: Options,
    pub(crate) shutdown: Shutdown,
    pub(crate) ages: Ages,
}

/// How long the oldest command of each target has waited.
#[derive(Debug, Default)]
pub(crate) struct Ages(Mutex<BTreeMap<(TenantId, DirectoryId), Duration>>);

impl Ages {
    /// Notes a target's, and gives the longest of its tenant's.
    fn note(&self, place: &Place, age: Duration) -> Duration {
        let mut ages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ages.insert((place.tenant.clone(), place.directory.clone()), age);
        let of_tenant = ages.iter().filter(|((tenant, _), _)| *tenant == place.tenant).map(|(_, age)| *age);
        of_tenant.max().unwrap_or(age)
    }

    /// A target that is let go has nothing that waits.
    fn forget(&self, place: &Place) {
        let mut ages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ages.remove(&(place.tenant.clone(), place.directory.clone()));
    }
}

/// A target that is to be served.
pub(crate) struct Served {
    pub(crate) tenant: TenantId,
    pub(crate) directory: Directory,
    /// The folder that secrets are relative to.
    pub(crate) base: PathBuf,
    /// Cancelled when it is to be let go, or the process is to end.
    pub(crate) stop: CancellationToken,
}

/// Serves a target until told to let it go. `place`: it, if it is open already.
pub(crate) async fn serve(shared: Arc<Shared>, served: Served, place: Option<Place>) {
    let report = shared.health.register_loop(&format!("write {}/{}", served.tenant, served.directory.id));
    let place = match place {
        Some(place) => Some(place),
        None => opened(&shared, &served, &report).await,
    };
    if let Some(place) = &place {
        hold_on(&shared, place, &served.stop, &report).await;
        shared.ages.forget(place);
    }
    report.ended();
}

/// The target, opened, once that can be done; `None` when it cannot be written, or is let go before.
async fn opened(shared: &Shared, served: &Served, report: &LoopHandle) -> Option<Place> {
    let mut refused = String::new();
    while !served.stop.is_cancelled() {
        let Served { tenant, directory, base, .. } = served;
        match setup::place(tenant, directory, base, &shared.clock, &shared.options) {
            Ok(place) => return place,
            Err(fault) => {
                // Once for each reason: it is tried again every few seconds.
                if refused != fault.message {
                    let (org, site) = (tenant.as_str(), directory.id.as_str());
                    tracing::error!(rollcall.org = org, rollcall.site = site, error.code = fault.code, "{fault}");
                }
                report.finished(Err(format!("{}: {}", fault.code, fault.message)), None);
                refused = fault.message;
            }
        }
        tokio::select! {
            () = served.stop.cancelled() => {}
            () = tokio::time::sleep(OPEN_AGAIN) => {}
        }
    }
    None
}

/// Writes whenever the lease is ours.
async fn hold_on(shared: &Arc<Shared>, place: &Place, stop: &CancellationToken, report: &LoopHandle) {
    let name = format!("writer/{}/{}", place.tenant, place.directory);
    let holder = ids::uuid().to_string();
    while !stop.is_cancelled() {
        let call = shared.options.call_timeout;
        match Tenure::acquire(&shared.store, &name, &holder, call).await {
            Ok(Some(tenure)) => {
                tracing::info!(lease = name, epoch = tenure.lease().epoch, "this writer has the target");
                report.started("lease");
                let ended = hold(shared, (place, stop), &tenure, report).await;
                tenure.give_up().await;
                report.finished(ended.map_err(|error| error.to_string()), None);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, lease = name, "cannot ask for the lease, trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_FOR_LEASE) => {}
        }
    }
}

/// Writes while the lease is ours.
async fn hold(
    shared: &Arc<Shared>,
    (place, let_go): (&Place, &CancellationToken),
    tenure: &Tenure,
    report: &LoopHandle,
) -> Result<String, StoreError> {
    let keeping = Helper::begin(shared, {
        let tenure = tenure.clone();
        async move { tenure.keep().await }
    });
    let unended = shared.store.unended_attempts(&place.tenant, &place.directory).await?;
    if !unended.is_empty() {
        tracing::info!(count = unended.len(), "attempts of an earlier writer never ended; what they did is read first");
    }
    let paused = Arc::new(AtomicBool::new(shared.store.is_paused(&place.tenant, &place.directory).await?));
    let (ledger, gate) = PostgresLedger::new(&shared.store, place, tenure, &shared.clock, &paused);
    let gating = Helper::begin(shared, gate.run());
    let (settle, done) = mpsc::channel(1024);
    let hands = Arc::new(Hands::default());
    let settler = Settler {
        store: shared.store.clone(),
        place: place.clone(),
        tenure: tenure.clone(),
        hands: Arc::clone(&hands),
        outlet: shared.outlet.clone(),
        done,
    };
    let settling = Helper::begin(shared, settler.run());
    let runner = Runner::new(place.target.clone(), Arc::clone(&ledger), Patience::default(), ids::jitter, ids::uuid);
    let desk = Desk::new(runner, ledger, settle, unended);
    let stop = CancellationToken::new();
    let waiting = Lane::ALL.map(|lane| take::intake(place, lane)).to_vec();
    shared.shutdown.spawn(shared.bus.clone().tell_waiting(waiting, stop.clone()));
    let intakes = Lane::ALL.map(|lane| intake(shared, place, lane, &hands, &stop));
    let mut round = Round {
        shared,
        place,
        let_go,
        tenure,
        hands,
        desk,
        queue: Queue::default(),
        refused: false,
        rests_until: None,
        paused,
        behind: false,
        ran: 0,
    };
    round.work(intakes).await;
    report.finished(Ok(format!("{} commands run", round.ran)), None);
    stop.cancel();
    round.wind_up().await;
    let ran = round.ran;
    // The desk held the last senders: settler and gate come to their ends.
    drop(round);
    settling.ended().await;
    gating.ended().await;
    tenure.over().cancel();
    keeping.ended().await;
    Ok(format!("{ran} commands run"))
}

/// A task that ends with whoever began it.
struct Helper(tokio::task::JoinHandle<Option<()>>);

impl Helper {
    fn begin(shared: &Shared, work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(shared.shutdown.spawn(work))
    }

    /// Waits for its end.
    async fn ended(mut self) {
        if let Err(error) = (&mut self.0).await {
            tracing::error!(%error, "a part of the writer did not come to its end");
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts taking one lane.
fn intake(
    shared: &Arc<Shared>,
    place: &Place,
    lane: Lane,
    hands: &Arc<Hands>,
    stop: &CancellationToken,
) -> (Helper, mpsc::Receiver<Taken>) {
    let (into, taken) = mpsc::channel(64);
    let intaker = Intaker {
        place: place.clone(),
        lane,
        store: shared.store.clone(),
        bus: shared.bus.clone(),
        hands: Arc::clone(hands),
        into,
        stop: stop.clone(),
    };
    (Helper::begin(shared, intaker.run()), taken)
}

/// Waits until the rest is over.
async fn rest(until: Option<Instant>) {
    if let Some(until) = until {
        tokio::time::sleep_until(until).await;
    }
}

/// The work of one tenure.
struct Round<'a> {
    shared: &'a Shared,
    place: &'a Place,
    /// Cancelled when no more work is to be taken.
    let_go: &'a CancellationToken,
    tenure: &'a Tenure,
    hands: Arc<Hands>,
    desk: Desk,
    queue: Queue,
    /// The credentials were refused: one command at a time is tried, after a rest.
    refused: bool,
    /// When the rest is over.
    rests_until: Option<Instant>,
    /// A person paused the target: calls in flight come to their ends, no other begins.
    paused: Arc<AtomicBool>,
    /// There was more in PostgreSQL than we had room for.
    behind: bool,
    ran: u64,
}

impl Round<'_> {
    async fn work(&mut self, intakes: [(Helper, mpsc::Receiver<Taken>); 3]) {
        let [(_first, mut urgent), (_second, mut normal), (_third, mut bulk)] = intakes;
        let mut look = tokio::time::interval(LOOK_BEHIND);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut pause = tokio::time::interval(LOOK_FOR_PAUSE);
        pause.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut report = tokio::time::interval(REPORT_EVERY);
        report.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.fill();
            // Only while the bus tells nothing: each look costs a query.
            if self.behind && self.queue.is_empty() && self.desk.busy() < self.place.concurrency {
                self.behind = false;
                self.look_behind().await;
                self.fill();
            }
            let room = |lane| self.queue.waiting(lane) < self.place.concurrency;
            let (room_urgent, room_normal, room_bulk) = (room(Lane::Urgent), room(Lane::Normal), room(Lane::Bulk));
            tokio::select! {
                biased;
                () = self.let_go.cancelled() => return,
                () = self.tenure.over().cancelled() => return,
                Some(ran) = self.desk.ended(), if self.desk.busy() > 0 => self.note(ran),
                () = rest(self.rests_until), if self.rests_until.is_some() => self.rests_until = None,
                _ = pause.tick(), if self.has_work() => self.look_for_pause().await,
                Some(taken) = urgent.recv(), if room_urgent => self.queue.push(taken),
                Some(taken) = normal.recv(), if room_normal => self.queue.push(taken),
                Some(taken) = bulk.recv(), if room_bulk => self.queue.push(taken),
                _ = look.tick() => self.look_behind().await,
                _ = report.tick() => self.report_budget().await,
            }
        }
    }

    /// Begins what may begin.
    fn fill(&mut self) {
        if self.is_paused() || self.rests_until.is_some() {
            return;
        }
        let most = if self.refused { 1 } else { self.place.concurrency };
        while self.desk.busy() < most
            && let Some(taken) = self.queue.pop(Lane::Bulk)
        {
            self.desk.begin(taken);
        }
        while self.desk.busy() < most + URGENT_BESIDE
            && !self.refused
            && let Some(taken) = self.queue.pop(Lane::Urgent)
        {
            self.desk.begin(taken);
        }
    }

    /// Takes note of a run that ended.
    fn note(&mut self, ran: Ran) {
        self.ran += 1;
        match ran {
            Ran::Settled { halted: true } => self.rest(),
            Ran::Settled { halted: false } => self.refused = false,
            Ran::Again { command, halted, ends, .. } => {
                // The deliveries come again a little later; so does the row.
                let (deliveries, store) = (self.hands.let_go(command), self.shared.store.clone());
                self.shared.shutdown.spawn(async move {
                    give_back(deliveries).await;
                    if let Err(error) = store.end_attempts(&ends).await {
                        tracing::warn!(%error, "cannot note how attempts ended; they are read after once more");
                    }
                });
                if halted {
                    self.rest();
                }
            }
        }
    }

    /// The credentials were refused: everything waits.
    fn rest(&mut self) {
        self.refused = true;
        self.rests_until = Some(deadline(REST));
        tracing::error!(
            event.name = "rollcall.target.halted",
            rollcall.org = self.place.tenant.as_str(),
            rollcall.site = self.place.directory.as_str(),
            "the target refuses our credentials: everything waits; renew them, they are read anew with the next try"
        );
    }

    /// Whether anything waits or runs. Without work a pause needs no look: the reconciler sends nothing to a paused target.
    fn has_work(&self) -> bool {
        self.is_paused() || self.desk.busy() > 0 || !self.queue.is_empty()
    }

    /// Heeds a pause and its end. What waited longer than a command may is then decided afresh.
    async fn look_for_pause(&mut self) {
        let (tenant, target) = (&self.place.tenant, &self.place.directory);
        let paused = match self.shared.store.is_paused(tenant, target).await {
            Ok(paused) => paused,
            Err(error) => return tracing::debug!(%error, "cannot ask whether the target is paused, asking again"),
        };
        if paused != self.is_paused() {
            let (org, site) = (tenant.as_str(), target.as_str());
            tracing::info!(rollcall.org = org, rollcall.site = site, paused, "a person paused or resumed the target");
            self.paused.store(paused, Ordering::Relaxed);
        }
    }

    fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Takes up what stands in PostgreSQL and is in nobody's hands.
    async fn look_behind(&mut self) {
        let mut oldest: Option<Time> = None;
        for lane in Lane::ALL {
            let now = self.now();
            let room = self.place.concurrency.saturating_sub(self.queue.waiting(lane));
            match left_behind(&self.shared.store, self.place, lane, &self.hands, room).await {
                Ok(found) => {
                    self.behind = self.behind || (room > 0 && found.open.len() == room);
                    oldest = oldest.into_iter().chain(found.oldest).min();
                    for one in found.open {
                        self.queue.push(Taken::new(one, now, Came::default()));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot look into the ledger for waiting commands, trying again");
                    return;
                }
            }
        }
        let age = oldest.map_or(Duration::ZERO, |made| made.until(self.now()).to_std());
        let oldest = self.shared.ages.note(self.place, age);
        metrics::process().oldest_pending_age(self.place.tenant.as_str(), "write", oldest);
    }

    /// Says what is left of the API budget.
    async fn report_budget(&self) {
        let (tenant, target) = (&self.place.tenant, &self.place.directory);
        let remaining = self.place.target.client().budget().remaining();
        if let Err(error) = self.shared.store.say_budget(tenant, target, remaining, self.now()).await {
            tracing::debug!(%error, "cannot say what is left of the API budget");
        }
    }

    fn now(&self) -> Time {
        self.place.target.client().now()
    }

    /// Lets what runs come to its end; nothing new is admitted. What waits is left for the next holder.
    async fn wind_up(&mut self) {
        while let Some(taken) = self.queue.pop(Lane::Bulk) {
            drop(self.hands.let_go(taken.open.command.id));
        }
        while self.desk.busy() > 0 {
            let Some(ran) = self.desk.ended().await else { return };
            self.note(ran);
        }
    }
}
