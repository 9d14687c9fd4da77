//! Messages that have no noun in `model`, because they are about waking and not about deciding.

use model::{DirectoryId, Fact, TenantId};
use serde::{Deserialize, Serialize};

/// A directory changed, was swept, or answered. It wakes the reconciler; the truth is in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryEvent {
    /// Whose directory.
    pub tenant: TenantId,
    /// Which directory.
    pub directory: DirectoryId,
    /// The directory's version with this change.
    pub version: u64,
    /// What kind of thing changed.
    pub kind: EventKind,
    /// The vendor's ids of what changed; may be empty: then everything of the kind may have.
    pub ids: Vec<String>,
}

/// What kind of thing a [`DirectoryEvent`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// Users changed; the ids are users'.
    Users,
    /// Groups changed; the ids are groups'.
    Groups,
    /// Memberships changed; the ids are the groups'.
    Members,
    /// A sweep ended; no ids.
    Swept,
    /// Facts that were asked for have their answers; the ids are the facts' keys ([`Fact::key`]).
    Verified,
}

impl EventKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Users, Self::Groups, Self::Members, Self::Swept, Self::Verified];

    /// The name in subjects.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Groups => "groups",
            Self::Members => "members",
            Self::Swept => "swept",
            Self::Verified => "verified",
        }
    }

    /// Reads the name in subjects.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Please read these facts one by one. The facts are rows already; the message wakes the watcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verify {
    /// Whose directory.
    pub tenant: TenantId,
    /// Which directory. Every fact is one of it.
    pub directory: DirectoryId,
    /// What to read.
    pub facts: Vec<Fact>,
}

/// There is a dead letter: a row, or bytes that nobody could read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterNotice {
    /// Whose; `None`: nobody knows, the bytes could not be read.
    pub tenant: Option<TenantId>,
    /// At which target, or the name of the consumer that could not read.
    pub target: String,
    /// The dead letter's number, where it is a row.
    pub id: Option<u64>,
    /// Why, in words for an operator; no personal data.
    pub reason: String,
    /// The subject that unreadable bytes came on.
    pub subject: String,
    /// The unreadable bytes, as they came.
    pub payload: Vec<u8>,
}
