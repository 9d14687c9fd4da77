//! One HTTP stack for all connectors: credentials, API budget, retry of reads, classification, spans.
//!
//! Purpose: a connector says *what* to ask; how that reaches a vendor without breaking its limits, leaking a secret or
//! guessing at an outcome is decided here, once.
//!
//! Guarantees:
//! * every call spends from a [`Budget`] that paces ahead of the vendor's limit, pauses for everybody when the vendor
//!   says so, and serves urgent calls first;
//! * a call that may have had an effect is never reported as one that had none ([`CallError`]);
//! * every request has an `X-Request-Id` of its own, one that is repeated another; those of a write lead to the attempt
//!   in the ledger ([`Turn`]);
//! * no redirect is followed, plain http goes to loopback addresses only, an answer has a largest size;
//! * no secret, address or name is in an error, in `Debug`, in a span or in a metric: spans and errors know the
//!   template of a path, never the path.
//!
//! Caveats: writes are never repeated here. Retries of writes live in one layer, the ledger.

mod answer;
mod budget;
mod client;
mod credential;
mod pacer;
mod read;
mod request;
mod retry;
mod trust;
mod turn;

pub use answer::{Answer, CallError, CallErrorKind, RETRY_AFTER_MAX, Sense, data_center_sense, default_sense};
pub use budget::{Budget, Counts, Permit};
pub use client::{Client, ClientConfig, ClientError, is_loopback};
pub use credential::{Credential, TokenError, TokenFuture, TokenSource};
pub use pacer::{Allowance, End, Limit, Pacer, PacerConfig, Poll};
pub use read::{Progress, ReadDirectory, ReadError, Scope, Silent, Stage, read_error};
pub use request::{Body, Request};
pub use reqwest::Method;
pub use retry::RetryPolicy;
pub use runtime::Clock;
pub use runtime::secret::Secret;
pub use trust::{is_safe_address, tls_config, untrusted};
pub use turn::{Turn, attempt_of};

use model::Time;

/// The present time of a clock in the words of the model.
pub fn now(clock: &Clock) -> Time {
    Time(clock.now_micros())
}
