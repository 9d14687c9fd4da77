//! What is kept between decisions about each target group: who claims it, who is wanted, what differs.

use std::collections::{BTreeMap, BTreeSet};

use model::{Access, DirectoryId, EdgeOp, GroupId, Span};
use policy::{MembersMode, OnSourceDeleted, Policy, SyncRule};
use rustc_hash::FxHashMap;

use crate::{Memory, mirror::Mirror};

/// A source group that fills a target group by a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Index into the policy's rules.
    pub(crate) rule: usize,
    /// The mirror of the source.
    pub(crate) source: usize,
    /// The slot of the source group; [`Claim::PEOPLE`] of a default group.
    pub(crate) group: u32,
    /// Whether the source group is there. Of one that is gone, the claim only says what it once filled.
    pub(crate) live: bool,
}

impl Claim {
    /// In the place of a source group: the people of an entry fill it, by themselves.
    pub(crate) const PEOPLE: u32 = u32::MAX;

    /// Whether no source group but the people of an entry fill it.
    pub(crate) const fn is_of_people(self) -> bool {
        self.group == Self::PEOPLE
    }
}

/// What a name means at the target now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The target's groups were never read completely: whether it exists cannot be said.
    Unread,
    /// The group that the name is pinned to.
    Pinned(u32),
    /// The group that the policy's `[adopt]` names, not yet pinned.
    Adopted(u32),
    /// One group has the name; we meet it for the first time.
    Found(u32),
    /// No group has the name.
    Missing,
    /// The pinned group is gone at the target; perhaps another one has the name now.
    Lost(Option<u32>),
    /// Several groups have the name, or the one that has it is pinned to another name.
    Ambiguous(u32),
}

/// A target group that some rule claims.
#[derive(Debug)]
pub(crate) struct TargetGroup {
    /// The name as the target folds names.
    pub(crate) key: String,
    /// The name as the rule makes it.
    pub(crate) name: String,
    pub(crate) claims: Vec<Claim>,
    pub(crate) bound: Bound,
    /// Accounts that are wanted, by slot, sorted.
    pub(crate) wanted: Vec<u32>,
    /// Persons who are wanted and have no usable account: source and slot.
    pub(crate) waiting: Vec<(usize, u32)>,
    /// Accounts that may be those of waiting persons: never removed, sorted.
    pub(crate) shielded: Vec<u32>,
    /// Wanted and not observed.
    pub(crate) adds: Vec<u32>,
    /// Observed, not wanted, and the rule may remove them.
    pub(crate) removes: Vec<u32>,
    /// Differences about protected people and our own accounts: never in `adds` or `removes`.
    pub(crate) spared: Vec<(u32, EdgeOp)>,
    /// How many members are observed, and how many of them count as managed: those of pinned groups.
    pub(crate) observed: u64,
    pub(crate) counted: u64,
    /// The digests of both sides, once they were asked for.
    pub(crate) digests: Option<crate::sync_state::Digests>,
    /// What it is to give and does not; and whether that is not known of something.
    pub(crate) lacks: Vec<Access>,
    pub(crate) access_unread: bool,
    /// Nested groups below that belong to others and cannot be read.
    pub(crate) opaque: Vec<(usize, u32)>,
    /// Nothing to say about it.
    pub(crate) quiet: bool,
    pub(crate) wanted_is_old: bool,
    pub(crate) difference_is_old: bool,
}

/// One target and its claimed groups.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) id: DirectoryId,
    /// Its own mirror.
    pub(crate) mirror: usize,
    pub(crate) groups: Vec<TargetGroup>,
    by_key: FxHashMap<String, u32>,
    /// Target group slot → those of `groups` that are bound to it.
    by_group: FxHashMap<u32, Vec<u32>>,
    /// Names by the group they are pinned to, and by the source group that fills them.
    pub(crate) pinned_groups: BTreeMap<GroupId, String>,
    pub(crate) pinned_sources: BTreeMap<(DirectoryId, GroupId), String>,
    pub(crate) old: Vec<u32>,
    /// Those with something to say.
    pub(crate) loud: BTreeSet<u32>,
    /// Members observed over all bound groups.
    pub(crate) observed: u64,
    /// Whether its groups were ever read completely.
    pub(crate) listed: bool,
    /// Accounts that are never touched, sorted: our own, and those of protected people.
    pub(crate) own: Vec<u32>,
    pub(crate) protected: Vec<u32>,
}

impl TargetGroup {
    fn new(key: String, name: String) -> Self {
        Self {
            key,
            name,
            claims: Vec::new(),
            bound: Bound::Unread,
            wanted: Vec::new(),
            waiting: Vec::new(),
            shielded: Vec::new(),
            adds: Vec::new(),
            removes: Vec::new(),
            spared: Vec::new(),
            observed: 0,
            counted: 0,
            digests: None,
            lacks: Vec::new(),
            access_unread: false,
            opaque: Vec::new(),
            quiet: true,
            wanted_is_old: false,
            difference_is_old: false,
        }
    }

    pub(crate) fn live_claims(&self) -> impl Iterator<Item = &Claim> {
        self.claims.iter().filter(|claim| claim.live)
    }

    /// Whether a rule that names it is switched off: then nothing is decided about it, by whatever rule, for what one
    /// rule put in another would take out.
    pub(crate) fn is_off(&self, rules: &[SyncRule]) -> bool {
        self.claims.iter().any(|claim| rules.get(claim.rule).is_some_and(|rule| !rule.enabled))
    }

    /// The rule that speaks for the group: the first one of the file that claims it.
    pub(crate) fn lead<'a>(&self, rules: &'a [SyncRule]) -> Option<&'a SyncRule> {
        let claim = self.live_claims().next().or_else(|| self.claims.first())?;
        rules.get(claim.rule)
    }

    /// What becomes of members whom nobody wants: the most careful of what the claiming rules say.
    pub(crate) fn mode(&self, rules: &[SyncRule]) -> MembersMode {
        let modes = self.claims.iter().filter_map(|claim| rules.get(claim.rule)).map(|rule| rule.members);
        modes.max().unwrap_or(MembersMode::AddOnly)
    }

    /// Whether several source groups came to one name though no rule says that a union is meant.
    pub(crate) fn collides(&self, target: &DirectoryId, rules: &[SyncRule]) -> bool {
        let mut groups = self.live_claims().map(|claim| (claim.source, claim.group));
        let first = groups.next();
        let several = groups.any(|group| Some(group) != first);
        several && !self.is_union(target, rules)
    }

    /// Whether every rule that claims it says that all its groups fill it together.
    pub(crate) fn is_union(&self, target: &DirectoryId, rules: &[SyncRule]) -> bool {
        self.live_claims().all(|claim| rules.get(claim.rule).is_some_and(|rule| rule.into_at(target).is_some()))
    }

    /// Whether no rule claims it any more: it is left alone.
    pub(crate) fn is_nobodys(&self) -> bool {
        self.claims.is_empty()
    }

    /// Whether no source group is left and the rule deletes the group then, whoever is in it.
    fn is_to_end(&self, rules: &[SyncRule]) -> bool {
        let deletes = |rule: &SyncRule| rule.on_source_deleted == OnSourceDeleted::Delete;
        self.live_claims().next().is_none() && self.lead(rules).is_some_and(deletes)
    }

    /// Whether nothing differs that the rule may change.
    pub(crate) fn is_equal(&self) -> bool {
        self.adds.is_empty() && self.removes.is_empty()
    }

    pub(crate) fn has_nothing_to_say(&self, rules: &[SyncRule]) -> bool {
        let gives = self.lacks.is_empty() && !self.access_unread;
        gives && self.waiting.is_empty() && self.spared.is_empty() && self.opaque.is_empty() && !self.is_to_end(rules)
    }

    /// The slot of the group at the target that the difference was taken with.
    pub(crate) fn slot(&self) -> Option<u32> {
        match self.bound {
            Bound::Pinned(slot) | Bound::Adopted(slot) | Bound::Found(slot) | Bound::Lost(Some(slot)) => Some(slot),
            Bound::Unread | Bound::Missing | Bound::Lost(None) | Bound::Ambiguous(_) => None,
        }
    }
}

impl Target {
    /// Compares what a group is to give with what its row, or a writer since, says that it gives.
    pub(crate) fn renew_access(&mut self, at: u32, policy: &Policy, mirror: &Mirror, memory: &Memory) {
        let Self { id, groups, .. } = self;
        let Some(group) = groups.get_mut(at as usize) else { return };
        group.lacks.clear();
        group.access_unread = false;
        let row = group.slot().and_then(|slot| mirror.group_at(slot)?.row.as_ref());
        let (Some(row), Some(rule)) = (row, group.lead(&policy.rules)) else { return };
        let lag = policy.directories.get(id).map_or(Span::ZERO, |directory| directory.lag);
        let listed = mirror.groups_read().complete_began_at;
        for access in policy.access(id, rule) {
            let key = (id.clone(), row.group.id.clone(), access);
            let told = memory.given.get(&key).is_some_and(|at| listed.is_none_or(|began| began <= at.plus(lag)));
            match key.2.is_given_by(&row.group) {
                Some(true) => {}
                _ if told => {}
                Some(false) => group.lacks.push(key.2),
                None => group.access_unread = true,
            }
        }
        group.lacks.sort();
    }

    pub(crate) fn new(id: DirectoryId, mirror: usize) -> Self {
        Self {
            id,
            mirror,
            groups: Vec::new(),
            by_key: FxHashMap::default(),
            by_group: FxHashMap::default(),
            pinned_groups: BTreeMap::new(),
            pinned_sources: BTreeMap::new(),
            old: Vec::new(),
            loud: BTreeSet::new(),
            observed: 0,
            listed: false,
            own: Vec::new(),
            protected: Vec::new(),
        }
    }

    pub(crate) fn group_of_key(&self, key: &str) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    /// The claimed group of this name, made if there is none.
    pub(crate) fn intern(&mut self, key: &str, name: &str) -> u32 {
        if let Some(at) = self.by_key.get(key) {
            return *at;
        }
        let at = crate::mirror::number(self.groups.len());
        self.groups.push(TargetGroup::new(key.to_owned(), name.to_owned()));
        self.by_key.insert(key.to_owned(), at);
        at
    }

    pub(crate) fn at(&self, at: u32) -> Option<&TargetGroup> {
        self.groups.get(at as usize)
    }

    /// Has the wanted members, and so the difference, taken again.
    pub(crate) fn renew_wanted(&mut self, at: u32) {
        if let Some(group) = self.groups.get_mut(at as usize) {
            if !group.wanted_is_old && !group.difference_is_old {
                self.old.push(at);
            }
            group.wanted_is_old = true;
            group.difference_is_old = true;
        }
    }

    /// Has the difference taken again.
    pub(crate) fn renew_difference(&mut self, at: u32) {
        if let Some(group) = self.groups.get_mut(at as usize) {
            if !group.wanted_is_old && !group.difference_is_old {
                self.old.push(at);
            }
            group.difference_is_old = true;
        }
    }

    pub(crate) fn renew_all_wanted(&mut self) {
        for at in 0..crate::mirror::number(self.groups.len()) {
            self.renew_wanted(at);
        }
    }

    pub(crate) fn renew_all_differences(&mut self) {
        for at in 0..crate::mirror::number(self.groups.len()) {
            self.renew_difference(at);
        }
    }

    /// Has the difference taken again of whatever is bound to this group of the target.
    pub(crate) fn renew_bound(&mut self, slot: u32) {
        for at in self.by_group.get(&slot).cloned().unwrap_or_default() {
            self.renew_difference(at);
        }
    }

    /// Notes which group of the target a name means.
    pub(crate) fn bind(&mut self, at: u32, bound: Bound) {
        let Some(group) = self.groups.get_mut(at as usize) else { return };
        let before = group.slot();
        group.bound = bound;
        let after = group.slot();
        if before == after {
            return;
        }
        if let Some(list) = before.and_then(|slot| self.by_group.get_mut(&slot)) {
            list.retain(|each| *each != at);
        }
        if let Some(slot) = after {
            self.by_group.entry(slot).or_default().push(at);
        }
    }

    /// The claimed groups that this group of the target is bound to.
    pub(crate) fn bound_to(&self, slot: u32) -> impl Iterator<Item = &TargetGroup> {
        self.by_group.get(&slot).into_iter().flatten().filter_map(|at| self.at(*at))
    }

    /// Whether this account is never touched.
    pub(crate) fn spares(&self, account: u32) -> bool {
        self.own.binary_search(&account).is_ok() || self.protected.binary_search(&account).is_ok()
    }
}
