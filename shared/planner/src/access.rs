//! Groups that were given something since they were read.

use model::{Access, DirectoryId, GroupId};

use crate::{Memory, Planner};

/// What a group was given: target, group, what.
pub(crate) type GivenKey = (DirectoryId, GroupId, Access);

impl Planner {
    /// What groups were given and is read by now.
    pub fn shown(&self, memory: &Memory) -> Vec<(DirectoryId, GroupId, Access)> {
        let is_shown = |(target, group, access): &&GivenKey| {
            let row = self.mirror(target).and_then(|mirror| mirror.group(group));
            row.is_some_and(|row| access.is_given_by(&row.group) == Some(true))
        };
        memory.given.keys().filter(is_shown).cloned().collect()
    }

    /// Marks the groups of which something was given, or is no longer remembered.
    pub(crate) fn reach_given(&mut self, memory: &Memory, followed: &mut Vec<GivenKey>) {
        if followed.is_empty() && memory.given.is_empty() {
            return;
        }
        let before = std::mem::replace(followed, memory.given.keys().cloned().collect());
        for (id, group, _) in before.iter().chain(memory.given.keys()) {
            let Some(target) = self.targets.iter_mut().find(|each| &each.id == id) else { continue };
            if let Some(slot) = self.mirrors.get(target.mirror).and_then(|mirror| mirror.group_slot(group)) {
                target.renew_bound(slot);
            }
        }
    }
}
