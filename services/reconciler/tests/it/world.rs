//! A tenant with one source and one target, whose watchers and writer are the test's hands.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use bus::{Bus, Outlet, Relay, RelayOptions};
use clap::Parser;
use harness::{Nats, Postgres, eventually};
use model::{
    AccountId, Answer, Corroboration, DirectoryId, Email, Group, GroupId, Member, MemberKind, MembersRead, Reading,
    Role as MemberRole, TenantId, Time, User,
};
use runtime::Shutdown;
use store::directory::{Committed, DirectoryKey, Pass};
use store::{Lease, OutboxMessage, Role, Schema, Store};
use tokio_util::sync::CancellationToken;

pub const WITHIN: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_mins(10);

/// The policy that most tests use; `{more}` is replaced.
const POLICY: &str = r#"
tenant = "acme"
[directory.workspace]
kind = "google-workspace"
customer = "my_customer"
service_account = "file:google.json"
subject = "rollcall@acme.com"
lag = "0s"
[directory.cloud]
kind = "atlassian-org"
org = "o"
directory = "d"
api_key = "file:key"
lag = "0s"
[people]
domains = ["acme.com"]
{more}
[[sync]]
name = "teams"
from = "workspace"
groups = ["*"]
to = "cloud"
rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]
"#;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    options: reconciler::Options,
}

/// One side of the world: groups with their members.
pub type Side = BTreeMap<String, BTreeSet<String>>;

pub struct World {
    pub postgres: Postgres,
    pub nats: Nats,
    pub url: String,
    pub watcher: Store,
    pub writer: Store,
    pub console: Store,
    pub source: Side,
    pub target: Side,
    pub people: BTreeSet<String>,
    /// Accounts that the target refuses.
    pub poisoned: BTreeSet<String>,
    /// Groups of the target that let their members administer it.
    pub administrators: BTreeSet<String>,
    /// So many commands are not tried from now on, for the target does not answer.
    pub down: usize,
    pub policy: PathBuf,
    keys: BTreeMap<&'static str, DirectoryKey>,
    pub writing: Lease,
    folder: tempfile::TempDir,
    /// Where outcomes go out, if anything relays them.
    pub outcomes: Outlet,
    at: i64,
    pub made: u32,
}

pub fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

pub fn cloud() -> DirectoryId {
    DirectoryId::new("cloud").unwrap()
}

pub fn account(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

pub fn group(name: &str) -> GroupId {
    GroupId::new(name).unwrap()
}

/// A reconciler that runs within the test.
pub struct Running {
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<Result<(), runtime::Fault>>,
}

impl Running {
    pub async fn stop(self) {
        self.shutdown.begin();
        self.task.await.unwrap().unwrap();
    }

    /// As kill -9 would: nothing more is awaited or released.
    pub fn kill(self) {
        self.shutdown.hard().cancel();
        self.task.abort();
    }
}

impl World {
    pub async fn start(more: &str) -> Self {
        let (postgres, nats) = tokio::join!(Postgres::fast(), Nats::start());
        let (postgres, nats) = (postgres.unwrap(), nats.unwrap());
        let url = postgres.database("rollcall_test").await.unwrap();
        store::migrate(&url).await.unwrap();
        let watcher = Store::connect(&url, Some(Role::Watcher), 4).await.unwrap();
        let writer = Store::connect(&url, Some(Role::Writer), 4).await.unwrap();
        let console = Store::connect(&url, Some(Role::Console), 2).await.unwrap();
        let writing = writer.acquire("writer/acme/cloud", "test", LEASE, Duration::ZERO).await.unwrap().unwrap();
        let mut keys = BTreeMap::new();
        for name in ["workspace", "cloud", "idp"] {
            let id = DirectoryId::new(name).unwrap();
            keys.insert(name, watcher.directory(&tenant(), &id).await.unwrap());
        }
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("acme.toml");
        std::fs::write(&policy, POLICY.replace("{more}", more)).unwrap();
        let at = runtime::clock::now_micros();
        let (source, target, people, poisoned) = (Side::new(), Side::new(), BTreeSet::new(), BTreeSet::new());
        Self {
            postgres,
            nats,
            url,
            watcher,
            writer,
            console,
            source,
            target,
            people,
            poisoned,
            administrators: BTreeSet::new(),
            down: 0,
            policy,
            keys,
            writing,
            folder,
            outcomes: Outlet::default(),
            at,
            made: 0,
        }
    }

    /// Starts a reconciler that looks by itself every `tick` seconds.
    pub fn reconcile(&self, tick: &str) -> Running {
        self.reconcile_with(tick, &[])
    }

    /// Starts a reconciler with further arguments.
    pub fn reconcile_with(&self, tick: &str, more: &[&str]) -> Running {
        let (nats, policy) = (self.nats.url(), self.policy.display().to_string());
        let arguments = [
            "reconciler",
            "--nats",
            &nats,
            "--database",
            &self.url,
            "--policy",
            &policy,
            "--tick",
            tick,
            "--lease",
            "2",
        ];
        let options = Arguments::try_parse_from(arguments.iter().chain(more)).unwrap().options;
        let shutdown = Shutdown::manual();
        let task = tokio::spawn(reconciler::run(options, shutdown.clone()));
        Running { shutdown, task }
    }

    /// People, each with an account at the target.
    pub fn hire(&mut self, names: &[&str]) {
        self.people.extend(names.iter().map(|name| (*name).to_owned()));
    }

    pub fn at_source(&mut self, name: &str, members: &[&str]) {
        self.source.insert(name.to_owned(), members.iter().map(|member| (*member).to_owned()).collect());
    }

    /// The next moment of reads: always later than everything before.
    pub fn moment(&mut self) -> Time {
        self.at = (self.at + 1).max(runtime::clock::now_micros());
        Time(self.at)
    }

    /// Lets so many microseconds pass for whatever is read from now on.
    pub const fn pass(&mut self, micros: i64) {
        self.at += micros;
    }

    fn reading(&mut self, side: &Side, ids: &str) -> Reading {
        let at = self.moment();
        let mut reading = Reading::begun(at);
        let user = |name: &String| {
            User::new(account(&format!("{ids}{name}")), Some(Email::new(format!("{name}@acme.com")).unwrap()))
        };
        reading.users.seen = self.people.iter().map(user).collect();
        reading.users.complete = true;
        reading.groups.complete = true;
        for (name, members) in side {
            let mut seen = Group::new(group(name), name.clone());
            seen.grants_admin = ids == "a-" && self.administrators.contains(name);
            if ids == "p-" {
                seen.email = Some(Email::new(format!("{name}@acme.com")).unwrap());
            }
            reading.groups.seen.push(seen);
            let seen = members
                .iter()
                .map(|member| Member {
                    kind: MemberKind::User(account(&format!("{ids}{member}"))),
                    role: MemberRole::Member,
                })
                .collect();
            reading.members.push(MembersRead { group: group(name), seen, complete: true, began_at: at });
        }
        reading
    }

    /// Reads the whole source.
    pub async fn sweep_source(&mut self) -> Committed {
        let reading = self.reading(&self.source.clone(), "p-");
        self.commit("workspace", Pass::Sweep, reading).await
    }

    /// Reads the whole target. Its groups' ids are their names.
    pub async fn sweep_target(&mut self) -> Committed {
        let reading = self.reading(&self.target.clone(), "a-");
        self.commit("cloud", Pass::Sweep, reading).await
    }

    /// Reads the accounts of the provisioning directory.
    pub async fn sweep_accounts(&mut self, names: &[&str]) -> Committed {
        let at = self.moment();
        let mut reading = Reading::begun(at);
        reading.ended_at = at;
        reading.users.complete = true;
        reading.groups.complete = true;
        for name in names {
            let email = Email::new(format!("{name}@acme.com")).unwrap();
            let mut user = User::new(account(&format!("s-{name}")), Some(email));
            user.external_id = Some(format!("p-{name}"));
            reading.users.seen.push(user);
        }
        self.commit("idp", Pass::Sweep, reading).await
    }

    /// Reads one group of the source.
    pub async fn read_group(&mut self, name: &str) -> Committed {
        let only: Side =
            self.source.iter().filter(|(of, _)| *of == name).map(|(a, b)| (a.clone(), b.clone())).collect();
        let mut reading = self.reading(&only, "p-");
        (reading.users.complete, reading.groups.complete) = (false, false);
        reading.users.seen.clear();
        self.commit("workspace", Pass::Targeted, reading).await
    }

    async fn commit(&self, directory: &'static str, pass: Pass, reading: Reading) -> Committed {
        let key = &self.keys[directory];
        let announce = |committed: &Committed| announce(key, committed);
        self.watcher.commit_reading(None, key, pass, &reading, None, announce).await.unwrap()
    }

    /// Answers every question truthfully.
    pub async fn answer(&mut self) -> usize {
        let mut count = 0;
        for name in ["workspace", "cloud"] {
            let key = self.keys[name].clone();
            let needs = self.watcher.open_needs(&key, 1_000).await.unwrap();
            let mut answers = Vec::new();
            for (fact, _) in needs {
                let holds = match &fact {
                    model::Fact::Member { group, user, .. } => {
                        let who = user.as_str().trim_start_matches("p-");
                        self.source.get(group.as_str()).is_some_and(|members| members.contains(who))
                    }
                    model::Fact::Group { group, .. } => self.source.contains_key(group.as_str()),
                    model::Fact::User { user, .. } => {
                        self.people.contains(user.as_str().trim_start_matches("p-").trim_start_matches("a-"))
                    }
                    model::Fact::Nested { .. } => false,
                };
                let answer = if holds { Answer::Holds } else { Answer::Gone };
                answers.push(Corroboration { fact, answer, read_at: self.moment() });
            }
            if answers.is_empty() {
                continue;
            }
            count += answers.len();
            let announce = |committed: &Committed| announce(&key, committed);
            self.watcher.commit_answers(None, &key, &answers, &[], None, announce).await.unwrap();
        }
        count
    }

    /// Waits until every command is settled.
    pub async fn settled(&self) {
        let owner = self.postgres.connect("rollcall_test").await.unwrap();
        let open = "select count(*) from plan.command where settled_at is null";
        eventually(WITHIN, "all commands to be settled", async || {
            Ok((owner.query_one(open, &[]).await?.get::<_, i64>(0) == 0).then_some(()))
        })
        .await
        .unwrap();
    }

    pub async fn count(&self, sql: &str) -> i64 {
        let owner = self.postgres.connect("rollcall_test").await.unwrap();
        owner.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Waits until the query counts so many.
    pub async fn counts(&self, sql: &str, wanted: i64) {
        eventually(WITHIN, &format!("{wanted} of {sql}"), async || {
            let count = self.count(sql).await;
            if count == wanted { Ok(Some(())) } else { anyhow_like(count) }
        })
        .await
        .unwrap();
    }

    /// Waits until the reconciler has taken in everything that was read.
    pub async fn taken_in(&self) {
        let behind = "select count(*) from directory.directory d
                        left join plan.progress p on p.tenant = d.tenant and p.directory = d.directory
                       where coalesce(p.version, 0) < d.version";
        self.counts(behind, 0).await;
    }

    /// Publishes what watchers and writers committed.
    pub async fn relay(&self, stop: CancellationToken) {
        let bus = Bus::connect(&self.nats.url(), "test").await.unwrap();
        for (schema, store, outlet) in [
            (Schema::Directory, &self.watcher, Outlet::default()),
            (Schema::Effect, &self.writer, self.outcomes.clone()),
        ] {
            let options = RelayOptions::default();
            let relay = Relay { bus: bus.clone(), store: store.clone(), schema, outlet, options };
            tokio::spawn(relay.run(stop.clone()));
        }
    }

    pub fn rewrite_policy(&self, edit: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(&self.policy).unwrap();
        let next = self.folder.path().join("next");
        std::fs::write(&next, edit(text)).unwrap();
        std::fs::rename(next, &self.policy).unwrap();
    }
}

fn anyhow_like(count: i64) -> Result<Option<()>, anyhow::Error> {
    Err(anyhow::anyhow!("it counts {count}"))
}

fn announce(key: &DirectoryKey, committed: &Committed) -> Vec<OutboxMessage> {
    let event = contract::DirectoryEvent {
        tenant: key.tenant.clone(),
        directory: key.directory.clone(),
        version: committed.version,
        kind: contract::EventKind::Members,
        ids: Vec::new(),
    };
    vec![bus::outgoing::event(&event, None)]
}
