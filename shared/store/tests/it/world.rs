//! What the tests share: a server, a migrated database, readings in few words.

use std::time::Duration;

use harness::postgres::Postgres;
use model::{
    AccountId, Command, CommandBody, CommandId, DirectoryId, EdgeChange, EdgeOp, Email, Group, GroupId, GroupsRead,
    Lane, Member, MemberKind, MembersRead, Reading, Role as MemberRole, TenantId, Time, User, UsersRead,
};
use store::directory::DirectoryKey;
use store::plan::{NewCommand, Turn};
use store::{Lease, OutboxMessage, Role, Store};

/// A server with one migrated database and a pool for each role.
pub struct World {
    pub postgres: Postgres,
    pub url: String,
    pub watcher: Store,
    pub reconciler: Store,
    pub writer: Store,
    pub console: Store,
    pub owner: tokio_postgres::Client,
}

pub const LEASE: Duration = Duration::from_mins(1);

impl World {
    pub async fn start() -> Self {
        let postgres = Postgres::fast().await.unwrap();
        let url = postgres.database("rollcall_test").await.unwrap();
        store::migrate(&url).await.unwrap();
        let owner = postgres.connect("rollcall_test").await.unwrap();
        Self {
            watcher: Store::connect(&url, Some(Role::Watcher), 8).await.unwrap(),
            reconciler: Store::connect(&url, Some(Role::Reconciler), 4).await.unwrap(),
            writer: Store::connect(&url, Some(Role::Writer), 8).await.unwrap(),
            console: Store::connect(&url, Some(Role::Console), 2).await.unwrap(),
            postgres,
            url,
            owner,
        }
    }

    pub async fn directory(&self) -> DirectoryKey {
        self.watcher.directory(&tenant(), &id("workspace")).await.unwrap()
    }

    pub async fn lease(&self, store: &Store, name: &str) -> Lease {
        store.acquire(name, "one", LEASE, Duration::ZERO).await.unwrap().expect("nobody else holds it")
    }

    pub async fn count(&self, sql: &str) -> i64 {
        self.owner.query_one(sql, &[]).await.unwrap().get(0)
    }
}

pub fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

pub fn id(text: &str) -> DirectoryId {
    DirectoryId::new(text).unwrap()
}

pub fn group(text: &str) -> GroupId {
    GroupId::new(text).unwrap()
}

pub fn account(text: &str) -> AccountId {
    AccountId::new(text).unwrap()
}

pub fn user(text: &str) -> User {
    User::new(account(text), Some(Email::new(format!("{text}@acme.com")).unwrap()))
}

pub fn member(text: &str) -> Member {
    Member { kind: MemberKind::User(account(text)), role: MemberRole::Member }
}

/// A reading that began at `at` and ended one microsecond later.
pub fn reading(at: i64) -> Reading {
    let mut reading = Reading::begun(Time(at));
    reading.ended_at = Time(at + 1);
    reading
}

/// One walk of one group.
pub fn walk(at: i64, of: &str, members: &[&str], complete: bool) -> Reading {
    let mut reading = reading(at);
    let seen = members.iter().map(|name| member(name)).collect();
    reading.members.push(MembersRead { group: group(of), seen, complete, began_at: Time(at) });
    reading
}

/// A sweep that saw these users, and these groups with their members.
pub fn sweep(at: i64, users: &[&str], groups: &[(&str, &[&str])]) -> Reading {
    let mut reading = reading(at);
    reading.users = UsersRead { seen: users.iter().map(|name| user(name)).collect(), complete: true, gone: vec![] };
    let seen = groups.iter().map(|(name, _)| Group::new(group(name), *name)).collect();
    reading.groups = GroupsRead { seen, complete: true, gone: vec![] };
    for (name, members) in groups {
        reading.members.extend(walk(at, name, members, true).members);
    }
    reading
}

pub fn no_messages(_: &store::directory::Committed) -> Vec<OutboxMessage> {
    Vec::new()
}

pub fn message(topic: &str, key: &str, number: usize) -> OutboxMessage {
    OutboxMessage {
        topic: topic.to_owned(),
        settle_key: key.to_owned(),
        subject: format!("rollcall.v1.test.{topic}"),
        message_id: format!("{topic}/{number}"),
        payload: number.to_be_bytes().to_vec(),
        headers: vec![("traceparent".to_owned(), "00-ab".to_owned())],
    }
}

/// A command that adds these accounts to a group.
pub fn command(of: &str, accounts: &[&str], lane: Lane, generation: u64) -> Command {
    let edges = accounts
        .iter()
        .map(|name| EdgeChange { account: account(name), op: EdgeOp::Add, person_generation: 0 })
        .collect();
    Command {
        id: CommandId(uuid::Uuid::new_v4()),
        tenant: tenant(),
        target: id("cloud"),
        lane,
        body: CommandBody::Edges { group: group(of), generation, edges },
    }
}

pub fn new_command(command: &Command, generation: u64) -> NewCommand {
    NewCommand {
        command: command.clone(),
        generation,
        plan: 1,
        traceparent: None,
        created_at: Time(1),
        detected_at: Some(Time(1)),
        message: message("acme/cloud", &command.id.to_string(), 1),
    }
}

/// A turn that makes these commands.
pub fn turn_with(commands: &[Command]) -> Turn {
    Turn { at: Time(5), commands: commands.iter().map(|c| new_command(c, 1)).collect(), ..Turn::default() }
}
