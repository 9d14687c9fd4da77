//! Direct memberships and their expansion.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{GoogleSide, Id, Owner, Refused, lower};
use crate::engine::{Lagged, Millis};
use crate::world::{Cause, MutationLog};

/// What somebody may do in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Role {
    /// May change everything.
    Owner,
    /// May change most.
    Manager,
    /// Is simply in it.
    Member,
}

impl Role {
    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "OWNER",
            Self::Manager => "MANAGER",
            Self::Member => "MEMBER",
        }
    }

    /// Reads the API's word, in any letter case.
    pub fn read(text: &str) -> Option<Self> {
        [Self::Owner, Self::Manager, Self::Member].into_iter().find(|it| it.name().eq_ignore_ascii_case(text))
    }
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum MemberKind {
    /// A person, ours or not.
    User,
    /// A group, ours or not.
    Group,
    /// Everybody at the customer; its id is the customer's.
    Customer,
}

impl MemberKind {
    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Group => "GROUP",
            Self::Customer => "CUSTOMER",
        }
    }
}

/// One direct membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// What the member is.
    pub kind: MemberKind,
    /// What it may do.
    pub role: Role,
    /// The address in other letter case than usual, if the source wrote it so.
    pub as_written: Option<Box<str>>,
    /// Makes the etag.
    pub version: u64,
}

impl Membership {
    pub(super) fn dump(&self, id: &str, email: Option<&str>) -> Value {
        json!({
            "id": id,
            "email": email,
            "type": self.kind.name(),
            "role": self.role.name(),
            "as_written": self.as_written,
        })
    }
}

pub(super) type StoredMember = Lagged<Option<Membership>>;

impl GoogleSide {
    /// Adds a direct member by id. A cycle is refused only if `acyclic`: real directories do contain some.
    pub fn add_member(
        &mut self,
        group_id: &str,
        member_id: &str,
        mut membership: Membership,
        acyclic: bool,
        cause: &Cause,
        log: &mut MutationLog,
    ) -> Result<(), Refused> {
        let version = self.next_version();
        membership.version = version;
        let member: Id = match self.owner(member_id) {
            Some(owner) => Arc::clone(owner.id()),
            None if member_id == self.customer_id => Arc::from(member_id),
            None => return Err(Refused::NotFound("memberKey")),
        };
        if acyclic && membership.kind == MemberKind::Group && self.reaches(&member, group_id) {
            return Err(Refused::Condition("Cyclic memberships not allowed"));
        }
        let group_id: Id =
            self.groups.get_key_value(group_id).map(|(id, _)| Arc::clone(id)).ok_or(Refused::NotFound("groupKey"))?;
        let group = self.groups.get_mut(&group_id).filter(|it| it.record.current().is_some());
        let group = group.ok_or(Refused::NotFound("groupKey"))?;
        if group.members.get(&member).is_some_and(|it| it.current().is_some()) {
            return Err(Refused::Duplicate("Member already exists."));
        }
        let role = membership.role.name();
        log.record_with(cause, || (member_key(&group_id, &member), None, Some(role.to_owned())));
        if let Some(stored) = group.members.get_mut(&member) {
            stored.set(Some(membership), cause.visible_at);
        } else {
            group.members.insert(Arc::clone(&member), Lagged::fresh(None, Some(membership), cause.visible_at));
            group.order = None;
        }
        group.count += 1;
        self.listed_in.entry(member).or_default().insert(group_id);
        Ok(())
    }

    /// Removes a direct member by id.
    pub fn remove_member(
        &mut self,
        group_id: &str,
        member_id: &str,
        cause: &Cause,
        log: &mut MutationLog,
    ) -> Result<(), Refused> {
        let group = self.groups.get_mut(group_id).ok_or(Refused::NotFound("groupKey"))?;
        let stored = group.members.get_mut(member_id).ok_or(Refused::NotFound("memberKey"))?;
        let role = stored.current().as_ref().map(|it| it.role).ok_or(Refused::NotFound("memberKey"))?;
        log.record(cause, member_key(group_id, member_id), Some(role.name().to_owned()), None);
        stored.set(None, cause.visible_at);
        group.count = group.count.saturating_sub(1);
        Ok(())
    }

    /// Changes the role of a direct member.
    pub fn set_role(
        &mut self,
        group_id: &str,
        member_id: &str,
        role: Role,
        cause: &Cause,
        log: &mut MutationLog,
    ) -> Result<(), Refused> {
        let version = self.next_version();
        let group = self.groups.get_mut(group_id).ok_or(Refused::NotFound("groupKey"))?;
        let stored = group.members.get_mut(member_id).ok_or(Refused::NotFound("memberKey"))?;
        let before = stored.current().clone().ok_or(Refused::NotFound("memberKey"))?;
        if before.role == role {
            return Ok(());
        }
        let (old, new) = (before.role.name().to_owned(), role.name().to_owned());
        log.record(cause, member_key(group_id, member_id), Some(old), Some(new));
        stored.set(Some(Membership { role, version, ..before }), cause.visible_at);
        Ok(())
    }

    /// Direct members by address as a read at that time sees them, beginning after a sort key.
    pub fn members_after(&mut self, group_id: &str, after: &str, at: Millis) -> Vec<(String, Id, Membership)> {
        self.sort_members(group_id);
        let Some(group) = self.groups.get(group_id) else {
            return Vec::new();
        };
        let order = group.order.as_deref().unwrap_or_default();
        let start = order.partition_point(|(address, id)| super::people::sort_key(address, id).as_str() <= after);
        let start = if after.is_empty() { 0 } else { start };
        let rest = order.iter().skip(start);
        // One more than the largest page, so that the caller knows whether there is another.
        rest.filter_map(|(address, id)| {
            let membership = group.member(id, at)?;
            Some((super::people::sort_key(address, id), Arc::clone(id), membership.clone()))
        })
        .take(201)
        .collect()
    }

    /// Everybody in the group directly or through groups, as a read at that time sees it; cycles end where they meet
    /// themselves. Groups on the way are listed, too.
    pub fn derived_members(&self, group_id: &str, at: Millis) -> BTreeMap<(String, Id), Membership> {
        let mut found: BTreeMap<(String, Id), Membership> = BTreeMap::new();
        let mut visited: BTreeSet<Id> = BTreeSet::new();
        let mut waiting: Vec<Id> =
            self.groups.get_key_value(group_id).map(|(id, _)| Arc::clone(id)).into_iter().collect();
        let mut direct = true;
        while let Some(next) = waiting.pop() {
            if !visited.insert(Arc::clone(&next)) {
                continue;
            }
            let Some(group) = self.groups.get(&next).filter(|it| it.seen(at).is_some()) else {
                continue;
            };
            let members: BTreeMap<&Id, &StoredMember> = group.members.iter().collect();
            for (id, stored) in members {
                let Some(membership) = stored.seen(at) else {
                    continue;
                };
                if membership.kind == MemberKind::Group {
                    waiting.push(Arc::clone(id));
                }
                let key = (self.address_of(id, at).map(lower).unwrap_or_default(), Arc::clone(id));
                let role = if direct { membership.role } else { Role::Member };
                found.entry(key).or_insert_with(|| Membership { role, ..membership.clone() });
            }
            direct = false;
        }
        found
    }

    /// Removes somebody from every group that lists them.
    pub(super) fn leave_all(&mut self, id: &Id, cause: &Cause, log: &mut MutationLog) {
        for group in self.listed_in.get(id).cloned().unwrap_or_default() {
            // Groups that they left before stay in the index for the sake of late reads.
            let _left_before = self.remove_member(&group, id, cause, log);
        }
    }

    /// Forgets the sorted members of every group that lists this id, because its address changed.
    pub(super) fn forget_order(&mut self, id: &Id) {
        for group in self.listed_in.get(id).into_iter().flatten() {
            if let Some(group) = self.groups.get_mut(group) {
                group.order = None;
            }
        }
    }

    fn sort_members(&mut self, group_id: &str) {
        let Some(group) = self.groups.get(group_id).filter(|it| it.order.is_none()) else {
            return;
        };
        let address = |id: &Id| self.address_of(id, Millis::MAX).map(lower).unwrap_or_default();
        let mut order: Vec<(String, Id)> = group.members.keys().map(|id| (address(id), Arc::clone(id))).collect();
        order.sort();
        if let Some(group) = self.groups.get_mut(group_id) {
            group.order = Some(order);
        }
    }

    /// Whether `target` is `start` or lies below it.
    fn reaches(&self, start: &str, target: &str) -> bool {
        let mut visited: BTreeSet<&str> = BTreeSet::new();
        let mut waiting = vec![start];
        while let Some(next) = waiting.pop() {
            if next == target {
                return true;
            }
            if !visited.insert(next) {
                continue;
            }
            let members = self.groups.get(next).into_iter().flat_map(super::Group::true_members);
            waiting.extend(members.filter(|(_, it)| it.kind == MemberKind::Group).map(|(id, _)| id.as_ref()));
        }
        false
    }

    /// Whether somebody is in a group directly or through groups, as a read at that time sees it.
    pub fn has_member(&self, group_id: &str, member: &Owner, at: Millis) -> bool {
        self.derived_members(group_id, at).keys().any(|(_, id)| id == member.id())
    }
}

fn member_key(group: &str, member: &str) -> String {
    format!("google/group/{group}/member/{member}")
}
