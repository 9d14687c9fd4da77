//! One value of every shape that a message can have.

use std::collections::BTreeMap;

use contract::{DeadLetterNotice, DirectoryEvent, EventKind, Verify};
use model::{
    Access, AccountChange, AccountId, Case, CaseKind, Command, CommandBody, CommandId, Digest, DirectoryId, Edge,
    EdgeChange, EdgeOp, EdgeOutcome, Fact, GroupId, GuardName, GuardVerdict, Held, Lane, Link, LinkHow, Outcome, Plan,
    PlanBody, Reason, Refusal, RefusalWhy, Rejection, RuleId, Seats, Step, StepResult, TargetPlan, TenantId, Time,
    UserState, Wait, WaitWhy,
};
use uuid::Uuid;

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}
fn directory(id: &str) -> DirectoryId {
    DirectoryId::new(id).unwrap()
}
fn group(id: &str) -> GroupId {
    GroupId::new(id).unwrap()
}
fn account(id: &str) -> AccountId {
    AccountId::new(id).unwrap()
}
fn rule() -> RuleId {
    RuleId::new("teams").unwrap()
}
fn command_id(n: u128) -> CommandId {
    CommandId(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + n))
}

pub(crate) fn events() -> BTreeMap<&'static str, DirectoryEvent> {
    let event = |kind, version, ids: &[&str]| DirectoryEvent {
        tenant: tenant(),
        directory: directory("workspace"),
        version,
        kind,
        ids: ids.iter().map(|&id| id.to_owned()).collect(),
    };
    BTreeMap::from([
        ("directory_event_users", event(EventKind::Users, 1, &["118234", "118235"])),
        ("directory_event_groups", event(EventKind::Groups, 300, &["01abc"])),
        ("directory_event_members", event(EventKind::Members, 70_000, &["01abc", "02def"])),
        ("directory_event_swept", event(EventKind::Swept, u64::MAX, &[])),
        ("directory_event_verified", event(EventKind::Verified, 9, &["member/01abc/118234"])),
    ])
}

fn facts() -> Vec<Fact> {
    let source = || directory("workspace");
    vec![
        Fact::Member { directory: source(), group: group("01abc"), user: account("118234") },
        Fact::Nested { directory: source(), group: group("01abc"), nested: group("02def") },
        Fact::User { directory: source(), user: account("118234") },
        Fact::Group { directory: source(), group: group("01abc") },
    ]
}

pub(crate) fn verifies() -> BTreeMap<&'static str, Verify> {
    BTreeMap::from([("verify", Verify { tenant: tenant(), directory: directory("workspace"), facts: facts() })])
}

fn attributes() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("displayName".to_owned(), "Ana B".to_owned()),
        ("name.familyName".to_owned(), "B".to_owned()),
        ("userName".to_owned(), "ana".to_owned()),
    ])
}

fn product() -> Access {
    Access::Product {
        product: "jira-software".to_owned(),
        site: "https://acme.atlassian.net".to_owned(),
        role: "atlassian/user".to_owned(),
    }
}

fn portal() -> Access {
    Access::Portal { desk: "HELP".to_owned() }
}

fn command(n: u128, lane: Lane, body: CommandBody) -> Command {
    Command { id: command_id(n), tenant: tenant(), target: directory("cloud"), lane, body }
}

pub(crate) fn commands() -> BTreeMap<&'static str, Command> {
    let of_account = |account, change, generation| CommandBody::Account {
        account,
        person: self::account("118234"),
        change,
        generation,
    };
    let edges = vec![
        EdgeChange { account: account("70121:aa-1"), op: EdgeOp::Remove, person_generation: 3 },
        EdgeChange { account: account("70121:aa-2"), op: EdgeOp::Add, person_generation: 0 },
    ];
    let known = Some(account("scim-1"));
    BTreeMap::from([
        (
            "command_create_group",
            command(
                1,
                Lane::Bulk,
                CommandBody::CreateGroup { name: "eng-ø".to_owned(), description: "Made by Rollcall".to_owned() },
            ),
        ),
        (
            "command_delete_group",
            command(2, Lane::Normal, CommandBody::DeleteGroup { group: group("g-1"), generation: 5 }),
        ),
        (
            "command_grant_product",
            command(
                9,
                Lane::Normal,
                CommandBody::GrantAccess { group: group("g-1"), access: product(), generation: 6 },
            ),
        ),
        (
            "command_grant_portal",
            command(10, Lane::Normal, CommandBody::GrantAccess { group: group("7"), access: portal(), generation: 1 }),
        ),
        ("command_edges", command(3, Lane::Urgent, CommandBody::Edges { group: group("g-1"), generation: 300, edges })),
        (
            "command_account_create",
            command(4, Lane::Normal, of_account(None, AccountChange::Create { attributes: attributes() }, 1)),
        ),
        (
            "command_account_update",
            command(5, Lane::Normal, of_account(known.clone(), AccountChange::Update { attributes: attributes() }, 2)),
        ),
        (
            "command_account_deactivate",
            command(6, Lane::Urgent, of_account(known.clone(), AccountChange::Deactivate, 3)),
        ),
        ("command_account_restore", command(7, Lane::Normal, of_account(known.clone(), AccountChange::Restore, 4))),
        ("command_account_hand_over", command(8, Lane::Urgent, of_account(known, hand_over(), 5))),
    ])
}

pub(crate) fn outcomes() -> BTreeMap<&'static str, Outcome> {
    let edge = |n: usize, result: StepResult| EdgeOutcome {
        group: group("g-1"),
        account: account(&format!("70121:aa-{n}")),
        op: if n.is_multiple_of(2) { EdgeOp::Add } else { EdgeOp::Remove },
        result,
        confirmed_at: result.holds().then_some(Time(1_764_000_000_000_000)),
    };
    let mut results =
        vec![StepResult::Done, StepResult::AlreadySo, StepResult::Outdated, StepResult::Unknown, StepResult::NotTried];
    results.extend(Rejection::ALL.map(StepResult::Rejected));
    let blank = |n, result| Outcome {
        command: command_id(n),
        tenant: tenant(),
        target: directory("cloud"),
        at: Time(1_764_000_000_000_001),
        result,
        edges: Vec::new(),
        group: None,
        account: None,
        behind: None,
    };
    let edges = results.into_iter().enumerate().map(|(n, result)| edge(n, result)).collect();
    BTreeMap::from([
        ("outcome_edges", Outcome { edges, ..blank(3, StepResult::Done) }),
        ("outcome_group", Outcome { group: Some(group("g-9")), ..blank(1, StepResult::AlreadySo) }),
        (
            "outcome_account",
            Outcome {
                account: Some(account("scim-1")),
                behind: Some(account("70121:aa-1")),
                ..blank(4, StepResult::Done)
            },
        ),
        ("outcome_rejected", Outcome { at: Time(-1), ..blank(5, StepResult::Rejected(Rejection::Conflict)) }),
    ])
}

pub(crate) fn notices() -> BTreeMap<&'static str, DeadLetterNotice> {
    BTreeMap::from([
        (
            "dead_letter_notice",
            DeadLetterNotice {
                tenant: Some(tenant()),
                target: "cloud".to_owned(),
                id: Some(42),
                reason: "unknown-user".to_owned(),
                subject: String::new(),
                payload: Vec::new(),
            },
        ),
        (
            "dead_letter_notice_unreadable",
            DeadLetterNotice {
                tenant: None,
                target: "writer-acme-cloud-urgent".to_owned(),
                id: None,
                reason: "EdgeChange.op has the value 3".to_owned(),
                subject: "rollcall.v1.command.acme.cloud.urgent".to_owned(),
                payload: vec![0, 255, 10],
            },
        ),
    ])
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

fn hand_over() -> AccountChange {
    AccountChange::HandOver { project: Some("jdoe".to_owned()), component: None }
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

pub(crate) fn plans() -> BTreeMap<&'static str, Plan> {
    let case = |(n, kind): (usize, CaseKind)| {
        let steps: Vec<Step> = if n == 0 { steps() } else { steps().into_iter().skip(n).take(2).collect() };
        Case {
            digest: Case::digest_of(&directory("cloud"), &kind, &steps),
            kind,
            lane: Lane::ALL.into_iter().cycle().nth(n).unwrap(),
            steps,
            guards: vec![GuardVerdict { guard: GuardName::PerGroupRemovals, found: 7, limit: 5 }],
            held: if n == 0 {
                GuardName::ALL.map(|guard| Held { guard, reason: "7 removals, 5 allowed".to_owned() }).into()
            } else {
                Vec::new()
            },
            needs: if n == 1 { facts() } else { Vec::new() },
        }
    };
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
    let refusals = whys.into_iter().zip(steps()).map(|(why, step)| Refusal { step, why }).collect();
    let target = TargetPlan {
        target: directory("cloud"),
        cases: kinds().into_iter().enumerate().map(case).collect(),
        refusals,
        waits: waits(),
        links: links(),
        seats: vec![Seats { product: "jira-software".to_owned(), limit: 500, used: 499, gained: 2, freed: 1 }],
    };
    let plan = |number, targets| Plan {
        number,
        made_at: Time(1_764_000_000_000_000),
        policy: Digest::of(b"policy"),
        calls: BTreeMap::from([(directory("cloud"), 12), (directory("cloud-idp"), 3)]),
        body: PlanBody { schema: "rollcall.plan/1".to_owned(), tenant: tenant(), targets, wider: Vec::new() },
    };
    let access = |group, access| Step::GrantAccess {
        group,
        name: "eng".to_owned(),
        access,
        reason: Reason::Access { rule: rule() },
    };
    let kind = CaseKind::Access { group: group("g-1"), name: "eng".to_owned() };
    let steps = vec![access(None, portal()), access(Some(group("g-1")), product())];
    let granted = TargetPlan {
        target: directory("cloud"),
        cases: vec![Case {
            digest: Case::digest_of(&directory("cloud"), &kind, &steps),
            kind,
            lane: Lane::Normal,
            steps,
            guards: Vec::new(),
            held: Vec::new(),
            needs: Vec::new(),
        }],
        refusals: Vec::new(),
        waits: Vec::new(),
        links: Vec::new(),
        seats: Vec::new(),
    };
    BTreeMap::from([
        ("plan", plan(Some(7), vec![target])),
        ("plan_access", plan(Some(8), vec![granted])),
        ("plan_empty", plan(None, Vec::new())),
    ])
}
