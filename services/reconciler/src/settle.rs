//! Outcomes: what writers report is remembered, and what they did not do is free to be decided afresh.

use std::collections::BTreeSet;

use model::{
    Access, AccountChange, AccountId, CommandBody, CommandId, DirectoryId, EdgeOp, GroupId, Link, LinkHow, Outcome,
    Span, StepResult, Time,
};
use planner::{Confirmed, Pin, WindowEntry, WindowKind};
use store::plan::{ConfirmedRow, EdgeKey as EdgeRow, LeavingRow, PersonLinkRow, PinRow, Turn};

use crate::state::{AccountKey, Done, EdgeKey, Open, State};

/// A command is a few seconds of work that begins within half a minute; after this its writer says nothing of it any more.
const ABANDONED_AFTER: Span = Span::from_secs(300);

/// Commands that say of a group that it was there already: whose it is, the ledger of attempts tells.
pub(crate) fn found_groups(outcomes: &[(Outcome, Option<String>)]) -> Vec<CommandId> {
    let found = |outcome: &Outcome| outcome.result == StepResult::AlreadySo && outcome.group.is_some();
    outcomes.iter().filter(|(outcome, _)| found(outcome)).map(|(outcome, _)| outcome.command).collect()
}

/// Takes outcomes in. `unclear`: of the groups that were found, those that an attempt of ours may have made.
pub(crate) fn outcomes(
    state: &mut State,
    outcomes: &[(Outcome, Option<String>)],
    unclear: &BTreeSet<CommandId>,
    turn: &mut Turn,
) {
    for (outcome, _) in outcomes {
        turn.settled.push(outcome.command);
        let Some(open) = state.closed(outcome.command) else { continue };
        let lane = (open.command.target.clone(), open.command.lane);
        let late = outcome.result == StepResult::NotTried
            || outcome.edges.iter().any(|edge| edge.result == StepResult::NotTried);
        let size = crate::state::size(&open.command.body);
        state.pace.entry(lane).or_default().learn(size, late.then_some(open.created_at), outcome.at);
        match &open.command.body {
            CommandBody::Edges { .. } => edges(state, &open, outcome, turn),
            CommandBody::CreateGroup { name, .. } => created(state, &open, name, outcome, unclear, turn),
            CommandBody::Account { .. } => account(state, &open, outcome, turn),
            // The group disappears with the next read of the target.
            CommandBody::DeleteGroup { group, .. } if outcome.result.holds() => {
                state.deleted.insert((open.command.target.clone(), group.clone()), outcome.at);
            }
            CommandBody::GrantAccess { group, access, .. } if outcome.result.holds() => {
                given(state, &open.command.target, (group, access), outcome.at, turn);
            }
            CommandBody::DeleteGroup { .. } | CommandBody::GrantAccess { .. } => {}
        }
    }
}

/// What a group was given is read once the target shows it: until then it is under way.
fn given(state: &mut State, target: &DirectoryId, (group, access): (&GroupId, &Access), at: Time, turn: &mut Turn) {
    let lag = state.planner.policy().directories.get(target).map(|directory| directory.lag).unwrap_or_default();
    turn.wishes.push((target.clone(), format!("group/{group}"), at.plus(lag)));
    state.memory.given.insert((target.clone(), group.clone(), access.clone()), at);
}

/// Closes commands to targets that the policy does not have any more. Their writer let go of them: what was under way has
/// had its outcome long ago, and nobody begins the rest.
pub(crate) fn abandoned(state: &mut State, now: Time, turn: &mut Turn) {
    let has = |target: &DirectoryId| state.planner.policy().directories.contains_key(target);
    let left = |open: &&Open| !has(&open.command.target) && now >= open.created_at.plus(ABANDONED_AFTER);
    let never = |open: &Open| Outcome {
        command: open.command.id,
        tenant: open.command.tenant.clone(),
        target: open.command.target.clone(),
        at: now,
        result: StepResult::NotTried,
        edges: Vec::new(),
        group: None,
        account: None,
        behind: None,
    };
    let closed: Vec<(Outcome, Option<String>)> =
        state.open.values().filter(left).map(|open| (never(open), None)).collect();
    for (outcome, _) in &closed {
        tracing::warn!(
            rollcall.org = state.tenant.as_str(),
            rollcall.site = outcome.target.as_str(),
            command = %outcome.command,
            "a command to a target that the policy does not have any more is closed"
        );
    }
    outcomes(state, &closed, &BTreeSet::new(), turn);
}

fn edges(state: &mut State, open: &Open, outcome: &Outcome, turn: &mut Turn) {
    let CommandBody::Edges { group, edges, .. } = &open.command.body else { return };
    let target = &open.command.target;
    let undone: BTreeSet<&AccountId> =
        outcome.edges.iter().filter(|edge| undone(edge.result)).map(|edge| &edge.account).collect();
    for edge in edges {
        let key = (target.clone(), group.clone(), edge.account.clone());
        if !undone.contains(&edge.account) {
            state.unrelease(&key);
        } else if let Some(again) = state.wait_again(&key) {
            let edge = EdgeRow { target: key.0, group: key.1, account: key.2 };
            turn.released.push(again.row(edge, outcome.at));
        }
    }
    for edge in outcome.edges.iter().filter(|edge| edge.result.holds()) {
        let key: EdgeKey = (target.clone(), edge.group.clone(), edge.account.clone());
        let row = EdgeRow { target: key.0.clone(), group: key.1.clone(), account: key.2.clone() };
        let (present, at) = (edge.op == EdgeOp::Add, edge.confirmed_at.unwrap_or(outcome.at));
        state.memory.confirmed.insert(key.clone(), Confirmed { present, at });
        turn.confirmed.push(ConfirmedRow { edge: row.clone(), present, confirmed_at: at });
        if edge.op == EdgeOp::Remove {
            if state.memory.managed.remove(&key).is_some() {
                turn.unmanaged.push(row);
            }
        // What already was so was somebody else's doing, and is theirs to undo.
        } else if edge.result == StepResult::Done && state.memory.managed.insert(key, ()).is_none() {
            turn.managed.push(row);
        }
    }
}

/// Whether a membership may still be to be changed although nobody is at fault. Decided afresh it would count again in
/// the windows, and what a person approved would wait for a second approval.
const fn undone(result: StepResult) -> bool {
    matches!(result, StepResult::NotTried | StepResult::Unknown)
}

/// A group that was made, or found under its name after an attempt of ours whose end nobody knows, is what we mean by the
/// name from now on. Any other that was found is somebody's, and is met as a conflict.
fn created(
    state: &mut State,
    open: &Open,
    name: &str,
    outcome: &Outcome,
    unclear: &BTreeSet<CommandId>,
    turn: &mut Turn,
) {
    let target = open.command.target.clone();
    let name = state.planner.policy().fold_group_name(&target, name);
    let key = (target, name);
    state.memory.opening.remove(&key);
    let source = state.sources.remove(&key);
    let ours = match outcome.result {
        StepResult::Done => true,
        StepResult::AlreadySo => unclear.contains(&outcome.command),
        _ => false,
    };
    let Some(group) = outcome.group.clone().filter(|_| ours) else { return };
    let pin = Pin { group: group.clone(), how: LinkHow::Created, equal_once: false, source: source.clone() };
    state.memory.pins.insert(key.clone(), pin);
    turn.pins.push(PinRow {
        target: key.0,
        name: key.1,
        group,
        how: LinkHow::Created,
        equal_once: false,
        source,
        pinned_at: outcome.at,
    });
}

/// An account that was changed stays open until it has been read back, or the mirror would ask for the same again.
fn account(state: &mut State, open: &Open, outcome: &Outcome, turn: &mut Turn) {
    let CommandBody::Account { account, person, change, .. } = &open.command.body else { return };
    let target = &open.command.target;
    let found = state.accounts.iter().find(|(_, at)| at.command == open.command.id).map(|(key, _)| key.clone());
    let Some(key) = found else { return };
    let account = outcome.account.clone().or_else(|| account.clone());
    if !outcome.result.holds() {
        let counted = state.accounts.get(&key).is_some_and(|open| open.counted);
        if counted && outcome.result == StepResult::NotTried {
            give_back(state, &key, turn);
        }
        return close(state, &key, turn);
    }
    if let Some(account) = &account {
        let (source, at) = (key.1.clone(), outcome.at);
        let made = matches!(change, AccountChange::Create { .. });
        if made {
            state.memory.made_account(target, &source, person, at);
        }
        let link = (source.clone(), person.clone(), target.clone());
        if state.memory.people.get(&link) != Some(account) {
            state.memory.people.insert(link, account.clone());
            turn.links.push(PersonLinkRow {
                source,
                person: person.clone(),
                target: target.clone(),
                account: account.clone(),
                behind: outcome.behind.clone(),
                // Only who is linked as created is a newcomer.
                how: if made { LinkHow::Created } else { LinkHow::Email },
                linked_at: at,
            });
        }
    }
    if matches!(change, AccountChange::Remove) {
        state.memory.removing.insert(key.clone(), outcome.at);
        turn.leaving = Some(leavers(state));
    }
    let lag = state.planner.policy().directories.get(target).map(|directory| directory.lag).unwrap_or_default();
    if let Some(at) = state.accounts.get_mut(&key) {
        at.done = Some(Done { account, after: outcome.at.plus(lag) });
    }
}

/// A deactivation that was not tried counts no longer: it is decided afresh, and counts then.
fn give_back(state: &mut State, key: &AccountKey, turn: &mut Turn) {
    let Some(at) = state.memory.counted.remove(key) else { return };
    let window = &mut state.memory.window;
    let is_theirs =
        |entry: &WindowEntry| entry.target == key.0 && entry.kind == WindowKind::Deactivations && entry.at == at;
    if let Some(place) = window.iter().rposition(is_theirs) {
        window.remove(place);
    }
    turn.windows_back.push(key.clone());
}

/// An account is free to be decided about again.
pub(crate) fn close(state: &mut State, key: &AccountKey, turn: &mut Turn) {
    state.memory.accounts_open.remove(key);
    if let Some(open) = state.accounts.remove(key) {
        let (target, source, person) = key.clone();
        turn.accounts_closed.push(store::plan::AccountOpenRow { target, source, person, command: open.command });
    }
}

/// Notes what a decision learned: links and pins that differ from before.
pub(crate) fn learn(state: &mut State, decision: &planner::Decision, now: Time, turn: &mut Turn) {
    let mut people = Vec::new();
    let mut names = Vec::new();
    for target in &decision.plan.body.targets {
        for link in &target.links {
            match link {
                Link::Person { source, person, account, how } => {
                    let key = (source.clone(), person.clone(), target.target.clone());
                    if state.memory.people.get(&key) != Some(account) {
                        people.push((key, account.clone(), *how));
                    }
                }
                Link::Group { name, .. } => {
                    let key = (target.target.clone(), name.clone());
                    names.push((state.memory.pins.get(&key).cloned(), key));
                }
            }
        }
    }
    let (holds, leaving) = (state.memory.plan_holds.clone(), state.memory.leaving.clone());
    state.memory.learn(decision);
    for ((source, person, target), account, how) in people {
        turn.links.push(PersonLinkRow { source, person, target, account, behind: None, how, linked_at: now });
    }
    for (before, key) in names {
        let Some(pin) = state.memory.pins.get(&key).filter(|pin| before.as_ref() != Some(*pin)) else { continue };
        turn.pins.push(PinRow {
            target: key.0,
            name: key.1,
            group: pin.group.clone(),
            how: pin.how,
            equal_once: pin.equal_once,
            source: pin.source.clone(),
            pinned_at: now,
        });
    }
    if holds != state.memory.plan_holds {
        let row = |hold: &planner::PlanHold| store::plan::PlanHoldRow {
            target: hold.target.clone(),
            name: hold.name.clone(),
            op: hold.op,
            guard: hold.guard,
        };
        turn.plan_holds = Some(state.memory.plan_holds.iter().map(row).collect());
    }
    if leaving != state.memory.leaving {
        turn.leaving = Some(leavers(state));
    }
}

/// Who is leaving, as rows.
fn leavers(state: &State) -> Vec<LeavingRow> {
    let row = |(key, since): (&AccountKey, &Time)| {
        let removed_at = state.memory.removing.get(key).copied();
        let (target, source, person) = key.clone();
        LeavingRow { target, source, person, since: *since, removed_at }
    };
    state.memory.leaving.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::sync::Arc;

    use model::{Command, EdgeChange, GroupId, Lane, TenantId};
    use policy::Policy;
    use store::plan::MemoryRows;

    use super::*;
    use crate::{state::Released, testing::POLICY};

    #[test]
    fn commands_to_a_target_that_is_gone_are_closed_when_nobody_can_be_at_them_any_more() {
        let tenant = TenantId::new("acme").unwrap();
        let policy = Arc::new(Policy::parse(POLICY).unwrap());
        let mut state = State::new(tenant.clone(), policy, MemoryRows::default(), Time::NEVER);
        let (group, account) = (GroupId::new("g").unwrap(), AccountId::new("a").unwrap());
        for (number, target) in [(1, "cloud"), (2, "gone")] {
            let (id, target) = (CommandId(uuid::Uuid::from_u128(number)), DirectoryId::new(target).unwrap());
            let change = EdgeChange { account: account.clone(), op: EdgeOp::Add, person_generation: 0 };
            let body = CommandBody::Edges { group: group.clone(), generation: 1, edges: vec![change] };
            state.opened(
                Command { id, tenant: tenant.clone(), target: target.clone(), lane: Lane::Normal, body },
                Time::from_secs(1_000),
            );
            let (op, lane, detected_at) = (EdgeOp::Add, Lane::Normal, Time::from_secs(1_000));
            let (command, trace) = (Some(id), None);
            let released = Released { op, lane, revocation: false, plan: 1, command, detected_at, trace };
            state.release((target, group.clone(), account.clone()), released);
        }
        let mut turn = Turn::default();
        abandoned(&mut state, Time::from_secs(1_299), &mut turn);
        assert_eq!((turn.settled.len(), state.open.len()), (0, 2), "its writer may still be at it");
        abandoned(&mut state, Time::from_secs(1_300), &mut turn);
        assert_eq!(turn.settled, [CommandId(uuid::Uuid::from_u128(2))]);
        let left: Vec<&str> = state.released.keys().map(|(target, _, _)| target.as_str()).collect();
        assert_eq!((left, state.open.len()), (vec!["cloud"], 1));
    }
}
