//! What became of a command, and what to do with an answer that was not the one hoped for.

use serde::{Deserialize, Serialize};

use crate::{AccountId, CommandId, DirectoryId, EdgeOp, GroupId, Span, TenantId, Time};

/// What became of a command, edge by edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Of which command.
    pub command: CommandId,
    /// Whose.
    pub tenant: TenantId,
    /// At which target.
    pub target: DirectoryId,
    /// When the writer knew.
    pub at: Time,
    /// What became of the whole where it has no edges (create a group, change an account); of edges otherwise `Done`
    /// unless nothing could be tried.
    pub result: StepResult,
    /// What became of each edge, in the order of the command.
    pub edges: Vec<EdgeOutcome>,
    /// The group that was created or found by its name.
    pub group: Option<GroupId>,
    /// The account that was created or found.
    pub account: Option<AccountId>,
    /// The Atlassian account behind it, where the directory has ids of its own.
    pub behind: Option<AccountId>,
}

/// What became of one edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeOutcome {
    /// The group.
    pub group: GroupId,
    /// The account.
    pub account: AccountId,
    /// Which way.
    pub op: EdgeOp,
    /// What became of it.
    pub result: StepResult,
    /// When the target confirmed it, if it did: the fact that holds until an observation that began after this time
    /// plus the target's lag.
    pub confirmed_at: Option<Time>,
}

/// What became of one thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "result", content = "class", rename_all = "kebab-case")]
pub enum StepResult {
    /// The target changed.
    Done,
    /// The target already was so.
    AlreadySo,
    /// A newer generation took its place before the call.
    Outdated,
    /// The target will not do it.
    Rejected(Rejection),
    /// It may or may not have happened, and reading did not tell.
    Unknown,
    /// It was not begun in time; the reconciler decides afresh.
    NotTried,
}

impl StepResult {
    /// Whether the target now holds what was asked for.
    pub const fn holds(self) -> bool {
        matches!(self, Self::Done | Self::AlreadySo)
    }

    /// The name in rows, metrics and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::AlreadySo => "already-so",
            Self::Outdated => "outdated",
            Self::Rejected(_) => "rejected",
            Self::Unknown => "unknown",
            Self::NotTried => "not-tried",
        }
    }
}

/// Why a target will not do something: the class of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rejection {
    /// The credentials may not do this one thing.
    Auth,
    /// The group or account belongs to an identity provider.
    Ownership,
    /// No seat is free.
    Licence,
    /// The account does not exist, or not in this directory.
    UnknownUser,
    /// The group does not exist.
    UnknownGroup,
    /// Something else has the name or the address.
    Conflict,
    /// The target finds the request wrong.
    Validation,
}

impl Rejection {
    /// All classes.
    pub const ALL: [Self; 7] = [
        Self::Auth,
        Self::Ownership,
        Self::Licence,
        Self::UnknownUser,
        Self::UnknownGroup,
        Self::Conflict,
        Self::Validation,
    ];

    /// The name in rows, metrics and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Ownership => "ownership",
            Self::Licence => "licence",
            Self::UnknownUser => "unknown-user",
            Self::UnknownGroup => "unknown-group",
            Self::Conflict => "conflict",
            Self::Validation => "validation",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }

    /// Who is at fault: what attaches to one dead letter.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Auth => "give the credential the right to do this, then redrive",
            Self::Ownership => "the group belongs to an identity provider: take it out of that, or out of the rule",
            Self::Licence => "free or buy a seat, then redrive",
            Self::UnknownUser => "invite or create the account at the target, then redrive",
            Self::UnknownGroup => "the group is gone at the target: restore it or review the rule",
            Self::Conflict => "something else has this name or address: resolve it at the target, then redrive",
            Self::Validation => "the target finds the request wrong: read its answer, correct the source",
        }
    }
}

/// What to do with an answer of a vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disposition {
    /// It was done.
    Done,
    /// It already was so: success.
    AlreadySo,
    /// The vendor is busy with us or with others: again, not before `after`. Never the fault of the tenant, never a
    /// dead letter.
    Throttled {
        /// What the vendor asked for, if anything.
        after: Option<Span>,
    },
    /// It certainly did not happen, and may well next time.
    Retry {
        /// What the vendor asked for, if anything.
        after: Option<Span>,
    },
    /// It may or may not have happened: read before repeating, unless repeating is harmless.
    Unknown,
    /// The vendor's words are not conclusive: read the state once and decide by it.
    Look,
    /// It will not happen.
    Reject(Rejection),
    /// The credentials are gone: pause the target, alert, keep everything.
    Halt,
}
