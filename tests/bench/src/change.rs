//! One membership of a large converged tenant begins at the source: from the row to the edge, or to the edges where
//! other groups contain the one that somebody joined.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use model::Time;
use planner::{Memory, Occasion, Planner};

use crate::{
    machine::{figure, millis, percentile},
    report::Report,
    shape::Numbers,
    tenant::{self, SOURCE, Tenant},
};

/// Changes of each kind of group.
const CHANGES: usize = 1_000;
const NOW: Time = Time::from_secs(2_000);

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let tenant = Tenant::new();
    let (mut planner, _) = tenant.planner()?;
    tenant.converge(&mut planner)?;
    let remembered = tenant::memory()?;
    let quiet = planner.decide(&remembered, NOW, Occasion::Event);
    ensure!(quiet.plan.cases().count() == 0, "the tenant is not converged");
    // Each group with whatever contains it at any depth.
    let (contained, alone): (Vec<_>, Vec<_>) = tenant.above().into_iter().partition(|groups| groups.len() > 1);
    let mut changes = Changes { tenant, planner, remembered, numbers: Numbers(7), version: 100_000 };
    for (kind, groups) in [("", alone), ("contained-", contained)] {
        let (times, edges) = changes.run(&groups)?;
        let count = figure(times.len() as u64);
        report.note(&format!("{kind}changes"), count, "one by one");
        report.note(&format!("{kind}edges"), figure(edges) / count, "edges of each");
        report.at_most(&format!("{kind}p50"), percentile(&times, 50), 1.0, "ms, row in → edges out");
        report.at_most(&format!("{kind}p99"), percentile(&times, 99), 1.0, "ms, row in → edges out");
    }
    Ok(())
}

struct Changes {
    tenant: Tenant,
    planner: Planner,
    remembered: Memory,
    numbers: Numbers,
    version: u64,
}

impl Changes {
    /// Somebody joins one of these groups, each given with what contains it and first among them, and leaves it again, so
    /// often. Gives how long each joining took, in milliseconds, and how many edges came of all.
    fn run(&mut self, groups: &[Vec<usize>]) -> Result<(Vec<f64>, u64)> {
        let (mut times, mut edges) = (Vec::new(), 0);
        while times.len() < CHANGES {
            let above = groups.get(self.numbers.below(groups.len())).context("there are no such groups")?;
            let group = *above.first().context("a group is above itself")?;
            let user = self.numbers.below(Tenant::users());
            let wanted = above.iter().filter(|each| !self.tenant.has(**each, user)).count();
            if self.tenant.has(group, user) {
                continue;
            }
            let (elapsed, made) = self.change(group, user, None)?;
            ensure!(made == wanted, "one row made {made} edges where {wanted} groups lack somebody");
            times.push(elapsed);
            edges += made as u64;
            self.change(group, user, Some(NOW))?;
        }
        Ok((times, edges))
    }

    /// One row of a membership that begins or ended: how long it took to decide upon it, and how many edges came of it.
    fn change(&mut self, group: usize, user: usize, gone_at: Option<Time>) -> Result<(f64, usize)> {
        let mut delta = tenant::empty(SOURCE, self.version)?;
        self.version += 1;
        delta.members.push(tenant::member(SOURCE, group, user, gone_at)?);
        let started = Instant::now();
        self.planner.apply(&delta);
        let decision = self.planner.decide(&self.remembered, NOW, Occasion::Event);
        let elapsed = millis(started);
        Ok((elapsed, decision.plan.cases().map(|(_, case)| case.steps.len()).sum()))
    }
}
