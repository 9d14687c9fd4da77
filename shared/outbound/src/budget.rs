//! The API budget: the pacer with a clock, shared by everybody who calls one API as one credential.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Lane, Time};
use runtime::Clock;
use tokio::sync::Notify;

use crate::pacer::{Allowance, End, Limit, Pacer, PacerConfig, Poll};

/// Calls per time of one API, shared between lanes: urgent first, with a reserve of 2 %.
#[derive(Debug)]
pub struct Budget {
    name: String,
    clock: Clock,
    pacer: Mutex<Pacer>,
    changed: Notify,
    calls: AtomicU64,
    throttled: AtomicU64,
}

/// What was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Calls that were let go.
    pub calls: u64,
    /// Calls that the vendor refused because there were too many.
    pub throttled: u64,
}

/// A call that may go. Dropping it gives its place back; [`Permit::settle`] says how it ended.
#[derive(Debug)]
pub struct Permit {
    budget: Arc<Budget>,
    began: Time,
    end: End,
}

impl Budget {
    /// A budget. `name` is what metrics call the API (`google`, `atlassian-org`).
    pub fn new(name: &str, config: &PacerConfig, clock: Clock) -> Arc<Self> {
        let pacer = Pacer::new(config, crate::now(&clock));
        Arc::new(Self {
            name: name.to_owned(),
            clock,
            pacer: Mutex::new(pacer),
            changed: Notify::new(),
            calls: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
        })
    }

    /// A budget of stated limits.
    pub fn declared(
        name: &str,
        limits: Vec<Allowance>,
        share_percent: u8,
        concurrency: u32,
        clock: Clock,
    ) -> Arc<Self> {
        let config = PacerConfig { limit: Limit::Declared(limits), share_percent, concurrency };
        Self::new(name, &config, clock)
    }

    /// A budget whose limit is learned from answers.
    pub fn learned(name: &str, share_percent: u8, concurrency: u32, clock: Clock) -> Arc<Self> {
        Self::new(name, &PacerConfig { limit: Limit::Learned, share_percent, concurrency }, clock)
    }

    /// Waits for the turn of a call in this lane. Cancel by dropping.
    pub async fn acquire(self: &Arc<Self>, lane: Lane) -> Permit {
        let queued = Queued::join(self, lane);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let now = crate::now(&self.clock);
            let poll = self.pacer().poll(now, lane);
            match poll {
                Poll::Go => {
                    drop(queued);
                    self.calls.fetch_add(1, Ordering::Relaxed);
                    return Permit { budget: Arc::clone(self), began: now, end: End::Nothing };
                }
                Poll::WaitForChange => changed.await,
                Poll::WaitUntil(time) => {
                    tokio::select! {
                        () = self.clock.sleep_until(time.0) => {}
                        () = changed => {}
                    }
                }
            }
        }
    }

    /// Nobody calls before this time.
    pub fn pause(&self, until: Time) {
        self.pacer().pause(until);
        self.changed.notify_waiters();
    }

    /// The vendor said how many calls are left until when.
    pub fn learn(&self, remaining: u64, reset: Time) {
        let now = crate::now(&self.clock);
        self.pacer().learn(now, remaining, reset);
    }

    /// What was spent so far.
    pub fn counts(&self) -> Counts {
        Counts { calls: self.calls.load(Ordering::Relaxed), throttled: self.throttled.load(Ordering::Relaxed) }
    }

    /// What part of the budget is unspent now, 0 to 1.
    pub fn remaining(&self) -> f64 {
        let now = crate::now(&self.clock);
        self.pacer().remaining(now)
    }

    /// What metrics call the API.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn pacer(&self) -> MutexGuard<'_, Pacer> {
        self.pacer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Says how the call ended and gives its place back.
    pub fn settle(mut self, end: End) {
        self.end = end;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let budget = &self.budget;
        let now = crate::now(&budget.clock);
        budget.pacer().ended(now, self.began, self.end);
        if matches!(self.end, End::Throttled { .. }) {
            budget.throttled.fetch_add(1, Ordering::Relaxed);
            runtime::metrics::process().api_throttled(&budget.name);
        }
        budget.changed.notify_waiters();
    }
}

/// A place in the queue of a lane, given up by dropping it.
struct Queued<'a> {
    budget: &'a Arc<Budget>,
    lane: Lane,
}

impl<'a> Queued<'a> {
    fn join(budget: &'a Arc<Budget>, lane: Lane) -> Self {
        budget.pacer().join(lane);
        Self { budget, lane }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.budget.pacer().leave(self.lane);
        self.budget.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::sync::atomic::AtomicI64;
    use std::time::Duration;

    use model::Span;

    use super::*;

    #[tokio::test]
    async fn a_call_that_waits_goes_when_the_clock_reaches_its_time() {
        let hands = Arc::new(AtomicI64::new(0));
        let budget = Budget::learned("test", 100, 4, Clock::manual(Arc::clone(&hands)));
        budget.acquire(Lane::Normal).await.settle(End::Throttled { after: Some(Span::from_secs(5)) });
        let waiting = tokio::spawn({
            let budget = Arc::clone(&budget);
            async move { drop(budget.acquire(Lane::Urgent).await) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        hands.store(5_000_000, Ordering::SeqCst);
        tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
        assert_eq!(budget.counts(), Counts { calls: 2, throttled: 1 });
    }

    #[tokio::test]
    async fn a_place_that_is_given_back_wakes_who_waits_for_it() {
        let budget = Budget::learned("test", 100, 1, Clock::fixed(0));
        let first = budget.acquire(Lane::Normal).await;
        let second = tokio::spawn({
            let budget = Arc::clone(&budget);
            async move { drop(budget.acquire(Lane::Normal).await) }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        first.settle(End::Answered);
        tokio::time::timeout(Duration::from_secs(10), second).await.unwrap().unwrap();
    }
}
