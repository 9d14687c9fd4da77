//! Read-after-write lag: what was written is seen by reads only a while later.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::clock::Millis;
use super::locked;

/// How many outdated versions a value keeps, for stale answers.
const KEPT: usize = 4;

/// A value with the versions that reads may still see. Absence is a version too: use `Lagged<Option<T>>` for things
/// that come and go.
#[derive(Debug, Clone)]
pub struct Lagged<T> {
    current: T,
    visible_at: Millis,
    /// Older versions with the time each became visible, oldest first.
    older: Vec<(Millis, T)>,
}

impl<T> Default for Lagged<Option<T>> {
    /// Absent, and never seen.
    fn default() -> Self {
        Self::settled(None)
    }
}

impl<T> Lagged<T> {
    /// A value that every read has always seen.
    pub fn settled(value: T) -> Self {
        Self { current: value, visible_at: Millis::MIN, older: Vec::new() }
    }

    /// A value that was something else (usually `None`) until `visible_at`.
    pub fn fresh(before: T, value: T, visible_at: Millis) -> Self {
        let mut it = Self::settled(before);
        it.set(value, visible_at);
        it
    }

    /// The truth: what writes go by and what the twin reports to its operator.
    pub fn current(&self) -> &T {
        &self.current
    }

    /// What a read at that time sees.
    pub fn seen(&self, at: Millis) -> &T {
        if self.visible_at <= at {
            return &self.current;
        }
        let older = self.older.iter().rev().find(|(since, _)| *since <= at).or_else(|| self.older.first());
        older.map_or(&self.current, |(_, value)| value)
    }

    /// Writes a new version that reads see from `visible_at` on. One that was visible ever since keeps nothing of what
    /// was before, so that loading a large world stays small.
    pub fn set(&mut self, value: T, visible_at: Millis) {
        if visible_at == Millis::MIN {
            *self = Self::settled(value);
            return;
        }
        let outdated = std::mem::replace(&mut self.current, value);
        let since = std::mem::replace(&mut self.visible_at, visible_at);
        self.older.push((since, outdated));
        if self.older.len() > KEPT {
            self.older.remove(0);
        }
    }

    /// Whether every read at or after that time sees the current version and none before it is kept for long.
    pub fn is_settled(&self, at: Millis) -> bool {
        self.visible_at <= at
    }
}

/// Delays per family, for example `google.directory` or `atlassian.org`; none unless set.
#[derive(Debug, Default)]
pub struct LagTable {
    visibility: Mutex<BTreeMap<String, Millis>>,
    latency: Mutex<BTreeMap<String, Millis>>,
}

impl LagTable {
    /// Milliseconds until a write of the family is seen by reads.
    pub fn visibility(&self, family: &str) -> Millis {
        locked(&self.visibility).get(family).copied().unwrap_or(0)
    }

    /// Milliseconds that an answer of the family takes, on the machine's clock.
    pub fn latency(&self, family: &str) -> Millis {
        locked(&self.latency).get(family).copied().unwrap_or(0)
    }

    /// Sets how long writes of the family stay unseen; zero removes the entry.
    pub fn set_visibility(&self, family: &str, milliseconds: Millis) {
        put(&self.visibility, family, milliseconds);
    }

    /// Sets how long answers of the family take; zero removes the entry.
    pub fn set_latency(&self, family: &str, milliseconds: Millis) {
        put(&self.latency, family, milliseconds);
    }

    /// Forgets every delay.
    pub fn clear(&self) {
        locked(&self.visibility).clear();
        locked(&self.latency).clear();
    }

    /// Both tables: visibility, then latency.
    pub fn all(&self) -> (BTreeMap<String, Millis>, BTreeMap<String, Millis>) {
        (locked(&self.visibility).clone(), locked(&self.latency).clone())
    }
}

fn put(table: &Mutex<BTreeMap<String, Millis>>, family: &str, milliseconds: Millis) {
    let mut table = locked(table);
    if milliseconds > 0 {
        table.insert(family.to_owned(), milliseconds);
    } else {
        table.remove(family);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_see_the_old_version_until_the_new_one_is_visible() {
        let mut value = Lagged::settled(1);
        value.set(2, 100);
        value.set(3, 200);
        assert_eq!(
            [*value.seen(99), *value.seen(100), *value.seen(199), *value.seen(200), *value.current()],
            [1, 2, 2, 3, 3]
        );
    }

    #[test]
    fn only_a_few_outdated_versions_are_kept() {
        let mut value = Lagged::settled(0);
        for n in 1..100 {
            value.set(n, i64::from(n));
        }
        assert_eq!(value.older.len(), KEPT);
        assert_eq!(*value.seen(0), 95, "the oldest version kept stands for all before it");
    }

    #[test]
    fn what_was_visible_ever_since_has_no_past() {
        let mut value = Lagged::fresh(None, Some(1), Millis::MIN);
        assert_eq!((*value.seen(Millis::MIN), value.older.len()), (Some(1), 0));
        value.set(None, 5);
        assert_eq!((*value.seen(4), *value.seen(5)), (Some(1), None));
    }

    #[test]
    fn zero_removes_a_delay() {
        let table = LagTable::default();
        table.set_visibility("google.directory", 5);
        assert_eq!(table.visibility("google.directory"), 5);
        table.set_visibility("google.directory", 0);
        assert!(table.all().0.is_empty());
    }
}
