//! Everything a writer needs, and hands to give it work.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use bus::{Bus, Outlet, Relay, RelayOptions, outgoing};
use clap::Parser as _;
use harness::{Nats, Postgres};
use model::{
    AccountId, Canonical as _, Command, CommandBody, CommandId, DirectoryId, EdgeChange, EdgeOp, GroupId, Lane,
    Outcome, TenantId, Time,
};
use runtime::Shutdown;
use store::{
    Lease, Role, Store,
    console::Decider,
    plan::{NewCommand, Turn},
};
use tokio_util::sync::CancellationToken;
use twin::world::atlassian::{BaseKey, DIRECTORY, ORGANIZATION};

pub(crate) const SOON: Duration = Duration::from_secs(30);
const PEOPLE: usize = 40;

#[derive(Debug, clap::Parser)]
struct Arguments {
    #[command(flatten)]
    options: writer::Options,
}

pub(crate) struct Bench {
    pub(crate) nats: Nats,
    pub(crate) postgres: Postgres,
    pub(crate) twin: twin::Running,
    pub(crate) store: Store,
    pub(crate) sql: tokio_postgres::Client,
    url: String,
    lease: Lease,
    folder: tempfile::TempDir,
    relay: Option<(Outlet, CancellationToken)>,
    next: std::sync::atomic::AtomicU64,
}

/// A writer in this process.
pub(crate) struct Writer {
    shutdown: Shutdown,
    running: tokio::task::JoinHandle<Result<(), runtime::Fault>>,
}

pub(crate) fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

pub(crate) fn cloud() -> DirectoryId {
    DirectoryId::new("cloud").unwrap()
}

impl Bench {
    pub(crate) async fn start() -> Self {
        let (nats, postgres) = (Nats::start().await.unwrap(), Postgres::fast().await.unwrap());
        let url = postgres.database("writer").await.unwrap();
        store::migrate(&url).await.unwrap();
        let store = Store::connect(&url, Some(Role::Reconciler), 4).await.unwrap();
        let sql = postgres.connect("writer").await.unwrap();
        let lease = store.acquire("reconciler/acme", "test", Duration::from_hours(1), Duration::ZERO).await.unwrap();
        let twin = twin::Twin::start(twin::Config { quotas: false, ..twin::Config::default() }).await.unwrap();
        twin.twin.load(world().to_string().as_bytes()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("org-key"), "twin-org-key").unwrap();
        std::fs::write(folder.path().join("google.json"), "{}").unwrap();
        let bench = Self {
            nats,
            postgres,
            twin,
            store,
            sql,
            url,
            lease: lease.unwrap(),
            folder,
            relay: None,
            next: std::sync::atomic::AtomicU64::new(1),
        };
        std::fs::write(bench.policy(), bench.policy_text()).unwrap();
        bench
    }

    /// The commands that are sent go out over the bus.
    pub(crate) async fn with_relay(mut self) -> Self {
        let bus = Bus::connect(&self.nats.url(), "reconciler").await.unwrap();
        let (outlet, stop) = (Outlet::default(), CancellationToken::new());
        let relay = Relay {
            bus,
            store: self.store.clone(),
            schema: store::Schema::Plan,
            outlet: outlet.clone(),
            options: RelayOptions::default(),
        };
        tokio::spawn(relay.run(stop.clone()));
        self.relay = Some((outlet, stop));
        self
    }

    fn policy(&self) -> PathBuf {
        self.folder.path().join("policy.toml")
    }

    fn policy_text(&self) -> String {
        let (google, atlassian) = (self.twin.google_url(), self.twin.atlassian_url());
        format!(
            "tenant = \"acme\"\n\
             [directory.workspace]\nkind = \"google-workspace\"\nservice_account = \"file:google.json\"\n\
             subject = \"sync@example.com\"\nendpoint = \"{google}\"\n\
             [directory.cloud]\nkind = \"atlassian-org\"\norg = \"{ORGANIZATION}\"\ndirectory = \"{DIRECTORY}\"\n\
             api_key = \"file:org-key\"\nowner = \"sync@example.com\"\nendpoint = \"{atlassian}\"\n\
             [[sync]]\nname = \"teams\"\nfrom = \"workspace\"\ngroups = [\"*\"]\nto = \"cloud\"\n"
        )
    }

    /// Starts a writer.
    pub(crate) fn writer(&self) -> Writer {
        let (policy, nats) = (self.policy().display().to_string(), self.nats.url());
        let arguments =
            ["writer", "--nats", &nats, "--database", &self.url, "--policy", &policy, "--call-timeout", "2"];
        let options = Arguments::try_parse_from(arguments).unwrap().options;
        let shutdown = Shutdown::manual();
        let running = tokio::spawn(writer::run(options, shutdown.clone()));
        Writer { shutdown, running }
    }

    pub(crate) fn command(&self, lane: Lane, body: CommandBody) -> Command {
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let id = CommandId(uuid::Uuid::from_u128(u128::from(number)));
        Command { id, tenant: tenant(), target: cloud(), lane, body }
    }

    pub(crate) fn create(&self, name: &str) -> Command {
        self.command(Lane::Normal, CommandBody::CreateGroup { name: name.to_owned(), description: String::new() })
    }

    pub(crate) fn edges(&self, lane: Lane, group: &GroupId, generation: u64, changes: &[(&str, EdgeOp)]) -> Command {
        let edges = changes
            .iter()
            .map(|(account, op)| EdgeChange {
                account: AccountId::new(account).unwrap(),
                op: *op,
                person_generation: 0,
            })
            .collect();
        self.command(lane, CommandBody::Edges { group: group.clone(), generation, edges })
    }

    /// Commits commands as the reconciler does.
    pub(crate) async fn send(&self, commands: &[Command]) {
        let new = |command: &Command| {
            let (generation, object) = match &command.body {
                CommandBody::Edges { generation, .. } => (*generation, Some(command.object())),
                _ => (0, None),
            };
            let row = NewCommand {
                command: command.clone(),
                generation,
                plan: 1,
                traceparent: None,
                created_at: now(),
                detected_at: None,
                message: outgoing::command(command, None),
            };
            (row, object.map(|object| (cloud(), object, generation)))
        };
        let (commands, generations): (Vec<_>, Vec<_>) = commands.iter().map(new).unzip();
        let generations = generations.into_iter().flatten().collect();
        let turn = Turn { at: now(), commands, generations, ..Turn::default() };
        let messages = self.store.commit_turn(&self.lease, &tenant(), &turn).await.unwrap();
        if let Some((outlet, _)) = &self.relay {
            outlet.hand(messages);
        }
    }

    /// Raises a generation, as a newer command or a revocation does.
    pub(crate) async fn raise(&self, object: String, generation: u64) {
        let turn = Turn { at: now(), generations: vec![(cloud(), object, generation)], ..Turn::default() };
        self.store.commit_turn(&self.lease, &tenant(), &turn).await.unwrap();
    }

    /// A person pauses the target, or lets it go on.
    pub(crate) async fn pause(&self, paused: bool) {
        let console = Store::connect(&self.url, Some(Role::Console), 1).await.unwrap();
        let decider = Decider { actor: "ana".to_owned(), reason: String::new(), at: now() };
        console.set_pause(&tenant(), Some(&cloud()), paused, &decider).await.unwrap();
    }

    /// Waits for the outcomes of these commands.
    pub(crate) async fn outcomes(&self, commands: &[Command]) -> BTreeMap<CommandId, Outcome> {
        let ids: Vec<uuid::Uuid> = commands.iter().map(|command| command.id.0).collect();
        harness::eventually(SOON, "the outcomes", async || {
            let rows = self.sql.query("select body from effect.outcome where command = any($1)", &[&ids]).await?;
            let outcomes: BTreeMap<CommandId, Outcome> = rows
                .iter()
                .map(|row| serde_json::from_slice::<Outcome>(row.get(0)).unwrap())
                .map(|outcome| (outcome.command, outcome))
                .collect();
            Ok((outcomes.len() == commands.len()).then_some(outcomes))
        })
        .await
        .unwrap()
    }

    /// Makes a group through the writer that runs.
    pub(crate) async fn group(&self, name: &str) -> GroupId {
        let create = self.create(name);
        self.send(std::slice::from_ref(&create)).await;
        let outcome = self.outcomes(std::slice::from_ref(&create)).await.remove(&create.id).unwrap();
        outcome.group.unwrap()
    }

    /// The members of a group in the twin's world, by address.
    pub(crate) fn members(&self, name: &str) -> Vec<String> {
        let key = BaseKey::Organization(ORGANIZATION.to_owned());
        self.twin.twin.world().atlassian.memberships(&key).remove(name).unwrap_or_default()
    }

    /// A product is bought for a site of the organization.
    pub(crate) fn with_product(&self, resource: &str, key: &str, site: &str) {
        let product = serde_json::json!({ "resource": resource, "key": key, "name": key, "site": site });
        let edit = serde_json::json!({ "op": "load", "organizations": [
            { "id": ORGANIZATION, "name": "Acme", "directory": DIRECTORY, "products": [product] }] });
        let mut world = self.twin.twin.world();
        let twin::world::World { atlassian, log, .. } = &mut *world;
        let cause = twin::world::Cause::default();
        let mut act = twin::world::atlassian::Act { cause: &cause, log };
        atlassian.edit(serde_json::from_value(edit).unwrap(), &mut act).unwrap();
    }

    /// The account of the n-th person.
    pub(crate) fn account(&self, n: usize) -> String {
        let world = self.twin.twin.world();
        let accounts = world.atlassian.accounts();
        let index = accounts.with_email(&email(n))[0];
        accounts.get(index).unwrap().id.clone()
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.sql.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// How often the twin's world was really changed by our calls to memberships.
    pub(crate) fn effects(&self) -> usize {
        let world = self.twin.twin.world();
        world.log.after(0).filter(|change| change.family == "atlassian.org" && change.key.contains("/member/")).count()
    }

    /// I6 and I9: what changed the world is joined by the id that its request bore to an attempt that was in the ledger
    /// before, and to one entry of the audit chain; and every entry has its effect.
    pub(crate) async fn each_effect_has_its_attempt_and_its_entry(&self) {
        let effects: Vec<(uuid::Uuid, String, i64)> = {
            let world = self.twin.twin.world();
            let ours = world.log.after(0).filter(|change| change.family == "atlassian.org");
            ours.map(|change| {
                let attempt = outbound::attempt_of(&change.request_id).unwrap();
                (attempt, change.operation.clone(), change.machine_micros)
            })
            .collect()
        };
        let mut told = 0;
        for (attempt, operation, at) in &effects {
            let began = self.sql.query_one("select began_at from effect.attempt where id = $1", &[attempt]).await;
            let began: i64 = began.unwrap().get(0);
            assert!(began <= *at, "{operation} happened before it stood in the ledger");
            let like = format!("%attempt/{attempt}%");
            let entries = "select count(*) from common.audit where actor = 'writer' and cause like $1";
            let entries: i64 = self.sql.query_one(entries, &[&like]).await.unwrap().get(0);
            assert_eq!(entries, 1, "{operation} by {attempt} in the audit chain");
            told += entries;
        }
        assert_eq!(self.count("select count(*) from common.audit where actor = 'writer'").await, told);
    }
}

impl Writer {
    pub(crate) async fn stop(self) {
        self.shutdown.begin();
        self.running.await.unwrap().unwrap();
    }

    /// Ends it without a word, as SIGKILL does: nothing is settled and the lease is kept.
    pub(crate) fn vanish(self) {
        self.shutdown.hard().cancel();
        self.running.abort();
    }
}

pub(crate) fn email(n: usize) -> String {
    format!("p{n:02}@example.com")
}

fn now() -> Time {
    Time(runtime::clock::now_micros())
}

/// Forty people, no groups.
fn world() -> serde_json::Value {
    let users: Vec<_> = (0..PEOPLE)
        .map(|n| serde_json::json!({ "id": format!("u{n:02}"), "email": email(n), "given_name": "P", "family_name": "Q" }))
        .collect();
    serde_json::json!({ "format": "orgdir-snapshot/1", "users": users, "groups": [] })
}

/// What a row is stored with.
pub(crate) fn digest(command: &Command) -> Vec<u8> {
    command.digest().0.to_vec()
}
