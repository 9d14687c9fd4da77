//! What a decision was about: for whoever tells the story of a change that had to wait.

use std::collections::BTreeSet;

use model::{AccountId, DirectoryId};

use crate::Planner;

/// Something at a target that decisions are about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// A group that a rule claims.
    Group {
        /// At which target.
        target: DirectoryId,
        /// Its name, as the target folds names.
        key: String,
    },
    /// The account of a person whom an entry of `[[people.provision]]` is about.
    Account {
        /// At which target.
        target: DirectoryId,
        /// The person's source.
        source: DirectoryId,
        /// The person there.
        person: AccountId,
    },
}

/// What was reached since it was taken last; `None`: nobody asks.
pub(crate) type Reached = Option<BTreeSet<Object>>;

impl Planner {
    /// What decisions reach is noted from now on, for [`Planner::take_reached`].
    pub fn note_reached(&mut self) {
        self.reached.get_or_insert_default();
    }

    /// What rows and memory reached in the decisions since this was called last: of all else, nothing has changed. Empty
    /// unless [`Planner::note_reached`] was called.
    pub fn take_reached(&mut self) -> BTreeSet<Object> {
        self.reached.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Whether there is nothing to be done about it, nor waited for.
    pub fn is_quiet(&self, object: &Object) -> bool {
        match object {
            Object::Group { target, key } => {
                let target = self.targets.iter().find(|each| &each.id == target);
                !target.is_some_and(|target| target.group_of_key(key).is_some_and(|at| target.loud.contains(&at)))
            }
            Object::Account { target, source, person } => {
                let person = self.mirror(source).and_then(|mirror| mirror.person_slot(person));
                let entries = self.policy.provisions.iter().zip(&self.pending);
                let mut pending = entries.filter(|(entry, _)| &entry.from == source && &entry.to == target);
                !person.is_some_and(|person| pending.any(|(_, pending)| pending.contains(&person)))
            }
        }
    }

    /// Notes that these persons of a pairing were looked at.
    pub(crate) fn persons_reached(&mut self, pairing: usize, persons: &[u32]) {
        let Some(reached) = &mut self.reached else { return };
        let Some(pairing) = self.pairings.get(pairing) else { return };
        let (Some(source), Some(accounts)) = (self.mirrors.get(pairing.source), self.mirrors.get(pairing.target))
        else {
            return;
        };
        let account = |slot: &u32| {
            let (target, source_id) = (accounts.directory().clone(), source.directory().clone());
            source.person(*slot).map(|of| Object::Account { target, source: source_id, person: of.id.clone() })
        };
        reached.extend(persons.iter().filter_map(account));
    }

    /// Notes that these groups of a target were looked at.
    pub(crate) fn groups_reached(&mut self, target: usize, groups: &[u32]) {
        let (Some(reached), Some(target)) = (&mut self.reached, self.targets.get(target)) else { return };
        let group =
            |at: &u32| target.at(*at).map(|group| Object::Group { target: target.id.clone(), key: group.key.clone() });
        reached.extend(groups.iter().filter_map(group));
    }
}
