//! Whether a target is in sync, as of when, and if not why not. Never the absence of errors.

use std::collections::{BTreeMap, BTreeSet};

use model::{Canonical, Digest, DirectoryId, RefusalWhy, Span, Step, Time, WaitWhy, members_digest};
use policy::Policy;
use serde::Serialize;

use crate::{
    Decision, Memory, Planner, drift,
    mirror::Mirror,
    state::{Bound, Target, TargetGroup},
};

/// How a target stands to what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SyncState {
    /// Over all pinned groups: the accounts that are wanted, in the target's ids.
    pub wanted: Digest,
    /// Over the same groups: the accounts that are observed within what the rules manage.
    pub observed: Digest,
    /// The names of groups whose two digests differ, and of groups that are missing or not ours yet.
    pub drifted: BTreeSet<String>,
    /// The oldest complete read that any of this rests on; `None` while some scope was never read completely.
    pub as_of: Option<Time>,
    /// Equal digests, nothing held, waiting or in quarantine, every scope read completely.
    pub in_sync: bool,
    /// What keeps it from being in sync.
    pub why_not: BTreeSet<WhyNot>,
}

/// What keeps a target from being in sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhyNot {
    /// Wanted and observed differ.
    Differs,
    /// Something waits for a person.
    Held,
    /// Something waits for a read, an account, a dead letter.
    Waiting,
    /// Something was released and is not confirmed yet.
    UnderWay,
    /// Some scope was never read completely, or not the last time.
    Unread,
    /// A source cannot be read now.
    Blind,
}

impl WhyNot {
    /// What to show.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Differs => "differs",
            Self::Held => "held",
            Self::Waiting => "waiting",
            Self::UnderWay => "under-way",
            Self::Unread => "unread",
            Self::Blind => "blind",
        }
    }
}

/// The digest of a list of digests.
#[derive(Serialize)]
struct Groups<'a>(Vec<(&'a str, Digest)>);
impl Canonical for Groups<'_> {}

/// The two digests of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digests {
    wanted: Digest,
    observed: Digest,
}

impl Planner {
    /// How every target stands, given the decision that was just made from the same state.
    pub fn sync_state(&mut self, memory: &Memory, decision: &Decision) -> BTreeMap<DirectoryId, SyncState> {
        let mut states = BTreeMap::new();
        for at in 0..self.targets.len() {
            let Some(target) = self.targets.get_mut(at) else { continue };
            let Some(accounts) = self.mirrors.get_mut(target.mirror) else { continue };
            digest_groups(&self.policy, accounts, memory, target);
            let Some(target) = self.targets.get(at) else { continue };
            states.insert(target.id.clone(), self.state_of(target, memory, decision));
        }
        states
    }

    fn state_of(&self, target: &Target, memory: &Memory, decision: &Decision) -> SyncState {
        // Of what is switched off nothing is wanted, so nothing is said.
        let says = |group: &&TargetGroup| group.live_claims().next().is_some() && !group.is_off(&self.policy.rules);
        let mut groups: Vec<&TargetGroup> = target.groups.iter().filter(says).collect();
        groups.sort_by(|a, b| a.key.cmp(&b.key));
        let pinned = |group: &&&TargetGroup| matches!(group.bound, Bound::Pinned(_) | Bound::Adopted(_));
        let side = |of: fn(&Digests) -> Digest| {
            let list = groups
                .iter()
                .filter(pinned)
                .filter_map(|group| Some((group.key.as_str(), of(group.digests.as_ref()?))));
            Groups(list.collect()).digest()
        };
        let differs = |group: &&TargetGroup| {
            !matches!(group.bound, Bound::Pinned(_)) || group.digests.is_none_or(|each| each.wanted != each.observed)
        };
        let mut drifted: BTreeSet<String> =
            groups.iter().copied().filter(differs).map(|group| group.name.clone()).collect();
        let plan = decision.plan.body.targets.iter().find(|plan| plan.target == target.id);
        let adopted = |name: &String| {
            let group = groups.iter().find(|group| &group.name == name);
            let rule = group.and_then(|group| group.lead(&self.policy.rules));
            rule.is_some_and(|rule| rule.drift == policy::DriftMode::Adopt)
        };
        if plan.is_none_or(|plan| plan.cases.is_empty()) {
            drifted.retain(|name| !adopted(name));
        }
        let kept: BTreeSet<&str> = plan.into_iter().flat_map(kept_apart).collect();
        drifted.retain(|name| !kept.contains(name.as_str()));
        let (as_of, unread) = self.as_of(target);
        let mut why_not = BTreeSet::new();
        let mut note = |applies: bool, why| {
            if applies {
                why_not.insert(why);
            }
        };
        note(!drifted.is_empty(), WhyNot::Differs);
        note(plan.is_some_and(|plan| plan.cases.iter().any(|case| !case.held.is_empty())), WhyNot::Held);
        let waits = |plan: &model::TargetPlan| {
            let waiting = plan.waits.iter().any(|wait| !matches!(wait.why, WaitWhy::Opaque { .. }));
            waiting || plan.cases.iter().any(|case| !case.needs.is_empty())
        };
        note(plan.is_some_and(waits), WhyNot::Waiting);
        let released = plan.is_some_and(|plan| plan.cases.iter().any(model::Case::is_released));
        let open = memory.released.keys().any(|(at, _, _)| at == &target.id)
            || memory.opening.iter().any(|(at, _)| at == &target.id)
            || memory.accounts_open.iter().any(|(at, _, _)| at == &target.id);
        note(released || open, WhyNot::UnderWay);
        note(unread, WhyNot::Unread);
        let blind = self.sources_of(&target.id).iter().any(|source| memory.blind.contains(source));
        note(blind || memory.blind.contains(&target.id), WhyNot::Blind);
        SyncState {
            wanted: side(|each| each.wanted),
            observed: side(|each| each.observed),
            drifted,
            as_of,
            in_sync: why_not.is_empty(),
            why_not,
        }
    }

    /// The oldest complete read of what a target and its sources hold, and whether some scope lacks one.
    fn as_of(&self, target: &Target) -> (Option<Time>, bool) {
        let mut oldest: Option<Time> = None;
        let mut unread = false;
        let mut take = |read: &crate::mirror::ScopeRead| {
            unread |= !read.is_sound();
            match read.complete_began_at {
                Some(began) => oldest = Some(oldest.map_or(began, |known| known.min(began))),
                None => unread = true,
            }
        };
        let mut sides: Vec<&Mirror> = self.mirrors.get(target.mirror).into_iter().collect();
        let ids = self.sources_of(&target.id);
        sides.extend(ids.iter().filter_map(|id| self.mirror(id)));
        for mirror in sides.iter().skip(1) {
            take(mirror.users_read());
        }
        for mirror in &sides {
            take(mirror.groups_read());
        }
        for group in target.groups.iter().filter(|group| group.live_claims().next().is_some()) {
            if let (Bound::Pinned(slot), Some(accounts)) = (group.bound, sides.first())
                && let Some(found) = accounts.group_at(slot)
            {
                take(&found.read);
            }
            for claim in group.live_claims() {
                if let Some(found) = self.mirrors.get(claim.source).and_then(|mirror| mirror.group_at(claim.group)) {
                    take(&found.read);
                }
            }
        }
        (oldest.filter(|_| !unread), unread)
    }
}

/// Groups that somebody, or the policy, decided to leave to the target: nobody wants them to be otherwise.
fn kept_apart(plan: &model::TargetPlan) -> impl Iterator<Item = &str> {
    plan.refusals.iter().filter_map(|refusal| match (&refusal.step, refusal.why) {
        (Step::CreateGroup { name, .. }, RefusalWhy::Skipped) => Some(name.as_str()),
        _ => None,
    })
}

/// Works out the digests of groups that changed since they were last worked out.
///
/// Nothing here is taken from the difference that deciding goes by: what is observed is read off the rows with what
/// writers confirmed laid over, so that a difference that is wrong shows as one.
fn digest_groups(policy: &Policy, accounts: &mut Mirror, memory: &Memory, target: &mut Target) {
    let lag = policy.directories.get(&target.id).map_or(Span::ZERO, |directory| directory.lag);
    let (own, protected) = (std::mem::take(&mut target.own), std::mem::take(&mut target.protected));
    let spares = |account: &u32| own.binary_search(account).is_ok() || protected.binary_search(account).is_ok();
    let id = target.id.clone();
    let mut observed = Vec::new();
    for group in target.groups.iter_mut().filter(|group| group.digests.is_none()) {
        observed.clear();
        if let Some(slot) = group.slot() {
            drift::observed(accounts, memory, &id, slot, lag, &mut observed);
        }
        // Within what the rule manages: whoever is wanted, and whoever it would take out.
        let pin = memory.pins.get(&(id.clone(), group.key.clone()));
        let mode = drift::mode(accounts, &policy.rules, memory, &id, group, pin);
        let is_wanted = |account: &u32| group.wanted.binary_search(account).is_ok();
        let mut others: Vec<u32> = observed.iter().copied().filter(|account| !is_wanted(account)).collect();
        others.retain(|account| group.shielded.binary_search(account).is_err());
        drift::keep_ours(accounts, memory, &id, group.bound, mode, &mut others);
        let managed: Vec<u32> = observed.iter().copied().filter(is_wanted).chain(others).collect();
        let digest = |slots: &[u32]| {
            let slots = slots.iter().copied().filter(|account| !spares(account));
            let mut ids: Vec<&str> =
                slots.filter_map(|slot| accounts.person(slot)).map(|person| person.id.as_str()).collect();
            ids.sort_unstable();
            members_digest(ids)
        };
        let of_wanted = digest(&group.wanted);
        // The same accounts have the same digest.
        let of_observed = if managed == group.wanted { of_wanted } else { digest(&managed) };
        group.digests = Some(Digests { wanted: of_wanted, observed: of_observed });
    }
    target.own = own;
    target.protected = protected;
}
