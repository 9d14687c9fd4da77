//! Groups through user provisioning: created, filled and deleted by the directory that owns them.

use std::collections::BTreeSet;

use super::base::Owner;
use super::scim::{Position, ScimGroup, ScimRefusal};
use super::scim_user::no_user;
use super::switches::NonEmptyGroup;
use super::{Act, AtlassianSide, Authority, BaseKey, Refusal, ScimDirectory};

/// One step of a membership change, as PATCH sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberStep {
    /// These too.
    Add(Vec<String>),
    /// These not any more.
    Remove(Vec<String>),
    /// Exactly these.
    Replace(Vec<String>),
}

impl AtlassianSide {
    /// Makes a group that only this directory may change. Answers with its SCIM id.
    pub fn create_scim_group(
        &mut self,
        directory: &str,
        name: &str,
        external_id: Option<String>,
        members: &[String],
        act: &mut Act<'_>,
    ) -> Result<String, ScimRefusal> {
        let it = self.directory(directory)?;
        let key = it.base();
        let taken = || ScimRefusal::Taken(format!("Resource [GROUP]: with displayName {name} already exists."));
        if it.group_named(name).is_some() {
            return Err(taken());
        }
        if let Some(unknown) = members.iter().find(|id| it.user(id).is_none()) {
            return Err(ScimRefusal::UnknownMembers(unknown.clone()));
        }
        let owner = Owner::External(directory.to_owned());
        let group_id = self.create_group(&key, name, "", owner, act).map_err(|it| match it {
            Refusal::NameTaken => taken(),
            _ => ScimRefusal::Unknown("Directory not found.".to_owned()),
        })?;
        let id = self.enter_group(directory, &key, &group_id, name, external_id, act.cause.at)?;
        if !members.is_empty() {
            self.change_scim_members(directory, &id, &[MemberStep::Add(members.to_vec())], act)?;
        }
        Ok(id)
    }

    /// Gives an existing group to an identity provider. Members that have a record there stay its members; the others
    /// stay in the organization's group alone.
    pub fn take_under_ownership(&mut self, directory: &str, group_id: &str, at: i64) -> Result<String, ScimRefusal> {
        let key = self.directory(directory)?.base();
        let Some((index, group)) = self.base(&key).and_then(|it| it.group(group_id)) else {
            return Err(ScimRefusal::Unknown(format!("group {group_id} not found")));
        };
        let (name, members) = (group.name.clone(), group.members.clone());
        let id = self.enter_group(directory, &key, group_id, &name, None, at)?;
        if let Some(group) = self.base_mut(&key).and_then(|it| it.groups.get_mut(&index)) {
            group.owner = Owner::External(directory.to_owned());
        }
        if let Some(it) = self.scim.get_mut(directory) {
            let positions: Vec<Position> =
                members.iter().filter_map(|it2| it.user_by_account.get(it2).copied()).collect();
            if let Some(group) = it.group_by_id.get(&id).copied() {
                for position in positions {
                    it.set_member(group, position, true);
                }
            }
        }
        Ok(id)
    }

    fn enter_group(
        &mut self,
        directory: &str,
        key: &BaseKey,
        group_id: &str,
        name: &str,
        external_id: Option<String>,
        at: i64,
    ) -> Result<String, ScimRefusal> {
        let id = self.fresh_id();
        let group = self.base(key).and_then(|it| it.group(group_id)).map(|it| it.0);
        let group = group.ok_or_else(|| ScimRefusal::Unknown(format!("group {group_id} not found")))?;
        let Some(it) = self.scim.get_mut(directory) else { return Err(no_group(&id)) };
        let position = it.allot();
        it.group_by_id.insert(id.clone(), position);
        it.group_by_name.insert(name.to_lowercase(), position);
        let group = ScimGroup {
            id: id.clone(),
            display_name: name.to_owned(),
            external_id,
            group,
            group_id: group_id.to_owned(),
            members: BTreeSet::new(),
            created: at,
            modified: at,
        };
        it.groups.insert(position, group);
        Ok(id)
    }

    /// Changes members in steps, or not at all: an unknown record is refused before anything happens.
    pub fn change_scim_members(
        &mut self,
        directory: &str,
        id: &str,
        steps: &[MemberStep],
        act: &mut Act<'_>,
    ) -> Result<(), ScimRefusal> {
        let it = self.directory(directory)?;
        let (position, group) = it.group(id).ok_or_else(|| no_group(id))?;
        let old: BTreeSet<Position> = group.members.clone();
        let mut members = old.clone();
        for step in steps {
            let (MemberStep::Add(ids) | MemberStep::Remove(ids) | MemberStep::Replace(ids)) = step;
            let named: Vec<Position> =
                ids.iter().map(|id| it.user(id).map(|it| it.0).ok_or_else(|| no_user(id))).collect::<Result<_, _>>()?;
            self.check_step(step, &named, &members)?;
            match step {
                MemberStep::Add(_) => members.extend(named),
                MemberStep::Remove(_) => members.retain(|it| !named.contains(it)),
                MemberStep::Replace(_) => members = named.into_iter().collect(),
            }
        }
        self.check_seats(it, group, members.difference(&old))?;
        let changes: Vec<(Position, bool)> = old
            .difference(&members)
            .map(|it| (*it, false))
            .chain(members.difference(&old).map(|it| (*it, true)))
            .collect();
        let (key, target) = (it.base(), group.group);
        for (user, member) in changes {
            let reached = self.scim.get(directory).and_then(|it| self.reaches(it, user));
            if let Some(it) = self.scim.get_mut(directory) {
                it.set_member(position, user, member);
                if let Some(group) = it.groups.get_mut(&position) {
                    group.modified = act.cause.at;
                }
            }
            if let Some(person) = reached {
                self.put_membership(&key, target, person, member, act);
            }
        }
        Ok(())
    }

    /// What repeats are answered with, where the switches make them errors.
    fn check_step(
        &self,
        step: &MemberStep,
        named: &[Position],
        members: &BTreeSet<Position>,
    ) -> Result<(), ScimRefusal> {
        let most = self.switches.scim_members_per_patch;
        if most > 0 && named.len() > most {
            return Err(ScimRefusal::Invalid("tooMany", format!("at most {most} members per operation")));
        }
        let (status, hit) = match step {
            MemberStep::Add(_) => (self.switches.scim_add_existing_status, named.iter().any(|it| members.contains(it))),
            MemberStep::Remove(_) => {
                (self.switches.scim_remove_non_member_status, named.iter().any(|it| !members.contains(it)))
            }
            MemberStep::Replace(_) => (200, false),
        };
        if hit && status >= 300 {
            let detail = match step {
                MemberStep::Add(_) => "User is already a member of the group.",
                _ => "User is not a member of the group.",
            };
            return Err(ScimRefusal::Status(status, detail.to_owned()));
        }
        Ok(())
    }

    fn check_seats<'a>(
        &self,
        it: &ScimDirectory,
        group: &ScimGroup,
        added: impl Iterator<Item = &'a Position>,
    ) -> Result<(), ScimRefusal> {
        if self.switches.scim_accepts_without_seat {
            return Ok(());
        }
        let Some(base) = self.base(&it.base()) else { return Ok(()) };
        let Some(target) = base.groups.get(&group.group) else { return Ok(()) };
        for person in added.filter_map(|position| self.reaches(it, *position)) {
            if !self.has_seat_for(base, target, person) {
                return Err(ScimRefusal::Status(400, "Product licence limit exceeded.".to_owned()));
            }
        }
        Ok(())
    }

    /// Sets what the identity provider calls the group.
    pub fn set_scim_group_external_id(&mut self, directory: &str, id: &str, external_id: Option<String>) {
        let Some(it) = self.scim.get_mut(directory) else { return };
        let position = it.group_by_id.get(id).copied();
        if let Some(group) = position.and_then(|at| it.groups.get_mut(&at)) {
            group.external_id = external_id;
        }
    }

    /// Deletes a group everywhere.
    pub fn delete_scim_group(&mut self, directory: &str, id: &str, act: &mut Act<'_>) -> Result<(), ScimRefusal> {
        let it = self.directory(directory)?;
        let (position, group) = it.group(id).ok_or_else(|| no_group(id))?;
        let (key, group_id) = (it.base(), group.group_id.clone());
        let authority = Authority::Directory(directory.to_owned());
        // A group that was deleted by hand at the organization is gone there already.
        let _gone = self.delete_group(&key, &group_id, NonEmptyGroup::Delete, &authority, act);
        self.forget_scim_group(directory, position);
        Ok(())
    }

    /// Forgets the records of an organization's group that is gone.
    pub(super) fn forget_group_records(&mut self, group_id: &str) {
        let found: Vec<(String, Position)> = self
            .scim
            .values()
            .flat_map(|it| {
                let ours = it.groups.iter().filter(|(_, group)| group.group_id == group_id);
                ours.map(|(position, _)| (it.id.clone(), *position))
            })
            .collect();
        for (directory, position) in found {
            self.forget_scim_group(&directory, position);
        }
    }

    fn forget_scim_group(&mut self, directory: &str, position: Position) {
        let Some(it) = self.scim.get_mut(directory) else { return };
        let Some(group) = it.groups.remove(&position) else { return };
        it.group_by_id.remove(&group.id);
        it.group_by_name.remove(&group.display_name.to_lowercase());
        for member in group.members {
            if let Some(groups) = it.groups_of.get_mut(&member) {
                groups.remove(&position);
            }
        }
    }

    fn directory(&self, id: &str) -> Result<&ScimDirectory, ScimRefusal> {
        self.scim.get(id).ok_or_else(|| ScimRefusal::Unknown("Directory not found.".to_owned()))
    }
}

impl ScimDirectory {
    /// Sets one membership among the records.
    pub(super) fn set_member(&mut self, group: Position, user: Position, member: bool) {
        let Some(it) = self.groups.get_mut(&group) else { return };
        if member {
            it.members.insert(user);
            self.groups_of.entry(user).or_default().insert(group);
        } else {
            it.members.remove(&user);
            if let Some(groups) = self.groups_of.get_mut(&user) {
                groups.remove(&group);
            }
        }
    }
}

fn no_group(id: &str) -> ScimRefusal {
    ScimRefusal::Unknown(format!("Resource [GROUP]: with id[{id}] not found."))
}
