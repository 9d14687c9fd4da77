//! What the groups of an organization give: which make administrators, which give a product, which of those by default.
//!
//! Two searches by role tell all groups that grant administration or a product (reference/atlassian-cloud.md §1.4, §1.5);
//! which of those give a product by default, only a site's application roles tell (§7).

use std::collections::BTreeSet;

use model::{Group, GroupId};
use serde_json::Value;

use crate::names::says_default_access;

/// Roles that make administrators (§1.5).
pub(crate) const ADMINISTRATE: [&str; 4] =
    ["atlassian/admin", "atlassian/user-access-admin", "atlassian/org-admin", "atlassian/site-admin"];

/// Roles that give a product, whether they take a seat or not (§1.5).
pub(crate) const GIVE_PRODUCTS: [&str; 8] = [
    "atlassian/user",
    "atlassian/basic",
    "atlassian/contributor",
    "atlassian/customer",
    "atlassian/guest",
    "atlassian/stakeholder",
    "atlassian/viewer",
    "atlassian/ai-access",
];

/// What is known of the roles of all groups.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roles {
    /// Both searches came to their end; otherwise names must do.
    pub(crate) known: bool,
    pub(crate) administrate: BTreeSet<GroupId>,
    pub(crate) give_products: BTreeSet<GroupId>,
    /// Groups that a site's application roles name as default.
    pub(crate) defaults: BTreeSet<GroupId>,
}

impl Roles {
    /// The group with what its roles say of it. Where they are not known its name speaks, on the safe side; where they
    /// are, a group that gives no product costs no seat, whatever it is called.
    pub(crate) fn tell(&self, group: Group) -> Group {
        let gives = !self.known || self.give_products.contains(&group.id) || self.administrate.contains(&group.id);
        Group {
            grants_admin: self.administrate.contains(&group.id),
            default_access: self.defaults.contains(&group.id) || (gives && says_default_access(&group.name)),
            roles_known: self.known,
            ..group
        }
    }

    /// From the role assignments of one group.
    pub(crate) fn of_one(id: &GroupId, assignments: &[Value]) -> Self {
        let roles: BTreeSet<&str> = assignments
            .iter()
            .flat_map(|row| row.get("roles").and_then(Value::as_array).into_iter().flatten())
            .filter_map(|role| role.as_str().or_else(|| role.get("roleId").and_then(Value::as_str)))
            .collect();
        let has = |wanted: &[&str]| wanted.iter().any(|role| roles.contains(role)).then(|| id.clone());
        Self {
            known: true,
            administrate: has(&ADMINISTRATE).into_iter().collect(),
            give_products: has(&GIVE_PRODUCTS).into_iter().collect(),
            defaults: BTreeSet::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    fn group(id: &str, name: &str) -> Group {
        Group::new(GroupId::new(id).unwrap(), name)
    }

    #[test]
    fn roles_speak_where_they_are_known_and_names_where_they_are_not() {
        let ids = |ids: &[&str]| ids.iter().map(|id| GroupId::new(*id).unwrap()).collect();
        let known =
            Roles { known: true, administrate: ids(&["a"]), give_products: ids(&["u"]), defaults: ids(&["renamed"]) };
        let told = |roles: &Roles, id: &str, name: &str| {
            let group = roles.tell(group(id, name));
            (group.grants_admin, group.default_access, group.roles_known)
        };
        assert_eq!(told(&known, "a", "helpers"), (true, false, true), "an administrators' group by its role");
        assert_eq!(told(&known, "x", "site-admins-emea"), (false, false, true));
        assert_eq!(told(&known, "u", "jira-users-acme"), (false, true, true));
        assert_eq!(told(&known, "x", "jira-users-acme"), (false, false, true), "it gives nothing");
        assert_eq!(told(&known, "renamed", "everybody"), (false, true, true), "a site says so");
        assert_eq!(told(&Roles::default(), "x", "jira-users-acme"), (false, true, false));
    }

    #[test]
    fn the_assignments_of_one_group_say_the_same() {
        let id = GroupId::new("g").unwrap();
        let rows =
            [json!({"resourceId": "r", "resourceOwner": "jira", "roles": ["atlassian/user", "atlassian/admin"]})];
        let roles = Roles::of_one(&id, &rows);
        assert!(roles.administrate.contains(&id) && roles.give_products.contains(&id));
        assert!(Roles::of_one(&id, &[]).administrate.is_empty());
    }
}
