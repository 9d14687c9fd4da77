//! The whole policy of one tenant.

use std::collections::{BTreeMap, BTreeSet};

use model::{Access, Digest, DirectoryId, Email, Group, GroupId, TenantId};

use crate::{
    Approval, Customers, Diagnostic, Diagnostics, Directory, DriftMode, External, GroupMatcher, Guard, Joining,
    MembersMode, Nested, OnConflict, OnSourceDeleted, People, PersonFilter, Provision, Schedule, Settings, SyncRule,
};

/// What one tenant's policy file says: checked, completed with defaults, views resolved to their organizations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whose.
    pub tenant: TenantId,
    /// The digest of the file's bytes, by which plans name the policy that they were made from.
    pub hash: Digest,
    /// `[directory.<name>]`.
    pub directories: BTreeMap<DirectoryId, Directory>,
    /// `[people]`.
    pub people: People,
    /// `[[people.provision]]`, in the order of the file.
    pub provisions: Vec<Provision>,
    /// `[[sync]]`, in the order of the file.
    pub rules: Vec<SyncRule>,
    /// `[guard]`.
    pub guard: Guard,
    /// `[approval]`.
    pub approval: Approval,
    /// `[schedule]`.
    pub schedule: Schedule,
    /// `[adopt]`: which target group was adopted for a source group.
    pub adopt: BTreeMap<GroupId, (DirectoryId, GroupId)>,
    /// Keys of the file that do nothing as things are, in its order: known, allowed, and not to be relied on.
    pub notes: Vec<Diagnostic>,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// All problems of the file, in its order.
    pub fn parse(text: &str) -> Result<Self, Diagnostics> {
        crate::read::policy(text, true)
    }

    /// Reads a policy file that is still being written: it may have no rule yet.
    ///
    /// # Errors
    /// All other problems of the file, in its order.
    pub fn parse_draft(text: &str) -> Result<Self, Diagnostics> {
        crate::read::policy(text, false)
    }

    /// The annotated example of every key, a policy that can be right.
    pub const fn example() -> &'static str {
        include_str!("example.toml")
    }

    /// The same policy with a rule more for each default group: filled from the people of its entry instead of from
    /// groups, it adds and, where the entry says *always*, removes what it added. They come after the rules of the
    /// file and bear the id of their entry.
    #[must_use]
    pub fn with_default_groups(&self) -> Self {
        let mut policy = self.clone();
        for (at, entry) in self.provisions.iter().enumerate() {
            let groups = &entry.default_groups;
            let new = groups.new.iter().map(|name| (name, Joining::New));
            for (name, joining) in new.chain(groups.all.iter().map(|name| (name, Joining::All))) {
                policy.rules.push(self.default_rule(at, entry, name, joining));
            }
        }
        policy
    }

    fn default_rule(&self, at: usize, entry: &Provision, name: &str, joining: Joining) -> SyncRule {
        let always = joining == Joining::All;
        SyncRule {
            id: entry.id.clone(),
            name: entry.name.clone(),
            line: entry.line,
            enabled: entry.enabled,
            from: entry.from.clone(),
            to: vec![entry.to.clone()],
            groups: GroupMatcher::default(),
            people: PersonFilter::default(),
            rename: Vec::new(),
            into: Some(name.to_owned()),
            lists: BTreeMap::new(),
            create: true,
            // A newcomer gets in once: whoever takes them out again later decides.
            members: if always { MembersMode::Managed } else { MembersMode::AddOnly },
            drift: if always { DriftMode::Repair } else { DriftMode::Adopt },
            nested: Nested::default(),
            roles: BTreeSet::new(),
            external: External::default(),
            // Nobody whom we did not put in is ever removed from it, so it can be used as it is found.
            on_conflict: OnConflict::Adopt,
            on_source_deleted: OnSourceDeleted::Keep,
            guard: self.guard.clone(),
            wider: Vec::new(),
            default_access_group: entry.default_groups.default_access_group,
            gives: Vec::new(),
            default_of: Some((at, joining)),
        }
    }

    /// Whom the file names as ours: owners of keys, the accounts of site tokens, the administrator in whose name a
    /// source is read. Nobody of them is ever touched, at any target.
    pub fn own_addresses(&self) -> BTreeSet<&Email> {
        self.directories
            .values()
            .flat_map(|directory| directory.owner.iter().chain(directory.settings.account()))
            .collect()
    }

    /// What a group of this target that the rule fills is to give: products at an organization, the portal of its desk for
    /// an organization of customers.
    pub fn access(&self, target: &DirectoryId, rule: &SyncRule) -> Vec<Access> {
        match self.directories.get(target).map(|directory| &directory.settings) {
            Some(Settings::Org { .. }) => rule.gives.clone(),
            Some(Settings::Jsm { customers: Customers::Organization { desk: Some(desk), .. }, .. }) => {
                vec![Access::Portal { desk: desk.clone() }]
            }
            _ => Vec::new(),
        }
    }

    /// The directories that a rule names: those that are read. Views stand for their organization.
    pub fn used(&self) -> BTreeSet<&DirectoryId> {
        let rules = self.rules.iter().flat_map(|rule| rule.to.iter().chain([&rule.from]));
        let people = self.provisions.iter().flat_map(|entry| [&entry.from, &entry.to]);
        rules.chain(people).collect()
    }

    /// The rules that take a group of this source, in the order of the file.
    pub fn claims(&self, source: &DirectoryId, group: &Group) -> Vec<&SyncRule> {
        self.rules.iter().filter(|rule| &rule.from == source && rule.matches(group)).collect()
    }

    /// The target groups, by folded name, that these source groups fill.
    fn managed<'a>(
        &self,
        groups: impl IntoIterator<Item = (&'a DirectoryId, &'a Group)>,
    ) -> BTreeSet<(DirectoryId, String)> {
        let mut managed = BTreeSet::new();
        for (source, group) in groups {
            for rule in self.claims(source, group) {
                for target in &rule.to {
                    let name = rule.target_name(target, group);
                    managed.insert((target.clone(), self.fold_group_name(target, &name)));
                }
            }
        }
        managed
    }

    /// A group's name as the target compares names.
    pub fn fold_group_name(&self, target: &DirectoryId, name: &str) -> String {
        let folds = self.directories.get(target).is_none_or(|directory| directory.kind.folds_group_names());
        if folds { name.to_ascii_lowercase() } else { name.to_owned() }
    }
}

/// The share, in per cent and rounded up, of the target groups managed under `old` that `new` would no longer manage.
/// `groups` are the groups of every source as last read. Nothing managed before is nothing lost: 0.
pub fn policy_shrink<'a>(
    old: &Policy,
    new: &Policy,
    groups: impl IntoIterator<Item = (&'a DirectoryId, &'a Group)> + Clone,
) -> u64 {
    let before = old.managed(groups.clone());
    let after = new.managed(groups);
    let lost = before.difference(&after).count();
    if before.is_empty() {
        return 0;
    }
    u64::try_from((lost * 100).div_ceil(before.len())).unwrap_or(100)
}
