//! Calls to the bus, told to whoever keeps figures and traces.

use std::time::{Duration, Instant};

use contract::{headers, subjects::Subject};
use store::Envelope;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::{Backlog, Bus, BusError, Intake, StreamName};

/// How often it is told what waits at a consumer.
const TELL_EVERY: Duration = Duration::from_secs(15);
/// A consumer that is not there yet is asked for again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// A message's stream and subject, with placeholders for ids.
type Where<'a> = (&'a str, &'a str);
/// A message's tenant and directory.
type Whose<'a> = (&'a str, &'a str);
/// A message's id, and the command that it is about; empty where there is none.
type What<'a> = (&'a str, &'a str);

/// A message's span, and the `traceparent` that the message carries.
type Published = (tracing::Span, String);
/// What makes them, from the `traceparent` that the message was made in.
type Publishing = for<'a> fn(Where<'a>, Whose<'a>, What<'a>, traceparent: Option<&'a str>) -> Option<Published>;

/// Who is told. Plain functions: this crate knows neither clocks nor registries nor tracers.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// The monotonic clock.
    pub now: fn() -> Instant,
    /// A call to a stream took so long. The error is a class, or empty.
    pub called: fn(operation: &'static str, stream: &'static str, error: &'static str, took: Duration),
    /// What a durable consumer has before it: undelivered, unsettled, delivered again; `None`: not ours any more.
    pub waits: fn(stream: &'static str, durable: &str, waiting: Option<[u64; 3]>),
    /// Whether somebody looks at spans: none is made otherwise.
    pub traced: fn() -> bool,
    /// A message is about to be published that was made in the trace of this `traceparent`. Gives its span, which ends
    /// with the server's answer, and the `traceparent` that it is to carry; `None`: it carries what it has.
    pub publishing: Publishing,
    /// What a span tells of went wrong; the error is a class.
    pub failed: fn(span: &tracing::Span, error: &str),
}

/// A batch of messages on its way.
pub(crate) struct Sending {
    seen: Option<(Seen, Instant)>,
    streams: Vec<StreamName>,
}

impl Bus {
    pub(crate) fn sending(&self) -> Sending {
        Sending { seen: self.seen.map(|seen| (seen, (seen.now)())), streams: Vec::new() }
    }

    /// Tells every so often what waits at these consumers, until `stop` fires. For whoever holds the lease of those who
    /// take from them.
    pub async fn tell_waiting(self, intakes: Vec<Intake>, stop: CancellationToken) {
        let Some(seen) = self.seen else { return };
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep_telling(seen, &intakes) => {}
        }
        for intake in &intakes {
            (seen.waits)(intake.stream().as_str(), intake.durable(), None);
        }
    }

    async fn keep_telling(&self, seen: Seen, intakes: &[Intake]) {
        loop {
            let mut pause = TELL_EVERY;
            for intake in intakes {
                match self.backlog(intake).await {
                    Ok(Backlog { pending, unsettled, redelivered }) => {
                        let waiting = Some([pending, unsettled, redelivered]);
                        (seen.waits)(intake.stream().as_str(), intake.durable(), waiting);
                    }
                    Err(error) => {
                        debug!(%error, "cannot tell what waits at the bus, asking again");
                        pause = AGAIN;
                    }
                }
            }
            tokio::time::sleep(pause).await;
        }
    }
}

impl Sending {
    /// Something goes out to this subject.
    pub(crate) fn to(&mut self, subject: &str) {
        if let Some(stream) = StreamName::of(subject).filter(|stream| !self.streams.contains(stream)) {
            self.streams.push(stream);
        }
    }

    /// A row goes out. Gives its span and the `traceparent` that it carries in the place of its own.
    pub(crate) fn row(&mut self, row: &Envelope) -> Option<Published> {
        let (seen, _) = self.seen?;
        self.to(&row.subject);
        let subject = if (seen.traced)() { Subject::parse(&row.subject)? } else { return None };
        let traceparent = row.headers.iter().find(|(name, _)| name == headers::TRACEPARENT);
        let command = ["command/", "outcome/"].iter().find_map(|prefix| row.message_id.strip_prefix(prefix));
        (seen.publishing)(
            (StreamName::of(&row.subject)?.as_str(), subject.template()),
            subject.place(),
            (&row.message_id, command.unwrap_or_default()),
            traceparent.map(|(_, value)| value.as_str()),
        )
    }

    /// A row was not acknowledged.
    pub(crate) fn failed(&self, span: Option<&tracing::Span>, error: &BusError) {
        if let (Some((seen, _)), Some(span)) = (self.seen, span) {
            (seen.failed)(span, error.class());
        }
    }

    /// All of them are through, or not.
    pub(crate) fn ended(self, error: Option<&BusError>) {
        let Some((seen, began)) = self.seen else { return };
        let took = (seen.now)().saturating_duration_since(began);
        for stream in self.streams {
            (seen.called)("publish", stream.as_str(), error.map_or("", BusError::class), took);
        }
    }
}
