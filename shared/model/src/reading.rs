//! What one pass over a directory saw, and how completely. Only a complete read of a scope may say that something is
//! gone.

use serde::{Deserialize, Serialize};

use crate::{AccountId, Group, GroupId, Member, Time, User};

/// The result of one pass, whole or targeted. What is not mentioned was not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// When the pass began: everything in it is at least as new as this.
    pub began_at: Time,
    /// When the last answer arrived.
    pub ended_at: Time,
    /// What was seen of users.
    pub users: UsersRead,
    /// What was seen of groups.
    pub groups: GroupsRead,
    /// What was seen of members, group by group.
    pub members: Vec<MembersRead>,
}

/// What a pass saw of users.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UsersRead {
    /// The users that were seen, people known only as members included.
    pub seen: Vec<User>,
    /// Every page of the directory's list was read without error: a listed user that is not in `seen` is gone.
    pub complete: bool,
    /// Users that were asked for by id and proven gone.
    pub gone: Vec<AccountId>,
}

/// What a pass saw of groups.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GroupsRead {
    /// The groups that were seen.
    pub seen: Vec<Group>,
    /// Every page of the directory's list was read without error: a group that is not in `seen` is gone.
    pub complete: bool,
    /// Groups that were asked for by id and proven gone.
    pub gone: Vec<GroupId>,
}

/// What a pass saw of one group's members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersRead {
    /// Whose members.
    pub group: GroupId,
    /// The members that were seen.
    pub seen: Vec<Member>,
    /// The whole walk was read without error: a member that is not in `seen` is gone. A partial read adds and
    /// updates, it never removes.
    pub complete: bool,
    /// When the walk of this group began. Nothing in it is older.
    pub began_at: Time,
}

impl Reading {
    /// A pass that began at this time and has seen nothing yet.
    pub fn begun(at: Time) -> Self {
        Self {
            began_at: at,
            ended_at: at,
            users: UsersRead::default(),
            groups: GroupsRead::default(),
            members: Vec::new(),
        }
    }

    /// Whether the pass saw everything there is: all users, all groups, and the members of every readable group.
    pub fn is_whole(&self) -> bool {
        self.users.complete && self.groups.complete && self.members.iter().all(|read| read.complete)
    }
}
