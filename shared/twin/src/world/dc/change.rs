//! Changing an instance: what is refused, and what is taken down.

use super::{Instance, Person, Product, UserDirectory, fold};
use crate::world::atlassian::Act;

/// Why a change was not made. What each product answers is its own matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such user.
    UnknownUser,
    /// No such group.
    UnknownGroup,
    /// The name is taken.
    NameTaken,
    /// Already a member.
    AlreadyMember,
    /// Not a member.
    NotMember,
    /// The directory is only read.
    ReadOnly,
    /// No seat is free.
    NoSeat,
    /// Leads a project.
    LeadsProject,
    /// The last group of administrators.
    LastAdminGroup,
    /// The groups would hold each other.
    Circular,
    /// Nesting does not count here.
    NotNested,
}

impl Instance {
    fn key(&self, rest: &str) -> String {
        format!("dc/{}/{rest}", self.name)
    }

    /// The place of the directory that has the person, if it may be changed.
    fn home_of_user(&self, name: &str) -> Result<usize, Refusal> {
        let name = fold(name);
        let home = self.directories.iter().position(|it| it.active && it.people.contains_key(&name));
        self.writable(home.ok_or(Refusal::UnknownUser)?)
    }

    fn home_of_group(&self, name: &str) -> Result<usize, Refusal> {
        let name = fold(name);
        let home = self.directories.iter().position(|it| it.active && it.groups.contains_key(&name));
        self.writable(home.ok_or(Refusal::UnknownGroup)?)
    }

    fn writable(&self, place: usize) -> Result<usize, Refusal> {
        if self.directories.get(place).is_some_and(|it| it.writable) { Ok(place) } else { Err(Refusal::ReadOnly) }
    }

    /// Where new users and groups go.
    fn first_writable(&self) -> Result<usize, Refusal> {
        self.directories.iter().position(|it| it.active && it.writable).ok_or(Refusal::ReadOnly)
    }

    fn directory(&mut self, place: usize) -> Result<&mut UserDirectory, Refusal> {
        self.directories.get_mut(place).ok_or(Refusal::ReadOnly)
    }

    /// Makes a user, in the groups that new users get unless they are left out.
    ///
    /// # Errors
    /// The name is taken, no directory is writable, no seat is free.
    pub fn create_user(&mut self, person: Person, default_groups: bool, act: &mut Act<'_>) -> Result<(), Refusal> {
        if self.user(&person.name).is_some() {
            return Err(Refusal::NameTaken);
        }
        let place = self.first_writable()?;
        let defaults: Vec<String> = self.applications.iter().flat_map(|it| it.default_groups.iter().cloned()).collect();
        let full = self.applications.iter().any(|it| {
            let takes_seat = default_groups && !it.default_groups.is_empty() && person.active;
            takes_seat && it.seats.is_some_and(|seats| self.licensed(it).len() >= seats as usize)
        });
        if full {
            return Err(Refusal::NoSeat);
        }
        let name = fold(&person.name);
        act.record(self.key(&format!("user/{name}")), None, Some(state(&person)));
        self.directory(place)?.people.insert(name.clone(), person);
        for group in defaults.iter().filter(|_| default_groups) {
            // A default group in a directory that is only read stays as it is.
            let _refused = self.add_member(group, &name, act);
        }
        Ok(())
    }

    /// Changes a user in place.
    ///
    /// # Errors
    /// There is none, or the directory is only read; a project lead is not deactivated.
    pub fn change_user(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Person),
        act: &mut Act<'_>,
    ) -> Result<(), Refusal> {
        let place = self.home_of_user(name)?;
        let folded = fold(name);
        let before = self.directory(place)?.people.get(&folded).cloned().ok_or(Refusal::UnknownUser)?;
        let mut after = before.clone();
        change(&mut after);
        if before.active && !after.active && self.leads_project(&folded) {
            return Err(Refusal::LeadsProject);
        }
        if before != after {
            act.record(self.key(&format!("user/{folded}")), Some(state(&before)), Some(state(&after)));
            self.directory(place)?.people.insert(folded, after);
        }
        Ok(())
    }

    /// Signs a user out everywhere; false: there is no such user. Also of a directory that is only read.
    pub fn sign_out(&mut self, name: &str, act: &mut Act<'_>) -> bool {
        let folded = fold(name);
        let key = self.key(&format!("user/{folded}/sessions"));
        let Some(person) = self.directories.iter_mut().filter(|it| it.active).find_map(|it| it.people.get_mut(&folded))
        else {
            return false;
        };
        if person.sessions > 0 {
            act.record(key, Some(person.sessions.to_string()), None);
            person.sessions = 0;
        }
        true
    }

    /// Gives somebody a global permission of their own, or takes it away.
    ///
    /// # Errors
    /// There is no such user, or no seat is free.
    pub fn grant(&mut self, name: &str, permission: Option<&str>, act: &mut Act<'_>) -> Result<(), Refusal> {
        let name = fold(self.user(name).map(|(_, it)| it.name.as_str()).ok_or(Refusal::UnknownUser)?);
        let full = self.applications.iter().any(|it| {
            let licensed = self.licensed(it);
            !licensed.contains(&name) && it.seats.is_some_and(|seats| licensed.len() >= seats as usize)
        });
        if permission.is_some() && full {
            return Err(Refusal::NoSeat);
        }
        let before = match permission {
            Some(permission) => self.granted.insert(name.clone(), permission.to_owned()),
            None => self.granted.remove(&name),
        };
        if before.as_deref() != permission {
            let key = self.key(&format!("permission/{name}"));
            act.record(key, before, permission.map(str::to_owned));
        }
        Ok(())
    }

    /// Gives a user another name; memberships and leads follow.
    ///
    /// # Errors
    /// There is none, the name is taken, or the directory is only read.
    pub fn rename_user(&mut self, before: &str, after: &str, act: &mut Act<'_>) -> Result<(), Refusal> {
        let place = self.home_of_user(before)?;
        let (from, to) = (fold(before), fold(after));
        if from != to && self.user(after).is_some() {
            return Err(Refusal::NameTaken);
        }
        act.record(self.key(&format!("user/{from}/name")), Some(from.clone()), Some(to.clone()));
        let directory = self.directory(place)?;
        if let Some(mut person) = directory.people.remove(&from) {
            after.clone_into(&mut person.name);
            directory.people.insert(to.clone(), person);
        }
        for group in directory.groups.values_mut() {
            if group.members.remove(&from) {
                group.members.insert(to.clone());
            }
        }
        for project in self.projects.values_mut() {
            let leads = project.components.iter_mut().filter_map(|it| it.lead.as_mut()).chain([&mut project.lead]);
            for lead in leads.filter(|it| **it == from) {
                to.clone_into(lead);
            }
        }
        Ok(())
    }

    /// Deletes a user with all memberships.
    ///
    /// # Errors
    /// There is none, leads a project, or the directory is only read.
    pub fn delete_user(&mut self, name: &str, act: &mut Act<'_>) -> Result<(), Refusal> {
        let place = self.home_of_user(name)?;
        let name = fold(name);
        if self.leads_project(&name) {
            return Err(Refusal::LeadsProject);
        }
        let key = self.key(&format!("user/{name}"));
        let directory = self.directory(place)?;
        let gone = directory.people.remove(&name);
        for group in directory.groups.values_mut() {
            group.members.remove(&name);
        }
        act.record(key, gone.as_ref().map(state), None);
        Ok(())
    }

    /// Whether somebody, by folded name, leads a project.
    pub fn leads_project(&self, name: &str) -> bool {
        self.projects.values().any(|it| it.lead == name)
    }

    /// Makes a group.
    ///
    /// # Errors
    /// The name is taken, or no directory is writable.
    pub fn create_group(&mut self, name: &str, description: &str, act: &mut Act<'_>) -> Result<(), Refusal> {
        if self.group(name).is_some() {
            return Err(Refusal::NameTaken);
        }
        let place = self.first_writable()?;
        let group = super::Group {
            name: name.to_owned(),
            description: description.to_owned(),
            active: true,
            ..super::Group::default()
        };
        act.record_presence(self.key(&format!("group/{}", fold(name))), true);
        self.directory(place)?.groups.insert(fold(name), group);
        Ok(())
    }

    /// Deletes a group.
    ///
    /// # Errors
    /// There is none, it is the last one that administers the instance, or the directory is only read.
    pub fn delete_group(&mut self, name: &str, act: &mut Act<'_>) -> Result<(), Refusal> {
        let place = self.home_of_group(name)?;
        let name = fold(name);
        if self.admin_groups.contains(&name) && self.product != Product::Crowd {
            let others = self.admin_groups.iter().filter(|it| **it != name && self.group(it).is_some());
            if others.count() == 0 {
                return Err(Refusal::LastAdminGroup);
            }
        }
        act.record_presence(self.key(&format!("group/{name}")), false);
        let directory = self.directory(place)?;
        directory.groups.remove(&name);
        for group in directory.groups.values_mut() {
            group.children.remove(&name);
        }
        Ok(())
    }

    /// Makes a user a direct member.
    ///
    /// # Errors
    /// Either does not exist, it is so already, no seat is free, or the directory is only read.
    pub fn add_member(&mut self, group: &str, user: &str, act: &mut Act<'_>) -> Result<(), Refusal> {
        let known = self.user(user).ok_or(Refusal::UnknownUser).map(|(_, it)| it.active);
        let place = self.home_of_group(group)?;
        let active = known?;
        let (group, user) = (fold(group), fold(user));
        let directory = self.directory(place)?;
        let found = directory.groups.get(&group).ok_or(Refusal::UnknownGroup)?;
        if found.members.contains(&user) {
            return Err(Refusal::AlreadyMember);
        }
        let no_seat = self.applications.iter().any(|it| {
            let gives = active && it.groups.contains(&group);
            gives
                && it.seats.is_some_and(|seats| {
                    let licensed = self.licensed(it);
                    licensed.len() >= seats as usize && !licensed.contains(&user)
                })
        });
        if no_seat {
            return Err(Refusal::NoSeat);
        }
        act.record_presence(self.key(&format!("group/{group}/member/{user}")), true);
        if let Some(group) = self.directory(place)?.groups.get_mut(&group) {
            group.members.insert(user);
        }
        Ok(())
    }

    /// Takes a direct membership away.
    ///
    /// # Errors
    /// Either does not exist, it is not so, or the directory is only read.
    pub fn remove_member(&mut self, group: &str, user: &str, act: &mut Act<'_>) -> Result<(), Refusal> {
        let known = self.user(user).is_some();
        let place = self.home_of_group(group)?;
        if !known {
            return Err(Refusal::UnknownUser);
        }
        let (group, user) = (fold(group), fold(user));
        let key = self.key(&format!("group/{group}/member/{user}"));
        let found = self.directory(place)?.groups.get_mut(&group).ok_or(Refusal::UnknownGroup)?;
        if !found.members.remove(&user) {
            return Err(Refusal::NotMember);
        }
        act.record_presence(key, false);
        Ok(())
    }

    /// Puts a group into a group, or takes it out.
    ///
    /// # Errors
    /// Either does not exist, it is so or not so already, it would hold itself, nesting does not count, or the directory
    /// is only read.
    pub fn set_child(&mut self, group: &str, child: &str, inside: bool, act: &mut Act<'_>) -> Result<(), Refusal> {
        let place = self.home_of_group(group)?;
        let (group, child) = (fold(group), fold(child));
        let key = self.key(&format!("group/{group}/group/{child}"));
        let directory = self.directory(place)?;
        if !directory.nested {
            return Err(Refusal::NotNested);
        }
        if !directory.groups.contains_key(&child) {
            return Err(Refusal::UnknownGroup);
        }
        if inside && (group == child || below(directory, &child).contains(&group)) {
            return Err(Refusal::Circular);
        }
        let found = directory.groups.get_mut(&group).ok_or(Refusal::UnknownGroup)?;
        let changed = if inside { found.children.insert(child) } else { found.children.remove(&child) };
        if !changed {
            return Err(if inside { Refusal::AlreadyMember } else { Refusal::NotMember });
        }
        act.record_presence(key, inside);
        Ok(())
    }

    /// Replaces the lead of a project, or of the component with that number.
    ///
    /// # Errors
    /// There is no such user.
    pub fn set_lead(
        &mut self,
        project: &str,
        component: Option<u64>,
        lead: &str,
        act: &mut Act<'_>,
    ) -> Result<(), Refusal> {
        if !self.user(lead).is_some_and(|(_, it)| it.active) {
            return Err(Refusal::UnknownUser);
        }
        let lead = fold(lead);
        let base = self.key(&format!("project/{project}"));
        let Some(project) = self.projects.get_mut(project) else { return Err(Refusal::UnknownGroup) };
        match component {
            None => {
                act.record(format!("{base}/lead"), Some(project.lead.clone()), Some(lead.clone()));
                project.lead = lead;
            }
            Some(id) => {
                let found = project.components.iter_mut().find(|it| it.id == id).ok_or(Refusal::UnknownGroup)?;
                act.record(format!("{base}/component/{id}/lead"), found.lead.clone(), Some(lead.clone()));
                found.lead = Some(lead);
            }
        }
        Ok(())
    }
}

/// The groups in a group, at any depth, by folded name.
pub(super) fn below(directory: &UserDirectory, group: &str) -> std::collections::BTreeSet<String> {
    let (mut found, mut open) = (std::collections::BTreeSet::new(), vec![group.to_owned()]);
    while let Some(name) = open.pop() {
        for child in directory.groups.get(&name).into_iter().flat_map(|it| &it.children) {
            if found.insert(child.clone()) {
                open.push(child.clone());
            }
        }
    }
    found
}

fn state(person: &Person) -> String {
    let active = if person.active { "active" } else { "inactive" };
    format!("{active} {}", person.email)
}
