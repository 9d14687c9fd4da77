//! What operators are told in the log: that a plan is proposed, what waits for a person, what became stale.

use std::collections::{BTreeMap, BTreeSet};

use model::{Case, CaseKind, Digest, DirectoryId, GroupId};
use runtime::events;
use store::plan::{CaseState, Turn};

use crate::{
    decide::Summary,
    state::{Held, State},
};

/// A plan that says something else than the last one. While changes flow there are many a second, each found
/// by its commands; what waits for a person is worth a line.
pub(crate) fn proposed(state: &State, number: u64, summary: &Summary) {
    let org = state.tenant.as_str();
    let Summary { cases, held, additions, removals, steps, refusals, waits } = *summary;
    if held > 0 || refusals > 0 {
        tracing::info!(
            event.name = events::PLAN_PROPOSED,
            rollcall.org = org,
            rollcall.plan.id = number,
            cases,
            held,
            additions,
            removals,
            steps,
            refusals,
            waits,
            "a plan of which not everything goes by itself"
        );
    } else {
        tracing::debug!(
            event.name = events::PLAN_PROPOSED,
            rollcall.org = org,
            rollcall.plan.id = number,
            cases,
            held,
            additions,
            removals,
            steps,
            refusals,
            waits,
            "a plan"
        );
    }
}

/// What is held from now on, and was not; what was, and is not.
pub(crate) fn held(state: &mut State, now: &BTreeMap<Digest, Held>, rows: &[(&DirectoryId, &Case)], turn: &Turn) {
    let org = state.tenant.clone();
    for (target, case) in rows.iter().filter(|(_, case)| !state.held.contains_key(&case.digest)) {
        let guards: Vec<&str> = case.held.iter().map(|held| held.guard.as_str()).collect();
        tracing::info!(
            event.name = events::GUARD_HELD,
            rollcall.org = org.as_str(),
            rollcall.site = target.as_str(),
            case = case.digest.short(),
            guards = guards.join(","),
            steps = case.steps.len(),
            "a case waits for a person"
        );
    }
    conflicts(state, rows);
    for (digest, _) in
        state.held.iter().filter(|(digest, was)| was.state == CaseState::Approved && !now.contains_key(*digest))
    {
        if turn.released_cases.iter().all(|(released, _)| released != digest) {
            tracing::info!(
                event.name = events::PLAN_STALE,
                rollcall.org = org.as_str(),
                case = digest.short(),
                "what was approved is no longer what would be done: it does not go"
            );
        }
    }
}

fn conflicts(state: &mut State, rows: &[(&DirectoryId, &Case)]) {
    let mut open: BTreeSet<(DirectoryId, GroupId)> = BTreeSet::new();
    for (target, case) in rows {
        let CaseKind::Conflict { group, .. } = &case.kind else { continue };
        let key = ((*target).clone(), group.clone());
        // What waited before we came was told then.
        if !state.conflicts.contains(&key) && !state.held.contains_key(&case.digest) {
            tracing::info!(
                event.name = events::CONFLICT_OPENED,
                rollcall.org = state.tenant.as_str(),
                rollcall.site = target.as_str(),
                group = group.as_str(),
                "a group that was there before waits for a decision"
            );
        }
        open.insert(key);
    }
    for (target, group) in state.conflicts.difference(&open) {
        tracing::info!(
            event.name = events::CONFLICT_RESOLVED,
            rollcall.org = state.tenant.as_str(),
            rollcall.site = target.as_str(),
            group = group.as_str(),
            "a group that was in conflict waits no more"
        );
    }
    state.conflicts = open;
}
