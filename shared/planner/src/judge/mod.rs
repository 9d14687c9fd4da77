//! From differences to cases: each loud group is judged, leavers are gathered, then guards look at the whole target.

mod access;
pub(crate) mod accounts;
mod addresses;
pub(crate) mod administrators;
mod cause;
mod contact;
mod customers;
mod doubts;
mod draft;
mod group;
mod leaving;
mod removals;
mod waits;

use std::collections::{BTreeMap, BTreeSet};

use model::{
    AccountId, DirectoryId, DirectoryKind, Edge, EdgeOp, Fact, GroupId, Link, Refusal, Span, Step, TargetPlan, Time,
    Wait,
};
use policy::Policy;

pub(crate) use cause::every_role;
pub(crate) use draft::Draft;

use crate::{
    Memory, Occasion, PlanHold,
    flatten::Walk,
    guard,
    mirror::Mirror,
    people::Pairing,
    state::{Target, TargetGroup},
};

/// What one target is judged by.
pub(crate) struct Judge<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) mirrors: &'a [Mirror],
    pub(crate) pairings: &'a [Pairing],
    pub(crate) target: &'a Target,
    pub(crate) accounts: &'a Mirror,
    pub(crate) kind: Option<DirectoryKind>,
    pub(crate) memory: &'a Memory,
    pub(crate) now: Time,
    pub(crate) occasion: Occasion,
    pub(crate) walk: &'a mut Walk,
    /// Whose accounts this decision takes away, at the targets before this one too.
    pub(crate) going: &'a mut administrators::Going,
    pub(crate) out: Out,
}

/// What has been judged so far.
#[derive(Debug, Default)]
pub(crate) struct Out {
    pub(crate) drafts: Vec<Draft>,
    /// Everything that one leaver loses: (source, person) → draft.
    pub(crate) leavers: BTreeMap<(DirectoryId, AccountId), Draft>,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) waits: Vec<Wait>,
    pub(crate) links: BTreeSet<Link>,
    /// How many groups each waiting person waits for: (source, person).
    pub(crate) waiting: BTreeMap<(usize, u32), u64>,
    /// Persons without an account who are wanted in a group that a rule takes: (source, person).
    pub(crate) members: BTreeSet<(usize, u32)>,
    pub(crate) sources: BTreeMap<(DirectoryId, String), (DirectoryId, GroupId)>,
    /// What stays held though its guard may not find it again: carried over, and new.
    pub(crate) plan_holds: BTreeSet<PlanHold>,
    /// Groups with removals that no case could be made of yet, by folded name, and the sources that fill them.
    pub(crate) undecided: BTreeMap<String, BTreeSet<usize>>,
    /// Leavers whose account begins (`Some`) or ends (`None`) to wait: (target, source, person).
    pub(crate) leaving: BTreeMap<(DirectoryId, DirectoryId, AccountId), Option<Time>>,
    pub(crate) needs: BTreeSet<Fact>,
    /// Of every product with a limit.
    pub(crate) seats: Vec<(DirectoryId, model::Seats)>,
    /// Accounts that are to be taken away, until it is settled whose are.
    pub(crate) farewells: Vec<leaving::Farewell>,
}

impl Judge<'_> {
    /// Judges the whole target. `people` are those for whom the rules about accounts have something to do.
    pub(crate) fn run(mut self, people: &accounts::Pending) -> (Option<TargetPlan>, Out) {
        self.out.plan_holds = guard::holds::carried(&self);
        for at in &self.target.loud {
            if let Some(group) = self.target.at(*at) {
                self.group(group);
            }
        }
        self.accounts(people);
        self.link_people();
        self.tell_waiting();
        let leavers = std::mem::take(&mut self.out.leavers);
        self.out.drafts.extend(leavers.into_values());
        for draft in &mut self.out.drafts {
            draft.seal(&self.target.id);
            draft.verdict = self.memory.approvals.get(&draft.digest()).copied();
        }
        self.out.drafts = draft::sorted(std::mem::take(&mut self.out.drafts));
        let seats = guard::whole_target(&mut self);
        self.finish(seats)
    }

    fn finish(mut self, seats: Vec<model::Seats>) -> (Option<TargetPlan>, Out) {
        self.link_approved();
        let drafts = std::mem::take(&mut self.out.drafts);
        self.out.needs = drafts.iter().flat_map(Draft::questions).collect();
        let mut plan = TargetPlan {
            target: self.target.id.clone(),
            cases: drafts.into_iter().map(Draft::finish).collect(),
            refusals: std::mem::take(&mut self.out.refusals),
            waits: std::mem::take(&mut self.out.waits),
            links: std::mem::take(&mut self.out.links).into_iter().collect(),
            seats: seats.iter().filter(|seats| seats.gained + seats.freed > 0).cloned().collect(),
        };
        self.out.seats = seats.into_iter().map(|seats| (plan.target.clone(), seats)).collect();
        plan.refusals.sort();
        plan.refusals.dedup();
        plan.waits.sort();
        plan.waits.dedup();
        let silent =
            plan.cases.is_empty() && plan.refusals.is_empty() && plan.waits.is_empty() && plan.links.is_empty();
        ((!silent).then_some(plan), self.out)
    }

    pub(crate) fn lag_of(&self, source: &DirectoryId) -> Span {
        self.policy.directories.get(source).map_or(Span::ZERO, |directory| directory.lag)
    }

    pub(crate) fn pairing(&self, source: usize) -> Option<&Pairing> {
        self.pairings.iter().find(|pairing| pairing.source == source && pairing.target == self.target.mirror)
    }

    pub(crate) fn account(&self, slot: u32) -> Option<&AccountId> {
        self.accounts.person(slot).map(|person| &person.id)
    }

    pub(crate) fn group_id(&self, slot: u32) -> Option<&GroupId> {
        self.accounts.group_at(slot).map(|group| &group.id)
    }

    pub(crate) fn person_id(&self, source: usize, person: u32) -> Option<&AccountId> {
        self.mirrors.get(source)?.person(person).map(|person| &person.id)
    }

    /// The sources that fill a group, each once, in the order of its claims.
    pub(crate) fn sources(group: &TargetGroup) -> Vec<usize> {
        let mut sources: Vec<usize> = Vec::new();
        for claim in &group.claims {
            if !sources.contains(&claim.source) {
                sources.push(claim.source);
            }
        }
        sources
    }

    /// Whose account this is, by the first source of the group that knows.
    pub(crate) fn person_of(&self, group: &TargetGroup, account: u32) -> Option<(usize, u32)> {
        Self::sources(group).into_iter().find_map(|source| Some((source, self.pairing(source)?.person_of(account)?)))
    }

    /// The edge between a group that exists and an account.
    pub(crate) fn edge(&self, group: &TargetGroup, slot: u32, account: u32, op: EdgeOp) -> Option<Edge> {
        let id = self.group_id(slot)?.clone();
        let row = self.accounts.group_at(slot).and_then(|group| group.row.as_ref());
        let group_name = row.map_or_else(|| group.name.clone(), |row| row.group.name.clone());
        let person =
            self.person_of(group, account).and_then(|(source, person)| self.person_id(source, person)).cloned();
        Some(Edge { group: Some(id), group_name, account: Some(self.account(account)?.clone()), person, op })
    }

    /// Whether the edge was released already, or an open dead letter keeps it from being issued again.
    pub(crate) fn is_under_way(&self, slot: u32, account: u32) -> bool {
        if self.memory.released.is_empty() {
            return false;
        }
        let ids = self.group_id(slot).zip(self.account(account));
        ids.is_some_and(|(group, account)| {
            self.memory.released.contains_key(&(self.target.id.clone(), group.clone(), account.clone()))
        })
    }

    /// The open dead letter that covers the edge.
    pub(crate) fn dead_letter(&self, slot: u32, account: u32, op: EdgeOp) -> Option<u64> {
        if self.memory.dead_letters.is_empty() {
            return None;
        }
        let (group, account) = self.group_id(slot).zip(self.account(account))?;
        self.memory.dead_letter(&self.target.id, (group, account), op)
    }

    pub(crate) fn refuse(&mut self, step: Step, why: model::RefusalWhy) {
        self.out.refusals.push(Refusal { step, why });
    }
}
