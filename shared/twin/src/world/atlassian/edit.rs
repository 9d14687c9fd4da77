//! What people do by hand in the vendor's pages, and what befalls accounts and groups: the operator's changes.

use serde::{Deserialize, Serialize};

use super::account::AccountStatus;
use super::base::{Owner, Standing};
use super::seed::{Seed, SeedAccount, SeedGroup};
use super::switches::NonEmptyGroup;
use super::{Act, AtlassianSide, Authority, BaseKey};
use crate::world::atlassian::change::group_key;

/// One change by hand. Groups are named by name or id, people by address or account id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    /// Loads a document.
    Load(Box<Seed>),
    /// Makes or changes an account.
    Account(Box<SeedAccount>),
    /// Makes or fills a group.
    Group(Box<SeedGroup>),
    /// Drift: somebody was added, whoever owns the group.
    MemberAdded {
        /// Group.
        group: String,
        /// Person.
        account: String,
        /// User base; the first organization if absent.
        #[serde(default)]
        site: Option<String>,
    },
    /// Drift: somebody was removed.
    MemberRemoved {
        /// Group.
        group: String,
        /// Person.
        account: String,
        /// User base; the first organization if absent.
        #[serde(default)]
        site: Option<String>,
    },
    /// A group was deleted, whatever protects it.
    GroupDeleted {
        /// Group.
        group: String,
        /// User base; the first organization if absent.
        #[serde(default)]
        site: Option<String>,
    },
    /// A group was renamed; its id stays.
    GroupRenamed {
        /// Group.
        group: String,
        /// New name.
        name: String,
        /// User base; the first organization if absent.
        #[serde(default)]
        site: Option<String>,
    },
    /// A group came under an identity provider, or back to administrators.
    GroupOwned {
        /// Group.
        group: String,
        /// The SCIM directory; none gives it back.
        #[serde(default)]
        scim_directory: Option<String>,
    },
    /// A group became a default access group, or stopped being one.
    GroupDefault {
        /// Group.
        group: String,
        /// Whether.
        default: bool,
        /// User base; the first organization if absent.
        #[serde(default)]
        site: Option<String>,
    },
    /// An account was deactivated, activated, closed or marked for deletion.
    AccountStatus {
        /// Person.
        account: String,
        /// New state.
        status: AccountStatus,
        /// Marked for deletion.
        #[serde(default)]
        for_deletion: bool,
    },
    /// Access to the directory was suspended or restored.
    Standing {
        /// Person.
        account: String,
        /// New standing.
        standing: Standing,
    },
    /// The address changed, or is hidden from sites.
    Email {
        /// Person.
        account: String,
        /// New address.
        #[serde(default)]
        email: Option<String>,
        /// Hidden from sites.
        #[serde(default)]
        hidden: Option<bool>,
    },
    /// The number of seats of a product changed.
    Seats {
        /// Resource.
        resource: String,
        /// Seats; none is unlimited.
        #[serde(default)]
        seats: Option<u32>,
    },
    /// Somebody became a customer of a desk by hand, or no longer is.
    Customer {
        /// Site.
        site: String,
        /// Project key of the desk.
        desk: String,
        /// Person; who is not on the site gets a portal-only account.
        account: String,
        /// Whether.
        present: bool,
    },
    /// Guard was bought or lapsed.
    Guard {
        /// Organization.
        organization: String,
        /// Whether.
        guard: bool,
    },
}

impl AtlassianSide {
    /// Does it. Errors say what was not found.
    pub fn edit(&mut self, edit: Edit, act: &mut Act<'_>) -> Result<(), String> {
        match edit {
            Edit::Load(seed) => self.load(&seed, act),
            Edit::Account(account) => self.load(&Seed { accounts: vec![*account], ..Seed::default() }, act),
            Edit::Group(group) => self.load(&Seed { groups: vec![*group], ..Seed::default() }, act),
            Edit::MemberAdded { group, account, site } => {
                self.edit_member(&group, &account, site.as_deref(), true, act)
            }
            Edit::MemberRemoved { group, account, site } => {
                self.edit_member(&group, &account, site.as_deref(), false, act)
            }
            Edit::GroupDeleted { group, site } => {
                let (key, id) = self.find_group(&group, site.as_deref())?;
                self.forget_group_records(&id);
                let done = self.delete_group(&key, &id, NonEmptyGroup::Delete, &Authority::Hand, act);
                done.map_err(|it| format!("{it:?}"))
            }
            Edit::GroupRenamed { group, name, site } => {
                let (key, id) = self.find_group(&group, site.as_deref())?;
                let base = self.base_mut(&key).ok_or("no user base")?;
                let index = base.group(&id).map(|it| it.0).ok_or("no group")?;
                let old = base.rename_group(index, &name);
                act.record(format!("{}/name", group_key(&id)), old, Some(name));
                Ok(())
            }
            Edit::GroupOwned { group, scim_directory } => self.edit_owner(&group, scim_directory, act),
            Edit::GroupDefault { group, default, site } => {
                let (key, id) = self.find_group(&group, site.as_deref())?;
                let base = self.base_mut(&key).ok_or("no user base")?;
                let index = base.group(&id).map(|it| it.0).ok_or("no group")?;
                base.groups.get_mut(&index).ok_or("no group")?.default = default;
                Ok(())
            }
            Edit::Customer { site, desk, account, present } => {
                self.edit_customer((&site, &desk), &account, present, act)
            }
            other => self.edit_person(other, act),
        }
    }

    fn edit_customer(
        &mut self,
        (site, desk): (&str, &str),
        account: &str,
        present: bool,
        act: &mut Act<'_>,
    ) -> Result<(), String> {
        let known = self.accounts.find(account).or_else(|| self.on_site(site, account));
        let person = match known {
            Some(person) => person,
            None => self.create_customer(site, account, account, act).map_err(|it| format!("{it:?}"))?,
        };
        self.set_customer((site, desk), person, present, act).map_err(|it| format!("{it:?}"))
    }

    fn edit_person(&mut self, edit: Edit, act: &mut Act<'_>) -> Result<(), String> {
        match edit {
            Edit::AccountStatus { account, status, for_deletion } => {
                let person = self.find_account(&account)?;
                self.set_account_status(person, status, act);
                if let Some(it) = self.accounts.get_mut(person) {
                    it.for_deletion = for_deletion;
                }
            }
            Edit::Standing { account, standing } => {
                let person = self.find_account(&account)?;
                let id = self.accounts.get(person).map(|it| it.id.clone()).unwrap_or_default();
                let key = self.named_base(None, None)?;
                let _repeat = self.set_standing(&key, &id, standing, act);
            }
            Edit::Email { account, email, hidden } => {
                let person = self.find_account(&account)?;
                if let Some(email) = email {
                    self.accounts.set_email(person, &email);
                }
                if let (Some(hidden), Some(it)) = (hidden, self.accounts.get_mut(person)) {
                    it.email_hidden = hidden;
                }
            }
            Edit::Seats { resource, seats } => {
                let bases = self.organizations.values_mut().map(|it| &mut it.base).chain(self.owned.values_mut());
                let mut products = bases.flat_map(|it| it.products.iter_mut());
                products.find(|it| it.resource == resource).ok_or("no such resource")?.seats = seats;
            }
            Edit::Guard { organization, guard } => {
                self.organizations.get_mut(&organization).ok_or("no such organization")?.guard = guard;
            }
            _ => return Err("not a change of people".to_owned()),
        }
        Ok(())
    }

    fn edit_member(
        &mut self,
        group: &str,
        account: &str,
        site: Option<&str>,
        member: bool,
        act: &mut Act<'_>,
    ) -> Result<(), String> {
        let (key, id) = self.find_group(group, site)?;
        let person = self.find_account(account)?;
        let account = self.accounts.get(person).map(|it| it.id.clone()).unwrap_or_default();
        let done = self.set_membership(&key, &id, &account, member, &Authority::Hand, act);
        done.map_err(|it| format!("{it:?}"))?;
        for it in self.scim.values_mut() {
            let found = it.groups.iter().find(|(_, group)| group.group_id == id).map(|(at, _)| *at);
            if let (Some(group), Some(user)) = (found, it.user_by_account.get(&person).copied()) {
                it.set_member(group, user, member);
            }
        }
        Ok(())
    }

    fn edit_owner(&mut self, group: &str, directory: Option<String>, act: &mut Act<'_>) -> Result<(), String> {
        let (key, id) = self.find_group(group, None)?;
        let old = self.base(&key).and_then(|it| it.group(&id)).map(|(_, it)| it.owner.word().to_owned());
        self.forget_group_records(&id);
        let new = match directory {
            Some(directory) => {
                self.take_under_ownership(&directory, &id, act.cause.at).map_err(|it| format!("{it:?}"))?;
                Owner::External(directory)
            }
            None => Owner::Admins,
        };
        let index = self.base(&key).and_then(|it| it.group(&id)).map(|it| it.0).ok_or("no group")?;
        if let Some(group) = self.base_mut(&key).and_then(|it| it.groups.get_mut(&index)) {
            group.owner = new.clone();
        }
        act.record(format!("{}/owner", group_key(&id)), old, Some(new.word().to_owned()));
        Ok(())
    }

    /// A group by id or name, in that site or the first organization.
    fn find_group(&self, group: &str, site: Option<&str>) -> Result<(BaseKey, String), String> {
        let key = self.named_base(None, site)?;
        let base = self.base(&key).ok_or("no user base")?;
        let found = base.group(group).or_else(|| base.group_named(group)).map(|(_, it)| it.id.clone());
        Ok((key, found.ok_or_else(|| format!("no group {group}"))?))
    }

    fn find_account(&self, account: &str) -> Result<super::Index, String> {
        let found = self.accounts.find(account).or_else(|| self.accounts.with_email(account).first().copied());
        found.ok_or_else(|| "no such account".to_owned())
    }
}
