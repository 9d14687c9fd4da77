//! Publishing, with message id, contract version and a window of unacknowledged messages.

use std::collections::VecDeque;

use async_nats::{
    HeaderMap,
    jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind},
};
use contract::{CONTRACT_VERSION, Payload, headers, subjects::Subject};
use store::Envelope;
use tracing::Span;

use crate::{Bus, BusError, StreamName, seen::Sending};

/// How many messages may wait for their acknowledgement at once. A permit of the client is freed only when an
/// acknowledgement is awaited, so they are awaited as the window moves.
const WINDOW: usize = 256;

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// The rows that the server has acknowledged.
    pub(crate) acknowledged: Vec<i64>,
    /// Why others were not.
    pub(crate) error: Option<BusError>,
}

impl Bus {
    /// Publishes one message and waits for its acknowledgement. `id` is what the server knows duplicates by.
    ///
    /// # Errors
    /// When it was not acknowledged; publishing it again under the same id is harmless.
    pub async fn publish<T: Payload>(&self, subject: &Subject, id: &str, value: &T) -> Result<(), BusError> {
        self.publish_with(subject, id, value, HeaderMap::new()).await
    }

    pub(crate) async fn publish_with<T: Payload>(
        &self,
        subject: &Subject,
        id: &str,
        value: &T,
        mut sent_with: HeaderMap,
    ) -> Result<(), BusError> {
        sent_with.insert(headers::MESSAGE_ID, id);
        sent_with.insert(headers::CONTRACT, CONTRACT_VERSION.to_string().as_str());
        let (subject, mut sending) = (subject.to_string(), self.sending());
        sending.to(&subject);
        let message = self.jetstream().publish_with_headers(subject, sent_with, value.to_bytes().into());
        let acknowledged = match message.await {
            Ok(ack) => ack.await.map(|_| ()),
            Err(error) => Err(error),
        };
        let result = acknowledged.map_err(|error| refused(&error));
        sending.ended(result.as_ref().err());
        result
    }

    /// Publishes rows of an outbox one after the other, without waiting for each. `in_order`: only those before the
    /// first failure count as acknowledged, so that whoever sends the rest again does not send them out of order.
    pub(crate) async fn publish_rows(&self, rows: &[Envelope], in_order: bool) -> Sent {
        let (mut sent, mut sending) = (Sent::default(), self.sending());
        let mut window: VecDeque<(i64, PublishAckFuture, Option<Span>)> = VecDeque::with_capacity(WINDOW);
        for row in rows {
            if window.len() == WINDOW
                && let Some((id, ack, span)) = window.pop_front()
            {
                sent.note(id, ack.await, in_order, &sending, span.as_ref());
            }
            if sent.error.is_some() {
                break;
            }
            let (span, carried) = sending.row(row).unzip();
            let sent_with = header_map(row, carried.as_deref());
            let message =
                self.jetstream().publish_with_headers(row.subject.clone(), sent_with, row.payload.clone().into());
            match message.await {
                Ok(ack) => window.push_back((row.id, ack, span)),
                Err(error) => sent.fail(&error, &sending, span.as_ref()),
            }
        }
        for (id, ack, span) in window {
            sent.note(id, ack.await, in_order, &sending, span.as_ref());
        }
        sending.ended(sent.error.as_ref());
        sent
    }

    /// Declares the streams anew when a message found none; anything else mends itself.
    pub(crate) async fn mend(&self, error: &BusError) {
        if self.options().declare && matches!(error, BusError::NoSubject(_)) {
            for stream in StreamName::ALL {
                if let Err(error) = self.declare_stream(stream).await {
                    tracing::warn!(%error, "cannot declare a stream, trying again");
                }
            }
        }
    }
}

impl Sent {
    fn note<A>(
        &mut self,
        id: i64,
        ack: Result<A, PublishError>,
        in_order: bool,
        sending: &Sending,
        span: Option<&Span>,
    ) {
        match ack {
            Ok(_) if self.error.is_none() || !in_order => self.acknowledged.push(id),
            Ok(_) => {}
            Err(error) => self.fail(&error, sending, span),
        }
    }

    fn fail(&mut self, error: &PublishError, sending: &Sending, span: Option<&Span>) {
        let error = refused(error);
        sending.failed(span, &error);
        self.error.get_or_insert(error);
    }
}

/// The headers of a row, with another `traceparent` where one is given.
fn header_map(row: &Envelope, traceparent: Option<&str>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in &row.headers {
        map.insert(name.as_str(), value.as_str());
    }
    if let Some(traceparent) = traceparent {
        map.insert(headers::TRACEPARENT, traceparent);
    }
    map.insert(headers::MESSAGE_ID, row.message_id.as_str());
    map
}

fn refused(error: &PublishError) -> BusError {
    let text = error.to_string();
    match error.kind() {
        PublishErrorKind::StreamNotFound => BusError::NoSubject(text),
        // Server codes 10077 (messages, bytes) and 10047 (storage).
        _ if text.contains("maximum bytes") || text.contains("insufficient storage") => BusError::Full,
        _ => BusError::NotAcknowledged(text),
    }
}
