//! What groups are to give beside who is in them: products at an organization, the portal of a desk.
//!
//! Giving a product to a group lets in everybody who is in it and everybody who will be, so it waits for a person like the
//! filling of a default access group. What a group gives beside what is asked for is never taken away: that is decided by
//! people. Nothing is said where it is not known what the group gives.

use model::{Access, CaseKind, GroupId, GuardName, Lane, Reason, RefusalWhy, Step, WaitWhy};
use policy::{ApprovalFor, SyncRule};

use super::{Draft, Judge, group::Known};
use crate::state::TargetGroup;

impl Judge<'_> {
    /// Has a group that is ours give what it lacks.
    pub(super) fn access(&mut self, known: Known<'_>) {
        let Known { group, id, .. } = known;
        if group.access_unread {
            return self.wait(group, WaitWhy::TargetRead { group: id.clone() }, 0);
        }
        let letter = |access: &&Access| self.memory.dead_letter_of_access(&self.target.id, id, access);
        let letters: Vec<u64> = group.lacks.iter().filter_map(|access| letter(&access)).collect();
        let free: Vec<&Access> = group.lacks.iter().filter(|access| letter(access).is_none()).collect();
        for id in letters {
            self.wait(group, WaitWhy::DeadLetter { id }, 0);
        }
        if free.is_empty() {
            return;
        }
        let kind = CaseKind::Access { group: id.clone(), name: self.shown_name(known) };
        let mut draft = Draft::new(kind, &group.key, Lane::Normal);
        draft.sources = group.claims.iter().map(|claim| claim.source).collect();
        let opens_product = free.iter().any(|access| matches!(access, Access::Product { .. }));
        if opens_product && self.policy.approval.required_for.contains(&ApprovalFor::DefaultAccessGroup) {
            let given: Vec<String> = free.iter().map(ToString::to_string).collect();
            let (given, members) = (given.join(", "), group.observed);
            let reason = format!("it would give {given} to everybody in it, {members} now");
            draft.hold(GuardName::DefaultAccessGroup, reason);
        }
        draft.steps = free.into_iter().map(|access| self.grant(known, access)).collect();
        self.out.drafts.push(draft);
    }

    /// What a group that is not ours to change would be given.
    pub(super) fn refuse_access(&mut self, known: Known<'_>, why: RefusalWhy) {
        for access in &known.group.lacks {
            self.refuse(self.grant(known, access), why);
        }
    }

    fn grant(&self, known: Known<'_>, access: &Access) -> Step {
        grant(Some(known.id.clone()), &self.shown_name(known), access.clone(), known.rule)
    }

    /// The portals that a group which is still to be made opens from the beginning: whoever is put into an organization of
    /// customers is to see its desk. Products are given once it is there, by a person's word.
    pub(super) fn portals(&self, group: &TargetGroup, rule: &SyncRule) -> Vec<Step> {
        let wanted = self.policy.access(&self.target.id, rule).into_iter();
        let portals = wanted.filter(|access| matches!(access, Access::Portal { .. }));
        portals.map(|access| grant(None, &group.name, access, rule)).collect()
    }
}

fn grant(group: Option<GroupId>, name: &str, access: Access, rule: &SyncRule) -> Step {
    Step::GrantAccess { group, name: name.to_owned(), access, reason: Reason::Access { rule: rule.id.clone() } }
}
