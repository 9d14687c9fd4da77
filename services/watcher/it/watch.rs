//! The watcher on real NATS and PostgreSQL, before twins of both vendors.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::path::Path;
use std::time::Duration;

use bus::{Bus, Intake};
use clap::Parser as _;
use contract::{DirectoryEvent, EventKind};
use harness::{Nats, Postgres, eventually};
use model::{Answer, Delta, DirectoryId, Fact, GroupId, MemberKind, ReadScope, TenantId, Time};
use runtime::Shutdown;
use serde_json::{Value, json};
use store::directory::Wish;
use store::{Role, Store};
use twin::engine::{Fault, FaultKind};
use twin::google::key;
use twin::load::Change;
use twin::{Running, Twin};

const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Debug, clap::Parser)]
struct Arguments {
    #[command(flatten)]
    options: watcher::Options,
}

struct World {
    twin: Running,
    nats: Nats,
    database: String,
    owner: tokio_postgres::Client,
    store: Store,
    folder: tempfile::TempDir,
    http: reqwest::Client,
    _postgres: Postgres,
}

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn id(text: &str) -> DirectoryId {
    DirectoryId::new(text).unwrap()
}

fn google_world() -> Value {
    let person = |id: &str| json!({"id": id, "email": format!("{id}@example.com")});
    let user = |id: &str| json!({"id": id, "type": "USER", "role": "MEMBER"});
    let nested = json!({"id": "g2", "type": "GROUP", "role": "MEMBER"});
    json!({
        "format": "orgdir-snapshot/1",
        "users": [person("ana"), person("bo"), person("cy"), json!({"id": "out", "email": "out@else.org", "external": true})],
        "groups": [
            {"id": "g1", "email": "eng-tools@example.com", "name": "Tools", "members": [user("ana"), user("out"), nested]},
            {"id": "g2", "email": "ops@example.com", "name": "Ops", "members": [user("bo"), user("cy")]},
        ],
    })
}

impl World {
    async fn new() -> Self {
        let http = harness::http().unwrap();
        let (nats, postgres) = (Nats::start().await.unwrap(), Postgres::fast().await.unwrap());
        let database = postgres.database("watch").await.unwrap();
        store::migrate(&database).await.unwrap();
        let twin = Twin::start(twin::Config { quotas: false, ..twin::Config::default() }).await.unwrap();
        twin.twin.load(google_world().to_string().as_bytes()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = key::key_file(key::DEFAULT_EMAIL, key::DEFAULT_CLIENT_ID, &format!("{}/token", twin.google_url()));
        std::fs::write(folder.path().join("google.json"), file.to_string()).unwrap();
        std::fs::write(folder.path().join("org-key"), "twin-org-key").unwrap();
        let world = Self {
            owner: postgres.connect("watch").await.unwrap(),
            store: Store::connect(&database, Some(Role::Reconciler), 4).await.unwrap(),
            twin,
            nats,
            database,
            folder,
            http,
            _postgres: postgres,
        };
        std::fs::write(world.policy(), world.policy_text()).unwrap();
        world
            .at_atlassian(json!([
                {"op": "group", "name": "eng-tools", "members": ["ana@example.com"]},
                {"op": "group", "name": "unmanaged", "members": ["bo@example.com"]},
            ]))
            .await;
        world
    }

    fn policy(&self) -> std::path::PathBuf {
        self.folder.path().join("policy.toml")
    }

    fn policy_text(&self) -> String {
        format!(
            r#"
            tenant = "acme"

            [directory.workspace]
            kind = "google-workspace"
            customer = "my_customer"
            service_account = "file:google.json"
            subject = "sync@example.com"
            sweep_every = "6h"
            endpoint = "{}"

            [directory.cloud]
            kind = "atlassian-org"
            org = "org-1"
            directory = "dir-1"
            api_key = "file:org-key"
            owner = "cy@example.com"
            lag = "0s"
            endpoint = "{}"

            [people]
            domains = ["example.com"]

            [[sync]]
            name = "teams"
            from = "workspace"
            groups = ["eng-*@example.com"]
            to = "cloud"
            rename = [{{ pattern = '^(.+)@.*$', replace = '$1' }}]
            "#,
            self.twin.google_url(),
            self.twin.atlassian_url()
        )
    }

    /// Starts a watcher in this process.
    fn watch(&self) -> (Shutdown, tokio::task::JoinHandle<Result<(), runtime::Fault>>) {
        let policy = self.policy();
        let arguments = Arguments::parse_from([
            "watcher",
            "--nats",
            &self.nats.url(),
            "--database",
            &self.database,
            "--policy",
            policy.to_str().unwrap(),
        ]);
        let shutdown = Shutdown::manual();
        (shutdown.clone(), tokio::spawn(watcher::run(arguments.options, shutdown)))
    }

    async fn at_atlassian(&self, changes: Value) {
        let url = format!("{}/_twin/atlassian", self.twin.atlassian_url());
        let body = json!({"changes": changes}).to_string();
        let request = self.http.post(url).header("content-type", "application/json").body(body);
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{text}");
    }

    fn at_google(&self, change: Value) {
        let change: Change = serde_json::from_value(change).unwrap();
        assert!(self.twin.twin.change(&[change]).is_ok());
    }

    /// The whole mirror of a directory.
    async fn mirror(&self, directory: &str) -> Option<Delta> {
        let key = self.store.find_directory(&tenant(), &id(directory)).await.unwrap()?;
        Some(self.store.delta_since(&key, 0, Time(runtime::clock::now_micros())).await.unwrap())
    }

    /// Members of a group as the mirror has them; `None`: its members were never read.
    async fn members(&self, directory: &str, group: &GroupId) -> Option<Vec<String>> {
        let mirror = self.mirror(directory).await?;
        let read = mirror.reads.iter().any(|read| read.scope == ReadScope::Members(group.clone()));
        let rows = mirror.members.iter().filter(|row| row.group == *group && row.gone_at.is_none());
        let mut members: Vec<String> = rows.map(|row| row.member.id().to_owned()).collect();
        members.sort_unstable();
        read.then_some(members)
    }

    async fn until<T>(&self, what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
        eventually(PATIENCE, what, async || Ok(check().await)).await.unwrap()
    }

    /// Waits for the first whole sweeps of both sides.
    async fn swept(&self) {
        for directory in ["workspace", "cloud"] {
            self.until("both lists are read", async || {
                let mirror = self.mirror(directory).await?;
                let complete =
                    |scope: &ReadScope| mirror.reads.iter().any(|read| read.scope == *scope && read.complete);
                (complete(&ReadScope::Users) && complete(&ReadScope::Groups)).then_some(())
            })
            .await;
        }
    }

    async fn wish(&self, directory: &str, place: &str) {
        let console = Store::connect(&self.database, Some(Role::Console), 1).await.unwrap();
        let key = console.find_directory(&tenant(), &id(directory)).await.unwrap().unwrap();
        let now = Time(runtime::clock::now_micros());
        let wish = Wish {
            id: 0,
            place: place.to_owned(),
            asked_at: now,
            asked_by: "control".to_owned(),
            traceparent: None,
            due_at: now,
        };
        console.wish(&key, &[wish]).await.unwrap();
    }

    async fn blind(&self) -> bool {
        let versions = self.store.directory_versions(&tenant()).await.unwrap();
        versions.iter().any(|row| row.directory == id("workspace") && row.blind_since.is_some())
    }

    async fn org_group(&self, name: &str) -> GroupId {
        self.until("the group is in the mirror", async || {
            let mirror = self.mirror("cloud").await?;
            mirror.groups.iter().find(|row| row.group.name == name).map(|row| row.group.id.clone())
        })
        .await
    }
}

async fn end(watching: (Shutdown, tokio::task::JoinHandle<Result<(), runtime::Fault>>)) {
    watching.0.begin();
    watching.1.await.unwrap().unwrap();
}

fn g(text: &str) -> GroupId {
    GroupId::new(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_are_seen_and_only_what_a_rule_can_touch_is_walked() {
    let world = World::new().await;
    let bus = Bus::connect(&world.nats.url(), "test").await.unwrap();
    let mut events = bus.consume::<DirectoryEvent>(Intake::directory_events(&tenant())).await.unwrap();
    let watching = world.watch();
    world.swept().await;
    assert_eq!(world.members("workspace", &g("g1")).await.unwrap(), ["ana", "g2", "out"]);
    let mirror = world.mirror("workspace").await.unwrap();
    let nested = mirror.members.iter().any(|row| row.member == MemberKind::Group(g("g2")));
    assert!(nested && world.members("workspace", &g("g2")).await.is_some(), "nested groups are walked");
    let (ours, theirs) = (world.org_group("eng-tools").await, world.org_group("unmanaged").await);
    let walked = world.until("our group is walked", async || world.members("cloud", &ours).await).await;
    assert_eq!(walked.len(), 1);
    assert_eq!(world.members("cloud", &theirs).await, None, "a group that no rule can touch is not");
    let own = world.until("we know ourselves", async || {
        let own = world.store.own_accounts(&tenant()).await.unwrap();
        (own.iter().any(|(at, _)| *at == id("cloud")) && own.iter().any(|(at, _)| *at == id("workspace")))
            .then_some(own)
    });
    assert_eq!(own.await.len(), 2);

    // A sweep tells what changed by id, in order of versions, and that it ended.
    let mut told: Vec<DirectoryEvent> = Vec::new();
    while told.iter().filter(|event| event.kind == EventKind::Swept).count() < 2 {
        for delivery in events.next_batch(100, Duration::from_secs(20)).await {
            told.push(delivery.value().clone());
            delivery.ack().await.unwrap();
        }
    }
    let google: Vec<_> = told.iter().filter(|event| event.directory == id("workspace")).collect();
    assert!(google.windows(2).all(|pair| pair[0].version <= pair[1].version));
    assert!(google.iter().any(|event| event.kind == EventKind::Members && event.ids.contains(&"g1".to_owned())));
    assert!(!format!("{told:?}").contains('@'), "no address goes over the bus");
    end(watching).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i04_nothing_is_known_of_a_directory_before_it_is_known_who_we_are() {
    let world = World::new().await;
    let faults = &world.twin.twin.engine.faults;
    faults.inject(Fault::new("google.directory", "users.get", FaultKind::Unauthorized));
    let watching = world.watch();
    world
        .until("the first question fails", async || faults.all().iter().any(|fault| fault.hits > 0).then_some(()))
        .await;
    world.until("the source is blind", async || world.blind().await.then_some(())).await;
    assert!(world.mirror("workspace").await.is_none_or(|mirror| mirror.users.is_empty() && mirror.groups.is_empty()));
    faults.clear();
    world.wish("workspace", "all").await;
    world.swept().await;
    let own = world.store.own_accounts(&tenant()).await.unwrap();
    assert!(own.iter().any(|(at, _)| *at == id("workspace")), "{own:?}");
    end(watching).await;
}

/// Failure 23: after a change of credentials the same alias means another company. Nothing of it is written.
#[tokio::test(flavor = "multi_thread")]
async fn i02_another_customer_by_the_same_name_is_refused_and_removes_nobody() {
    let world = World::new().await;
    let watching = world.watch();
    world.swept().await;
    let pinned = "select vendor_id from directory.directory where directory = 'workspace'";
    let pinned = async || world.owner.query_one(pinned, &[]).await.unwrap().get::<_, Option<String>>(0);
    assert_eq!(pinned().await.as_deref(), Some("C01twin00"));
    end(watching).await;
    let before = world.mirror("workspace").await.unwrap();

    world.twin.twin.world().google.customer_id = "C02other".to_owned();
    world.at_google(json!({"op": "member_removed", "group": "g2", "id": "cy"}));
    let watching = world.watch();
    world.until("the directory to be blind", async || world.blind().await.then_some(())).await;
    assert_eq!(pinned().await.as_deref(), Some("C01twin00"));
    assert_eq!(world.members("workspace", &g("g2")).await, Some(vec!["bo".to_owned(), "cy".to_owned()]));
    assert_eq!(world.mirror("workspace").await.unwrap().members, before.members, "nothing was written");
    end(watching).await;

    world.twin.twin.world().google.customer_id = "C01twin00".to_owned();
    let watching = world.watch();
    world.until("the directory is read again", async || (!world.blind().await).then_some(())).await;
    end(watching).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_is_read_at_once() {
    let world = World::new().await;
    let watching = world.watch();
    world.swept().await;

    // A person moves; somebody asks for this person, and nothing else is read.
    world.at_google(json!({"op": "member_removed", "group": "g1", "id": "ana"}));
    world.at_google(json!({"op": "member_added", "group": "g2", "id": "ana", "type": "USER", "role": "MEMBER"}));
    let before = world.twin.twin.engine.counters.all().0["google.directory"]["users.list"].calls;
    world.wish("workspace", "email/ana@example.com").await;
    let bus = Bus::connect(&world.nats.url(), "test").await.unwrap();
    // Only the reconciler answers: a watcher that reads decides nothing.
    let unanswered = bus.ask(&tenant(), "sync", Vec::new(), Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(unanswered, bus::BusError::NotAcknowledged(_)), "{unanswered}");
    world
        .until("the person has moved", async || {
            let gone = !world.members("workspace", &g("g1")).await?.contains(&"ana".to_owned());
            let come = world.members("workspace", &g("g2")).await?.contains(&"ana".to_owned());
            (gone && come).then_some(())
        })
        .await;
    assert_eq!(world.twin.twin.engine.counters.all().0["google.directory"]["users.list"].calls, before);

    // The reconciler wants facts read by themselves.
    let fact = |user: &str| Fact::Member {
        directory: id("workspace"),
        group: g("g1"),
        user: model::AccountId::new(user).unwrap(),
    };
    world.at_google(json!({"op": "member_added", "group": "g1", "id": "cy", "type": "USER", "role": "MEMBER"}));
    let walks = || world.twin.twin.engine.counters.all().0["google.directory"]["members.list"].calls;
    let before = walks();
    let wanted = ["ana", "out", "cy"].map(|user| fact(user).key());
    let insert = "insert into plan.need (tenant, directory, fact, asked_at)
                  select 'acme', 'workspace', fact, 1 from unnest($1::text[]) fact";
    world.owner.execute(insert, &[&wanted.as_slice()]).await.unwrap();
    let answers = world
        .until("the facts are answered", async || {
            let answers = world.mirror("workspace").await?.corroborations;
            (answers.len() == 3).then_some(answers)
        })
        .await;
    let answer = |user: &str| answers.iter().find(|answer| answer.fact == fact(user)).unwrap().answer;
    assert_eq!(["ana", "out", "cy"].map(answer), [Answer::Gone, Answer::Holds, Answer::Holds]);
    // What holds after all is read again: its group once, however many of its members were asked for.
    assert_eq!(walks(), before + 1);

    // A group that we made at the target is walked without waiting for the next sweep.
    world
        .at_atlassian(json!([{"op": "group", "name": "eng-new", "members": ["bo@example.com", "cy@example.com"]}]))
        .await;
    let made = made_group(&world, "eng-new").await;
    let pin = "insert into plan.pin (tenant, target, name, group_id, how, equal_once, pinned_at)
               values ('acme', 'cloud', 'eng-new', $1, 'created', false, 1)";
    world.owner.execute(pin, &[&made.as_str()]).await.unwrap();
    let walked = world.until("the new group is walked", async || world.members("cloud", &made).await).await;
    assert_eq!(walked.len(), 2);
    end(watching).await;
}

/// The id of a group at Atlassian that the mirror does not know yet.
async fn made_group(world: &World, name: &str) -> GroupId {
    let url = format!("{}/admin/v2/orgs/org-1/directories/dir-1/groups/search", world.twin.atlassian_url());
    let request = world.http.post(url).bearer_auth("twin-org-key").header("content-type", "application/json");
    let answer = request.body(json!({"groupNames": [name]}).to_string()).send().await.unwrap();
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    g(body["data"][0]["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn i13_a_source_that_cannot_be_read_is_blind_and_stays_as_it_was() {
    let world = World::new().await;
    let watching = world.watch();
    world.swept().await;
    assert!(!world.blind().await);
    let before = world.members("workspace", &g("g1")).await.unwrap();
    let fault = world.twin.twin.engine.faults.inject(Fault::new("google.directory", "*", FaultKind::Unauthorized));
    world.wish("workspace", "all").await;
    world.until("the source is blind", async || world.blind().await.then_some(())).await;
    assert_eq!(world.members("workspace", &g("g1")).await.unwrap(), before);
    assert!(world.twin.twin.engine.faults.remove(fault));
    world.wish("workspace", "all").await;
    world.until("the source sees again", async || (!world.blind().await).then_some(())).await;
    end(watching).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_watcher_takes_over() {
    let world = World::new().await;
    let (first, second) = (world.watch(), world.watch());
    world.swept().await;
    end(first).await;
    world.at_google(json!({"op": "member_removed", "group": "g1", "id": "ana"}));
    world.wish("workspace", "group/g1").await;
    world
        .until("the other watcher reads", async || {
            let members = world.members("workspace", &g("g1")).await?;
            (!members.contains(&"ana".to_owned())).then_some(())
        })
        .await;
    end(second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_at_the_start_is_said_with_its_exit_code() {
    let world = World::new().await;
    let said = async |change: &dyn Fn(&Path)| {
        change(world.folder.path());
        let (_, watching) = world.watch();
        watching.await.unwrap().unwrap_err()
    };
    let fault = said(&|folder| std::fs::remove_file(folder.join("org-key")).unwrap()).await;
    assert_eq!((fault.code, fault.exit.code()), ("E0104", 1), "{fault}");
    let fault = said(&|folder| std::fs::write(folder.join("policy.toml"), "tenant = 1").unwrap()).await;
    assert_eq!((fault.code, fault.exit.code()), ("E0114", 64), "{fault}");
}
