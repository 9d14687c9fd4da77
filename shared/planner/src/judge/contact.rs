//! First contact: a group that is missing, one that was there before us, one that is not what it was.

use model::{CaseKind, EdgeOp, GuardName, Lane, LinkHow, Reason, RefusalWhy, Step, WaitWhy};
use policy::{ApprovalFor, OnConflict, SyncRule};

use super::{Draft, Judge, group::Known};
use crate::{ConflictDecision, Verdict, state::TargetGroup};

impl Judge<'_> {
    /// Makes a missing group and fills it. With a reason it was there once, and waits for a person.
    pub(crate) fn create(&mut self, group: &TargetGroup, rule: &SyncRule, changed: Option<String>) {
        if self.memory.opening.contains(&(self.target.id.clone(), group.key.clone())) {
            return;
        }
        let Some((rule_id, source, source_group)) = self.origin(group) else { return };
        let description = self.description(group);
        let reason = Reason::Missing { rule: rule_id, source, group: source_group };
        let step = Step::CreateGroup { name: group.name.clone(), description, reason };
        if let Some(why) = self.untouchable(group, rule, None, None) {
            return self.refuse(step, why);
        }
        if !rule.create {
            return self.refuse(step, RefusalWhy::MayNotCreate);
        }
        if let Some(id) = self.memory.dead_letter_of_name(&self.target.id, &group.key) {
            return self.wait(group, WaitWhy::DeadLetter { id }, group.wanted.len());
        }
        let mut draft = Draft::new(CaseKind::Create { name: group.name.clone() }, &group.key, Lane::Bulk);
        draft.sources = group.claims.iter().map(|claim| claim.source).collect();
        draft.steps.push(step);
        for account in group.wanted.iter().filter(|account| !self.target.spares(**account)) {
            let Some(id) = self.account(*account).cloned() else { continue };
            let person = self.person_of(group, *account).and_then(|(source, person)| self.person_id(source, person));
            let edge = model::Edge {
                group: None,
                group_name: group.name.clone(),
                account: Some(id),
                person: person.cloned(),
                op: EdgeOp::Add,
            };
            draft.steps.push(Step::Edge { edge, reason: self.why_add(group, None, *account, rule) });
        }
        draft.steps.extend(self.portals(group, rule));
        match changed {
            Some(reason) => draft.hold(GuardName::IdentityChanged, reason),
            None => self.customers(group, rule, None, false),
        }
        self.out.drafts.push(draft);
    }

    fn description(&self, group: &TargetGroup) -> String {
        let claim = group.live_claims().next();
        let row = claim.and_then(|claim| self.mirrors.get(claim.source)?.group_at(claim.group)?.row.as_ref());
        row.map_or_else(String::new, |row| row.group.description.clone())
    }

    /// A group of the name is there that is not pinned; with a reason, it is not the one that was.
    pub(crate) fn meet(&mut self, known: Known<'_>, changed: Option<String>) {
        let Known { group, rule, slot, .. } = known;
        let row = self.accounts.group_at(slot).and_then(|group| group.row.as_ref());
        if let Some(why) = self.untouchable(group, rule, row, None) {
            return self.refuse_all(known, why);
        }
        let read = self.accounts.group_at(slot).map(|group| group.read).unwrap_or_default();
        let edges = group.adds.len() + group.removes.len();
        if !read.complete || read.complete_began_at.is_none() {
            return self.wait(group, WaitWhy::TargetRead { group: known.id.clone() }, edges);
        }
        if let Some(gap) = self.gap(group) {
            return self.wait(group, gap, edges);
        }
        if changed.is_some() {
            return self.conflict(known, GuardName::IdentityChanged, changed);
        }
        if group.is_equal() {
            self.refuse_spared(known);
            self.link_group(group, slot, LinkHow::Equal);
            return self.access(known);
        }
        match self.decided(known) {
            OnConflict::Review => self.conflict(known, GuardName::Conflict, None),
            OnConflict::Adopt | OnConflict::AddOnly => {
                self.link_group(group, slot, LinkHow::Adopted);
                self.managed(known);
            }
            OnConflict::Skip => {
                let reason = Reason::Conflict { rule: rule.id.clone() };
                let step = Step::CreateGroup { name: group.name.clone(), description: String::new(), reason };
                self.refuse(step, RefusalWhy::Skipped);
            }
        }
    }

    /// What a person decided about the group, else what the rule says.
    fn decided(&self, known: Known<'_>) -> OnConflict {
        let needs_person = self.policy.approval.required_for.contains(&ApprovalFor::Conflict);
        match self.memory.conflicts.get(&(self.target.id.clone(), known.id.clone())) {
            Some(ConflictDecision::Adopt) => OnConflict::Adopt,
            Some(ConflictDecision::AddOnly) => OnConflict::AddOnly,
            Some(ConflictDecision::KeepApart) => OnConflict::Skip,
            Some(ConflictDecision::Ignore { until }) if self.now < *until => OnConflict::Skip,
            _ if known.rule.on_conflict == OnConflict::Review && !needs_person => OnConflict::Adopt,
            _ => known.rule.on_conflict,
        }
    }

    /// The whole difference, person by person, as one case that waits for a person.
    fn conflict(&mut self, known: Known<'_>, guard: GuardName, changed: Option<String>) {
        let Known { group, rule, slot, .. } = known;
        let kind = CaseKind::Conflict { group: known.id.clone(), name: self.shown_name(known) };
        let mut draft = Draft::new(kind, &group.key, Lane::Bulk);
        draft.sources = group.claims.iter().map(|claim| claim.source).collect();
        let free = |accounts: &[u32]| -> Vec<u32> {
            accounts.iter().copied().filter(|account| !self.is_under_way(slot, *account)).collect()
        };
        let (removes, adds) = (free(&group.removes), free(&group.adds));
        let conflict = |_| Reason::Conflict { rule: rule.id.clone() };
        draft.steps = self.edges(group, slot, &removes, EdgeOp::Remove, conflict);
        draft.steps.extend(
            self.edges(group, slot, &adds, EdgeOp::Add, |account| self.why_add(group, Some(slot), account, rule)),
        );
        let text = changed.unwrap_or_else(|| {
            format!("the group existed before: {} would be removed, {} added", group.removes.len(), group.adds.len())
        });
        draft.hold(guard, text);
        self.refuse_spared(known);
        self.out.drafts.push(draft);
    }

    /// Several source groups that came to one name: nobody can say which of them is meant.
    pub(crate) fn collision(&mut self, group: &TargetGroup) {
        let ids =
            group.live_claims().filter_map(|claim| Some(&self.mirrors.get(claim.source)?.group_at(claim.group)?.id));
        let ids: Vec<&str> = ids.map(model::GroupId::as_str).collect();
        let reason =
            format!("{} source groups come to this name ({}); say into if a union is meant", ids.len(), ids.join(", "));
        self.hold_empty(group, group.slot(), reason);
    }

    /// Holds a group, with nothing that could be released: a person has to change the policy or the target.
    pub(crate) fn hold_empty(&mut self, group: &TargetGroup, slot: Option<u32>, reason: String) {
        let kind = match slot.and_then(|slot| self.group_id(slot)) {
            Some(id) => CaseKind::Conflict { group: id.clone(), name: group.name.clone() },
            None => CaseKind::Create { name: group.name.clone() },
        };
        let mut draft = Draft::new(kind, &group.key, Lane::Normal);
        draft.absolute = true;
        draft.hold(GuardName::NameCollision, reason);
        self.out.drafts.push(draft);
    }

    /// A conflict that a person approved is an adoption.
    pub(crate) fn link_approved(&mut self) {
        let approved: Vec<(String, model::GroupId)> = self
            .out
            .drafts
            .iter()
            .filter(|draft| draft.verdict == Some(Verdict::Approved) && !draft.absolute)
            .filter_map(|draft| match &draft.kind {
                CaseKind::Conflict { group, .. } => Some((draft.key.clone(), group.clone())),
                _ => None,
            })
            .collect();
        for (key, id) in approved {
            let group = self.target.group_of_key(&key).and_then(|at| self.target.at(at));
            if let (Some(group), Some(slot)) = (group, self.accounts.group_slot(&id)) {
                self.link_group(group, slot, LinkHow::Adopted);
            }
        }
    }
}
