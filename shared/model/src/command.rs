//! Commands: a few seconds of work, made of released edges that are still wanted now.

use serde::{Deserialize, Serialize};

use crate::{Access, AccountChange, AccountId, Canonical, CommandId, DirectoryId, EdgeOp, GroupId, TenantId};

/// A step made executable. It is never guarded again and never widened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The idempotency key. The ledger row with this id holds the same digest, or the command is not executed.
    pub id: CommandId,
    /// Whose.
    pub tenant: TenantId,
    /// At which target.
    pub target: DirectoryId,
    /// With which urgency.
    pub lane: Lane,
    /// What to do.
    pub body: CommandBody,
}

impl Canonical for Command {}

/// A counter of an object's commands: an effect with an older one is dropped.
pub type Generation = u64;

/// What a command does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum CommandBody {
    /// Make a group. Found by name before it is repeated.
    CreateGroup {
        /// Its name.
        name: String,
        /// Text for people.
        description: String,
    },
    /// Delete a group that was approved to go.
    DeleteGroup {
        /// Which.
        group: GroupId,
        /// The group's generation with this command.
        generation: Generation,
    },
    /// Have a group give something that it does not give yet. Giving twice is giving.
    GrantAccess {
        /// Which group.
        group: GroupId,
        /// What it is to give.
        access: Access,
        /// The generation of what the group gives with this command.
        generation: Generation,
    },
    /// Change memberships of one group.
    Edges {
        /// Which group.
        group: GroupId,
        /// The group's generation with this command.
        generation: Generation,
        /// The changes, removals first, each account at most once.
        edges: Vec<EdgeChange>,
    },
    /// Create, update, deactivate or restore one account.
    Account {
        /// The account, unless it is to be created.
        account: Option<AccountId>,
        /// The person at the source: what a created account keeps as its external id.
        person: AccountId,
        /// What to change.
        change: AccountChange,
        /// The person's generation with this command.
        generation: Generation,
    },
}

/// One membership that a command changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EdgeChange {
    /// The account.
    pub account: AccountId,
    /// Add or remove.
    pub op: EdgeOp,
    /// The person's generation when the command was made: a revocation since then makes the edge outdated.
    pub person_generation: Generation,
}

/// With which urgency something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// Revocations of a person, and removals within `per_group`.
    Urgent,
    /// Everything in between, approved mass removals too.
    Normal,
    /// A first import.
    Bulk,
}

impl Lane {
    /// All lanes, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Urgent, Self::Normal, Self::Bulk];

    /// The name in subjects and rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }

    /// Reads the name in subjects and rows.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.as_str() == text)
    }
}

impl Command {
    /// The object that may have only one open command in a lane: a group by id or by the name it is to get,
    /// what a group gives, or a person.
    pub fn object(&self) -> String {
        match &self.body {
            CommandBody::CreateGroup { name, .. } => format!("name/{name}"),
            CommandBody::DeleteGroup { group, .. } | CommandBody::Edges { group, .. } => format!("group/{group}"),
            // Who is in a group changes meanwhile.
            CommandBody::GrantAccess { group, access, .. } => format!("access/{group}/{access}"),
            CommandBody::Account { person, .. } => format!("person/{person}"),
        }
    }
}
