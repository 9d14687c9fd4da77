//! `[[sync]]`: which groups fill which groups.

use std::collections::{BTreeMap, BTreeSet};

use model::{Access, DirectoryId, Group, Role, RuleId};

use crate::{GroupMatcher, Guard, Joining, PersonFilter, Rewrite};

/// One `[[sync]]` entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRule {
    /// The name as a slug, or `sync-<n>`.
    pub id: RuleId,
    /// The name for people; the id where the file gives none.
    pub name: String,
    /// The line of its header, from 1.
    pub line: usize,
    /// Switched off, it decides nothing and removes nothing: the groups that it names stay as they are.
    pub enabled: bool,
    /// Where the groups are. A view is already resolved to its organization.
    pub from: DirectoryId,
    /// Which targets they fill, in the order of the file. Views are already resolved to their organization, each
    /// target is named once.
    pub to: Vec<DirectoryId>,
    /// Which groups.
    pub groups: GroupMatcher,
    /// Which of their members.
    pub people: PersonFilter,
    /// How the address (or the name, where a group has none) becomes the name at the target.
    pub rename: Vec<Rewrite>,
    /// One target group that all matched groups fill together.
    pub into: Option<String>,
    /// The targets that are one list of people (the customers of a service desk), with the list's name: whatever is
    /// matched fills it.
    pub lists: BTreeMap<DirectoryId, String>,
    /// Whether what is missing is made: a target group, a customer's portal-only account.
    pub create: bool,
    /// What becomes of members whom the source does not have.
    pub members: MembersMode,
    /// What becomes of nested groups.
    pub nested: Nested,
    /// Only members in these roles.
    pub roles: BTreeSet<Role>,
    /// What becomes of people outside of the tenant's own domains.
    pub external: External,
    /// What happens when the target group existed before.
    pub on_conflict: OnConflict,
    /// What happens to the target group when its source is deleted.
    pub on_source_deleted: OnSourceDeleted,
    /// What happens when the target was changed by hand.
    pub drift: DriftMode,
    /// The budgets that hold for this rule: its own laid over `[guard]`.
    pub guard: Guard,
    /// Where its budgets are wider than `[guard]`, in words; shown in every plan.
    pub wider: Vec<String>,
    /// The target group gives a product by default, and that is on purpose.
    pub default_access_group: bool,
    /// What its groups at an organization are to give to everybody in them, each product of a site once. A group that gives a
    /// product already, in whichever role, is left as it is; what is missing is given to users, after approval; what a group
    /// gives beside it is never taken away.
    pub gives: Vec<Access>,
    /// Filled from no group but from the people of an entry of `[[people.provision]]`: see
    /// [`crate::Policy::with_default_groups`]. `None` for every rule of the file.
    pub default_of: Option<(usize, Joining)>,
}

/// What becomes of members whom the source does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum MembersMode {
    /// These and no others.
    #[default]
    Exact,
    /// Remove only what we added.
    Managed,
    /// Never remove.
    AddOnly,
}

/// What becomes of nested groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Nested {
    /// Everybody below counts as a member.
    #[default]
    Flatten,
    /// Only direct members count.
    Direct,
}

/// What becomes of people outside of the tenant's own domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum External {
    /// They are matched to an account that exists.
    #[default]
    Match,
    /// They are left out.
    Skip,
}

/// What happens when the target group existed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum OnConflict {
    /// A person decides.
    #[default]
    Review,
    /// It is ours from now on.
    Adopt,
    /// It is filled and nobody is removed.
    AddOnly,
    /// It is left alone.
    Skip,
}

/// What happens to the target group when its source is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum OnSourceDeleted {
    /// Nothing.
    #[default]
    Keep,
    /// Its members are removed.
    Empty,
    /// It is deleted. Always held for approval.
    Delete,
}

/// What happens when the target was changed by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum DriftMode {
    /// It is set right.
    #[default]
    Repair,
    /// It is shown and left.
    Report,
    /// It is taken over.
    Adopt,
}

impl SyncRule {
    /// Whether a group of the rule's source is one of its groups: by its primary address, or by its name where it has
    /// no address; without regard to ASCII case.
    pub fn matches(&self, group: &Group) -> bool {
        self.groups.matches(group)
    }

    /// The one group of this target that all matched groups fill together, if it is one.
    pub fn into_at(&self, target: &DirectoryId) -> Option<&str> {
        self.lists.get(target).or(self.into.as_ref()).map(String::as_str)
    }

    /// What the group is called at this target: the target's one list; `into`; else what the rewrites make of the
    /// address (of the name, where there is no address); else, when there is no rewrite or none fits, its own name.
    pub fn target_name(&self, target: &DirectoryId, group: &Group) -> String {
        if let Some(into) = self.into_at(target) {
            return into.to_owned();
        }
        let subject = group.email.as_ref().map_or(group.name.as_str(), |email| email.as_written());
        Rewrite::apply_all(&self.rename, subject).unwrap_or_else(|| group.name.clone())
    }
}

impl MembersMode {
    /// All of them with their names in the policy file.
    pub const ALL: [(&'static str, Self); 3] =
        [("exact", Self::Exact), ("managed", Self::Managed), ("add-only", Self::AddOnly)];
}
impl Nested {
    /// All of them with their names in the policy file.
    pub const ALL: [(&'static str, Self); 2] = [("flatten", Self::Flatten), ("direct", Self::Direct)];
}
impl External {
    /// All of them with their names in the policy file.
    pub const ALL: [(&'static str, Self); 2] = [("match", Self::Match), ("skip", Self::Skip)];
}
impl OnConflict {
    /// All of them with their names in the policy file.
    pub const ALL: [(&'static str, Self); 4] =
        [("review", Self::Review), ("adopt", Self::Adopt), ("add-only", Self::AddOnly), ("skip", Self::Skip)];
}
impl OnSourceDeleted {
    /// All of them with their names in the policy file.
    pub const ALL: [(&'static str, Self); 3] = [("keep", Self::Keep), ("empty", Self::Empty), ("delete", Self::Delete)];
}
impl DriftMode {
    /// All of them with their names in the policy file.
    pub const ALL: [(&'static str, Self); 3] =
        [("repair", Self::Repair), ("report", Self::Report), ("adopt", Self::Adopt)];
}
