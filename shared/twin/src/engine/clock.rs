//! The twin's own time: the machine's, or one that only moves when told to.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::locked;

/// Milliseconds since 1970-01-01 UTC.
pub type Millis = i64;

/// A clock that is real unless an operator froze it at a virtual time.
#[derive(Debug, Default)]
pub struct Clock {
    /// `None` while the clock is real.
    frozen: Mutex<Option<Millis>>,
    /// Whether sign-in goes by the virtual time, too.
    for_sign_in: AtomicBool,
}

impl Clock {
    /// The time now, virtual or real.
    pub fn now(&self) -> Millis {
        locked(&self.frozen).unwrap_or_else(machine_time)
    }

    /// The time that assertions and access tokens are judged by. Clients sign with clocks of their own, so this is the
    /// machine's time unless [`Clock::judge_sign_in`] says otherwise.
    pub fn sign_in_time(&self) -> Millis {
        if self.for_sign_in.load(Ordering::Relaxed) { self.now() } else { machine_time() }
    }

    /// Lets assertions and access tokens go by the virtual time, or no longer.
    pub fn judge_sign_in(&self, by_virtual_time: bool) {
        self.for_sign_in.store(by_virtual_time, Ordering::Relaxed);
    }

    /// Whether the clock is virtual.
    pub fn is_virtual(&self) -> bool {
        locked(&self.frozen).is_some()
    }

    /// Makes the clock virtual and sets it.
    pub fn set(&self, now: Millis) {
        *locked(&self.frozen) = Some(now);
    }

    /// Makes the clock virtual, if it is not yet, and moves it on. Returns the new time.
    pub fn advance(&self, by: Millis) -> Millis {
        let mut frozen = locked(&self.frozen);
        let now = frozen.unwrap_or_else(machine_time).saturating_add(by);
        *frozen = Some(now);
        now
    }

    /// Goes back to the machine's time, for everything.
    pub fn follow_machine(&self) {
        self.judge_sign_in(false);
        *locked(&self.frozen) = None;
    }
}

/// RFC 3339 with milliseconds, as both vendors write times.
pub fn rfc3339(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at)
        .map_or_else(|_| "1970-01-01T00:00:00.000Z".to_owned(), |it| format!("{it:.3}"))
}

/// The machine's wall clock in microseconds since 1970.
pub(crate) fn machine_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| i64::try_from(it.as_micros()).unwrap_or(i64::MAX))
}

fn machine_time() -> Millis {
    machine_micros() / 1000
}
