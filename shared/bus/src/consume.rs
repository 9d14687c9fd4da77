//! Taking messages in, typed, in batches of what is there.

use std::{marker::PhantomData, time::Duration};

use async_nats::jetstream::{self, consumer::pull};
use contract::{CONTRACT_VERSION, Payload, headers};
use futures_util::{FutureExt as _, StreamExt as _};
use tracing::{debug, warn};

use crate::{Bus, BusError, Delivery, Intake, delivery::Raw};

/// The server says at least this often that it is there. Twice without a word, and the consumer is opened anew.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long one pull waits at the server.
const PULL: Duration = Duration::from_secs(20);
/// How many messages one pull asks for.
const PULLED: usize = 512;
/// The pause before a consumer is opened anew; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a consumer that was dropped waits for what is still on its way.
const LINGER: Duration = Duration::from_millis(100);

/// A durable consumer that is opened when it is needed, and again whenever it is lost: when the server restarts, when
/// it forgets everything, when somebody deletes the stream.
pub struct Consumer<T> {
    bus: Bus,
    intake: Intake,
    messages: Option<pull::Stream>,
    pause: Duration,
    kind: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("durable", &self.intake.durable()).finish_non_exhaustive()
    }
}

impl Bus {
    /// Opens a durable consumer, which declares it where that is allowed.
    ///
    /// # Errors
    /// When it cannot be opened now: at start that is worth saying; later it is tried again by itself.
    pub async fn consume<T: Payload>(&self, intake: Intake) -> Result<Consumer<T>, BusError> {
        let mut consumer =
            Consumer { bus: self.clone(), intake, messages: None, pause: FIRST_PAUSE, kind: PhantomData };
        consumer.open().await?;
        Ok(consumer)
    }
}

impl<T: Payload> Consumer<T> {
    /// Waits up to `wait` for a first message and gives it with what else is there already, at most `max`. Empty: nothing
    /// came. Messages that cannot be read are buried and not given.
    ///
    /// May be cancelled at any time without losing anything.
    pub async fn next_batch(&mut self, max: usize, wait: Duration) -> Vec<Delivery<T>> {
        // A timer rounds up to the next millisecond, also from nothing: whoever will not wait must not set one.
        let first = if wait.is_zero() {
            self.first().now_or_never()
        } else {
            tokio::time::timeout(wait, self.first()).await.ok()
        };
        let Some(first) = first else { return Vec::new() };
        // No waiting from here on: whatever was taken is given.
        let mut batch: Vec<Delivery<T>> = self.read(first).into_iter().collect();
        while batch.len() < max {
            let Some(Some(Ok(message))) = self.messages.as_mut().and_then(|stream| stream.next().now_or_never()) else {
                break;
            };
            batch.extend(self.read(message));
        }
        batch
    }

    /// The next message, however often the consumer must be opened for it.
    async fn first(&mut self) -> jetstream::Message {
        loop {
            if let Some(messages) = self.messages.as_mut() {
                match messages.next().await {
                    Some(Ok(message)) => {
                        self.pause = FIRST_PAUSE;
                        return message;
                    }
                    Some(Err(error)) => debug!(%error, consumer = self.intake.durable(), "lost the consumer"),
                    None => debug!(consumer = self.intake.durable(), "the consumer ended"),
                }
                self.messages = None;
            }
            if let Err(error) = self.open().await {
                warn!(%error, "cannot open a consumer, trying again");
            }
            if self.messages.is_none() {
                tokio::time::sleep(self.pause).await;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    async fn open(&mut self) -> Result<(), BusError> {
        let consumer = self.bus.open(&self.intake).await?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(PULLED)
            .expires(PULL)
            .heartbeat(HEARTBEAT)
            .messages()
            .await
            .map_err(|error| BusError::NoConsumer {
                consumer: self.intake.durable().to_owned(),
                reason: error.to_string(),
            })?;
        self.messages = Some(messages);
        Ok(())
    }

    /// Reads one message, or buries it aside.
    fn read(&self, message: jetstream::Message) -> Option<Delivery<T>> {
        let raw = Raw::new(self.bus.clone(), self.intake.durable(), message);
        let error = match T::from_bytes(raw.payload()) {
            Ok(value) => return Some(Delivery::new(value, raw)),
            Err(error) => error,
        };
        let sent_by = raw.header(headers::CONTRACT).and_then(|version| version.parse::<u32>().ok());
        let newer = if sent_by > Some(CONTRACT_VERSION) { "; sent by a newer release" } else { "" };
        let reason = format!("{}: {error}{newer}", T::NAME);
        warn!(consumer = self.intake.durable(), %reason, "a message cannot be read and is buried");
        tokio::spawn(async move {
            if let Err(error) = raw.bury(&reason).await {
                warn!(%error, "a message that cannot be read could not be buried; it comes again");
            }
        });
        None
    }
}

impl<T> Drop for Consumer<T> {
    /// Gives back what was pulled and not taken, so that the next holder need not wait for it.
    fn drop(&mut self) {
        let Some(mut messages) = self.messages.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (bus, durable) = (self.bus.clone(), self.intake.durable().to_owned());
        runtime.spawn(async move {
            // What is on its way arrives within moments. It is given back with a delay, or it would come here again.
            while let Ok(Some(Ok(message))) = tokio::time::timeout(LINGER, messages.next()).await {
                Raw::new(bus.clone(), &durable, message).give_back(3 * LINGER).await;
            }
        });
    }
}
