//! What every played API shares: time, quotas, lag, faults, counters, credentials and the one way to answer a call.

pub mod answer;
pub mod call;
pub mod clock;
pub mod count;
pub mod credentials;
pub mod fault;
pub mod lag;
pub mod page;
pub mod quota;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use answer::Answer;
pub use call::{Call, Dialect, View, run};
pub use clock::{Clock, Millis};
pub use count::Counters;
pub use credentials::Credentials;
pub use fault::{Fault, FaultKind, Faults};
pub use lag::{LagTable, Lagged};
pub use quota::{Bucket, Decision, Limit, Quotas};

/// The parts of the twin that are not the world. Each guards itself, so that a request never holds two of them.
#[derive(Debug, Default)]
pub struct Engine {
    /// The time that lag, quotas and token expiry go by.
    pub clock: Clock,
    /// Token buckets and concurrency limits.
    pub quota: Quotas,
    /// Faults that an operator injected.
    pub faults: Faults,
    /// How long writes stay unseen and answers take, per family.
    pub lag: LagTable,
    /// Calls, throttled answers and concurrency, per family and operation.
    pub counters: Counters,
    credentials: Mutex<Credentials>,
}

impl Engine {
    /// Who may call: service accounts, OAuth clients, access tokens and Atlassian's keys.
    pub fn credentials(&self) -> MutexGuard<'_, Credentials> {
        locked(&self.credentials)
    }
}

/// Locks, also after a panic elsewhere: the twin's state is plain data and stays usable.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
