//! What a policy covers of the groups that are there: rules that take nothing, groups that no rule takes, target groups
//! that come from more than one.

use std::collections::{BTreeMap, BTreeSet};

use model::{DirectoryId, Group, RuleId};

use crate::{Policy, SyncRule};

/// What a policy covers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Rules that take no group of a source of theirs, with the lines of their headers: a rule of several sources is
    /// idle at each by itself.
    pub idle: Vec<(RuleId, usize, DirectoryId)>,
    /// Groups that no rule takes and none fills, by address or name; only of directories that are a source of some rule
    /// or entry.
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
    /// By which rules and entries, with the lines of their headers.
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
    /// The directories whose groups a policy is about: the sources of its rules and of its entries.
    pub fn sources(&self) -> BTreeSet<&DirectoryId> {
        let entries = self.provisions.iter().map(|entry| &entry.from);
        self.rules.iter().map(|rule| &rule.from).chain(entries).collect()
    }

    /// What the policy covers of these groups, each with its directory.
    pub fn coverage<'a>(&self, groups: impl IntoIterator<Item = (&'a DirectoryId, &'a Group)>) -> Coverage {
        let sources = self.sources();
        let mut coverage = Coverage::default();
        let mut used: BTreeSet<(&RuleId, &DirectoryId)> = BTreeSet::new();
        let mut filled = self.filled_by_entries();
        let mut untaken = Vec::new();
        for (directory, group) in groups {
            let claims = self.claims(directory, group);
            used.extend(claims.iter().map(|rule| (&rule.id, &rule.from)));
            if claims.is_empty() && sources.contains(directory) {
                untaken.push((directory, group));
            }
            for rule in claims {
                for target in &rule.to {
                    fill(&mut filled, self, rule, target, directory, group);
                }
            }
        }
        // Nobody expects that another rule takes what a rule fills, in a directory that is a source too.
        let is_filled = |directory: &DirectoryId, group: &Group| {
            filled.contains_key(&(directory.clone(), self.fold_group_name(directory, &group.name)))
                || self.is_named_target(directory, group)
        };
        let unclaimed = untaken.into_iter().filter(|(directory, group)| !is_filled(directory, group));
        coverage.unclaimed = unclaimed.map(|(directory, group)| (directory.clone(), called(group))).collect();
        let idle = self.rules.iter().filter(|rule| !used.contains(&(&rule.id, &rule.from)));
        coverage.idle = idle.map(|rule| (rule.id.clone(), rule.line, rule.from.clone())).collect();
        let several = |shared: &Shared| shared.rules.len() > 1 || shared.groups.len() > 1;
        coverage.shared = filled.into_values().filter(several).collect();
        coverage
    }

    /// The groups that entries put their people into: no source group fills those.
    fn filled_by_entries(&self) -> BTreeMap<(DirectoryId, String), Shared> {
        let mut filled: BTreeMap<(DirectoryId, String), Shared> = BTreeMap::new();
        for entry in &self.provisions {
            for name in entry.default_groups.new.iter().chain(&entry.default_groups.all) {
                let shared = at(&mut filled, self, &entry.to, name.clone());
                shared.rules.insert((entry.line, entry.id.clone()));
            }
        }
        filled
    }

    /// Whether a rule fills the group whatever its source has: it says so by `into`, or it was adopted.
    fn is_named_target(&self, directory: &DirectoryId, group: &Group) -> bool {
        let name = self.fold_group_name(directory, &group.name);
        let into =
            self.rules.iter().filter(|rule| rule.to.contains(directory)).filter_map(|rule| rule.into_at(directory));
        let adopted = || self.adopt.values().any(|(target, id)| target == directory && id == &group.id);
        into.into_iter().any(|into| self.fold_group_name(directory, into) == name) || adopted()
    }
}

/// The place of a target group among those that are filled.
fn at<'f>(
    filled: &'f mut BTreeMap<(DirectoryId, String), Shared>,
    policy: &Policy,
    target: &DirectoryId,
    name: String,
) -> &'f mut Shared {
    let key = (target.clone(), policy.fold_group_name(target, &name));
    filled.entry(key).or_insert_with(|| Shared {
        target: target.clone(),
        name,
        rules: BTreeSet::new(),
        groups: BTreeSet::new(),
        is_union: true,
    })
}

fn fill(
    filled: &mut BTreeMap<(DirectoryId, String), Shared>,
    policy: &Policy,
    rule: &SyncRule,
    target: &DirectoryId,
    directory: &DirectoryId,
    group: &Group,
) {
    let shared = at(filled, policy, target, rule.target_name(target, group));
    shared.rules.insert((rule.line, rule.id.clone()));
    shared.groups.insert((directory.clone(), called(group)));
    shared.is_union &= rule.into_at(target).is_some();
}

/// What rules know the group by: its address, or its name where it has none.
fn called(group: &Group) -> String {
    group.email.as_ref().map_or_else(|| group.name.clone(), |email| email.as_written().to_owned())
}
