//! Steps: the single changes that a plan intends, each with its reason.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Access, AccountId, DirectoryId, GroupId, RuleId, UserState};

/// One membership to add or remove at a target.
///
/// A group or account that a step of the same plan will create has no id yet: `group` is `None` and the group is
/// known by its (folded) name, `account` is `None` and the person by the source's id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Edge {
    /// The group at the target, unless it is still to be created.
    pub group: Option<GroupId>,
    /// The group's name at the target, for people; and what finds a group that is still to be created.
    pub group_name: String,
    /// The account at the target, unless it is still to be created.
    pub account: Option<AccountId>,
    /// The person at the source that the account is linked to; `None` for strays.
    pub person: Option<AccountId>,
    /// Add or remove.
    pub op: EdgeOp,
}

/// What to do with a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EdgeOp {
    /// Take the membership away. Removals come first in every list: they free seats.
    Remove,
    /// Make the account a member.
    Add,
}

impl EdgeOp {
    /// The name in rows and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Remove => "remove",
            Self::Add => "add",
        }
    }

    /// Reads the name in rows and on the wire.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Remove, Self::Add].into_iter().find(|op| op.as_str() == text)
    }
}

/// One change that a plan intends, with its reason. Steps hold ids and names of groups, never addresses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// Make a group.
    CreateGroup {
        /// Its name at the target.
        name: String,
        /// Text for people.
        description: String,
        /// Why.
        reason: Reason,
    },
    /// Delete a group. Always held for approval.
    DeleteGroup {
        /// Which.
        group: GroupId,
        /// Its name, for people.
        name: String,
        /// Why.
        reason: Reason,
    },
    /// Have a group give something that it does not give yet.
    GrantAccess {
        /// Which group, unless it is still to be created.
        group: Option<GroupId>,
        /// Its name at the target, for people; and what finds a group that is still to be created.
        name: String,
        /// What it is to give.
        access: Access,
        /// Why.
        reason: Reason,
    },
    /// Add or remove one membership.
    Edge {
        /// Which.
        #[serde(flatten)]
        edge: Edge,
        /// Why.
        reason: Reason,
    },
    /// Create, update, deactivate or restore an account.
    Account {
        /// The account, unless it is to be created.
        account: Option<AccountId>,
        /// The person at the source.
        person: Option<AccountId>,
        /// What to change.
        change: AccountChange,
        /// Why.
        reason: Reason,
    },
}

/// The fields that every account has of its own, by SCIM attribute path: whatever else a policy maps is an attribute beside
/// them, which can be taken away.
pub const ACCOUNT_FIELDS: [&str; 5] =
    ["userName", "emails[primary].value", "displayName", "name.givenName", "name.familyName"];

/// What to change about an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum AccountChange {
    /// Make it, with these attributes.
    Create {
        /// SCIM attribute path → value.
        attributes: BTreeMap<String, String>,
    },
    /// Set these attributes; an empty value clears one; the others stay.
    Update {
        /// SCIM attribute path → value.
        attributes: BTreeMap<String, String>,
    },
    /// Take away every sign-in; keep the account and its links.
    Deactivate,
    /// Take away the access to this directory; the account keeps its groups and may sign in elsewhere.
    Suspend,
    /// Take the account out of this directory, with everything that it has there. It comes back by being made again.
    Remove,
    /// Give the sign-in back.
    Restore,
    /// Make others the lead of what the account leads, then take away its sign-in: Jira Data Center deactivates nobody
    /// who leads a project (reference/atlassian-dc.md §2.1). What is already handed over stays so: after a crash in the
    /// middle the rest is found by reading and done.
    HandOver {
        /// User name of who takes over projects; without one, somebody who leads a project is not deactivated.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project: Option<String>,
        /// User name of who takes over components; without one, they keep their lead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        component: Option<String>,
    },
}

impl AccountChange {
    /// The name in rows, metrics and output.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Update { .. } => "update",
            Self::Deactivate => "deactivate",
            Self::Suspend => "suspend",
            Self::Remove => "remove",
            Self::Restore => "restore",
            Self::HandOver { .. } => "hand-over",
        }
    }

    /// Whether it takes the sign-in away.
    pub const fn revokes(&self) -> bool {
        matches!(self, Self::Deactivate | Self::Suspend | Self::Remove | Self::HandOver { .. })
    }
}

/// Why a step is in a plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Reason {
    /// The source puts the person there.
    Joined {
        /// By which rule.
        rule: RuleId,
        /// Of which source.
        source: DirectoryId,
        /// From the matched group down through nested groups to the one that holds the person.
        path: Vec<GroupId>,
    },
    /// The source had the person there and no longer does.
    Left {
        /// By which rule.
        rule: RuleId,
        /// Of which source.
        source: DirectoryId,
        /// The way by which the person was a member when last seen.
        path: Vec<GroupId>,
    },
    /// The person may no longer work at the source.
    Leaver {
        /// Of which source.
        source: DirectoryId,
        /// In which state the person is now.
        state: UserState,
    },
    /// The person works, but is out of every scope that the policy names.
    OutOfScope {
        /// Of which source.
        source: DirectoryId,
    },
    /// Somebody changed the target by hand: the source never had it so.
    Drift {
        /// By which rule.
        rule: RuleId,
    },
    /// The group existed before we came.
    Conflict {
        /// By which rule.
        rule: RuleId,
    },
    /// A rule claims fewer sources, or other people, than before.
    Policy {
        /// By which rule.
        rule: RuleId,
    },
    /// A group that the rule wants is missing.
    Missing {
        /// By which rule.
        rule: RuleId,
        /// Of which source.
        source: DirectoryId,
        /// The source group.
        group: Option<GroupId>,
    },
    /// The source group was deleted.
    SourceDeleted {
        /// By which rule.
        rule: RuleId,
        /// Of which source.
        source: DirectoryId,
        /// The source group.
        group: GroupId,
    },
    /// The policy says what the group is to give, and it does not.
    Access {
        /// The rule that fills the group.
        rule: RuleId,
    },
    /// A rule for people says so.
    Provision {
        /// By which rule.
        rule: RuleId,
        /// Of which source.
        source: DirectoryId,
    },
}

impl Reason {
    /// The short name of the reason, for tables and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Joined { .. } => "joined",
            Self::Left { .. } => "left",
            Self::Leaver { .. } => "leaver",
            Self::OutOfScope { .. } => "out-of-scope",
            Self::Drift { .. } => "drift",
            Self::Conflict { .. } => "conflict",
            Self::Policy { .. } => "policy",
            Self::Missing { .. } => "missing",
            Self::SourceDeleted { .. } => "source-deleted",
            Self::Access { .. } => "access",
            Self::Provision { .. } => "provision",
        }
    }
    /// By which rule, if it names one.
    pub const fn rule(&self) -> Option<&RuleId> {
        match self {
            Self::Joined { rule, .. }
            | Self::Left { rule, .. }
            | Self::Drift { rule }
            | Self::Conflict { rule }
            | Self::Policy { rule }
            | Self::Missing { rule, .. }
            | Self::SourceDeleted { rule, .. }
            | Self::Access { rule }
            | Self::Provision { rule, .. } => Some(rule),
            Self::Leaver { .. } | Self::OutOfScope { .. } => None,
        }
    }
}
