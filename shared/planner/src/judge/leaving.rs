//! Accounts that are taken away: whose, how, and when.

use model::{AccountChange, DirectoryKind, Fact, RefusalWhy, Step, Wait, WaitWhy};
use policy::{LeaveAction, Provision};

use super::{Judge, accounts::kind_of, cause::Cause};
use crate::{
    LeaverKey, Memory,
    people::{Found, on_leave},
};

/// Somebody whose sign-in is to be taken away.
#[derive(Debug)]
pub(crate) struct Farewell {
    key: LeaverKey,
    source: usize,
    person: u32,
    account: u32,
    step: Step,
    fact: Option<Fact>,
    grace: model::Span,
}

impl Judge<'_> {
    /// Notes that a leaver's sign-in is to be taken away.
    pub(super) fn deactivate(&mut self, provision: &Provision, source: usize, person: u32, account: u32) {
        let (Some(mirror), Some(id)) = (self.mirrors.get(source), self.account(account).cloned()) else { return };
        let Some(person_id) = mirror.person(person).map(|person| person.id.clone()) else { return };
        // Who works and is within some scope keeps the account.
        let Some(Cause::Leaver { reason, fact, .. }) = self.leaver(source, person) else { return };
        let row = mirror.person(person).and_then(|person| person.row.as_ref());
        let way = row.map_or(LeaveAction::Deactivate, |row| on_leave(provision, row));
        let step = Step::Account {
            account: Some(id),
            person: Some(person_id.clone()),
            change: self.farewell(provision, account, way),
            reason,
        };
        if let Some(why) = self.spared_why(account) {
            return self.refuse(step, why);
        }
        if way == LeaveAction::Deactivate && self.is_kept_in(account) {
            return self.refuse(step, RefusalWhy::ProtectedGroup);
        }
        let key = (self.target.id.clone(), provision.from.clone(), person_id);
        if way == LeaveAction::Remove && self.is_being_removed(&key) {
            let why = WaitWhy::CompleteRead { directory: self.target.id.clone(), group: None };
            return self.out.waits.push(Wait { group: None, person: Some(key.2), why, edges: 0 });
        }
        let grace = provision.on_leave.grace;
        self.out.farewells.push(Farewell { key, source, person, account, step, fact, grace });
    }

    /// Whether the target said a while ago that it takes the account's membership away, and has to be given time: it works
    /// from a queue, and shows the member until then (reference/atlassian-cloud.md §1.2). Only what takes as long as a day
    /// is asked for again.
    fn is_being_removed(&self, key: &LeaverKey) -> bool {
        self.memory.removing.get(key).is_some_and(|at| self.now < at.plus(Memory::QUEUED_FOR))
    }

    /// Takes the noted sign-ins away, after the grace, each together with everything else of the leaver's at this
    /// target; but never the last administrators'. Who was let go before comes first: that has happened already, or
    /// waits for a person, and nobody else may go in its place.
    pub(super) fn farewells(&mut self) {
        let mut farewells = std::mem::take(&mut self.out.farewells);
        let circles = if farewells.is_empty() { Vec::new() } else { self.circles() };
        farewells.sort_by(|a, b| {
            let place = |each: &Farewell| (!self.memory.leaving.contains_key(&each.key), each.key.clone());
            place(a).cmp(&place(b))
        });
        for Farewell { key, source, person, account, step, fact, grace } in farewells {
            if self.is_last_administrator(&circles, account) {
                self.refuse(step, RefusalWhy::LastAdministrator);
                continue;
            }
            let since = self.memory.leaving.get(&key).copied().unwrap_or(self.now);
            let until = since.plus(grace);
            if self.now < until {
                let why = WaitWhy::Grace { until };
                self.out.waits.push(Wait { group: None, person: Some(key.2.clone()), why, edges: 0 });
            } else {
                self.takes_out(account);
                self.add_to_leaver(source, person, step, fact);
            }
            self.out.leaving.insert(key, Some(since));
        }
    }

    /// Whether the account is, or may be, in a protected group that lets it in, where who leaves is taken out of each such
    /// group. Who administers is, by a group or by their own right.
    fn is_kept_in(&self, account: u32) -> bool {
        if !self.kind.is_some_and(DirectoryKind::locks_out_by_groups) {
            return false;
        }
        let administers = self.accounts.live(account).is_some_and(|row| row.user.admin);
        let protected = &self.policy.guard.protected_groups;
        let may_hold = |group: &crate::mirror::GroupSlot| {
            let lets_in = |row: &model::GroupRow| !row.group.gives.is_empty() && protected.matches(&row.group.name);
            let read = group.read.complete_began_at.is_some();
            group.row.as_ref().is_some_and(lets_in)
                && (!read || group.people.iter().any(|packed| packed.slot() == account))
        };
        administers || self.accounts.groups.iter().filter(|group| group.is_live()).any(may_hold)
    }

    /// How a sign-in is taken away here. Who is the fallback cannot take over what they lead themselves: then nobody is
    /// named, and the target says what is still led.
    fn farewell(&self, provision: &Provision, account: u32, way: LeaveAction) -> AccountChange {
        match way {
            LeaveAction::Suspend => return AccountChange::Suspend,
            LeaveAction::Remove => return AccountChange::Remove,
            LeaveAction::Deactivate | LeaveAction::Keep => {}
        }
        let fallback = &provision.lead_fallback;
        let named = fallback.project.is_some() || fallback.component.is_some();
        if kind_of(self.policy, provision) != Some(DirectoryKind::JiraDc) || !named {
            return AccountChange::Deactivate;
        }
        let name = self.accounts.live(account).and_then(|row| row.user.attributes.get("userName"));
        let other = |lead: &Option<String>| {
            lead.clone().filter(|lead| name.is_none_or(|name| !name.eq_ignore_ascii_case(lead)))
        };
        AccountChange::HandOver { project: other(&fallback.project), component: other(&fallback.component) }
    }

    /// Forgets those who left and came back, once their account works again, whatever else is still to be changed of it.
    pub(super) fn settled_leavers(&mut self, provision: &Provision, source: usize) {
        let (Some(mirror), Some(pairing)) = (self.mirrors.get(source), self.pairing(source)) else { return };
        let mut back = Vec::new();
        for (target, from, person) in self.memory.leaving.keys() {
            if target != &self.target.id || from != &provision.from {
                continue;
            }
            let Some(slot) = mirror.person_slot(person) else { continue };
            let place = pairing.place(slot);
            if place.works && place.in_scope && matches!(place.found, Found::Account(_)) {
                back.push((target.clone(), from.clone(), person.clone()));
            }
        }
        self.out.leaving.extend(back.into_iter().map(|key| (key, None)));
    }
}
