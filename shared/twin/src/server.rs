//! Starting and stopping a twin.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::engine::{Engine, locked};
use crate::world::World;

/// How to start a twin.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where Google listens; port 0 takes a free one.
    pub google: SocketAddr,
    /// Where Atlassian listens; port 0 takes a free one.
    pub atlassian: SocketAddr,
}

impl Default for Config {
    /// Two free loopback ports.
    fn default() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            google: any,
            atlassian: any,
        }
    }
}

/// Why a twin did not start or a world did not load.
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
}

/// A running twin's state: the engine and the world.
#[derive(Debug, Default)]
pub struct Twin {
    /// Time, quotas, faults, counters, credentials.
    pub engine: Engine,
    world: Mutex<World>,
}

/// The state as handlers get it.
pub type Shared = Arc<Twin>;

impl Twin {
    /// The world, locked. Never hold it across an await.
    pub fn world(&self) -> MutexGuard<'_, World> {
        locked(&self.world)
    }

    /// Starts a twin and returns when both ports accept connections.
    pub async fn start(config: Config) -> Result<Running, Error> {
        let twin: Shared = Arc::new(Self::default());
        let (stop, stopped) = watch::channel(false);
        let mut tasks = Vec::new();
        let mut addresses = Vec::new();
        for address in [config.google, config.atlassian] {
            let listener = TcpListener::bind(address)
                .await
                .map_err(|source| Error::Listen { address, source })?;
            addresses.push(
                listener
                    .local_addr()
                    .map_err(|source| Error::Listen { address, source })?,
            );
            let mut stopped = stopped.clone();
            let serving = axum::serve(listener, router().with_state(Arc::clone(&twin)))
                .with_graceful_shutdown(async move {
                    // An error means that the sender is gone, which is a reason to stop, too.
                    let _gone = stopped.wait_for(|it| *it).await;
                });
            tasks.push(tokio::spawn(async move {
                if let Err(error) = serving.await {
                    tracing::error!(%error, "the twin stopped serving");
                }
            }));
        }
        let (google, atlassian) = (addresses.first().copied(), addresses.last().copied());
        Ok(Running {
            google: google.unwrap_or(config.google),
            atlassian: atlassian.unwrap_or(config.atlassian),
            twin,
            stop,
            tasks,
        })
    }
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
    Router::new()
        .merge(crate::google::router())
        .merge(crate::atlassian::router())
        .merge(crate::admin::router())
}
