//! Streams and consumers (DESIGN §4.1).
//!
//! Limits retention, because work-queue retention leaves acknowledged messages behind on 2.9 after leader changes; a cap and
//! `discard new`, so that a full stream pushes back instead of forgetting. Ages are short: what nobody has read by then is
//! published again from its outbox.

use std::time::Duration;

use async_nats::jetstream::{
    consumer::{self, AckPolicy, DeliverPolicy, PullConsumer, ReplayPolicy},
    stream::{self, DiscardPolicy, RetentionPolicy, StorageType},
};
use contract::subjects;
use model::{DirectoryId, Lane, TenantId};

use crate::{
    Bus, BusError,
    election::{consumer_passes, outlast},
};

/// A stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamName {
    /// Directory events and requests to verify.
    Directory,
    /// Commands.
    Command,
    /// Outcomes.
    Outcome,
    /// Dead letters.
    DeadLetter,
}

impl StreamName {
    /// All streams.
    pub const ALL: [Self; 4] = [Self::Directory, Self::Command, Self::Outcome, Self::DeadLetter];

    /// The name at the server.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "ROLLCALL_DIRECTORY",
            Self::Command => "ROLLCALL_COMMAND",
            Self::Outcome => "ROLLCALL_OUTCOME",
            Self::DeadLetter => "ROLLCALL_DEADLETTER",
        }
    }

    /// The stream that holds a subject of ours.
    pub(crate) fn of(subject: &str) -> Option<Self> {
        let verb = subject.strip_prefix(subjects::PREFIX)?.strip_prefix('.')?.split('.').next()?;
        match verb {
            "directory" | "verify" => Some(Self::Directory),
            "command" => Some(Self::Command),
            "outcome" => Some(Self::Outcome),
            "deadletter" => Some(Self::DeadLetter),
            _ => None,
        }
    }

    fn subjects(self) -> Vec<String> {
        match self {
            Self::Directory => subjects::all_directory(),
            Self::Command => subjects::all_commands(),
            Self::Outcome => subjects::all_outcomes(),
            Self::DeadLetter => subjects::all_dead_letters(),
        }
    }

    const fn age(self) -> Duration {
        match self {
            Self::Directory | Self::Command | Self::Outcome => Duration::from_hours(1),
            Self::DeadLetter => Duration::from_hours(90 * 24),
        }
    }

    /// The full cap; see `room` for disks that are too small for it.
    pub(crate) const fn bytes(self) -> i64 {
        match self {
            Self::Directory => 1 << 30,
            Self::Command | Self::Outcome => 2 << 30,
            Self::DeadLetter => 256 << 20,
        }
    }

    pub(crate) fn config(self, replicas: usize) -> stream::Config {
        stream::Config {
            name: self.as_str().to_owned(),
            subjects: self.subjects(),
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            discard: DiscardPolicy::New,
            max_age: self.age(),
            max_bytes: self.bytes(),
            max_messages: -1,
            max_messages_per_subject: -1,
            max_consumers: -1,
            num_replicas: replicas,
            duplicate_window: Duration::from_mins(2),
            ..stream::Config::default()
        }
    }
}

/// What one durable consumer takes in: one filter of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intake {
    stream: StreamName,
    durable: String,
    filter: String,
    window: i64,
    settle_within: Duration,
}

impl Intake {
    /// What a tenant's reconciler hears of directories.
    pub fn directory_events(tenant: &TenantId) -> Self {
        Self::new(StreamName::Directory, format!("reconciler-{tenant}"), subjects::directory_events(tenant))
    }

    /// What a tenant's reconciler hears of commands.
    pub fn outcomes(tenant: &TenantId) -> Self {
        Self::new(StreamName::Outcome, format!("reconciler-{tenant}"), subjects::outcomes(tenant))
    }

    /// What a directory's watcher is asked to read.
    pub fn verify(tenant: &TenantId, directory: &DirectoryId) -> Self {
        let filter = subjects::Subject::Verify { tenant: tenant.clone(), directory: directory.clone() };
        Self::new(StreamName::Directory, format!("watcher-{tenant}_{directory}"), filter.to_string())
    }

    /// What a target's writer does, one lane of it.
    pub fn commands(tenant: &TenantId, target: &DirectoryId, lane: Lane) -> Self {
        let filter = subjects::Subject::Command { tenant: tenant.clone(), target: target.clone(), lane };
        // Ids may hold hyphens: only a character that they cannot hold tells `a-b` + `c` from `a` + `b-c`.
        let durable = format!("writer-{tenant}_{target}_{}", lane.as_str());
        Self::new(StreamName::Command, durable, filter.to_string())
    }

    fn new(stream: StreamName, durable: String, filter: String) -> Self {
        Self { stream, durable, filter, window: 2048, settle_within: Duration::from_secs(30) }
    }

    /// At most this many deliveries are unsettled at once. 2,048 unless told.
    #[must_use]
    pub const fn window(mut self, window: i64) -> Self {
        self.window = window;
        self
    }

    /// A delivery that is not settled within this time comes again. 30 s unless told.
    #[must_use]
    pub const fn settle_within(mut self, time: Duration) -> Self {
        self.settle_within = time;
        self
    }

    /// The consumer's name at the server.
    pub fn durable(&self) -> &str {
        &self.durable
    }

    /// Which stream it reads.
    pub const fn stream(&self) -> StreamName {
        self.stream
    }

    fn config(&self, replicas: usize) -> consumer::pull::Config {
        consumer::pull::Config {
            durable_name: Some(self.durable.clone()),
            filter_subject: self.filter.clone(),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            replay_policy: ReplayPolicy::Instant,
            ack_wait: self.settle_within,
            // A message is given up by us, with its bytes, and never by the server, without a word.
            max_deliver: 1_000_000,
            max_ack_pending: self.window,
            num_replicas: replicas,
            ..consumer::pull::Config::default()
        }
    }
}

/// What a durable consumer has before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Messages that were not delivered yet.
    pub pending: u64,
    /// Deliveries that are not settled.
    pub unsettled: u64,
    /// Of these, how many were delivered more than once.
    pub redelivered: u64,
}

impl Bus {
    /// What a durable consumer has before it, for metrics.
    ///
    /// # Errors
    /// [`BusError::NoConsumer`] when there is no such consumer, or no answer.
    pub async fn backlog(&self, intake: &Intake) -> Result<Backlog, BusError> {
        let found: Result<PullConsumer, _> =
            self.jetstream().get_consumer_from_stream(&intake.durable, intake.stream.as_str()).await;
        let consumer = found
            .map_err(|error| BusError::NoConsumer { consumer: intake.durable.clone(), reason: error.to_string() })?;
        let info = consumer.cached_info();
        Ok(Backlog {
            pending: info.num_pending,
            unsettled: u64::try_from(info.num_ack_pending).unwrap_or(0),
            redelivered: u64::try_from(info.num_redelivered).unwrap_or(0),
        })
    }

    /// Declares every stream that is missing. One that exists is left as it is: an operator may have changed its cap.
    ///
    /// # Errors
    /// [`BusError::NoStream`] when the server refuses or does not answer, [`BusError::NoRoom`] when its disk is too
    /// small even for small streams. [`Bus::ping`] goes on saying so until they are there.
    pub async fn declare(&self) -> Result<(), BusError> {
        for stream in StreamName::ALL {
            self.declare_stream(stream).await?;
        }
        Ok(())
    }

    pub(crate) async fn declare_stream(&self, stream: StreamName) -> Result<(), BusError> {
        let declared = match self.declare_of(stream, stream.bytes()).await {
            Err(BusError::NoRoom { .. }) => self.declare_small().await,
            other => other,
        };
        self.note_trouble(stream, declared.is_err());
        declared
    }

    /// Opens the consumer; makes it, and its stream where that is allowed, if it is missing.
    pub(crate) async fn open(&self, intake: &Intake) -> Result<PullConsumer, BusError> {
        let stream = intake.stream.as_str();
        let missing = |reason: String| BusError::NoConsumer { consumer: intake.durable.clone(), reason };
        if self.options().declare {
            self.declare_stream(intake.stream).await?;
        }
        let config = intake.config(self.options().replicas);
        outlast(
            || self.jetstream().create_consumer_on_stream(config.clone(), stream),
            |error| consumer_passes(&error.kind()),
        )
        .await
        .map_err(|error| missing(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn two_targets_never_share_a_consumer() {
        let id = |text: &str| DirectoryId::new(text).unwrap();
        let one = Intake::commands(&TenantId::new("a-b").unwrap(), &id("c"), Lane::Urgent);
        let other = Intake::commands(&TenantId::new("a").unwrap(), &id("b-c"), Lane::Urgent);
        assert_ne!(one.durable(), other.durable());
    }

    #[test]
    fn each_stream_holds_what_is_told_from_its_subject() {
        for stream in StreamName::ALL {
            for subject in stream.subjects() {
                assert_eq!(StreamName::of(&subject), Some(stream), "{subject}");
            }
        }
        assert_eq!(StreamName::of("rollcall.v1.control.acme.sync"), None);
    }

    #[test]
    fn all_streams_together_fit_into_eight_gigabytes() {
        assert!(StreamName::ALL.iter().map(|stream| stream.bytes()).sum::<i64>() < 8 << 30);
    }
}
