//! A private nats-server with JetStream, or three of them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::process::{Lines, Process, run};
use crate::{eventually, find, ports};

/// From start to usable; a cluster needs about three seconds for its election.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Which server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NatsServer {
    /// The one on the PATH: 2.9.10 on Debian 12. Where there is none, the current one takes its place, and [`crate::versions`]
    /// says so.
    #[default]
    Distribution,
    /// A current one, 2.12, that `./dev setup` brings.
    Current,
}

impl NatsServer {
    /// Its version, such as `2.9.10`.
    ///
    /// # Errors
    /// When it is not there, or cannot be run.
    pub fn version(self) -> Result<String> {
        version(&self.binary()?)
    }

    fn binary(self) -> Result<PathBuf> {
        match self {
            Self::Distribution => find::nats_server(),
            Self::Current => find::nats_server_current(),
        }
    }
}

/// How the server is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatsOptions {
    /// Which server.
    pub server: NatsServer,
    /// Sync every message to disk before it is acknowledged, as in production. Servers before 2.10 refuse the key and
    /// run without; [`Nats::syncs_each_message`] says what came of it.
    pub sync_always: bool,
    /// How much of the disk the server may use, in megabytes; `None`: as much as it likes.
    pub max_file_store: Option<u32>,
}

impl Default for NatsOptions {
    fn default() -> Self {
        Self { server: NatsServer::Distribution, sync_always: true, max_file_store: None }
    }
}

/// One server on its own port with its own data.
#[derive(Debug)]
pub struct Nats {
    name: String,
    binary: PathBuf,
    folder: TempDir,
    port: u16,
    monitor: u16,
    lines: Lines,
    process: Option<Process>,
}

impl Nats {
    /// The distribution's server, as durable as it can be, ready: what it acknowledged survives a kill. One before 2.10
    /// (Debian 12's) writes to the disk in its own time, so a measurement of durable settings asks for
    /// [`Nats::durable`].
    ///
    /// # Errors
    /// When it is not installed or does not become ready.
    pub async fn start() -> Result<Self> {
        Self::start_with(NatsOptions::default()).await
    }

    /// The current server as in production, ready: every message is on the disk before it is acknowledged. It says so
    /// itself, or this fails.
    ///
    /// # Errors
    /// When there is no current server (says how to get one), it does not become ready, or it does not sync each message.
    pub async fn durable() -> Result<Self> {
        let nats = Self::start_with(NatsOptions { server: NatsServer::Current, ..NatsOptions::default() }).await?;
        let version = nats.version()?;
        ensure!(
            nats.syncs_each_message().await?,
            "nats-server {version} does not sync each message; use 2.12 or newer"
        );
        Ok(nats)
    }

    /// A server as asked for, ready.
    ///
    /// # Errors
    /// When it is not there or does not become ready.
    pub async fn start_with(options: NatsOptions) -> Result<Self> {
        let mut nats = Self::prepare("nats", options, |_| String::new())?;
        nats.restart().await?;
        Ok(nats)
    }

    /// Whether the running server has each message on the disk before it acknowledges it, as it says itself: its
    /// `/varz` shows `sync_interval: always` as `sync_always`, and servers before 2.10 nothing of the kind.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn syncs_each_message(&self) -> Result<bool> {
        let url = format!("http://127.0.0.1:{}/varz", self.monitor);
        let said: serde_json::Value = crate::http()?.get(url).send().await?.json().await?;
        Ok(said.pointer("/jetstream/config/sync_always").and_then(serde_json::Value::as_bool) == Some(true))
    }

    /// Its address: `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its port, for a proxy in between.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What it has logged.
    pub const fn lines(&self) -> &Lines {
        &self.lines
    }

    /// The server's version, such as `2.9.10`.
    ///
    /// # Errors
    /// When the binary cannot be run.
    pub fn version(&self) -> Result<String> {
        version(&self.binary)
    }

    /// A client's connection.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn connect(&self) -> Result<async_nats::Client> {
        crate::prepare();
        Ok(async_nats::connect(self.url()).await?)
    }

    /// SIGKILL. Data and port stay.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// SIGTERM, and waits for the end. Data and port stay.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.stop(READY_WITHIN).await?;
        }
        Ok(())
    }

    /// Deletes all JetStream data. The server must be down.
    ///
    /// # Errors
    /// When it is running, or the files cannot be deleted.
    pub fn wipe(&self) -> Result<()> {
        anyhow::ensure!(self.process.is_none(), "{} must be down before its data is deleted", self.name);
        let store = self.folder.path().join("store");
        if store.exists() {
            std::fs::remove_dir_all(&store).with_context(|| format!("cannot delete {}", store.display()))?;
        }
        Ok(())
    }

    /// Starts it (again) on the same port with the same data; ready when this returns.
    ///
    /// # Errors
    /// When it does not become ready; shows what it logged.
    pub async fn restart(&mut self) -> Result<()> {
        self.launch()?;
        self.wait_ready().await
    }

    fn prepare(name: &str, options: NatsOptions, extra: impl FnOnce(u16) -> String) -> Result<Self> {
        let binary = options.server.binary()?;
        let folder = tempfile::Builder::new().prefix("rollcall-nats-").tempdir()?;
        let (port, monitor) = (ports::free()?, ports::free()?);
        let sync =
            if options.sync_always && knows_sync_interval(&version(&binary)?) { "sync_interval: always" } else { "" };
        let store = folder.path().join("store");
        let config = format!(
            "server_name: {name}\nlisten: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor}\"\n\
             jetstream {{ store_dir: \"{}\"\n max_mem: 256MB\n max_file: {}MB\n {sync} }}\n{}",
            store.display(),
            options.max_file_store.unwrap_or(8 << 10),
            extra(port)
        );
        std::fs::write(folder.path().join("nats.conf"), config)?;
        Ok(Self { name: name.to_owned(), binary, folder, port, monitor, lines: Lines::default(), process: None })
    }

    fn launch(&mut self) -> Result<()> {
        self.process = None;
        let mut command = Command::new(&self.binary);
        command.arg("-c").arg(self.folder.path().join("nats.conf"));
        self.process = Some(Process::spawn(&self.name, command, &self.lines)?);
        Ok(())
    }

    async fn wait_ready(&mut self) -> Result<()> {
        let url = format!("http://127.0.0.1:{}/healthz", self.monitor);
        let client = crate::http()?;
        let Some(process) = self.process.as_mut() else { anyhow::bail!("{} is down", self.name) };
        let ready = eventually(READY_WITHIN, &format!("{} to be healthy", self.name), async || {
            let answer = client.get(&url).send().await?;
            Ok((process.ended().is_some() || answer.status().is_success()).then_some(()))
        })
        .await;
        process.check_running()?;
        ready
    }
}

/// Three servers that replicate among each other. Only the current server: 2.9 leaves messages behind.
#[derive(Debug)]
pub struct NatsCluster {
    /// The servers; each can be killed and started again.
    pub nodes: Vec<Nats>,
}

impl NatsCluster {
    /// Three current servers, with a leader.
    ///
    /// # Errors
    /// When they are not there or do not find together.
    pub async fn start() -> Result<Self> {
        let options = NatsOptions { server: NatsServer::Current, ..NatsOptions::default() };
        let route_ports = [ports::free()?, ports::free()?, ports::free()?];
        let routes: Vec<String> = route_ports.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
        let routes = routes.join(", ");
        let mut nodes = Vec::new();
        for (number, route_port) in route_ports.iter().enumerate() {
            let node = Nats::prepare(&format!("nats-{number}"), options, |_| {
                format!("cluster {{ name: rollcall\n listen: \"127.0.0.1:{route_port}\"\n routes: [{routes}] }}\n")
            })?;
            nodes.push(node);
        }
        for node in &mut nodes {
            node.launch()?;
        }
        let mut cluster = Self { nodes };
        cluster.wait_ready().await?;
        Ok(cluster)
    }

    /// All addresses, separated by commas.
    pub fn url(&self) -> String {
        self.nodes.iter().map(Nats::url).collect::<Vec<_>>().join(",")
    }

    /// A client's connection that knows all nodes.
    ///
    /// # Errors
    /// When none answers.
    pub async fn connect(&self) -> Result<async_nats::Client> {
        crate::prepare();
        let addresses: Vec<String> = self.nodes.iter().map(Nats::url).collect();
        Ok(async_nats::connect(addresses).await?)
    }

    /// Which node leads `stream` now, as an index into [`Self::nodes`]; waits for an election that is going on.
    ///
    /// # Errors
    /// When nobody leads it in time.
    pub async fn stream_leader(&self, stream: &str) -> Result<usize> {
        let jetstream = async_nats::jetstream::new(self.connect().await?);
        eventually(READY_WITHIN, &format!("a leader of {stream}"), async || {
            let info = jetstream.get_stream(stream).await?.get_info().await?;
            let leader = info.cluster.and_then(|cluster| cluster.leader);
            Ok(leader.and_then(|leader| self.nodes.iter().position(|node| node.name == leader)))
        })
        .await
    }

    /// Waits until all nodes that are up are healthy, one of them leads, and it knows the others to be in step; before that a
    /// stream with three replicas is refused.
    ///
    /// # Errors
    /// When they do not get there in time.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let client = crate::http()?;
        let mut pages = Vec::new();
        for node in self.nodes.iter_mut().filter(|node| node.process.is_some()) {
            node.wait_ready().await?;
            pages.push((node.name.clone(), format!("http://127.0.0.1:{}/jsz", node.monitor)));
        }
        eventually(READY_WITHIN, "the cluster to choose a leader and follow it", async || {
            for (name, page) in &pages {
                let report: serde_json::Value = client.get(page).send().await?.json().await?;
                if followers_in_step(&report, name) + 1 >= pages.len() {
                    return Ok(Some(()));
                }
            }
            Ok(None)
        })
        .await
    }
}

/// Of a node's own report: how many others follow it and are up to date; none when it does not lead.
fn followers_in_step(report: &serde_json::Value, name: &str) -> usize {
    let meta = report.pointer("/meta_cluster");
    let leads = meta.and_then(|meta| meta.get("leader")).and_then(serde_json::Value::as_str) == Some(name);
    let replicas = meta.and_then(|meta| meta.get("replicas")).and_then(serde_json::Value::as_array);
    let in_step = |replica: &&serde_json::Value| {
        let is = |key| replica.get(key).and_then(serde_json::Value::as_bool).unwrap_or(false);
        is("current") && !is("offline")
    };
    replicas.filter(|_| leads).map_or(0, |replicas| replicas.iter().filter(in_step).count())
}

fn version(binary: &Path) -> Result<String> {
    let said = run("nats-server --version", Command::new(binary).arg("--version"))?;
    said.trim().rsplit(['v', ' ']).next().map(str::to_owned).context("nats-server does not say its version")
}

/// The key came with 2.10; an older server refuses to start on it.
fn knows_sync_interval(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(2), Some(10))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use async_nats::jetstream::{self, stream};

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(!knows_sync_interval("2.9.10"));
        assert!(knows_sync_interval("2.10.0") && knows_sync_interval("2.12.8") && knows_sync_interval("3.0.0"));
    }

    #[tokio::test]
    async fn a_durable_server_says_itself_that_it_syncs_each_message() {
        if find::nats_server_current().is_err() {
            println!("there is no current nats-server: not tested");
            return;
        }
        let durable = Nats::durable().await.unwrap();
        assert!(durable.syncs_each_message().await.unwrap() && knows_sync_interval(&durable.version().unwrap()));
        let options = NatsOptions { server: NatsServer::Current, sync_always: false, ..NatsOptions::default() };
        let quick = Nats::start_with(options).await.unwrap();
        assert!(!quick.syncs_each_message().await.unwrap(), "the same server without the key does not");
        let distribution = Nats::start().await.unwrap();
        let can = knows_sync_interval(&distribution.version().unwrap());
        assert_eq!(distribution.syncs_each_message().await.unwrap(), can, "an old one cannot, and does not say so");
    }

    #[tokio::test]
    async fn what_was_acknowledged_survives_a_kill_and_not_a_wipe() {
        let mut nats = Nats::start().await.unwrap();
        let config = stream::Config { name: "S".into(), subjects: vec!["s.>".into()], ..Default::default() };
        let publish = jetstream::new(nats.connect().await.unwrap());
        publish.create_stream(config).await.unwrap();
        publish.publish("s.one", "1".into()).await.unwrap().await.unwrap();
        let url = nats.url();
        nats.kill();
        nats.restart().await.unwrap();
        assert_eq!(nats.url(), url);
        let after = jetstream::new(nats.connect().await.unwrap());
        assert_eq!(after.get_stream("S").await.unwrap().cached_info().state.messages, 1);
        assert!(nats.wipe().is_err(), "only a server that is down is wiped");
        nats.stop().await.unwrap();
        nats.wipe().unwrap();
        nats.restart().await.unwrap();
        let wiped = jetstream::new(nats.connect().await.unwrap());
        assert!(wiped.get_stream("S").await.is_err());
    }

    #[tokio::test]
    async fn three_nodes_replicate_and_survive_their_leader() {
        let mut cluster = NatsCluster::start().await.unwrap();
        let jetstream = jetstream::new(cluster.connect().await.unwrap());
        let config =
            stream::Config { name: "S".into(), subjects: vec!["s.>".into()], num_replicas: 3, ..Default::default() };
        jetstream.create_stream(config).await.unwrap();
        // That there is a new stream reaches the node that we are connected to a moment later than its creation is confirmed;
        // until then it finds nobody who takes the message.
        eventually(READY_WITHIN, "the new stream to take a message", async || {
            jetstream.publish("s.one", "1".into()).await?.await?;
            Ok(Some(()))
        })
        .await
        .unwrap();
        let leader = cluster.stream_leader("S").await.unwrap();
        cluster.nodes.get_mut(leader).unwrap().kill();
        let next = eventually(READY_WITHIN, "another leader", async || {
            Ok(Some(cluster.stream_leader("S").await?).filter(|next| *next != leader))
        })
        .await
        .unwrap();
        assert_ne!(next, leader);
        let info = jetstream.get_stream("S").await.unwrap().get_info().await.unwrap();
        assert_eq!(info.state.messages, 1);
        cluster.nodes.get_mut(leader).unwrap().restart().await.unwrap();
        cluster.wait_ready().await.unwrap();
    }
}
