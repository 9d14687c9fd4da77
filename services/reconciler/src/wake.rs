//! What ends the wait for the next turn: a directory's event, an outcome, a person, the tick.

use std::time::Duration;

use bus::{Consumer, ControlRequest, Delivery, Intake, StreamName};
use contract::{DirectoryEvent, subjects};
use model::{CommandId, DirectoryId, Outcome, TenantId};
use runtime::spans::{self, Cause, Messages, Whose};
use tokio::{sync::mpsc, time::Instant};

use crate::Shared;

/// How many deliveries one turn takes in.
const MOST: usize = 2_048;
/// Outcomes are gathered for so long: an event waits for one turn over many of them, not for one over each.
const GATHER: Duration = Duration::from_millis(20);
/// A consumer that cannot be opened is tried again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// Why a turn is taken, with what is to be acknowledged after it.
#[derive(Debug, Default)]
pub(crate) struct Woken {
    pub(crate) events: Vec<Delivery<DirectoryEvent>>,
    pub(crate) outcomes: Vec<Delivery<Outcome>>,
    pub(crate) tick: bool,
    pub(crate) requests: Vec<ControlRequest>,
}

impl Woken {
    /// In one word, for reports.
    pub(crate) fn why(&self) -> &'static str {
        match self {
            Self { events, .. } if !events.is_empty() => "event",
            Self { outcomes, .. } if !outcomes.is_empty() => "outcome",
            Self { requests, .. } if !requests.is_empty() => "request",
            _ => "tick",
        }
    }

    /// The commands that outcomes came of.
    pub(crate) fn outcome_of(&self) -> Vec<CommandId> {
        self.outcomes.iter().map(|delivery| delivery.value().command).collect()
    }

    /// Whether an outcome tells of trouble: then there may be a letter that stands in the way.
    pub(crate) fn trouble(&self) -> bool {
        let well = |outcome: &Outcome| outcome.result.holds() && outcome.edges.iter().all(|edge| edge.result.holds());
        !self.outcomes.iter().all(|delivery| well(delivery.value()))
    }

    /// The versions that events announced.
    pub(crate) fn versions(&self) -> Vec<(DirectoryId, u64)> {
        let events = self.events.iter().map(Delivery::value);
        events.map(|event| (event.directory.clone(), event.version)).collect()
    }

    /// Whether the turn looks for everything by itself: at each tick, and when neither events nor outcomes woke it.
    pub(crate) const fn looks_itself(&self) -> bool {
        self.tick || !self.requests.is_empty() || (self.events.is_empty() && self.outcomes.is_empty())
    }

    /// The streams that what came is from.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &'static str> {
        let events = (!self.events.is_empty()).then_some(StreamName::Directory);
        let outcomes = (!self.outcomes.is_empty()).then_some(StreamName::Outcome);
        events.into_iter().chain(outcomes).map(StreamName::as_str)
    }

    /// The turn's span: a child of what woke it if that is one trace, else linked to all of them. Where events and
    /// outcomes came together it is named by the events. `None`: no message woke it, and what it comes of is what it finds.
    pub(crate) fn span(&self, tenant: &TenantId) -> Option<tracing::Span> {
        let events = self.events.iter().filter_map(Delivery::traceparent);
        let outcomes = self.outcomes.iter().filter_map(Delivery::traceparent);
        let mut traces: Vec<&str> = events.chain(outcomes).collect();
        traces.sort_unstable();
        traces.dedup();
        let (count, intake, template) = if self.events.is_empty() {
            (self.outcomes.len(), Intake::outcomes(tenant), subjects::OUTCOME)
        } else {
            (self.events.len() + self.outcomes.len(), Intake::directory_events(tenant), subjects::DIRECTORY)
        };
        let event = self.events.first().map(|event| (event.source(), &event.value().directory));
        let outcome = self.outcomes.first().map(|outcome| (outcome.source(), &outcome.value().target));
        let (source, site) = event.or(outcome)?;
        let mut messages = Messages {
            stream: intake.stream().as_str(),
            template,
            group: intake.durable(),
            count,
            ..Messages::default()
        };
        let mut whose = Whose::of(tenant.as_str(), "");
        if count == 1 {
            (messages.id, messages.sequence, messages.deliveries) = source;
            site.as_str().clone_into(&mut whose.site);
        }
        Some(spans::process(&messages, whose, Cause::Flows(&traces)))
    }

    /// Acknowledges everything; what gets lost comes again and finds nothing to do.
    pub(crate) async fn settle(self) {
        let (events, outcomes) = (self.events.len(), self.outcomes.len());
        let _acknowledging = [
            spans::ack(StreamName::Directory.as_str(), subjects::DIRECTORY, events),
            spans::ack(StreamName::Outcome.as_str(), subjects::OUTCOME, outcomes),
        ];
        for delivery in self.events {
            said(delivery.ack().await);
        }
        for delivery in self.outcomes {
            said(delivery.ack().await);
        }
    }
}

fn said(result: Result<(), bus::BusError>) {
    if let Err(error) = result {
        tracing::debug!(%error, "an acknowledgement got lost; the message comes again");
    }
}

/// The places that a tenant's wake-ups come from.
pub(crate) struct Alarm {
    events: Source<DirectoryEvent>,
    outcomes: Source<Outcome>,
    /// Outcomes that came, and until when they are gathered.
    gathered: Vec<Delivery<Outcome>>,
    gather_until: Instant,
    requests: mpsc::Receiver<ControlRequest>,
    tick: tokio::time::Interval,
}

/// A consumer, opened when it can be.
struct Source<T> {
    bus: bus::Bus,
    intake: Intake,
    consumer: Option<Consumer<T>>,
}

impl<T: contract::Payload> Source<T> {
    /// The next deliveries; never empty. Cancel-safe.
    async fn next(&mut self) -> Vec<Delivery<T>> {
        loop {
            match &mut self.consumer {
                Some(consumer) => {
                    let batch = consumer.next_batch(MOST, Duration::from_mins(1)).await;
                    if !batch.is_empty() {
                        return batch;
                    }
                }
                None => match self.bus.consume(self.intake.clone()).await {
                    Ok(consumer) => self.consumer = Some(consumer),
                    Err(error) => {
                        tracing::warn!(%error, "cannot listen yet; the tick does for now");
                        tokio::time::sleep(AGAIN).await;
                    }
                },
            }
        }
    }

    /// What is there already.
    async fn rest(&mut self) -> Vec<Delivery<T>> {
        match &mut self.consumer {
            Some(consumer) => consumer.next_batch(MOST, Duration::ZERO).await,
            None => Vec::new(),
        }
    }
}

impl Alarm {
    /// Listens for a tenant. Nothing here fails: what cannot be heard is found by the tick.
    pub(crate) fn set(shared: &Shared, tenant: &TenantId, over: &tokio_util::sync::CancellationToken) -> Self {
        let source = |intake| (shared.bus.clone(), intake);
        let (bus, intake) = source(Intake::directory_events(tenant));
        let events = Source { bus, intake, consumer: None };
        let (bus, intake) = source(Intake::outcomes(tenant));
        let outcomes = Source { bus, intake, consumer: None };
        let (sender, requests) = mpsc::channel(64);
        for verb in ["wake", "pause", "resume", "sync", "apply"] {
            shared.shutdown.spawn(hear(shared.bus.clone(), tenant.clone(), verb, sender.clone(), over.clone()));
        }
        let mut tick = tokio::time::interval(shared.options.tick);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let gather_until = runtime::clock::monotonic().into();
        Self { events, outcomes, gathered: Vec::new(), gather_until, requests, tick }
    }

    /// Waits for something to do, and takes everything that waits with it, but for outcomes that are still gathered.
    pub(crate) async fn next(&mut self) -> Woken {
        let mut woken = Woken::default();
        while woken.events.is_empty() && woken.requests.is_empty() && !woken.tick && !self.has_gathered() {
            tokio::select! {
                batch = self.events.next() => woken.events = batch,
                batch = self.outcomes.next() => self.gather(batch),
                Some(request) = self.requests.recv() => woken.requests.push(request),
                _ = self.tick.tick() => woken.tick = true,
                () = tokio::time::sleep_until(self.gather_until), if !self.gathered.is_empty() => {}
            }
        }
        if woken.events.is_empty() {
            woken.events = self.events.rest().await;
        }
        while let Ok(request) = self.requests.try_recv() {
            woken.requests.push(request);
        }
        if woken.tick || !woken.requests.is_empty() || self.has_gathered() {
            woken.outcomes = std::mem::take(&mut self.gathered);
            woken.outcomes.extend(self.outcomes.rest().await);
        }
        woken
    }

    fn gather(&mut self, batch: Vec<Delivery<Outcome>>) {
        if self.gathered.is_empty() {
            self.gather_until = Instant::from(runtime::clock::monotonic()) + GATHER;
        }
        self.gathered.extend(batch);
    }

    /// Whether outcomes wait that are not to wait any longer.
    fn has_gathered(&self) -> bool {
        let long = || Instant::from(runtime::clock::monotonic()) >= self.gather_until;
        !self.gathered.is_empty() && (self.gathered.len() >= MOST || long())
    }
}

/// Passes requests of one verb on until the tenure is over.
async fn hear(
    bus: bus::Bus,
    tenant: TenantId,
    verb: &'static str,
    sender: mpsc::Sender<ControlRequest>,
    over: tokio_util::sync::CancellationToken,
) {
    loop {
        match bus.serve(&tenant, verb, "reconciler").await {
            Ok(mut requests) => loop {
                let request = tokio::select! {
                    () = over.cancelled() => return,
                    request = requests.next() => request,
                };
                let Some(request) = request else { break };
                if sender.send(request).await.is_err() {
                    return;
                }
            },
            Err(error) => tracing::warn!(%error, verb, "cannot listen for requests, trying again"),
        }
        tokio::select! {
            () = over.cancelled() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}
