//! Token buckets and concurrency limits, by name, that an operator can change or turn off.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::clock::Millis;
use super::locked;

/// How much a bucket of a named limit holds and how fast it fills.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Calls per minute in the long run.
    pub per_minute: f64,
    /// Calls at once after a pause.
    pub burst: f64,
}

/// One bucket that a call takes from: a named limit, and whose bucket it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket {
    /// Name of the limit in the table, for example `google.directory.user`.
    pub limit: &'static str,
    /// Whose bucket: a subject, an organization, a site and endpoint.
    pub key: String,
}

/// Whether a call may pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// It may, and its token is taken.
    Allow,
    /// It may not; a token will be there after so many milliseconds.
    Deny {
        /// Milliseconds until the bucket holds a whole token again.
        retry_after: Millis,
    },
}

#[derive(Debug, Clone, Copy)]
struct Level {
    tokens: f64,
    at: Millis,
}

#[derive(Debug)]
struct State {
    enabled: bool,
    limits: BTreeMap<String, Limit>,
    concurrency: BTreeMap<String, u32>,
    levels: BTreeMap<Bucket, Level>,
}

/// All limits of the twin. Off limits are limits that are not in the table.
#[derive(Debug)]
pub struct Quotas {
    state: Mutex<State>,
}

impl Default for Quotas {
    /// On, with the documented limits of every family.
    fn default() -> Self {
        let mut limits: BTreeMap<String, Limit> = BTreeMap::new();
        for (name, limit) in crate::google::limits().into_iter().chain(crate::atlassian::limits()) {
            limits.insert(name.to_owned(), limit);
        }
        Self {
            state: Mutex::new(State { enabled: true, limits, concurrency: BTreeMap::new(), levels: BTreeMap::new() }),
        }
    }
}

impl Quotas {
    /// Takes a token from every bucket, or from none: the first that is empty denies and is named.
    pub fn take(&self, buckets: &[Bucket], now: Millis) -> Result<(), (&'static str, Millis)> {
        let mut state = locked(&self.state);
        if !state.enabled {
            return Ok(());
        }
        for bucket in buckets {
            if let Decision::Deny { retry_after } = state.look(bucket, now) {
                return Err((bucket.limit, retry_after));
            }
        }
        for bucket in buckets {
            if let Some(level) = state.levels.get_mut(bucket) {
                level.tokens -= 1.0;
            }
        }
        Ok(())
    }

    /// What is left of a bucket, in whole calls, and its limit; `None` while it is off.
    pub fn remaining(&self, bucket: &Bucket, now: Millis) -> Option<(u64, Limit)> {
        let mut state = locked(&self.state);
        let limit = *state.limits.get(bucket.limit).filter(|_| state.enabled)?;
        state.look(bucket, now);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between zero and the burst")]
        let whole = state.levels.get(bucket).map_or(0, |it| it.tokens.max(0.0) as u64);
        Some((whole, limit))
    }

    /// How many calls of the family may be under way at once; `None` is any number.
    pub fn concurrency(&self, family: &str) -> Option<u32> {
        let state = locked(&self.state);
        state.concurrency.get(family).copied().filter(|_| state.enabled)
    }

    /// Turns all limits on or off.
    pub fn enable(&self, enabled: bool) {
        locked(&self.state).enabled = enabled;
    }

    /// Sets a limit, or with `None` removes it; its buckets start full.
    pub fn set(&self, name: &str, limit: Option<Limit>) {
        let mut state = locked(&self.state);
        state.levels.retain(|bucket, _| bucket.limit != name);
        match limit {
            Some(limit) => state.limits.insert(name.to_owned(), limit),
            None => state.limits.remove(name),
        };
    }

    /// Sets the concurrency limit of a family, or with `None` removes it.
    pub fn set_concurrency(&self, family: &str, limit: Option<u32>) {
        let mut state = locked(&self.state);
        match limit {
            Some(limit) => state.concurrency.insert(family.to_owned(), limit),
            None => state.concurrency.remove(family),
        };
    }

    /// Whether limits are on, the limits, and the concurrency limits.
    pub fn all(&self) -> (bool, BTreeMap<String, Limit>, BTreeMap<String, u32>) {
        let state = locked(&self.state);
        (state.enabled, state.limits.clone(), state.concurrency.clone())
    }

    /// Documented limits again, all buckets full.
    pub fn reset(&self) {
        let fresh = Self::default();
        std::mem::swap(&mut *locked(&self.state), &mut *locked(&fresh.state));
    }
}

impl State {
    /// Fills the bucket up to now and says whether it holds a token.
    fn look(&mut self, bucket: &Bucket, now: Millis) -> Decision {
        let Some(limit) = self.limits.get(bucket.limit).copied() else {
            return Decision::Allow;
        };
        let per_millisecond = limit.per_minute / 60_000.0;
        let level = self.levels.entry(bucket.clone()).or_insert(Level { tokens: limit.burst, at: now });
        #[expect(clippy::cast_precision_loss, reason = "spans of hours, not of ages")]
        let passed = now.saturating_sub(level.at).max(0) as f64;
        level.tokens = (level.tokens + passed * per_millisecond).min(limit.burst);
        level.at = now;
        if level.tokens >= 1.0 {
            return Decision::Allow;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a wait of milliseconds")]
        let retry_after = ((1.0 - level.tokens) / per_millisecond).ceil().min(86_400_000.0) as Millis;
        Decision::Deny { retry_after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(key: &str) -> Bucket {
        Bucket { limit: "test", key: key.to_owned() }
    }

    #[test]
    fn a_bucket_denies_when_empty_and_fills_with_time() {
        let quotas = Quotas::default();
        quotas.set("test", Some(Limit { per_minute: 60.0, burst: 2.0 }));
        assert_eq!(quotas.take(&[bucket("a")], 0), Ok(()));
        assert_eq!(quotas.take(&[bucket("a")], 0), Ok(()));
        assert_eq!(quotas.take(&[bucket("a")], 0), Err(("test", 1000)));
        assert_eq!(quotas.take(&[bucket("b")], 0), Ok(()), "another key has a bucket of its own");
        assert_eq!(quotas.take(&[bucket("a")], 400), Err(("test", 600)));
        assert_eq!(quotas.take(&[bucket("a")], 1000), Ok(()));
    }

    #[test]
    fn a_denied_call_takes_from_no_bucket() {
        let quotas = Quotas::default();
        quotas.set("test", Some(Limit { per_minute: 60.0, burst: 1.0 }));
        assert_eq!(quotas.take(&[bucket("a")], 0), Ok(()));
        assert!(quotas.take(&[bucket("b"), bucket("a")], 0).is_err());
        assert_eq!(quotas.take(&[bucket("b")], 0), Ok(()));
    }

    #[test]
    fn limits_can_be_turned_off() {
        let quotas = Quotas::default();
        quotas.set("test", Some(Limit { per_minute: 60.0, burst: 0.0 }));
        assert!(quotas.take(&[bucket("a")], 0).is_err());
        quotas.enable(false);
        assert_eq!(quotas.take(&[bucket("a")], 0), Ok(()));
    }
}
