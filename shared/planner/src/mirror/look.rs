//! Reading a mirror from outside the crate, by the vendor's ids.

use model::{
    AccountId, Answer, Digest, Email, Fact, GroupId, GroupRow, Member, MemberKind, ReadScope, UserRow, members_digest,
};

use super::{Mirror, ScopeRead};

impl Mirror {
    /// The row of this person, tombstones included.
    pub fn user(&self, id: &AccountId) -> Option<&UserRow> {
        self.person(self.person_slot(id)?)?.row.as_ref()
    }

    /// Everybody who is there with this address, as primary address first, else as a further one; by id.
    pub fn users_with(&self, email: &Email) -> Vec<&UserRow> {
        let rows = |slots: Vec<u32>| {
            let mut rows: Vec<&UserRow> = slots.into_iter().filter_map(|slot| self.live(slot)).collect();
            rows.sort_by(|a, b| a.user.id.cmp(&b.user.id));
            rows
        };
        let primary = rows(self.by_address(email.key()).collect());
        if primary.is_empty() { rows(self.by_alias(email.key()).collect()) } else { primary }
    }

    /// The row of this group, tombstones included.
    pub fn group(&self, id: &GroupId) -> Option<&GroupRow> {
        self.group_at(self.group_slot(id)?)?.row.as_ref()
    }

    /// All people with rows, tombstones included, in no order that means anything.
    pub fn users(&self) -> impl Iterator<Item = &UserRow> {
        self.people.iter().filter_map(|person| person.row.as_ref())
    }

    /// All groups with rows, tombstones included, in no order that means anything.
    pub fn groups(&self) -> impl Iterator<Item = &GroupRow> {
        self.groups.iter().filter_map(|group| group.row.as_ref())
    }

    /// The members of a group, sorted.
    pub fn members(&self, id: &GroupId) -> Vec<Member> {
        let Some(group) = self.group_slot(id).and_then(|slot| self.group_at(slot)) else { return Vec::new() };
        let people = group.people.iter().filter_map(|packed| {
            let id = self.person(packed.slot())?.id.clone();
            Some(Member { kind: MemberKind::User(id), role: packed.role() })
        });
        let nested = group.nested.iter().filter_map(|packed| {
            let id = self.group_at(packed.slot())?.id.clone();
            Some(Member { kind: MemberKind::Group(id), role: packed.role() })
        });
        let odd = group.odd.iter().map(|(kind, role)| Member { kind: kind.clone(), role: *role });
        let mut members: Vec<Member> = people.chain(nested).chain(odd).collect();
        members.sort();
        members
    }

    /// Whether somebody is a direct member of a group now.
    pub fn is_member(&self, group: &GroupId, person: &AccountId) -> bool {
        let (Some(group), Some(person)) = (self.group_slot(group), self.person_slot(person)) else { return false };
        self.group_at(group)
            .is_some_and(|group| group.people.binary_search_by_key(&person, |packed| packed.slot()).is_ok())
    }

    /// The digest of a group's members, as the watcher computes it.
    pub fn members_digest(&self, id: &GroupId) -> Digest {
        let group = self.group_slot(id).and_then(|slot| self.group_at(slot));
        let people = group.into_iter().flat_map(|group| &group.people);
        let people = people.filter_map(|packed| Some(self.person(packed.slot())?.id.as_str()));
        let nested = group.into_iter().flat_map(|group| &group.nested);
        let nested = nested.filter_map(|packed| Some(self.group_at(packed.slot())?.id.as_str()));
        let odd = group.into_iter().flat_map(|group| group.odd.keys()).map(MemberKind::id);
        let mut ids: Vec<&str> = people.chain(nested).chain(odd).collect();
        ids.sort_unstable();
        ids.dedup();
        members_digest(ids)
    }

    /// Whether the mirror of a group holds what the watcher had when it last read the group; `None` where the watcher
    /// gave no digest.
    pub fn agrees_with_watcher(&self, id: &GroupId) -> Option<bool> {
        Some(self.read_of(&ReadScope::Members(id.clone()))?.digest? == self.members_digest(id))
    }

    /// Takes a group's members for read in part only, until they are read again.
    pub(crate) fn distrust(&mut self, id: &GroupId) {
        let slot = self.intern_group(id);
        if let Some(group) = self.groups.get_mut(slot as usize) {
            group.read.complete = false;
        }
    }

    /// What is known of the reads of a scope; `None` for a group that was never heard of.
    pub fn read_of(&self, scope: &ReadScope) -> Option<&ScopeRead> {
        match scope {
            ReadScope::Users => Some(&self.users_read),
            ReadScope::Groups => Some(&self.groups_read),
            ReadScope::Members(id) => Some(&self.group_at(self.group_slot(id)?)?.read),
        }
    }

    /// The last answer to a question for a single fact.
    pub fn answer_to(&self, fact: &Fact) -> Option<(Answer, model::Time)> {
        self.answer(fact).map(|corroboration| (corroboration.answer, corroboration.read_at))
    }

    pub(crate) const fn users_read(&self) -> &ScopeRead {
        &self.users_read
    }

    pub(crate) const fn groups_read(&self) -> &ScopeRead {
        &self.groups_read
    }
}
