//! The guards that look at a target as a whole, in the order of DESIGN §6.
//!
//! Reads were judged before (a gap is a wait, not a case), and budgets of one group when its case was made. Here come
//! the budgets over several cases, on the raw difference; questions about lost facts stay on the case beside them; then
//! seats; then what people said. Protection came before everything: what is protected is in no case at all.

mod budgets;
pub(crate) mod holds;
pub(crate) mod protect;
mod seats;

use std::collections::BTreeSet;

use model::{EdgeOp, Seats, Step};
use policy::{Guard, Policy, SyncRule};

use crate::{
    judge::{Draft, Judge},
    state::TargetGroup,
};

/// Lets the guards of the whole target look at the cases, and counts seats.
pub(crate) fn whole_target(judge: &mut Judge<'_>) -> Vec<Seats> {
    budgets::source_shrink(judge);
    budgets::per_plan(judge);
    budgets::windows(judge);
    budgets::deactivations(judge);
    seats::seats(judge)
}

/// The rules that claim a group.
fn rules<'a>(group: &'a TargetGroup, rules: &'a [SyncRule]) -> impl Iterator<Item = &'a SyncRule> {
    group.claims.iter().filter_map(|claim| rules.get(claim.rule))
}

/// How many changes in one direction a group may have in one decision: the narrowest of the rules that claim it.
pub(crate) fn per_group(policy: &Policy, group: &TargetGroup, lead: &SyncRule, op: EdgeOp) -> u64 {
    let limit = |rule: &SyncRule| {
        let budget = match op {
            EdgeOp::Remove => rule.guard.per_group.removals,
            EdgeOp::Add => rule.guard.per_group.additions,
        };
        budget.limit(group.observed)
    };
    rules(group, &policy.rules).map(limit).min().unwrap_or_else(|| limit(lead))
}

/// A limit for the case of one group, given by its folded name: the narrowest of the rules that claim the group. A case
/// of no group goes by what the tenant says.
pub(crate) fn narrowest(judge: &Judge<'_>, key: &str, limit: impl Fn(&Guard) -> u64) -> u64 {
    let group = judge.target.group_of_key(key).and_then(|at| judge.target.at(at));
    let claiming = group.into_iter().flat_map(|group| rules(group, &judge.policy.rules));
    claiming.map(|rule| limit(&rule.guard)).min().unwrap_or_else(|| limit(&judge.policy.guard))
}

/// How many people may leave in a day before this one waits: by the rules of the groups that are left, and by what the
/// tenant says if an account goes.
pub(crate) fn leavers(judge: &Judge<'_>, draft: &Draft, people: u64) -> u64 {
    let limit = |guard: &Guard| guard.per_day.deactivations.limit(people);
    let names = draft.steps.iter().filter_map(|step| match step {
        Step::Edge { edge, .. } => Some(judge.policy.fold_group_name(&judge.target.id, &edge.group_name)),
        _ => None,
    });
    let names: BTreeSet<String> = names.collect();
    let account = draft.steps.iter().any(|step| !matches!(step, Step::Edge { .. }));
    let tenants = (account || names.is_empty()).then(|| limit(&judge.policy.guard));
    names.iter().map(|key| narrowest(judge, key, limit)).chain(tenants).min().unwrap_or_default()
}

/// From which size on a group that would become empty is held: the narrowest of the rules that claim it.
pub(crate) fn emptied_from(group: &TargetGroup, lead: &SyncRule, all: &[SyncRule]) -> u64 {
    rules(group, all).map(|rule| rule.guard.emptied_group_from).min().unwrap_or(lead.guard.emptied_group_from)
}
