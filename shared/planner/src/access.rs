//! Groups that were given something since they were read: looked at again with every decision, for a list may have come.

use crate::{Memory, Planner};

impl Planner {
    pub(crate) fn reach_given(&mut self, memory: &Memory) {
        for (id, group, _) in memory.given.keys() {
            let Some(target) = self.targets.iter_mut().find(|each| &each.id == id) else { continue };
            if let Some(slot) = self.mirrors.get(target.mirror).and_then(|mirror| mirror.group_slot(group)) {
                target.renew_bound(slot);
            }
        }
    }
}
