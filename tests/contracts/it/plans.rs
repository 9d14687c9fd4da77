//! Plans: one value of every shape that they can have.

use std::collections::BTreeMap;

use model::{
    AccountChange, Case, CaseKind, Digest, Edge, EdgeOp, GuardName, GuardVerdict, Held, Lane, Link, LinkHow, Plan,
    PlanBody, Reason, Refusal, RefusalWhy, Seats, Step, TargetPlan, Time, UserState, Wait, WaitWhy, WiderGuard,
};

use crate::samples::{account, attributes, directory, facts, group, hand_over, portal, product, rule, tenant};

pub(crate) fn plans() -> BTreeMap<&'static str, Plan> {
    let seats = Seats { product: "jira-software".to_owned(), limit: 500, used: 499, gained: 2, freed: 1 };
    let whole = TargetPlan {
        cases: kinds().into_iter().enumerate().map(case).collect(),
        refusals: refusals(),
        waits: waits(),
        links: links(),
        seats: vec![seats],
        ..target()
    };
    let wider = vec![WiderGuard {
        rule: rule(),
        budget: "per_group.removals is { count = 50 } instead of { count = 5 }".to_owned(),
    }];
    BTreeMap::from([
        ("plan", plan(7, vec![whole])),
        ("plan_access", plan(8, vec![TargetPlan { cases: vec![access()], ..target() }])),
        ("plan_empty", Plan { number: None, ..plan(0, Vec::new()) }),
        ("plan_wider", with(wider, plan(9, vec![uninvited()]))),
    ])
}

fn plan(number: u64, targets: Vec<TargetPlan>) -> Plan {
    Plan {
        number: Some(number),
        made_at: Time(1_764_000_000_000_000),
        policy: Digest::of(b"policy"),
        calls: BTreeMap::from([(directory("cloud"), 12), (directory("cloud-idp"), 3)]),
        body: PlanBody { schema: "rollcall.plan/1".to_owned(), tenant: tenant(), targets, wider: Vec::new() },
    }
}

fn with(wider: Vec<WiderGuard>, plan: Plan) -> Plan {
    Plan { body: PlanBody { wider, ..plan.body }, ..plan }
}

/// A target with nothing to say.
fn target() -> TargetPlan {
    TargetPlan {
        target: directory("cloud"),
        cases: Vec::new(),
        refusals: Vec::new(),
        waits: Vec::new(),
        links: Vec::new(),
        seats: Vec::new(),
    }
}

/// A case that nothing looked at.
fn unjudged(kind: CaseKind, lane: Lane, steps: Vec<Step>) -> Case {
    let digest = Case::digest_of(&directory("cloud"), &kind, &steps);
    Case { digest, kind, lane, steps, guards: Vec::new(), held: Vec::new(), needs: Vec::new() }
}

fn case((n, kind): (usize, CaseKind)) -> Case {
    let steps: Vec<Step> = if n == 0 { steps() } else { steps().into_iter().skip(n).take(2).collect() };
    let held = |guard| Held { guard, reason: "7 removals, 5 allowed".to_owned() };
    Case {
        guards: vec![GuardVerdict { guard: GuardName::PerGroupRemovals, found: 7, limit: 5 }],
        held: if n == 0 { GuardName::ALL.map(held).into() } else { Vec::new() },
        needs: if n == 1 { facts() } else { Vec::new() },
        ..unjudged(kind, Lane::ALL.into_iter().cycle().nth(n).unwrap(), steps)
    }
}

/// A group is to give something: once it is made, and now.
fn access() -> Case {
    let step = |group, access| Step::GrantAccess {
        group,
        name: "eng".to_owned(),
        access,
        reason: Reason::Access { rule: rule() },
    };
    let kind = CaseKind::Access { group: group("g-1"), name: "eng".to_owned() };
    unjudged(kind, Lane::Normal, vec![step(None, portal()), step(Some(group("g-1")), product())])
}

/// Somebody who works and is in no group of the target, and whose address another account still has; and a group that
/// says what it is for.
fn uninvited() -> TargetPlan {
    let reason = || Reason::Leaver { source: directory("cloud"), state: UserState::Uninvited };
    let step = |change| Step::Account {
        account: Some(account("scim-2")),
        person: Some(account("118235")),
        change,
        reason: reason(),
    };
    let kind = CaseKind::Account { source: directory("workspace"), person: account("118235") };
    let made = CaseKind::Create { name: "eng".to_owned() };
    let make = Step::CreateGroup {
        name: "eng".to_owned(),
        description: "Made by Rollcall".to_owned(),
        reason: Reason::Missing { rule: rule(), source: directory("workspace"), group: Some(group("01abc")) },
    };
    let changes = [AccountChange::Suspend, AccountChange::Remove, hand_over()];
    let taken = Wait { group: None, person: Some(account("118235")), why: WaitWhy::AddressTaken, edges: 3 };
    TargetPlan {
        cases: vec![unjudged(kind, Lane::Urgent, changes.map(step).into()), unjudged(made, Lane::Bulk, vec![make])],
        waits: vec![taken],
        ..target()
    }
}

fn refusals() -> Vec<Refusal> {
    let whys = [
        RefusalWhy::ProtectedGroup,
        RefusalWhy::ProtectedPerson,
        RefusalWhy::OurOwnAccount,
        RefusalWhy::LastAdministrator,
        RefusalWhy::NotOurs,
        RefusalWhy::DefaultAccessGroup,
        RefusalWhy::MayNotCreate,
        RefusalWhy::Skipped,
    ];
    whys.into_iter().zip(steps()).map(|(why, step)| Refusal { step, why }).collect()
}

fn reasons() -> Vec<Reason> {
    let source = || directory("workspace");
    let path = || vec![group("01abc"), group("02def")];
    let states = [
        UserState::Active,
        UserState::Pending,
        UserState::Suspended,
        UserState::Archived,
        UserState::Deactivated,
        UserState::Deleted,
    ];
    let mut reasons = vec![
        Reason::Joined { rule: rule(), source: source(), path: path() },
        Reason::Left { rule: rule(), source: source(), path: path() },
        Reason::OutOfScope { source: source() },
        Reason::Drift { rule: rule() },
        Reason::Conflict { rule: rule() },
        Reason::Policy { rule: rule() },
        Reason::Missing { rule: rule(), source: source(), group: Some(group("01abc")) },
        Reason::Missing { rule: rule(), source: source(), group: None },
        Reason::SourceDeleted { rule: rule(), source: source(), group: group("01abc") },
        Reason::Provision { rule: rule(), source: source() },
    ];
    reasons.extend(states.map(|state| Reason::Leaver { source: source(), state }));
    reasons
}

fn steps() -> Vec<Step> {
    let mut steps: Vec<Step> = reasons()
        .into_iter()
        .enumerate()
        .map(|(n, reason)| Step::Edge {
            edge: Edge {
                group: n.is_multiple_of(2).then(|| group("g-1")),
                group_name: "eng".to_owned(),
                account: n.is_multiple_of(3).then(|| account("70121:aa-1")),
                person: n.is_multiple_of(5).then(|| account("118234")),
                op: if n.is_multiple_of(2) { EdgeOp::Remove } else { EdgeOp::Add },
            },
            reason,
        })
        .collect();
    let drift = || Reason::Drift { rule: rule() };
    steps.push(Step::CreateGroup { name: "eng".to_owned(), description: String::new(), reason: drift() });
    steps.push(Step::DeleteGroup { group: group("g-1"), name: "eng".to_owned(), reason: drift() });
    let changes = [
        AccountChange::Create { attributes: attributes() },
        AccountChange::Update { attributes: attributes() },
        AccountChange::Deactivate,
        AccountChange::Restore,
    ];
    steps.extend(changes.into_iter().enumerate().map(|(n, change)| Step::Account {
        account: (n > 0).then(|| account("scim-1")),
        person: (n < 3).then(|| account("118234")),
        change,
        reason: drift(),
    }));
    steps
}

fn kinds() -> Vec<CaseKind> {
    let source = || directory("workspace");
    let name = || "eng".to_owned();
    vec![
        CaseKind::Leaver { source: source(), person: account("118234") },
        CaseKind::Create { name: name() },
        CaseKind::Conflict { group: group("g-1"), name: name() },
        CaseKind::Additions { group: group("g-1"), name: name() },
        CaseKind::Removals { group: group("g-1"), name: name() },
        CaseKind::Delete { group: group("g-1"), name: name() },
        CaseKind::Account { source: source(), person: account("118234") },
    ]
}

fn waits() -> Vec<Wait> {
    let whys = [
        WaitWhy::CompleteRead { directory: directory("workspace"), group: Some(group("01abc")) },
        WaitWhy::CompleteRead { directory: directory("workspace"), group: None },
        WaitWhy::TargetRead { group: group("g-1") },
        WaitWhy::NoAccount,
        WaitWhy::Doubt,
        WaitWhy::AccountUnusable,
        WaitWhy::Opaque { group: group("02def") },
        WaitWhy::DeadLetter { id: 42 },
        WaitWhy::Grace { until: Time(1_764_000_000_000_000) },
        WaitWhy::Seat,
        WaitWhy::SourceBlind { directory: directory("workspace") },
    ];
    let wait = |(n, why): (u64, WaitWhy)| Wait {
        group: n.is_multiple_of(2).then(|| "eng".to_owned()),
        person: n.is_multiple_of(3).then(|| account("118234")),
        why,
        edges: n,
    };
    (0..).zip(whys).map(wait).collect()
}

fn links() -> Vec<Link> {
    let hows =
        [LinkHow::ExternalId, LinkHow::Email, LinkHow::Alias, LinkHow::Created, LinkHow::Equal, LinkHow::Adopted];
    let person = |how| Link::Person {
        source: directory("workspace"),
        person: account("118234"),
        account: account("70121:aa-1"),
        how,
    };
    let mut links: Vec<Link> = hows.map(person).into();
    links.push(Link::Group { name: "eng".to_owned(), group: group("g-1"), how: LinkHow::Adopted });
    links
}
