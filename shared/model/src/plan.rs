//! Plans: immutable, explained, judged before anything is sent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    AccountId, Canonical, Digest, DirectoryId, Edge, EdgeOp, Fact, GroupId, Lane, Step, TenantId, Time, WiderGuard,
};

/// A plan with what stands outside its canonical bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its number in the tenant, once stored.
    pub number: Option<u64>,
    /// When it was made.
    pub made_at: Time,
    /// The content hash of the policy that it was made from.
    pub policy: Digest,
    /// About how many API calls it takes, by target.
    pub calls: BTreeMap<DirectoryId, u64>,
    /// What was decided.
    pub body: PlanBody,
}

/// What was decided. Deciding twice from the same state gives the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanBody {
    /// `rollcall.plan/1`.
    pub schema: String,
    /// Whose.
    pub tenant: TenantId,
    /// One entry for each target with something to say, in the order of their ids.
    pub targets: Vec<TargetPlan>,
    /// Budgets of rules that allow more than those of the tenant, in the order of the policy file: whoever looks at a
    /// plan sees by how much less it was guarded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wider: Vec<WiderGuard>,
}

impl Canonical for PlanBody {}

/// What was decided for one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetPlan {
    /// Which target.
    pub target: DirectoryId,
    /// What to do, by cause; in the order of their digests' inputs, which is stable.
    pub cases: Vec<Case>,
    /// What will not be done, whoever asks.
    pub refusals: Vec<Refusal>,
    /// What cannot be done yet.
    pub waits: Vec<Wait>,
    /// New pairings of people and accounts, groups and groups.
    pub links: Vec<Link>,
    /// Seats by product, where known.
    pub seats: Vec<Seats>,
}

/// The edges of one cause, judged, held and approved together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The digest of what an approval binds to: target, kind and steps.
    pub digest: Digest,
    /// Which cause.
    pub kind: CaseKind,
    /// With which urgency its edges go.
    pub lane: Lane,
    /// The intended changes, removals first.
    pub steps: Vec<Step>,
    /// Every guard that looked at the case, with its figures.
    pub guards: Vec<GuardVerdict>,
    /// Why it waits for a person. Empty: it goes at once.
    pub held: Vec<Held>,
    /// Source facts that must be read by themselves before the removals may go. Empty: nothing to wait for.
    pub needs: Vec<Fact>,
}

/// What an approval binds to, apart from the steps.
#[derive(Serialize)]
struct Bound<'a> {
    target: &'a DirectoryId,
    kind: &'a CaseKind,
    steps: &'a [Step],
}
impl Canonical for Bound<'_> {}

impl Case {
    /// The digest that an approval binds to. The target is part of it: two targets may know one account, and have a case
    /// each that is otherwise the same. Figures of guards and windows are outside: they move while a case waits.
    pub fn digest_of(target: &DirectoryId, kind: &CaseKind, steps: &[Step]) -> Digest {
        Bound { target, kind, steps }.digest()
    }

    /// Whether it may go now.
    pub fn is_released(&self) -> bool {
        self.held.is_empty() && self.needs.is_empty()
    }

    /// The memberships that it changes.
    pub fn edges(&self) -> impl Iterator<Item = &Edge> {
        self.steps.iter().filter_map(|step| match step {
            Step::Edge { edge, .. } => Some(edge),
            _ => None,
        })
    }

    /// How many memberships it changes in this direction.
    pub fn count(&self, op: EdgeOp) -> usize {
        self.edges().filter(|edge| edge.op == op).count()
    }
}

/// The cause of a case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum CaseKind {
    /// A person may no longer work: everything is taken away at once.
    Leaver {
        /// The source.
        source: DirectoryId,
        /// The person there.
        person: AccountId,
    },
    /// A group is made and filled for the first time.
    Create {
        /// Its name at the target.
        name: String,
    },
    /// A group that existed before we came meets its rule.
    Conflict {
        /// The group at the target.
        group: GroupId,
        /// Its name.
        name: String,
    },
    /// Additions to one group.
    Additions {
        /// The group at the target.
        group: GroupId,
        /// Its name.
        name: String,
    },
    /// Removals from one group.
    Removals {
        /// The group at the target.
        group: GroupId,
        /// Its name.
        name: String,
    },
    /// A group is to be deleted.
    Delete {
        /// The group at the target.
        group: GroupId,
        /// Its name.
        name: String,
    },
    /// A group is to give something that it does not give yet.
    Access {
        /// The group at the target.
        group: GroupId,
        /// Its name.
        name: String,
    },
    /// An account is made, changed or restored.
    Account {
        /// The source.
        source: DirectoryId,
        /// The person there.
        person: AccountId,
    },
}

/// A guard of the policy file (DESIGN §5, `[guard]`), or a rule that always holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuardName {
    /// `per_group.removals`.
    PerGroupRemovals,
    /// `per_group.additions`.
    PerGroupAdditions,
    /// `per_plan.removals`.
    PerPlanRemovals,
    /// `per_plan.additions`.
    PerPlanAdditions,
    /// `per_day.removals`.
    PerDayRemovals,
    /// `per_day.deactivations`.
    PerDayDeactivations,
    /// `per_week.removals`.
    PerWeekRemovals,
    /// `emptied_group_from`.
    EmptiedGroup,
    /// `source_shrink_percent`.
    SourceShrink,
    /// `seat_limit`.
    Seats,
    /// `on_conflict = "review"` at first contact.
    Conflict,
    /// `default_access_group` with approval required.
    DefaultAccessGroup,
    /// A group is to be deleted or emptied since its source was.
    GroupDelete,
    /// The same name with a new id, or a pinned group that was deleted by hand.
    IdentityChanged,
    /// Two source groups that rename to one name.
    NameCollision,
    /// The new policy would stop managing too many groups.
    PolicyShrink,
    /// `drift = "report"`: shown, not repaired.
    DriftReport,
}

impl GuardName {
    /// All guards.
    pub const ALL: [Self; 17] = [
        Self::PerGroupRemovals,
        Self::PerGroupAdditions,
        Self::PerPlanRemovals,
        Self::PerPlanAdditions,
        Self::PerDayRemovals,
        Self::PerDayDeactivations,
        Self::PerWeekRemovals,
        Self::EmptiedGroup,
        Self::SourceShrink,
        Self::Seats,
        Self::Conflict,
        Self::DefaultAccessGroup,
        Self::GroupDelete,
        Self::IdentityChanged,
        Self::NameCollision,
        Self::PolicyShrink,
        Self::DriftReport,
    ];

    /// The name in output, in rows and for `--override`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PerGroupRemovals => "per-group-removals",
            Self::PerGroupAdditions => "per-group-additions",
            Self::PerPlanRemovals => "per-plan-removals",
            Self::PerPlanAdditions => "per-plan-additions",
            Self::PerDayRemovals => "per-day-removals",
            Self::PerDayDeactivations => "per-day-deactivations",
            Self::PerWeekRemovals => "per-week-removals",
            Self::EmptiedGroup => "emptied-group",
            Self::SourceShrink => "source-shrink",
            Self::Seats => "seats",
            Self::Conflict => "conflict",
            Self::DefaultAccessGroup => "default-access-group",
            Self::GroupDelete => "group-delete",
            Self::IdentityChanged => "identity-changed",
            Self::NameCollision => "name-collision",
            Self::PolicyShrink => "policy-shrink",
            Self::DriftReport => "drift-report",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|guard| guard.as_str() == text)
    }
}

/// What a guard found when it looked at a case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GuardVerdict {
    /// Which guard.
    pub guard: GuardName,
    /// How many the case, with what counts beside it, comes to.
    pub found: u64,
    /// How many are allowed.
    pub limit: u64,
}

/// Why a case waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Held {
    /// The guard that holds it.
    pub guard: GuardName,
    /// What it found, in words for an operator; ids and counts, no addresses.
    pub reason: String,
}

/// Something that will not be done, whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Refusal {
    /// What was wanted.
    pub step: Step,
    /// Why not.
    pub why: RefusalWhy,
}

/// Why something will not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalWhy {
    /// The group is in `protected_groups`, or its name or its roles say administrator.
    ProtectedGroup,
    /// The person is in `protected_people`.
    ProtectedPerson,
    /// The account is one of our own credentials'.
    OurOwnAccount,
    /// Fewer than `minimum_administrators` would be left.
    LastAdministrator,
    /// The group belongs to an identity provider, or to its own members.
    NotOurs,
    /// A default access group, and the rule does not say so on purpose.
    DefaultAccessGroup,
    /// The group is missing and the rule says `create = false`.
    MayNotCreate,
    /// The rule says `on_conflict = "skip"`.
    Skipped,
}

impl RefusalWhy {
    /// What to show.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProtectedGroup => "protected-group",
            Self::ProtectedPerson => "protected-person",
            Self::OurOwnAccount => "our-own-account",
            Self::LastAdministrator => "last-administrator",
            Self::NotOurs => "not-ours",
            Self::DefaultAccessGroup => "default-access-group",
            Self::MayNotCreate => "may-not-create",
            Self::Skipped => "skipped",
        }
    }
}

/// Something that cannot be done yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wait {
    /// The group at the target it is about, by name, if any.
    pub group: Option<String>,
    /// The person at the source it is about, if any.
    pub person: Option<AccountId>,
    /// What it waits for.
    #[serde(flatten)]
    pub why: WaitWhy,
    /// How many memberships wait with it.
    pub edges: u64,
}

/// What something waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "waits-for", rename_all = "kebab-case")]
pub enum WaitWhy {
    /// A complete read of this source scope.
    CompleteRead {
        /// Where.
        directory: DirectoryId,
        /// Of which group; `None`: of the list of users or of groups.
        #[serde(rename = "source_group")]
        group: Option<GroupId>,
    },
    /// A complete read of the target group's members.
    TargetRead {
        /// Which.
        #[serde(rename = "target_group")]
        group: GroupId,
    },
    /// The person has no account at the target.
    NoAccount,
    /// More than one account could be the person's, or the address is in doubt.
    Doubt,
    /// The account exists but is not usable (deactivated, for deletion).
    AccountUnusable,
    /// The address is still another account's, which gets a new one first.
    AddressTaken,
    /// A nested group that belongs to others and cannot be read: it contributes nobody.
    Opaque {
        /// The nested group.
        #[serde(rename = "nested_group")]
        group: GroupId,
    },
    /// An open dead letter.
    DeadLetter {
        /// Its number.
        id: u64,
    },
    /// The grace period of a leaver.
    Grace {
        /// When it ends.
        until: Time,
    },
    /// A free seat.
    Seat,
    /// The source is blind: nothing new is decided from it.
    SourceBlind {
        /// Which source.
        directory: DirectoryId,
    },
}

/// A pairing of a source id with a target id, found by a match rule or made by a write.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "link", rename_all = "kebab-case")]
pub enum Link {
    /// A person and an account.
    Person {
        /// The source.
        source: DirectoryId,
        /// The person there.
        person: AccountId,
        /// The account at the target.
        account: AccountId,
        /// How it was found.
        how: LinkHow,
    },
    /// A target group is pinned to a rule: its id is from now on what we mean by the name.
    Group {
        /// The name we look for, folded as the target folds names.
        name: String,
        /// The group at the target.
        group: GroupId,
        /// How it was found.
        how: LinkHow,
    },
}

/// How a link was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkHow {
    /// The target keeps the source's id.
    ExternalId,
    /// Equal primary addresses.
    Email,
    /// A unique alias of a claimed domain.
    Alias,
    /// We created it.
    Created,
    /// It existed and already held exactly what is wanted.
    Equal,
    /// A person adopted it, or the policy's `[adopt]` or `on_conflict` did.
    Adopted,
}

impl LinkHow {
    /// The name in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ExternalId => "external-id",
            Self::Email => "email",
            Self::Alias => "alias",
            Self::Created => "created",
            Self::Equal => "equal",
            Self::Adopted => "adopted",
        }
    }

    /// Reads the name in rows.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::ExternalId, Self::Email, Self::Alias, Self::Created, Self::Equal, Self::Adopted]
            .into_iter()
            .find(|how| how.as_str() == text)
    }
}

/// Seats of one product.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seats {
    /// The product's key.
    pub product: String,
    /// The limit, from the policy or the vendor.
    pub limit: u64,
    /// Used now.
    pub used: u64,
    /// How many the plan would take.
    pub gained: u64,
    /// How many the plan would free.
    pub freed: u64,
}

impl Plan {
    /// Whether there is nothing to do, nothing held and nothing refused: not the same as *in sync*, for something may
    /// still wait.
    pub fn is_empty(&self) -> bool {
        self.body.targets.iter().all(|target| target.cases.is_empty())
    }

    /// All cases with their target.
    pub fn cases(&self) -> impl Iterator<Item = (&DirectoryId, &Case)> {
        self.body.targets.iter().flat_map(|target| target.cases.iter().map(move |case| (&target.target, case)))
    }
}
