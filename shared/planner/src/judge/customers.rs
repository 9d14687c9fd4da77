//! Lists of customers: who is wanted in one and is unknown on its site gets a portal-only account, then a place in it.
//!
//! Such an account costs nothing and opens nothing but the portal, so no entry under `[people]` has to ask for it; the
//! rule's `create = false` forbids it. Leaving is a removal from the list like any other: the account stays.

use std::collections::BTreeMap;

use model::{
    AccountChange, AccountId, CaseKind, DirectoryKind, Edge, EdgeOp, Email, GuardName, Lane, PersonStep, Reason, Step,
    User,
};
use policy::SyncRule;

use super::{Draft, Judge};
use crate::{
    flatten::{self, Graph, Opening},
    guard,
    people::Found,
    state::TargetGroup,
};

impl Judge<'_> {
    /// Accounts for those who wait for one; they no longer wait. `slot` is the list, if it is there; `settled`: it has
    /// held exactly what is wanted once, so that budgets count what is new.
    pub(crate) fn customers(&mut self, group: &TargetGroup, rule: &SyncRule, slot: Option<u32>, settled: bool) {
        if self.kind != Some(DirectoryKind::JsmCustomers) || !rule.create {
            return;
        }
        let mut made = Vec::new();
        for (source, person) in &group.waiting {
            let Some(draft) = self.customer(group, rule, slot, *source, *person) else { continue };
            self.out.waiting.remove(&(*source, *person));
            made.push(draft);
        }
        let limit = guard::per_group(self.policy, group, rule, EdgeOp::Add);
        let count = made.len() as u64;
        for mut draft in made {
            if settled {
                draft.lane = Lane::Normal;
                draft.additions = 1;
                draft.measure(GuardName::PerGroupAdditions, count, limit, &["customers to be made for one list"]);
            }
            self.out.drafts.push(draft);
        }
    }

    /// The account of one person, and its place in the list; `None`: nothing can be made now.
    fn customer(
        &self,
        group: &TargetGroup,
        rule: &SyncRule,
        slot: Option<u32>,
        source: usize,
        person: u32,
    ) -> Option<Draft> {
        if self.pairing(source)?.place(person).found != Found::Nobody {
            return None;
        }
        let mirror = self.mirrors.get(source)?;
        let row = mirror.person(person)?;
        let user = &row.row.as_ref()?.user;
        let email = user.email.as_ref().filter(|email| email.doubt().is_none())?;
        let (directory, id) = (mirror.directory().clone(), row.id.clone());
        let key = (self.target.id.clone(), directory.clone(), id.clone());
        let letter = self.memory.dead_letter_of_person(&self.target.id, &[&id], PersonStep::Create);
        if self.memory.accounts_open.contains(&key) || letter.is_some() {
            return None;
        }
        let change = AccountChange::Create { attributes: attributes(email, user) };
        let reason = Reason::Provision { rule: rule.id.clone(), source: directory.clone() };
        let kind = CaseKind::Account { source: directory, person: id.clone() };
        let mut draft = Draft::new(kind, &group.key, Lane::Bulk);
        draft.sources.insert(source);
        draft.steps.push(Step::Account { account: None, person: Some(id.clone()), change, reason: reason.clone() });
        draft.steps.push(self.place_in_list(group, slot, id, self.way_in(group, source, person).unwrap_or(reason)));
        Some(draft)
    }

    fn place_in_list(&self, group: &TargetGroup, slot: Option<u32>, person: AccountId, reason: Reason) -> Step {
        let found = slot.and_then(|slot| self.accounts.group_at(slot));
        let name = found.and_then(|found| found.row.as_ref()).map(|row| row.group.name.clone());
        let edge = Edge {
            group: found.map(|found| found.id.clone()),
            group_name: name.unwrap_or_else(|| group.name.clone()),
            account: None,
            person: Some(person),
            op: EdgeOp::Add,
        };
        Step::Edge { edge, reason }
    }

    fn way_in(&self, group: &TargetGroup, source: usize, person: u32) -> Option<Reason> {
        group.live_claims().filter(|claim| claim.source == source).find_map(|claim| {
            let (rule, mirror) = (self.policy.rules.get(claim.rule)?, self.mirrors.get(source)?);
            let opening = Opening { nested: rule.nested, roles: &rule.roles };
            let path = flatten::path(mirror, claim.group, person, opening, Graph::Current)?;
            Some(Reason::Joined { rule: rule.id.clone(), source: mirror.directory().clone(), path })
        })
    }
}

/// What a portal-only account is made with.
fn attributes(email: &Email, user: &User) -> BTreeMap<String, String> {
    let names: Vec<&str> = [&user.given_name, &user.family_name].into_iter().flatten().map(String::as_str).collect();
    let name = user.display_name.clone().unwrap_or_else(|| names.join(" "));
    let name = if name.trim().is_empty() { email.as_written().to_owned() } else { name };
    [("emails[primary].value", email.as_written().to_owned()), ("displayName", name)]
        .map(|(path, value)| (path.to_owned(), value))
        .into()
}
