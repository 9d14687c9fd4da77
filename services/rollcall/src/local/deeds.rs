//! What a run does at a target, as the memory is to know it: the same for a command that was just settled and for one
//! that an earlier run settled before it crashed. Pure.

use std::collections::{BTreeMap, BTreeSet};

use effect::What;
use model::{
    AccountId, Case, CaseKind, CommandId, DirectoryId, EdgeOp, EdgeOutcome, GroupId, LinkHow, Outcome, Step,
    StepResult, TenantId, Time,
};
use planner::{Confirmed, Memory, Pin, WindowEntry, WindowKind};
use serde::{Deserialize, Serialize};
use store::effect::{AttemptEnd, UnendedAttempt};
use uuid::Uuid;
use writer::{Deeds, Object};

/// What a run is about to do at one target: what its commands do not say by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Whose.
    pub tenant: TenantId,
    /// Where.
    pub target: DirectoryId,
    /// When.
    pub at: Time,
    /// What for, as the audit says it: the plan.
    pub because: String,
    /// The groups to be made.
    pub groups: Vec<NewGroup>,
    /// The people whose accounts are changed, where they are known from, and the account where it is there.
    pub people: Vec<(AccountId, DirectoryId, Option<AccountId>)>,
    /// What counts against the day and the week, as far as it happens.
    pub counted: Vec<Counted>,
}

/// A group to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewGroup {
    /// Its name.
    pub name: String,
    /// The same as the target compares names.
    pub folded: String,
    /// The one source group that fills it, unless several do.
    pub source: Option<(DirectoryId, GroupId)>,
}

/// The one source group of target groups: (target, folded name) → (source, group).
pub type Sources = BTreeMap<(DirectoryId, String), (DirectoryId, GroupId)>;

/// A case that was released without a person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// What it counts as.
    pub kind: WindowKind,
    /// What it takes away, as the ledger says it.
    pub lines: BTreeSet<String>,
    /// Of a way out: whose, by source.
    #[serde(default)]
    pub person: Option<(DirectoryId, AccountId)>,
}

/// The calls of one command, and how they ended as far as they did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calls {
    /// Those that were begun.
    pub begun: Vec<UnendedAttempt>,
    /// How they ended.
    pub ends: Vec<AttemptEnd>,
}

/// A call of an earlier run of which nobody knows what it did: one thing of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Where.
    pub target: DirectoryId,
    /// The attempt.
    pub attempt: Uuid,
    /// Of which command.
    pub command: CommandId,
    /// When it began.
    pub at: Time,
    /// What it was to do: one membership, one group or one account.
    pub what: What,
    /// What its run knew of it.
    #[serde(default)]
    pub about: Option<Box<Begun>>,
}

impl Calls {
    /// What they did; `before` are calls of earlier runs about the same.
    pub fn deeds(&self, before: &[UnendedAttempt]) -> Deeds {
        Deeds::of(&self.begun, &self.ends, before)
    }
}

impl Open {
    /// What it was to change, as the ledger says it.
    pub fn line(&self) -> String {
        writer::lines(&self.what, |_| true).concat()
    }

    /// The same as an attempt that did not end.
    pub fn unended(&self) -> UnendedAttempt {
        let (id, command, began_at) = (self.attempt, self.command, self.at);
        UnendedAttempt { id, command, edges: vec![self.line()], began_at }
    }

    /// What it came to when it is found to be so, or when nobody can tell any more.
    pub fn outcome(&self, tenant: &TenantId, at: Time, result: StepResult) -> Outcome {
        let edges = match &self.what {
            What::Edges { group, edges, .. } => {
                let confirmed_at = result.holds().then_some(at);
                let edge = |(account, op, _): &(AccountId, EdgeOp, u64)| EdgeOutcome {
                    group: group.clone(),
                    account: account.clone(),
                    op: *op,
                    result,
                    confirmed_at,
                };
                edges.iter().map(edge).collect()
            }
            _ => Vec::new(),
        };
        let (command, tenant, target) = (self.command, tenant.clone(), self.target.clone());
        Outcome { command, tenant, target, at, result, edges, group: None, account: None, behind: None }
    }
}

impl Begun {
    /// What these cases do that their commands will not say. `fold` is how the target compares names.
    pub fn of(
        (tenant, target): (&TenantId, &DirectoryId),
        (at, because): (Time, String),
        cases: &[&Case],
        (memory, sources): (&Memory, &Sources),
        fold: impl Fn(&str) -> String,
    ) -> Self {
        let mut begun = Self {
            tenant: tenant.clone(),
            target: target.clone(),
            at,
            because,
            groups: Vec::new(),
            people: Vec::new(),
            counted: Vec::new(),
        };
        for case in cases {
            for step in &case.steps {
                if let Step::CreateGroup { name, .. } = step {
                    let folded = fold(name);
                    let source = sources.get(&(target.clone(), folded.clone())).cloned();
                    begun.groups.push(NewGroup { name: name.clone(), folded, source });
                }
            }
            if let CaseKind::Account { source, person } | CaseKind::Leaver { source, person } = &case.kind {
                let account = case.steps.iter().find_map(|step| match step {
                    Step::Account { account, person: Some(of), .. } if of == person => account.clone(),
                    _ => None,
                });
                begun.people.push((person.clone(), source.clone(), account));
            }
            begun.counted.extend(counted(memory, target, case, at));
        }
        begun
    }

    /// The same, of nothing but this.
    #[must_use]
    pub fn about(&self, what: &What) -> Self {
        let mut about = Self { groups: Vec::new(), people: Vec::new(), counted: Vec::new(), ..self.clone() };
        match what {
            What::CreateGroup { name } => {
                about.groups.extend(self.groups.iter().find(|group| &group.name == name).cloned());
            }
            What::Account { person, .. } => {
                about.people.extend(self.people.iter().find(|(of, ..)| of == person).cloned());
            }
            What::Edges { .. } | What::DeleteGroup { .. } | What::GrantAccess { .. } => {}
        }
        about
    }

    /// Takes a settled command into the memory. Doing so twice changes nothing.
    pub fn absorb(&self, memory: &mut Memory, object: Object<'_>, outcome: &Outcome, deeds: &Deeds) {
        for edge in outcome.edges.iter().filter(|edge| edge.result.holds()) {
            let key = (self.target.clone(), edge.group.clone(), edge.account.clone());
            let present = edge.op == EdgeOp::Add;
            // Only what we put in is ours to take away.
            if present && deeds.did(edge) {
                memory.managed.insert(key.clone(), ());
            } else if !present {
                memory.managed.remove(&key);
            }
            let at = edge.confirmed_at.unwrap_or(outcome.at);
            memory.confirmed.insert(key, Confirmed { present, at });
        }
        if !outcome.result.holds() {
            return;
        }
        match object {
            Object::NewGroup(name) => {
                let known = self.groups.iter().find(|group| group.name == name);
                if let (Some(known), Some(group)) = (known, &outcome.group) {
                    let key = (self.target.clone(), known.folded.clone());
                    if memory.pins.get(&key).is_none_or(|pin| &pin.group != group) {
                        let (group, source) = (group.clone(), known.source.clone());
                        memory.pins.insert(key, Pin { group, how: LinkHow::Created, equal_once: false, source });
                    }
                }
            }
            Object::Account(person, change, _) => {
                let Some((_, source, _)) = self.people.iter().find(|(of, ..)| of == person) else { return };
                if let Some(account) = &outcome.account {
                    let link = (source.clone(), person.clone(), self.target.clone());
                    memory.people.insert(link, account.clone());
                }
                if change == "create" {
                    memory.made_account(&self.target, source, person, outcome.at);
                }
                if change == "remove" {
                    memory.removing.insert((self.target.clone(), source.clone(), person.clone()), outcome.at);
                }
            }
            Object::Access(group, access) => {
                memory.given.insert((self.target.clone(), group.clone(), access.clone()), outcome.at);
            }
            Object::OldGroup(_) | Object::Edges => {}
        }
    }

    /// An account as its command knew it before.
    pub fn with_account<'a>(&'a self, object: Object<'a>) -> Object<'a> {
        match object {
            Object::Account(person, change, None) => {
                let known = self.people.iter().find(|(of, ..)| of == person);
                Object::Account(person, change, known.and_then(|(_, _, account)| account.as_ref()))
            }
            object => object,
        }
    }

    /// Counts against the day and the week what happened or may have.
    pub fn count(&self, memory: &mut Memory, happened: &BTreeSet<String>) {
        for counted in &self.counted {
            let lines = counted.lines.intersection(happened).count();
            let count = if counted.kind == WindowKind::Deactivations { lines.min(1) } else { lines };
            if count == 0 {
                continue;
            }
            let (target, at, kind) = (self.target.clone(), self.at, counted.kind);
            memory.window.push(WindowEntry { target, at, kind, count: u64::try_from(count).unwrap_or(u64::MAX) });
            if let Some((source, person)) = counted.person.clone() {
                memory.counted.insert((self.target.clone(), source, person), self.at);
            }
        }
    }
}

/// What of a settled command happened or may have, as the ledger says it.
pub fn happened(object: Object<'_>, outcome: &Outcome) -> Vec<String> {
    let may_be = |result: StepResult| result.holds() || result == StepResult::Unknown;
    let edges = outcome.edges.iter().filter(|edge| may_be(edge.result)).map(writer::line);
    let account = match object {
        Object::Account(person, change, _) if may_be(outcome.result) => Some(format!("{change}/{person}")),
        _ => None,
    };
    edges.chain(account).collect()
}

fn counted(memory: &Memory, target: &DirectoryId, case: &Case, at: Time) -> Option<Counted> {
    let entry = memory.counts(target, case, at)?;
    let line = |step: &Step| match step {
        Step::Edge { edge, .. } if edge.op == EdgeOp::Remove => {
            let (group, account) = (edge.group.as_ref()?, edge.account.as_ref()?);
            Some(format!("{}/{group}/{account}", edge.op.as_str()))
        }
        Step::Account { person: Some(person), change, .. } => Some(format!("{}/{person}", change.as_str())),
        _ => None,
    };
    let person = planner::leaver_of(target, case).map(|(_, source, person)| (source, person));
    Some(Counted { kind: entry.kind, lines: case.steps.iter().filter_map(line).collect(), person })
}
