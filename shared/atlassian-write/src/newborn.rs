//! The ids of groups that were just made, asked for together.
//!
//! The organization's API makes a group without telling its id (reference/atlassian-cloud.md §0, 3), and its search takes
//! a hundred names at once. Whoever made a group waits while others are still making theirs; then one of them asks for all
//! that wait, again and again until they are visible.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{GroupId, Span};
use outbound::Client;
use tokio::sync::{Mutex as Turn, Notify};

/// Names in one search: as many groups as a page of it holds (reference/atlassian-cloud.md §1.2).
pub(crate) const NAMES_PER_LOOK: usize = 100;
/// How long a group may stay invisible to the search after its creation (§13, rule 5).
const VISIBLE_WITHIN: Span = Span::from_secs(30);
/// How long we wait for others who are making a group now. What is made is not visible before a second or two (§0, 3).
const GATHER: Duration = Duration::from_secs(2);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Those who wait for an id at one target.
#[derive(Debug, Default)]
pub(crate) struct Newborn {
    state: Mutex<State>,
    /// Whoever has it asks.
    turn: Turn<()>,
    /// Told when ids were found, and when a creation has ended.
    news: Notify,
}

/// Names in lower case.
#[derive(Debug, Default)]
struct State {
    /// How many creations are under way.
    making: usize,
    waiting: BTreeSet<String>,
    found: BTreeMap<String, GroupId>,
}

/// A creation that is under way, until dropped.
#[derive(Debug)]
pub(crate) struct Making<'a>(&'a Newborn);

impl Drop for Making<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.making = state.making.saturating_sub(1);
        drop(state);
        self.0.news.notify_waiters();
    }
}

/// Somebody who waits for the id of this name, until dropped.
struct Waiting<'a>(&'a Newborn, String);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting.remove(&self.1);
        state.found.remove(&self.1);
    }
}

impl Newborn {
    /// Says that a group is being made from now on.
    pub(crate) fn begin(&self) -> Making<'_> {
        self.state().making += 1;
        Making(self)
    }

    /// The id of a group that was made. `None`: it did not become visible in time. `search` finds groups by names, at
    /// most [`NAMES_PER_LOOK`] of them; a name that means more than one group it leaves out.
    ///
    /// # Errors
    /// What the search came to when it did not come to an answer.
    pub(crate) async fn id_of<E, F: Future<Output = Result<BTreeMap<String, GroupId>, E>>>(
        &self,
        client: &Client,
        name: &str,
        making: Making<'_>,
        search: impl Fn(Vec<String>) -> F,
    ) -> Result<Option<GroupId>, E> {
        let waiting = Waiting(self, name.to_ascii_lowercase());
        self.state().waiting.insert(waiting.1.clone());
        drop(making);
        // Whoever has the turn asks for us too, and says so.
        let _turn = tokio::select! {
            turn = self.turn.lock() => turn,
            id = self.told(&waiting.1) => return Ok(Some(id)),
        };
        let until = client.now().plus(VISIBLE_WITHIN);
        let mut pause = PAUSE;
        loop {
            if let Some(id) = self.take(&waiting.1) {
                return Ok(Some(id));
            }
            self.gather(client).await;
            self.tell(search(self.names(&waiting.1)).await?);
            if let Some(id) = self.take(&waiting.1) {
                return Ok(Some(id));
            }
            if client.now() >= until {
                return Ok(None);
            }
            client.clock().sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Returns once somebody else has found it.
    async fn told(&self, name: &str) -> GroupId {
        loop {
            let news = self.news.notified();
            if let Some(id) = self.take(name) {
                return id;
            }
            news.await;
        }
    }

    fn take(&self, name: &str) -> Option<GroupId> {
        self.state().found.remove(name)
    }

    /// Notes what was found for those who still wait.
    fn tell(&self, found: BTreeMap<String, GroupId>) {
        let mut state = self.state();
        let State { waiting, found: known, .. } = &mut *state;
        known.extend(found.into_iter().filter(|(name, _)| waiting.contains(name)));
        drop(state);
        self.news.notify_waiters();
    }

    /// Waits for those who are making a group now.
    async fn gather(&self, client: &Client) {
        let enough = client.now().plus(Span::from(GATHER));
        loop {
            let news = self.news.notified();
            if self.state().making == 0 || client.now() >= enough {
                return;
            }
            tokio::select! {
                () = news => {}
                () = client.clock().sleep(GATHER) => return,
            }
        }
    }

    /// Our own name, and others that wait and are not found yet.
    fn names(&self, own: &str) -> Vec<String> {
        let state = self.state();
        let others = state.waiting.iter().filter(|name| *name != own && !state.found.contains_key(*name));
        std::iter::once(own.to_owned()).chain(others.take(NAMES_PER_LOOK - 1).cloned()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements: a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
