//! The Atlassian side of the world: accounts, organizations, groups, SCIM directories, Jira sites.
//!
//! Plain state and plain functions: time comes in with the cause of each change, ids come from a counter, and nothing
//! here knows HTTP. Each API turns a [`Refusal`] into its own status and words.

pub mod account;
pub mod base;
mod change;
pub mod desk;
pub mod edit;
mod ids;
pub mod people;
pub mod readback;
pub mod scim;
pub mod scim_group;
mod scim_user;
pub mod seats;
pub mod seed;
pub mod switches;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};

pub use account::{Account, AccountStatus, Accounts, Index};
pub use base::{Group, GroupIndex, Owner, Resident, Standing, UserBase};
pub use scim::ScimDirectory;
pub use seats::Product;
pub use switches::AtlassianSwitches;
pub use view::View;

use crate::engine::Millis;
use crate::world::{Cause, MutationLog};

/// Id of the organization that every world begins with.
pub const ORGANIZATION: &str = "org-1";
/// Id of that organization's directory.
pub const DIRECTORY: &str = "dir-1";
/// Id of that organization's SCIM directory.
pub const SCIM_DIRECTORY: &str = "scim-1";
/// Name of the Jira site that is a view of that organization.
pub const SITE: &str = "acme";
/// Cloud id of that site.
pub const CLOUD_ID: &str = "5e1c7a50-0000-4000-8000-000000000004";

/// Why a change was not made. What each API answers is its own matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such group.
    UnknownGroup,
    /// No such account anywhere.
    UnknownAccount,
    /// The account exists but not in this directory.
    NotInDirectory,
    /// Owned by an identity provider, or by a team.
    External,
    /// A group of that name exists.
    NameTaken,
    /// Already a member.
    AlreadyMember,
    /// Not a member.
    NotMember,
    /// A default access group.
    DefaultGroup,
    /// The group grants administration.
    AdminGroup,
    /// The group still has members.
    NotEmpty,
    /// No seat is free.
    NoSeat,
    /// The account is deactivated.
    Inactive,
    /// No such resource or role.
    UnknownResource,
    /// The state does not allow it.
    Conflict,
}

/// A change under way: who asks for it, and where its effects are taken down.
#[derive(Debug)]
pub struct Act<'a> {
    /// Who, when, through what.
    pub cause: &'a Cause,
    /// The world's log.
    pub log: &'a mut MutationLog,
}

impl Act<'_> {
    pub(crate) fn record(&mut self, key: String, old: Option<String>, new: Option<String>) {
        self.log.record(self.cause, key, old, new);
    }

    pub(crate) fn record_presence(&mut self, key: String, present: bool) {
        let there = || Some("present".to_owned());
        if present { self.record(key, None, there()) } else { self.record(key, there(), None) }
    }
}

/// Which user base.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BaseKey {
    /// The organization's only directory.
    Organization(String),
    /// A site that owns its groups.
    Site(String),
}

/// On whose authority a group is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// An administrator through an API: refused where an identity provider owns the group.
    Administrator,
    /// The SCIM directory of that id: its own groups only.
    Directory(String),
    /// The operator of the twin: never refused, as what people do by hand in the vendor's pages.
    Hand,
}

/// An organization: one directory, its claimed domains, its products.
#[derive(Clone, Debug)]
pub struct Organization {
    /// Organization id.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Domains whose accounts it manages, in lower case.
    pub domains: BTreeSet<String>,
    /// Whether it pays for Guard; without it SCIM is closed.
    pub guard: bool,
    /// People, groups, memberships.
    pub base: UserBase,
}

/// A Jira site.
#[derive(Clone, Debug)]
pub struct JiraSite {
    /// First label of `<name>.atlassian.net`.
    pub name: String,
    /// Cloud id, for `/ex/jira/<cloud id>`.
    pub cloud_id: String,
    /// Whose groups it shows.
    pub base: BaseKey,
}

/// Everything Atlassian knows.
#[derive(Clone, Debug)]
pub struct AtlassianSide {
    /// Open questions, answered for now.
    pub switches: AtlassianSwitches,
    pub(crate) accounts: Accounts,
    pub(crate) organizations: BTreeMap<String, Organization>,
    pub(crate) owned: BTreeMap<String, UserBase>,
    pub(crate) sites: BTreeMap<String, JiraSite>,
    pub(crate) scim: BTreeMap<String, ScimDirectory>,
    pub(crate) desks: desk::Portals,
    ids: ids::Ids,
    /// Removals that fall due, by time.
    queue: BTreeSet<(Millis, BaseKey, Index)>,
}

impl Default for AtlassianSide {
    /// One organization with its directory, a SCIM directory and a Jira site that is a view of it; nobody in it.
    fn default() -> Self {
        let mut side = Self {
            switches: AtlassianSwitches::default(),
            accounts: Accounts::default(),
            organizations: BTreeMap::new(),
            owned: BTreeMap::new(),
            sites: BTreeMap::new(),
            scim: BTreeMap::new(),
            desks: desk::Portals::default(),
            ids: ids::Ids::default(),
            queue: BTreeSet::new(),
        };
        side.add_organization(ORGANIZATION, "Acme", DIRECTORY);
        side.add_scim_directory(SCIM_DIRECTORY, ORGANIZATION);
        side.add_site(SITE, CLOUD_ID, Some(ORGANIZATION));
        side
    }
}

impl AtlassianSide {
    /// Adds an organization with an empty directory.
    pub fn add_organization(&mut self, id: &str, name: &str, directory_id: &str) {
        let organization = Organization {
            id: id.to_owned(),
            name: name.to_owned(),
            domains: BTreeSet::new(),
            guard: true,
            base: UserBase::new(id, directory_id),
        };
        self.organizations.insert(id.to_owned(), organization);
    }

    /// Adds an identity-provider directory to an organization.
    pub fn add_scim_directory(&mut self, id: &str, organization: &str) {
        self.scim.insert(id.to_owned(), ScimDirectory::new(id, organization));
    }

    /// Adds a Jira site: a view of that organization, or with `None` one that owns its groups.
    pub fn add_site(&mut self, name: &str, cloud_id: &str, organization: Option<&str>) {
        let base = if let Some(id) = organization {
            BaseKey::Organization(id.to_owned())
        } else {
            self.owned.entry(name.to_owned()).or_insert_with(|| UserBase::new(name, cloud_id));
            BaseKey::Site(name.to_owned())
        };
        self.sites.insert(name.to_owned(), JiraSite { name: name.to_owned(), cloud_id: cloud_id.to_owned(), base });
    }

    /// Declares that accounts of that domain are managed by the organization.
    pub fn claim_domain(&mut self, organization: &str, domain: &str) {
        if let Some(it) = self.organizations.get_mut(organization) {
            it.domains.insert(domain.to_lowercase());
        }
    }

    /// One account for a person, in the directory of the first organization. An address (in lower case) that already
    /// has an account is left as it is. The account id follows from the address alone.
    pub fn seed_person(
        &mut self,
        source_id: &str,
        email: &str,
        display_name: &str,
        log: &mut MutationLog,
        cause: &Cause,
    ) {
        let Some(key) = self.organizations.keys().next().cloned().map(BaseKey::Organization) else { return };
        if !self.accounts.with_email(email).is_empty() {
            return;
        }
        let id = ids::account_id(if email.is_empty() { source_id } else { email });
        let name = if display_name.is_empty() { email } else { display_name };
        self.seed_person_in(&key, &id, email, name, &mut Act { cause, log });
    }

    /// The account of an address gets another one, as when a person is renamed at the source and the account follows.
    pub fn rename_person(&mut self, before: &str, after: &str, log: &mut MutationLog, cause: &Cause) {
        let Some(person) = self.accounts.with_email(before).first().copied() else { return };
        let Some(id) = self.accounts.get(person).map(|it| it.id.clone()) else { return };
        self.accounts.set_email(person, after);
        let record = format!("atlassian/account/{id}/email");
        Act { cause, log }.record(record, Some(before.to_lowercase()), Some(after.to_lowercase()));
    }

    /// One account for a person, in that user base, seen at once.
    pub fn seed_person_in(&mut self, key: &BaseKey, id: &str, email: &str, name: &str, act: &mut Act<'_>) -> Index {
        let at = act.cause.at;
        let index = self.accounts.find(id).unwrap_or_else(|| {
            act.record(format!("atlassian/account/{id}"), None, Some("active".to_owned()));
            self.accounts.insert(Account::new(id, email, name, at))
        });
        if let Some(base) = self.base_mut(key) {
            base.people.entry(index).or_insert_with(|| Resident::new(at));
        }
        index
    }

    /// All accounts.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The organization with that id.
    pub fn organization(&self, id: &str) -> Option<&Organization> {
        self.organizations.get(id)
    }

    /// All organizations, by id.
    pub fn organizations(&self) -> impl Iterator<Item = &Organization> {
        self.organizations.values()
    }

    /// The site of that name.
    pub fn site(&self, name: &str) -> Option<&JiraSite> {
        self.sites.get(name)
    }

    /// All sites, by name.
    pub fn sites(&self) -> impl Iterator<Item = &JiraSite> {
        self.sites.values()
    }

    /// The SCIM directory with that id.
    pub fn scim_directory(&self, id: &str) -> Option<&ScimDirectory> {
        self.scim.get(id)
    }

    /// All SCIM directories, by id.
    pub fn scim_directories(&self) -> impl Iterator<Item = &ScimDirectory> {
        self.scim.values()
    }

    /// That user base.
    pub fn base(&self, key: &BaseKey) -> Option<&UserBase> {
        match key {
            BaseKey::Organization(id) => self.organizations.get(id).map(|it| &it.base),
            BaseKey::Site(name) => self.owned.get(name),
        }
    }

    pub(crate) fn base_mut(&mut self, key: &BaseKey) -> Option<&mut UserBase> {
        match key {
            BaseKey::Organization(id) => self.organizations.get_mut(id).map(|it| &mut it.base),
            BaseKey::Site(name) => self.owned.get_mut(name),
        }
    }

    /// Whether some organization has claimed the account's domain: if so, which.
    pub fn manager(&self, account: &Account) -> Option<&Organization> {
        self.organizations.values().find(|it| it.domains.contains(account.domain()))
    }

    /// A fresh id in the form of a UUID; the same sequence in every run.
    pub(crate) fn fresh_id(&mut self) -> String {
        self.ids.next()
    }
}
