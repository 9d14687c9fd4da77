//! How rows become memory, and what a delta touched.

use model::{Answer, Delta, Email, Fact, GroupRow, MemberKind, MemberRow, ReadRow, ReadScope, UserRow};

use super::{Mirror, PersonSlot};

/// What a delta touched, by slot: what has to be looked at again.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// People whose row changed.
    pub(crate) users: Vec<UserChange>,
    /// Groups whose row changed.
    pub(crate) groups: Vec<GroupChange>,
    /// Groups whose members changed.
    pub(crate) members: Vec<u32>,
    /// Groups whose members were read.
    pub(crate) reads: Vec<u32>,
}

/// A person whose row changed, with what the person was found by before.
#[derive(Debug)]
pub(crate) struct UserChange {
    pub(crate) slot: u32,
    pub(crate) addresses_before: Vec<Email>,
    pub(crate) external_id_before: Option<String>,
}

/// A group whose row changed, with the name it was found by before.
#[derive(Debug)]
pub(crate) struct GroupChange {
    pub(crate) slot: u32,
    pub(crate) name_before: Option<String>,
}

impl Mirror {
    /// Takes a delta in. Taking one in twice changes nothing; rows of an older version than the mirror's are taken as
    /// they come, for deltas are handed over in order.
    pub(crate) fn apply(&mut self, delta: &Delta) -> Changes {
        let mut changes = Changes::default();
        for row in &delta.users {
            self.apply_user(row, &mut changes);
        }
        for row in &delta.groups {
            self.apply_group(row, &mut changes);
        }
        for row in &delta.members {
            self.apply_member(row, &mut changes);
        }
        for row in &delta.reads {
            self.apply_read(row, &mut changes);
        }
        for corroboration in &delta.corroborations {
            self.apply_answer(corroboration, &mut changes);
        }
        changes.members.sort_unstable();
        changes.members.dedup();
        self.version = self.version.max(delta.version);
        changes
    }

    fn apply_user(&mut self, row: &UserRow, changes: &mut Changes) {
        let slot = self.intern_person(&row.user.id);
        let Some(place) = self.people.get_mut(slot as usize) else { return };
        if place.row.as_ref() == Some(row) {
            return;
        }
        let before = place.row.replace(row.clone());
        let mut change = UserChange { slot, addresses_before: Vec::new(), external_id_before: None };
        if let Some(before) = before {
            if let Some(email) = &before.user.email {
                self.people_by_address.remove(email.key(), slot);
            }
            for alias in &before.user.aliases {
                self.people_by_alias.remove(alias.key(), slot);
            }
            if let Some(id) = &before.user.external_id {
                self.people_by_external_id.remove(id, slot);
            }
            change.addresses_before = before.user.email.into_iter().chain(before.user.aliases).collect();
            change.external_id_before = before.user.external_id;
        }
        if let Some(email) = &row.user.email {
            self.people_by_address.insert(email.key(), slot);
        }
        for alias in &row.user.aliases {
            self.people_by_alias.insert(alias.key(), slot);
        }
        if let Some(id) = &row.user.external_id {
            self.people_by_external_id.insert(id, slot);
        }
        changes.users.push(change);
    }

    fn apply_group(&mut self, row: &GroupRow, changes: &mut Changes) {
        let slot = self.intern_group(&row.group.id);
        let Some(place) = self.groups.get_mut(slot as usize) else { return };
        if place.row.as_ref() == Some(row) {
            return;
        }
        let name_before = place.row.replace(row.clone()).map(|before| before.group.name);
        if let Some(name) = &name_before {
            self.groups_by_name.remove(&name.to_ascii_lowercase(), slot);
        }
        self.groups_by_name.insert(&row.group.name.to_ascii_lowercase(), slot);
        let gives = row.group.default_access || !row.group.gives.is_empty();
        match (gives, self.giving.binary_search(&slot)) {
            (true, Err(at)) => self.giving.insert(at, slot),
            (false, Ok(at)) => _ = self.giving.remove(at),
            _ => {}
        }
        changes.groups.push(GroupChange { slot, name_before });
    }

    fn apply_member(&mut self, row: &MemberRow, changes: &mut Changes) {
        let slot = self.intern_group(&row.group);
        let changed = match &row.member {
            MemberKind::User(id) => {
                let person = self.intern_person(id);
                self.groups.get_mut(slot as usize).is_some_and(|group| group.put_person(person, row.role, row.gone_at))
            }
            MemberKind::Group(id) => self.apply_nested(slot, id, row),
            MemberKind::Everyone(_) | MemberKind::Other(_) => {
                let Some(group) = self.groups.get_mut(slot as usize) else { return };
                let changed = group.put_odd(&row.member, row.role, row.gone_at);
                let holds = group.holds_everyone();
                match (holds, self.everyone_in.binary_search(&slot)) {
                    (true, Err(at)) => self.everyone_in.insert(at, slot),
                    (false, Ok(at)) => {
                        self.everyone_in.remove(at);
                    }
                    _ => {}
                }
                changed
            }
        };
        if changed {
            changes.members.push(slot);
        }
    }

    fn apply_nested(&mut self, slot: u32, id: &model::GroupId, row: &MemberRow) -> bool {
        let nested = self.intern_group(id);
        let changed =
            self.groups.get_mut(slot as usize).is_some_and(|group| group.put_nested(nested, row.role, row.gone_at));
        if let Some(child) = self.groups.get_mut(nested as usize) {
            match (row.gone_at, child.parents.binary_search(&slot)) {
                (None, Err(at)) => child.parents.insert(at, slot),
                (Some(_), Ok(at)) => {
                    child.parents.remove(at);
                }
                _ => {}
            }
        }
        changed
    }

    fn apply_read(&mut self, row: &ReadRow, changes: &mut Changes) {
        match &row.scope {
            ReadScope::Users => self.users_read.take(row),
            ReadScope::Groups => self.groups_read.take(row),
            ReadScope::Members(id) => {
                let slot = self.intern_group(id);
                let Some(group) = self.groups.get_mut(slot as usize) else { return };
                let (rows, before) = (group.read.rows, group.read.rows_before);
                group.read.take(row);
                self.member_rows.0 = self.member_rows.0.saturating_sub(rows).saturating_add(row.rows);
                self.member_rows.1 = self.member_rows.1.saturating_sub(before).saturating_add(row.rows_before);
                changes.reads.push(slot);
            }
        }
    }

    /// An answer that a fact holds after all voids the read that missed it, as a whole.
    fn apply_answer(&mut self, corroboration: &model::Corroboration, changes: &mut Changes) {
        if self.answers.get(&corroboration.fact).is_some_and(|known| known.read_at > corroboration.read_at) {
            return;
        }
        if corroboration.answer == Answer::Holds {
            match &corroboration.fact {
                Fact::Member { group, .. } | Fact::Nested { group, .. } => {
                    let slot = self.intern_group(group);
                    if let Some(group) = self.groups.get_mut(slot as usize) {
                        group.read.void(corroboration.read_at);
                    }
                    changes.reads.push(slot);
                }
                Fact::User { .. } => self.users_read.void(corroboration.read_at),
                Fact::Group { .. } => self.groups_read.void(corroboration.read_at),
            }
        }
        self.answers.insert(corroboration.fact.clone(), corroboration.clone());
    }
}

impl UserChange {
    /// The addresses by which the person was found before or is found now.
    pub(crate) fn addresses<'a>(&'a self, now: Option<&'a PersonSlot>) -> impl Iterator<Item = &'a str> {
        let row = now.and_then(|person| person.row.as_ref());
        let after = row.into_iter().flat_map(|row| row.user.email.iter().chain(&row.user.aliases));
        self.addresses_before.iter().chain(after).map(Email::key)
    }
}
