//! Publishing, with message id, contract version and a window of unacknowledged messages.

use std::collections::VecDeque;

use async_nats::{
    HeaderMap,
    jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind},
};
use contract::{CONTRACT_VERSION, Payload, headers, subjects::Subject};
use store::Envelope;

use crate::{Bus, BusError, StreamName};

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
        let ack = self
            .jetstream()
            .publish_with_headers(subject.to_string(), sent_with, value.to_bytes().into())
            .await
            .map_err(|error| refused(&error))?;
        ack.await.map(|_| ()).map_err(|error| refused(&error))
    }

    /// Publishes rows of an outbox one after the other, without waiting for each. `in_order`: only those before the
    /// first failure count as acknowledged, so that whoever sends the rest again does not send them out of order.
    pub(crate) async fn publish_rows(&self, rows: &[Envelope], in_order: bool) -> Sent {
        let mut sent = Sent::default();
        let mut window: VecDeque<(i64, PublishAckFuture)> = VecDeque::with_capacity(WINDOW);
        for row in rows {
            if window.len() == WINDOW
                && let Some((id, ack)) = window.pop_front()
            {
                sent.note(id, ack.await, in_order);
            }
            if sent.error.is_some() {
                break;
            }
            let message =
                self.jetstream().publish_with_headers(row.subject.clone(), header_map(row), row.payload.clone().into());
            match message.await {
                Ok(ack) => window.push_back((row.id, ack)),
                Err(error) => sent.fail(&error),
            }
        }
        for (id, ack) in window {
            sent.note(id, ack.await, in_order);
        }
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
    fn note<A>(&mut self, id: i64, ack: Result<A, PublishError>, in_order: bool) {
        match ack {
            Ok(_) if self.error.is_none() || !in_order => self.acknowledged.push(id),
            Ok(_) => {}
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &PublishError) {
        self.error.get_or_insert(refused(error));
    }
}

fn header_map(row: &Envelope) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in &row.headers {
        map.insert(name.as_str(), value.as_str());
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
