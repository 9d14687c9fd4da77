//! Groups that were given something since they were read.

use model::{Access, DirectoryId, GroupId, Span, Time};

use crate::{Memory, Planner};

/// How long after a target's lag the read that shows what a group was given may take.
pub(crate) const SHOWN_WITHIN: Span = Span::from_secs(600);

/// What a group was given: target, group, what.
pub(crate) type GivenKey = (DirectoryId, GroupId, Access);

impl Planner {
    /// Forgets what groups were given and is read by now, and what was given so long ago that a read would show it: that is
    /// decided again.
    pub fn forget_given(&self, memory: &mut Memory, now: Time) {
        memory.given.retain(|(target, group, access), at| {
            let row = self.mirror(target).and_then(|mirror| mirror.group(group));
            let is_shown = row.is_some_and(|row| access.is_given_by(&row.group) == Some(true));
            let lag = self.policy.directories.get(target).map_or(Span::ZERO, |directory| directory.lag);
            !is_shown && at.plus(lag).plus(SHOWN_WITHIN) > now
        });
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
