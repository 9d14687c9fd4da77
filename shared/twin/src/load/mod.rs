//! Worlds from files: snapshots of a directory (`orgdir-snapshot/1`), the twin's own world files, and changes.

mod apply;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::engine::{Credentials, Fault};
use crate::world::atlassian::edit::Edit;
use crate::world::google::{MemberKind, Membership, Refused, Role};

/// Whose accounts exist at Atlassian after loading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accounts {
    /// One for every person in the world, at Google or outside, and for those who appear later.
    #[default]
    OnePerPerson,
    /// None but the administrator's.
    None,
}

/// What a world is made with, and what later changes go by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Whose accounts exist at Atlassian.
    pub accounts: Accounts,
    /// Whether a person whose address changes at Google changes it at Atlassian, too.
    pub accounts_follow_renames: bool,
    /// Address of a super administrator at Google, who is made if missing: the subject that services impersonate and the
    /// owner of the Atlassian keys.
    pub administrator: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            accounts: Accounts::OnePerPerson,
            accounts_follow_renames: true,
            administrator: "sync@example.com".to_owned(),
        }
    }
}

/// A directory at one moment, as in `shared/data`. Other fields of the file are ignored.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// `orgdir-snapshot/1`.
    pub format: String,
    /// People, the customer's and others.
    pub users: Vec<Person>,
    /// Groups, the customer's and others', with direct members.
    pub groups: Vec<GroupWithMembers>,
}

/// A person of a snapshot or of `user_created`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Person {
    /// Immutable id.
    pub id: String,
    /// Address.
    pub email: String,
    /// First name.
    pub given_name: String,
    /// Last name.
    pub family_name: String,
    /// Not managed by the customer.
    pub external: bool,
    /// Suspended; only for the customer's own.
    pub suspended: bool,
    /// Archived; only for the customer's own.
    pub archived: bool,
    /// Super administrator; only for the customer's own.
    pub is_admin: bool,
    /// Organizational unit; only for the customer's own. `/` if empty.
    pub org_unit_path: String,
    /// Further addresses; only for the customer's own.
    pub aliases: Vec<String>,
}

/// A group of a snapshot.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupWithMembers {
    /// Immutable id.
    pub id: String,
    /// Address.
    pub email: String,
    /// Name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Belongs to others: it cannot be read.
    pub external: bool,
    /// Further addresses.
    pub aliases: Vec<String>,
    /// Direct members.
    pub members: Vec<Member>,
}

/// A direct member of a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Member {
    /// Id of the user, group or customer.
    pub id: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: MemberKind,
    /// What it may do.
    pub role: Role,
    /// The address in other letter case than usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_written: Option<String>,
}

/// One change at Google: the operations of `history.jsonl`, and more about users. An `id` may also be an address.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Change {
    /// A person appears, at Google or outside.
    UserCreated(Person),
    /// Attributes change: `email`, `given_name`, `family_name`.
    UserRenamed {
        /// Who.
        id: String,
        /// The new values.
        set: Map<String, Value>,
    },
    /// A person disappears, with all memberships.
    UserDeleted {
        /// Who.
        id: String,
    },
    /// A deleted user comes back, without memberships.
    UserUndeleted {
        /// Who, by id.
        id: String,
        /// Where to.
        #[serde(default = "root")]
        org_unit_path: String,
    },
    /// A user is suspended, or no longer.
    UserSuspended {
        /// Who.
        id: String,
        /// Whether from now on.
        #[serde(default = "yes")]
        suspended: bool,
    },
    /// A user is archived, or no longer.
    UserArchived {
        /// Who.
        id: String,
        /// Whether from now on.
        #[serde(default = "yes")]
        archived: bool,
    },
    /// A user moves to another organizational unit.
    UserMoved {
        /// Who.
        id: String,
        /// Where to.
        org_unit_path: String,
    },
    /// A user becomes a super administrator, or no longer is.
    UserAdmin {
        /// Who.
        id: String,
        /// Whether from now on.
        #[serde(default = "yes")]
        is_admin: bool,
    },
    /// A user or group gets an alias.
    AliasAdded {
        /// Whose.
        id: String,
        /// The address.
        alias: String,
    },
    /// A user or group loses an alias.
    AliasRemoved {
        /// Whose.
        id: String,
        /// The address.
        alias: String,
    },
    /// A group appears.
    GroupCreated {
        /// Immutable id.
        id: String,
        /// Address.
        email: String,
        /// Name.
        #[serde(default)]
        name: String,
        /// Free text.
        #[serde(default)]
        description: String,
        /// Belongs to others.
        #[serde(default)]
        external: bool,
    },
    /// Attributes change: `email`, `name`, `description`, `external`.
    GroupUpdated {
        /// Which.
        id: String,
        /// The new values.
        set: Map<String, Value>,
    },
    /// A group disappears, with its memberships.
    GroupDeleted {
        /// Which.
        id: String,
    },
    /// Somebody becomes a direct member.
    MemberAdded {
        /// Of which group.
        group: String,
        /// Who.
        #[serde(flatten)]
        member: Member,
    },
    /// Somebody is no longer a direct member.
    MemberRemoved {
        /// Of which group.
        group: String,
        /// Who.
        id: String,
    },
    /// A direct member gets another role.
    MemberRoleChanged {
        /// In which group.
        group: String,
        /// Who.
        id: String,
        /// What from now on.
        role: Role,
    },
}

impl Change {
    /// The operation's word, for the log.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::UserCreated(_) => "user_created",
            Self::UserRenamed { .. } => "user_renamed",
            Self::UserDeleted { .. } => "user_deleted",
            Self::UserUndeleted { .. } => "user_undeleted",
            Self::UserSuspended { .. } => "user_suspended",
            Self::UserArchived { .. } => "user_archived",
            Self::UserMoved { .. } => "user_moved",
            Self::UserAdmin { .. } => "user_admin",
            Self::AliasAdded { .. } => "alias_added",
            Self::AliasRemoved { .. } => "alias_removed",
            Self::GroupCreated { .. } => "group_created",
            Self::GroupUpdated { .. } => "group_updated",
            Self::GroupDeleted { .. } => "group_deleted",
            Self::MemberAdded { .. } => "member_added",
            Self::MemberRemoved { .. } => "member_removed",
            Self::MemberRoleChanged { .. } => "member_role_changed",
        }
    }
}

fn root() -> String {
    "/".to_owned()
}

fn yes() -> bool {
    true
}

/// A whole world with everything around it: `twin-world/1`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct WorldFile {
    /// How to make it.
    pub options: Options,
    /// The directory at Google.
    pub snapshot: Snapshot,
    /// More that happens at Google before anybody looks.
    pub changes: Vec<Change>,
    /// What Atlassian has beside the accounts: organizations, groups, drift.
    pub atlassian: Vec<Edit>,
    /// What the Data Center instances have.
    pub dc: Vec<crate::world::dc::edit::Edit>,
    /// Who may call, beside the defaults.
    pub credentials: Credentials,
    /// Faults to begin with.
    pub faults: Vec<Fault>,
}

/// Why something was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON of either form.
    #[error("this is neither an orgdir-snapshot/1 nor a twin-world/1 file: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// The file says another format.
    #[error("the format is \"{0}\"; the twin reads orgdir-snapshot/1 and twin-world/1")]
    UnknownFormat(String),
    /// It contradicts itself or the world.
    #[error("{what} cannot be applied: {reason}")]
    Refused {
        /// Which object or change.
        what: String,
        /// Why, in the words of the Directory API.
        reason: Refused,
    },
    /// It contradicts the Atlassian side.
    #[error("a change at Atlassian cannot be applied: {reason}")]
    Atlassian {
        /// What was not found or not allowed.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    format: String,
}

impl WorldFile {
    /// Reads either form. `options` hold where the file says nothing.
    pub fn read(bytes: &[u8], options: Options) -> Result<Self, Error> {
        // A snapshot says what it is at its very beginning; only other files are read twice.
        let beginning = String::from_utf8_lossy(bytes.get(..bytes.len().min(128)).unwrap_or_default());
        if beginning.contains("\"orgdir-snapshot/1\"") {
            return Ok(Self { options, snapshot: serde_json::from_slice(bytes)?, ..Self::default() });
        }
        let head: Head = serde_json::from_slice(bytes)?;
        match head.format.as_str() {
            "orgdir-snapshot/1" => Ok(Self { options, snapshot: serde_json::from_slice(bytes)?, ..Self::default() }),
            "twin-world/1" => Ok(serde_json::from_slice(bytes)?),
            other => Err(Error::UnknownFormat(other.to_owned())),
        }
    }
}

impl From<&Member> for Membership {
    fn from(member: &Member) -> Self {
        let as_written = member.as_written.as_deref().map(Box::from);
        Self { kind: member.kind, role: member.role, as_written, version: 0 }
    }
}
