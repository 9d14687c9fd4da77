//! A whole plan of a large tenant from its mirrors, beside the bare merge of the same two sets of numbers: who is wanted
//! once nested groups are opened, and who is there.

use std::{cmp::Ordering, time::Instant};

use anyhow::{Result, ensure};
use model::Time;
use planner::Occasion;

use crate::{
    machine::{best, figure, memory, millis},
    report::Report,
    tenant::{self, Tenant},
};

const ROUNDS: usize = 10;

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let tenant = Tenant::new();
    let bare = best(ROUNDS, || {
        let started = Instant::now();
        let differing: usize = tenant.wanted.iter().zip(&tenant.observed).map(|(a, b)| differing(a, b)).sum();
        ensure!(differing > 0, "nothing differs, so nothing is measured");
        Ok(millis(started))
    })?;
    let started = Instant::now();
    let (mut planner, policy) = tenant.planner()?;
    let loading = millis(started);
    let remembered = tenant::memory()?;
    let now = Time::from_secs(2_000);
    let (mut edges, mut resident, mut laying_out) = (0, 0.0_f64, f64::INFINITY);
    let whole = best(ROUNDS, || {
        // A policy is laid out from nothing: only the mirrors stay. Which group comes to which name, whose account is
        // whose, who is in which group and what differs is all worked out again.
        let started = Instant::now();
        planner.set_policy(policy.clone());
        laying_out = laying_out.min(millis(started));
        let decision = planner.decide(&remembered, now, Occasion::Event);
        let elapsed = millis(started);
        edges = decision.plan.cases().map(|(_, case)| case.steps.len() as u64).sum();
        resident = resident.max(memory("VmRSS:"));
        Ok(elapsed)
    })?;
    let wanted: usize = tenant.wanted.iter().zip(&tenant.observed).map(|(a, b)| differing(a, b)).sum();
    ensure!(edges == wanted as u64, "the plan has {edges} edges where {wanted} memberships differ");
    let (people, groups, containing) = tenant.direct();
    report.note("memberships", figure(tenant.memberships() as u64), "once nested groups are opened");
    report.note("own-people", figure(people as u64), "people in groups themselves");
    report.note("nested", figure(groups as u64), "groups in groups themselves");
    report.note("containing", figure(containing as u64), "groups that contain others");
    report.note("edges", figure(edges), "in the plan");
    report.note("bare-merge", bare, "ms");
    report.note("laying-out", laying_out, "ms of the whole plan, policy to names");
    report.note("whole-plan", whole, "ms, policy and mirrors to plan");
    report.at_most("ratio", whole / bare, 80.0, "× the bare merge");
    report.at_most("memory", resident, 300.0, "MB RSS with mirrors, memory and plan");
    report.note("memory-peak", memory("VmHWM:"), "MB RSS at most, loading included");
    report.note("loading", loading, "ms for rows into mirrors");
    Ok(())
}

/// How many numbers are in one of two sorted lists only.
pub(crate) fn differing(a: &[u32], b: &[u32]) -> usize {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut count = 0;
    loop {
        match (a.peek(), b.peek()) {
            (Some(left), Some(right)) => match left.cmp(right) {
                Ordering::Less => count += usize::from(a.next().is_some()),
                Ordering::Greater => count += usize::from(b.next().is_some()),
                Ordering::Equal => {
                    a.next();
                    b.next();
                }
            },
            _ => return count + a.count() + b.count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_one_list_has_differs() {
        assert_eq!(differing(&[1, 2, 3, 9], &[2, 4, 9]), 3);
        assert_eq!(differing(&[], &[1, 2]), 2);
    }
}
