//! JetStream: topology, typed publish and consume, deliveries that must be settled, outbox relay.
//!
//! Purpose: a message says what changed and wakes the next service. It is never the only copy of a fact, so everything
//! here may lose its data at any moment and only gets slower by it.
//!
//! Guarantees:
//! * a [`Delivery`] is settled once: acknowledged, retried later, or buried with its bytes; dropping it means retry;
//! * bytes that cannot be read are buried, shown and never guessed at;
//! * what is committed to an outbox is published, in order where a lease says who does it ([`Relay`], [`OrderedRelay`]);
//! * streams and consumers that vanish while a service runs are declared again, where the service may declare.
//!
//! Assumptions: nats-server 2.9.10 or later, and nothing that came after 2.9 (reference/platform.md §1.3): no account
//! query, one filter per consumer, no purge by subject.

mod consume;
mod control;
mod delivery;
mod election;
mod error;
pub mod outgoing;
mod publish;
mod relay;
mod room;
mod seen;
mod topology;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::jetstream::{self, context::ContextBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use tracing::{debug, info, warn};

pub use consume::Consumer;
pub use control::{ControlRequest, ControlRequests};
pub use delivery::Delivery;
pub use error::BusError;
pub use relay::{OrderedRelay, Outlet, Relay, RelayOptions, Wake};
pub use seen::Seen;
pub use topology::{Backlog, Intake, StreamName};

/// How long an acknowledgement or an answer of the server may take. Short, so that a broker that restarts is noticed;
/// what was in flight is sent again under the same message id.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long a first connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// The longest pause between two attempts to reconnect.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// What a deployment may choose about the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusOptions {
    /// Whether this process declares streams that are missing, at start and while running. In production a bootstrap role
    /// does. Consumers are made by whoever reads by them: which there are follows the policy.
    pub declare: bool,
    /// How many servers keep each message: 1, or 3 on nats-server 2.12 and later.
    pub replicas: usize,
}

/// How we show who we are, and whom we trust. Nobody in particular, and the machine's own authorities, unless told.
#[derive(Clone, Default)]
pub struct Access {
    /// An nkey's seed, or the text of a credentials file.
    pub credentials: Option<SecretString>,
    /// TLS, where the server or the address asks for it.
    pub tls: Option<rustls::ClientConfig>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    fn show(self, options: async_nats::ConnectOptions) -> Result<async_nats::ConnectOptions, BusError> {
        let options = match self.tls {
            Some(tls) => options.tls_client_config(tls),
            None => options,
        };
        let Some(credentials) = self.credentials else { return Ok(options) };
        let text = credentials.expose_secret().trim();
        if text.contains("-----BEGIN") {
            let wrong = || BusError::Denied("the credentials file cannot be read as one".to_owned());
            return options.credentials(text).map_err(|_| wrong());
        }
        Ok(options.nkey(text.to_owned()))
    }
}

impl Default for BusOptions {
    fn default() -> Self {
        Self { declare: true, replicas: 1 }
    }
}

/// A connection that all tasks of a process share. Cheap to clone.
#[derive(Clone)]
pub struct Bus {
    inner: Arc<Inner>,
    seen: Option<Seen>,
}

struct Inner {
    client: async_nats::Client,
    jetstream: jetstream::Context,
    options: BusOptions,
    /// The stream that could not be declared when that was tried last, if it still is missing.
    trouble: Mutex<Option<StreamName>>,
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

impl Bus {
    /// Connects as `name` and declares the streams that are missing. `url` may hold several addresses, separated by
    /// commas, and a user with a password.
    ///
    /// # Errors
    /// [`BusError::Unreachable`] when no server answers within five seconds; what [`Bus::declare`] says.
    pub async fn connect(url: &str, name: &str) -> Result<Self, BusError> {
        Self::connect_with(url, name, BusOptions::default()).await
    }

    /// As [`Bus::connect`], showing who we are.
    ///
    /// # Errors
    /// As [`Bus::connect`], and [`BusError::Denied`] when the server does not let us in, or is not to be trusted.
    pub async fn connect_as(url: &str, name: &str, access: Access, options: BusOptions) -> Result<Self, BusError> {
        let begun = access.show(async_nats::ConnectOptions::new())?;
        Self::begin(url, name, begun, options).await
    }

    /// As [`Bus::connect`], with other options.
    ///
    /// # Errors
    /// As [`Bus::connect`].
    pub async fn connect_with(url: &str, name: &str, options: BusOptions) -> Result<Self, BusError> {
        Self::begin(url, name, async_nats::ConnectOptions::new(), options).await
    }

    async fn begin(
        url: &str,
        name: &str,
        begun: async_nats::ConnectOptions,
        options: BusOptions,
    ) -> Result<Self, BusError> {
        let addresses = url
            .split(',')
            .map(|address| address.trim().parse::<async_nats::ServerAddr>())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| BusError::Address)?;
        let connecting = begun
            .name(name)
            .custom_inbox_prefix(format!("_INBOX_{name}"))
            .connection_timeout(CONNECT_WITHIN)
            .request_timeout(Some(ANSWER_WITHIN))
            .ping_interval(Duration::from_secs(10))
            .reconnect_delay_callback(reconnect_pause)
            .event_callback(|event| async move { note(&event) })
            .connect(addresses);
        let client = tokio::time::timeout(CONNECT_WITHIN, connecting)
            .await
            .map_err(|_| BusError::Unreachable("no answer within five seconds".to_owned()))?
            .map_err(|error| refused(&error))?;
        let jetstream = ContextBuilder::new().timeout(ANSWER_WITHIN).ack_timeout(ANSWER_WITHIN).build(client.clone());
        let inner = Arc::new(Inner { client, jetstream, options, trouble: Mutex::default() });
        let bus = Self { inner, seen: None };
        if options.declare {
            bus.declare().await?;
        }
        Ok(bus)
    }

    /// The same, with somebody who is told about calls and messages.
    #[must_use]
    pub fn seen_by(mut self, seen: Seen) -> Self {
        self.seen = Some(seen);
        self
    }

    /// Proves that the server answers, and that no stream is missing that could not be declared when it was needed: for
    /// readiness.
    ///
    /// # Errors
    /// When it does not within two seconds; why a stream cannot be declared.
    pub async fn ping(&self) -> Result<(), BusError> {
        match tokio::time::timeout(ANSWER_WITHIN, self.inner.client.flush()).await {
            Ok(Ok(())) if self.is_connected() => {}
            Ok(Err(error)) => return Err(BusError::Unreachable(error.to_string())),
            _ => return Err(BusError::Unreachable("the connection is down".to_owned())),
        }
        let trouble = *self.inner.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(stream) => self.declare_stream(stream).await,
            None => Ok(()),
        }
    }

    /// Remembers that a stream could not be declared, or that it could.
    pub(crate) fn note_trouble(&self, stream: StreamName, failed: bool) {
        let mut trouble = self.inner.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if failed {
            *trouble = Some(stream);
        } else if *trouble == Some(stream) {
            *trouble = None;
        }
    }

    /// Whether the connection is up now.
    pub fn is_connected(&self) -> bool {
        self.inner.client.connection_state() == async_nats::connection::State::Connected
    }

    /// Sends what is buffered and closes the connection.
    ///
    /// # Errors
    /// When the server is gone; nothing is lost by that.
    pub async fn close(&self) -> Result<(), BusError> {
        self.inner.client.drain().await.map_err(|error| BusError::Unreachable(error.to_string()))
    }

    pub(crate) fn jetstream(&self) -> &jetstream::Context {
        &self.inner.jetstream
    }

    pub(crate) fn client(&self) -> &async_nats::Client {
        &self.inner.client
    }

    pub(crate) fn options(&self) -> BusOptions {
        self.inner.options
    }
}

/// Whether nobody answers, or somebody does who does not let us in.
fn refused(error: &async_nats::ConnectError) -> BusError {
    use async_nats::ConnectErrorKind::{Authentication, AuthorizationViolation, Tls};
    let text = error.to_string();
    match error.kind() {
        Authentication | AuthorizationViolation | Tls => BusError::Denied(text),
        // What the server thinks of our certificate comes when the connection seems to be made already.
        _ if text.contains("fatal alert") || text.contains("invalid peer certificate") => BusError::Denied(text),
        _ => BusError::Unreachable(text),
    }
}

/// The first attempt at once, then 50 ms and doubling.
fn reconnect_pause(attempt: usize) -> Duration {
    let doubled = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
    if attempt == 0 { Duration::ZERO } else { (Duration::from_millis(50) * 2_u32.pow(doubled)).min(RECONNECT_PAUSE) }
}

/// What happens to the connection, for the log. Missing permissions arrive only here.
fn note(event: &async_nats::Event) {
    match event {
        async_nats::Event::Connected => info!("connected to nats"),
        async_nats::Event::Disconnected => warn!("the connection to nats is lost, reconnecting"),
        async_nats::Event::ServerError(error) => {
            warn!(%error, "nats refused something: check this service's permissions");
        }
        other => debug!(event = %other, "nats"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reconnecting_is_tried_at_once_and_then_ever_less_often() {
        let pauses: Vec<_> = [0, 1, 2, 3, 6, 100].map(reconnect_pause).into();
        let millis: Vec<_> = pauses.iter().map(Duration::as_millis).collect();
        assert_eq!(millis, [0, 50, 100, 200, 1000, 1000]);
    }
}
