//! What changed in a directory's mirror between two of its versions: how rows become memory.

use serde::{Deserialize, Serialize};

use crate::{Corroboration, Digest, DirectoryId, Group, GroupId, MemberKind, Role, Time, User};

/// Everything of one directory that is newer than some version, as of another.
///
/// Applying the deltas of a directory in the order of their versions gives the mirror; applying one twice changes
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// Of which directory.
    pub directory: DirectoryId,
    /// The directory's version that the mirror has after this delta.
    pub version: u64,
    /// Users that were seen, changed or proven gone.
    pub users: Vec<UserRow>,
    /// Groups that were seen, changed or proven gone.
    pub groups: Vec<GroupRow>,
    /// Memberships that began, changed or ended.
    pub members: Vec<MemberRow>,
    /// Scopes that were read.
    pub reads: Vec<ReadRow>,
    /// Facts that were read by themselves.
    pub corroborations: Vec<Corroboration>,
}

impl Delta {
    /// A delta that says nothing but the version.
    pub fn empty(directory: DirectoryId, version: u64) -> Self {
        Self {
            directory,
            version,
            users: Vec::new(),
            groups: Vec::new(),
            members: Vec::new(),
            reads: Vec::new(),
            corroborations: Vec::new(),
        }
    }
}

/// A user's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRow {
    /// The user as last seen.
    pub user: User,
    /// When a complete read found the user gone. The row stays as a tombstone.
    pub gone_at: Option<Time>,
}

/// A group's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRow {
    /// The group as last seen.
    pub group: Group,
    /// When a complete read found the group gone. The row stays as a tombstone.
    pub gone_at: Option<Time>,
}

/// A membership's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRow {
    /// In which group.
    pub group: GroupId,
    /// Who or what.
    pub member: MemberKind,
    /// In which role.
    pub role: Role,
    /// When a complete read found it gone; `None`: it holds.
    pub gone_at: Option<Time>,
}

/// When a scope was last read, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadRow {
    /// What was read.
    pub scope: ReadScope,
    /// When the last complete read began, if there ever was one.
    pub complete_began_at: Option<Time>,
    /// When the last read of any kind ended.
    pub ended_at: Time,
    /// Whether the last read was complete. While it is not, nothing of the scope is removed.
    pub complete: bool,
    /// How many rows the last complete read saw: what a shrinking source is measured by.
    pub rows: u64,
    /// How many rows the complete read before that saw.
    pub rows_before: u64,
    /// For members of a group: their digest ([`crate::members_digest`]) as the watcher computed it.
    pub digest: Option<Digest>,
}

/// A part of a directory that is read as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "scope", content = "group", rename_all = "kebab-case")]
pub enum ReadScope {
    /// The list of users.
    Users,
    /// The list of groups.
    Groups,
    /// The members of one group.
    Members(GroupId),
}
