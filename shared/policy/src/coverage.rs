//! What a policy covers of the groups that are there: rules that take nothing, groups that no rule takes, target groups
//! that come from more than one.

use std::collections::{BTreeMap, BTreeSet};

use model::{DirectoryId, Group, RuleId};

use crate::{Policy, SyncRule};

/// What a policy covers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Rules that take no group that is there, with the lines of their headers.
    pub idle: Vec<(RuleId, usize)>,
    /// Groups that no rule takes, by address or name; only of directories that are a source of some rule.
    pub unclaimed: BTreeSet<(DirectoryId, String)>,
    /// Target groups that several rules, or several groups of one, fill.
    pub shared: Vec<Shared>,
}

/// A target group that comes from more than one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// At which target.
    pub target: DirectoryId,
    /// Its name.
    pub name: String,
    /// By which rules, with the lines of their headers.
    pub rules: BTreeSet<(usize, RuleId)>,
    /// From which source groups, by address or name.
    pub groups: BTreeSet<(DirectoryId, String)>,
    /// Every rule says by `into` that a union is meant. Otherwise the group is held.
    pub is_union: bool,
}

impl Coverage {
    /// Whether nothing needs a second look: unions are meant.
    pub fn is_whole(&self) -> bool {
        self.idle.is_empty() && self.unclaimed.is_empty() && self.shared.iter().all(|shared| shared.is_union)
    }
}

impl Policy {
    /// What the policy covers of these groups, each with its directory.
    pub fn coverage<'a>(&self, groups: impl IntoIterator<Item = (&'a DirectoryId, &'a Group)>) -> Coverage {
        let sources: BTreeSet<&DirectoryId> = self.rules.iter().map(|rule| &rule.from).collect();
        let mut coverage = Coverage::default();
        let mut used: BTreeSet<&RuleId> = BTreeSet::new();
        let mut filled: BTreeMap<(DirectoryId, String), Shared> = BTreeMap::new();
        for (directory, group) in groups {
            let claims = self.claims(directory, group);
            used.extend(claims.iter().map(|rule| &rule.id));
            if claims.is_empty() && sources.contains(directory) && !self.is_target_group(directory, group) {
                coverage.unclaimed.insert((directory.clone(), called(group)));
            }
            for rule in claims {
                for target in &rule.to {
                    fill(&mut filled, self, rule, target, directory, group);
                }
            }
        }
        let idle = self.rules.iter().filter(|rule| !used.contains(&rule.id));
        coverage.idle = idle.map(|rule| (rule.id.clone(), rule.line)).collect();
        let several = |shared: &Shared| shared.rules.len() > 1 || shared.groups.len() > 1;
        coverage.shared = filled.into_values().filter(several).collect();
        coverage
    }

    /// Whether the group is one that a rule fills, in a directory that is a source too: nobody expects that another
    /// rule takes it.
    fn is_target_group(&self, directory: &DirectoryId, group: &Group) -> bool {
        let name = self.fold_group_name(directory, &group.name);
        let into =
            self.rules.iter().filter(|rule| rule.to.contains(directory)).filter_map(|rule| rule.into_at(directory));
        into.into_iter().any(|into| self.fold_group_name(directory, into) == name)
    }
}

fn fill(
    filled: &mut BTreeMap<(DirectoryId, String), Shared>,
    policy: &Policy,
    rule: &SyncRule,
    target: &DirectoryId,
    directory: &DirectoryId,
    group: &Group,
) {
    let name = rule.target_name(target, group);
    let key = (target.clone(), policy.fold_group_name(target, &name));
    let shared = filled.entry(key).or_insert_with(|| Shared {
        target: target.clone(),
        name,
        rules: BTreeSet::new(),
        groups: BTreeSet::new(),
        is_union: true,
    });
    shared.rules.insert((rule.line, rule.id.clone()));
    shared.groups.insert((directory.clone(), called(group)));
    shared.is_union &= rule.into_at(target).is_some();
}

/// What rules know the group by: its address, or its name where it has none.
fn called(group: &Group) -> String {
    group.email.as_ref().map_or_else(|| group.name.clone(), |email| email.as_written().to_owned())
}
