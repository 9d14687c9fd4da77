//! The Atlassian world as tests read it: by names and addresses, sorted.

use serde_json::{Map, Value, json};

use super::{AtlassianSide, BaseKey, Index, Standing, UserBase};

impl AtlassianSide {
    /// The whole side: accounts, groups of each organization and owning site, SCIM directories, sites, switches.
    ///
    /// Groups are keyed by name; members are e-mail addresses, sorted; `account_ids` stand in the same order. Sites that
    /// are views say which organization they show.
    pub fn dump(&self) -> Value {
        let organizations: Map<String, Value> = self
            .organizations
            .values()
            .map(|it| {
                let body = json!({
                    "name": it.name,
                    "directory_id": it.base.directory_id,
                    "domains": it.domains,
                    "guard": it.guard,
                    "people": self.people(&it.base),
                    "groups": self.groups(&it.base),
                    "seats": self.seats(&it.base),
                });
                (it.id.clone(), body)
            })
            .collect();
        let sites: Map<String, Value> =
            self.sites.values().map(|it| (it.name.clone(), self.site_body(&it.base))).collect();
        let (desks, customer_organizations) = self.dump_desks();
        json!({
            "organizations": organizations,
            "desks": desks,
            "customer_organizations": customer_organizations,
            "sites": sites,
            "scim": self.scim.values().map(|it| (it.id.clone(), it.dump(self))).collect::<Map<_, _>>(),
            "accounts": self.accounts.iter().map(|(_, it)| self.account_body(it)).collect::<Vec<_>>(),
            "switches": self.switches,
        })
    }

    /// Members of every group of a base: name → sorted e-mail addresses.
    pub fn memberships(&self, key: &BaseKey) -> std::collections::BTreeMap<String, Vec<String>> {
        let Some(base) = self.base(key) else { return std::collections::BTreeMap::new() };
        base.groups().map(|(_, group)| (group.name.clone(), self.emails(group.members.iter().copied()))).collect()
    }

    fn site_body(&self, key: &BaseKey) -> Value {
        match key {
            BaseKey::Organization(id) => json!({ "view_of": id }),
            BaseKey::Site(name) => match self.owned.get(name) {
                Some(base) => {
                    json!({ "people": self.people(base), "groups": self.groups(base), "seats": self.seats(base) })
                }
                None => Value::Null,
            },
        }
    }

    fn account_body(&self, account: &super::Account) -> Value {
        json!({
            "id": account.id,
            "email": account.email,
            "name": account.name,
            "status": account.status,
            "for_deletion": account.for_deletion,
            "managed_by": self.manager(account).map(|it| it.id.as_str()),
            "email_hidden": account.email_hidden,
        })
    }

    fn people(&self, base: &UserBase) -> Value {
        base.people()
            .filter_map(|(person, resident)| {
                let account = self.accounts.get(person)?;
                let standing = if resident.standing == Standing::Active && account.for_deletion {
                    "for_deletion"
                } else {
                    resident.standing.word()
                };
                Some((account.email.clone(), json!(standing)))
            })
            .collect::<Map<_, _>>()
            .into()
    }

    fn groups(&self, base: &UserBase) -> Value {
        base.groups()
            .map(|(_, group)| {
                let mut members: Vec<(&str, &str)> = group
                    .members
                    .iter()
                    .filter_map(|it| self.accounts.get(*it))
                    .map(|it| (it.email.as_str(), it.id.as_str()))
                    .collect();
                members.sort_unstable();
                let body = json!({
                    "id": group.id,
                    "description": group.description,
                    "owner": group.owner,
                    "default": group.default,
                    "admin": group.grants_administration(),
                    "roles": group.roles,
                    "members": members.iter().map(|it| it.0).collect::<Vec<_>>(),
                    "account_ids": members.iter().map(|it| it.1).collect::<Vec<_>>(),
                });
                (group.name.clone(), body)
            })
            .collect::<Map<_, _>>()
            .into()
    }

    fn seats(&self, base: &UserBase) -> Value {
        base.products
            .iter()
            .map(|it| {
                let used = self.seat_holders(base, it).len();
                (it.resource.clone(), json!({ "seats": it.seats, "used": used }))
            })
            .collect::<Map<_, _>>()
            .into()
    }

    /// Addresses of these people, sorted.
    pub(crate) fn emails(&self, people: impl Iterator<Item = Index>) -> Vec<String> {
        let mut emails: Vec<String> =
            people.filter_map(|it| self.accounts.get(it)).map(|it| it.email.clone()).collect();
        emails.sort_unstable();
        emails
    }
}
