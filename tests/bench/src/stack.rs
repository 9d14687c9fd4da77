//! The whole pipeline for a measurement: a twin in this process, NATS and PostgreSQL as durable as in production,
//! services as processes.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use harness::{Nats, Postgres, Service, eventually, ports};
use serde_json::Value;
use store::{Role, Store};
use tempfile::TempDir;
use twin::world::atlassian::{BaseKey, ORGANIZATION};

use crate::report::Report;

/// What runs, with what.
pub(crate) struct Stack {
    pub(crate) twin: twin::Running,
    pub(crate) nats: Nats,
    pub(crate) postgres: Postgres,
    /// Address of our database.
    pub(crate) database: String,
    pub(crate) folder: TempDir,
    services: BTreeMap<String, Service>,
    /// Where each says how it is.
    health: BTreeMap<String, String>,
}

/// Members by group, as addresses in lower case.
pub(crate) type Members = BTreeMap<String, std::collections::BTreeSet<String>>;

impl Stack {
    /// Starts servers and the twin, with this world and without lag. `{google}` and `{atlassian}` in the policy are
    /// replaced by the twin's addresses. Both servers have on the disk what they acknowledge; where there is no
    /// nats-server that can do that, this fails.
    pub(crate) async fn start(policy: &str, world: &[u8], quotas: bool) -> Result<Self> {
        harness::prepare();
        let (nats, postgres) = tokio::try_join!(Nats::durable(), Postgres::start())?;
        let database = postgres.database("bench").await?;
        store::migrate(&database).await?;
        let twin = twin::Twin::start(twin::Config { quotas, ..twin::Config::default() }).await?;
        twin.twin.load(world)?;
        let folder = tempfile::tempdir()?;
        write_policy(&folder, policy, &twin)?;
        Ok(Self { twin, nats, postgres, database, folder, services: BTreeMap::new(), health: BTreeMap::new() })
    }

    /// Notes which servers these are, and that both have on the disk what they acknowledge: asked of the servers
    /// themselves, not of how they were started.
    pub(crate) async fn note_servers(&self, report: &mut Report) -> Result<()> {
        let (nats, sql) = (self.nats.version()?, self.postgres.connect("bench").await?);
        let mut settings = Vec::new();
        for name in ["server_version", "fsync", "synchronous_commit"] {
            let row = sql.query_one(&format!("show {name}"), &[]).await?;
            settings.push(row.try_get::<_, String>(0)?);
        }
        let [version, fsync, commit] = settings.as_slice() else { bail!("PostgreSQL does not say its settings") };
        let always = self.nats.syncs_each_message().await?;
        report.at_least("nats-syncs", truth(always), 1.0, &format!("nats-server {nats}, sync_interval: always"));
        let syncs = fsync == "on" && commit == "on";
        let version = version.split_whitespace().next().unwrap_or_default();
        let words = format!("PostgreSQL {version}, fsync and synchronous_commit");
        report.at_least("postgres-syncs", truth(syncs), 1.0, &words);
        Ok(())
    }

    /// The policy file.
    pub(crate) fn policy(&self) -> PathBuf {
        self.folder.path().join("policy.toml")
    }

    /// Starts a service and waits until it is ready.
    pub(crate) async fn serve(&mut self, name: &str, more: &[&str]) -> Result<()> {
        let listen = format!("127.0.0.1:{}", ports::free()?);
        let (nats, policy) = (self.nats.url(), self.policy().display().to_string());
        let mut arguments =
            vec!["--nats", &nats, "--database", &self.database, "--policy", &policy, "--listen", &listen];
        arguments.extend(more);
        let mut service = Service::spawn(&format!("rollcall-{name}"), arguments)?;
        service.wait_ready(&format!("http://{listen}/readyz")).await?;
        self.services.insert(name.to_owned(), service);
        self.health.insert(name.to_owned(), format!("http://{listen}"));
        Ok(())
    }

    /// What the loops of a service say of themselves.
    pub(crate) async fn loops(&self, name: &str) -> Result<Value> {
        let health = self.health.get(name).with_context(|| format!("{name} does not run"))?;
        Ok(harness::http()?.get(format!("{health}/loops")).send().await?.json().await?)
    }

    /// Ends a service in order.
    pub(crate) async fn stop(&mut self, name: &str) -> Result<()> {
        let mut service = self.services.remove(name).with_context(|| format!("{name} does not run"))?;
        service.stop().await?;
        Ok(())
    }

    /// An error if a service ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.services.values_mut().try_for_each(Service::check_running)
    }

    /// What services printed last, for an error.
    pub(crate) fn tail(&self) -> String {
        let lines = self.services.iter().map(|(name, service)| format!("--- {name}\n{}", service.lines().tail(12)));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Connections to our database in a role.
    pub(crate) async fn store(&self, role: Role) -> Result<Store> {
        Ok(Store::connect(&self.database, Some(role), 4).await?)
    }

    /// Everybody below each of Google's groups that we may read, by the group's local name.
    pub(crate) fn wanted(&self) -> Members {
        flattened(&self.twin.twin.world().google.dump())
    }

    /// The members of the organization's groups.
    pub(crate) fn observed(&self) -> Members {
        let key = BaseKey::Organization(ORGANIZATION.to_owned());
        let groups = self.twin.twin.world().atlassian.memberships(&key);
        let lower = |emails: Vec<String>| emails.into_iter().map(|email| email.to_lowercase()).collect();
        groups.into_iter().map(|(name, emails)| (name.to_lowercase(), lower(emails))).collect()
    }

    /// The ids of the organization's groups, by name in lower case.
    pub(crate) fn group_ids(&self) -> BTreeMap<String, String> {
        let world = self.twin.twin.world().atlassian.dump();
        let groups = world.pointer("/organizations/org-1/groups").and_then(Value::as_object);
        let id = |group: &Value| group.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        groups.into_iter().flatten().map(|(name, group)| (name.to_lowercase(), id(group))).collect()
    }

    /// The same by ids: group and account.
    pub(crate) fn observed_ids(&self) -> std::collections::BTreeSet<(String, String)> {
        let world = self.twin.twin.world().atlassian.dump();
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let accounts: BTreeMap<String, String> = list(world.get("accounts"))
            .iter()
            .map(|account| (text(account, "email").to_lowercase(), text(account, "id")))
            .collect();
        let ids = self.group_ids();
        let mut found = std::collections::BTreeSet::new();
        for (name, members) in self.observed() {
            let Some(group) = ids.get(&name) else { continue };
            found.extend(members.iter().filter_map(|email| Some((group.clone(), accounts.get(email)?.clone()))));
        }
        found
    }

    /// Waits until every group that Google has holds at Atlassian exactly whom it should.
    pub(crate) async fn converged(&mut self, within: Duration) -> Result<()> {
        let equal = eventually(within, "both sides to be equal", async || {
            let (wanted, observed) = (self.wanted(), self.observed());
            match wanted.iter().find(|(name, members)| observed.get(*name) != Some(members)) {
                None => Ok(Some(())),
                Some((name, members)) => {
                    bail!(
                        "{name} should have {} members: {:?}",
                        members.len(),
                        observed.get(name).map(std::collections::BTreeSet::len)
                    )
                }
            }
        })
        .await;
        self.check()?;
        equal.with_context(|| self.tail())
    }

    /// Every effective change of a membership at Atlassian after a number of the log: its key, when, and the number.
    pub(crate) fn effects(&self, after: u64) -> Vec<(String, i64)> {
        let world = self.twin.twin.world();
        let changes = world.log.after(after).filter(|change| change.family.starts_with("atlassian"));
        let members = changes.filter(|change| change.key.contains("/member/"));
        members.map(|change| (change.key.clone(), change.machine_micros)).collect()
    }

    /// Number of the last change of the world.
    pub(crate) fn sequence(&self) -> u64 {
        self.twin.twin.world().log.sequence()
    }

    /// Calls and throttled calls of an API since the counters were cleared, by operation.
    pub(crate) fn calls(&self, family: &str) -> BTreeMap<String, (u64, u64)> {
        let (operations, _) = self.twin.twin.engine.counters.all();
        let of = operations.get(family).into_iter().flatten();
        of.map(|(operation, figures)| (operation.clone(), (figures.calls, figures.throttled))).collect()
    }
}

fn truth(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// Writes the policy file and the secrets that it names.
fn write_policy(folder: &TempDir, policy: &str, twin: &twin::Running) -> Result<()> {
    let secrets = folder.path().join("secrets");
    std::fs::create_dir_all(&secrets)?;
    std::fs::write(secrets.join("google.json"), twin.service_account_key().to_string())?;
    std::fs::write(secrets.join("org-key"), "twin-org-key")?;
    std::fs::write(secrets.join("scim-key"), "twin-scim-key")?;
    let policy = policy
        .replace("{google}", &twin.google_url())
        .replace("{atlassian}", &twin.atlassian_url())
        .replace("http://127.0.0.1:7001", &twin.google_url())
        .replace("http://127.0.0.1:7002", &twin.atlassian_url());
    std::fs::write(folder.path().join("policy.toml"), policy)?;
    Ok(())
}

/// What each of our groups should hold, worked out from the world in a few lines of its own.
fn flattened(world: &Value) -> Members {
    let list = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let ours = |group: &&Value| group.get("external").and_then(Value::as_bool) != Some(true);
    let groups = list(world, "groups");
    let direct: BTreeMap<String, Vec<Value>> =
        groups.iter().filter(ours).map(|group| (text(group, "email"), list(group, "members"))).collect();
    let mut wanted = Members::new();
    for address in direct.keys() {
        let name = address.split('@').next().unwrap_or_default().to_owned();
        let (mut seen, mut open) = (std::collections::BTreeSet::new(), vec![address.clone()]);
        let people = wanted.entry(name).or_default();
        while let Some(group) = open.pop() {
            if !seen.insert(group.clone()) {
                continue;
            }
            for member in direct.get(&group).into_iter().flatten() {
                let email = text(member, "email");
                if text(member, "type") == "group" {
                    open.push(email);
                } else {
                    people.insert(email);
                }
            }
        }
    }
    wanted
}
