//! Maps that remember which of their keys were touched lately, so that a decision looks only at those again.

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A sorted map with a trail of touched keys. Reads are those of the map; writes go through the methods here.
///
/// It is written and read as a list of pairs, for keys of several parts are no keys of JSON. The trail is not part of
/// the value: two maps with equal entries are equal, and a map that was copied or read back has a trail of its own.
#[derive(Debug)]
pub struct Tracked<K, V> {
    map: BTreeMap<K, V>,
    trail: Trail<K>,
}

/// How far somebody has followed a trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    identity: u64,
    at: usize,
}

#[derive(Debug)]
struct Trail<K> {
    /// Tells the trail of one map from another's. It decides how much is looked at again, never what is decided.
    identity: u64,
    keys: Vec<K>,
}

/// Beyond this many touched keys, looking at everything again is as good.
const LONGEST: usize = 1 << 16;

fn fresh_identity() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl<K> Trail<K> {
    fn new() -> Self {
        Self { identity: fresh_identity(), keys: Vec::new() }
    }

    fn push(&mut self, key: K) {
        if self.keys.len() >= LONGEST {
            *self = Self::new();
        }
        self.keys.push(key);
    }
}

impl<K: Ord + Clone, V> Tracked<K, V> {
    /// An empty map.
    pub fn new() -> Self {
        Self { map: BTreeMap::new(), trail: Trail::new() }
    }

    /// Sets a value; gives back what was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.trail.push(key.clone());
        self.map.insert(key, value)
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let removed = self.map.remove(key);
        if removed.is_some() {
            self.trail.push(key.clone());
        }
        removed
    }

    /// A value to change.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let value = self.map.get_mut(key)?;
        self.trail.push(key.clone());
        Some(value)
    }

    /// Keeps the entries that pass.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        let gone: Vec<K> =
            self.map.iter().filter(|(key, value)| !keep(key, value)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.remove(&key);
        }
    }

    /// Empties the map.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// The keys that were touched since the mark, which moves on; `None` when everything may have changed.
    pub(crate) fn touched_since(&self, mark: &mut Mark) -> Option<&[K]> {
        let before = std::mem::replace(mark, Mark { identity: self.trail.identity, at: self.trail.keys.len() });
        if before.identity == self.trail.identity { self.trail.keys.get(before.at..) } else { None }
    }
}

impl<K, V> Deref for Tracked<K, V> {
    type Target = BTreeMap<K, V>;
    fn deref(&self) -> &BTreeMap<K, V> {
        &self.map
    }
}

impl<K: Ord + Clone, V> Default for Tracked<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Clone, V: Clone> Clone for Tracked<K, V> {
    fn clone(&self) -> Self {
        Self { map: self.map.clone(), trail: Trail::new() }
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for Tracked<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.map == other.map
    }
}
impl<K: Eq, V: Eq> Eq for Tracked<K, V> {}

impl<K: Ord + Clone, V> FromIterator<(K, V)> for Tracked<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self { map: entries.into_iter().collect(), trail: Trail::new() }
    }
}

impl<K: Ord + Clone, V> Extend<(K, V)> for Tracked<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<'a, K, V> IntoIterator for &'a Tracked<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = std::collections::btree_map::Iter<'a, K, V>;
    fn into_iter(self) -> Self::IntoIter {
        self.map.iter()
    }
}

impl<K: Serialize, V: Serialize> Serialize for Tracked<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.map.iter())
    }
}

impl<'de, K: Ord + Clone + Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Tracked<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_names_what_was_touched_since_the_mark() {
        let mut map: Tracked<u8, u8> = [(1, 1)].into_iter().collect();
        let mut mark = Mark::default();
        assert_eq!(map.touched_since(&mut mark), None, "a new reader looks at everything");
        map.insert(2, 2);
        map.remove(&7);
        map.remove(&1);
        assert_eq!(map.touched_since(&mut mark), Some(&[2, 1][..]));
        assert_eq!(map.touched_since(&mut mark), Some(&[][..]));
        let copy = map.clone();
        assert_eq!(copy, map);
        assert_eq!(copy.touched_since(&mut mark), None, "a copy is another map");
    }

    #[test]
    fn a_map_is_written_as_pairs_and_reads_back() {
        let map: Tracked<(String, u8), u8> = [(("a".to_owned(), 1), 2)].into_iter().collect();
        let text = serde_json::to_string(&map).unwrap_or_default();
        assert_eq!(text, r#"[[["a",1],2]]"#);
        assert_eq!(serde_json::from_str::<Tracked<(String, u8), u8>>(&text).ok(), Some(map));
    }
}
