//! A user base as a reader that lags sees it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::account::Index;
use super::base::{Before, Group, GroupIndex, Resident, Standing, UserBase};
use crate::engine::Millis;

/// The base as of a time: the current state with recent changes undone.
#[derive(Debug)]
pub struct View<'a> {
    base: &'a UserBase,
    memberships: BTreeMap<GroupIndex, BTreeMap<Index, bool>>,
    groups: BTreeMap<GroupIndex, Option<&'a Group>>,
    hidden_people: BTreeSet<Index>,
    roles: BTreeMap<GroupIndex, BTreeMap<(&'a str, &'a str), bool>>,
}

impl UserBase {
    /// What a read at that time sees: changes that become visible later are undone.
    pub fn view(&self, read_at: Millis) -> View<'_> {
        let mut view = View {
            base: self,
            memberships: BTreeMap::new(),
            groups: BTreeMap::new(),
            hidden_people: BTreeSet::new(),
            roles: BTreeMap::new(),
        };
        let maybe_unseen = self.recent.iter().rev().take_while(|it| it.at.saturating_add(self.longest_lag) > read_at);
        for recent in maybe_unseen.filter(|it| it.visible_at > read_at) {
            view.undo(&recent.before);
        }
        view
    }
}

impl<'a> View<'a> {
    /// Called from the newest change to the oldest, so that the oldest unseen one has the last word.
    fn undo(&mut self, before: &'a Before) {
        match before {
            Before::Membership { group, person, member } => {
                self.memberships.entry(*group).or_default().insert(*person, *member);
            }
            Before::NoGroup(group) => {
                self.groups.insert(*group, None);
            }
            Before::Group(index, group) => {
                self.groups.insert(*index, Some(group));
            }
            Before::NoPerson(person) => {
                self.hidden_people.insert(*person);
            }
            Before::Role { group, resource, role, assigned } => {
                self.roles.entry(*group).or_default().insert((resource, role), *assigned);
            }
        }
    }

    /// The group at that position.
    pub fn group_at(&self, index: GroupIndex) -> Option<&'a Group> {
        match self.groups.get(&index) {
            Some(seen) => *seen,
            None => self.base.groups.get(&index),
        }
    }

    /// The group with that id.
    pub fn group(&self, id: &str) -> Option<(GroupIndex, &'a Group)> {
        let past = self.groups.iter().find_map(|(index, seen)| seen.filter(|it| it.id == id).map(|it| (*index, it)));
        past.or_else(|| {
            let (index, _) = self.base.group(id)?;
            Some((index, self.group_at(index)?))
        })
    }

    /// The group of that name, whatever its case.
    pub fn group_named(&self, name: &str) -> Option<(GroupIndex, &'a Group)> {
        let name = name.to_lowercase();
        let past = self
            .groups
            .iter()
            .find_map(|(index, seen)| seen.filter(|it| it.name.to_lowercase() == name).map(|it| (*index, it)));
        past.or_else(|| {
            let (index, _) = self.base.group_named(&name)?;
            Some((index, self.group_at(index)?))
        })
    }

    /// Groups after that position, in order.
    pub fn groups_after(&self, after: Option<GroupIndex>) -> Box<dyn Iterator<Item = (GroupIndex, &'a Group)> + '_> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        if self.groups.is_empty() {
            return Box::new(self.base.groups.range((from, Bound::Unbounded)).map(|(index, group)| (*index, group)));
        }
        let now = self.base.groups.range((from, Bound::Unbounded)).map(|(index, _)| *index);
        let past = self.groups.range((from, Bound::Unbounded)).map(|(index, _)| *index);
        let all: BTreeSet<GroupIndex> = now.chain(past).collect();
        Box::new(all.into_iter().filter_map(|index| Some((index, self.group_at(index)?))))
    }

    /// Members of a group.
    pub fn members(&self, index: GroupIndex) -> Cow<'a, BTreeSet<Index>> {
        let Some(group) = self.group_at(index) else { return Cow::Owned(BTreeSet::new()) };
        let Some(changes) = self.memberships.get(&index).filter(|it| !it.is_empty()) else {
            return Cow::Borrowed(&group.members);
        };
        let mut members = group.members.clone();
        for (person, member) in changes {
            if *member {
                members.insert(*person);
            } else {
                members.remove(person);
            }
        }
        Cow::Owned(members)
    }

    /// Groups of a person, in order.
    pub fn groups_of(&self, person: Index) -> BTreeSet<GroupIndex> {
        let mut groups: BTreeSet<GroupIndex> = self.base.groups_of(person).collect();
        for (index, seen) in &self.groups {
            if seen.is_some_and(|it| it.members.contains(&person)) {
                groups.insert(*index);
            } else {
                groups.remove(index);
            }
        }
        for (index, changes) in &self.memberships {
            match changes.get(&person) {
                Some(true) if self.group_at(*index).is_some() => {
                    groups.insert(*index);
                }
                Some(false) => {
                    groups.remove(index);
                }
                _ => {}
            }
        }
        groups
    }

    /// People of the directory after that position, in order.
    pub fn people_after(&self, after: Option<Index>) -> impl Iterator<Item = Index> + '_ {
        self.listed_after(after).filter(|it| self.knows(*it))
    }

    /// Whether the person is in the directory.
    pub fn knows(&self, person: Index) -> bool {
        let is_member = |it: &Resident| it.standing != Standing::NoMembership;
        self.base.people.get(&person).is_some_and(is_member) && !self.hidden_people.contains(&person)
    }

    /// Those after that position whom an organization lists: of claimed domains also who is not in the directory.
    pub fn listed_after(&self, after: Option<Index>) -> impl Iterator<Item = Index> + '_ {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.base.people.range((from, Bound::Unbounded)).map(|(index, _)| *index).filter(|it| self.lists(*it))
    }

    /// Whether an organization lists the person.
    pub fn lists(&self, person: Index) -> bool {
        self.base.people.contains_key(&person) && !self.hidden_people.contains(&person)
    }

    /// Roles by resource of a group.
    pub fn roles(&self, index: GroupIndex) -> BTreeMap<String, BTreeSet<String>> {
        let mut roles = self.group_at(index).map(|it| it.roles.clone()).unwrap_or_default();
        for ((resource, role), assigned) in self.roles.get(&index).into_iter().flatten() {
            let of_resource = roles.entry((*resource).to_owned()).or_default();
            if *assigned {
                of_resource.insert((*role).to_owned());
            } else {
                of_resource.remove(*role);
            }
        }
        roles.retain(|_, of_resource| !of_resource.is_empty());
        roles
    }

    /// The base behind the view.
    pub fn base(&self) -> &'a UserBase {
        self.base
    }
}
