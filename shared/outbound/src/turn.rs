//! The turn of a write: how urgent it is, how long it may wait, and what its requests are called.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use model::{Lane, Time};
use uuid::Uuid;

/// What the writes of one attempt have in common. Clones are the same turn.
#[derive(Debug, Clone)]
pub struct Turn {
    lane: Lane,
    by: Time,
    requests: Arc<Requests>,
}

/// The `X-Request-Id`s of one attempt.
#[derive(Debug)]
pub(crate) struct Requests {
    attempt: Uuid,
    sent: AtomicU32,
}

impl Turn {
    /// A turn in this lane. A request that still waits for the API budget at `by` is given up unsent. `attempt` is what
    /// the ledger calls the attempt: its requests bear it, so that what happened at the vendor is found in the ledger.
    pub fn new(lane: Lane, by: Time, attempt: Uuid) -> Self {
        Self { lane, by, requests: Arc::new(Requests { attempt, sent: AtomicU32::new(0) }) }
    }

    /// How urgent it is.
    pub const fn lane(&self) -> Lane {
        self.lane
    }

    pub(crate) const fn by(&self) -> Time {
        self.by
    }

    pub(crate) fn requests(&self) -> Arc<Requests> {
        Arc::clone(&self.requests)
    }
}

impl Requests {
    /// The id of the next request: the attempt's own for the first, `<attempt>.2` for the second, so that no two are
    /// called the same and each is known to the ledger before it is sent.
    pub(crate) fn next(&self) -> String {
        match self.sent.fetch_add(1, Ordering::Relaxed) {
            0 => self.attempt.to_string(),
            before => format!("{}.{}", self.attempt, before.saturating_add(1)),
        }
    }
}

/// The attempt that a request id names; `None`: no attempt's, so the request changed nothing for the ledger.
pub fn attempt_of(request_id: &str) -> Option<Uuid> {
    let (attempt, _) = request_id.split_once('.').unwrap_or((request_id, ""));
    Uuid::parse_str(attempt).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_of_an_attempt_has_a_name_of_its_own_that_leads_to_the_attempt() {
        let attempt = Uuid::from_u128(7);
        let turn = Turn::new(Lane::Normal, Time(1), attempt);
        let (first, second) = (turn.requests().next(), turn.clone().requests().next());
        assert_eq!(first, attempt.to_string());
        assert_eq!(second, format!("{attempt}.2"));
        assert_eq!((attempt_of(&first), attempt_of(&second)), (Some(attempt), Some(attempt)));
        assert_eq!(attempt_of("r-1"), None);
    }
}
