//! Why bytes are not a message of ours.

/// Why bytes could not be read. None of these is worth another try: the bytes are buried and shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// They are no protobuf message of this kind.
    #[error("the bytes are not a {message}: {reason}")]
    Bytes {
        /// Of which kind.
        message: &'static str,
        /// What protobuf says.
        reason: String,
    },
    /// A field that must be there is not, or is UNSPECIFIED.
    #[error("{field} is missing: the sender forgot it or is newer than this release")]
    Missing {
        /// Which.
        field: &'static str,
    },
    /// An enum has a value that this release does not know.
    #[error("{field} has the value {value}, which this release does not know: update this service, then redrive")]
    UnknownValue {
        /// Which.
        field: &'static str,
        /// The value.
        value: i32,
    },
    /// A text is no id.
    #[error("{field}: {source}")]
    Id {
        /// Which.
        field: &'static str,
        /// Why.
        source: model::IdError,
    },
    /// A digest or UUID has another length.
    #[error("{field} has {found} bytes instead of {wanted}")]
    Length {
        /// Which.
        field: &'static str,
        /// How many there are.
        found: usize,
        /// How many there must be.
        wanted: usize,
    },
}
