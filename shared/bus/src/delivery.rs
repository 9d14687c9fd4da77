//! A message that must be settled.

use std::time::Duration;

use async_nats::{
    HeaderMap,
    jetstream::{AckKind, message::Acker},
};
use contract::{DeadLetterNotice, headers};
use tracing::warn;

use crate::{Bus, BusError};

/// A message that was read and must be settled: acknowledged, retried or buried. Dropping it means retry.
#[derive(Debug)]
pub struct Delivery<T> {
    value: T,
    raw: Raw,
}

/// A message as it came, with what settles it.
pub(crate) struct Raw {
    bus: Bus,
    consumer: String,
    message: async_nats::Message,
    /// `None` once it is settled.
    acker: Option<Acker>,
    sequence: u64,
    deliveries: u64,
}

impl<T> Delivery<T> {
    pub(crate) fn new(value: T, raw: Raw) -> Self {
        Self { value, raw }
    }

    /// What was sent.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The trace that the message belongs to, as a W3C `traceparent`.
    pub fn traceparent(&self) -> Option<&str> {
        self.raw.header(headers::TRACEPARENT)
    }

    /// How often it has been delivered, this time included.
    pub fn deliveries(&self) -> u64 {
        self.raw.deliveries
    }

    /// Its place in the stream.
    pub fn sequence(&self) -> u64 {
        self.raw.sequence
    }

    /// Where it comes from: its id, its place in the stream, how often it has been delivered.
    pub fn source(&self) -> (&str, u64, u64) {
        (self.raw.header(headers::MESSAGE_ID).unwrap_or_default(), self.raw.sequence, self.raw.deliveries)
    }

    /// It is done. To be called after the commit. The server is told and not asked: should that get lost, the message
    /// comes again.
    ///
    /// # Errors
    /// When the connection is closed; the message then comes again.
    pub async fn ack(mut self) -> Result<(), BusError> {
        self.raw.settle(AckKind::Ack).await
    }

    /// It is done, and the server says that it knows: for work that costs an API call when it comes again.
    ///
    /// # Errors
    /// When the server does not confirm; the message may come again.
    pub async fn ack_surely(mut self) -> Result<(), BusError> {
        self.raw.settle_surely(AckKind::Ack).await
    }

    /// Again, not before `after`.
    ///
    /// # Errors
    /// When the connection is closed; the message then comes again in its own time.
    pub async fn retry(mut self, after: Duration) -> Result<(), BusError> {
        self.raw.settle(AckKind::Nak(Some(after))).await
    }

    /// It is being worked on: the time to settle it begins anew.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn working(&self) -> Result<(), BusError> {
        match &self.raw.acker {
            Some(acker) => acker.ack_with(AckKind::Progress).await.map_err(|error| lost(&error)),
            None => Ok(()),
        }
    }

    /// Never again: its bytes go to the dead letters with this reason, which must not hold personal data.
    ///
    /// # Errors
    /// When the server does not confirm; the message then comes again.
    pub async fn bury(self, reason: &str) -> Result<(), BusError> {
        self.raw.bury(reason).await
    }
}

impl Raw {
    pub(crate) fn new(bus: Bus, consumer: &str, message: async_nats::jetstream::Message) -> Self {
        let (sequence, deliveries) =
            message.info().map_or((0, 1), |info| (info.stream_sequence, u64::try_from(info.delivered).unwrap_or(1)));
        let (message, acker) = message.split();
        Self { bus, consumer: consumer.to_owned(), message, acker: Some(acker), sequence, deliveries }
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.message.payload
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.message.headers.as_ref().and_then(|headers| headers.get(name)).map(async_nats::HeaderValue::as_str)
    }

    /// Publishes the bytes as a dead letter under an id that stays the same, then ends the message for good.
    pub(crate) async fn bury(mut self, reason: &str) -> Result<(), BusError> {
        let notice = DeadLetterNotice {
            tenant: None,
            target: self.consumer.clone(),
            id: None,
            reason: reason.to_owned(),
            subject: self.message.subject.to_string(),
            payload: self.message.payload.to_vec(),
        };
        let subject = contract::subjects::Subject::DeadLetter { tenant: None, target: self.consumer.clone() };
        let mut sent_with = HeaderMap::new();
        if let Some(traceparent) = self.header(headers::TRACEPARENT) {
            sent_with.insert(headers::TRACEPARENT, traceparent);
        }
        let id = format!("buried/{}/{}", self.consumer, self.sequence);
        self.bus.publish_with(&subject, &id, &notice, sent_with).await?;
        self.settle_surely(AckKind::Term).await
    }

    /// Somebody else should have it, after this time.
    pub(crate) async fn give_back(mut self, after: Duration) {
        if let Err(error) = self.settle(AckKind::Nak(Some(after))).await {
            warn!(%error, "a delivery could not be given back; it comes again in its own time");
        }
    }

    async fn settle(&mut self, kind: AckKind) -> Result<(), BusError> {
        match self.acker.take() {
            Some(acker) => acker.ack_with(kind).await.map_err(|error| lost(&error)),
            None => Ok(()),
        }
    }

    async fn settle_surely(&mut self, kind: AckKind) -> Result<(), BusError> {
        match self.acker.take() {
            Some(acker) => acker.double_ack_with(kind).await.map_err(|error| lost(&error)),
            None => Ok(()),
        }
    }
}

fn lost(error: &async_nats::Error) -> BusError {
    BusError::NotAcknowledged(error.to_string())
}

impl Drop for Raw {
    fn drop(&mut self) {
        let Some(acker) = self.acker.take() else { return };
        // Without a runtime the process is ending: the message comes again when its time to settle is over.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = acker.ack_with(AckKind::Nak(None)).await {
                warn!(%error, "a delivery was dropped and could not be given back; it comes again in its own time");
            }
        });
    }
}

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Raw")
            .field("consumer", &self.consumer)
            .field("subject", &self.message.subject.as_str())
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}
