//! Finds slots by a text without keeping the text a second time.

use std::hash::Hasher as _;

use rustc_hash::{FxHashMap, FxHasher};

/// Which slots a text may belong to: by its hash, so whoever asks compares the text itself with what the slot holds.
///
/// The map is only ever looked up, never walked: its order would be nobody's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    by_hash: FxHashMap<u64, Slots>,
}

/// Nearly always one slot; several for equal texts or, once in a lifetime, for equal hashes.
#[derive(Debug, Clone)]
enum Slots {
    One(u32),
    Many(Vec<u32>),
}

fn hash(text: &str) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(text.as_bytes());
    hasher.finish()
}

impl Index {
    /// Makes the slot one of the text's. Twice is once.
    pub(crate) fn insert(&mut self, text: &str, slot: u32) {
        match self.by_hash.get_mut(&hash(text)) {
            None => {
                self.by_hash.insert(hash(text), Slots::One(slot));
            }
            Some(slots) => match slots {
                Slots::One(first) if *first == slot => {}
                Slots::One(first) => {
                    let mut many = vec![*first, slot];
                    many.sort_unstable();
                    *slots = Slots::Many(many);
                }
                Slots::Many(many) => {
                    if let Err(at) = many.binary_search(&slot) {
                        many.insert(at, slot);
                    }
                }
            },
        }
    }

    /// Makes the slot none of the text's.
    pub(crate) fn remove(&mut self, text: &str, slot: u32) {
        let key = hash(text);
        let empty = match self.by_hash.get_mut(&key) {
            None => false,
            Some(Slots::One(only)) => *only == slot,
            Some(Slots::Many(many)) => {
                many.retain(|each| *each != slot);
                many.is_empty()
            }
        };
        if empty {
            self.by_hash.remove(&key);
        }
    }

    /// The slots that may be meant, in rising order.
    pub(crate) fn candidates(&self, text: &str) -> &[u32] {
        match self.by_hash.get(&hash(text)) {
            None => &[],
            Some(Slots::One(slot)) => std::slice::from_ref(slot),
            Some(Slots::Many(many)) => many,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_the_slots_that_were_inserted_and_not_removed() {
        let mut index = Index::default();
        index.insert("a", 7);
        index.insert("a", 3);
        index.insert("a", 3);
        assert_eq!(index.candidates("a"), [3, 7]);
        index.remove("a", 7);
        assert_eq!(index.candidates("a"), [3]);
        index.remove("a", 3);
        index.remove("a", 3);
        assert!(index.candidates("a").is_empty());
    }
}
