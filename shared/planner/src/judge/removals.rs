//! Who is to go from a group, proven fact by fact.

use std::collections::BTreeMap;

use model::{CaseKind, EdgeOp, GuardName, Lane, Reason, RefusalWhy, Step, WaitWhy};
use policy::{DriftMode, Nested};

use super::{
    Draft, Judge,
    cause::{Cause, every_role},
    group::Known,
};
use crate::{
    drift,
    flatten::{Graph, Opening},
    guard,
    lost::{self, LostFact, Proof},
    mirror::Mirror,
    people::user_fact,
    state::TargetGroup,
};

/// The removals of one group, sorted by what has to become of them.
#[derive(Default)]
struct Sorted {
    /// With the lost facts by which they were in, as indices.
    ordinary: Vec<(Step, Vec<usize>)>,
    drifted: Vec<Step>,
    letters: BTreeMap<u64, usize>,
}

impl Judge<'_> {
    /// What keeps the source from proving an absence for this group.
    pub(crate) fn gap(&mut self, group: &TargetGroup) -> Option<WaitWhy> {
        lost::unseen(self.policy, self.mirrors, &self.target.id)
            .or_else(|| lost::gap(self.policy, self.mirrors, group, self.now, self.walk))
    }

    /// Who is to go. `complete`: the last read of the group's members at the target was.
    pub(crate) fn removals(&mut self, known: Known<'_>, complete: bool) {
        if known.group.removes.is_empty() {
            return;
        }
        let facts = lost::lost_facts(self.policy, self.mirrors, known.group, self.walk);
        let sorted = self.sort_removals(known, &facts);
        self.tell_dead_letters(known.group, &sorted.letters);
        let count = sorted.ordinary.len() + sorted.drifted.len();
        if count == 0 {
            return;
        }
        if !complete {
            self.undecided(known.group);
            return self.wait(known.group, WaitWhy::TargetRead { group: known.id.clone() }, count);
        }
        if let Some(gap) = self.gap(known.group) {
            self.undecided(known.group);
            return self.wait(known.group, gap, count);
        }
        if !sorted.ordinary.is_empty() {
            self.removal_case(known, sorted.ordinary, &facts, count);
        }
        if !sorted.drifted.is_empty() {
            let steps = sorted.drifted.into_iter().map(|step| (step, Vec::new())).collect();
            let at = self.out.drafts.len();
            self.removal_case(known, steps, &facts, count);
            for draft in self.out.drafts.get_mut(at..).into_iter().flatten() {
                let reason = "the target was changed by hand; the rule only reports that";
                draft.hold(GuardName::DriftReport, reason.to_owned());
            }
        }
    }

    fn sort_removals(&mut self, known: Known<'_>, facts: &[LostFact]) -> Sorted {
        let Known { group, rule, pin, slot, .. } = known;
        let mut sorted = Sorted::default();
        for account in group.removes.iter().copied() {
            if self.is_under_way(slot, account) {
                continue;
            }
            if let Some(letter) = self.dead_letter(slot, account, EdgeOp::Remove) {
                *sorted.letters.entry(letter).or_insert(0) += 1;
                continue;
            }
            let Some(edge) = self.edge(group, slot, account, EdgeOp::Remove) else { continue };
            match self.cause(group, rule, pin, slot, account, facts) {
                Cause::Leaver { source, person, reason, fact } => {
                    self.add_to_leaver(source, person, Step::Edge { edge, reason }, fact);
                }
                Cause::Left { reason, facts } => sorted.ordinary.push((Step::Edge { edge, reason }, facts)),
                Cause::Drift(reason) => match rule.drift {
                    DriftMode::Adopt => {}
                    DriftMode::Report => sorted.drifted.push(Step::Edge { edge, reason }),
                    DriftMode::Repair => sorted.ordinary.push((Step::Edge { edge, reason }, Vec::new())),
                },
                Cause::Policy(reason) | Cause::Conflict(reason) => {
                    sorted.ordinary.push((Step::Edge { edge, reason }, Vec::new()));
                }
            }
        }
        sorted
    }

    /// One case of removals: the budgets look at the raw difference, before any fact is proven.
    fn removal_case(&mut self, known: Known<'_>, steps: Vec<(Step, Vec<usize>)>, facts: &[LostFact], raw: usize) {
        let Known { group, rule, .. } = known;
        let kind = CaseKind::Removals { group: known.id.clone(), name: self.shown_name(known) };
        let mut draft = Draft::new(kind, &group.key, Lane::Urgent);
        draft.sources = group.claims.iter().map(|claim| claim.source).collect();
        let mut proven = vec![None; facts.len()];
        let mut waits = std::collections::BTreeSet::new();
        for (step, because) in steps {
            for at in because {
                if let (Some(fact), Some(proof)) = (facts.get(at), proven.get_mut(at)) {
                    let proof = proof.get_or_insert_with(|| self.proof(fact));
                    need(&mut draft, fact, proof, &mut waits);
                }
            }
            draft.steps.push(step);
        }
        draft.removals = draft.steps.len() as u64;
        let raw = raw as u64;
        let limit = guard::per_group(self.policy, group, rule, EdgeOp::Remove);
        draft.measure(GuardName::PerGroupRemovals, raw, limit, &["removals from one group"]);
        let from = guard::emptied_from(group, rule, &self.policy.rules);
        let hold = guard::holds::of_removals(self, &group.key, GuardName::EmptiedGroup);
        if guard::holds::left(group) == 0 && (group.observed >= from || self.out.plan_holds.contains(&hold)) {
            draft.guards.push(model::GuardVerdict {
                guard: GuardName::EmptiedGroup,
                found: group.observed,
                limit: from,
            });
            draft.hold(GuardName::EmptiedGroup, format!("a group of {} would become empty", group.observed));
            self.out.plan_holds.insert(hold);
        }
        for (directory, holder) in waits {
            let edges = draft.steps.len();
            self.wait(group, WaitWhy::CompleteRead { directory, group: holder }, edges);
        }
        self.out.drafts.push(draft);
    }

    /// Notes that a group has removals that cannot be judged yet.
    pub(crate) fn undecided(&mut self, group: &TargetGroup) {
        let sources = group.claims.iter().map(|claim| claim.source).collect();
        self.out.undecided.insert(group.key.clone(), sources);
    }

    pub(crate) fn proof(&self, fact: &LostFact) -> Proof {
        let Some(mirror) = self.mirrors.get(fact.source) else { return Proof::Ask };
        fact.proof(mirror, self.lag_of(mirror.directory()))
    }

    /// Notes what a leaver loses.
    pub(crate) fn add_to_leaver(&mut self, source: usize, person: u32, step: Step, fact: Option<model::Fact>) {
        let Some(mirror) = self.mirrors.get(source) else { return };
        let Some(id) = mirror.person(person).map(|person| person.id.clone()) else { return };
        let key = (mirror.directory().clone(), id.clone());
        let proof = self.proof_of_leaver(mirror, person, fact.as_ref());
        let draft = self.out.leavers.entry(key).or_insert_with(|| {
            let kind = CaseKind::Leaver { source: mirror.directory().clone(), person: id.clone() };
            Draft::new(kind, "", Lane::Urgent)
        });
        draft.steps.push(step);
        draft.sources.insert(source);
        if proof != Proof::Gone {
            let fact = user_fact(mirror.directory(), &id);
            draft.needs.insert(fact.clone());
            if proof == Proof::Ask {
                draft.ask.insert(fact);
            } else {
                let why = WaitWhy::CompleteRead { directory: mirror.directory().clone(), group: None };
                self.out.waits.push(model::Wait { group: None, person: Some(id), why, edges: 1 });
            }
        }
    }

    /// Whether it is proven that a person may not work here, or is out of every scope. `fact`: that of an absence, which
    /// has to be proven first. What says so is a row, and the row is as old as the last time that the person was looked
    /// at: with all others, or alone.
    pub(crate) fn proof_of_leaver(&self, mirror: &Mirror, person: u32, fact: Option<&model::Fact>) -> Proof {
        if let Some(fact) = fact {
            let proof = self.proof_of_user(mirror, person, fact);
            if proof != Proof::Gone {
                return proof;
            }
        }
        let oldest = lost::oldest(self.policy, mirror.directory(), self.now);
        if !mirror.users_read().is_older_than(oldest) {
            return Proof::Gone;
        }
        let fact = mirror.person(person).map(|person| user_fact(mirror.directory(), &person.id));
        match fact.and_then(|fact| mirror.answer(&fact)).filter(|known| known.read_at >= oldest) {
            // Who cannot be asked about is read with all others.
            Some(known) if known.answer == model::Answer::NoPointRead => Proof::Holds(None),
            Some(_) => Proof::Gone,
            None => Proof::Ask,
        }
    }

    /// Whether a person who is merely absent from the list of users is proven gone.
    fn proof_of_user(&self, mirror: &Mirror, person: u32, fact: &model::Fact) -> Proof {
        let row = mirror.person(person).and_then(|person| person.row.as_ref());
        let gone_at = row.and_then(|row| row.gone_at).unwrap_or(model::Time::NEVER);
        let read = mirror.users_read();
        let lag = self.lag_of(mirror.directory());
        match mirror.answer(fact).map(|known| (known.answer, known.read_at)) {
            Some((model::Answer::Gone, read_at)) if read_at >= gone_at => Proof::Gone,
            Some((model::Answer::NoPointRead, _)) => {
                let second = read.complete && read.complete_began_at.is_some_and(|began| began >= gone_at.plus(lag));
                if second { Proof::Gone } else { Proof::Holds(None) }
            }
            Some((model::Answer::Holds, read_at)) if read_at >= gone_at => {
                if read.complete_began_at.is_some_and(|began| began > read_at) {
                    Proof::Ask
                } else {
                    Proof::Holds(None)
                }
            }
            _ => Proof::Ask,
        }
    }
}

/// Lays what is not proven on the case: a question, or a wait for a read.
fn need(
    draft: &mut Draft,
    fact: &LostFact,
    proof: &Proof,
    waits: &mut std::collections::BTreeSet<(model::DirectoryId, Option<model::GroupId>)>,
) {
    let fact = &fact.fact;
    let holder = match proof {
        Proof::Gone => return,
        Proof::Ask => {
            draft.needs.insert(fact.clone());
            draft.ask.insert(fact.clone());
            return;
        }
        Proof::SecondRead(holder) => Some(holder.clone()),
        Proof::Holds(holder) => holder.clone(),
    };
    draft.needs.insert(fact.clone());
    waits.insert((fact.directory().clone(), holder));
}

impl Judge<'_> {
    /// The source group is gone: what the rule says about that.
    pub(crate) fn source_deleted(&mut self, group: &TargetGroup, rule: &policy::SyncRule, pin: Option<&crate::Pin>) {
        use policy::OnSourceDeleted as Then;
        let (Some(_), crate::state::Bound::Pinned(slot)) = (pin, group.bound) else { return };
        let accounts = self.accounts;
        let Some(found) = accounts.group_at(slot) else { return };
        let known = Known { group, rule, pin, slot, id: &found.id };
        if rule.on_source_deleted == Then::Keep {
            return;
        }
        let row = found.row.as_ref();
        if let Some(why) = self.untouchable(group, rule, row, pin) {
            return self.refuse_all(known, why);
        }
        let Some((rule_id, source, Some(source_group))) = self.origin(group) else { return };
        if let Some(gap) = self.gap(group) {
            self.undecided(group);
            return self.wait(group, gap, group.removes.len());
        }
        let reason = Reason::SourceDeleted { rule: rule_id, source, group: source_group };
        if rule.on_source_deleted == Then::Empty {
            return self.empty(known, &reason);
        }
        let name = self.shown_name(known);
        let step = Step::DeleteGroup { group: known.id.clone(), name: name.clone(), reason };
        if let Some(why) = self.spared_within(slot) {
            return self.refuse(step, why);
        }
        let kind = CaseKind::Delete { group: known.id.clone(), name };
        let mut draft = Draft::new(kind, &group.key, Lane::Normal);
        draft.steps.push(step);
        draft.sources = group.claims.iter().map(|claim| claim.source).collect();
        let mut waits = std::collections::BTreeSet::new();
        for fact in lost::lost_facts(self.policy, self.mirrors, group, self.walk) {
            let proof = self.proof(&fact);
            need(&mut draft, &fact, &proof, &mut waits);
        }
        for (directory, holder) in waits {
            self.wait(group, WaitWhy::CompleteRead { directory, group: holder }, group.removes.len());
        }
        draft.hold(GuardName::GroupDelete, "its source group is gone".to_owned());
        self.out.drafts.push(draft);
    }

    /// Why a group is not deleted: somebody in it is never touched. Whoever is observed counts, whether or not the rule
    /// might remove them: also whom a writer added since, and who is in by a group that it holds.
    fn spared_within(&mut self, slot: u32) -> Option<RefusalWhy> {
        let (accounts, memory, target) = (self.accounts, self.memory, &self.target.id);
        let opening = Opening { nested: Nested::Flatten, roles: &every_role() };
        self.walk.open(accounts, slot, opening, Graph::Current);
        let within: Vec<u32> = self.walk.opened.clone();
        within.into_iter().filter_map(|slot| accounts.group_at(slot)).find_map(|group| {
            let began = group.read.complete_began_at;
            let confirmed = drift::of_group(&memory.confirmed, target, &group.id);
            let added =
                confirmed.filter(|(_, fact)| fact.present && !drift::yields(**fact, began, self.lag_of(target)));
            let added = added.filter_map(|((_, _, account), _)| accounts.person_slot(account));
            group.people.iter().map(|packed| packed.slot()).chain(added).find_map(|account| self.spared_why(account))
        })
    }

    /// Everybody out whom the rule may take out: removals like all others, with the loss of the group as their cause.
    fn empty(&mut self, known: Known<'_>, reason: &Reason) {
        let facts = lost::lost_facts(self.policy, self.mirrors, known.group, self.walk);
        let mut sorted = self.sort_removals(known, &facts);
        self.tell_dead_letters(known.group, &sorted.letters);
        let all: Vec<usize> = (0..facts.len()).collect();
        let drifted = sorted.drifted.into_iter().map(|step| (step, Vec::new()));
        sorted.ordinary.extend(drifted);
        for (step, because) in &mut sorted.ordinary {
            because.clone_from(&all);
            if let Step::Edge { reason: why, .. } = step {
                why.clone_from(reason);
            }
        }
        let count = sorted.ordinary.len();
        if count == 0 {
            return;
        }
        let read = self.accounts.group_at(known.slot).map(|group| group.read).unwrap_or_default();
        if !(read.complete && read.complete_began_at.is_some()) {
            self.undecided(known.group);
            return self.wait(known.group, WaitWhy::TargetRead { group: known.id.clone() }, count);
        }
        let at = self.out.drafts.len();
        self.removal_case(known, sorted.ordinary, &facts, count);
        let approved_only = self.policy.approval.required_for.contains(&policy::ApprovalFor::GroupDelete);
        for draft in self.out.drafts.get_mut(at..).into_iter().flatten() {
            draft.lane = Lane::Normal;
            if approved_only {
                draft.hold(GuardName::GroupDelete, "its source group is gone".to_owned());
            }
        }
    }
}
