//! The Atlassian side from a document: organizations, accounts, groups, sites.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::account::{AccountKind, AccountStatus};
use super::base::{Owner, Standing};
use super::seats::Product;
use super::{Act, AtlassianSide, BaseKey};

/// What an operator loads. Every list adds to what is there; the same id or name again changes what it names.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seed {
    /// Organizations.
    pub organizations: Vec<SeedOrganization>,
    /// SCIM directories.
    pub scim_directories: Vec<SeedScimDirectory>,
    /// Jira sites.
    pub sites: Vec<SeedSite>,
    /// Accounts, each in one user base.
    pub accounts: Vec<SeedAccount>,
    /// Groups with their members.
    pub groups: Vec<SeedGroup>,
    /// Service desks with their customers.
    pub desks: Vec<SeedDesk>,
    /// Organizations of customers.
    pub customer_organizations: Vec<SeedCustomers>,
}

/// A service desk.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedDesk {
    /// Its site.
    pub site: String,
    /// Key of its project.
    pub key: String,
    /// Name of its project.
    pub name: String,
    /// Anybody may sign up.
    #[serde(default)]
    pub open: bool,
    /// Addresses of customers; who is not on the site gets a portal-only account.
    #[serde(default)]
    pub customers: Vec<String>,
}

/// An organization of customers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedCustomers {
    /// Its site.
    pub site: String,
    /// Its name.
    pub name: String,
    /// Owned by an identity provider.
    #[serde(default)]
    pub scim_managed: bool,
    /// Addresses; who is not on the site gets a portal-only account.
    #[serde(default)]
    pub members: Vec<String>,
    /// Keys of the desks that have it.
    #[serde(default)]
    pub desks: Vec<String>,
}

/// An organization.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedOrganization {
    /// Organization id.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Its directory's id.
    pub directory: String,
    /// Claimed domains.
    #[serde(default)]
    pub domains: BTreeSet<String>,
    /// Product instances.
    #[serde(default)]
    pub products: Vec<Product>,
    /// Whether it has Guard.
    #[serde(default = "yes")]
    pub guard: bool,
}

/// A SCIM directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedScimDirectory {
    /// Directory id.
    pub id: String,
    /// The organization it feeds.
    pub organization: String,
}

/// A Jira site.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedSite {
    /// Its name.
    pub name: String,
    /// Its cloud id.
    pub cloud_id: String,
    /// The organization whose groups it shows; without one it owns its groups.
    #[serde(default)]
    pub organization: Option<String>,
    /// Product instances of a site that owns its groups.
    #[serde(default)]
    pub products: Vec<Product>,
}

/// An account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedAccount {
    /// Account id; follows from the address if absent.
    #[serde(default)]
    pub id: Option<String>,
    /// Address.
    pub email: String,
    /// Full name; the address if absent.
    #[serde(default)]
    pub name: Option<String>,
    /// State of the account.
    #[serde(default = "active")]
    pub status: AccountStatus,
    /// Kind of principal.
    #[serde(default = "atlassian")]
    pub kind: AccountKind,
    /// Deletion was asked for.
    #[serde(default)]
    pub for_deletion: bool,
    /// Hidden from sites.
    #[serde(default)]
    pub email_hidden: bool,
    /// Standing in the directory.
    #[serde(default = "member")]
    pub standing: Standing,
    /// Roles of the whole organization.
    #[serde(default)]
    pub roles: BTreeSet<String>,
    /// The organization; the first one if neither this nor `site` is given.
    #[serde(default)]
    pub organization: Option<String>,
    /// The site that owns its groups.
    #[serde(default)]
    pub site: Option<String>,
}

/// A group.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedGroup {
    /// Name.
    pub name: String,
    /// Description.
    #[serde(default)]
    pub description: String,
    /// The SCIM directory that owns it, if any.
    #[serde(default)]
    pub scim_directory: Option<String>,
    /// Managed by a team.
    #[serde(default)]
    pub team: bool,
    /// A default access group.
    #[serde(default)]
    pub default: bool,
    /// Grants administration.
    #[serde(default)]
    pub admin: bool,
    /// Roles: resource and role.
    #[serde(default)]
    pub roles: Vec<(String, String)>,
    /// Addresses of members; who has no account yet gets one.
    #[serde(default)]
    pub members: Vec<String>,
    /// The organization; the first one if neither this nor `site` is given.
    #[serde(default)]
    pub organization: Option<String>,
    /// The site that owns its groups.
    #[serde(default)]
    pub site: Option<String>,
}

fn yes() -> bool {
    true
}

fn active() -> AccountStatus {
    AccountStatus::Active
}

fn atlassian() -> AccountKind {
    AccountKind::Atlassian
}

fn member() -> Standing {
    Standing::Active
}

impl AtlassianSide {
    /// Loads a document. Errors name what it refers to and is not there; what came before it stays loaded.
    pub fn load(&mut self, seed: &Seed, act: &mut Act<'_>) -> Result<(), String> {
        for it in &seed.organizations {
            if self.organizations.contains_key(&it.id) {
                if let Some(old) = self.organizations.get_mut(&it.id) {
                    old.name.clone_from(&it.name);
                    old.base.directory_id.clone_from(&it.directory);
                }
            } else {
                self.add_organization(&it.id, &it.name, &it.directory);
            }
            if let Some(organization) = self.organizations.get_mut(&it.id) {
                organization.domains.extend(it.domains.iter().map(|it| it.to_lowercase()));
                organization.guard = it.guard;
                organization.base.products.extend(it.products.iter().cloned());
            }
        }
        for it in &seed.scim_directories {
            if !self.organizations.contains_key(&it.organization) {
                return Err(format!("scim directory {}: no organization {}", it.id, it.organization));
            }
            self.add_scim_directory(&it.id, &it.organization);
        }
        for it in &seed.sites {
            self.add_site(&it.name, &it.cloud_id, it.organization.as_deref());
            let key = BaseKey::Site(it.name.clone());
            if let Some(base) = self.base_mut(&key) {
                base.products.extend(it.products.iter().cloned());
            }
        }
        seed.accounts.iter().try_for_each(|it| self.load_account(it, act))?;
        seed.groups.iter().try_for_each(|it| self.load_group(it, act))?;
        seed.desks.iter().try_for_each(|it| self.load_desk(it, act))?;
        seed.customer_organizations.iter().try_for_each(|it| self.load_customers(it, act))
    }

    fn load_desk(&mut self, it: &SeedDesk, act: &mut Act<'_>) -> Result<(), String> {
        self.site(&it.site).ok_or_else(|| format!("desk {}: no site {}", it.key, it.site))?;
        self.add_desk(&it.site, &it.key, &it.name, it.open);
        for email in &it.customers {
            let person = self.customer(&it.site, email, act);
            self.set_customer((&it.site, &it.key), person, true, act).map_err(|it| format!("{it:?}"))?;
        }
        Ok(())
    }

    fn load_customers(&mut self, it: &SeedCustomers, act: &mut Act<'_>) -> Result<(), String> {
        self.site(&it.site).ok_or_else(|| format!("customers {}: no site {}", it.name, it.site))?;
        let id = self.create_customer_organization(&it.site, &it.name, act);
        if let Some(made) = self.desks.organizations.get_mut(&id) {
            made.scim_managed = it.scim_managed;
        }
        for email in &it.members {
            let person = self.customer(&it.site, email, act);
            self.set_organization_member(&id, person, true, act).map_err(|it| format!("{it:?}"))?;
        }
        it.desks.iter().try_for_each(|desk| {
            let done = self.set_desk_organization((&it.site, desk), &id, true, act);
            done.map_err(|refusal| format!("customers {}: desk {desk}: {refusal:?}", it.name))
        })
    }

    /// Somebody on a site, with a portal-only account made where there is none.
    fn customer(&mut self, site: &str, email: &str, act: &mut Act<'_>) -> super::Index {
        match self.on_site(site, email) {
            Some(person) => person,
            // Nobody of that address is on the site, so the account is made.
            None => self.create_customer(site, email, email, act).unwrap_or_default(),
        }
    }

    /// The user base that a document means.
    pub(crate) fn named_base(&self, organization: Option<&str>, site: Option<&str>) -> Result<BaseKey, String> {
        let first = || self.organizations.keys().next().cloned();
        let key = match (organization, site) {
            (_, Some(site)) => BaseKey::Site(site.to_owned()),
            (Some(id), None) => BaseKey::Organization(id.to_owned()),
            (None, None) => BaseKey::Organization(first().unwrap_or_default()),
        };
        if self.base(&key).is_some() { Ok(key) } else { Err(format!("no user base {key:?}")) }
    }

    fn load_account(&mut self, it: &SeedAccount, act: &mut Act<'_>) -> Result<(), String> {
        let key = self.named_base(it.organization.as_deref(), it.site.as_deref())?;
        let known = self.accounts.with_email(&it.email).first().and_then(|at| self.accounts.get(*at));
        let id = it.id.clone().or_else(|| known.map(|it| it.id.clone()));
        let id = id.unwrap_or_else(|| super::ids::account_id(&it.email));
        let person = self.seed_person_in(&key, &id, &it.email, it.name.as_deref().unwrap_or(&it.email), act);
        self.accounts.set_email(person, &it.email);
        if let Some(account) = self.accounts.get_mut(person) {
            account.status = it.status;
            account.kind = it.kind;
            account.for_deletion = it.for_deletion;
            account.email_hidden = it.email_hidden;
        }
        if let Some(resident) = self.base_mut(&key).and_then(|base| base.people.get_mut(&person)) {
            resident.standing = it.standing;
            resident.roles.extend(it.roles.iter().cloned());
        }
        Ok(())
    }

    fn load_group(&mut self, it: &SeedGroup, act: &mut Act<'_>) -> Result<(), String> {
        let key = self.named_base(it.organization.as_deref(), it.site.as_deref())?;
        let base = self.base(&key).and_then(|base| base.group_named(&it.name)).map(|(_, group)| group.id.clone());
        let owner = if it.team { Owner::Team } else { Owner::Admins };
        let id = match base {
            Some(id) => id,
            None => self
                .create_group(&key, &it.name, &it.description, owner, act)
                .map_err(|refusal| format!("group {}: {refusal:?}", it.name))?,
        };
        for email in &it.members {
            let known = self.accounts.with_email(email).first().copied();
            let person = match known {
                Some(person) => person,
                None => self.seed_person_in(&key, &super::ids::account_id(email), email, email, act),
            };
            let at = act.cause.at;
            if let Some(base) = self.base_mut(&key) {
                base.people.entry(person).or_insert_with(|| super::Resident::new(at));
            }
            let group = self.base(&key).and_then(|base| base.group(&id)).map(|it| it.0);
            if let Some(group) = group {
                self.put_membership(&key, group, person, true, act);
            }
        }
        for (resource, role) in &it.roles {
            self.set_role(&key, &id, (resource, role), true, act)
                .map_err(|refusal| format!("group {}: {refusal:?}: {resource} {role}", it.name))?;
        }
        if let Some(directory) = &it.scim_directory {
            self.take_under_ownership(directory, &id, act.cause.at).map_err(|it| format!("{it:?}"))?;
        }
        let found = self.base(&key).and_then(|base| base.group(&id)).map(|it| it.0);
        if let Some(group) = found.and_then(|at| self.base_mut(&key).and_then(|base| base.groups.get_mut(&at))) {
            group.default |= it.default;
            group.admin |= it.admin;
        }
        Ok(())
    }
}
