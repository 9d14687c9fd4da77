//! A user base: the people, groups and memberships of one organization, or of one site that owns its groups.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::account::Index;
use super::seats::Product;
use crate::engine::Millis;
use crate::world::Cause;

/// How long settled changes are remembered, for stale answers.
const KEPT_FOR: Millis = 120_000;
/// How many changes are remembered at most.
const KEPT: usize = 1 << 20;

/// Position of a group in its base: dense, in order of creation, never reused.
pub type GroupIndex = u32;

/// Whether a person of the directory may use its products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A member.
    Active,
    /// Access suspended by an administrator; groups and roles are kept.
    Suspended,
    /// Known, but not invited.
    NoMembership,
}

impl Standing {
    /// The word of `membershipStatus`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::NoMembership => "no_membership",
        }
    }
}

/// A person as this directory knows them.
#[derive(Clone, Debug)]
pub struct Resident {
    /// Access to the directory.
    pub standing: Standing,
    /// When they came.
    pub added_at: Millis,
    /// Whether an identity provider brought them.
    pub synced: bool,
    /// Roles of the whole organization, for example `atlassian/org-admin`.
    pub roles: BTreeSet<String>,
    /// Roles by resource that were granted to the person directly.
    pub direct_roles: BTreeMap<String, BTreeSet<String>>,
    /// A removal is queued and takes effect then.
    pub leaves_at: Option<Millis>,
}

impl Resident {
    /// An active member without roles of their own.
    pub fn new(added_at: Millis) -> Self {
        Self {
            standing: Standing::Active,
            added_at,
            synced: false,
            roles: BTreeSet::new(),
            direct_roles: BTreeMap::new(),
            leaves_at: None,
        }
    }
}

/// Who may change a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by", content = "directory")]
pub enum Owner {
    /// Administrators, by any API.
    Admins,
    /// The identity provider behind that SCIM directory, and nobody else.
    External(String),
    /// The members of an Atlassian team.
    Team,
}

impl Owner {
    /// The word of `managedBy`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Admins => "admins",
            Self::External(_) => "external",
            Self::Team => "team-members",
        }
    }
}

/// One group.
#[derive(Clone, Debug)]
pub struct Group {
    /// The group id: a UUID, the same in every API.
    pub id: String,
    /// Name; unique in the base, whatever its case.
    pub name: String,
    /// Description; may be empty.
    pub description: String,
    /// Who may change it.
    pub owner: Owner,
    /// A default access group: new users of a role land here; it cannot be deleted or synced.
    pub default: bool,
    /// Grants administration by itself, as `org-admins` and `site-admins` do.
    pub admin: bool,
    /// Roles by resource.
    pub roles: BTreeMap<String, BTreeSet<String>>,
    /// Members.
    pub members: BTreeSet<Index>,
    /// When it was made.
    pub created_at: Millis,
}

impl Group {
    /// Whether being a member makes somebody an administrator of anything.
    pub fn grants_administration(&self) -> bool {
        let administrates = |role: &String| role.ends_with("/admin") || role.ends_with("-admin");
        self.admin || self.roles.values().flatten().any(administrates)
    }
}

/// What was before a change that readers may not see yet.
#[derive(Clone, Debug)]
pub(crate) enum Before {
    Membership { group: GroupIndex, person: Index, member: bool },
    NoGroup(GroupIndex),
    Group(GroupIndex, Box<Group>),
    NoPerson(Index),
    Role { group: GroupIndex, resource: String, role: String, assigned: bool },
}

/// A change that some readers may not see yet.
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    pub(crate) at: Millis,
    pub(crate) visible_at: Millis,
    pub(crate) before: Before,
}

/// One user base.
#[derive(Clone, Debug)]
pub struct UserBase {
    /// Organization id or site name: the directory of mutation log entries.
    pub key: String,
    /// The directory id of API v2.
    pub directory_id: String,
    /// Product instances that roles are assigned on.
    pub products: Vec<Product>,
    pub(crate) people: BTreeMap<Index, Resident>,
    pub(crate) groups: BTreeMap<GroupIndex, Group>,
    by_id: HashMap<String, GroupIndex>,
    by_name: HashMap<String, GroupIndex>,
    of_person: HashMap<Index, BTreeSet<GroupIndex>>,
    next: GroupIndex,
    pub(crate) recent: VecDeque<Recent>,
    pub(crate) longest_lag: Millis,
}

impl UserBase {
    /// An empty base.
    pub fn new(key: &str, directory_id: &str) -> Self {
        Self {
            key: key.to_owned(),
            directory_id: directory_id.to_owned(),
            products: Vec::new(),
            people: BTreeMap::new(),
            groups: BTreeMap::new(),
            by_id: HashMap::new(),
            by_name: HashMap::new(),
            of_person: HashMap::new(),
            next: 0,
            recent: VecDeque::new(),
            longest_lag: 0,
        }
    }

    /// The group with that id.
    pub fn group(&self, id: &str) -> Option<(GroupIndex, &Group)> {
        let index = *self.by_id.get(id)?;
        Some((index, self.groups.get(&index)?))
    }

    /// The group of that name, whatever its case.
    pub fn group_named(&self, name: &str) -> Option<(GroupIndex, &Group)> {
        let index = *self.by_name.get(&name.to_lowercase())?;
        Some((index, self.groups.get(&index)?))
    }

    /// Groups of a person.
    pub fn groups_of(&self, person: Index) -> impl Iterator<Item = GroupIndex> + '_ {
        self.of_person.get(&person).into_iter().flatten().copied()
    }

    /// All groups, in order of creation.
    pub fn groups(&self) -> impl Iterator<Item = (GroupIndex, &Group)> {
        self.groups.iter().map(|(index, group)| (*index, group))
    }

    /// All people, in order of account creation.
    pub fn people(&self) -> impl Iterator<Item = (Index, &Resident)> {
        self.people.iter().map(|(index, resident)| (*index, resident))
    }

    /// A person, if known here.
    pub fn resident(&self, person: Index) -> Option<&Resident> {
        self.people.get(&person)
    }

    pub(crate) fn put_group(&mut self, group: Group) -> GroupIndex {
        let index = self.next;
        self.next += 1;
        self.by_id.insert(group.id.clone(), index);
        self.by_name.insert(group.name.to_lowercase(), index);
        for person in &group.members {
            self.of_person.entry(*person).or_default().insert(index);
        }
        self.groups.insert(index, group);
        index
    }

    pub(crate) fn take_group(&mut self, index: GroupIndex) -> Option<Group> {
        let group = self.groups.remove(&index)?;
        self.by_id.remove(&group.id);
        self.by_name.remove(&group.name.to_lowercase());
        for person in &group.members {
            if let Some(groups) = self.of_person.get_mut(person) {
                groups.remove(&index);
            }
        }
        Some(group)
    }

    pub(crate) fn rename_group(&mut self, index: GroupIndex, name: &str) -> Option<String> {
        let group = self.groups.get_mut(&index)?;
        let old = std::mem::replace(&mut group.name, name.to_owned());
        self.by_name.remove(&old.to_lowercase());
        self.by_name.insert(name.to_lowercase(), index);
        Some(old)
    }

    /// Sets a membership; true if that changed anything.
    pub(crate) fn set_member(&mut self, index: GroupIndex, person: Index, member: bool) -> bool {
        let Some(group) = self.groups.get_mut(&index) else { return false };
        let changed = if member { group.members.insert(person) } else { group.members.remove(&person) };
        if changed {
            let groups = self.of_person.entry(person).or_default();
            if member {
                groups.insert(index)
            } else {
                groups.remove(&index)
            };
        }
        changed
    }

    /// Remembers what readers that lag still see.
    pub(crate) fn remember(&mut self, cause: &Cause, before: Before) {
        self.remember_until(cause, cause.visible_at, before);
    }

    /// The same, for a change that becomes visible at another time than its cause says.
    pub(crate) fn remember_until(&mut self, cause: &Cause, visible_at: Millis, before: Before) {
        self.longest_lag = self.longest_lag.max(visible_at.saturating_sub(cause.at));
        let forgotten = cause.at.saturating_sub(self.longest_lag).saturating_sub(KEPT_FOR);
        while self.recent.front().is_some_and(|it| it.at < forgotten) || self.recent.len() > KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back(Recent { at: cause.at, visible_at, before });
    }
}
