//! Whose members are walked: at a source everybody's, at a target those of the groups that a rule can touch.

use std::collections::{BTreeMap, BTreeSet};

use model::{DirectoryId, Group, GroupId};
use outbound::Scope;
use policy::Policy;

/// What is known of the groups at the sources of a directory, and which of its own groups are ours.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Groups of each source, by id.
    pub sources: BTreeMap<DirectoryId, BTreeMap<GroupId, Group>>,
    /// Groups of the directory itself that are pinned.
    pub pinned: BTreeSet<GroupId>,
}

/// The groups of a directory that a rule can touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Every group: the directory is a source that nests, and a rule may reach any of its groups.
    all: bool,
    folds: bool,
    names: BTreeSet<String>,
    ids: BTreeSet<GroupId>,
    /// Groups that are a source of a rule, in a directory that does not nest.
    sources: BTreeSet<GroupId>,
    /// Groups that give a product by default: who is in them holds a seat, and seats are counted.
    seats: bool,
    /// Protected groups that let people in, where leavers are taken out of all others that do.
    kept: Option<policy::NameMatcher>,
}

/// Works out which groups of a directory a rule can touch: by a name that a source group gives or that the policy names
/// itself, by a pin, by an adoption; and what is a source, with everything that may be nested in it.
pub fn touched(policy: &Policy, directory: &DirectoryId, known: &Known) -> Touched {
    let kind = policy.directories.get(directory).map(|directory| directory.kind);
    let is_source = policy.rules.iter().any(|rule| rule.from == *directory);
    let mut found = Touched {
        all: is_source && kind.is_some_and(model::DirectoryKind::nests),
        folds: kind.is_none_or(model::DirectoryKind::folds_group_names),
        names: BTreeSet::new(),
        ids: known.pinned.clone(),
        sources: BTreeSet::new(),
        seats: !policy.guard.seat_limit.is_empty(),
        kept: kind
            .is_some_and(model::DirectoryKind::locks_out_by_groups)
            .then(|| policy.guard.protected_groups.clone()),
    };
    for (source, groups) in &known.sources {
        for group in groups.values() {
            for rule in policy.claims(source, group) {
                if rule.to.contains(directory) {
                    found.names.insert(policy.fold_group_name(directory, &rule.target_name(directory, group)));
                }
                if source == directory {
                    found.sources.insert(group.id.clone());
                }
            }
        }
    }
    for rule in policy.rules.iter().filter(|rule| rule.to.contains(directory)) {
        found.names.extend(rule.into_at(directory).map(|name| policy.fold_group_name(directory, name)));
    }
    for provision in policy.provisions.iter().filter(|provision| provision.to == *directory) {
        let defaults = provision.default_groups.new.iter().chain(&provision.default_groups.all);
        found.names.extend(defaults.map(|name| policy.fold_group_name(directory, name)));
    }
    found.ids.extend(policy.adopt.values().filter(|(of, _)| of == directory).map(|(_, group)| group.clone()));
    found
}

impl Touched {
    /// Whether a rule can touch this group.
    pub fn holds(&self, group: &Group) -> bool {
        let name = || if self.folds { group.name.to_ascii_lowercase() } else { group.name.clone() };
        !group.opaque
            && (self.all
                || self.ids.contains(&group.id)
                || self.sources.contains(&group.id)
                || (self.seats && group.default_access)
                // The site counts its seats: who holds one already is seen only among all groups that give it.
                || group.gives.iter().any(|access| access.seats.is_some())
                || self.kept.as_ref().is_some_and(|kept| !group.gives.is_empty() && kept.matches(&group.name))
                || self.names.contains(&name()))
    }

    /// As the scope of a sweep.
    pub fn scope(self) -> Scope {
        if self.all { Scope::All } else { Scope::of(move |group| self.holds(group)) }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use model::Email;

    use super::*;

    const POLICY: &str = r#"
        tenant = "acme"

        [directory.workspace]
        kind = "google-workspace"
        customer = "my_customer"
        service_account = "file:key.json"
        subject = "sync@acme.com"

        [directory.cloud]
        kind = "atlassian-org"
        org = "o"
        directory = "d"
        api_key = "file:key"

        [people]
        domains = ["acme.com"]

        [[sync]]
        name = "teams"
        from = "workspace"
        groups = ["eng-*@acme.com"]
        to = "cloud"
        rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]

        [[sync]]
        name = "access"
        from = "cloud"
        groups = ["all-staff"]
        to = "cloud"
        into = "Jira-Users"
        members = "managed"
        default_access_group = true
    "#;

    fn id(text: &str) -> DirectoryId {
        DirectoryId::new(text).unwrap()
    }

    fn group(id: &str, name: &str, email: Option<&str>) -> Group {
        Group { email: email.map(|text| Email::new(text).unwrap()), ..Group::new(GroupId::new(id).unwrap(), name) }
    }

    fn known() -> Known {
        let by_id = |groups: Vec<Group>| groups.into_iter().map(|group| (group.id.clone(), group)).collect();
        let google = vec![group("1", "Eng Tools", Some("eng-tools@acme.com")), group("2", "Ops", Some("ops@acme.com"))];
        let cloud = vec![group("s", "all-staff", None), group("p", "anything", None)];
        let sources = [(id("workspace"), by_id(google)), (id("cloud"), by_id(cloud))].into();
        Known { sources, pinned: [GroupId::new("p").unwrap()].into() }
    }

    #[test]
    fn at_a_source_that_nests_everybody_is_walked() {
        let policy = Policy::parse(POLICY).unwrap();
        let touched = touched(&policy, &id("workspace"), &known());
        assert!(touched.holds(&group("2", "Ops", None)));
        assert!(!touched.holds(&Group { opaque: true, ..group("9", "theirs", None) }));
    }

    #[test]
    fn at_a_target_only_what_a_rule_can_touch_is_walked() {
        let policy = Policy::parse(POLICY).unwrap();
        let touched = touched(&policy, &id("cloud"), &known());
        for (id, name) in [("a", "ENG-tools"), ("b", "jira-users"), ("p", "renamed by hand"), ("s", "all-staff")] {
            assert!(touched.holds(&group(id, name, None)), "{name}");
        }
        for (id, name) in [("c", "ops"), ("d", "eng-tools-2"), ("e", "site-admins")] {
            assert!(!touched.holds(&group(id, name, None)), "{name}");
        }
    }
}
