//! What the groups of an organization give: which make administrators, which give a product, which of those by default.
//!
//! Two searches by role tell all groups that grant administration or a product (reference/atlassian-cloud.md §1.4, §1.5);
//! which of those give a product by default, only a site's application roles tell (§7).

use std::collections::{BTreeMap, BTreeSet};

use model::{Group, GroupId, ProductAccess, SeatCount, same_site};
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

/// Whether a role makes administrators of whoever has it: any that says so, known to us or not.
pub fn makes_administrators(role: &str) -> bool {
    role.to_ascii_lowercase().contains("admin")
}

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
    /// Sites that do not tell which groups give their products by default, or of which it is not known which groups give
    /// something there.
    pub(crate) unread: BTreeSet<String>,
    /// What the groups give could not be read to its end this time: whoever gives something may give more.
    pub(crate) gives_unread: bool,
    /// Which products groups give could not be read, now or for good: whoever gives something may give any.
    pub(crate) products_unread: bool,
}

impl Roles {
    /// The group with what its roles say of it. Where they are not known its name speaks, on the safe side; where they
    /// are, a group that gives no product costs no seat, whatever it is called.
    pub(crate) fn tell(&self, group: Group) -> Group {
        let gives = !self.known || self.give_products.contains(&group.id) || self.administrate.contains(&group.id);
        let given: Vec<ProductAccess> = self.gives.get(&group.id).into_iter().flatten().cloned().collect();
        let is_on = |access: &ProductAccess| self.unread.iter().any(|site| same_site(site, &access.site));
        let unread = !self.unread.is_empty() && (given.is_empty() || given.iter().any(is_on));
        Group {
            grants_admin: self.administrate.contains(&group.id),
            default_access: self.defaults.contains(&group.id) || (gives && says_default_access(&group.name)),
            roles_known: self.known,
            access_unread: gives && (unread || self.gives_unread),
            products_unread: gives && self.products_unread,
            gives: given,
            ..group
        }
    }

    /// Takes over what a site says: which groups are its default ones, and the seats of its products.
    pub(crate) fn take(&mut self, told: &Applications) {
        self.defaults.extend(told.defaults.iter().cloned());
        let products = told.products();
        let counted = |access: ProductAccess| {
            let same = |it: &&&ProductAccess| it.is_same_place(&access);
            ProductAccess { seats: products.iter().find(same).and_then(|it| it.seats), ..access }
        };
        for given in self.gives.values_mut().filter(|_| products.iter().any(|it| it.seats.is_some())) {
            *given = std::mem::take(given)
                .into_iter()
                .map(|access| if access.seats.is_some() { access } else { counted(access) })
                .collect();
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
            unread: BTreeSet::new(),
            gives_unread: false,
            products_unread: false,
            gives: BTreeMap::from([(id.clone(), given.collect())]),
        }
    }
}

/// The products of an organization: what each resource is, and on which site.
pub(crate) type Products = BTreeMap<String, ProductAccess>;

/// A row of the organization's products: the resource that roles are assigned on, and what it is (§1.2, §1.5); `None`
/// where it names none.
pub fn product(row: &Value) -> Option<(String, ProductAccess)> {
    let text = |path: &str| row.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let resource = text("/id");
    let access = ProductAccess::new(text("/attributes/typeKey"), text("/attributes/hostUrl"));
    (!resource.is_empty() && !access.product.is_empty()).then_some((resource, access))
}

/// What a Jira, Cloud or Data Center, says of its applications: which groups give them, which by default, and how many
/// seats are left. Groups go by id where it tells them, and by name in lower case.
#[derive(Debug, Default)]
pub(crate) struct Applications {
    /// Groups that give one of them by default, by id.
    pub(crate) defaults: BTreeSet<GroupId>,
    default_names: BTreeSet<String>,
    gives: BTreeMap<String, BTreeSet<ProductAccess>>,
}

impl Applications {
    /// From the rows of `applicationrole` of one site.
    pub(crate) fn of(roles: &[Value], site: &str) -> Self {
        let mut found = Self::default();
        for role in roles {
            let listed = |field: &str| role.get(field).and_then(Value::as_array).into_iter().flatten();
            let names = |field: &'static str| listed(field).filter_map(Value::as_str).map(str::to_ascii_lowercase);
            let product = role.get("key").and_then(Value::as_str).unwrap_or_default();
            let access = ProductAccess { seats: seats(role), ..ProductAccess::new(product, site) };
            for name in names("groups") {
                found.gives.entry(name).or_default().insert(access.clone());
            }
            found.default_names.extend(names("defaultGroups"));
            let details = listed("defaultGroupsDetails").filter_map(|group| group.get("groupId")?.as_str());
            found.defaults.extend(details.filter_map(|id| GroupId::new(id).ok()));
        }
        found
    }

    /// Writes into a group what its site says of it. Its name speaks too, on the safe side.
    pub(crate) fn tell(&self, group: &mut Group) {
        let name = group.name.to_ascii_lowercase();
        let said = self.defaults.contains(&group.id) || self.default_names.contains(&name);
        group.default_access = said || says_default_access(&group.name);
        group.gives = self.gives.get(&name).into_iter().flatten().cloned().collect();
    }

    /// All products of the site, each once.
    pub(crate) fn products(&self) -> BTreeSet<&ProductAccess> {
        self.gives.values().flatten().collect()
    }
}

/// The seats of an application role; `None`: there are as many as anybody wants, or it does not tell.
fn seats(role: &Value) -> Option<SeatCount> {
    let number = |name: &str| role.get(name).and_then(Value::as_i64).and_then(|number| u64::try_from(number).ok());
    let unlimited = role.get("hasUnlimitedSeats").and_then(Value::as_bool).unwrap_or(false);
    let count = SeatCount { total: number("numberOfSeats")?, left: number("remainingSeats")? };
    (!unlimited).then_some(count)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
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
    fn a_role_that_makes_administrators_is_known_by_its_name() {
        assert!(ADMINISTRATE.iter().all(|role| makes_administrators(role)));
        assert!(!GIVE_PRODUCTS.iter().any(|role| makes_administrators(role)));
        assert!(makes_administrators("Org-Admin") && makes_administrators("atlassian/new-administrator"));
    }

    #[test]
    fn a_site_that_does_not_tell_leaves_its_groups_in_doubt_and_no_others() {
        let id = |id: &str| GroupId::new(id).unwrap();
        let on = |site: &str| BTreeSet::from([ProductAccess::new("jira-software", site)]);
        let mut roles = Roles {
            known: true,
            give_products: [id("a"), id("b"), id("c")].into(),
            gives: [(id("a"), on("https://a.atlassian.net")), (id("b"), on("https://b.atlassian.net"))].into(),
            unread: BTreeSet::from(["https://a.atlassian.net".to_owned()]),
            ..Roles::default()
        };
        let doubt = |roles: &Roles, of: &str| roles.tell(group(of, of)).access_unread;
        assert!(doubt(&roles, "a") && !doubt(&roles, "b"));
        assert!(doubt(&roles, "c"), "where it gives something is not known");
        assert!(!doubt(&roles, "none"), "it gives nothing");
        roles.unread.clear();
        assert!(!doubt(&roles, "a") && !doubt(&roles, "c"));
        let rows = json!({ "key": "jira-software", "groups": ["b"], "numberOfSeats": 9, "remainingSeats": 2 });
        roles.take(&Applications::of(&[rows], "https://b.atlassian.net"));
        let seats = |of: &str| roles.tell(group(of, of)).gives[0].seats;
        assert_eq!((seats("a"), seats("b")), (None, Some(SeatCount { total: 9, left: 2 })));
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
        assert_eq!(gives, [ProductAccess::new("jira-software", "https://acme.atlassian.net")]);
        assert!(Roles::of_one(&id, &[], &products).administrate.is_empty());
        assert_eq!(product(&json!({"id": "r"})), None);
    }

    #[test]
    fn a_jira_tells_what_groups_give_and_the_seats_that_are_left() {
        let roles = [
            json!({
                "key": "jira-software", "groups": ["Devs", "all"], "defaultGroups": ["All"],
                "defaultGroupsDetails": [{ "groupId": "g-all" }],
                "numberOfSeats": 10, "remainingSeats": 3, "hasUnlimitedSeats": false,
            }),
            json!({ "key": "jira-core", "groups": ["all"], "numberOfSeats": -1, "remainingSeats": -1, "hasUnlimitedSeats": true }),
            json!({ "key": "jira-servicedesk", "groups": ["agents"] }),
        ];
        let told = Applications::of(&roles, "https://jira.acme.com");
        let of = |id: &str, name: &str| {
            let mut group = group(id, name);
            told.tell(&mut group);
            group
        };
        let all = of("g-all", "renamed");
        assert!(all.default_access && all.gives.is_empty(), "a default by its id: {all:?}");
        let all = of("all", "ALL");
        let products: Vec<(&str, Option<SeatCount>)> =
            all.gives.iter().map(|it| (it.product.as_str(), it.seats)).collect();
        let left = Some(SeatCount { total: 10, left: 3 });
        assert_eq!((all.default_access, products), (true, vec![("jira-core", None), ("jira-software", left)]));
        let devs = of("devs", "devs");
        assert!(!devs.default_access && devs.gives.len() == 1);
        assert_eq!(of("agents", "agents").gives[0].seats, None, "not told is not none left");
        assert!(same_site("https://Acme.atlassian.net/", "acme.atlassian.net") && !same_site("a.net", "b.net"));
    }
}
