//! What is never touched, whoever asks.

use model::{DirectoryKind, GroupRow, LinkHow, Ownership, RefusalWhy};
use policy::{Policy, SyncRule};

use crate::{Pin, judge::Judge, state::TargetGroup};

/// Why a group of the target is not ours to change, if it is not. `on_purpose`: whoever fills it says that it may be
/// one that gives a product by default.
///
/// Three things protect a group. The patterns of `protected_groups` hold for every group, existing or not, ours or not.
/// Roles hold for every group that is seen to grant administration. The *name* holds only where roles were not read, and
/// only for groups that we did not make: an existing group whose name says administrator may well be one of Atlassian's own,
/// which grant something; a group that we made through a rule of the operator's grants nothing by itself, whatever it
/// is called (real organizations have dozens of such names), and Atlassian never turns it into one of its own.
pub fn untouchable(
    policy: &Policy,
    kind: Option<DirectoryKind>,
    on_purpose: bool,
    name: &str,
    row: Option<&GroupRow>,
    pin: Option<&Pin>,
) -> Option<RefusalWhy> {
    let group = row.map(|row| &row.group);
    let actual = group.map_or(name, |group| group.name.as_str());
    let protected = &policy.guard.protected_groups;
    if protected.matches(actual) || (name != actual && protected.matches(name)) {
        return Some(RefusalWhy::ProtectedGroup);
    }
    let group = group?;
    let made_by_us = pin.is_some_and(|pin| pin.how == LinkHow::Created);
    let by_name = !group.roles_known && says_administrator(&group.name);
    if group.grants_admin || (!made_by_us && (by_name || is_built_in(&group.name))) {
        return Some(RefusalWhy::ProtectedGroup);
    }
    let owned_by_us = match group.ownership {
        Ownership::Local => true,
        Ownership::IdentityProvider => kind == Some(DirectoryKind::AtlassianScim),
        Ownership::Members => false,
    };
    if !owned_by_us {
        return Some(RefusalWhy::NotOurs);
    }
    (group.default_access && !on_purpose).then_some(RefusalWhy::DefaultAccessGroup)
}

/// The same of a group that these rules fill. A group that gives a product is filled on purpose only if every one of
/// them says so: what one rule says of its people is nothing that another one's people may come in by.
pub(crate) fn group(
    policy: &Policy,
    kind: Option<DirectoryKind>,
    group: &TargetGroup,
    rule: &SyncRule,
    row: Option<&GroupRow>,
    pin: Option<&Pin>,
) -> Option<RefusalWhy> {
    let mut rules = group.live_claims().filter_map(|claim| policy.rules.get(claim.rule));
    let on_purpose = rule.default_access_group && rules.all(|rule| rule.default_access_group);
    untouchable(policy, kind, on_purpose, &group.name, row, pin)
}

impl Judge<'_> {
    /// Why a group that these rules fill is not ours to change, if it is not.
    pub(crate) fn untouchable(
        &self,
        filled: &TargetGroup,
        rule: &SyncRule,
        row: Option<&GroupRow>,
        pin: Option<&Pin>,
    ) -> Option<RefusalWhy> {
        group(self.policy, self.kind, filled, rule, row, pin)
    }
}

/// Atlassian's own groups of administrators, which may grant something that no role assignment shows
/// (reference/atlassian-cloud.md §7).
fn is_built_in(name: &str) -> bool {
    ["org-admins", "site-admins", "administrators", "system-administrators"]
        .iter()
        .any(|built_in| name.eq_ignore_ascii_case(built_in))
}

/// Whether a word of the name is one of those for administrators, in any ASCII case.
pub(crate) fn says_administrator(name: &str) -> bool {
    let words = name.split(|c: char| !c.is_alphanumeric());
    words.into_iter().any(|word| {
        ["admin", "admins", "administrator", "administrators", "sysadmin", "sysadmins"]
            .iter()
            .any(|said| word.eq_ignore_ascii_case(said))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_administrator_by_whole_words() {
        for name in ["site-admins", "jira-administrators-acme", "Admin", "confluence_ADMINS_x", "administrators"] {
            assert!(says_administrator(name), "{name}");
        }
        for name in ["badminton", "administration-team", "sysadminsx", "readers"] {
            assert!(!says_administrator(name), "{name}");
        }
    }
}
