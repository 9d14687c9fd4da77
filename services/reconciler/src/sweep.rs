//! Upkeep, at every tick: the policy file, what is shown, what has become old.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use model::{Digest, DirectoryId, Group, Seats, Span, Time};
use planner::{Decision, sync_state::SyncState};
use policy::{Policy, Schedule, policy_shrink};
use runtime::{
    events,
    metrics::{DeadLetters, Metrics},
};
use store::audit::AuditEntry;
use store::plan::{CaseState, PolicyRow, PolicyState, Turn};
use store::{Lease, Store, StoreError};

use crate::{
    gate::ACTOR,
    policy_file::{self, Loaded, Look},
    state::State,
    turn,
};

/// A policy that would stop managing more than this share of the groups waits for a person.
const SHRINK_PERCENT: u64 = 10;

/// The policy file of a tenant, and what was last judged of it.
#[derive(Debug)]
pub(crate) struct PolicyWatch {
    pub(crate) seen: Digest,
    /// A policy that waits for a person, because it would stop managing too much.
    pub(crate) waiting: Option<Loaded>,
}

/// Looks at the policy file and takes another policy over if it can be right and does not stop managing too much. Says
/// whether it did.
pub(crate) async fn policy(
    store: &Store,
    state: &mut State,
    watch: &mut PolicyWatch,
    file: &Path,
    now: Time,
) -> Result<bool, StoreError> {
    match policy_file::look(file, watch.seen) {
        Look::Same => {}
        Look::Wrong(hash, problems) => {
            watch.seen = hash;
            watch.waiting = None;
            tracing::error!(event.name = "rollcall.policy.refused", rollcall.org = state.tenant.as_str(), %problems,
                "the policy file cannot be right; the running policy stays");
            let note = "cannot be right".to_owned();
            let row = PolicyRow { hash, body: String::new(), loaded_at: now, state: PolicyState::Refused, note };
            store.keep_policy(&state.tenant, &row, &[]).await?;
        }
        Look::New(loaded) => {
            watch.seen = loaded.policy.hash;
            watch.waiting = Some(*loaded);
        }
    }
    let Some(loaded) = watch.waiting.take() else { return Ok(false) };
    if loaded.policy.tenant != state.tenant {
        tracing::error!(
            rollcall.org = state.tenant.as_str(),
            "the policy file names another tenant; the running policy stays"
        );
        return Ok(false);
    }
    let approved = state.verdicts.cases.iter().any(|row| row.digest == loaded.policy.hash && row.approved);
    let lost = shrink(state, &loaded.policy);
    // Of the groups that are there now: as groups go, less of them is lost. What was held once needs a person's word.
    let was_held = store.policy(&state.tenant, loaded.policy.hash).await?;
    let was_held = was_held.is_some_and(|row| row.state == PolicyState::Held);
    if (lost > SHRINK_PERCENT || (was_held && lost > 0)) && !approved {
        if !was_held {
            hold(store, state, &loaded, lost, now).await?;
        }
        watch.waiting = Some(loaded);
        return Ok(false);
    }
    take_over(store, state, loaded, now).await?;
    Ok(true)
}

/// The share of managed groups that another policy would no longer manage.
pub(crate) fn shrink(state: &State, new: &Policy) -> u64 {
    let old = state.planner.policy();
    let live = |row: &&model::GroupRow| row.gone_at.is_none();
    let groups: Vec<(&model::DirectoryId, &Group)> = state
        .planner
        .mirrors()
        .flat_map(|mirror| mirror.groups().filter(live).map(move |row| (mirror.directory(), &row.group)))
        .collect();
    policy_shrink(old, new, groups)
}

async fn hold(store: &Store, state: &State, loaded: &Loaded, lost: u64, now: Time) -> Result<(), StoreError> {
    let hash = loaded.policy.hash;
    tracing::warn!(
        event.name = events::GUARD_HELD,
        rollcall.org = state.tenant.as_str(),
        policy = hash.short(),
        lost,
        "the new policy would stop managing {lost} % of the groups; it waits for a person (policy-shrink)"
    );
    let note = format!("would stop managing {lost} % of the groups");
    let body = loaded.text.clone();
    let row = PolicyRow { hash, body, loaded_at: now, state: PolicyState::Held, note };
    store.keep_policy(&state.tenant, &row, &[audit(now, "policy.held", hash)]).await
}

async fn take_over(store: &Store, state: &mut State, loaded: Loaded, now: Time) -> Result<(), StoreError> {
    let hash = loaded.policy.hash;
    let row = PolicyRow { hash, body: loaded.text, loaded_at: now, state: PolicyState::Loaded, note: String::new() };
    store.keep_policy(&state.tenant, &row, &[audit(now, "policy.loaded", hash)]).await?;
    tracing::info!(
        event.name = "rollcall.policy.loaded",
        rollcall.org = state.tenant.as_str(),
        policy = hash.short(),
        "another policy is in force"
    );
    let policy = Arc::new(loaded.policy);
    state.planner.set_policy(Arc::clone(&policy));
    // The planner let go of the others' mirrors: if one of them is named again, all its rows are read anew.
    state.directories.retain(|directory, _| policy.directories.contains_key(directory));
    Ok(())
}

pub(crate) fn audit(at: Time, verb: &str, hash: Digest) -> AuditEntry {
    AuditEntry {
        at,
        actor: ACTOR.to_owned(),
        verb: verb.to_owned(),
        key: format!("policy/{hash}"),
        before: Vec::new(),
        after: hash.0.to_vec(),
        cause: String::new(),
    }
}

/// Whether something new may go now. `asked`: a person asked for it a short while ago.
pub(crate) fn is_due(schedule: &Schedule, last: &mut Option<Time>, now: Time, asked: bool) -> bool {
    match schedule {
        Schedule::Continuous => true,
        Schedule::Manual => asked,
        Schedule::Cron(cron) => {
            let since = *last.get_or_insert(now);
            let due = asked || cron.next(since).is_some_and(|next| next <= now);
            if due {
                *last = Some(now);
            }
            due
        }
    }
}

/// Says how every target stands: metrics, and rows for whoever shows it. `decided`: the last decision, and whether the
/// second opinion agreed; while it does not, nothing is in sync, whatever the digests say.
pub(crate) async fn report(
    store: &Store,
    lease: &Lease,
    state: &mut State,
    (decision, agreed): (&Decision, bool),
    metrics: &Metrics,
    now: Time,
) -> Result<(), StoreError> {
    state.memory.forget_windows(now);
    state.forget_stories();
    let org = state.tenant.to_string();
    let mut said = Turn { at: now, ..Turn::default() };
    for (directory, stand) in stands(state, decision, agreed) {
        metrics.drift_objects(&org, directory.as_str(), "group", stand.drifted.len() as u64);
        let body = serde_json::to_string(&stand).unwrap_or_default();
        if state.sync_said.get(&directory) != Some(&body) {
            state.sync_said.insert(directory.clone(), body.clone());
            said.sync_states.push((directory, body));
        }
    }
    if agreed {
        holds(state, decision, metrics, &org);
    }
    let oldest = state.open.values().map(|open| open.created_at).min();
    let age = oldest.map_or(Span::ZERO, |at| at.until(now));
    metrics.oldest_pending_age(&org, "command", age.to_std());
    let waits = state.held.values().filter(|held| held.state == CaseState::Held).map(|held| held.since).min();
    metrics.oldest_pending_age(&org, "approval", waits.map_or(Span::ZERO, |since| since.until(now)).to_std());
    for (site, seats) in &decision.seats {
        let Seats { product, limit, used, gained, freed } = seats;
        metrics.seats(&org, site.as_str(), product, [*used, *gained, *freed]);
        metrics.seats_limit(&org, site.as_str(), product, *limit);
    }
    letters(state, metrics, &org, now);
    state.fresh.tell(&org, &state.planner, metrics, now);
    if turn::says_something(&said) {
        turn::commit(store, lease, state, &said).await?;
    }
    Ok(())
}

/// How every target stands after a decision with which the second opinion agreed, or did not.
fn stands(state: &mut State, decision: &Decision, agreed: bool) -> BTreeMap<DirectoryId, SyncState> {
    let stands = state.planner.sync_state(&state.memory, decision);
    if agreed { stands } else { stands.into_iter().map(|(target, stand)| (target, stand.refused())).collect() }
}

/// What waits for people: cases and edges by guard, groups in conflict by target. A case that somebody rejected waits for
/// nobody.
fn holds(state: &State, decision: &Decision, metrics: &Metrics, org: &str) {
    let (mut cases, mut edges): (BTreeMap<&str, u64>, BTreeMap<&str, u64>) = Default::default();
    let targets = state.planner.policy().rules.iter().flat_map(|rule| &rule.to);
    // A target without any says so, or its last conflict would stay for ever.
    let mut conflicts: BTreeMap<&str, u64> = targets.map(|target| (target.as_str(), 0)).collect();
    let rejected: BTreeSet<Digest> =
        state.verdicts.cases.iter().filter(|verdict| !verdict.approved).map(|verdict| verdict.digest).collect();
    for (target, case) in decision.plan.cases() {
        if rejected.contains(&case.digest) {
            continue;
        }
        for held in &case.held {
            *cases.entry(held.guard.as_str()).or_default() += 1;
            *edges.entry(held.guard.as_str()).or_default() += case.steps.len() as u64;
        }
        if matches!(case.kind, model::CaseKind::Conflict { .. }) {
            *conflicts.entry(target.as_str()).or_default() += 1;
        }
    }
    metrics.plan_pending_approvals(org, &cases.into_iter().collect::<Vec<_>>());
    metrics.guard_holding(org, &edges.into_iter().collect::<Vec<_>>());
    for (site, count) in conflicts {
        metrics.conflicts_open(org, site, &[("existing", count)]);
    }
}

fn letters(state: &State, metrics: &Metrics, org: &str, now: Time) {
    let mut by_class: BTreeMap<&str, (u64, Span)> = BTreeMap::new();
    for letter in &state.verdicts.letters {
        let (messages, oldest) = by_class.entry(letter.class.as_str()).or_default();
        *messages += 1;
        *oldest = (*oldest).max(letter.first_at.until(now));
    }
    let row = |(reason, (messages, oldest)): (&str, (u64, Span))| DeadLetters {
        reason: reason.to_owned(),
        messages,
        oldest_age: oldest.to_std(),
    };
    let rows: Vec<DeadLetters> = by_class.into_iter().map(row).collect();
    metrics.dead_letters(org, &rows);
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use model::{Reading, Snapshot, TenantId};
    use planner::{Occasion, sync_state::WhyNot};
    use store::plan::MemoryRows;

    use super::*;
    use crate::testing::POLICY;

    #[test]
    fn while_the_second_opinion_refuses_nothing_is_in_sync() {
        let (tenant, now) = (TenantId::new("acme").unwrap(), Time::from_secs(9));
        let mut state = State::new(tenant, Arc::new(Policy::parse(POLICY).unwrap()), MemoryRows::default(), now);
        for id in ["workspace", "cloud"] {
            let mut reading = Reading::begun(now);
            (reading.users.complete, reading.groups.complete) = (true, true);
            state.planner.apply(&Snapshot::new(DirectoryId::new(id).unwrap()).observe(&reading));
        }
        let decision = state.planner.decide(&state.memory, now, Occasion::Event);
        let cloud = DirectoryId::new("cloud").unwrap();
        assert!(stands(&mut state, &decision, true)[&cloud].in_sync);
        let refused = stands(&mut state, &decision, false)[&cloud].clone();
        assert!(!refused.in_sync && refused.why_not.contains(&WhyNot::Refused));
    }
}
