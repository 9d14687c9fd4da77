//! The port to whatever keeps attempts: PostgreSQL or a journal.

use std::future::Future;

use atlassian_write::Answered;
use model::{Access, AccountId, CommandId, EdgeOp, Generation, GroupId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where attempts are committed before their calls, and looked up in whose generation they are.
pub trait Ledger: Send + Sync {
    /// Commits that this call is about to be made and says what of it still may be: an edge whose group or person has
    /// a newer generation is outdated. On return the attempt is durable; a call whose edges are all outdated is not
    /// recorded.
    fn admit(&self, call: &Call) -> impl Future<Output = Result<Admission, LedgerError>> + Send;

    /// Notes how a call ended. Need not be durable by itself: the outcome is.
    fn answered(&self, call: &Call, answered: &Answered) -> impl Future<Output = Result<(), LedgerError>> + Send;
}

/// One call about to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// What the ledger calls the attempt. Its requests bear it as `X-Request-Id`; a journal of an earlier version has
    /// none.
    #[serde(default)]
    pub id: Uuid,
    /// Of which command.
    pub command: CommandId,
    /// The how-manieth attempt of the command, from 1.
    pub attempt: u32,
    /// What it is about.
    pub what: What,
}

/// What a call is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum What {
    /// Memberships of one group.
    Edges {
        /// The group.
        group: GroupId,
        /// The group's generation when the command was made.
        generation: Generation,
        /// Account, direction and the person's generation when the command was made.
        edges: Vec<(AccountId, EdgeOp, Generation)>,
    },
    /// The creation of a group.
    CreateGroup {
        /// Its name.
        name: String,
    },
    /// The deletion of a group.
    DeleteGroup {
        /// The group.
        group: GroupId,
        /// The group's generation when the command was made.
        generation: Generation,
    },
    /// A group is to give something.
    GrantAccess {
        /// The group.
        group: GroupId,
        /// What it is to give.
        access: Access,
        /// The group's generation when the command was made.
        generation: Generation,
    },
    /// A change of one account.
    Account {
        /// The person at the source.
        person: AccountId,
        /// What is changed: `create`, `update`, `deactivate` or `restore`.
        change: String,
        /// The person's generation when the command was made.
        generation: Generation,
    },
}

/// What of a call still may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// For each edge of the call, in its order; one entry for a call without edges.
    pub allowed: Vec<bool>,
    /// Nothing of it may be now, whatever `allowed` says, for a person paused the target. What was not begun goes back.
    pub not_now: bool,
}

/// The ledger cannot be written: nothing may be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the ledger cannot be written, so nothing is called: {0}")]
pub struct LedgerError(pub String);

impl What {
    /// How many entries an admission has.
    pub fn len(&self) -> usize {
        match self {
            Self::Edges { edges, .. } => edges.len(),
            _ => 1,
        }
    }

    /// Whether there is nothing to admit.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
