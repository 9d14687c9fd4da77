//! Starting and stopping a twin.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::serve::ListenerExt;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::atlassian;
use crate::engine::{Credentials, Engine, locked};
use crate::google::key;
use crate::load::{self, Change, Options, Snapshot, WorldFile};
use crate::world::{Cause, World};

/// How to start a twin.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where Google listens; port 0 takes a free one.
    pub google: SocketAddr,
    /// Where Atlassian listens; port 0 takes a free one.
    pub atlassian: SocketAddr,
    /// How worlds are made whose file does not say it.
    pub options: Options,
    /// A file to load before the ports open: `orgdir-snapshot/1` or `twin-world/1`.
    pub world: Option<PathBuf>,
    /// Whether quotas are on.
    pub quotas: bool,
}

impl Default for Config {
    /// Two free loopback ports, an empty world, quotas on.
    fn default() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { google: any, atlassian: any, options: Options::default(), world: None, quotas: true }
    }
}

impl Config {
    /// The ports of `rollcall twin`: 7001 for Google, 7002 for Atlassian.
    #[must_use]
    pub fn on_usual_ports(self) -> Self {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self { google: at(7001), atlassian: at(7002), ..self }
    }
}

/// Why a twin did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port cannot be listened on.
    #[error("cannot listen on {address}: {source}; stop what uses the port or choose another one")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The world file cannot be read.
    #[error("cannot read the world file {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The world file does not make a world.
    #[error("the world file does not make a world: {0}")]
    World(#[from] load::Error),
}

/// A running twin's state: the engine and the world.
#[derive(Debug, Default)]
pub struct Twin {
    /// Time, quotas, faults, counters, credentials.
    pub engine: Engine,
    world: Mutex<World>,
    options: Options,
}

/// The state as handlers get it.
pub type Shared = Arc<Twin>;

impl Twin {
    /// The world, locked. Never hold it across an await.
    pub fn world(&self) -> MutexGuard<'_, World> {
        locked(&self.world)
    }

    /// Puts the world of a file in place of the present one. Quotas, lag and the clock stay as they are.
    pub fn load(&self, bytes: &[u8]) -> Result<(), load::Error> {
        let mut file = WorldFile::read(bytes, self.options.clone())?;
        let credentials = std::mem::take(&mut file.credentials);
        let faults = std::mem::take(&mut file.faults);
        let world = World::from_file(file, self.engine.clock.now())?;
        let owner = world.options.administrator.clone();
        *self.world() = world;
        let mut held = self.engine.credentials();
        held.merge(atlassian::sample_credentials(&owner));
        held.merge(credentials);
        drop(held);
        for fault in faults {
            self.engine.faults.inject(fault);
        }
        Ok(())
    }

    /// An empty world, the first credentials, documented quotas, no lag, no faults, real time, counters at zero.
    pub fn reset(&self) -> Result<(), load::Error> {
        self.engine.clock.follow_machine();
        self.engine.quota.reset();
        self.engine.lag.clear();
        self.engine.faults.clear();
        self.engine.counters.clear();
        let world = World::from_snapshot(&Snapshot::default(), self.options.clone(), self.engine.clock.now())?;
        *self.world() = world;
        *self.engine.credentials() = first_credentials(&self.options.administrator);
        Ok(())
    }

    /// Applies changes of the operator at Google in order. The error says how many were applied before it.
    pub fn change(&self, changes: &[Change]) -> Result<(), (usize, load::Error)> {
        let at = self.engine.clock.now();
        let visible_at = at.saturating_add(self.engine.lag.visibility("google.directory"));
        let mut world = self.world();
        for (applied, change) in changes.iter().enumerate() {
            let operation = change.operation().to_owned();
            let cause = Cause { at, visible_at, family: "twin".to_owned(), operation, ..Cause::default() };
            world.apply(change, &cause).map_err(|error| (applied, error))?;
        }
        Ok(())
    }

    /// Starts a twin and returns when its world is loaded and both ports accept connections.
    pub async fn start(config: Config) -> Result<Running, Error> {
        let twin: Shared = Arc::new(Self { options: config.options, ..Self::default() });
        twin.reset()?;
        twin.engine.quota.enable(config.quotas);
        if let Some(path) = config.world {
            let bytes = std::fs::read(&path).map_err(|source| Error::Unreadable { path, source })?;
            twin.load(&bytes)?;
        }
        let (stop, stopped) = watch::channel(false);
        let (google, first) = serve(config.google, &twin, stopped.clone()).await?;
        let (atlassian, second) = serve(config.atlassian, &twin, stopped).await?;
        Ok(Running { google, atlassian, twin, stop, tasks: vec![first, second] })
    }
}

async fn serve(
    address: SocketAddr,
    twin: &Shared,
    mut stopped: watch::Receiver<bool>,
) -> Result<(SocketAddr, JoinHandle<()>), Error> {
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    let bound = listener.local_addr().map_err(|source| Error::Listen { address, source })?;
    // Small answers must not wait for the acknowledgement of the one before.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
    });
    let serving = axum::serve(listener, router().with_state(Arc::clone(twin))).with_graceful_shutdown(async move {
        // An error means that the sender is gone, which is a reason to stop, too.
        let _gone = stopped.wait_for(|it| *it).await;
    });
    let task = tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the twin stopped serving");
        }
    });
    Ok((bound, task))
}

/// The credentials that every world begins with: one service account with delegation, one key of each Atlassian kind.
fn first_credentials(administrator: &str) -> Credentials {
    let mut credentials = atlassian::sample_credentials(administrator);
    let account = key::service_account(key::DEFAULT_EMAIL, key::DEFAULT_CLIENT_ID, key::default_scopes());
    credentials.service_accounts.insert(account.client_email.clone(), account);
    credentials
}

/// A twin that serves until it is dropped.
#[derive(Debug)]
pub struct Running {
    /// Where Google listens.
    pub google: SocketAddr,
    /// Where Atlassian listens.
    pub atlassian: SocketAddr,
    /// The state, for tests in the same process.
    pub twin: Shared,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    /// `http://host:port` of Google.
    pub fn google_url(&self) -> String {
        format!("http://{}", self.google)
    }

    /// `http://host:port` of Atlassian.
    pub fn atlassian_url(&self) -> String {
        format!("http://{}", self.atlassian)
    }

    /// The operator's endpoint.
    pub fn admin_url(&self) -> String {
        format!("http://{}/_twin", self.google)
    }

    /// The key file of the default service account: write it to `secrets/google.json`.
    pub fn service_account_key(&self) -> Value {
        key::key_file(key::DEFAULT_EMAIL, key::DEFAULT_CLIENT_ID, &format!("{}/token", self.google_url()))
    }

    /// Stops accepting connections; those under way end by themselves.
    pub fn stop(&self) {
        let _nobody_listens = self.stop.send(true);
    }

    /// Waits until it stops serving.
    pub async fn wait(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            let _ended = task.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _nobody_listens = self.stop.send(true);
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn router() -> Router<Shared> {
    Router::new().merge(crate::google::router()).merge(crate::atlassian::router()).merge(crate::admin::router())
}
