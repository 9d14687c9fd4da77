//! Groups, the customer's and those of others that are only known as members.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use super::members::StoredMember;
use super::people::{sort_key, sort_start};
use super::{GoogleSide, Id, Membership, Owner, Refused, lower};
use crate::engine::{Lagged, Millis};
use crate::world::{Cause, MutationLog};

/// One version of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRecord {
    /// Immutable id.
    pub id: Id,
    /// The address; unique.
    pub email: String,
    /// The name; not unique.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Belongs to others: it can be a member, but neither it nor its members can be read.
    pub external: bool,
    /// Further addresses; a changed address leaves the old one here.
    pub aliases: Vec<String>,
    /// Makes the etag.
    pub version: u64,
}

impl GroupRecord {
    /// A group of the customer.
    pub fn new(id: Id, email: &str, name: &str, description: &str) -> Self {
        Self {
            id,
            email: email.to_owned(),
            name: name.to_owned(),
            description: description.to_owned(),
            external: false,
            aliases: Vec::new(),
            version: 0,
        }
    }

    /// Whether the address is one of this group's, in any letter case.
    pub fn answers_to(&self, address: &str) -> bool {
        self.email.eq_ignore_ascii_case(address) || self.aliases.iter().any(|it| it.eq_ignore_ascii_case(address))
    }
}

/// A group with its direct members.
#[derive(Debug, Default)]
pub struct Group {
    pub(super) record: Lagged<Option<Arc<GroupRecord>>>,
    pub(super) members: HashMap<Id, StoredMember>,
    /// Member ids by address, kept until a membership or an address changes.
    pub(super) order: Option<Vec<(String, Id)>>,
    /// True members, kept so that nobody needs to count.
    pub(super) count: u64,
}

impl Group {
    /// The group as a read at that time sees it.
    pub fn seen(&self, at: Millis) -> Option<&Arc<GroupRecord>> {
        self.record.seen(at).as_ref()
    }

    /// How many direct members it has.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Direct members as they truly are, in no order.
    pub fn true_members(&self) -> impl Iterator<Item = (&Id, &Membership)> {
        self.members.iter().filter_map(|(id, it)| it.current().as_ref().map(|it| (id, it)))
    }

    /// One direct membership as a read at that time sees it.
    pub fn member(&self, id: &str, at: Millis) -> Option<&Membership> {
        self.members.get(id).and_then(|it| it.seen(at).as_ref())
    }
}

impl GoogleSide {
    /// A group by id, also one that was deleted a moment ago: ask [`Group::seen`].
    pub fn group(&self, id: &str) -> Option<&Group> {
        self.groups.get(id)
    }

    /// A group of the customer by id or address as a read at that time sees it. Groups of others are forbidden.
    pub fn readable_group(&self, key: &str, at: Millis) -> Result<(&Group, &Arc<GroupRecord>), Refused> {
        let missing = Refused::NotFound("groupKey");
        let Some(Owner::Group(id)) = self.owner(key) else {
            return Err(missing);
        };
        let group = self.groups.get(&id).ok_or(missing.clone())?;
        let record = group.seen(at).ok_or(missing.clone())?;
        if record.external {
            return Err(Refused::Forbidden);
        }
        if key.contains('@') && !record.answers_to(key) {
            return Err(missing);
        }
        Ok((group, record))
    }

    /// The customer's groups as a read at that time sees them, by address, beginning after a sort key.
    pub fn groups_after<'a>(
        &'a self,
        after: &str,
        at: Millis,
    ) -> impl Iterator<Item = (String, &'a Group, &'a Arc<GroupRecord>)> {
        self.group_order.range((sort_start(after), Bound::Unbounded)).filter_map(move |(address, id)| {
            let group = self.groups.get(id)?;
            let record = group.seen(at).filter(|it| !it.external)?;
            Some((sort_key(address, id), group, record))
        })
    }

    /// The groups that list this id directly, as a read at that time sees them.
    pub fn groups_of<'a>(&'a self, id: &str, at: Millis) -> impl Iterator<Item = (&'a Group, &'a Arc<GroupRecord>)> {
        let listed = self.listed_in.get(id);
        let id = id.to_owned();
        listed.into_iter().flatten().filter_map(move |group| {
            let group = self.groups.get(group)?;
            group.member(&id, at)?;
            group.seen(at).map(|record| (group, record))
        })
    }

    /// Creates a group without members.
    pub fn create_group(
        &mut self,
        mut record: GroupRecord,
        steal: bool,
        cause: &Cause,
        log: &mut MutationLog,
    ) -> Result<Arc<GroupRecord>, Refused> {
        let id = Arc::clone(&record.id);
        if self.groups.get(&id).is_some_and(|it| it.record.current().is_some()) {
            return Err(Refused::Duplicate("Entity already exists."));
        }
        self.claim_all(record.aliases.iter().chain([&record.email]), &Owner::Group(Arc::clone(&id)), steal)?;
        if self.groups.contains_key(&id) {
            self.group_order.retain(|(_, it)| *it != id);
        }
        record.version = self.next_version();
        self.group_order.insert((lower(&record.email), Arc::clone(&id)));
        log.record(cause, group_key(&id), None, Some(record.email.clone()));
        let record = Arc::new(record);
        self.groups.entry(id).or_default().record.set(Some(Arc::clone(&record)), cause.visible_at);
        Ok(record)
    }

    /// Changes a group. A changed address leaves the old one as an alias (google.md §7, 8).
    pub fn change_group(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut GroupRecord),
        steal: bool,
        cause: &Cause,
        log: &mut MutationLog,
    ) -> Result<Arc<GroupRecord>, Refused> {
        let current = self.groups.get(id).and_then(|it| it.record.current().clone());
        let before = current.ok_or(Refused::NotFound("groupKey"))?;
        let mut after = (*before).clone();
        change(&mut after);
        let id = Arc::clone(&before.id);
        after.id = Arc::clone(&id);
        if after == *before {
            return Ok(before);
        }
        let owner = Owner::Group(Arc::clone(&id));
        self.claim_all(after.aliases.iter().chain([&after.email]), &owner, steal)?;
        if !after.email.eq_ignore_ascii_case(&before.email) {
            let taken = after.email.clone();
            after.aliases.retain(|it| !it.eq_ignore_ascii_case(&taken));
            after.aliases.push(before.email.clone());
            self.group_order.remove(&(lower(&before.email), Arc::clone(&id)));
            self.group_order.insert((lower(&after.email), Arc::clone(&id)));
            self.forget_order(&id);
        }
        for alias in before.aliases.iter().filter(|it| !after.answers_to(it)) {
            self.release(alias, &owner);
        }
        after.version = self.next_version();
        let after = Arc::new(after);
        log.record(cause, group_key(&id), Some(describe(&before)), Some(describe(&after)));
        if let Some(group) = self.groups.get_mut(&id) {
            group.record.set(Some(Arc::clone(&after)), cause.visible_at);
        }
        Ok(after)
    }

    /// Deletes a group, its memberships and its membership in others. People stay.
    pub fn delete_group(&mut self, id: &str, cause: &Cause, log: &mut MutationLog) -> Result<(), Refused> {
        let current = self.groups.get(id).and_then(|it| it.record.current().clone());
        let record = current.ok_or(Refused::NotFound("groupKey"))?;
        let id = Arc::clone(&record.id);
        self.leave_all(&id, cause, log);
        let members: Vec<Id> =
            self.groups.get(&id).into_iter().flat_map(Group::true_members).map(|(id, _)| Arc::clone(id)).collect();
        for member in members {
            self.remove_member(&id, &member, cause, log)?;
        }
        let owner = Owner::Group(Arc::clone(&id));
        self.release(&record.email, &owner);
        for alias in &record.aliases {
            self.release(alias, &owner);
        }
        log.record(cause, group_key(&id), Some(record.email.clone()), None);
        if let Some(group) = self.groups.get_mut(&id) {
            group.record.set(None, cause.visible_at);
        }
        Ok(())
    }
}

fn group_key(id: &str) -> String {
    format!("google/group/{id}")
}

fn describe(record: &GroupRecord) -> String {
    serde_json::json!({
        "email": record.email,
        "name": record.name,
        "description": record.description,
        "aliases": record.aliases,
    })
    .to_string()
}
