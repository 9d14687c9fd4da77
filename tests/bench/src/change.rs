//! One membership of a large converged tenant begins at the source: from the row to the edge.

use std::time::Instant;

use anyhow::{Result, ensure};
use model::Time;
use planner::Occasion;

use crate::{
    machine::{figure, millis, percentile},
    report::Report,
    tenant::{self, Numbers, SOURCE, Tenant},
};

const CHANGES: u64 = 1_000;

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let tenant = Tenant::new();
    let (mut planner, _) = tenant.planner()?;
    tenant.converge(&mut planner)?;
    let remembered = tenant::memory()?;
    let now = Time::from_secs(2_000);
    let quiet = planner.decide(&remembered, now, Occasion::Event);
    ensure!(quiet.plan.cases().count() == 0, "the tenant is not converged");
    let mut numbers = Numbers(7);
    let mut times = Vec::new();
    for round in 0..CHANGES {
        let (group, user) = (numbers.below(tenant.wanted.len()), numbers.below(Tenant::users()));
        let known = tenant.wanted.get(group).is_some_and(|them| them.iter().any(|each| *each as usize == user));
        if known {
            continue;
        }
        let mut delta = tenant::empty(SOURCE, 100_000 + round * 2)?;
        delta.members.push(tenant::member(SOURCE, group, user, None)?);
        let started = Instant::now();
        planner.apply(&delta);
        let decision = planner.decide(&remembered, now, Occasion::Event);
        times.push(millis(started));
        let edges: usize = decision.plan.cases().map(|(_, case)| case.steps.len()).sum();
        ensure!(edges == 1, "one row made {edges} edges");
        let mut delta = tenant::empty(SOURCE, 100_001 + round * 2)?;
        delta.members.push(tenant::member(SOURCE, group, user, Some(now))?);
        planner.apply(&delta);
        planner.decide(&remembered, now, Occasion::Event);
    }
    report.note("changes", figure(times.len() as u64), "one by one");
    report.at_most("p50", percentile(&times, 50), 1.0, "ms, row in → edge out");
    report.at_most("p99", percentile(&times, 99), 1.0, "ms, row in → edge out");
    Ok(())
}
