//! What a tenant's reconciler remembers, from its rows.
//!
//! Purpose: the reconciler decides from it, and the console explains from it as the reconciler would decide. Rows are
//! PostgreSQL's and the memory is the planner's; neither knows the other, so what stands between them is here, once.
//! Nothing here reads or writes: rows come in, a value goes out.

use std::collections::{BTreeMap, BTreeSet};

use model::{DirectoryId, Time};
use planner::{Confirmed, ConflictDecision, Memory, Pin, PlanHold, Verdict, WindowEntry, WindowKind};
use store::plan::{EdgeKey, MemoryRows, Verdicts};

/// The planner's memory, as the rows have it. What people decided is laid over it ([`lay_over`]); which sources cannot be
/// read now says whoever asks.
pub fn memory(rows: &MemoryRows, now: Time) -> Memory {
    let key = |edge: &EdgeKey| (edge.target.clone(), edge.group.clone(), edge.account.clone());
    let person = |row: &store::plan::PersonLinkRow| (row.source.clone(), row.person.clone(), row.target.clone());
    let pin = |row: &store::plan::PinRow| Pin {
        group: row.group.clone(),
        how: row.how,
        equal_once: row.equal_once,
        source: row.source.clone(),
    };
    let confirmed = |row: &store::plan::ConfirmedRow| Confirmed { present: row.present, at: row.confirmed_at };
    let window = |row: &store::plan::WindowRow| WindowEntry {
        target: row.target.clone(),
        at: row.at,
        kind: match row.kind {
            store::plan::WindowKind::Removals => WindowKind::Removals,
            store::plan::WindowKind::Deactivations => WindowKind::Deactivations,
        },
        count: row.count,
    };
    let counted = |row: &store::plan::WindowRow| {
        let (source, person) = row.person.clone()?;
        Some(((row.target.clone(), source, person), row.at))
    };
    let removing = |row: &store::plan::LeavingRow| {
        Some(((row.target.clone(), row.source.clone(), row.person.clone()), row.removed_at?))
    };
    Memory {
        people: rows.people.iter().map(|row| (person(row), row.account.clone())).collect(),
        pins: rows.pins.iter().map(|row| ((row.target.clone(), row.name.clone()), pin(row))).collect(),
        newcomers: rows.newcomers(now.minus(Memory::NEWCOMER_FOR)).collect(),
        managed: rows.managed.iter().map(|edge| (key(edge), ())).collect(),
        confirmed: rows.confirmed.iter().map(|row| (key(&row.edge), confirmed(row))).collect(),
        released: rows.released.iter().map(|row| (key(&row.edge), row.op)).collect(),
        opening: rows.openings.iter().map(|row| (row.target.clone(), row.name.clone())).collect(),
        accounts_open: rows
            .accounts_open
            .iter()
            .map(|row| (row.target.clone(), row.source.clone(), row.person.clone()))
            .collect(),
        window: rows.windows.iter().map(window).collect(),
        plan_holds: rows
            .plan_holds
            .iter()
            .map(|row| PlanHold { target: row.target.clone(), name: row.name.clone(), op: row.op, guard: row.guard })
            .collect(),
        leaving: rows
            .leaving
            .iter()
            .map(|row| ((row.target.clone(), row.source.clone(), row.person.clone()), row.since))
            .collect(),
        // In the order in which they were counted: the last one stays.
        counted: rows.windows.iter().filter_map(counted).collect(),
        removing: rows.leaving.iter().filter_map(removing).collect(),
        ..Memory::default()
    }
}

/// Lays what people decided over a memory, in the place of what they had decided before: approvals, conflicts, dead
/// letters that are open, and which accounts are our own.
pub fn lay_over(memory: &mut Memory, verdicts: &Verdicts) {
    let said = |approved| if approved { Verdict::Approved } else { Verdict::Rejected };
    memory.approvals = verdicts.cases.iter().map(|row| (row.digest, said(row.approved))).collect();
    memory.conflicts = verdicts
        .conflicts
        .iter()
        .filter_map(|row| {
            let decision = match (row.decision.as_str(), row.until) {
                ("adopt", _) => ConflictDecision::Adopt,
                ("add-only", _) => ConflictDecision::AddOnly,
                ("keep-apart", _) => ConflictDecision::KeepApart,
                ("ignore", until) => ConflictDecision::Ignore { until: until.unwrap_or(Time(i64::MAX)) },
                _ => return None,
            };
            Some(((row.target.clone(), row.group.clone()), decision))
        })
        .collect();
    memory.dead_letters = verdicts.letters.iter().map(|row| (row.target.clone(), row.id, row.fault.clone())).collect();
    let mut own: BTreeMap<DirectoryId, BTreeSet<_>> = BTreeMap::new();
    for (directory, account) in &verdicts.own_accounts {
        own.entry(directory.clone()).or_default().insert(account.clone());
    }
    memory.own_accounts = own;
}
