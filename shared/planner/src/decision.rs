//! Deciding: what the mirrors, the policy and the memory come to.

use std::collections::{BTreeMap, BTreeSet};

use model::{AccountId, DirectoryId, Fact, GroupId, Plan, PlanBody, Seats, Time, WiderGuard};

use crate::{
    Memory, PlanHold, Planner, estimate,
    flatten::Walk,
    judge::{
        Judge, Out,
        administrators::{Directories, Going},
    },
};

/// What a decision came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What is to be done, held, refused and waited for.
    pub plan: Plan,
    /// Source facts that have to be read by themselves before removals may go: commit the answers and decide again.
    pub needs: Vec<Fact>,
    /// What stays held from now on until a person approves it, it is no longer wanted or, for `per_plan`, until the
    /// next sweep; see [`Memory::learn`].
    pub plan_holds: BTreeSet<PlanHold>,
    /// Since when leavers' accounts wait or were taken away: (target, source, person).
    pub leaving: BTreeMap<(DirectoryId, DirectoryId, AccountId), Time>,
    /// Which one source group fills a newly linked group: (target, folded name) → (source, group).
    pub sources: BTreeMap<(DirectoryId, String), (DirectoryId, GroupId)>,
    /// Seats of every product with a limit, by target, whether the plan changes them or not.
    pub seats: Vec<(DirectoryId, Seats)>,
}

/// On what occasion something is decided. `per_plan` judges one-shot runs and the first decision after a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Occasion {
    /// A run of its own, from a journal or from nothing.
    OneShot,
    /// The first decision after everything was read, or after a start.
    Sweep,
    /// Something changed.
    Event,
}

impl Planner {
    /// Decides. Nothing else does.
    ///
    /// Deciding again from the same state gives the same plan. The memory is only read; whoever keeps it calls
    /// [`Memory::learn`] with what came out.
    pub fn decide(&mut self, memory: &Memory, now: Time, occasion: Occasion) -> Decision {
        self.refresh(memory);
        let mut targets = Vec::new();
        let mut decision = Decision {
            plan: Plan {
                number: None,
                made_at: now,
                policy: self.policy.hash,
                calls: BTreeMap::new(),
                body: PlanBody {
                    schema: "rollcall.plan/1".to_owned(),
                    tenant: self.policy.tenant.clone(),
                    targets: Vec::new(),
                    wider: self.wider(),
                },
            },
            needs: Vec::new(),
            plan_holds: self.holds_elsewhere(memory),
            leaving: memory.leaving.clone(),
            sources: BTreeMap::new(),
            seats: Vec::new(),
        };
        let mut needs = BTreeSet::new();
        let mut walk = std::mem::take(&mut self.scratch.walk);
        let directories = Directories { policy: &self.policy, mirrors: &self.mirrors, pairings: &self.pairings };
        let mut going = Going::under_way(directories, memory);
        for at in 0..self.targets.len() {
            let Some(judge) = self.judge(at, memory, (now, occasion), &mut walk, &mut going) else { continue };
            let (plan, out) = judge.run(&self.pending);
            targets.extend(plan);
            absorb(&mut decision, &mut needs, out);
        }
        self.scratch.walk = walk;
        targets.sort_by(|a, b| a.target.cmp(&b.target));
        decision.needs = needs.into_iter().collect();
        decision.plan.calls =
            targets.iter().map(|plan| (plan.target.clone(), estimate::calls(&self.policy, plan))).collect();
        decision.plan.body.targets = targets;
        decision
    }

    /// Where rules have wider budgets than the tenant. A rule of several sources says it once.
    fn wider(&self) -> Vec<WiderGuard> {
        let mut wider: Vec<WiderGuard> = Vec::new();
        for rule in &self.policy.rules {
            let budgets = rule.wider.iter().map(|budget| WiderGuard { rule: rule.id.clone(), budget: budget.clone() });
            let fresh: Vec<WiderGuard> = budgets.filter(|each| !wider.contains(each)).collect();
            wider.extend(fresh);
        }
        wider
    }

    /// What is held at targets that the policy does not name now: they may come back.
    fn holds_elsewhere(&self, memory: &Memory) -> BTreeSet<PlanHold> {
        let is_judged = |hold: &&PlanHold| self.targets.iter().any(|target| target.id == hold.target);
        memory.plan_holds.iter().filter(|hold| !is_judged(hold)).cloned().collect()
    }

    fn judge<'a>(
        &'a self,
        at: usize,
        memory: &'a Memory,
        (now, occasion): (Time, Occasion),
        walk: &'a mut Walk,
        going: &'a mut Going,
    ) -> Option<Judge<'a>> {
        let target = self.targets.get(at)?;
        Some(Judge {
            policy: &self.policy,
            mirrors: &self.mirrors,
            pairings: &self.pairings,
            target,
            accounts: self.mirrors.get(target.mirror)?,
            kind: self.policy.directories.get(&target.id).map(|directory| directory.kind),
            memory,
            now,
            occasion,
            walk,
            going,
            out: Out::default(),
        })
    }
}

fn absorb(decision: &mut Decision, needs: &mut BTreeSet<Fact>, out: Out) {
    needs.extend(out.needs);
    decision.sources.extend(out.sources);
    decision.seats.extend(out.seats);
    decision.plan_holds.extend(out.plan_holds);
    for (key, since) in out.leaving {
        match since {
            Some(since) => decision.leaving.insert(key, since),
            None => decision.leaving.remove(&key),
        };
    }
}
