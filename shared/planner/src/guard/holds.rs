//! Holds that are remembered.
//!
//! Most guards measure what is wanted now, and hold for as long as that is too much. Three compare with a base that
//! moves on by itself: the rows of the read before, which the next read equalises; the size of a group, which falls as
//! leavers go; all that one sweep found, which an event does not see. What those found is remembered by group,
//! direction and guard. `per_plan` judges anew after each sweep; the other two hold until a person approves what is
//! left, or until it is seen that nothing is.

use std::collections::BTreeSet;

use model::{EdgeOp, GuardName};

use crate::{
    Occasion, PlanHold,
    judge::Judge,
    state::{Bound, TargetGroup},
};

/// What was held before and still is, whatever its guard would find now.
pub(crate) fn carried(judge: &Judge<'_>) -> BTreeSet<PlanHold> {
    let here = judge.memory.plan_holds.iter().filter(|hold| hold.target == judge.target.id);
    here.filter(|hold| still_stands(judge, hold)).cloned().collect()
}

/// The hold that this guard lays on removals from a group.
pub(crate) fn of_removals(judge: &Judge<'_>, key: &str, guard: GuardName) -> PlanHold {
    PlanHold { target: judge.target.id.clone(), name: key.to_owned(), op: EdgeOp::Remove, guard }
}

/// Only what is seen lets go: a group that cannot be looked at, or that no rule claims now, stays held.
fn still_stands(judge: &Judge<'_>, hold: &PlanHold) -> bool {
    match hold.guard {
        GuardName::SourceShrink | GuardName::EmptiedGroup => {
            let group = judge.target.group_of_key(&hold.name).and_then(|at| judge.target.at(at));
            let Some(group) = group.filter(|group| !group.is_nobodys()) else { return true };
            let Some(slot) = seen(group) else { return true };
            let wanted = group.removes.iter().any(|account| !judge.is_under_way(slot, *account));
            wanted && (hold.guard != GuardName::EmptiedGroup || left(group) == 0)
        }
        _ => judge.occasion == Occasion::Event,
    }
}

/// How many members a group would have once everything wanted was done.
pub(crate) fn left(group: &TargetGroup) -> u64 {
    group.observed.saturating_add(group.adds.len() as u64).saturating_sub(group.removes.len() as u64)
}

/// The group at the target that the difference was taken with, if there is one.
fn seen(group: &TargetGroup) -> Option<u32> {
    match group.bound {
        Bound::Pinned(slot) | Bound::Adopted(slot) | Bound::Found(slot) => Some(slot),
        Bound::Unread | Bound::Missing | Bound::Lost(_) | Bound::Ambiguous(_) => None,
    }
}
