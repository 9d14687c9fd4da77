//! How reads are repeated. Writes are not: their retries live in the ledger.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often and after which waits a read is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Most tries of a read that meets trouble, the first included.
    pub tries: u32,
    /// Most tries of a read that is throttled, the first included. The budget waits between them.
    pub tries_throttled: u32,
    /// Longest first wait.
    pub first: Duration,
    /// Longest wait of all.
    pub most: Duration,
}

impl Default for RetryPolicy {
    /// Google advises five tries within half a minute (reference/google.md §4).
    fn default() -> Self {
        Self { tries: 5, tries_throttled: 20, first: Duration::from_millis(500), most: Duration::from_secs(16) }
    }
}

impl RetryPolicy {
    /// The longest wait after so many tries; the wait itself is drawn evenly between nothing and this ("full jitter").
    pub(crate) fn longest_wait(&self, tries: u32) -> Duration {
        self.first.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(self.most)
    }

    pub(crate) const fn tries(&self, throttled: bool) -> u32 {
        if throttled { self.tries_throttled } else { self.tries }
    }
}

/// The retry budget: one retry is earned by ten good answers, so that a vendor in trouble meets at most a tenth more
/// calls than a healthy one. Twenty are given to begin with.
#[derive(Debug)]
pub(crate) struct Allowed(Mutex<u32>);

const TENTHS_MAX: u32 = 200;

impl Allowed {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(TENTHS_MAX))
    }

    /// A read went well.
    pub(crate) fn earn(&self) {
        let mut tenths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *tenths = (*tenths + 1).min(TENTHS_MAX);
    }

    /// Takes a retry, if there is one.
    pub(crate) fn spend(&self) -> bool {
        let mut tenths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = tenths.checked_sub(10);
        if let Some(left) = left {
            *tenths = left;
        }
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.longest_wait(1), Duration::from_millis(500));
        assert_eq!(policy.longest_wait(3), Duration::from_secs(2));
        assert_eq!(policy.longest_wait(40), Duration::from_secs(16));
    }

    #[test]
    fn a_vendor_in_trouble_is_not_hammered() {
        let allowed = Allowed::new();
        let spent = (0..100).filter(|_| allowed.spend()).count();
        assert_eq!(spent, 20);
        (0..9).for_each(|_| allowed.earn());
        assert!(!allowed.spend());
        allowed.earn();
        assert!(allowed.spend());
    }
}
