//! The gate: which cases of a plan go, and which wait for a person.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{
    AccountChange, AccountId, Case, CaseKind, Command, CommandBody, CommandId, Digest, DirectoryId, EdgeOp, GroupId,
    Lane, ReadScope, Step, Time,
};
use planner::{Decision, Verdict, WindowKind};
use runtime::spans;
use store::audit::AuditEntry;
use store::plan::{AccountOpenRow, CaseState, EdgeKey as EdgeRow, HeldRow, OpeningRow, Turn, WindowRow};

use crate::{
    dispatch::{self, Origin},
    state::{AccountOpen, Held, Released, State},
    story::{self, Trace},
    tell,
};

/// Who the chain says decided what no person did.
pub(crate) const ACTOR: &str = "reconciler";

/// Releases what may go: edges wait for a command of theirs, groups and accounts get one at once. While nothing new is
/// `due`, only what a person approved or let go goes. `ids` makes ids.
pub(crate) fn release(
    state: &mut State,
    decision: &Decision,
    due: bool,
    now: Time,
    turn: &mut Turn,
    ids: &mut impl FnMut() -> CommandId,
) {
    let plan = decision.plan.number.unwrap_or(0);
    state.applied.expire(now);
    let before = std::mem::take(&mut state.unread);
    let since = |target: &DirectoryId, case: &Case, now: Time| {
        let waited = (!before.is_empty()).then(|| before.get(&(target.clone(), case.kind.clone()))).flatten();
        waited.copied().unwrap_or(now)
    };
    let (policy, here) = (Arc::clone(state.planner.policy()), story::here());
    let mut waited = BTreeSet::new();
    for (target, case) in decision.plan.cases() {
        let approved = state.memory.approvals.get(&case.digest) == Some(&Verdict::Approved);
        let State { applied, memory, .. } = &mut *state;
        let fold = |name: &str| policy.fold_group_name(target, name);
        let let_go = applied.goes(target, case, memory, fold) || approved;
        if !case.is_released() || state.is_paused(target) || !(due || let_go) {
            // A person, the schedule and a pause take the time that they take; reading is ours.
            if case.held.is_empty() && !case.needs.is_empty() {
                let since = since(target, case, state.detected_at);
                state.unread.insert((target.clone(), case.kind.clone()), since);
            }
            continue;
        }
        let detected_at = if let_go { now } else { since(target, case, state.detected_at) };
        let held = state.held.get(&case.digest).and_then(|held| held.traceparent.as_deref());
        waited.extend(held.map(Trace::from));
        waited.append(&mut state.stories.of(target, case, fold));
        let origin = Origin { plan, detected_at, trace: here.clone() };
        let group = story::group(&case.kind).filter(|_| here.is_some());
        let more = group.is_some_and(|group| state.is_under_way(target, group));
        let mut gate = Gate { state: &mut *state, turn: &mut *turn, target, case, origin, now, gone: 0 };
        for step in &case.steps {
            gate.step(step, ids);
        }
        let gone = gate.gone;
        if gone > 0 {
            note(state, target, case, now, turn);
        }
        if gone == case.steps.len() as u64 {
            state.stories.went(target, case, more, fold);
        }
    }
    spans::link(&tracing::Span::current(), waited.iter().map(|trace| &**trace));
}

/// One released case on its way.
struct Gate<'a> {
    state: &'a mut State,
    turn: &'a mut Turn,
    target: &'a DirectoryId,
    case: &'a Case,
    origin: Origin,
    now: Time,
    /// How many of its steps went.
    gone: u64,
}

impl Gate<'_> {
    fn step(&mut self, step: &Step, ids: &mut impl FnMut() -> CommandId) {
        match step {
            Step::Edge { edge, .. } => {
                // An edge of a group or an account that is still to be made is decided again when that is there.
                let (Some(group), Some(account)) = (&edge.group, &edge.account) else { return };
                self.edge(group.clone(), account.clone(), edge.op);
            }
            Step::CreateGroup { name, description, .. } => {
                let body = CommandBody::CreateGroup { name: name.clone(), description: description.clone() };
                let folded = self.state.planner.policy().fold_group_name(self.target, name);
                if let Some(command) = self.command(body, ids) {
                    let target = self.target.clone();
                    self.state.memory.opening.insert((target.clone(), folded.clone()));
                    self.turn.openings.push(OpeningRow { target, name: folded, command });
                }
            }
            Step::DeleteGroup { group, .. } => {
                let object = format!("group/{group}");
                if self.may_open(&object) && !self.is_deleted(group) {
                    let generation = self.raise(object);
                    self.command(CommandBody::DeleteGroup { group: group.clone(), generation }, ids);
                }
            }
            Step::GrantAccess { group, access, .. } => {
                // What a group that is still to be made gives is decided again when that is there.
                let Some(group) = group else { return };
                let object = format!("access/{group}/{access}");
                if self.may_open(&object) {
                    let generation = self.raise(object);
                    let (group, access) = (group.clone(), access.clone());
                    self.command(CommandBody::GrantAccess { group, access, generation }, ids);
                }
            }
            Step::Account { account, person, change, .. } => {
                let (Some(person), Some(source)) = (person, self.source()) else { return };
                self.account(account.as_ref(), person, source, change, ids);
            }
        }
    }

    fn edge(&mut self, group: GroupId, account: AccountId, op: EdgeOp) {
        let revocation = matches!(self.case.kind, CaseKind::Leaver { .. });
        if revocation {
            self.revoke(&account);
        }
        let (target, lane) = (self.target.clone(), self.case.lane);
        let Origin { plan, detected_at, trace } = self.origin.clone();
        let edge = EdgeRow { target: target.clone(), group: group.clone(), account: account.clone() };
        let released = Released { op, lane, revocation, plan, command: None, detected_at, trace };
        self.turn.released.push(released.row(edge, self.now));
        self.state.release((target, group, account), released);
        self.gone += 1;
    }

    /// Whatever was decided about the account before is outdated from now on. Once for each case.
    fn revoke(&mut self, account: &AccountId) {
        let object = format!("account/{account}");
        let raised = self.turn.generations.iter().any(|(target, of, _)| target == self.target && of == &object);
        if !raised {
            self.raise(object);
        }
    }

    fn account(
        &mut self,
        account: Option<&AccountId>,
        person: &AccountId,
        source: DirectoryId,
        change: &AccountChange,
        ids: &mut impl FnMut() -> CommandId,
    ) {
        let object = format!("person/{person}");
        if !self.may_open(&object) {
            return;
        }
        if let (true, Some(account)) = (change.revokes(), account) {
            self.revoke(account);
        }
        let generation = self.raise(object);
        let (account, change) = (account.cloned(), change.clone());
        let body = CommandBody::Account { account, person: person.clone(), change, generation };
        let Some(command) = self.command(body, ids) else { return };
        let key = (self.target.clone(), source.clone(), person.clone());
        self.state.memory.accounts_open.insert(key.clone());
        let counts = self.state.memory.counts(self.target, self.case, self.now);
        let counted = counts.is_some_and(|entry| entry.kind == WindowKind::Deactivations);
        self.state.accounts.insert(key, AccountOpen { command, counted, done: None });
        let target = self.target.clone();
        self.turn.accounts_open.push(AccountOpenRow { target, source, person: person.clone(), command });
    }

    /// Whether the group was deleted, and is only in the mirror because nobody read the target since.
    fn is_deleted(&mut self, group: &GroupId) -> bool {
        let key = (self.target.clone(), group.clone());
        let Some(at) = self.state.deleted.get(&key) else { return false };
        let lag = self.state.planner.policy().directories.get(self.target).map(|of| of.lag).unwrap_or_default();
        let read = self.state.planner.mirror(self.target).and_then(|mirror| mirror.read_of(&ReadScope::Groups));
        let still_there = read.and_then(|read| read.complete_began_at).is_some_and(|began| began > at.plus(lag));
        if still_there {
            self.state.deleted.remove(&key);
        }
        !still_there
    }

    /// Where the person of an account's case is known from.
    fn source(&self) -> Option<DirectoryId> {
        match &self.case.kind {
            CaseKind::Leaver { source, .. } | CaseKind::Account { source, .. } => Some(source.clone()),
            _ => None,
        }
    }

    fn raise(&mut self, object: String) -> u64 {
        let generation = self.state.raise(self.target, object.clone());
        self.turn.generations.push((self.target.clone(), object, generation));
        generation
    }

    fn may_open(&self, object: &str) -> bool {
        let lane = (self.target.clone(), self.case.lane);
        let free = !self.state.busy.contains(&(self.target.clone(), self.case.lane, object.to_owned()));
        // A revocation never waits for room.
        free && (lane.1 == Lane::Urgent || self.state.pace.get(&lane).is_none_or(dispatch::Pace::has_room))
    }

    /// Makes a command of a step that is not an edge; `None`: its turn comes later.
    fn command(&mut self, body: CommandBody, ids: &mut impl FnMut() -> CommandId) -> Option<CommandId> {
        let (tenant, target) = (self.state.tenant.clone(), self.target.clone());
        let command = Command { id: ids(), tenant, target, lane: self.case.lane, body };
        if !self.may_open(&command.object()) {
            return None;
        }
        let id = command.id;
        self.gone += 1;
        dispatch::issue(self.state, command, self.origin.clone(), self.now, self.turn);
        Some(id)
    }
}

/// Counts a released case in its window unless a person approved it, and says so in the chain if one did.
fn note(state: &mut State, target: &DirectoryId, case: &Case, now: Time, turn: &mut Turn) {
    if state.memory.approvals.get(&case.digest) == Some(&Verdict::Approved) {
        let by = state.verdicts.cases.iter().find(|row| row.digest == case.digest);
        let by = by.map_or_else(String::new, |row| row.actor.clone());
        if state.held.contains_key(&case.digest) {
            turn.audit.push(entry(now, "case.released", target, &case.digest, &by));
            turn.released_cases.push((case.digest, by));
        }
        return;
    }
    let Some(entry) = state.memory.count(target, case, now) else { return };
    let kind = match entry.kind {
        WindowKind::Removals => store::plan::WindowKind::Removals,
        WindowKind::Deactivations => store::plan::WindowKind::Deactivations,
    };
    let person = planner::leaver_of(target, case).map(|(_, source, person)| (source, person));
    turn.windows.push(WindowRow { target: target.clone(), at: now, kind, count: entry.count, person });
}

fn entry(at: Time, verb: &str, target: &DirectoryId, digest: &Digest, cause: &str) -> AuditEntry {
    AuditEntry {
        at,
        actor: ACTOR.to_owned(),
        verb: verb.to_owned(),
        key: format!("{target}/case/{digest}"),
        before: Vec::new(),
        after: digest.0.to_vec(),
        cause: cause.to_owned(),
    }
}

/// Notes which cases wait for a person, where that differs from before.
pub(crate) fn hold(state: &mut State, decision: &Decision, now: Time, turn: &mut Turn) {
    let mut held = BTreeMap::new();
    let mut rows = Vec::new();
    for (target, case) in decision.plan.cases() {
        let case_state = match state.memory.approvals.get(&case.digest) {
            Some(Verdict::Rejected) if !case.held.is_empty() => CaseState::Rejected,
            // Approved, and waiting for facts to be read or for a pause to end: it is still the case that was approved.
            Some(Verdict::Approved) if !case.is_released() || state.is_paused(target) => CaseState::Approved,
            _ if case.held.is_empty() => continue,
            _ => CaseState::Held,
        };
        let before = state.held.get(&case.digest);
        let (since, traceparent) = match before {
            Some(before) => (before.since, before.traceparent.clone()),
            None => (now, runtime::trace::current_traceparent()),
        };
        let why = case.held.clone();
        if held.insert(case.digest, Held { state: case_state, since, traceparent, why }).is_none() {
            rows.push((target, case));
        }
    }
    if held == state.held {
        return;
    }
    tell::held(state, &held, &rows, turn);
    for (target, case) in rows.iter().filter(|(_, case)| !state.held.contains_key(&case.digest)) {
        let guards: Vec<&str> = case.held.iter().map(|held| held.guard.as_str()).collect();
        turn.audit.push(entry(now, "case.held", target, &case.digest, &guards.join(",")));
    }
    let row = |(target, case): (&DirectoryId, &Case)| {
        let Held { state, traceparent, .. } = held.get(&case.digest)?;
        Some(HeldRow {
            digest: case.digest,
            target: target.clone(),
            kind: kind(&case.kind).to_owned(),
            body: serde_json::to_vec(case).unwrap_or_default(),
            state: *state,
            traceparent: traceparent.clone(),
        })
    };
    turn.held = Some(rows.into_iter().filter_map(row).collect());
    state.held = held;
}

/// A case's cause in one word.
const fn kind(kind: &CaseKind) -> &'static str {
    match kind {
        CaseKind::Leaver { .. } => "leaver",
        CaseKind::Create { .. } => "create",
        CaseKind::Conflict { .. } => "conflict",
        CaseKind::Additions { .. } => "additions",
        CaseKind::Removals { .. } => "removals",
        CaseKind::Delete { .. } => "delete",
        CaseKind::Access { .. } => "access",
        CaseKind::Account { .. } => "account",
    }
}
