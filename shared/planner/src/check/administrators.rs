//! Would enough administrators be left? Counted once more, by addresses and rows alone.

use std::collections::{BTreeMap, BTreeSet};

use model::{AccountChange, AccountId, DirectoryId, DirectoryKind, Plan, Step, User};

use super::Violation;
use crate::{Memory, Mirror, Planner};

/// The accounts that stop working, by directory.
type Out = BTreeMap<DirectoryId, BTreeSet<AccountId>>;

/// Looks whether the plan, with what is under way, leaves fewer administrators anywhere than the policy asks for.
pub(super) fn look(plan: &Plan, planner: &Planner, memory: &Memory, found: &mut BTreeSet<Violation>) {
    let by_plan = taken_away(plan);
    if by_plan.is_empty() {
        return;
    }
    let mut out = by_plan.clone();
    for (target, source, person) in &memory.accounts_open {
        let link = memory.people.get(&(source.clone(), person.clone(), target.clone()));
        out.entry(target.clone()).or_default().extend(link.cloned());
    }
    let least = planner.policy().guard.minimum_administrators;
    for mirror in planner.mirrors() {
        for circle in circles(planner, mirror) {
            let remains = |user: &&&User| !is_out(planner, mirror, user, &out);
            let touched = circle.iter().any(|user| is_out(planner, mirror, user, &by_plan));
            if touched && (circle.iter().filter(remains).count() as u64) < least {
                found.insert(Violation::LastAdministrator { target: mirror.directory().clone() });
            }
        }
    }
}

fn taken_away(plan: &Plan) -> Out {
    let mut out = Out::new();
    for (target, case) in plan.cases() {
        for step in &case.steps {
            if let Step::Account { account: Some(account), change, .. } = step
                && !matches!(
                    change,
                    AccountChange::Create { .. } | AccountChange::Update { .. } | AccountChange::Restore
                )
            {
                out.entry(target.clone()).or_default().insert(account.clone());
            }
        }
    }
    out
}

/// The administrators of a directory who work: those it calls so, and those of each group that is seen to grant it
/// where a directory is no organization (there the roles of people say it all).
fn circles<'a>(planner: &Planner, mirror: &'a Mirror) -> Vec<Vec<&'a User>> {
    let there = |row: &&model::UserRow| row.gone_at.is_none() && row.user.state.works();
    let called = mirror.users().filter(there).filter(|row| row.user.admin).map(|row| &row.user).collect();
    let mut circles = vec![called];
    if kind(planner, mirror.directory()) == Some(DirectoryKind::AtlassianOrg) {
        return circles;
    }
    let grant = mirror.groups().filter(|row| row.gone_at.is_none() && row.group.grants_admin);
    circles.extend(grant.map(|row| {
        let members = mirror.members(&row.group.id);
        let ids = members.iter().filter_map(|member| AccountId::new(member.kind.id()).ok());
        ids.filter_map(|id| mirror.user(&id)).filter(there).map(|row| &row.user).collect()
    }));
    circles
}

/// Whether the account goes, or that of the same address in a provisioning directory of the organization.
fn is_out(planner: &Planner, mirror: &Mirror, user: &User, out: &Out) -> bool {
    let here = out.get(mirror.directory()).is_some_and(|out| out.contains(&user.id));
    let is_org = kind(planner, mirror.directory()) == Some(DirectoryKind::AtlassianOrg);
    here || is_org
        && out.iter().any(|(target, accounts)| {
            let provisions = kind(planner, target) == Some(DirectoryKind::AtlassianScim);
            let email = |account| planner.mirror(target)?.user(account)?.user.email.as_ref();
            provisions && user.email.is_some() && accounts.iter().any(|account| email(account) == user.email.as_ref())
        })
}

fn kind(planner: &Planner, directory: &DirectoryId) -> Option<DirectoryKind> {
    planner.policy().directories.get(directory).map(|directory| directory.kind)
}
