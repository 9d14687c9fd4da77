//! One value of every shape that a message can have; plans are in `plans`.

use std::collections::BTreeMap;

use contract::{DeadLetterNotice, DirectoryEvent, EventKind, Verify};
use model::{
    Access, AccountChange, AccountId, Command, CommandBody, CommandId, DirectoryId, EdgeChange, EdgeOp, EdgeOutcome,
    Fact, GroupId, Lane, Outcome, Rejection, RuleId, StepResult, TenantId, Time,
};
use uuid::Uuid;

pub(crate) fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}
pub(crate) fn directory(id: &str) -> DirectoryId {
    DirectoryId::new(id).unwrap()
}
pub(crate) fn group(id: &str) -> GroupId {
    GroupId::new(id).unwrap()
}
pub(crate) fn account(id: &str) -> AccountId {
    AccountId::new(id).unwrap()
}
pub(crate) fn rule() -> RuleId {
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

pub(crate) fn facts() -> Vec<Fact> {
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

pub(crate) fn attributes() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("displayName".to_owned(), "Ana B".to_owned()),
        ("name.familyName".to_owned(), "B".to_owned()),
        ("userName".to_owned(), "ana".to_owned()),
    ])
}

pub(crate) fn product() -> Access {
    Access::Product {
        product: "jira-software".to_owned(),
        site: "https://acme.atlassian.net".to_owned(),
        role: "atlassian/user".to_owned(),
    }
}

pub(crate) fn portal() -> Access {
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
        ("command_account_suspend", command(11, Lane::Urgent, of_account(known.clone(), AccountChange::Suspend, 6))),
        ("command_account_remove", command(12, Lane::Urgent, of_account(known.clone(), AccountChange::Remove, 7))),
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

pub(crate) fn hand_over() -> AccountChange {
    AccountChange::HandOver { project: Some("jdoe".to_owned()), component: None }
}
