//! The guards that look at a target as a whole, in the order of DESIGN §6.
//!
//! Reads were judged before (a gap is a wait, not a case), and budgets of one group when its case was made. Here come
//! the budgets over several cases, on the raw difference; questions about lost facts stay on the case beside them; then
//! seats; then what people said. Protection came before everything: what is protected is in no case at all.

mod budgets;
pub(crate) mod holds;
pub(crate) mod protect;
mod seats;

use model::{EdgeOp, Seats};
use policy::{Policy, SyncRule};

use crate::{judge::Judge, state::TargetGroup};

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

/// From which size on a group that would become empty is held: the narrowest of the rules that claim it.
pub(crate) fn emptied_from(group: &TargetGroup, lead: &SyncRule, all: &[SyncRule]) -> u64 {
    rules(group, all).map(|rule| rule.guard.emptied_group_from).min().unwrap_or(lead.guard.emptied_group_from)
}
