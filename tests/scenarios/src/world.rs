//! A deployment: NATS, PostgreSQL and our services as processes of their own.

use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use harness::{Nats, Postgres, Service, eventually, ports};
use serde_json::{Value, json};

use crate::{Beginning, Company, Outside};

/// Kim's token. Both tokens are for tests and open nothing else.
const KIM: (&str, &str) =
    ("operator-token-kim-0123456789", "dcaf2affac0d9a7e607513748af89c91a3d79c6ec78a863aa890a79576225ec9");

/// How a world is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// PostgreSQL waits for the disk.
    pub durable: bool,
    /// What is there before anybody looks.
    pub beginning: Beginning,
    /// Policy files of further tenants of the same installation.
    pub tenants: Vec<PathBuf>,
    /// Further arguments of the watcher.
    pub watcher: Vec<String>,
    /// Further arguments of the reconciler.
    pub reconciler: Vec<String>,
    /// Further arguments of the writer.
    pub writer: Vec<String>,
    /// Passwords that the addresses of NATS and PostgreSQL bear. Neither server asks for one.
    pub passwords: Option<[&'static str; 2]>,
}

impl Default for Options {
    /// No limit on calls, since the twin has none; time-outs and leases so short that a replacement comes soon.
    fn default() -> Self {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            durable: false,
            beginning: Beginning::default(),
            tenants: Vec::new(),
            watcher: list(&["--read-limit=workspace=100000/1,cloud=100000/1", "--read-timeout=5"]),
            reconciler: list(&["--lease=3", "--tick=1", "--republish=5"]),
            writer: list(&["--limit=cloud=100000/1", "--call-timeout=2"]),
            passwords: None,
        }
    }
}

/// The vendors, the servers and the services.
#[derive(Debug)]
pub struct World {
    /// Dropped before the servers that they need.
    pub watcher: Service,
    /// See above.
    pub reconciler: Service,
    /// See above.
    pub writer: Service,
    /// See above.
    pub console: Service,
    /// Where they answer for their health: watcher, reconciler, writer, console.
    pub health: [String; 4],
    /// The bus.
    pub nats: Nats,
    /// The truth.
    pub postgres: Postgres,
    /// The operators' API.
    pub api: String,
    outside: Outside,
}

impl Deref for World {
    type Target = Outside;

    fn deref(&self) -> &Outside {
        &self.outside
    }
}

/// The name of the database.
const DATABASE: &str = "rollcall_scenario";

impl World {
    /// A company's world, with the usual options; the services run and are ready.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn of(company: &Company) -> Result<Self> {
        Self::start(&company.snapshot(), &company.policy(), &Options::default()).await
    }

    /// A world of this snapshot under this policy; the services run and are ready.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start(snapshot: &Value, policy: &str, options: &Options) -> Result<Self> {
        let postgres = async { if options.durable { Postgres::start().await } else { Postgres::fast().await } };
        let (outside, nats, postgres) =
            tokio::join!(Outside::begin(snapshot, policy, &options.beginning), Nats::start(), postgres);
        let (outside, nats, postgres) = (outside?, nats?, postgres?);
        let database = postgres.database(DATABASE).await?;
        store::migrate(&database).await?;
        let tokens = outside.folder.path().join("tokens.toml");
        std::fs::write(&tokens, format!("[[token]]\nperson = \"kim\"\nrole = \"admin\"\nsha256 = \"{}\"\n", KIM.1))?;
        std::fs::write(outside.folder.path().join("token"), KIM.0)?;
        let mut health = [const { String::new() }; 4];
        let mut listens = [const { String::new() }; 4];
        for (address, listen) in health.iter_mut().zip(&mut listens) {
            let port = ports::free()?;
            *address = format!("http://127.0.0.1:{port}");
            *listen = format!("--listen=127.0.0.1:{port}");
        }
        let [watching, reconciling, writing, consoling] = listens;
        let (bus, truth) = match options.passwords {
            Some([bus, truth]) => (
                nats.url().replacen("//", &format!("//rollcall:{bus}@"), 1),
                database.replacen('@', &format!(":{truth}@"), 1),
            ),
            None => (nats.url(), database),
        };
        let mut shared = vec![
            format!("--nats={bus}"),
            format!("--database={truth}"),
            format!("--policy={}", outside.policy().display()),
        ];
        shared.extend(options.tenants.iter().map(|policy| format!("--policy={}", policy.display())));
        let spawn = |binary: &str, listen: String, more: &[String]| {
            let arguments: Vec<String> = shared.iter().cloned().chain([listen]).chain(more.iter().cloned()).collect();
            Service::spawn_with(binary, arguments, [("ROLLCALL_LOG", LOG)])
        };
        let port = ports::free()?;
        let consoles = [format!("--api=127.0.0.1:{port}"), format!("--tokens={}", tokens.display())];
        let mut world = Self {
            watcher: spawn("rollcall-watcher", watching, &options.watcher)?,
            reconciler: spawn("rollcall-reconciler", reconciling, &options.reconciler)?,
            writer: spawn("rollcall-writer", writing, &options.writer)?,
            console: spawn("rollcall-console", consoling, &consoles)?,
            health,
            nats,
            postgres,
            api: format!("http://127.0.0.1:{port}"),
            outside,
        };
        world.until_ready().await?;
        Ok(world)
    }

    /// Runs a verb of the command line that asks the operators' API, as Kim.
    ///
    /// # Errors
    /// As [`Outside::rollcall`].
    pub async fn ask(&self, arguments: &[&str]) -> Result<crate::Said> {
        let arguments = [arguments, &["--server", self.api.as_str(), "--token-file", "token"]].concat();
        self.rollcall(&arguments).await
    }

    /// Waits until all services say that they are ready.
    ///
    /// # Errors
    /// When one does not; shows what it printed.
    pub async fn until_ready(&mut self) -> Result<()> {
        let services = [&mut self.watcher, &mut self.reconciler, &mut self.writer, &mut self.console];
        for (service, health) in services.into_iter().zip(&self.health) {
            service.wait_ready(&format!("{health}/readyz")).await?;
        }
        Ok(())
    }

    /// Asks the operators' API.
    ///
    /// # Errors
    /// When it refuses; shows its answer.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let request = harness::http()?.get(format!("{}/api/v1/{path}", self.api));
        answer(path, request).await
    }

    /// Tells the operators' API.
    ///
    /// # Errors
    /// When it refuses; shows its answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = harness::http()?.post(format!("{}/api/v1/{path}", self.api)).json(body);
        answer(path, request).await
    }

    /// *Sync this now*: a person or a group by address; everything for `None`.
    ///
    /// # Errors
    /// When the operators' API refuses.
    pub async fn sync(&self, address: Option<&str>) -> Result<()> {
        self.post("sync", &address.map_or_else(|| json!({}), |address| json!({ "person": address }))).await?;
        Ok(())
    }

    /// Has everything read again and waits until both sides have been.
    ///
    /// # Errors
    /// When they are not in time.
    pub async fn sweep(&self) -> Result<()> {
        let now = self.now().await?;
        self.sync(None).await?;
        self.until_read_since(now).await
    }

    /// The time by the database's clock, in microseconds.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn now(&self) -> Result<i64> {
        self.one("select (extract(epoch from clock_timestamp()) * 1000000)::bigint").await
    }

    /// Waits until both sides have been read as a whole by a sweep that began after this time.
    ///
    /// # Errors
    /// When they are not in time.
    pub async fn until_read_since(&self, began: i64) -> Result<()> {
        let read = format!(
            "select count(distinct dir)::bigint from directory.scope_read where kind = 1 and began_at >= {began}"
        );
        eventually(Duration::from_mins(1), "both sides to be read", async || {
            Ok((self.one(&read).await? >= 2).then_some(()))
        })
        .await
        .with_context(|| format!("the watcher printed last:\n{}", self.watcher.lines().tail(12)))
    }

    /// Waits until everything that the watchers have committed is part of a decision, and every question that a decision
    /// asked is answered.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn until_decided(&self) -> Result<()> {
        let behind = "select (select count(*) from directory.directory d left join plan.progress p \
            on p.tenant = d.tenant and p.directory = d.directory where d.version > coalesce(p.version, 0)) \
            + (select count(*) from plan.need)";
        eventually(Duration::from_mins(1), "everything that was read to be decided upon", async || {
            Ok((self.one(behind).await? == 0).then_some(()))
        })
        .await
    }

    /// One number from the database.
    ///
    /// # Errors
    /// When there is none.
    pub async fn one(&self, query: &str) -> Result<i64> {
        let client = self.postgres.connect(DATABASE).await?;
        Ok(client.query_one(query, &[]).await.with_context(|| query.to_owned())?.try_get(0)?)
    }

    /// A connection to the database.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn sql(&self) -> Result<tokio_postgres::Client> {
        self.postgres.connect(DATABASE).await
    }

    /// Waits until the operators' API says *in sync*, and checks that the worlds are.
    ///
    /// # Errors
    /// When it does not in time, or is wrong.
    pub async fn until_in_sync(&self, within: Duration) -> Result<()> {
        eventually(within, "the services to say that all is in sync", async || {
            let status = self.get("status").await?;
            let tenant = status.pointer("/tenants/0").cloned().unwrap_or_default();
            if tenant.get("in_sync") == Some(&json!(true)) {
                return Ok(Some(()));
            }
            bail!("{}", tenant.get("why_not").cloned().unwrap_or(status))
        })
        .await?;
        let difference = self.difference();
        anyhow::ensure!(difference.is_empty(), "said to be in sync, and {difference:?}");
        Ok(())
    }

    /// Cases that wait for a person.
    ///
    /// # Errors
    /// When the operators' API does not answer.
    pub async fn held(&self) -> Result<Vec<Value>> {
        let cases = self.get("cases?state=held").await?;
        Ok(cases.get("cases").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// Everything that the services have printed.
    pub fn logs(&self) -> Vec<String> {
        [&self.watcher, &self.reconciler, &self.writer, &self.console]
            .into_iter()
            .flat_map(|service| service.lines().all())
            .collect()
    }
}

/// What services log in tests: enough to understand a failure.
const LOG: &str = "info";

async fn answer(path: &str, request: reqwest::RequestBuilder) -> Result<Value> {
    let answer = request.bearer_auth(KIM.0).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    if !status.is_success() {
        bail!("{path}: {status} {text}");
    }
    Ok(serde_json::from_str(&text)?)
}
