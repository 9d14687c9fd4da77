//! Dead letters: kept by what is at fault, so that one poisoned person or group is one letter.

use serde::{Deserialize, Serialize};

use crate::{Access, AccountChange, AccountId, CommandBody, DirectoryId, EdgeOp, GroupId, Rejection, TenantId, Time};

/// What will not be tried again by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its number in the deployment, once stored.
    pub id: Option<u64>,
    /// Whose.
    pub tenant: TenantId,
    /// At which target.
    pub target: DirectoryId,
    /// What is at fault.
    pub fault: Fault,
    /// Of which class.
    pub class: Rejection,
    /// When it was first and last met.
    pub first_at: Time,
    /// When it was last met.
    pub last_at: Time,
    /// How often it was met.
    pub attempts: u32,
    /// The vendor's last answer, without secrets and personal data: status and stable code or text.
    pub answer: String,
    /// Open, or how it was closed.
    pub state: DeadLetterState,
}

/// What is at fault. Two faults are the same if this, the target and the class are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum Fault {
    /// A person: their edges attach to the letter, or the one kind of step that was refused.
    Person {
        /// The account at the target, or the person at the source while there is no account.
        account: AccountId,
        /// What of theirs waits for the letter and nothing else does; `None`: every edge, for the target does not know
        /// whom to take out either.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<PersonStep>,
    },
    /// A group: every edge of it attaches to the letter.
    Group {
        /// The group at the target, or the name it was to get.
        group: String,
    },
    /// Something that a group is to give: nothing else of the group attaches to the letter.
    Access {
        /// The group at the target.
        group: GroupId,
        /// What it is to give.
        access: Access,
    },
    /// One membership.
    Edge {
        /// The group.
        group: GroupId,
        /// The account.
        account: AccountId,
    },
}

/// A kind of step about one person. Who may not join, has no seat or keeps an old address still leaves: what is refused
/// of one kind holds back no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PersonStep {
    /// To get into groups.
    Join,
    /// To have an account made.
    Create,
    /// To have it kept up to date.
    Update,
    /// To have it given back.
    Restore,
    /// To have it taken away, in whichever way.
    Leave,
}

impl PersonStep {
    /// The kind of a change to an account.
    pub const fn of(change: &AccountChange) -> Self {
        match change {
            AccountChange::Create { .. } => Self::Create,
            AccountChange::Update { .. } => Self::Update,
            AccountChange::Restore => Self::Restore,
            AccountChange::Deactivate
            | AccountChange::Suspend
            | AccountChange::Remove
            | AccountChange::HandOver { .. } => Self::Leave,
        }
    }

    /// The name in keys of rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Create => "create",
            Self::Update => "update",
            Self::Restore => "restore",
            Self::Leave => "leave",
        }
    }
}

impl Fault {
    /// What is at fault when this edge is rejected with this class: the person is unknown or gets no seat, the group is
    /// unknown or not ours, or else this one membership.
    pub fn of_edge(group: &GroupId, account: &AccountId, op: EdgeOp, class: Rejection) -> Self {
        match class {
            Rejection::UnknownUser | Rejection::Licence => {
                let step = (op == EdgeOp::Add).then_some(PersonStep::Join);
                Self::Person { account: account.clone(), step }
            }
            Rejection::UnknownGroup | Rejection::Ownership => Self::Group { group: group.to_string() },
            Rejection::Auth | Rejection::Conflict | Rejection::Validation => {
                Self::Edge { group: group.clone(), account: account.clone() }
            }
        }
    }

    /// What is at fault when a command is rejected as a whole.
    pub fn of_command(body: &CommandBody) -> Self {
        match body {
            CommandBody::CreateGroup { name, .. } => Self::Group { group: name.clone() },
            CommandBody::DeleteGroup { group, .. } | CommandBody::Edges { group, .. } => {
                Self::Group { group: group.to_string() }
            }
            CommandBody::GrantAccess { group, access, .. } => {
                Self::Access { group: group.clone(), access: access.clone() }
            }
            CommandBody::Account { account, person, change, .. } => {
                let account = account.clone().unwrap_or_else(|| person.clone());
                Self::Person { account, step: Some(PersonStep::of(change)) }
            }
        }
    }

    /// Whether an edge attaches to this fault: it waits for the letter, and a success of it disproves the fault.
    pub fn covers(&self, group: &GroupId, account: &AccountId, op: EdgeOp) -> bool {
        match self {
            Self::Person { account: a, step } => {
                let kind = step.is_none() || (*step == Some(PersonStep::Join) && op == EdgeOp::Add);
                kind && a == account
            }
            Self::Group { group: g } => g == group.as_str(),
            Self::Access { .. } => false,
            Self::Edge { group: g, account: a } => g == group && a == account,
        }
    }

    /// One line for keys of rows.
    pub fn key(&self) -> String {
        match self {
            Self::Person { account, step: None } => format!("person/{account}"),
            Self::Person { account, step: Some(step) } => format!("person/{account}/{}", step.as_str()),
            Self::Group { group } => format!("group/{group}"),
            Self::Access { group, access } => format!("access/{group}/{access}"),
            Self::Edge { group, account } => format!("edge/{group}/{account}"),
        }
    }
}

/// Whether a dead letter is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeadLetterState {
    /// Waiting for a person.
    Open,
    /// A person asked for another try; it closes when that succeeds.
    Redriven,
    /// It succeeded after a redrive.
    Resolved,
    /// A later decision made it moot.
    Moot,
    /// A person gave it up, with a reason.
    Discarded,
}

impl DeadLetterState {
    /// The name in rows and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Redriven => "redriven",
            Self::Resolved => "resolved",
            Self::Moot => "moot",
            Self::Discarded => "discarded",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Redriven, Self::Resolved, Self::Moot, Self::Discarded]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}
