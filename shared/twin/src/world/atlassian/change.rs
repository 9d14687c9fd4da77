//! Changing groups, memberships and roles: the rules that hold whichever API asks.

use std::collections::{BTreeMap, BTreeSet};

use super::account::{AccountStatus, Index};
use super::base::{Before, Group, GroupIndex, Owner, Standing};
use super::switches::NonEmptyGroup;
use super::{Act, AtlassianSide, Authority, BaseKey, Refusal};

impl AtlassianSide {
    /// Makes or ends a membership. No effect is a refusal: [`Refusal::AlreadyMember`] or [`Refusal::NotMember`].
    pub fn set_membership(
        &mut self,
        key: &BaseKey,
        group_id: &str,
        account_id: &str,
        member: bool,
        authority: &Authority,
        act: &mut Act<'_>,
    ) -> Result<(), Refusal> {
        let base = self.base(key).ok_or(Refusal::UnknownGroup)?;
        let (group, found) = base.group(group_id).ok_or(Refusal::UnknownGroup)?;
        permit(found, authority)?;
        let person = self.accounts.find(account_id).ok_or(Refusal::UnknownAccount)?;
        let account = self.accounts.get(person).ok_or(Refusal::UnknownAccount)?;
        if account.status == AccountStatus::Closed {
            return Err(Refusal::UnknownAccount);
        }
        if base.resident(person).is_none_or(|it| it.standing == Standing::NoMembership) {
            return Err(Refusal::NotInDirectory);
        }
        if found.members.contains(&person) == member {
            return Err(if member { Refusal::AlreadyMember } else { Refusal::NotMember });
        }
        if member && *authority == Authority::Administrator {
            if account.status == AccountStatus::Inactive && !self.switches.add_inactive {
                return Err(Refusal::Inactive);
            }
            if !self.has_seat_for(base, found, person) {
                return Err(Refusal::NoSeat);
            }
        }
        self.put_membership(key, group, person, member, act);
        Ok(())
    }

    /// Sets a membership without asking anybody; true if that changed anything.
    pub(crate) fn put_membership(
        &mut self,
        key: &BaseKey,
        group: GroupIndex,
        person: Index,
        member: bool,
        act: &mut Act<'_>,
    ) -> bool {
        let Some(base) = self.base_mut(key) else { return false };
        if !base.set_member(group, person, member) {
            return false;
        }
        base.remember(act.cause, Before::Membership { group, person, member: !member });
        let object = base.groups.get(&group).map_or("", |it| it.id.as_str()).to_owned();
        let subject = self.accounts.get(person).map_or("", |it| it.id.as_str());
        act.record_presence(member_key(&object, subject), member);
        true
    }

    /// Makes a group and answers with its id.
    pub fn create_group(
        &mut self,
        key: &BaseKey,
        name: &str,
        description: &str,
        owner: Owner,
        act: &mut Act<'_>,
    ) -> Result<String, Refusal> {
        let id = self.fresh_id();
        let base = self.base_mut(key).ok_or(Refusal::UnknownGroup)?;
        if base.group_named(name).is_some() {
            return Err(Refusal::NameTaken);
        }
        let group = base.put_group(Group {
            id: id.clone(),
            name: name.to_owned(),
            description: description.to_owned(),
            owner,
            default: false,
            admin: matches!(name, "org-admins" | "site-admins" | "administrators"),
            roles: BTreeMap::new(),
            members: BTreeSet::new(),
            created_at: act.cause.at,
        });
        base.remember(act.cause, Before::NoGroup(group));
        act.record(group_key(&id), None, Some(name.to_owned()));
        Ok(id)
    }

    /// Deletes a group with its memberships.
    pub fn delete_group(
        &mut self,
        key: &BaseKey,
        group_id: &str,
        non_empty: NonEmptyGroup,
        authority: &Authority,
        act: &mut Act<'_>,
    ) -> Result<(), Refusal> {
        let base = self.base_mut(key).ok_or(Refusal::UnknownGroup)?;
        let (index, found) = base.group(group_id).ok_or(Refusal::UnknownGroup)?;
        permit(found, authority)?;
        if *authority == Authority::Administrator {
            if found.default {
                return Err(Refusal::DefaultGroup);
            }
            if found.grants_administration() {
                return Err(Refusal::AdminGroup);
            }
            if non_empty == NonEmptyGroup::Refuse && !found.members.is_empty() {
                return Err(Refusal::NotEmpty);
            }
        }
        let Some(group) = base.take_group(index) else { return Err(Refusal::UnknownGroup) };
        base.remember(act.cause, Before::Group(index, Box::new(group.clone())));
        for person in &group.members {
            let subject = self.accounts.get(*person).map_or("", |it| it.id.as_str());
            act.record_presence(member_key(group_id, subject), false);
        }
        act.record(group_key(group_id), Some(group.name), None);
        Ok(())
    }

    /// Assigns or revokes a role of a group on a resource. Repeats are accepted and change nothing.
    pub fn set_role(
        &mut self,
        key: &BaseKey,
        group_id: &str,
        (resource, role): (&str, &str),
        assigned: bool,
        act: &mut Act<'_>,
    ) -> Result<(), Refusal> {
        let role_lag = self.switches.role_lag_ms;
        let on_external = self.switches.org_roles_on_external_groups;
        let base = self.base_mut(key).ok_or(Refusal::UnknownGroup)?;
        if !base.products.iter().any(|it| it.resource == resource) {
            return Err(Refusal::UnknownResource);
        }
        let (index, found) = base.group(group_id).ok_or(Refusal::UnknownGroup)?;
        if found.owner != Owner::Admins && !on_external {
            return Err(Refusal::External);
        }
        let Some(group) = base.groups.get_mut(&index) else { return Err(Refusal::UnknownGroup) };
        let roles = group.roles.entry(resource.to_owned()).or_default();
        let changed = if assigned { roles.insert(role.to_owned()) } else { roles.remove(role) };
        group.roles.retain(|_, it| !it.is_empty());
        if !changed {
            return Ok(());
        }
        let before =
            Before::Role { group: index, resource: resource.to_owned(), role: role.to_owned(), assigned: !assigned };
        base.remember_until(act.cause, act.cause.visible_at.saturating_add(role_lag), before);
        act.record_presence(format!("atlassian/group/{group_id}/role/{resource} {role}"), assigned);
        Ok(())
    }
}

/// Whether the authority may change the group at all.
fn permit(group: &Group, authority: &Authority) -> Result<(), Refusal> {
    let allowed = match (authority, &group.owner) {
        (Authority::Hand, _) | (Authority::Administrator, Owner::Admins) => true,
        (Authority::Directory(directory), Owner::External(owner)) => directory == owner,
        _ => false,
    };
    if allowed { Ok(()) } else { Err(Refusal::External) }
}

/// Key of a group in the log.
pub(crate) fn group_key(group_id: &str) -> String {
    format!("atlassian/group/{group_id}")
}

/// Key of a membership in the log.
pub(crate) fn member_key(group_id: &str, account_id: &str) -> String {
    format!("atlassian/group/{group_id}/member/{account_id}")
}
