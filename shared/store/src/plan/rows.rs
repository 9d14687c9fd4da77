//! The rows of schema `plan` as values.

use std::sync::Arc;

use model::{
    AccountId, CommandId, Digest, DirectoryId, EdgeOp, Fact, Generation, GroupId, GuardName, Lane, LinkHow, Span, Time,
};

use crate::OutboxMessage;

/// One membership at a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeKey {
    /// Which target.
    pub target: DirectoryId,
    /// Which group.
    pub group: GroupId,
    /// Whose account.
    pub account: AccountId,
}

/// A person and the account that is theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonLinkRow {
    /// The source.
    pub source: DirectoryId,
    /// The person there.
    pub person: AccountId,
    /// The target.
    pub target: DirectoryId,
    /// The account there.
    pub account: AccountId,
    /// The Atlassian account behind it, where the target has ids of its own.
    pub behind: Option<AccountId>,
    /// How it was found.
    pub how: LinkHow,
    /// When.
    pub linked_at: Time,
}

/// A name at a target and the group that we mean by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinRow {
    /// The target.
    pub target: DirectoryId,
    /// The name, folded as the target folds names.
    pub name: String,
    /// The group.
    pub group: GroupId,
    /// How it came to be meant.
    pub how: LinkHow,
    /// Whether it has once held exactly what is wanted.
    pub equal_once: bool,
    /// The one source group that fills it, if it is one.
    pub source: Option<(DirectoryId, GroupId)>,
    /// When it was pinned.
    pub pinned_at: Time,
}

/// What a writer confirmed of a membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmedRow {
    /// Which.
    pub edge: EdgeKey,
    /// Whether it is there.
    pub present: bool,
    /// When the target said so.
    pub confirmed_at: Time,
}

/// An edge that was released and has no outcome yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleasedRow {
    /// Which.
    pub edge: EdgeKey,
    /// Add or remove.
    pub op: EdgeOp,
    /// With which urgency.
    pub lane: Lane,
    /// Part of taking everything from a person.
    pub revocation: bool,
    /// Of which plan.
    pub plan: u64,
    /// In which command, once it is in one.
    pub command: Option<CommandId>,
    /// When.
    pub released_at: Time,
    /// The trace in which it was: its command may come later.
    pub traceparent: Option<Arc<str>>,
}

/// A group that is being made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpeningRow {
    /// At which target.
    pub target: DirectoryId,
    /// Its name, folded.
    pub name: String,
    /// By which command.
    pub command: CommandId,
}

/// An account that is being changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountOpenRow {
    /// At which target.
    pub target: DirectoryId,
    /// The person's source.
    pub source: DirectoryId,
    /// The person there.
    pub person: AccountId,
    /// By which command.
    pub command: CommandId,
}

/// What a window counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WindowKind {
    /// Memberships taken away.
    Removals,
    /// Accounts deactivated.
    Deactivations,
}

impl WindowKind {
    /// The name in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Removals => "removals",
            Self::Deactivations => "deactivations",
        }
    }

    /// Reads the name in rows.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Removals, Self::Deactivations].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What was released without approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowRow {
    /// At which target.
    pub target: DirectoryId,
    /// When.
    pub at: Time,
    /// What.
    pub kind: WindowKind,
    /// How many.
    pub count: u64,
    /// Of deactivations: who it was, by source.
    pub person: Option<(DirectoryId, AccountId)>,
}

/// A plan to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRow {
    /// Its number: one more than the tenant's last.
    pub number: u64,
    /// When it was made.
    pub made_at: Time,
    /// The policy that it was made from.
    pub policy: Digest,
    /// The digest of what is stored of it: cases by their digests, and everything else.
    pub digest: Digest,
    /// The JSON of `model::Plan`, its cases without steps: those are kept by the cases' digests.
    pub body: Vec<u8>,
    /// Counts for lists, as JSON.
    pub summary: String,
}

/// Where a case that was held stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseState {
    /// Waits for a person.
    Held,
    /// Approved; goes with the next turn.
    Approved,
    /// Rejected; stays away until its bytes change.
    Rejected,
    /// Its edges went.
    Released,
    /// The newest plan no longer holds it.
    Void,
}

impl CaseState {
    /// The name in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Released => "released",
            Self::Void => "void",
        }
    }

    /// Reads the name in rows.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Held, Self::Approved, Self::Rejected, Self::Released, Self::Void]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// A case that the newest plan holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRow {
    /// What an approval binds to.
    pub digest: Digest,
    /// At which target.
    pub target: DirectoryId,
    /// Its cause in one word.
    pub kind: String,
    /// The JSON of `model::Case`.
    pub body: Vec<u8>,
    /// Held or rejected.
    pub state: CaseState,
    /// The trace in which it came to be held.
    pub traceparent: Option<String>,
}

/// A case that waits, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingCase {
    /// What an approval binds to.
    pub digest: Digest,
    /// Where it stands.
    pub state: CaseState,
    /// Since when it waits.
    pub since: Time,
    /// The trace in which it came to be held.
    pub traceparent: Option<String>,
}

/// Changes of one group in one direction that stay held, by the guard that found them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanHoldRow {
    /// At which target.
    pub target: DirectoryId,
    /// Of which group: its folded name.
    pub name: String,
    /// Which direction.
    pub op: EdgeOp,
    /// Which guard holds them.
    pub guard: GuardName,
}

/// A leaver's account that waits for the end of its grace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeavingRow {
    /// At which target.
    pub target: DirectoryId,
    /// The person's source.
    pub source: DirectoryId,
    /// The person there.
    pub person: AccountId,
    /// Since when.
    pub since: Time,
    /// When the target said that it takes the account's membership away.
    pub removed_at: Option<Time>,
}

/// A command to store, with the message that wakes its writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommand {
    /// The command.
    pub command: model::Command,
    /// The group's or account's generation with it.
    pub generation: Generation,
    /// Of which plan.
    pub plan: u64,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// When the oldest change that it is made of was detected; where a person let it go, when that was. `None`: nobody
    /// knows.
    pub detected_at: Option<Time>,
    /// What to publish; its settle key is the command's id.
    pub message: OutboxMessage,
}

/// A command without an outcome that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCommand {
    /// The command.
    pub command: model::Command,
    /// The digest that its row was stored with.
    pub digest: Digest,
    /// Of which plan.
    pub plan: u64,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// How long it had been stored when this was read, by the database's clock.
    pub age: Span,
    /// When the oldest change that it is made of was detected; where a person let it go, when that was. `None`: nobody
    /// knows.
    pub detected_at: Option<Time>,
}

/// Whether a policy is the one in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyState {
    /// In force, or was.
    Loaded,
    /// Would stop managing too much: waits for a person.
    Held,
    /// Cannot be right.
    Refused,
}

impl PolicyState {
    /// The name in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Held => "held",
            Self::Refused => "refused",
        }
    }

    /// Reads the name in rows.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Loaded, Self::Held, Self::Refused].into_iter().find(|state| state.as_str() == text)
    }
}

/// A policy text that was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRow {
    /// The hash of the text.
    pub hash: Digest,
    /// The text. Secrets are references in it, never values; of a refused one only the hash is kept.
    pub body: String,
    /// When it was met.
    pub loaded_at: Time,
    /// What became of it.
    pub state: PolicyState,
    /// Why, for people.
    pub note: String,
}

/// All that a tenant's reconciler remembers.
#[derive(Debug, Clone, Default)]
pub struct MemoryRows {
    /// People and their accounts.
    pub people: Vec<PersonLinkRow>,
    /// Names and their groups.
    pub pins: Vec<PinRow>,
    /// Memberships that we added.
    pub managed: Vec<EdgeKey>,
    /// Memberships as writers confirmed them.
    pub confirmed: Vec<ConfirmedRow>,
    /// Released edges without an outcome.
    pub released: Vec<ReleasedRow>,
    /// Groups that are being made.
    pub openings: Vec<OpeningRow>,
    /// Accounts that are being changed.
    pub accounts_open: Vec<AccountOpenRow>,
    /// What was released without approval in the last eight days.
    pub windows: Vec<WindowRow>,
    /// Versions that are part of the newest decision.
    pub progress: Vec<(DirectoryId, u64)>,
    /// Facts that were asked for, and when.
    pub needs: Vec<(Fact, Time)>,
    /// Generations by target and object.
    pub generations: Vec<(DirectoryId, String, Generation)>,
    /// Commands that are not settled.
    pub commands: Vec<OpenCommand>,
    /// What the budget of the whole plan holds.
    pub plan_holds: Vec<PlanHoldRow>,
    /// Leavers' accounts that wait.
    pub leaving: Vec<LeavingRow>,
    /// Cases that are held, approved or rejected.
    pub held: Vec<WaitingCase>,
    /// Number and digest of the newest plan.
    pub last_plan: Option<(u64, Digest)>,
}

impl MemoryRows {
    /// The accounts that were made after this time: (target, source, person), and when.
    pub fn newcomers(&self, since: Time) -> impl Iterator<Item = ((DirectoryId, DirectoryId, AccountId), Time)> {
        let made = self.people.iter().filter(move |row| row.how == LinkHow::Created && row.linked_at > since);
        made.map(|row| ((row.target.clone(), row.source.clone(), row.person.clone()), row.linked_at))
    }
}
