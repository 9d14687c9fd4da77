//! What is remembered between decisions: links, pins, what was released and confirmed, what people decided.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    Access, AccountId, Case, CaseKind, Digest, DirectoryId, EdgeOp, Fault, GroupId, GuardName, Link, LinkHow,
    PersonStep, Span, Time,
};
use serde::{Deserialize, Serialize};

use crate::{Decision, Tracked};

/// What budgets call a day.
pub(crate) const DAY: Span = Span::from_secs(24 * 60 * 60);

/// Somebody who leaves: target, source, person.
pub type LeaverKey = (DirectoryId, DirectoryId, AccountId);

/// One membership at a target.
pub type EdgeKey = (DirectoryId, GroupId, AccountId);

/// What the reconciler, or the journal of one-shot runs, remembers. Plain data; the planner never changes it.
///
/// [`Memory::learn`] takes in what a decision found out. Everything else is written by whoever releases edges, applies
/// outcomes and records people's decisions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Which account a person of a source has at a target: (source, person, target) → account.
    pub people: Tracked<(DirectoryId, AccountId, DirectoryId), AccountId>,
    /// What we mean by a name at a target, from when we first met it: (target, folded name) → pin.
    pub pins: Tracked<(DirectoryId, String), Pin>,
    /// Accounts that we made not long ago, and when: (target, source, person). Their people get into the groups that
    /// are for newcomers.
    pub newcomers: Tracked<(DirectoryId, DirectoryId, AccountId), Time>,
    /// The memberships that we added and did not take away since.
    pub managed: Tracked<EdgeKey, ()>,
    /// What a writer confirmed; laid over the mirror until a read that began after it plus the target's lag.
    pub confirmed: Tracked<EdgeKey, Confirmed>,
    /// Released or in an open command: not decided again and not counted again.
    pub released: Tracked<EdgeKey, EdgeOp>,
    /// Groups whose creation is under way: (target, folded name).
    pub opening: BTreeSet<(DirectoryId, String)>,
    /// Accounts with an open command: (target, source, person).
    pub accounts_open: BTreeSet<(DirectoryId, DirectoryId, AccountId)>,
    /// What groups were given, and when the target said so: not decided again until that can be read, which is asked for.
    /// Until then it is under way. Giving twice is giving, so nothing is lost with it.
    #[serde(with = "pairs")]
    pub given: BTreeMap<(DirectoryId, GroupId, Access), Time>,
    /// What people said to cases, by the digest of the case. Only what has not expired.
    #[serde(with = "pairs")]
    pub approvals: BTreeMap<Digest, Verdict>,
    /// What people decided about groups that existed before we came.
    #[serde(with = "pairs")]
    pub conflicts: BTreeMap<(DirectoryId, GroupId), ConflictDecision>,
    /// What was released without approval: the last seven days suffice.
    pub window: Vec<WindowEntry>,
    /// Open dead letters: target, number, what is at fault.
    pub dead_letters: Vec<(DirectoryId, u64, Fault)>,
    /// The accounts that our own credentials belong to.
    pub own_accounts: BTreeMap<DirectoryId, BTreeSet<AccountId>>,
    /// Sources that cannot be read now.
    pub blind: BTreeSet<DirectoryId>,
    /// What stays held though its guard may find nothing any more, for it compares with a base that moves on.
    pub plan_holds: BTreeSet<PlanHold>,
    /// Since when a leaver's account waits for the end of its grace: (target, source, person).
    #[serde(with = "pairs")]
    pub leaving: BTreeMap<LeaverKey, Time>,
    /// When somebody was counted last among those who are taken out.
    #[serde(with = "pairs")]
    pub counted: BTreeMap<LeaverKey, Time>,
    /// When a target said that it takes the membership of a leaver's account away. Some do so from a queue, and show the
    /// member for a while longer.
    #[serde(with = "pairs")]
    pub removing: BTreeMap<LeaverKey, Time>,
}

/// A group at a target that a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Which group: from now on what we mean by the name.
    pub group: GroupId,
    /// How it was found.
    pub how: LinkHow,
    /// Whether it has held exactly what was wanted once. Until then its additions are a first import.
    pub equal_once: bool,
    /// The one source group that fills it, unless several do. A source group that is renamed keeps its target group;
    /// another source group under the old name does not inherit it.
    #[serde(default)]
    pub source: Option<(DirectoryId, GroupId)>,
}

/// What a writer confirmed about a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// Whether the account is a member.
    pub present: bool,
    /// When the target said so.
    pub at: Time,
}

/// What a person said to a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It may go.
    Approved,
    /// It may not.
    Rejected,
}

/// What a person decided about a group that existed before we came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum ConflictDecision {
    /// It is ours from now on.
    Adopt,
    /// It is filled and nobody is removed, ever.
    AddOnly,
    /// It is left alone.
    KeepApart,
    /// It is left alone until then.
    Ignore {
        /// When it is asked about again.
        until: Time,
    },
}

/// What was released without approval at some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowEntry {
    /// At which target.
    pub target: DirectoryId,
    /// When.
    pub at: Time,
    /// Of what.
    pub kind: WindowKind,
    /// How many.
    pub count: u64,
}

/// What windows count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WindowKind {
    /// Memberships taken away that are no leaver's.
    Removals,
    /// People taken out of everything.
    Deactivations,
}

/// Changes of one group in one direction that stay held, by the guard that found them: `per_plan` until the next sweep,
/// `source_shrink_percent` and `emptied_group_from` until a person approves them or they are no longer wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlanHold {
    /// At which target.
    pub target: DirectoryId,
    /// Of which group: its folded name.
    pub name: String,
    /// Which direction.
    pub op: EdgeOp,
    /// Which guard holds them.
    #[serde(default = "PlanHold::first_guard")]
    pub guard: GuardName,
}

impl PlanHold {
    /// Journals of before held for one guard only.
    const fn first_guard() -> GuardName {
        GuardName::PerPlanRemovals
    }
}

impl Memory {
    /// So long after their account was made people count as new: a held case, or a target that is down over a
    /// weekend, keeps nobody out of the groups for newcomers.
    pub const NEWCOMER_FOR: Span = Span::from_secs(7 * 24 * 60 * 60);

    /// How long a target may take to do what it said it does, before it is asked again.
    pub const QUEUED_FOR: Span = DAY;
    /// What windows look back to.
    pub const WINDOW: Span = Span::from_secs(8 * 24 * 60 * 60);

    /// What releasing this case now counts in the windows: what a person approved counts nothing, and who was counted
    /// already is not counted again, however many steps the way out has.
    pub fn counts(&self, target: &DirectoryId, case: &Case, at: Time) -> Option<WindowEntry> {
        let (kind, count) = match leaver_of(target, case) {
            Some(key) => (WindowKind::Deactivations, u64::from(!self.is_counted(&key, at))),
            None => (WindowKind::Removals, case.count(EdgeOp::Remove) as u64),
        };
        let approved = self.approvals.get(&case.digest) == Some(&Verdict::Approved);
        (!approved && count > 0).then(|| WindowEntry { target: target.clone(), at, kind, count })
    }

    /// Counts a released case in its window. Gives what was counted, if anything was.
    pub fn count(&mut self, target: &DirectoryId, case: &Case, at: Time) -> Option<WindowEntry> {
        let entry = self.counts(target, case, at)?;
        self.window.push(entry.clone());
        if let Some(key) = leaver_of(target, case) {
            self.counted.insert(key, at);
        }
        Some(entry)
    }

    /// Whether somebody was counted among those who are taken out: within a day, or since they began to leave.
    pub(crate) fn is_counted(&self, key: &LeaverKey, now: Time) -> bool {
        self.counted
            .get(key)
            .is_some_and(|at| *at > now.minus(DAY) || self.leaving.get(key).is_some_and(|since| at >= since))
    }

    /// Forgets what left every window.
    pub fn forget_windows(&mut self, now: Time) {
        let oldest = now.minus(Self::WINDOW);
        self.window.retain(|entry| entry.at > oldest);
        self.counted.retain(|_, at| *at > oldest);
    }

    /// Takes in what a decision found out: links, pins, which groups are equal, what stays held, since when leavers'
    /// accounts wait. Learning the same decision twice changes nothing.
    pub fn learn(&mut self, decision: &Decision) {
        for target in &decision.plan.body.targets {
            for link in &target.links {
                match link {
                    Link::Person { source, person, account, .. } => {
                        let key = (source.clone(), person.clone(), target.target.clone());
                        if self.people.get(&key) != Some(account) {
                            self.people.insert(key, account.clone());
                        }
                    }
                    Link::Group { name, group, how } => self.pin(&target.target, name, group, *how, decision),
                }
            }
        }
        self.plan_holds.clone_from(&decision.plan_holds);
        self.leaving.clone_from(&decision.leaving);
        // Who came back is taken out again when they leave again.
        let Self { leaving, removing, .. } = self;
        removing.retain(|key, _| leaving.contains_key(key));
    }

    /// Notes that a name stands for a group. A group that is named as equal has been equal once.
    pub fn pin(&mut self, target: &DirectoryId, name: &str, group: &GroupId, how: LinkHow, decision: &Decision) {
        let key = (target.clone(), name.to_owned());
        let source = decision.sources.get(&key).cloned();
        let pin = match self.pins.get(&key) {
            Some(known) if &known.group == group => Pin {
                group: group.clone(),
                how: if how == LinkHow::Equal { known.how } else { how },
                equal_once: known.equal_once || how == LinkHow::Equal,
                source: source.or_else(|| known.source.clone()),
            },
            _ => Pin { group: group.clone(), how, equal_once: how == LinkHow::Equal, source },
        };
        if self.pins.get(&key) != Some(&pin) {
            self.pins.insert(key, pin);
        }
    }

    /// Notes that a command of ours made an account.
    pub fn made_account(&mut self, target: &DirectoryId, source: &DirectoryId, person: &AccountId, at: Time) {
        self.newcomers.insert((target.clone(), source.clone(), person.clone()), at);
    }

    /// Forgets who is no newcomer any more: who came longer ago than [`Memory::NEWCOMER_FOR`].
    pub fn forget_newcomers(&mut self, now: Time) {
        let oldest = now.minus(Self::NEWCOMER_FOR);
        self.newcomers.retain(|_, made_at| *made_at > oldest);
    }

    /// Notes that a command of ours made a group: from now on it is what we mean by the name. Only for a group that the
    /// target says it has just made; one that was found under the name is somebody's, and is met as such.
    pub fn created(&mut self, target: &DirectoryId, folded_name: &str, group: &GroupId) {
        let pin = Pin { group: group.clone(), how: LinkHow::Created, equal_once: false, source: None };
        self.pins.insert((target.clone(), folded_name.to_owned()), pin);
        self.opening.remove(&(target.clone(), folded_name.to_owned()));
    }

    /// Takes in what a writer confirmed about a membership: what stands over the mirror, what is ours, and that the
    /// edge is no longer under way.
    pub fn confirm(&mut self, edge: &EdgeKey, op: EdgeOp, at: Time) {
        let present = op == EdgeOp::Add;
        self.confirmed.insert(edge.clone(), Confirmed { present, at });
        if present {
            self.managed.insert(edge.clone(), ());
        } else {
            self.managed.remove(edge);
        }
        self.released.remove(edge);
    }

    /// How much was released without approval at a target since some time.
    pub fn released_since(&self, target: &DirectoryId, kind: WindowKind, since: Time) -> u64 {
        let counts =
            self.window.iter().filter(|entry| &entry.target == target && entry.kind == kind && entry.at > since);
        counts.fold(0, |sum, entry| sum.saturating_add(entry.count))
    }

    /// The open dead letter that a membership attaches to, if there is one; the lowest number if there are several.
    pub(crate) fn dead_letter(&self, target: &DirectoryId, edge: (&GroupId, &AccountId), op: EdgeOp) -> Option<u64> {
        let (group, account) = edge;
        let covers = |fault: &Fault| fault.covers(group, account, op);
        let letters = self.dead_letters.iter().filter(|(at, _, fault)| at == target && covers(fault));
        letters.map(|(_, id, _)| *id).min()
    }

    /// The open dead letter of a group that was to be made.
    pub(crate) fn dead_letter_of_name(&self, target: &DirectoryId, name: &str) -> Option<u64> {
        let is = |fault: &Fault| matches!(fault, Fault::Group { group } if group.eq_ignore_ascii_case(name));
        self.dead_letters.iter().filter(|(at, _, fault)| at == target && is(fault)).map(|(_, id, _)| *id).min()
    }

    /// The open dead letter that keeps a group from being given this.
    pub(crate) fn dead_letter_of_access(&self, target: &DirectoryId, group: &GroupId, access: &Access) -> Option<u64> {
        let is = |fault: &Fault| matches!(fault, Fault::Access { group: g, access: a } if g == group && a == access);
        self.dead_letters.iter().filter(|(at, _, fault)| at == target && is(fault)).map(|(_, id, _)| *id).min()
    }

    /// The open dead letter that keeps back such a step about a person at the source or an account at the target.
    pub(crate) fn dead_letter_of_person(
        &self,
        target: &DirectoryId,
        ids: &[&AccountId],
        step: PersonStep,
    ) -> Option<u64> {
        let is = |fault: &Fault| match fault {
            Fault::Person { account, step: Some(kind) } => *kind == step && ids.contains(&account),
            _ => false,
        };
        self.dead_letters.iter().filter(|(at, _, fault)| at == target && is(fault)).map(|(_, id, _)| *id).min()
    }
}

/// Whose way out a case is, if it is one.
pub fn leaver_of(target: &DirectoryId, case: &Case) -> Option<LeaverKey> {
    match &case.kind {
        CaseKind::Leaver { source, person } => Some((target.clone(), source.clone(), person.clone())),
        _ => None,
    }
}

/// Maps with keys that are no keys of JSON, as lists of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K: Ord + Deserialize<'de>, V: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<K, V>, D::Error> {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
