//! Atlassian accounts: one per person and e-mail address, shared by every organization and site.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::engine::Millis;

/// Position of an account in the world: dense, in order of creation, never reused.
pub type Index = u32;

/// State of the account itself, whatever its memberships.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountStatus {
    /// May log in.
    Active,
    /// Deactivated: may log in nowhere.
    Inactive,
    /// Gone for good; every API treats it as unknown.
    Closed,
}

impl AccountStatus {
    /// The word that every API uses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Closed => "closed",
        }
    }
}

/// What kind of principal an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountKind {
    /// A person.
    Atlassian,
    /// An app or a service account.
    App,
    /// A customer of a service desk.
    Customer,
}

impl AccountKind {
    /// The word that every API uses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Atlassian => "atlassian",
            Self::App => "app",
            Self::Customer => "customer",
        }
    }
}

/// One account.
#[derive(Clone, Debug)]
pub struct Account {
    /// The account id: opaque, the same in every API.
    pub id: String,
    /// The e-mail address, in lower case.
    pub email: String,
    /// Full name.
    pub name: String,
    /// Public name.
    pub nickname: String,
    /// What kind of principal.
    pub kind: AccountKind,
    /// State of the account.
    pub status: AccountStatus,
    /// Deletion was asked for; fourteen days of grace run.
    pub for_deletion: bool,
    /// When it was deactivated.
    pub deactivated_at: Option<Millis>,
    /// Whether the address was confirmed.
    pub email_verified: bool,
    /// Whether the person hides the address from sites.
    pub email_hidden: bool,
    /// Whether a second factor is set up.
    pub mfa: bool,
    /// Job title.
    pub title: Option<String>,
    /// Department.
    pub department: Option<String>,
    /// Organization, as the profile says.
    pub organization: Option<String>,
    /// Location.
    pub location: Option<String>,
    /// Time zone.
    pub time_zone: Option<String>,
    /// When it was made.
    pub created_at: Millis,
}

impl Account {
    /// A new, active account with a confirmed and visible address.
    pub fn new(id: &str, email: &str, name: &str, created_at: Millis) -> Self {
        Self {
            id: id.to_owned(),
            email: email.to_lowercase(),
            name: name.to_owned(),
            nickname: name.split_whitespace().next().unwrap_or(name).to_owned(),
            kind: AccountKind::Atlassian,
            status: AccountStatus::Active,
            for_deletion: false,
            deactivated_at: None,
            email_verified: true,
            email_hidden: false,
            mfa: false,
            title: None,
            department: None,
            organization: None,
            location: None,
            time_zone: None,
            created_at,
        }
    }

    /// The part of the address after the last `@`.
    pub fn domain(&self) -> &str {
        self.email.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// All accounts, found by position, id or address.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    list: Vec<Account>,
    by_id: HashMap<String, Index>,
    by_email: HashMap<String, Vec<Index>>,
}

impl Accounts {
    /// Adds an account and says where it stands; one with the same id is replaced.
    pub fn insert(&mut self, account: Account) -> Index {
        if let Some(index) = self.by_id.get(&account.id).copied() {
            self.set_email(index, &account.email);
            if let Some(old) = self.list.get_mut(index as usize) {
                *old = account;
            }
            return index;
        }
        let index = Index::try_from(self.list.len()).unwrap_or(Index::MAX);
        self.by_id.insert(account.id.clone(), index);
        self.by_email.entry(account.email.clone()).or_default().push(index);
        self.list.push(account);
        index
    }

    /// The account at that position.
    pub fn get(&self, index: Index) -> Option<&Account> {
        self.list.get(index as usize)
    }

    /// The account at that position, to change anything but its address and id.
    pub fn get_mut(&mut self, index: Index) -> Option<&mut Account> {
        self.list.get_mut(index as usize)
    }

    /// Position by account id.
    pub fn find(&self, id: &str) -> Option<Index> {
        self.by_id.get(id).copied()
    }

    /// Positions by exact address, whatever its case. Normally one; an injected duplicate makes it two.
    pub fn with_email(&self, email: &str) -> &[Index] {
        self.by_email.get(&email.to_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// Changes an address.
    pub fn set_email(&mut self, index: Index, email: &str) {
        let email = email.to_lowercase();
        let Some(account) = self.list.get_mut(index as usize) else { return };
        if account.email == email {
            return;
        }
        let old = std::mem::replace(&mut account.email, email.clone());
        if let Some(list) = self.by_email.get_mut(&old) {
            list.retain(|it| *it != index);
        }
        self.by_email.entry(email).or_default().push(index);
    }

    /// All accounts with their positions, in order of creation.
    pub fn iter(&self) -> impl Iterator<Item = (Index, &Account)> {
        (0..).zip(self.list.iter())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
