//! What groups are to give beside who is in them: products at an organization, the portal of a desk.
//!
//! Whoever is in a group is let in by what it gives, so it is given by itself only where everybody in it is wanted there,
//! and a product waits for a person like the filling of a default access group, once the group is as it is to be: what is
//! shown to that person is who is let in, and whoever comes later meets the guards. What a group gives beside what is asked
//! for is never taken away. Nothing is given where it is not known what is missing.

use model::{
    Access, CaseKind, EdgeOp, GroupId, GuardName, Lane, Reason, RefusalWhy, Step, WaitWhy, says_default_access,
};
use policy::{ApprovalFor, DriftMode, SyncRule};

use super::{Draft, Judge, group::Known};
use crate::state::TargetGroup;

impl Judge<'_> {
    /// Has a group that is ours give what it lacks.
    pub(super) fn access(&mut self, known: Known<'_>) {
        let Known { group, id, rule, .. } = known;
        self.wait_for_access(known);
        for access in &group.lacks {
            if let Some(id) = self.memory.dead_letter_of_access(&self.target.id, id, access) {
                self.wait(group, WaitWhy::DeadLetter { id }, 0);
                continue;
            }
            let is_product = matches!(access, Access::Product { .. });
            // Once it gives the product its name would say that it does so by default, and it would be filled no more.
            if is_product && !rule.default_access_group && says_default_access(&self.shown_name(known)) {
                self.refuse(self.grant(known, access), RefusalWhy::DefaultAccessGroup);
                continue;
            }
            if is_product && !group.is_equal() {
                continue;
            }
            self.grant_case(known, access, is_product);
        }
    }

    /// One access of one group: each is approved by itself.
    fn grant_case(&mut self, known: Known<'_>, access: &Access, is_product: bool) {
        let Known { group, id, rule, .. } = known;
        let kind = CaseKind::Access { group: id.clone(), name: self.shown_name(known) };
        let mut draft = Draft::new(kind, &group.key, Lane::Normal);
        draft.sources = group.claims.iter().map(|claim| claim.source).collect();
        let strangers = group.strangers();
        if strangers > 0 {
            let reason = format!("it would give {access} to {strangers} in it whom the rule does not want there");
            draft.hold(GuardName::DefaultAccessGroup, reason);
        } else if is_product && self.policy.approval.required_for.contains(&ApprovalFor::DefaultAccessGroup) {
            let reason = format!("it would give {access} to everybody in it, {} now", group.observed);
            draft.hold(GuardName::DefaultAccessGroup, reason);
        }
        if known.is_settled() && rule.drift != DriftMode::Repair {
            let reason =
                format!("it does not give {access}, or no longer; the rule does not repair what is changed by hand");
            draft.hold(GuardName::DriftReport, reason);
        }
        draft.steps.push(self.grant(known, access));
        self.out.drafts.push(draft);
    }

    /// What a group that is not ours to change would be given.
    pub(super) fn refuse_access(&mut self, known: Known<'_>, why: RefusalWhy) {
        self.wait_for_access(known);
        for access in &known.group.lacks {
            self.refuse(self.grant(known, access), why);
        }
    }

    fn wait_for_access(&mut self, known: Known<'_>) {
        if known.group.access_unread {
            self.wait(known.group, WaitWhy::TargetRead { group: known.id.clone() }, 0);
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

impl TargetGroup {
    /// How many are in it whom no rule wants there, whether they may be taken out or not. Protected people and our own
    /// accounts are no strangers.
    fn strangers(&self) -> u64 {
        let spared = |op| self.spared.iter().filter(|(_, of)| *of == op).count();
        let wanted = self.wanted.len().saturating_sub(self.adds.len()).saturating_sub(spared(EdgeOp::Add));
        self.observed.saturating_sub(u64::try_from(wanted + spared(EdgeOp::Remove)).unwrap_or(u64::MAX))
    }
}

fn grant(group: Option<GroupId>, name: &str, access: Access, rule: &SyncRule) -> Step {
    Step::GrantAccess { group, name: name.to_owned(), access, reason: Reason::Access { rule: rule.id.clone() } }
}
