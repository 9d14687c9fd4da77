//! What was released and is still to be done: asked once more before a command is made of it.

use model::{AccountId, DirectoryId, EdgeOp, GroupId};

use crate::{
    Memory, Mirror, Planner, claims,
    guard::protect,
    state::{Target, TargetGroup},
};

/// What is wanted now of one group of a target; see [`Planner::still_wanted`].
#[derive(Debug)]
pub struct StillWanted<'a> {
    mirror: Option<&'a Mirror>,
    groups: Vec<&'a TargetGroup>,
}

impl StillWanted<'_> {
    /// Whether this change is still wanted.
    pub fn holds(&self, account: &AccountId, op: EdgeOp) -> bool {
        let Some(account) = self.mirror.and_then(|mirror| mirror.person_slot(account)) else { return false };
        self.groups.iter().any(|group| {
            let list = match op {
                EdgeOp::Add => &group.adds,
                EdgeOp::Remove => &group.removes,
            };
            list.binary_search(&account).is_ok()
        })
    }
}

impl Planner {
    /// Which released edges of a group are still wanted now: what is not is dropped before a command is made of it, and
    /// simply disappears. Asked after [`Planner::decide`], about the state that it saw and what was learned from it.
    ///
    /// Of a group that is not ours to change by now nothing is wanted, whatever was released of it: one that is protected
    /// or somebody else's, one whose rule was switched off, one of which nobody can say which source group is meant.
    /// That is asked of the group once, so that each of its edges costs two look-ups.
    pub fn still_wanted(&self, memory: &Memory, target: &DirectoryId, group: &GroupId) -> StillWanted<'_> {
        let nothing = StillWanted { mirror: None, groups: Vec::new() };
        let Some(target) = self.targets.iter().find(|each| &each.id == target) else { return nothing };
        let Some(mirror) = self.mirrors.get(target.mirror) else { return nothing };
        let Some(slot) = mirror.group_slot(group) else { return nothing };
        let bound = target.bound_to(slot).filter(|group| !self.is_left_alone(memory, target, mirror, group, slot));
        StillWanted { mirror: Some(mirror), groups: bound.collect() }
    }

    /// Whether a decision refuses whatever is to be changed of the group, or holds it back as a whole.
    fn is_left_alone(&self, memory: &Memory, target: &Target, mirror: &Mirror, group: &TargetGroup, slot: u32) -> bool {
        let rules = &self.policy.rules;
        let Some(rule) = group.lead(rules) else { return true };
        let kind = self.policy.directories.get(&target.id).map(|directory| directory.kind);
        let row = mirror.group_at(slot).and_then(|group| group.row.as_ref());
        let pin = memory.pins.get(&(target.id.clone(), group.key.clone()));
        group.is_off(rules)
            || group.collides(&target.id, rules)
            || protect::group(&self.policy, kind, group, rule, row, pin).is_some()
            || claims::filled_by_another(&self.policy, &self.mirrors, &target.id, group, pin)
    }
}
