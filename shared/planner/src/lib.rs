//! The brain: desired state, drift, guards, cases, plans. Synchronous, deterministic, no I/O, no clock.
//!
//! # Purpose
//! [`Planner`] holds the mirrors of all directories of a tenant and, beside them, what it worked out: who is whose, who
//! is wanted in which target group, what differs. [`Planner::apply`] takes rows in, [`Planner::decide`] says what is to
//! be done about them as one [`model::Plan`], with the source facts that somebody has to read by themselves first.
//!
//! # Guarantees
//! - The same mirrors, policy, memory and time give the same plan, byte by byte, whatever the order in which rows came
//!   and whether they came one by one or at once. From a converged state the plan is empty.
//! - Nothing that is not there is taken for gone: a removal needs complete, fresh and uncontradicted reads of every
//!   source scope that could have held the person, and the lost facts proven one by one (see [`Decision::needs`]).
//! - What is protected is in no case, whatever a person approves.
//! - Every change that is not decided is a refusal, a wait or a held case, with its reason.
//!
//! # Assumptions
//! Rows are true: what may end a row was settled by whoever wrote it. Deltas of a directory come in the order of their
//! versions. Vendors' ids are immutable.
//!
//! # Rejected
//! - *Sets of strings.* Memberships are sorted numbers, so that the difference of a million is a merge of two
//!   millisecond-long scans; texts appear in steps only.
//! - *A dirty flag set by callers.* What a change reaches is worked out here, from rows and from the trail of the
//!   memory ([`Tracked`]); a property test compares it with starting over.
//! - *Removing by name of a cause.* Whether somebody left or the target drifted is read off the tombstones of the
//!   source, not off the event that woke us: events get lost.
//! - *A fallback for blind sources.* While a source is blind nothing new is decided from it; there is no second path.

mod access;
pub mod cases;
pub mod check;
mod claims;
mod decision;
mod default_groups;
mod drift;
mod estimate;
pub mod explain;
mod flatten;
mod guard;
mod judge;
mod lost;
mod memory;
pub mod mirror;
mod people;
mod reached;
mod refresh;
mod spared;
mod state;
mod still;
pub mod sync_state;
mod tracked;
mod wanted;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use model::{Delta, DirectoryId, GroupId, Span, Time};
use policy::Policy;

pub use decision::{Decision, Occasion};
pub use guard::protect::untouchable;
pub use memory::{
    Confirmed, ConflictDecision, EdgeKey, LeaverKey, Memory, Pin, PlanHold, Verdict, WindowEntry, WindowKind, leaver_of,
};
pub use mirror::Mirror;
pub use reached::Object;
pub use still::StillWanted;
pub use tracked::Tracked;

use crate::{
    claims::{ClaimsOf, Route},
    judge::accounts::Pending,
    people::Pairing,
    reached::Reached,
    refresh::Followed,
    state::Target,
    wanted::Scratch,
};

/// The brain of one tenant.
#[derive(Debug)]
pub struct Planner {
    policy: Arc<Policy>,
    mirrors: Vec<Mirror>,
    names: BTreeMap<DirectoryId, usize>,
    pairings: Vec<Pairing>,
    targets: Vec<Target>,
    /// Parallel to the policy's rules.
    routes: Vec<Route>,
    /// By mirror.
    claims_of: Vec<ClaimsOf>,
    /// By `[[people.provision]]` entry.
    pending: Pending,
    followed: Followed,
    /// Source groups whose claims have to be worked out again: mirror and slot.
    stale_claims: Vec<(usize, u32)>,
    /// Persons who have to be looked at again, by pairing.
    stale_people: BTreeMap<usize, Vec<u32>>,
    rebuild_pairings: bool,
    scratch: Scratch,
    reached: Reached,
}

/// Default groups are judged like everything else: by rules.
fn with_default_groups(policy: Arc<Policy>) -> Arc<Policy> {
    let has_some = |groups: &policy::DefaultGroups| !(groups.new.is_empty() && groups.all.is_empty());
    if policy.provisions.iter().any(|entry| has_some(&entry.default_groups)) {
        return Arc::new(policy.with_default_groups());
    }
    policy
}

impl Planner {
    /// A planner that knows a policy and no rows.
    pub fn new(policy: Arc<Policy>) -> Self {
        let mut planner = Self {
            policy: with_default_groups(policy),
            mirrors: Vec::new(),
            names: BTreeMap::new(),
            pairings: Vec::new(),
            targets: Vec::new(),
            routes: Vec::new(),
            claims_of: Vec::new(),
            pending: Vec::new(),
            followed: Followed::default(),
            stale_claims: Vec::new(),
            stale_people: BTreeMap::new(),
            rebuild_pairings: true,
            scratch: Scratch::default(),
            reached: None,
        };
        planner.lay_out();
        planner
    }

    /// Puts another policy in the place of the present one. The mirrors stay, but for those of directories that it does
    /// not have: they know nothing any more, and whoever names one again gives it all its rows anew.
    pub fn set_policy(&mut self, policy: Arc<Policy>) {
        self.policy = with_default_groups(policy);
        for mirror in &mut self.mirrors {
            if !self.policy.directories.contains_key(mirror.directory()) {
                *mirror = Mirror::new(mirror.directory().clone());
            }
        }
        self.stale_people.clear();
        self.stale_claims.clear();
        self.lay_out();
    }

    /// The policy that decisions are made by: the one that was given, with a rule more for each default group.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Takes the rows of a delta in. Taking the same delta in twice changes nothing.
    pub fn apply(&mut self, delta: &Delta) {
        self.take(delta);
    }

    /// A directory as it is known; `None` for one that neither the policy nor a delta named.
    pub fn mirror(&self, directory: &DirectoryId) -> Option<&Mirror> {
        self.mirrors.get(*self.names.get(directory)?)
    }

    /// Holds the mirror of a group against what its watcher had, and says whether they agree (they do where the watcher
    /// gave no digest). If they do not, nobody is removed by what the mirror does not hold, nor is anything said to be
    /// in sync, until the group is read again. Costs a look at every member: not for where somebody waits.
    pub fn prove(&mut self, directory: &DirectoryId, group: &GroupId) -> bool {
        let mirror = self.names.get(directory).and_then(|at| self.mirrors.get_mut(*at));
        let Some(mirror) = mirror.filter(|mirror| mirror.agrees_with_watcher(group) == Some(false)) else {
            return true;
        };
        mirror.distrust(group);
        false
    }

    /// All directories that are known, by id.
    pub fn mirrors(&self) -> impl Iterator<Item = &Mirror> {
        self.names.values().filter_map(|at| self.mirrors.get(*at))
    }

    /// Drops from a memory what no decision can need any more: confirmed facts that newer reads have taken the place
    /// of, what left every window, and newcomers who are none any more.
    pub fn prune(&self, memory: &mut Memory, now: Time) {
        let superseded = |(target, group, _): &EdgeKey, confirmed: &Confirmed| {
            let lag = self.policy.directories.get(target).map_or(Span::ZERO, |directory| directory.lag);
            let read = self.mirror(target).and_then(|mirror| mirror.group_at(mirror.group_slot(group)?));
            drift::yields(*confirmed, read.and_then(|group| group.read.complete_began_at), lag)
        };
        memory.confirmed.retain(|key, confirmed| !superseded(key, confirmed));
        memory.forget_windows(now);
        memory.forget_newcomers(now);
    }

    /// The sources that a target's groups are filled from.
    pub fn sources_of(&self, target: &DirectoryId) -> BTreeSet<DirectoryId> {
        let rules = self.policy.rules.iter().filter(|rule| rule.to.contains(target)).map(|rule| rule.from.clone());
        let entries = self.policy.provisions.iter().filter(|entry| &entry.to == target).map(|entry| entry.from.clone());
        rules.chain(entries).collect()
    }
}
