//! What the groups of an organization give: which make administrators, which give a product, which of those by default.
//!
//! Two searches by role tell all groups that grant administration or a product (reference/atlassian-cloud.md §1.4, §1.5);
//! which of those give a product by default, only a site's application roles tell (§7).

use std::collections::{BTreeMap, BTreeSet};

use model::{Group, GroupId, ProductAccess};
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
    /// The products that a group gives, by name and site.
    pub(crate) gives: BTreeMap<GroupId, BTreeSet<ProductAccess>>,
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
            gives: self.gives.get(&group.id).into_iter().flatten().cloned().collect(),
            ..group
        }
    }

    /// From the role assignments of one group. `sites` are the addresses of the organization's products by resource.
    pub(crate) fn of_one(id: &GroupId, assignments: &[Value], sites: &Products) -> Self {
        let roles: BTreeSet<&str> = assignments
            .iter()
            .flat_map(|row| row.get("roles").and_then(Value::as_array).into_iter().flatten())
            .filter_map(|role| role.as_str().or_else(|| role.get("roleId").and_then(Value::as_str)))
            .collect();
        let given = assignments
            .iter()
            .filter_map(|row| row.get("resourceId").and_then(Value::as_str))
            .filter_map(|id| sites.get(id))
            .cloned();
        let has = |wanted: &[&str]| wanted.iter().any(|role| roles.contains(role)).then(|| id.clone());
        Self {
            known: true,
            administrate: has(&ADMINISTRATE).into_iter().collect(),
            give_products: has(&GIVE_PRODUCTS).into_iter().collect(),
            defaults: BTreeSet::new(),
            gives: BTreeMap::from([(id.clone(), given.collect())]),
        }
    }
}

/// The products of an organization: what each resource is, and on which site.
pub(crate) type Products = BTreeMap<String, ProductAccess>;

/// A row of the organization's products (§1.3); `None` where it names none.
pub(crate) fn product(row: &Value) -> Option<(String, ProductAccess)> {
    let text = |path: &str| row.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let resource = text("/id");
    let access = ProductAccess { product: text("/attributes/typeKey"), site: text("/attributes/hostUrl") };
    (!resource.is_empty() && !access.product.is_empty()).then_some((resource, access))
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
        let known = Roles {
            known: true,
            administrate: ids(&["a"]),
            give_products: ids(&["u"]),
            defaults: ids(&["renamed"]),
            ..Roles::default()
        };
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
        let row =
            json!({"id": "r", "attributes": {"typeKey": "jira-software", "hostUrl": "https://acme.atlassian.net"}});
        let products: Products = product(&row).into_iter().collect();
        let roles = Roles::of_one(&id, &rows, &products);
        assert!(roles.administrate.contains(&id) && roles.give_products.contains(&id));
        let gives = roles.tell(group("g", "eng")).gives;
        assert_eq!(
            gives,
            [ProductAccess { product: "jira-software".into(), site: "https://acme.atlassian.net".into() }]
        );
        assert!(Roles::of_one(&id, &[], &products).administrate.is_empty());
        assert_eq!(product(&json!({"id": "r"})), None);
    }
}
