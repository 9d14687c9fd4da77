//! Names of the headers of every message.

/// The id by which the server recognizes a message that was sent twice within two minutes.
pub const MESSAGE_ID: &str = "Nats-Msg-Id";
/// The trace that the message belongs to (W3C Trace Context).
pub const TRACEPARENT: &str = "traceparent";
/// Vendor-specific additions to the trace (W3C Trace Context).
pub const TRACESTATE: &str = "tracestate";
/// The number of the contracts that the sender speaks: [`crate::CONTRACT_VERSION`].
pub const CONTRACT: &str = "Rollcall-Contract";
