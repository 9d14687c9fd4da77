//! What the tests share: servers, a tenant with a held case and a dead letter, one token per role.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use clap::Parser as _;
use console::{ConsoleOptions, Role};
use contract::ops;
use harness::{Nats, Postgres};
use model::{
    AccountId, Canonical as _, Case, CaseKind, Command, CommandBody, CommandId, DirectoryId, Edge, EdgeChange, EdgeOp,
    Fault, GroupId, GuardName, GuardVerdict, Held, Lane, Outcome, Plan, PlanBody, Reason, Rejection, RuleId, Step,
    StepResult, TargetPlan, TenantId, Time,
};
use reqwest::{Method, StatusCode};
use runtime::Shutdown;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use store::effect::{NewAttempt, NewLetter};
use store::plan::{CaseState, HeldRow, NewCommand, PlanRow, Turn};
use store::{Lease, OutboxMessage, Store};
use tempfile::TempDir;

/// 2026-11-21, 12:00:00 UTC.
pub(crate) const NOW: i64 = 1_795_262_400_000_000;

const POLICY: &str = r#"
tenant = "acme"
[directory.workspace]
kind = "google-workspace"
service_account = "file:key.json"
subject = "sync@acme.com"
[directory.cloud]
kind = "atlassian-org"
org = "o-1"
directory = "d-1"
api_key = "env:ORG_KEY"
[people]
domains = ["acme.com"]
[[sync]]
name = "teams"
from = "workspace"
groups = ["team-*@acme.com"]
to = "cloud"
"#;

#[derive(Debug, clap::Parser)]
struct Arguments {
    #[command(flatten)]
    console: ConsoleOptions,
}

/// A running console, with what stands behind it.
pub(crate) struct World {
    pub api: String,
    pub port: u16,
    pub watcher: Store,
    pub reconciler: Store,
    pub writer: Store,
    pub owner: tokio_postgres::Client,
    pub console_role: Store,
    pub nats: Nats,
    deciding: Lease,
    writing: Lease,
    clock_file: std::path::PathBuf,
    hands: Arc<AtomicI64>,
    client: reqwest::Client,
    shutdown: Shutdown,
    _folder: TempDir,
    _postgres: Postgres,
}

pub(crate) fn token(person: &str) -> String {
    format!("token-of-{person}-0123456789abcdef")
}

fn token_entry(person: &str, role: &str) -> String {
    let sha256 = hex::encode(Sha256::digest(token(person).as_bytes()));
    format!("[[token]]\nperson = \"{person}\"\nrole = \"{role}\"\nsha256 = \"{sha256}\"\n")
}

impl World {
    pub(crate) async fn start() -> Self {
        let (postgres, nats) = (Postgres::fast().await.unwrap(), Nats::start().await.unwrap());
        let url = postgres.database("rollcall_test").await.unwrap();
        store::migrate(&url).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("acme.toml"), POLICY).unwrap();
        let roles = Role::ALL.map(|role| token_entry(role.as_str(), role.as_str())).concat();
        // A second approver, and somebody of another tenant.
        let more = token_entry("ravi", "approver")
            + &token_entry("eve", "admin").replace("[[token]]", "[[token]]\ntenants = [\"globex\"]");
        std::fs::write(path("tokens.toml"), roles + &more).unwrap();
        runtime::clock::set_shared(&path("clock"), NOW).unwrap();
        let port = harness::ports::free().unwrap();
        let text = |name: &str| path(name).display().to_string();
        let options = Arguments::parse_from([
            "rollcall-console".to_owned(),
            format!("--nats={}", nats.url()),
            format!("--database={url}"),
            format!("--policy={}", text("acme.toml")),
            format!("--tokens={}", text("tokens.toml")),
            format!("--clock-file={}", text("clock")),
            format!("--api=127.0.0.1:{port}"),
            "--host=console.acme.example".to_owned(),
        ]);
        let shutdown = Shutdown::manual();
        let mut running = tokio::spawn(console::run(options.console, shutdown.clone()));
        let owner = postgres.connect("rollcall_test").await.unwrap();
        let reconciler = Store::connect(&url, Some(store::Role::Reconciler), 2).await.unwrap();
        let writer = Store::connect(&url, Some(store::Role::Writer), 2).await.unwrap();
        let minute = Duration::from_mins(1);
        let deciding = reconciler.acquire("reconciler/acme", "one", minute, Duration::ZERO).await.unwrap().unwrap();
        let writing = writer.acquire("writer/acme/cloud", "one", minute, Duration::ZERO).await.unwrap().unwrap();
        let world = Self {
            api: format!("http://127.0.0.1:{port}/api/v1"),
            port,
            watcher: Store::connect(&url, Some(store::Role::Watcher), 2).await.unwrap(),
            reconciler,
            writer,
            owner,
            console_role: Store::connect(&url, Some(store::Role::Console), 2).await.unwrap(),
            nats,
            deciding,
            writing,
            clock_file: path("clock"),
            hands: Arc::new(AtomicI64::new(NOW)),
            client: harness::http().unwrap(),
            shutdown,
            _folder: folder,
            _postgres: postgres,
        };
        harness::eventually(Duration::from_secs(30), "the console to answer", async || {
            if running.is_finished() {
                (&mut running).await??;
            }
            Ok(world.get("viewer", "/status").await.0.is_success().then_some(()))
        })
        .await
        .unwrap();
        world
    }

    pub(crate) fn later(&self, seconds: i64) {
        let now = self.hands.fetch_add(seconds * 1_000_000, Ordering::SeqCst) + seconds * 1_000_000;
        runtime::clock::set_shared(&self.clock_file, now).unwrap();
    }

    pub(crate) fn now(&self) -> Time {
        Time(self.hands.load(Ordering::SeqCst))
    }

    /// A request as it stands, for whatever is wrong with it.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.api))
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> (StatusCode, Value) {
        let Ok(answer) = request.send().await else { return (StatusCode::SERVICE_UNAVAILABLE, Value::Null) };
        let status = answer.status();
        (status, answer.json().await.unwrap_or_default())
    }

    pub(crate) async fn get(&self, person: &str, path: &str) -> (StatusCode, Value) {
        self.send(self.request(Method::GET, path).bearer_auth(token(person))).await
    }

    pub(crate) async fn post(&self, person: &str, path: &str, body: Value) -> (StatusCode, Value) {
        self.send(self.request(Method::POST, path).bearer_auth(token(person)).json(&body)).await
    }

    /// Answers requests of this verb as a reconciler would, until what is given back is dropped.
    pub(crate) async fn answer(&self, verb: &str) -> tokio::task::JoinSet<()> {
        use futures_util::StreamExt as _;
        let client = self.nats.connect().await.unwrap();
        let mut requests = client.subscribe(format!("rollcall.v1.control.acme.{verb}")).await.unwrap();
        client.flush().await.unwrap();
        let mut answering = tokio::task::JoinSet::new();
        answering.spawn(async move {
            while let Some(request) = requests.next().await {
                client.publish(request.reply.unwrap(), "{}".into()).await.unwrap();
            }
        });
        answering
    }

    pub(crate) async fn approve(&self, person: &str, digest: &str) -> (StatusCode, Value) {
        self.post(person, &format!("/cases/{digest}/approve"), json!({"reason": "offboarding wave"})).await
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        self.owner.query_one(&format!("select count(*) from {table}"), &[]).await.unwrap().get(0)
    }

    /// What the audit chain says of refusals: actor, key, code.
    pub(crate) async fn refusals(&self) -> Vec<(String, String, String)> {
        let rows = self.console_role.audit_page(&tenant(), None, 1000).await.unwrap();
        let refused = rows.into_iter().filter(|row| row.entry.verb == "request.refused");
        refused.map(|row| (row.entry.actor, row.entry.key, String::from_utf8(row.entry.after).unwrap())).collect()
    }

    /// Commits a plan that holds these cases and no others.
    pub(crate) async fn hold(&self, number: u64, cases: &[Case]) {
        let plan = plan(number, cases);
        let held = cases.iter().map(|case| HeldRow {
            digest: case.digest,
            target: cloud(),
            kind: "removals".to_owned(),
            body: serde_json::to_vec(case).unwrap(),
            state: CaseState::Held,
            traceparent: None,
        });
        let turn = Turn {
            at: self.now(),
            plan: Some(PlanRow {
                number,
                made_at: self.now(),
                policy: plan.policy,
                digest: plan.body.digest(),
                body: serde_json::to_vec(&plan).unwrap(),
                summary: json!({"cases": cases.len(), "held": cases.len(), "removals": 2}).to_string(),
            }),
            held: Some(held.collect()),
            ..Turn::default()
        };
        self.commit(&turn).await;
    }

    pub(crate) async fn commit(&self, turn: &Turn) {
        self.reconciler.commit_turn(&self.deciding, &tenant(), turn).await.unwrap();
    }

    /// A command that was rejected: one dead letter. Returns its number.
    pub(crate) async fn letter(&self, account: &str) -> u64 {
        let command = command(account);
        let message = OutboxMessage {
            topic: "acme/cloud".to_owned(),
            settle_key: command.id.to_string(),
            subject: "rollcall.v1.command.acme.cloud.normal".to_owned(),
            message_id: command.id.to_string(),
            payload: vec![1],
            headers: Vec::new(),
        };
        let created_at = self.now();
        let new = NewCommand {
            command: command.clone(),
            generation: 1,
            plan: 1,
            traceparent: None,
            created_at,
            detected_at: None,
            message,
        };
        self.commit(&Turn { at: self.now(), commands: vec![new], ..Turn::default() }).await;
        let edges = vec![format!("add/g-{account}/{account}")];
        let attempt = NewAttempt {
            id: uuid::Uuid::new_v4(),
            command: command.id,
            digest: command.digest(),
            target: cloud(),
            request: "POST /v2/orgs/{org}/groups/{group}/memberships".to_owned(),
            edges: edges.clone(),
            began_at: self.now(),
        };
        self.writer.begin_attempts(&self.writing, &tenant(), &[attempt]).await.unwrap();
        let rejection = NewLetter {
            target: cloud(),
            fault: Fault::Person { account: AccountId::new(account).unwrap(), step: None },
            class: Rejection::UnknownUser,
            at: self.now(),
            answer: "404 user not found".to_owned(),
            command: command.id,
            edges,
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        };
        let outcome = Outcome {
            command: command.id,
            tenant: tenant(),
            target: cloud(),
            at: self.now(),
            result: StepResult::Done,
            edges: Vec::new(),
            group: None,
            account: None,
            behind: None,
        };
        let (outcomes, rejections) = ([outcome], [rejection]);
        let recorded = self
            .writer
            .record_outcomes(&self.writing, &tenant(), &[], &outcomes, &rejections, &[], |_| Vec::new())
            .await
            .unwrap();
        recorded.0.letters[0].0
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

pub(crate) fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

pub(crate) fn cloud() -> DirectoryId {
    DirectoryId::new("cloud").unwrap()
}

fn command(account: &str) -> Command {
    let edge = EdgeChange { account: AccountId::new(account).unwrap(), op: EdgeOp::Add, person_generation: 0 };
    let group = GroupId::new(format!("g-{account}")).unwrap();
    Command {
        id: CommandId(uuid::Uuid::new_v4()),
        tenant: tenant(),
        target: cloud(),
        lane: Lane::Normal,
        body: CommandBody::Edges { group, generation: 1, edges: vec![edge] },
    }
}

/// A held case that takes these accounts out of a group.
pub(crate) fn case(group: &str, accounts: &[&str]) -> Case {
    let group_id = GroupId::new(group).unwrap();
    let kind = CaseKind::Removals { group: group_id.clone(), name: group.to_owned() };
    let rule = RuleId::new("teams").unwrap();
    let steps: Vec<Step> = accounts
        .iter()
        .map(|account| Step::Edge {
            edge: Edge {
                group: Some(group_id.clone()),
                group_name: group.to_owned(),
                account: Some(AccountId::new(account).unwrap()),
                person: None,
                op: EdgeOp::Remove,
            },
            reason: Reason::Drift { rule: rule.clone() },
        })
        .collect();
    Case {
        digest: Case::digest_of(&cloud(), &kind, &steps),
        kind,
        lane: Lane::Normal,
        steps,
        guards: vec![GuardVerdict { guard: GuardName::PerGroupRemovals, found: 2, limit: 1 }],
        held: vec![Held { guard: GuardName::PerGroupRemovals, reason: "2 removals, 1 allowed".to_owned() }],
        needs: Vec::new(),
    }
}

fn plan(number: u64, cases: &[Case]) -> Plan {
    Plan {
        number: Some(number),
        made_at: Time(NOW),
        policy: model::Digest::of(POLICY.as_bytes()),
        calls: [(cloud(), 2)].into(),
        body: PlanBody {
            schema: "rollcall.plan/1".to_owned(),
            tenant: tenant(),
            targets: vec![TargetPlan {
                target: cloud(),
                cases: cases.to_vec(),
                refusals: Vec::new(),
                waits: Vec::new(),
                links: Vec::new(),
                seats: Vec::new(),
            }],
            wider: Vec::new(),
        },
    }
}

/// The cases of a list's answer.
pub(crate) fn listed(answer: &Value) -> Vec<ops::CaseSummary> {
    serde_json::from_value::<ops::CaseList>(answer.clone()).unwrap().cases
}
