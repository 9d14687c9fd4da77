//! Calls that a crashed run made and did not see the end of: what both sides show now says what they did.

use effect::What;
use model::{AccountId, EdgeOp, GroupRow, Outcome, Span, StepResult, Time};
use planner::Mirror;
use writer::Object;

use super::{
    deeds::{Begun, Calls, NewGroup, Open},
    journal::Journal,
    past,
    world::World,
};

/// Looks for the effects of open calls in what was just read. What is found is ours: remembered, counted, owed to the
/// audit. What a read that began late enough does not show did not happen; everything else stays open, and the run looks
/// before it repeats.
pub fn recover(world: &World, journal: &mut Journal) {
    for open in std::mem::take(&mut journal.open) {
        let read = world.read_at.get(&open.target).copied().filter(|_| !world.aside.has(&open.target));
        let (Some(read_at), Some(mirror)) = (read, world.planner.mirror(&open.target)) else {
            journal.open.push(open);
            continue;
        };
        let begun = begun(world, &open);
        if let Some(outcome) = shown(world, mirror, &begun, &open, read_at) {
            settle(journal, &begun, &open, &outcome);
        } else if read_at < open.at.plus(lag(world, &open)) || is_unknown(mirror, &open) {
            journal.open.push(open);
        } else if let What::Account { .. } = open.what {
            // No list says whether an account was changed by us: the audit says that nobody knows.
            let outcome = open.outcome(&begun.tenant, read_at, StepResult::Unknown);
            settle(journal, &begun, &open, &outcome);
        }
    }
}

/// Whether what was read does not tell what a group gives.
fn is_unknown(mirror: &Mirror, open: &Open) -> bool {
    let What::GrantAccess { group, access, .. } = &open.what else { return false };
    mirror.group(group).is_some_and(|row| row.gone_at.is_none() && access.is_given_by(&row.group).is_none())
}

fn settle(journal: &mut Journal, begun: &Begun, open: &Open, outcome: &Outcome) {
    let object = begun.with_account(Object::from(&open.what));
    let deeds = Calls::default().deeds(&[open.unended()]);
    let entries = past::learn(&mut journal.memory, begun, object, outcome, &deeds);
    journal.owe(entries);
}

fn lag(world: &World, open: &Open) -> Span {
    world.policy.directories.get(&open.target).map_or(Span::ZERO, |directory| directory.lag)
}

/// What the call's run knew of it.
fn begun(world: &World, open: &Open) -> Begun {
    if let Some(about) = &open.about {
        return about.as_ref().clone();
    }
    // A journal of an earlier version does not say.
    let groups = match &open.what {
        What::CreateGroup { name } => {
            let folded = world.policy.fold_group_name(&open.target, name);
            vec![NewGroup { name: name.clone(), folded, source: None }]
        }
        _ => Vec::new(),
    };
    let (tenant, target, at) = (world.policy.tenant.clone(), open.target.clone(), open.at);
    let because = "plan/unknown".to_owned();
    Begun { tenant, target, at, because, groups, people: Vec::new(), counted: Vec::new() }
}

/// What the call came to, if what was read shows that it happened.
fn shown(world: &World, mirror: &Mirror, begun: &Begun, open: &Open, at: Time) -> Option<Outcome> {
    let mut outcome = open.outcome(&begun.tenant, at, StepResult::AlreadySo);
    let live = |row: &GroupRow| row.gone_at.is_none();
    let is_shown = match &open.what {
        What::Edges { group, edges, .. } => {
            let (account, op, _) = edges.first()?;
            mirror.group(group).is_some_and(live) && mirror.is_member(group, account) == (*op == EdgeOp::Add)
        }
        What::CreateGroup { name } => {
            let fold = |name: &str| world.policy.fold_group_name(&open.target, name);
            let wanted = fold(name);
            let found = mirror.groups().find(|row| live(row) && fold(&row.group.name) == wanted);
            outcome.group = found.map(|row| row.group.id.clone());
            outcome.group.is_some()
        }
        What::GrantAccess { group, access, .. } => {
            mirror.group(group).is_some_and(|row| live(row) && access.is_given_by(&row.group) == Some(true))
        }
        What::DeleteGroup { group, .. } => !mirror.group(group).is_some_and(live),
        What::Account { person, change, .. } if change == "create" => {
            outcome.account = account_of(world, mirror, begun, person);
            outcome.account.is_some()
        }
        What::Account { .. } => false,
    };
    is_shown.then_some(outcome)
}

/// The one account that has the person's address.
fn account_of(world: &World, mirror: &Mirror, begun: &Begun, person: &AccountId) -> Option<AccountId> {
    let (_, source, _) = begun.people.iter().find(|(of, ..)| of == person)?;
    let email = world.planner.mirror(source)?.user(person)?.user.email.clone()?;
    match &mirror.users_with(&email)[..] {
        [row] if row.gone_at.is_none() => Some(row.user.id.clone()),
        _ => None,
    }
}
