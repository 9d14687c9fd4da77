//! Service desks: their customers, organizations of customers, portal-only accounts.
//!
//! Customers belong to a site, not to a user base: somebody with a portal-only account is in no directory and in no
//! group (atlassian-cloud.md §6).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::account::{Account, AccountKind, AccountStatus, Index};
use super::{Act, AtlassianSide, Refusal};
use crate::engine::Millis;

/// A service desk.
#[derive(Clone, Debug)]
pub struct Desk {
    /// Its id, a number.
    pub id: String,
    /// The site that it is on.
    pub site: String,
    /// Key of its project.
    pub project_key: String,
    /// Name of its project.
    pub name: String,
    /// Anybody may sign up: customers cannot be taken away.
    pub open: bool,
    /// Customers of its own.
    pub customers: BTreeSet<Index>,
    /// Ids of customer organizations.
    pub organizations: BTreeSet<String>,
}

/// An organization of customers: a list of people with a name.
#[derive(Clone, Debug)]
pub struct CustomerOrganization {
    /// Its id, a number.
    pub id: String,
    /// The site that it is on.
    pub site: String,
    /// Its name; unique on the site.
    pub name: String,
    /// Its id as a group of the directory.
    pub uuid: String,
    /// Owned by an identity provider.
    pub scim_managed: bool,
    /// Who is in it.
    pub members: BTreeSet<Index>,
    /// What others noted about it, by key.
    pub properties: BTreeMap<String, Value>,
    /// When it was made.
    pub created_at: Millis,
}

/// All desks and what belongs to them.
#[derive(Clone, Debug, Default)]
pub struct Portals {
    pub(crate) desks: BTreeMap<String, Desk>,
    pub(crate) organizations: BTreeMap<String, CustomerOrganization>,
    /// Portal-only accounts by site.
    pub(crate) portal: BTreeMap<String, BTreeSet<Index>>,
    used: u64,
}

impl Portals {
    fn next(&mut self) -> String {
        self.used += 1;
        self.used.to_string()
    }
}

impl AtlassianSide {
    /// Service desks and customers.
    pub fn desks(&self) -> &Portals {
        &self.desks
    }

    /// Adds a service desk to a site, or finds the one of that project; gives its id.
    pub fn add_desk(&mut self, site: &str, project_key: &str, name: &str, open: bool) -> String {
        if let Some(desk) = self.desk_mut(site, project_key) {
            desk.open = open;
            return desk.id.clone();
        }
        let id = self.desks.next();
        let desk = Desk {
            id: id.clone(),
            site: site.to_owned(),
            project_key: project_key.to_owned(),
            name: name.to_owned(),
            open,
            customers: BTreeSet::new(),
            organizations: BTreeSet::new(),
        };
        self.desks.desks.insert(id.clone(), desk);
        id
    }

    /// A desk of a site by id, project key or project id.
    pub fn desk(&self, site: &str, id_or_key: &str) -> Option<&Desk> {
        let fits = |it: &&Desk| it.site == site && (it.id == id_or_key || it.project_key == id_or_key);
        self.desks.desks.values().find(fits)
    }

    fn desk_mut(&mut self, site: &str, id_or_key: &str) -> Option<&mut Desk> {
        let fits = |it: &&mut Desk| it.site == site && (it.id == id_or_key || it.project_key == id_or_key);
        self.desks.desks.values_mut().find(fits)
    }

    /// A customer organization of a site.
    pub fn customer_organization(&self, site: &str, id: &str) -> Option<&CustomerOrganization> {
        self.desks.organizations.get(id).filter(|it| it.site == site)
    }

    /// The customer organization of that name: an existing name gives the existing one.
    pub fn create_customer_organization(&mut self, site: &str, name: &str, act: &mut Act<'_>) -> String {
        let same = |it: &&CustomerOrganization| it.site == site && it.name.eq_ignore_ascii_case(name);
        if let Some(known) = self.desks.organizations.values().find(same) {
            return known.id.clone();
        }
        let (id, uuid) = (self.desks.next(), self.fresh_id());
        act.record(format!("atlassian/customers/organization/{id}"), None, Some(name.to_owned()));
        let made = CustomerOrganization {
            id: id.clone(),
            site: site.to_owned(),
            name: name.to_owned(),
            uuid,
            scim_managed: false,
            members: BTreeSet::new(),
            properties: BTreeMap::new(),
            created_at: act.cause.at,
        };
        self.desks.organizations.insert(id.clone(), made);
        id
    }

    /// Deletes a customer organization, whatever uses it.
    pub fn delete_customer_organization(&mut self, site: &str, id: &str, act: &mut Act<'_>) -> Result<(), Refusal> {
        self.customer_organization(site, id).ok_or(Refusal::UnknownGroup)?;
        let gone = self.desks.organizations.remove(id).ok_or(Refusal::UnknownGroup)?;
        for desk in self.desks.desks.values_mut() {
            desk.organizations.remove(id);
        }
        act.record(format!("atlassian/customers/organization/{id}"), Some(gone.name), None);
        Ok(())
    }

    /// Whether the site knows somebody: as one of its people, or as a customer.
    pub fn site_knows(&self, site: &str, person: Index) -> bool {
        let resident = || {
            let base = self.sites.get(site).and_then(|it| self.base(&it.base));
            base.is_some_and(|base| base.resident(person).is_some())
        };
        self.is_portal_only(site, person) || resident()
    }

    /// Whether somebody is on a site as a customer only.
    pub fn is_portal_only(&self, site: &str, person: Index) -> bool {
        self.desks.portal.get(site).is_some_and(|it| it.contains(&person))
    }

    /// The portal-only accounts of a site, in order of their making.
    pub fn portal_only(&self, site: &str) -> impl Iterator<Item = Index> + '_ {
        self.desks.portal.get(site).into_iter().flatten().copied()
    }

    /// Somebody on the site with that address.
    pub fn on_site(&self, site: &str, email: &str) -> Option<Index> {
        self.accounts.with_email(email).iter().copied().find(|it| self.site_knows(site, *it))
    }

    /// Makes a portal-only account on a site.
    pub fn create_customer(
        &mut self,
        site: &str,
        email: &str,
        name: &str,
        act: &mut Act<'_>,
    ) -> Result<Index, Refusal> {
        if self.on_site(site, email).is_some() {
            return Err(Refusal::NameTaken);
        }
        let id = format!("qm:{}:{}", self.fresh_id(), self.fresh_id());
        act.record(format!("atlassian/account/{id}"), None, Some("active".to_owned()));
        let account = Account { kind: AccountKind::Customer, ..Account::new(&id, email, name, act.cause.at) };
        let person = self.accounts.insert(account);
        self.desks.portal.entry(site.to_owned()).or_default().insert(person);
        Ok(person)
    }

    /// Ends a portal-only account: it is closed and in no list any more.
    pub fn revoke_customer(&mut self, site: &str, account: &str, act: &mut Act<'_>) -> Result<(), Refusal> {
        let person = self.accounts.find(account).filter(|it| self.is_portal_only(site, *it));
        let person = person.ok_or(Refusal::UnknownAccount)?;
        self.set_account_status(person, AccountStatus::Closed, act);
        if let Some(portal) = self.desks.portal.get_mut(site) {
            portal.remove(&person);
        }
        for desk in self.desks.desks.values_mut().filter(|it| it.site == site) {
            desk.customers.remove(&person);
        }
        for organization in self.desks.organizations.values_mut().filter(|it| it.site == site) {
            organization.members.remove(&person);
        }
        Ok(())
    }

    /// Makes or ends somebody's being a customer of a desk. Repeats change nothing and are no refusal.
    pub fn set_customer(
        &mut self,
        (site, desk): (&str, &str),
        person: Index,
        present: bool,
        act: &mut Act<'_>,
    ) -> Result<(), Refusal> {
        let account = self.accounts.get(person).map(|it| it.id.clone()).ok_or(Refusal::UnknownAccount)?;
        let desk = self.desk_mut(site, desk).ok_or(Refusal::UnknownGroup)?;
        let changed = if present { desk.customers.insert(person) } else { desk.customers.remove(&person) };
        if changed {
            act.record_presence(format!("atlassian/customers/desk/{}/member/{account}", desk.id), present);
        }
        Ok(())
    }

    /// Makes or ends somebody's being in a customer organization. Repeats change nothing and are no refusal.
    pub fn set_organization_member(
        &mut self,
        organization: &str,
        person: Index,
        present: bool,
        act: &mut Act<'_>,
    ) -> Result<(), Refusal> {
        let account = self.accounts.get(person).map(|it| it.id.clone()).ok_or(Refusal::UnknownAccount)?;
        let found = self.desks.organizations.get_mut(organization).ok_or(Refusal::UnknownGroup)?;
        let changed = if present { found.members.insert(person) } else { found.members.remove(&person) };
        if changed {
            act.record_presence(format!("atlassian/customers/organization/{organization}/member/{account}"), present);
        }
        Ok(())
    }

    /// Gives a desk a customer organization, or takes it away. Repeats change nothing and are no refusal.
    pub fn set_desk_organization(
        &mut self,
        (site, desk): (&str, &str),
        id: &str,
        present: bool,
        act: &mut Act<'_>,
    ) -> Result<(), Refusal> {
        self.customer_organization(site, id).ok_or(Refusal::UnknownAccount)?;
        let desk = self.desk_mut(site, desk).ok_or(Refusal::UnknownGroup)?;
        let changed = if present { desk.organizations.insert(id.to_owned()) } else { desk.organizations.remove(id) };
        if changed {
            act.record_presence(format!("atlassian/customers/desk/{}/organization/{id}", desk.id), present);
        }
        Ok(())
    }

    /// Desks and customer organizations as tests read them: by project key or name, with addresses, sorted.
    pub(crate) fn dump_desks(&self) -> (Value, Value) {
        let desk = |it: &Desk| {
            json!({ "id": it.id, "site": it.site, "open": it.open, "organizations": it.organizations,
                "customers": self.emails(it.customers.iter().copied()) })
        };
        let organization = |it: &CustomerOrganization| {
            json!({ "id": it.id, "site": it.site, "scim_managed": it.scim_managed,
                "members": self.emails(it.members.iter().copied()) })
        };
        let desks: Map<String, Value> =
            self.desks.desks.values().map(|it| (it.project_key.clone(), desk(it))).collect();
        let organizations: Map<String, Value> =
            self.desks.organizations.values().map(|it| (it.name.clone(), organization(it))).collect();
        (Value::Object(desks), Value::Object(organizations))
    }
}
