//! A directory in memory: ids interned to numbers, memberships as sorted numbers, indexes by address and name.
//!
//! The mirror believes its rows: what is gone has its tombstone in the row, and which read may say so was settled
//! before the row was written. Names of slots never leave the crate: they depend on the order in which rows came.

mod apply;
mod group;
mod index;
mod look;

use model::{AccountId, Corroboration, DirectoryId, Fact, GroupId, UserRow};
use rustc_hash::FxHashMap;

pub(crate) use apply::{Changes, UserChange};
pub use group::ScopeRead;
pub(crate) use group::{GroupSlot, Packed};
use index::Index;

/// A person or account of a mirror.
#[derive(Debug, Clone)]
pub(crate) struct PersonSlot {
    pub(crate) id: AccountId,
    /// Absent while the person is known only as a member of a group.
    pub(crate) row: Option<UserRow>,
}

/// One directory as of a version.
#[derive(Debug, Clone)]
pub struct Mirror {
    directory: DirectoryId,
    version: u64,
    pub(crate) people: Vec<PersonSlot>,
    pub(crate) groups: Vec<GroupSlot>,
    people_by_id: Index,
    /// By what of an id outlasts a rename, where ids have such a part.
    people_by_key: Index,
    /// Whether anybody was ever met under two ids of one key.
    renamed: bool,
    people_by_address: Index,
    people_by_alias: Index,
    people_by_external_id: Index,
    groups_by_id: Index,
    groups_by_name: Index,
    users_read: ScopeRead,
    groups_read: ScopeRead,
    /// Sums of `rows` and `rows_before` over the members of all groups.
    member_rows: (u64, u64),
    /// Looked up by fact, never walked.
    answers: FxHashMap<Fact, Corroboration>,
    /// Groups that hold everybody of the customer: they change with every person.
    everyone_in: Vec<u32>,
    /// Groups that give a product, in order: few, while every decision counts seats.
    giving: Vec<u32>,
}

impl Mirror {
    /// A directory of which nothing is known yet.
    pub fn new(directory: DirectoryId) -> Self {
        Self {
            directory,
            version: 0,
            people: Vec::new(),
            groups: Vec::new(),
            people_by_id: Index::default(),
            people_by_key: Index::default(),
            renamed: false,
            people_by_address: Index::default(),
            people_by_alias: Index::default(),
            people_by_external_id: Index::default(),
            groups_by_id: Index::default(),
            groups_by_name: Index::default(),
            users_read: ScopeRead::default(),
            groups_read: ScopeRead::default(),
            member_rows: (0, 0),
            answers: FxHashMap::default(),
            everyone_in: Vec::new(),
            giving: Vec::new(),
        }
    }

    /// Of which directory.
    pub fn directory(&self) -> &DirectoryId {
        &self.directory
    }

    /// As of which version.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn person(&self, slot: u32) -> Option<&PersonSlot> {
        self.people.get(slot as usize)
    }

    pub(crate) fn group_at(&self, slot: u32) -> Option<&GroupSlot> {
        self.groups.get(slot as usize)
    }

    pub(crate) fn person_slot(&self, id: &AccountId) -> Option<u32> {
        let is = |slot: &u32| self.person(*slot).is_some_and(|person| &person.id == id);
        self.people_by_id.candidates(id.as_str()).iter().copied().find(|slot| is(slot))
    }

    pub(crate) fn group_slot(&self, id: &GroupId) -> Option<u32> {
        let is = |slot: &u32| self.group_at(*slot).is_some_and(|group| &group.id == id);
        self.groups_by_id.candidates(id.as_str()).iter().copied().find(|slot| is(slot))
    }

    /// The slot of a person, made if there is none. `near` is a guess: lists of ids come in the order in which the
    /// slots were made more often than not, and a right guess saves the search.
    pub(crate) fn intern_person_near(&mut self, near: u32, id: &AccountId) -> u32 {
        if self.person(near).is_some_and(|person| &person.id == id) { near } else { self.intern_person(id) }
    }

    /// The slot of a person, made if there is none.
    pub(crate) fn intern_person(&mut self, id: &AccountId) -> u32 {
        if let Some(slot) = self.person_slot(id) {
            return slot;
        }
        let slot = number(self.people.len());
        self.people.push(PersonSlot { id: id.clone(), row: None });
        self.people_by_id.insert(id.as_str(), slot);
        if let Some(key) = id.stable_key() {
            self.people_by_key.insert(key, slot);
            let known = self.namesakes(slot).next().is_some();
            self.renamed |= known;
        }
        slot
    }

    /// The other ids under which one account was met: those of the same stable key.
    pub(crate) fn namesakes(&self, slot: u32) -> impl Iterator<Item = u32> {
        let key = self.person(slot).and_then(|person| person.id.stable_key());
        let candidates = key.map_or(&[][..], |key| self.people_by_key.candidates(key));
        let is = move |at: &u32| *at != slot && self.person(*at).is_some_and(|it| it.id.stable_key() == key);
        candidates.iter().copied().filter(is)
    }

    /// Whether any account was ever met under two ids.
    pub(crate) const fn has_namesakes(&self) -> bool {
        self.renamed
    }

    pub(crate) fn intern_group(&mut self, id: &GroupId) -> u32 {
        if let Some(slot) = self.group_slot(id) {
            return slot;
        }
        let slot = number(self.groups.len());
        self.groups.push(GroupSlot::new(id.clone()));
        self.groups_by_id.insert(id.as_str(), slot);
        slot
    }

    /// People who are there with this primary address.
    pub(crate) fn by_address(&self, key: &str) -> impl Iterator<Item = u32> {
        self.people_by_address.candidates(key).iter().copied().filter(move |slot| {
            self.live(*slot).is_some_and(|row| row.user.email.as_ref().is_some_and(|email| email.key() == key))
        })
    }

    /// People who are there with this among their further addresses.
    pub(crate) fn by_alias(&self, key: &str) -> impl Iterator<Item = u32> {
        self.people_by_alias.candidates(key).iter().copied().filter(move |slot| {
            self.live(*slot).is_some_and(|row| row.user.aliases.iter().any(|alias| alias.key() == key))
        })
    }

    /// Accounts that are there and keep this id of another directory.
    pub(crate) fn by_external_id(&self, id: &str) -> impl Iterator<Item = u32> {
        self.people_by_external_id
            .candidates(id)
            .iter()
            .copied()
            .filter(move |slot| self.live(*slot).is_some_and(|row| row.user.external_id.as_deref() == Some(id)))
    }

    /// Groups that are there and have this name once both are folded to ASCII lower case; rising by slot.
    pub(crate) fn by_folded_name(&self, name: &str) -> impl Iterator<Item = u32> {
        let folded = name.to_ascii_lowercase();
        let candidates = self.groups_by_name.candidates(&folded).iter().copied();
        candidates.filter(move |slot| {
            self.group_at(*slot).is_some_and(|group| {
                group
                    .row
                    .as_ref()
                    .is_some_and(|row| row.gone_at.is_none() && row.group.name.eq_ignore_ascii_case(&folded))
            })
        })
    }

    /// The row of somebody who is there: neither a tombstone nor deleted.
    pub(crate) fn live(&self, slot: u32) -> Option<&UserRow> {
        let row = self.person(slot)?.row.as_ref()?;
        (row.gone_at.is_none() && row.user.state != model::UserState::Deleted).then_some(row)
    }

    pub(crate) fn answer(&self, fact: &Fact) -> Option<&Corroboration> {
        self.answers.get(fact)
    }

    /// The live groups that give a product, by what was read of them or by being a default access group.
    pub(crate) fn giving(&self) -> impl Iterator<Item = &GroupSlot> {
        let slots = self.giving.iter().filter_map(|slot| self.groups.get(*slot as usize));
        slots.filter(|group| group.is_live())
    }

    pub(crate) fn everyone_in(&self) -> &[u32] {
        &self.everyone_in
    }

    pub(crate) const fn member_rows(&self) -> (u64, u64) {
        self.member_rows
    }
}

/// The number of something that is counted in slots. There are never 2³² of them: memory ends before.
pub(crate) fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
