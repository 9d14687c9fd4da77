//! The one clock. Everything else takes the time as a value.
//!
//! A service holds a [`Clock`] and asks it when it hands a time to a decision. In production that is the wall clock; a
//! test holds the hands itself; the replay of years of history moves one shared clock under several processes.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often a clock that somebody else moves is looked at while we wait for it, in real time.
const VIRTUAL_POLL: Duration = Duration::from_millis(2);

/// Longest single wait on the wall clock, so that a clock that was set forward is noticed.
const REAL_WAIT_MAX: Duration = Duration::from_secs(1);

/// A source of the present time. Cheap to clone; all clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Real,
    Manual(Arc<AtomicI64>),
    Shared(Arc<File>),
}

impl Clock {
    /// The machine's wall clock.
    pub const fn real() -> Self {
        Self(Source::Real)
    }

    /// A clock that shows what the caller stores: microseconds since the Unix epoch. It never moves by itself.
    pub const fn manual(micros: Arc<AtomicI64>) -> Self {
        Self(Source::Manual(micros))
    }

    /// A clock that stands still at `micros` since the Unix epoch.
    pub fn fixed(micros: i64) -> Self {
        Self::manual(Arc::new(AtomicI64::new(micros)))
    }

    /// A clock that another process moves: a file of eight bytes, little-endian microseconds since the Unix epoch,
    /// read anew for each question. Written in one piece by [`set_shared`].
    ///
    /// # Errors
    /// When the file cannot be opened or is shorter than eight bytes.
    pub fn shared(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        read_shared(&file)?;
        Ok(Self(Source::Shared(Arc::new(file))))
    }

    /// Microseconds since the Unix epoch.
    ///
    /// A shared clock whose file has become unreadable shows the epoch: every lease and read then looks out of date,
    /// so nothing is decided from it.
    pub fn now_micros(&self) -> i64 {
        match &self.0 {
            Source::Real => now_micros(),
            Source::Manual(micros) => micros.load(Ordering::SeqCst),
            Source::Shared(file) => read_shared(file).unwrap_or(0),
        }
    }

    /// Whether time passes by itself. Waits against a clock that does not are polls.
    pub const fn is_real(&self) -> bool {
        matches!(self.0, Source::Real)
    }

    /// Returns once the clock shows `micros` or later. Cancel by dropping.
    pub async fn sleep_until(&self, micros: i64) {
        loop {
            let left = micros.saturating_sub(self.now_micros());
            let Ok(left) = u64::try_from(left) else { return };
            if left == 0 {
                return;
            }
            let wait = if self.is_real() { Duration::from_micros(left).min(REAL_WAIT_MAX) } else { VIRTUAL_POLL };
            tokio::time::sleep(wait).await;
        }
    }

    /// Returns once `duration` has passed on this clock. Cancel by dropping.
    pub async fn sleep(&self, duration: Duration) {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        self.sleep_until(self.now_micros().saturating_add(micros)).await;
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::real()
    }
}

/// The wall clock: microseconds since the Unix epoch; 0 on a machine whose clock stands before it.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn now_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The monotonic clock, for measuring how long something took and for time-outs; says nothing about the date.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// The point on the monotonic clock `after` from now, for `tokio::time::timeout_at` and `sleep_until`.
pub fn deadline(after: Duration) -> tokio::time::Instant {
    tokio::time::Instant::from_std(monotonic()) + after
}

/// Sets the file behind [`Clock::shared`], creating it when it is missing. One write of eight bytes, so that no reader
/// sees half a time.
///
/// # Errors
/// When the file cannot be created or written.
pub fn set_shared(path: &Path, micros: i64) -> std::io::Result<()> {
    let file = File::options().write(true).create(true).truncate(false).open(path)?;
    file.write_all_at(&micros.to_le_bytes(), 0)
}

/// `micros` since the Unix epoch as RFC 3339 in UTC, for people and JSON; out of range gives the number itself.
pub fn rfc3339(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |at| at.to_string())
}

fn read_shared(file: &File) -> std::io::Result<i64> {
    let mut bytes = [0_u8; 8];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(i64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_manual_clock_shows_what_is_set_and_clones_agree() {
        let hands = Arc::new(AtomicI64::new(5));
        let clock = Clock::manual(Arc::clone(&hands));
        let other = clock.clone();
        hands.store(1_700_000_000_000_000, Ordering::SeqCst);
        assert_eq!(clock.now_micros(), 1_700_000_000_000_000);
        assert_eq!(other.now_micros(), clock.now_micros());
        assert_eq!(rfc3339(clock.now_micros()), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn a_shared_clock_is_moved_through_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock");
        assert!(Clock::shared(&path).is_err());
        set_shared(&path, 7).unwrap();
        let clock = Clock::shared(&path).unwrap();
        assert_eq!(clock.now_micros(), 7);
        set_shared(&path, -9).unwrap();
        assert_eq!(clock.now_micros(), -9);
    }

    #[tokio::test]
    async fn waiting_on_a_manual_clock_ends_when_the_hands_arrive() {
        let hands = Arc::new(AtomicI64::new(0));
        let clock = Clock::manual(Arc::clone(&hands));
        let waiting = tokio::spawn(async move { clock.sleep(Duration::from_hours(24)).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        hands.store(86_400_000_000, Ordering::SeqCst);
        tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    }

    #[test]
    fn the_real_clock_is_after_this_line_was_written() {
        assert!(Clock::real().now_micros() > 1_760_000_000_000_000);
    }
}
