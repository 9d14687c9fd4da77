//! Commands: chunks of released edges that are still wanted now, one open command for each object in a lane.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    AccountId, Command, CommandBody, CommandId, DirectoryId, DirectoryKind, EdgeChange, EdgeOp, GroupId, Lane, Time,
};
use runtime::spans;
use store::plan::{EdgeKey as EdgeRow, NewCommand, ReleasedRow, Turn};

use crate::{state::State, story::Trace};

/// Most edges in a command to a target that changes a whole group with one call.
const CHUNK: usize = 100;
/// Most edges in a command to a target that takes a call for each.
const CHUNK_OF_CALLS: usize = 25;

/// How much work may be open in one lane of a target. It grows while outcomes come back, and halves when a writer says
/// that something could not be begun in time: a command is a few seconds of work, not a queue.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// Edges and other steps in open commands.
    pub(crate) open: usize,
    /// How many of them there may be.
    pub(crate) most: usize,
    /// When it was halved last.
    halved_at: Time,
}

impl Pace {
    const LEAST: usize = 100;
    const MOST: usize = 50_000;

    /// Whether another command may be opened.
    pub(crate) const fn has_room(&self) -> bool {
        self.open < self.most
    }

    /// A command of this size came back; `late`: some of it was not begun in time, and it was made then. Those that
    /// were under way together tell the same story, which halves once.
    pub(crate) fn learn(&mut self, size: usize, late: Option<Time>, now: Time) {
        self.most = match late {
            Some(made) if made >= self.halved_at => {
                self.halved_at = now;
                self.most / 2
            }
            Some(_) => self.most,
            None => self.most.saturating_add(size),
        };
        self.most = self.most.clamp(Self::LEAST, Self::MOST);
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self { open: 0, most: 500, halved_at: Time::NEVER }
    }
}

/// Makes commands of the edges that wait. What is no longer wanted is dropped; it was a step of a plan, never a promise.
pub(crate) fn commands(state: &mut State, now: Time, turn: &mut Turn, ids: &mut impl FnMut() -> CommandId) {
    let ready: Vec<(DirectoryId, Lane, GroupId)> = state
        .waiting
        .keys()
        .filter(|(target, lane, group)| {
            !state.busy.contains(&(target.clone(), *lane, format!("group/{group}"))) && !state.is_paused(target)
        })
        .cloned()
        .collect();
    let mut traces = BTreeSet::new();
    for (target, lane, group) in ready {
        // A revocation never waits for room.
        let room = lane == Lane::Urgent || state.pace.entry((target.clone(), lane)).or_default().has_room();
        if room {
            traces.append(&mut command(state, &target, lane, &group, now, turn, ids));
        }
    }
    spans::link(&tracing::Span::current(), traces.iter().map(|trace| &**trace));
}

/// Makes one command, if there is anything left to do. Gives the traces of what it is made of.
fn command(
    state: &mut State,
    target: &DirectoryId,
    lane: Lane,
    group: &GroupId,
    now: Time,
    turn: &mut Turn,
    ids: &mut impl FnMut() -> CommandId,
) -> BTreeSet<Trace> {
    let most = chunk(state, target);
    let waiting = state.waiting.get(&(target.clone(), lane, group.clone()));
    // What was released is a while ago: the group may be protected by now, or its rule switched off.
    let wanted = state.planner.still_wanted(&state.memory, target, group);
    let mut chosen: Vec<(EdgeOp, AccountId)> = Vec::new();
    let mut unwanted: Vec<AccountId> = Vec::new();
    for (op, account) in waiting.into_iter().flatten() {
        if chosen.len() == most {
            break;
        }
        if wanted.holds(account, *op) {
            chosen.push((*op, account.clone()));
        } else {
            unwanted.push(account.clone());
        }
    }
    for account in unwanted {
        state.unrelease(&(target.clone(), group.clone(), account.clone()));
        turn.released.retain(|row| (&row.edge.target, &row.edge.group, &row.edge.account) != (target, group, &account));
        turn.unreleased.push(EdgeRow { target: target.clone(), group: group.clone(), account });
    }
    if chosen.is_empty() {
        return BTreeSet::new();
    }
    let generation = state.raise(target, format!("group/{group}"));
    turn.generations.push((target.clone(), format!("group/{group}"), generation));
    let edges = chosen
        .iter()
        .map(|(op, account)| EdgeChange {
            account: account.clone(),
            op: *op,
            person_generation: state.generation(target, &format!("account/{account}")),
        })
        .collect();
    let id = ids();
    let body = CommandBody::Edges { group: group.clone(), generation, edges };
    let command = Command { id, tenant: state.tenant.clone(), target: target.clone(), lane, body };
    let (origin, traces) = take(state, target, group, &chosen, id, now, turn);
    issue(state, command, origin, now, turn);
    traces
}

/// What a command comes of.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The plan that it is of; of several the first.
    pub(crate) plan: u64,
    /// When the oldest change was detected that it is made of.
    pub(crate) detected_at: Time,
    /// The trace in which all of it was released; `None`: they were several, or one that is not known, and it is part of
    /// this turn's.
    pub(crate) trace: Option<Trace>,
}

/// Puts released edges into a command. Gives what it comes of, and all traces in which they were released.
fn take(
    state: &mut State,
    target: &DirectoryId,
    group: &GroupId,
    chosen: &[(EdgeOp, AccountId)],
    id: CommandId,
    now: Time,
    turn: &mut Turn,
) -> (Origin, BTreeSet<Trace>) {
    let (mut plan, mut detected_at, mut traces) = (None, now, BTreeSet::new());
    let mut untraced = false;
    for (_, account) in chosen {
        let key = (target.clone(), group.clone(), account.clone());
        let Some(mut released) = state.unrelease(&key) else { continue };
        released.command = Some(id);
        plan.get_or_insert(released.plan);
        detected_at = detected_at.min(released.detected_at);
        untraced |= released.trace.is_none();
        traces.extend(released.trace.clone());
        let edge = EdgeRow { target: key.0.clone(), group: key.1.clone(), account: key.2.clone() };
        turn.released.push(released.row(edge, now));
        state.release(key, released);
    }
    let alone = traces.first().filter(|_| traces.len() == 1 && !untraced).cloned();
    (Origin { plan: plan.unwrap_or(0), detected_at, trace: alone }, traces)
}

/// Notes a command as open and writes it, with the message that wakes its writer.
pub(crate) fn issue(state: &mut State, command: Command, origin: Origin, now: Time, turn: &mut Turn) {
    let Origin { plan, detected_at, trace } = origin;
    let traceparent = trace.map_or_else(runtime::trace::current_traceparent, |trace| Some(trace.to_string()));
    let generation = match &command.body {
        CommandBody::CreateGroup { .. } => 0,
        CommandBody::DeleteGroup { generation, .. }
        | CommandBody::GrantAccess { generation, .. }
        | CommandBody::Edges { generation, .. }
        | CommandBody::Account { generation, .. } => *generation,
    };
    let message = bus::outgoing::command(&command, traceparent.as_deref());
    let (created_at, detected_at) = (now, Some(detected_at));
    state.opened(command.clone(), created_at);
    turn.commands.push(NewCommand { command, generation, plan, traceparent, created_at, detected_at, message });
}

fn chunk(state: &State, target: &DirectoryId) -> usize {
    let kind = state.planner.policy().directories.get(target).map(|directory| directory.kind);
    if kind == Some(DirectoryKind::AtlassianScim) { CHUNK } else { CHUNK_OF_CALLS }
}

/// A turn may release an edge and put it into a command, or raise an object twice: the last word is what is written.
pub(crate) fn tidy(turn: &mut Turn) {
    let mut last: BTreeMap<(DirectoryId, GroupId, AccountId), ReleasedRow> = BTreeMap::new();
    for row in std::mem::take(&mut turn.released) {
        last.insert((row.edge.target.clone(), row.edge.group.clone(), row.edge.account.clone()), row);
    }
    turn.released = last.into_values().collect();
    let mut generations = BTreeMap::new();
    for (target, object, generation) in std::mem::take(&mut turn.generations) {
        generations.insert((target, object), generation);
    }
    turn.generations =
        generations.into_iter().map(|((target, object), generation)| (target, object, generation)).collect();
    let mut confirmed = BTreeMap::new();
    for row in std::mem::take(&mut turn.confirmed) {
        confirmed.insert(row.edge.clone(), row);
    }
    turn.confirmed = confirmed.into_values().collect();
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::sync::Arc;

    use policy::Policy;
    use store::plan::MemoryRows;

    use super::*;
    use crate::{state::Released, testing::POLICY};

    #[test]
    fn a_command_is_part_of_the_trace_in_which_all_of_it_was_released() {
        let (target, group) = (DirectoryId::new("cloud").unwrap(), GroupId::new("g").unwrap());
        let taken = |traces: &[Option<&str>]| {
            let policy = Arc::new(Policy::parse(POLICY).unwrap());
            let tenant = model::TenantId::new("acme").unwrap();
            let mut state = State::new(tenant, policy, MemoryRows::default(), Time::NEVER);
            let mut chosen = Vec::new();
            for (number, trace) in traces.iter().enumerate() {
                let account = AccountId::new(format!("a{number}")).unwrap();
                let (op, lane, trace) = (EdgeOp::Add, Lane::Normal, trace.map(Trace::from));
                let (plan, detected_at) = (1, Time::from_secs(9));
                let released = Released { op, lane, revocation: false, plan, command: None, detected_at, trace };
                state.release((target.clone(), group.clone(), account.clone()), released);
                chosen.push((op, account));
            }
            let (id, now, mut turn) = (CommandId(uuid::Uuid::from_u128(1)), Time::from_secs(10), Turn::default());
            let (origin, all) = take(&mut state, &target, &group, &chosen, id, now, &mut turn);
            let kept: Vec<Option<String>> =
                turn.released.iter().map(|row| row.traceparent.as_deref().map(str::to_owned)).collect();
            assert_eq!(kept, traces.iter().map(|trace| trace.map(str::to_owned)).collect::<Vec<_>>());
            (origin.trace.map(|trace| trace.to_string()), all.len())
        };
        assert_eq!(taken(&[Some("one"), Some("one")]), (Some("one".to_owned()), 1));
        assert_eq!(taken(&[Some("one"), Some("two")]), (None, 2), "of several it is part of this turn's");
        assert_eq!(taken(&[Some("one"), None]), (None, 1), "and of one that nobody knows");
        assert_eq!(taken(&[None, None]), (None, 0));
    }
}
