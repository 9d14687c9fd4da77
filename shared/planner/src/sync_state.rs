//! Whether a target is in sync, as of when, and if not why not. Never the absence of errors.

use std::{
    cell::LazyCell,
    collections::{BTreeMap, BTreeSet},
};

use model::{Canonical, Digest, DirectoryId, GroupId, RefusalWhy, Span, Step, Time, WaitWhy, members_digest};
use policy::{DriftMode, Policy};
use serde::Serialize;

use crate::{
    Decision, Memory, Planner, drift,
    flatten::{Opening, Walk},
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
    /// The second opinion refuses the last plan: what it holds is not done, and nobody knows what is right.
    Refused,
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
            Self::Refused => "refused",
        }
    }
}

impl SyncState {
    /// The same while the second opinion ([`crate::check`]) refuses the plan that the decision came to.
    #[must_use]
    pub fn refused(mut self) -> Self {
        self.why_not.insert(WhyNot::Refused);
        self.in_sync = false;
        self
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
            let mut walk = std::mem::take(&mut self.scratch.walk);
            if let Some(target) = self.targets.get(at) {
                states.insert(target.id.clone(), self.state_of(target, memory, decision, &mut walk));
            }
            self.scratch.walk = walk;
        }
        states
    }

    fn state_of(&self, target: &Target, memory: &Memory, decision: &Decision, walk: &mut Walk) -> SyncState {
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
        let plan = decision.plan.body.targets.iter().find(|plan| plan.target == target.id);
        let kept: BTreeSet<&str> = plan.into_iter().flat_map(kept_apart).collect();
        // Looks at every step: only where some rule adopts what was changed by hand.
        let spoken_of = LazyCell::new(|| SpokenOf::new(target, plan, memory));
        let accounts = self.mirrors.get(target.mirror);
        let is_adopted = |group: &TargetGroup| {
            let adopts = group.lead(&self.policy.rules).is_some_and(|rule| rule.drift == DriftMode::Adopt);
            adopts && accounts.is_some_and(|accounts| !spoken_of.holds(group, accounts))
        };
        let drifted: BTreeSet<String> = groups
            .iter()
            .copied()
            .filter(differs)
            .filter(|group| !kept.contains(group.name.as_str()) && !is_adopted(group))
            .map(|group| group.name.clone())
            .collect();
        let (as_of, unread) = self.as_of(target, walk);
        let mut why_not = BTreeSet::new();
        let mut note = |applies: bool, why| {
            if applies {
                why_not.insert(why);
            }
        };
        let ungiven = |plan: &model::TargetPlan| {
            plan.refusals.iter().any(|refusal| matches!(refusal.step, Step::GrantAccess { .. }))
        };
        note(!drifted.is_empty() || plan.is_some_and(ungiven), WhyNot::Differs);
        note(plan.is_some_and(|plan| plan.cases.iter().any(|case| !case.held.is_empty())), WhyNot::Held);
        let waits = |plan: &model::TargetPlan| {
            let waiting = plan.waits.iter().any(|wait| !matches!(wait.why, WaitWhy::Opaque { .. }));
            waiting || plan.cases.iter().any(|case| !case.needs.is_empty())
        };
        note(plan.is_some_and(waits), WhyNot::Waiting);
        let released = plan.is_some_and(|plan| plan.cases.iter().any(model::Case::is_released));
        let open = memory.released.keys().any(|(at, _, _)| at == &target.id)
            || memory.opening.iter().any(|(at, _)| at == &target.id)
            || memory.accounts_open.iter().any(|(at, _, _)| at == &target.id)
            || memory.given.keys().any(|(at, _, _)| at == &target.id);
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

    /// The oldest complete read of what a target and its sources hold, and whether some scope lacks one: of the groups
    /// that fill it also those below, for who is in them is in it.
    fn as_of(&self, target: &Target, walk: &mut Walk) -> (Option<Time>, bool) {
        let mut oldest: Option<Time> = None;
        let mut unread = false;
        let mut take = |read: &crate::mirror::ScopeRead, is_right: bool| {
            unread |= !is_right;
            match read.complete_began_at {
                Some(began) => oldest = Some(oldest.map_or(began, |known| known.min(began))),
                None => unread = true,
            }
        };
        let mut sides: Vec<&Mirror> = self.mirrors.get(target.mirror).into_iter().collect();
        let ids = self.sources_of(&target.id);
        sides.extend(ids.iter().filter_map(|id| self.mirror(id)));
        for (place, mirror) in sides.iter().enumerate() {
            // An account that we made is read by itself, which voids the target's list of people: the list is as right as
            // it was, for the account is younger. Whom it lacks although they were known is asked for one by one.
            let (users, groups) = (mirror.users_read(), mirror.groups_read());
            take(users, if place == 0 { users.complete } else { users.is_sound() });
            take(groups, groups.is_sound());
        }
        let mut roots: BTreeMap<usize, Vec<(u32, Opening<'_>)>> = BTreeMap::new();
        for group in target.groups.iter().filter(|group| group.live_claims().next().is_some()) {
            if let (Bound::Pinned(slot), Some(accounts)) = (group.bound, sides.first())
                && let Some(found) = accounts.group_at(slot)
            {
                take(&found.read, found.read.is_sound());
            }
            for claim in group.live_claims().filter(|claim| !claim.is_of_people()) {
                if let Some(rule) = self.policy.rules.get(claim.rule) {
                    let opening = Opening { nested: rule.nested, roles: &rule.roles };
                    roots.entry(claim.source).or_default().push((claim.group, opening));
                }
            }
        }
        let mut turned_unreadable = false;
        for (source, roots) in roots {
            let Some(mirror) = self.mirrors.get(source) else { continue };
            walk.open_all(mirror, &roots);
            for found in walk.opened.iter().filter_map(|slot| mirror.group_at(*slot)) {
                turned_unreadable |= found.turned_unreadable();
                take(&found.read, found.read.is_sound());
            }
        }
        unread |= turned_unreadable;
        (oldest.filter(|_| !unread), unread)
    }
}

/// The groups of a target of which there is something to say beside what was changed by hand and the rule adopts: a case, a
/// refusal, a wait, something under way.
struct SpokenOf<'a> {
    groups: BTreeSet<&'a GroupId>,
    names: BTreeSet<&'a str>,
}

impl<'a> SpokenOf<'a> {
    fn new(target: &Target, plan: Option<&'a model::TargetPlan>, memory: &'a Memory) -> Self {
        // What is never touched is not compared either.
        let is_spared = |why| matches!(why, RefusalWhy::ProtectedPerson | RefusalWhy::OurOwnAccount);
        let cases = plan.into_iter().flat_map(|plan| &plan.cases).flat_map(|case| &case.steps);
        let refusals = plan.into_iter().flat_map(|plan| &plan.refusals);
        let refused = refusals.filter(|refusal| !is_spared(refusal.why)).map(|refusal| &refusal.step);
        let of_step = |step: &'a Step| match step {
            Step::Edge { edge, .. } => edge.group.as_ref(),
            Step::DeleteGroup { group, .. } => Some(group),
            Step::GrantAccess { group, .. } => group.as_ref(),
            Step::CreateGroup { .. } | Step::Account { .. } => None,
        };
        let under_way = memory.released.keys().filter(|(at, _, _)| at == &target.id).map(|(_, group, _)| group);
        let waits = plan.into_iter().flat_map(|plan| &plan.waits);
        let waits = waits.filter(|wait| !matches!(wait.why, WaitWhy::Opaque { .. }));
        Self {
            groups: cases.chain(refused).filter_map(of_step).chain(under_way).collect(),
            names: waits.filter_map(|wait| wait.group.as_deref()).collect(),
        }
    }

    /// Only a group that is ours can have been changed by hand: any other differs for another reason.
    fn holds(&self, group: &TargetGroup, accounts: &Mirror) -> bool {
        let Bound::Pinned(slot) = group.bound else { return true };
        let id = accounts.group_at(slot).map(|found| &found.id);
        self.names.contains(group.name.as_str()) || id.is_none_or(|id| self.groups.contains(id))
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
