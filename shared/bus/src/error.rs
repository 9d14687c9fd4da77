//! Why the bus did not do what it was asked to.

/// Why the bus did not do what it was asked to. Nothing is lost by any of these: the truth is in the database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// The address cannot be read.
    #[error("not an address of nats: write nats://host:port, several separated by commas")]
    Address,
    /// No server answers.
    #[error("nats cannot be reached ({0}): start it, or correct its address")]
    Unreachable(String),
    /// A server answers and does not let us in, or is not who it should be.
    #[error("nats does not let us in ({0})")]
    Denied(String),
    /// A stream is missing, and this process may not declare it or could not.
    #[error(
        "the stream {stream} is missing and could not be declared ({reason}): run the bootstrap, or allow declaring"
    )]
    NoStream {
        /// Which.
        stream: &'static str,
        /// What the server says.
        reason: String,
    },
    /// The server has no room for a stream, however small.
    #[error(
        "nats has no room for the stream {stream} ({reason}): the streams need at least {} MB on its disk", needs >> 20
    )]
    NoRoom {
        /// Which.
        stream: &'static str,
        /// What all streams need at least, in bytes.
        needs: i64,
        /// What the server says.
        reason: String,
    },
    /// A consumer could not be declared or found.
    #[error(
        "the consumer {consumer} could not be opened ({reason}): may this user make and read consumers of its stream?"
    )]
    NoConsumer {
        /// Which.
        consumer: String,
        /// What the server says.
        reason: String,
    },
    /// No stream holds this subject now.
    #[error("no stream takes {0}: it was deleted, or the server is being elected")]
    NoSubject(String),
    /// The stream has reached its cap and refuses: its readers are behind.
    #[error("the stream is full: its readers are behind, or its cap is too low")]
    Full,
    /// The server did not acknowledge in time. The message may be there.
    #[error("nats did not acknowledge: {0}")]
    NotAcknowledged(String),
    /// Nobody answered a request.
    #[error("no service answers: is it running?")]
    NoService,
}

impl BusError {
    /// The kind of error in one word, for figures.
    pub(crate) const fn class(&self) -> &'static str {
        match self {
            Self::Address | Self::Unreachable(_) => "unreachable",
            Self::Denied(_) => "denied",
            Self::NoStream { .. } | Self::NoRoom { .. } | Self::NoSubject(_) => "no_stream",
            Self::NoConsumer { .. } => "no_consumer",
            Self::Full => "full",
            Self::NotAcknowledged(_) => "not_acknowledged",
            Self::NoService => "no_service",
        }
    }
}
