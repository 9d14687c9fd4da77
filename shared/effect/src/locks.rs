//! One call at a time for each object, whatever lanes its commands came by.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// The objects that have a call under way or wait for one.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    turns: Mutex<BTreeMap<String, Arc<Turn<()>>>>,
}

/// An object is ours until this is dropped.
pub(crate) struct Held {
    locks: Arc<Locks>,
    object: String,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Locks {
    /// Waits until the object is nobody's.
    pub(crate) async fn hold(self: &Arc<Self>, object: &str) -> Held {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(object.to_owned()).or_default())
        };
        let guard = turn.lock_owned().await;
        Held { locks: Arc::clone(self), object: object.to_owned(), guard: Some(guard) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.guard = None;
        let mut turns = self.locks.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody else holds or waits: two are the map's and the one we look at.
        if turns.get(&self.object).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&self.object);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_object_is_held_by_one_at_a_time_and_forgotten_after() {
        let locks = Arc::new(Locks::default());
        let first = locks.hold("group/g").await;
        let other = locks.hold("group/h").await;
        drop(other);
        let waiting = tokio::spawn({
            let locks = Arc::clone(&locks);
            async move { drop(locks.hold("group/g").await) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        assert!(waiting.await.is_ok());
        assert!(locks.turns.lock().is_ok_and(|turns| turns.is_empty()));
    }
}
