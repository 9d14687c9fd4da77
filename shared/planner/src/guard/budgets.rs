//! Budgets over several cases of one target.

use std::collections::BTreeSet;

use model::{CaseKind, EdgeOp, GuardName, GuardVerdict, Span, Time};
use policy::Guard;

use crate::{
    Occasion, PlanHold, WindowKind,
    guard::{self, holds},
    judge::{Draft, Judge},
    memory::DAY,
    mirror::Mirror,
};

const WEEK: Span = Span::from_secs(7 * 24 * 60 * 60);

/// Holds every removal whose source itself lost much since the sweep before, and whatever was held for that once: the
/// next sweep finds nothing lost any more, and says nothing about whether the loss was meant. A leaver is held up by
/// nothing but the budget of deactivations.
pub(super) fn source_shrink(judge: &mut Judge<'_>) {
    let least = judge.policy.guard.emptied_group_from;
    let shrunk: Vec<Option<(u64, u64)>> = judge.mirrors.iter().map(|mirror| shrinkage(mirror, least)).collect();
    let worst = |sources: &BTreeSet<usize>| {
        let lost = sources.iter().filter_map(|source| *shrunk.get(*source)?);
        lost.max_by_key(|(lost, before)| lost * 10_000 / before.max(&1))
    };
    let limit_of = |judge: &Judge<'_>, key: &str| guard::narrowest(judge, key, |guard| guard.source_shrink_percent);
    let too_much = |(lost, before): (u64, u64), limit: u64| lost * 100 > before * limit;
    // What cannot be judged yet was lost in the same blow.
    for (key, sources) in std::mem::take(&mut judge.out.undecided) {
        let limit = limit_of(judge, &key);
        if worst(&sources).is_some_and(|lost| too_much(lost, limit)) {
            let hold = holds::of_removals(judge, &key, GuardName::SourceShrink);
            judge.out.plan_holds.insert(hold);
        }
    }
    let mut drafts = std::mem::take(&mut judge.out.drafts);
    for draft in drafts.iter_mut().filter(|draft| draft.removals > 0) {
        let (lost, limit) = (worst(&draft.sources), limit_of(judge, &draft.key));
        if let Some((lost, before)) = lost {
            let found = (lost * 100).div_ceil(before.max(1));
            draft.guards.push(GuardVerdict { guard: GuardName::SourceShrink, found, limit });
        }
        let hold = holds::of_removals(judge, &draft.key, GuardName::SourceShrink);
        if let Some((lost, before)) = lost.filter(|lost| too_much(*lost, limit)) {
            draft.hold(hold.guard, format!("the source lost {lost} of {before} rows since it was read before"));
            judge.out.plan_holds.insert(hold);
        } else if judge.out.plan_holds.contains(&hold) {
            draft.hold(hold.guard, "held since the source lost much at once; it did not come back".to_owned());
        }
    }
    judge.out.drafts = drafts;
}

/// How many rows the last complete reads of a source lost, and of how many: users, groups or memberships, whichever
/// lost the larger share. A loss that is smaller than a small group is no sign of anything.
fn shrinkage(mirror: &Mirror, least: u64) -> Option<(u64, u64)> {
    let (users, groups) = (mirror.users_read(), mirror.groups_read());
    let members = mirror.member_rows();
    let scopes = [(users.rows, users.rows_before), (groups.rows, groups.rows_before), members];
    let lost = scopes.into_iter().map(|(now, before)| (before.saturating_sub(now), before));
    lost.filter(|(lost, before)| *lost >= least.max(1) && *before > 0)
        .max_by_key(|(lost, before)| lost * 10_000 / before)
}

/// Judges what a one-shot run, or the first decision after a sweep, would change altogether; and keeps held, between
/// sweeps, what was held then.
pub(super) fn per_plan(judge: &mut Judge<'_>) {
    for (op, guard) in [(EdgeOp::Remove, GuardName::PerPlanRemovals), (EdgeOp::Add, GuardName::PerPlanAdditions)] {
        let base = judge.target.observed;
        let limit_of = |guard: &Guard| {
            let budgets = &guard.per_plan;
            if op == EdgeOp::Remove { budgets.removals.limit(base) } else { budgets.additions.limit(base) }
        };
        let counted = |draft: &Draft| if op == EdgeOp::Remove { draft.removals } else { draft.additions };
        let target = judge.target.id.clone();
        let hold_of = |draft: &Draft| PlanHold { target: target.clone(), name: draft.key.clone(), op, guard };
        let total: u64 = judge.out.drafts.iter().filter(|draft| draft.counts()).map(&counted).sum();
        let judged = judge.occasion != Occasion::Event;
        let mut drafts = std::mem::take(&mut judge.out.drafts);
        for draft in drafts.iter_mut().filter(|draft| draft.counts() && counted(draft) > 0) {
            let limit = guard::narrowest(judge, &draft.key, limit_of);
            if judged {
                draft.guards.push(GuardVerdict { guard, found: total, limit });
            }
            let held = if judged { total > limit } else { judge.out.plan_holds.contains(&hold_of(draft)) };
            if held {
                let reason = if judged {
                    format!("{total} changes in this direction at once, {limit} allowed")
                } else {
                    "held since the last sweep, with everything that it found in this direction".to_owned()
                };
                draft.hold(guard, reason);
                judge.out.plan_holds.insert(hold_of(draft));
            }
        }
        judge.out.drafts = drafts;
    }
}

/// Sliding windows: what was released without approval, then these cases, the smallest first. Each case goes by the
/// limits of its own rules; what is counted is the target's.
pub(super) fn windows(judge: &mut Judge<'_>) {
    let base = judge.target.observed;
    let used = |span: Span| {
        let since: Time = judge.now.minus(span);
        judge.memory.released_since(&judge.target.id, WindowKind::Removals, since)
    };
    let (of_day, of_week) = (used(DAY), used(WEEK));
    let mut windows: [(GuardName, u64, &str); 2] =
        [(GuardName::PerDayRemovals, of_day, "a day"), (GuardName::PerWeekRemovals, of_week, "a week")];
    for at in smallest_first(&judge.out.drafts, |draft| draft.removals) {
        let Some(key) = judge.out.drafts.get(at).map(|draft| draft.key.as_str()) else { continue };
        let limits = [
            guard::narrowest(judge, key, |guard| guard.per_day.removals.limit(base + of_day)),
            guard::narrowest(judge, key, |guard| guard.per_week.removals.limit(base + of_week)),
        ];
        let Some(draft) = judge.out.drafts.get_mut(at) else { continue };
        let count = draft.removals;
        let fits = windows.iter().zip(limits).all(|((_, used, _), limit)| used.saturating_add(count) <= limit);
        for ((guard, used, window), limit) in windows.iter_mut().zip(limits) {
            draft.measure(*guard, used.saturating_add(count), limit, &["removals in ", window]);
            if fits {
                *used = used.saturating_add(count);
            }
        }
    }
}

/// People taken out of everything, each counted once however many groups that is.
pub(super) fn deactivations(judge: &mut Judge<'_>) {
    let since = judge.now.minus(DAY);
    let mut used = judge.memory.released_since(&judge.target.id, WindowKind::Deactivations, since);
    let mirror = judge.target.mirror;
    let people = judge.pairings.iter().filter(|pairing| pairing.target == mirror).map(|pairing| pairing.paired).sum();
    let is_leaver = |draft: &Draft| u64::from(matches!(draft.kind, CaseKind::Leaver { .. }));
    for at in smallest_first(&judge.out.drafts, is_leaver) {
        let Some(limit) = judge.out.drafts.get(at).map(|draft| guard::leavers(judge, draft, people)) else { continue };
        // The second half of somebody's way out is the same person's.
        let is_counted = judge.out.drafts.get(at).is_some_and(|draft| match &draft.kind {
            CaseKind::Leaver { source, person } => {
                let key = (judge.target.id.clone(), source.clone(), person.clone());
                judge.memory.is_counted(&key, judge.now)
            }
            _ => false,
        });
        if is_counted {
            continue;
        }
        let Some(draft) = judge.out.drafts.get_mut(at) else { continue };
        draft.measure(GuardName::PerDayDeactivations, used + 1, limit, &["people in a day"]);
        if used < limit {
            used += 1;
        }
    }
}

/// The cases that budgets count, the smallest first, else in their canonical order.
fn smallest_first(drafts: &[Draft], count: impl Fn(&Draft) -> u64) -> Vec<usize> {
    let counted = drafts.iter().enumerate().filter(|(_, draft)| draft.counts() && count(draft) > 0);
    let mut order: Vec<(u64, usize, usize)> =
        counted.map(|(at, draft)| (count(draft), draft.steps.len(), at)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, _, at)| at).collect()
}
