//! Groups that people of an entry get by themselves: claimed by no source group, filled as people come and go.

use std::collections::BTreeSet;

use model::DirectoryId;

use crate::{
    Memory, Planner,
    mirror::number,
    refresh::Followed,
    state::{Claim, TargetGroup},
};

impl Planner {
    /// Default groups are claimed by no source group: their claims stand as long as the policy does.
    pub(crate) fn claim_default_groups(&mut self) {
        let policy = self.policy.clone();
        for (index, (rule, route)) in policy.rules.iter().zip(&self.routes).enumerate() {
            let (Some(name), Some(_)) = (&rule.into, rule.default_of) else { continue };
            for at in &route.targets {
                let Some(target) = self.targets.get_mut(*at) else { continue };
                let key = policy.fold_group_name(&target.id, name);
                let group = target.intern(&key, name);
                let claim = Claim { rule: index, source: route.source, group: Claim::PEOPLE, live: true };
                if let Some(group) = target.groups.get_mut(group as usize) {
                    group.claims.push(claim);
                }
                target.renew_wanted(group);
            }
        }
    }

    /// Marks the default groups that people of this source fill at this target.
    pub(crate) fn reach_default_groups(&mut self, source: usize, target: usize) {
        if self.policy.rules.iter().all(|rule| rule.default_of.is_none()) {
            return;
        }
        for target in self.targets.iter_mut().filter(|each| each.mirror == target) {
            let of_people = |claim: &Claim| claim.is_of_people() && claim.source == source;
            let holds = |group: &TargetGroup| group.claims.iter().any(of_people);
            let at: Vec<u32> =
                (0..number(target.groups.len())).filter(|at| target.at(*at).is_some_and(holds)).collect();
            for at in at {
                target.renew_wanted(at);
            }
        }
    }

    /// Marks the groups that newcomers get into where newcomers came, or are none any more.
    pub(crate) fn follow_newcomers(&mut self, memory: &Memory, followed: &mut Followed) {
        let touched = memory.newcomers.touched_since(&mut followed.newcomers);
        let sides: BTreeSet<(DirectoryId, DirectoryId)> = match touched {
            Some(keys) => keys.iter().map(|(target, source, _)| (source.clone(), target.clone())).collect(),
            None => self.policy.provisions.iter().map(|entry| (entry.from.clone(), entry.to.clone())).collect(),
        };
        for (source, target) in sides {
            if let (Some(source), Some(target)) = (self.names.get(&source), self.names.get(&target)) {
                self.reach_default_groups(*source, *target);
            }
        }
    }
}
