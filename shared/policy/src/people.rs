//! `[people]` and `[[people.provision]]`: who is whose, and who gets an account.

use std::collections::BTreeMap;

use model::{DirectoryId, Email, RuleId, Span};

use crate::{OrgUnitMatcher, PersonFilter, Rewrite};

/// `[people]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct People {
    /// By what a person is paired with an account, in this order.
    pub match_by: Vec<MatchBy>,
    /// The tenant's own domains, in ASCII lower case. Everybody else is external.
    pub domains: Vec<String>,
    /// How an address becomes a user name, for directories that have user names.
    pub username: Vec<Rewrite>,
}

/// By what a person is paired with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatchBy {
    /// A link that was recorded before.
    Link,
    /// The target keeps the source's id.
    ExternalId,
    /// Equal primary addresses.
    Email,
    /// A unique alias of one of the tenant's own domains.
    Alias,
}

/// One `[[people.provision]]` entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provision {
    /// The name as a slug, or `provision-<n>`.
    pub id: RuleId,
    /// The name for people; the id where the file gives none.
    pub name: String,
    /// The line of its header, from 1.
    pub line: usize,
    /// Switched off, it makes, changes and takes away no account: those of its people stay as they are.
    pub enabled: bool,
    /// Where the people are.
    pub from: DirectoryId,
    /// Where they get accounts. A view is already resolved to its organization.
    pub to: DirectoryId,
    /// Whether accounts are made.
    pub create: bool,
    /// Whether attributes are kept up to date.
    pub update: bool,
    /// Only people in these organizational units; empty means all.
    pub org_units: OrgUnitMatcher,
    /// Only these people.
    pub people: PersonFilter,
    /// All of them get accounts, or those in groups that a rule takes to this target.
    pub who: Who,
    /// What becomes of people outside of the tenant's own domains.
    pub external: Outsiders,
    /// Target attribute → path at the source.
    pub attributes: BTreeMap<String, String>,
    /// What becomes of the account of somebody who leaves.
    pub on_leave: OnLeave,
    /// Groups at the target that everybody of this entry gets.
    pub default_groups: DefaultGroups,
    /// Who takes over what a leaver led (Data Center).
    pub lead_fallback: LeadFallback,
}

/// For whom an entry makes accounts. Accounts that exist are kept up to date and taken away all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Who {
    /// For everybody of the entry.
    #[default]
    All,
    /// For those of them who are wanted in a group that a rule fills at this target.
    Members,
}

impl Who {
    /// All of them with their names in the policy file.
    pub const ALL: [(&'static str, Self); 2] = [("all", Self::All), ("members", Self::Members)];
}

/// What becomes of the account of somebody who leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnLeave {
    /// When suspended at the source.
    pub suspended: LeaveAction,
    /// When archived at the source.
    pub archived: LeaveAction,
    /// When deleted at the source.
    pub deleted: LeaveAction,
    /// How long to wait first. Memberships go at once all the same.
    pub grace: Span,
}

/// What to do with a leaver's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeaveAction {
    /// Take every sign-in away; keep the account.
    Deactivate,
    /// Take the access to this directory away; the account keeps its groups and what it has elsewhere.
    Suspend,
    /// Take the account out of this directory.
    Remove,
    /// Leave the account as it is; only the memberships go.
    Keep,
}

/// Groups that everybody of a `[[people.provision]]` entry gets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DefaultGroups {
    /// Once, when the account is made.
    pub new: Vec<String>,
    /// Always.
    pub all: Vec<String>,
    /// One of them gives a product by default, and that is on purpose.
    pub default_access_group: bool,
}

/// When somebody gets into a default group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Joining {
    /// Once, when the account was made.
    New,
    /// Always.
    All,
}

/// What an entry of `[[people.provision]]` does for people outside of the tenant's own domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Outsiders {
    /// They get accounts like everybody.
    Create,
    /// They are matched to an account that exists; none is made.
    #[default]
    Match,
    /// They are left out.
    Skip,
}

/// User names of those who take over what a leaver led (Data Center).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeadFallback {
    /// Projects.
    pub project: Option<String>,
    /// Components.
    pub component: Option<String>,
}

impl People {
    /// Whether the address is outside of the tenant's own domains. A subdomain is another domain.
    pub fn is_external(&self, email: &Email) -> bool {
        !self.domains.iter().any(|domain| domain == email.domain())
    }

    /// Whether the address is outside of the tenant's own domains, where it has any: without them nobody can be told
    /// from anybody.
    pub fn is_outsider(&self, email: &Email) -> bool {
        !self.domains.is_empty() && self.is_external(email)
    }

    /// The user name for an address: what the rewrites make of its ASCII lower case.
    pub fn username(&self, email: &Email) -> String {
        Rewrite::apply_all(&self.username, email.key()).unwrap_or_else(|| email.key().to_owned())
    }
}

impl Default for People {
    fn default() -> Self {
        Self {
            match_by: vec![MatchBy::Link, MatchBy::ExternalId, MatchBy::Email, MatchBy::Alias],
            domains: Vec::new(),
            username: Vec::new(),
        }
    }
}

impl MatchBy {
    /// All of them with their names in the policy file.
    pub const ALL: [(&'static str, Self); 4] =
        [("link", Self::Link), ("external-id", Self::ExternalId), ("email", Self::Email), ("alias", Self::Alias)];
}

impl Outsiders {
    /// All of them with their names in the policy file.
    pub const ALL: [(&'static str, Self); 3] = [("create", Self::Create), ("match", Self::Match), ("skip", Self::Skip)];
}

impl LeaveAction {
    /// All of them with their names in the policy file.
    pub const ALL: [(&'static str, Self); 4] =
        [("deactivate", Self::Deactivate), ("suspend", Self::Suspend), ("remove", Self::Remove), ("keep", Self::Keep)];
}

/// Deactivated at once.
impl Default for OnLeave {
    fn default() -> Self {
        let action = LeaveAction::Deactivate;
        Self { suspended: action, archived: action, deleted: action, grace: Span::ZERO }
    }
}
