//! One target group: what it means now, and what is to be done about it.

use std::collections::BTreeMap;

use model::{CaseKind, EdgeOp, GroupId, GuardName, Lane, LinkHow, Reason, RefusalWhy, Step, WaitWhy};
use policy::{ApprovalFor, DriftMode, SyncRule};

use super::{Draft, Judge};
use crate::{
    Pin, claims, guard,
    mirror::Mirror,
    state::{Bound, TargetGroup},
};

/// A group with the rule that speaks for it and what is remembered of it.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) group: &'a TargetGroup,
    pub(crate) rule: &'a SyncRule,
    pub(crate) pin: Option<&'a Pin>,
    pub(crate) slot: u32,
    pub(crate) id: &'a GroupId,
}

impl Known<'_> {
    /// Whether it has held exactly what is wanted once: before that it is a first import.
    pub(crate) fn is_settled(&self) -> bool {
        self.pin.is_some_and(|pin| pin.equal_once)
    }
}

impl Judge<'_> {
    /// Judges a group that has something to say.
    pub(crate) fn group(&mut self, group: &TargetGroup) {
        let policy = self.policy;
        let Some(rule) = group.lead(&policy.rules) else { return };
        if group.is_off(&policy.rules) {
            return;
        }
        let memory = self.memory;
        let pin = memory.pins.get(&(self.target.id.clone(), group.key.clone()));
        if let Some(blind) = self.blind_source(group) {
            let edges = group.adds.len() + group.removes.len();
            if !group.removes.is_empty() {
                self.undecided(group);
            }
            if edges > 0 || !matches!(group.bound, Bound::Pinned(_)) {
                self.wait(group, WaitWhy::SourceBlind { directory: blind }, edges);
            }
            return;
        }
        if group.live_claims().next().is_none() {
            return self.source_deleted(group, rule, pin);
        }
        if group.collides(&self.target.id, &policy.rules) {
            return self.collision(group);
        }
        self.note_waiting(group);
        let accounts = self.accounts;
        let known = |slot| accounts.group_at(slot).map(|found| Known { group, rule, pin, slot, id: &found.id });
        match group.bound {
            Bound::Unread => {
                let why = WaitWhy::CompleteRead { directory: self.target.id.clone(), group: None };
                self.wait(group, why, group.wanted.len());
            }
            Bound::Missing => self.create(group, rule, None),
            Bound::Lost(None) => self.create(group, rule, Some("the pinned group is gone at the target".to_owned())),
            Bound::Ambiguous(slot) => {
                let reason = "several groups of the target have the name, or it is pinned to another name";
                self.hold_empty(group, Some(slot), reason.to_owned());
            }
            Bound::Lost(Some(slot)) | Bound::Found(slot) | Bound::Adopted(slot) | Bound::Pinned(slot) => {
                if let Some(known) = known(slot) {
                    self.existing(known);
                }
            }
        }
    }

    /// A group that is there: ours to keep, or met for the first time.
    fn existing(&mut self, known: Known<'_>) {
        match known.group.bound {
            Bound::Adopted(slot) => {
                self.link_group(known.group, slot, LinkHow::Adopted);
                self.managed(known);
            }
            Bound::Lost(_) => {
                self.meet(known, Some("another group has the name of the pinned one, which is gone".to_owned()));
            }
            Bound::Pinned(_)
                if claims::filled_by_another(self.policy, self.mirrors, &self.target.id, known.group, known.pin) =>
            {
                self.meet(known, Some("another source group has the name of the one that filled it".to_owned()));
            }
            Bound::Pinned(_) => self.managed(known),
            _ => self.meet(known, None),
        }
    }

    fn blind_source(&self, group: &TargetGroup) -> Option<model::DirectoryId> {
        let directories = group.claims.iter().filter_map(|claim| self.mirrors.get(claim.source));
        directories.map(Mirror::directory).filter(|id| self.memory.blind.contains(*id)).min().cloned()
    }

    /// A group that is ours to keep: pinned, or adopted by the policy.
    pub(crate) fn managed(&mut self, known: Known<'_>) {
        let Known { group, rule, pin, slot, .. } = known;
        let row = self.accounts.group_at(slot).and_then(|group| group.row.as_ref());
        if let Some(why) = self.untouchable(group, rule, row, pin) {
            return self.refuse_all(known, why);
        }
        let read = self.accounts.group_at(slot).map(|group| group.read).unwrap_or_default();
        let made = pin.is_some_and(|pin| pin.how == LinkHow::Created);
        if read.complete_began_at.is_none() && !made {
            let edges = group.adds.len() + group.removes.len();
            return self.wait(group, WaitWhy::TargetRead { group: known.id.clone() }, edges);
        }
        self.refuse_spared(known);
        let complete = read.complete && read.complete_began_at.is_some();
        self.removals(known, complete);
        self.additions(known);
        self.customers(group, rule, Some(slot), known.is_settled());
        self.access(known);
        let unlearned = pin.is_some_and(|pin| !pin.equal_once || (pin.source.is_none() && self.has_one_source(group)));
        if group.is_equal() && (unlearned || pin.is_none()) && self.gap(group).is_none() {
            self.link_group(group, slot, LinkHow::Equal);
        }
    }

    /// Whether exactly one source group fills it and no union is meant.
    fn has_one_source(&self, group: &TargetGroup) -> bool {
        group.live_claims().count() == 1 && !group.is_union(&self.target.id, &self.policy.rules)
    }

    /// Who is to come in.
    fn additions(&mut self, known: Known<'_>) {
        let Known { group, rule, slot, .. } = known;
        let (mut joined, mut drifted, mut letters) = (Vec::new(), Vec::new(), BTreeMap::new());
        for account in group.adds.iter().copied().filter(|account| !self.is_under_way(slot, *account)) {
            if let Some(letter) = self.dead_letter(slot, account, EdgeOp::Add) {
                *letters.entry(letter).or_insert(0) += 1;
                continue;
            }
            let reason = self.why_add(group, Some(slot), account, rule);
            let Some(edge) = self.edge(group, slot, account, EdgeOp::Add) else { continue };
            let is_drift = matches!(reason, Reason::Drift { .. });
            match rule.drift {
                DriftMode::Adopt if is_drift => {}
                DriftMode::Report if is_drift => drifted.push(Step::Edge { edge, reason }),
                _ => joined.push(Step::Edge { edge, reason }),
            }
        }
        self.tell_dead_letters(group, &letters);
        for (steps, is_report) in [(joined, false), (drifted, true)] {
            if !steps.is_empty() {
                self.add_case(known, steps, is_report);
            }
        }
    }

    fn add_case(&mut self, known: Known<'_>, steps: Vec<Step>, is_report: bool) {
        let Known { group, rule, slot, .. } = known;
        let name = self.shown_name(known);
        let lane = if known.is_settled() { Lane::Normal } else { Lane::Bulk };
        let mut draft = Draft::new(CaseKind::Additions { group: known.id.clone(), name }, &group.key, lane);
        draft.sources = group.claims.iter().map(|claim| claim.source).collect();
        let count = steps.len() as u64;
        draft.steps = steps;
        if is_report {
            draft.hold(GuardName::DriftReport, "the target was changed by hand; the rule only reports that".to_owned());
        }
        if known.is_settled() {
            draft.additions = count;
            let limit = guard::per_group(self.policy, group, rule, EdgeOp::Add);
            draft.measure(GuardName::PerGroupAdditions, count, limit, &["additions to one group"]);
        } else if self.needs_access_approval(slot) {
            let reason = "it gives a product by default and is filled for the first time".to_owned();
            draft.hold(GuardName::DefaultAccessGroup, reason);
        }
        let row = self.accounts.group_at(slot).and_then(|group| group.row.as_ref());
        if row.is_some_and(|row| row.group.access_unread) {
            let reason = "what it gives by default on a site could not be read, nor that site's seats".to_owned();
            draft.hold(GuardName::DefaultAccessGroup, reason);
        }
        self.out.drafts.push(draft);
    }

    fn needs_access_approval(&self, slot: u32) -> bool {
        let row = self.accounts.group_at(slot).and_then(|group| group.row.as_ref());
        row.is_some_and(|row| row.group.default_access)
            && self.policy.approval.required_for.contains(&ApprovalFor::DefaultAccessGroup)
    }

    pub(crate) fn shown_name(&self, known: Known<'_>) -> String {
        let row = self.accounts.group_at(known.slot).and_then(|group| group.row.as_ref());
        row.map_or_else(|| known.group.name.clone(), |row| row.group.name.clone())
    }

    /// Every difference of a group that is not ours to change.
    pub(crate) fn refuse_all(&mut self, known: Known<'_>, why: RefusalWhy) {
        let Known { group, rule, slot, .. } = known;
        let conflict = |_| Reason::Conflict { rule: rule.id.clone() };
        let removes = self.edges(group, slot, &group.removes, EdgeOp::Remove, conflict);
        let adds =
            self.edges(group, slot, &group.adds, EdgeOp::Add, |account| self.why_add(group, Some(slot), account, rule));
        for step in removes.into_iter().chain(adds) {
            self.refuse(step, why);
        }
        self.refuse_access(known, why);
    }

    /// Differences about our own accounts and protected people: shown, never done, and no reason to be out of step.
    pub(crate) fn refuse_spared(&mut self, known: Known<'_>) {
        let Known { group, rule, slot, .. } = known;
        for (account, op) in &group.spared {
            let own = self.target.own.binary_search(account).is_ok();
            let why = if own { RefusalWhy::OurOwnAccount } else { RefusalWhy::ProtectedPerson };
            let reason = Reason::Policy { rule: rule.id.clone() };
            if let Some(edge) = self.edge(group, slot, *account, *op) {
                self.refuse(Step::Edge { edge, reason }, why);
            }
        }
    }
}
