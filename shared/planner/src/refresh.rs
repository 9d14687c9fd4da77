//! Keeping what is kept up to date: rows and memory changed, so which groups have to be looked at again?
//!
//! Every change marks the least that it can reach; [`Planner::refresh`] then takes the marked groups anew. A planner
//! that was just made marks everything, and comes to the same: a property test holds the two together.

use std::collections::{BTreeMap, BTreeSet};

use model::{AccountId, Delta, DirectoryId, Span};

use crate::{
    EdgeKey, Memory, Planner,
    claims::{self, Route},
    drift,
    judge::accounts::is_pending,
    mirror::{Changes, GroupSlot, Mirror, number},
    people::{Look, Pairing},
    state::{Bound, Target},
    tracked::Mark,
    wanted::{self, Sources},
};

/// How far the trails of a memory were followed, and the small parts of it that have none.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    people: Mark,
    pins: Mark,
    pub(crate) newcomers: Mark,
    managed: Mark,
    confirmed: Mark,
    given: Vec<crate::access::GivenKey>,
    conflicts: BTreeMap<(DirectoryId, model::GroupId), crate::ConflictDecision>,
}

/// Where the next link is likely to belong: links are walked in the order of ids, as slots mostly are.
#[derive(Debug, Default)]
struct Guess {
    sides: Option<(DirectoryId, DirectoryId, usize)>,
    person: u32,
    account: u32,
}

impl Planner {
    /// Lays everything out anew for the policy.
    pub(crate) fn lay_out(&mut self) {
        let policy = self.policy.clone();
        for id in policy.directories.keys() {
            self.mirror_index(id);
        }
        let mut of_target: BTreeMap<DirectoryId, usize> = BTreeMap::new();
        self.targets.clear();
        self.pairings.clear();
        self.routes.clear();
        self.pending.clear();
        let mut target_of = |planner: &mut Self, id: &DirectoryId| {
            *of_target.entry(id.clone()).or_insert_with(|| {
                let mirror = planner.mirror_index(id);
                planner.targets.push(Target::new(id.clone(), mirror));
                planner.targets.len() - 1
            })
        };
        let mut pairs: BTreeSet<(usize, usize)> = BTreeSet::new();
        for rule in &policy.rules {
            let source = self.mirror_index(&rule.from);
            let targets: Vec<usize> = rule.to.iter().map(|id| target_of(self, id)).collect();
            let mirrors = targets.iter().filter_map(|at| self.targets.get(*at)).map(|target| target.mirror);
            pairs.extend(mirrors.map(|mirror| (source, mirror)));
            self.routes.push(Route { source, targets });
        }
        self.claim_default_groups();
        for provision in &policy.provisions {
            let at = target_of(self, &provision.to);
            let source = self.mirror_index(&provision.from);
            pairs.extend(self.targets.get(at).map(|target| (source, target.mirror)));
        }
        self.pairings = pairs.into_iter().map(|(source, target)| Pairing::new(source, target)).collect();
        self.claims_of = vec![Vec::new(); self.mirrors.len()];
        self.followed = Followed::default();
        self.rebuild_pairings = true;
        for (source, mirror) in self.mirrors.iter().enumerate() {
            self.stale_claims.extend((0..number(mirror.groups.len())).map(|slot| (source, slot)));
        }
        self.renew_claims();
    }

    pub(crate) fn mirror_index(&mut self, id: &DirectoryId) -> usize {
        if let Some(at) = self.names.get(id) {
            return *at;
        }
        self.mirrors.push(Mirror::new(id.clone()));
        self.claims_of.push(Vec::new());
        self.names.insert(id.clone(), self.mirrors.len() - 1);
        self.mirrors.len() - 1
    }

    /// Takes a delta into its mirror and marks what it reaches.
    pub(crate) fn take(&mut self, delta: &Delta) {
        let at = self.mirror_index(&delta.directory);
        let Some(mirror) = self.mirrors.get_mut(at) else { return };
        let changes = mirror.apply(delta);
        self.reach_people(at, &changes);
        if !changes.users.is_empty() {
            let everyone = self.mirrors.get(at).map(|mirror| mirror.everyone_in().to_vec()).unwrap_or_default();
            for slot in everyone {
                self.reach_up(at, slot);
            }
        }
        for change in &changes.groups {
            self.stale_claims.push((at, change.slot));
            self.reach_up(at, change.slot);
        }
        for slot in changes.members.iter().chain(&changes.reads) {
            // A group that turned unreadable keeps or loses its claims by whether it was ever read.
            let group = self.mirrors.get(at).and_then(|mirror| mirror.group_at(*slot));
            let opaque = group.is_some_and(GroupSlot::is_opaque);
            if opaque {
                self.stale_claims.push((at, *slot));
                self.reach_up(at, *slot);
            }
        }
        for slot in &changes.members {
            self.reach_up(at, *slot);
        }
        self.reach_target(at, &changes);
        self.renew_claims();
    }

    /// Somebody's row changed: find their accounts again.
    fn reach_people(&mut self, at: usize, changes: &Changes) {
        if changes.users.is_empty() {
            return;
        }
        for (index, pairing) in self.pairings.iter().enumerate() {
            let (Some(source), Some(target)) = (self.mirrors.get(pairing.source), self.mirrors.get(pairing.target))
            else {
                continue;
            };
            let look = Look { policy: &self.policy, source, target };
            let mut persons = Vec::new();
            if pairing.source == at {
                persons.extend(changes.users.iter().map(|change| change.slot));
            }
            if pairing.target == at {
                pairing.touched_by_accounts(look, &changes.users, &mut persons);
            }
            self.stale_people.entry(index).or_default().extend(persons);
        }
    }

    /// Marks the target groups that a source group fills, through every group that holds it.
    fn reach_up(&mut self, at: usize, slot: u32) {
        let Some(mirror) = self.mirrors.get(at) else { return };
        let mut seen = BTreeSet::from([slot]);
        let mut queue = vec![slot];
        while let Some(slot) = queue.pop() {
            let claims = self.claims_of.get(at).and_then(|claims| claims.get(slot as usize));
            for (target, group) in claims.into_iter().flatten() {
                if let Some(target) = self.targets.get_mut(*target) {
                    target.renew_wanted(*group);
                }
            }
            for parent in mirror.group_at(slot).into_iter().flat_map(|group| &group.parents) {
                if seen.insert(*parent) {
                    queue.push(*parent);
                }
            }
        }
    }

    /// Marks what changed on the side of a target: members, reads, names, groups that came or went.
    fn reach_target(&mut self, at: usize, changes: &Changes) {
        let Some(mirror) = self.mirrors.get(at) else { return };
        for target in self.targets.iter_mut().filter(|target| target.mirror == at) {
            // A read decides whether what writers confirmed still stands.
            for slot in changes.members.iter().chain(&changes.reads) {
                target.renew_bound(*slot);
            }
            for change in &changes.groups {
                target.renew_bound(change.slot);
                let Some(group) = mirror.group_at(change.slot) else { continue };
                let name = group.row.as_ref().map(|row| &row.group.name);
                for name in name.into_iter().chain(&change.name_before) {
                    let key = self.policy.fold_group_name(&target.id, name);
                    if let Some(at) = target.group_of_key(&key) {
                        target.renew_difference(at);
                    }
                }
                if let Some(at) = target.pinned_groups.get(&group.id).and_then(|key| target.group_of_key(key)) {
                    target.renew_difference(at);
                }
            }
            if self.policy.adopt.values().any(|(directory, _)| directory == &target.id) && !changes.groups.is_empty() {
                target.renew_all_differences();
            }
            if mirror.groups_read().complete_began_at.is_some() && !target.listed {
                target.listed = true;
                target.renew_all_differences();
            }
        }
    }

    /// Works out anew what changed source groups fill. It needs no memory, so it is done as rows come in.
    fn renew_claims(&mut self) {
        let mut stale = std::mem::take(&mut self.stale_claims);
        stale.sort_unstable();
        stale.dedup();
        for (source, slot) in stale {
            if let (Some(mirror), Some(claims_of)) = (self.mirrors.get(source), self.claims_of.get_mut(source)) {
                claims::renew(&self.policy, &self.routes, source, mirror, slot, &mut self.targets, claims_of);
            }
        }
    }

    /// Brings everything that is kept up to date with the mirrors and this memory.
    pub(crate) fn refresh(&mut self, memory: &Memory) {
        let relinked = self.follow(memory);
        self.renew_claims();
        self.refresh_people(relinked);
        self.refresh_spared(memory);
        self.refresh_groups(memory);
    }

    /// Follows the trails of the memory and marks what they reach.
    fn follow(&mut self, memory: &Memory) -> bool {
        let mut followed = std::mem::take(&mut self.followed);
        self.follow_pins(memory, &mut followed);
        let relinked = self.follow_people(memory, &mut followed);
        self.follow_newcomers(memory, &mut followed);
        self.reach_edges(memory.managed.touched_since(&mut followed.managed));
        self.reach_edges(memory.confirmed.touched_since(&mut followed.confirmed));
        self.reach_given(memory, &mut followed.given);
        if followed.conflicts != memory.conflicts {
            followed.conflicts.clone_from(&memory.conflicts);
            self.targets.iter_mut().for_each(Target::renew_all_differences);
        }
        self.followed = followed;
        relinked
    }

    /// Marks the groups of touched memberships; everything where it is not known which were.
    fn reach_edges(&mut self, touched: Option<&[EdgeKey]>) {
        let Some(keys) = touched else {
            return self.targets.iter_mut().for_each(Target::renew_all_differences);
        };
        for (target, group, _) in keys {
            let Some(target) = self.targets.iter_mut().find(|each| &each.id == target) else { continue };
            if let Some(slot) = self.mirrors.get(target.mirror).and_then(|mirror| mirror.group_slot(group)) {
                target.renew_bound(slot);
            }
        }
    }

    fn follow_pins(&mut self, memory: &Memory, followed: &mut Followed) {
        let touched = memory.pins.touched_since(&mut followed.pins);
        let everything = touched.is_none();
        let keys: Vec<(DirectoryId, String)> = match touched {
            Some(keys) => keys.to_vec(),
            None => memory.pins.keys().cloned().collect(),
        };
        for target in self.targets.iter_mut().filter(|_| everything) {
            target.pinned_groups.clear();
            target.pinned_sources.clear();
            target.renew_all_differences();
        }
        for (id, key) in keys {
            let Some(target) = self.targets.iter_mut().find(|each| each.id == id) else { continue };
            if !everything {
                target.pinned_groups.retain(|_, name| name != &key);
                target.pinned_sources.retain(|_, name| name != &key);
            }
            if let Some(pin) = memory.pins.get(&(id.clone(), key.clone())) {
                target.pinned_groups.insert(pin.group.clone(), key.clone());
                if let Some(mirror) = self.mirrors.get_mut(target.mirror) {
                    let slot = mirror.intern_group(&pin.group);
                    // Another name may have found this group until now.
                    let row = mirror.group_at(slot).and_then(|group| group.row.as_ref());
                    let name = row.map(|row| self.policy.fold_group_name(&id, &row.group.name));
                    if let Some(at) = name.and_then(|name| target.group_of_key(&name)) {
                        target.renew_difference(at);
                    }
                }
                if let Some((directory, group)) = &pin.source {
                    target.pinned_sources.insert((directory.clone(), group.clone()), key.clone());
                    let source = self.names.get(directory).copied();
                    let slot = source.and_then(|at| self.mirrors.get(at)?.group_slot(group));
                    let place = source.zip(slot);
                    // Only a group that fills another name so far changes its place by being pinned.
                    let claims = place.and_then(|(at, slot)| self.claims_of.get(at)?.get(slot as usize));
                    let stands = claims.is_some_and(|claims| {
                        claims.iter().any(|(_, group)| target.at(*group).is_some_and(|group| group.key == key))
                    });
                    self.stale_claims.extend(place.filter(|_| !stands));
                }
            }
            if let Some(at) = target.group_of_key(&key) {
                target.renew_difference(at);
            }
        }
    }

    /// Takes recorded links over. Says whether all of them were looked at.
    fn follow_people(&mut self, memory: &Memory, followed: &mut Followed) -> bool {
        let touched = memory.people.touched_since(&mut followed.people);
        let mut guess = Guess::default();
        let Some(keys) = touched else {
            self.pairings.iter_mut().for_each(Pairing::forget_links);
            for (key, account) in &memory.people {
                self.place_link(&mut guess, key, Some(account));
            }
            return true;
        };
        for key in keys {
            if let Some((index, person)) = self.place_link(&mut guess, key, memory.people.get(key)) {
                self.stale_people.entry(index).or_default().push(person);
            }
        }
        false
    }

    /// Sets or clears one link; gives the pairing and the person, if there is such a pairing.
    fn place_link(
        &mut self,
        guess: &mut Guess,
        key: &(DirectoryId, AccountId, DirectoryId),
        account: Option<&AccountId>,
    ) -> Option<(usize, u32)> {
        let (source, person, target) = key;
        if guess.sides.as_ref().is_none_or(|(from, to, _)| from != source || to != target) {
            let (from, to) = (*self.names.get(source)?, *self.names.get(target)?);
            let index = self.pairings.iter().position(|each| each.source == from && each.target == to)?;
            guess.sides = Some((source.clone(), target.clone(), index));
        }
        let index = guess.sides.as_ref().map(|(_, _, index)| *index)?;
        let pairing = self.pairings.get_mut(index)?;
        let person = self.mirrors.get_mut(pairing.source)?.intern_person_near(guess.person, person);
        guess.person = person.wrapping_add(1);
        let accounts = self.mirrors.get_mut(pairing.target)?;
        let account = account.map(|account| accounts.intern_person_near(guess.account, account));
        guess.account = account.unwrap_or(guess.account).wrapping_add(1);
        pairing.link(person, account);
        Some((index, person))
    }

    /// Finds accounts anew, and marks every group that holds somebody whose account changed.
    fn refresh_people(&mut self, relinked: bool) {
        let all = std::mem::take(&mut self.rebuild_pairings) || relinked;
        let mut stale = std::mem::take(&mut self.stale_people);
        for index in 0..self.pairings.len() {
            let Some(pairing) = self.pairings.get_mut(index) else { continue };
            let (source_at, target_at) = (pairing.source, pairing.target);
            let (Some(source), Some(target)) = (self.mirrors.get(source_at), self.mirrors.get(target_at)) else {
                continue;
            };
            let look = Look { policy: &self.policy, source, target };
            if all {
                pairing.rebuild(look);
                self.refresh_pending(index, None);
                let targets = self.targets.iter_mut().filter(|target| target.mirror == target_at);
                targets.for_each(Target::renew_all_wanted);
                continue;
            }
            let mut persons = stale.remove(&index).unwrap_or_default();
            persons.sort_unstable();
            persons.dedup();
            let changed = pairing.refresh(look, &persons);
            persons.extend_from_slice(&changed);
            self.refresh_pending(index, Some(&persons));
            self.persons_reached(index, &persons);
            if !persons.is_empty() {
                self.reach_default_groups(source_at, target_at);
            }
            // Rules that choose people by address or attribute look at more than whose account is whose.
            let choosy = self.policy.rules.iter().any(|rule| !rule.people.is_everybody());
            let reached = if choosy { &persons } else { &changed };
            if !reached.is_empty() {
                self.reach_holders(source_at, reached);
            }
        }
    }

    /// Notes for whom the rules about people have something to do: among these persons, or among all.
    fn refresh_pending(&mut self, pairing: usize, persons: Option<&[u32]>) {
        let Some(pairing) = self.pairings.get(pairing) else { return };
        let (Some(source), Some(accounts)) = (self.mirrors.get(pairing.source), self.mirrors.get(pairing.target))
        else {
            return;
        };
        self.pending.resize_with(self.policy.provisions.len(), BTreeSet::new);
        for (provision, pending) in self.policy.provisions.iter().zip(&mut self.pending) {
            if &provision.from != source.directory() || &provision.to != accounts.directory() {
                continue;
            }
            let is_pending = |person: &u32| is_pending(&self.policy, provision, source, accounts, pairing, *person);
            match persons {
                None => *pending = (0..number(source.people.len())).filter(is_pending).collect(),
                Some(persons) => {
                    for person in persons {
                        if is_pending(person) {
                            pending.insert(*person);
                        } else {
                            pending.remove(person);
                        }
                    }
                }
            }
        }
    }

    /// Marks every target group that is filled by a group that holds one of these persons.
    fn reach_holders(&mut self, source: usize, persons: &[u32]) {
        let Some(mirror) = self.mirrors.get(source) else { return };
        let holds = |group: &GroupSlot| {
            if persons.len() < 16 {
                persons.iter().any(|person| group.people.binary_search_by_key(person, |packed| packed.slot()).is_ok())
            } else {
                group.people.iter().any(|packed| persons.binary_search(&packed.slot()).is_ok())
            }
        };
        let mut slots: Vec<u32> =
            mirror.groups.iter().enumerate().filter(|(_, group)| holds(group)).map(|(at, _)| number(at)).collect();
        slots.extend_from_slice(mirror.everyone_in());
        for slot in slots {
            self.reach_up(source, slot);
        }
    }

    fn refresh_groups(&mut self, memory: &Memory) {
        let policy = self.policy.clone();
        let mut members = Vec::new();
        for index in 0..self.targets.len() {
            let old = self.targets.get_mut(index).map(|target| std::mem::take(&mut target.old)).unwrap_or_default();
            self.groups_reached(index, &old);
            let Some(target) = self.targets.get_mut(index) else { continue };
            let lag = policy.directories.get(&target.id).map_or(Span::ZERO, |directory| directory.lag);
            let mirror_at = target.mirror;
            for at in old {
                let from = Sources { policy: &policy, mirrors: &self.mirrors, pairings: &self.pairings, memory };
                if target.at(at).is_some_and(|group| group.wanted_is_old) {
                    claims::sort(&policy, &self.mirrors, target, at);
                    if let Some(group) = target.groups.get_mut(at as usize) {
                        wanted::renew(from, mirror_at, group, &mut self.scratch);
                    }
                }
                let pin = target.at(at).and_then(|group| memory.pins.get(&(target.id.clone(), group.key.clone())));
                let bound = claims::bind(&policy, pin, &self.mirrors, target, at);
                target.bind(at, bound);
                let slot = target.at(at).and_then(crate::state::TargetGroup::slot);
                members.clear();
                if let (Some(slot), Some(mirror)) = (slot, self.mirrors.get_mut(mirror_at)) {
                    drift::observed(mirror, memory, &target.id, slot, lag, &mut members);
                }
                let (Some(group), Some(mirror)) = (target.at(at), self.mirrors.get(mirror_at)) else { continue };
                let mode = drift::mode(mirror, &policy.rules, memory, &target.id, group, pin);
                let settled = pin.is_some_and(|pin| pin.equal_once) && matches!(bound, Bound::Pinned(_));
                drift::renew(mirror, memory, target, at, mode, &members);
                target.renew_access(at, &policy, mirror, memory);
                let Some(group) = target.groups.get_mut(at as usize) else { continue };
                (group.wanted_is_old, group.difference_is_old) = (false, false);
                let quiet = settled && group.is_equal() && group.has_nothing_to_say(&policy.rules);
                group.quiet = group.is_nobodys() || quiet;
                if group.quiet {
                    target.loud.remove(&at);
                } else {
                    target.loud.insert(at);
                }
            }
        }
    }
}
