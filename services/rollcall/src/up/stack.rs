//! The servers and services of one machine, from start to stop.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use bus::{Access, Bus, BusError, BusOptions};
use runtime::{Exit, Fault, Shutdown};
use secrecy::{ExposeSecret as _, SecretString};
use store::StoreError;
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
};

use super::{
    binaries::{Binaries, Needs},
    private::{Port, Private, lock},
    tokens,
};
use crate::{services::options, show};

/// How long a service may take until it can begin.
const BEGIN_WITHIN: Duration = Duration::from_mins(1);
/// A service that went on for so long had begun.
const RAN: Duration = Duration::from_secs(15);

/// What to start, and with what.
#[derive(Debug, Clone)]
pub struct Settings {
    /// For the private servers' data.
    pub folder: PathBuf,
    /// The policy file, or a folder of them.
    pub policy: PathBuf,
    /// A running NATS; `None`: a private one.
    pub nats: Option<SecretString>,
    /// A running PostgreSQL; `None`: a private one.
    pub database: Option<SecretString>,
    /// Where the operators' API listens; port 0 takes a free one.
    pub console: SocketAddr,
    /// Who may use it; `None`: a token is made in the folder.
    pub tokens: Option<PathBuf>,
    /// Further arguments of the reconciler (how often it looks by itself).
    pub extra: Vec<String>,
}

/// Everything that was started. Stop it with [`Stack::stop`].
#[derive(Debug)]
pub struct Stack {
    /// Where the operators' API listens.
    pub console: SocketAddr,
    nats_url: SecretString,
    database_url: SecretString,
    token: Option<PathBuf>,
    shutdowns: Vec<Shutdown>,
    running: Vec<JoinHandle<()>>,
    faults: Mutex<mpsc::Receiver<Fault>>,
    nats: Option<Private>,
    postgres: Option<Private>,
    _lock: std::fs::File,
}

impl Stack {
    /// Starts servers, migrates, starts services, in this order.
    ///
    /// # Errors
    /// When one of them cannot be; what was started before is stopped.
    pub async fn start(settings: Settings) -> Result<Self, Fault> {
        let (lock, listener) = alone(&settings)?;
        let folder = &settings.folder;
        let needs = Needs { nats: settings.nats.is_none(), postgres: settings.database.is_none() };
        let binaries = Binaries::find(needs)?;
        // All ports are ours before anything is written.
        let to_postgres = if needs.postgres { Some(Port::take(folder, "postgres", "--database").await?) } else { None };
        let to_nats = if needs.nats { Some(Port::take(folder, "nats", "--nats").await?) } else { None };
        let postgres = match to_postgres {
            Some(port) => Some(Private::postgres(&binaries, folder, port).await?),
            None => None,
        };
        let nats = match to_nats {
            Some(port) => Some(Private::nats(&binaries, folder, port).await?),
            None => None,
        };
        let url = |given: &Option<SecretString>, private: &Option<Private>| {
            given.clone().or_else(|| private.as_ref().map(|server| server.url.as_str().into())).unwrap_or_default()
        };
        let (nats_url, database_url) = (url(&settings.nats, &nats), url(&settings.database, &postgres));
        migrate(database_url.expose_secret()).await?;
        declare(nats_url.expose_secret()).await?;
        let local = tokens::local(&settings.folder)?;
        let token = settings.tokens.is_none().then(|| local.token.clone());
        let console = listener.local_addr().unwrap_or(settings.console);
        let (report, faults) = mpsc::channel(8);
        let mut stack = Self {
            console,
            nats_url,
            database_url,
            token,
            shutdowns: Vec::new(),
            running: Vec::new(),
            faults: Mutex::new(faults),
            nats,
            postgres,
            _lock: lock,
        };
        stack.services(&settings, settings.tokens.as_deref().unwrap_or(&local.tokens), listener, &report)?;
        Ok(stack)
    }

    /// The file with the token that was made for this machine.
    pub fn token_shown(&self) -> String {
        self.token.as_ref().map_or_else(|| "your own file".to_owned(), |path| path.display().to_string())
    }

    /// The file with the token that was made for this machine, if one was.
    pub fn token(&self) -> Option<&Path> {
        self.token.as_deref()
    }

    /// Returns when a service could not begin or go on.
    pub async fn failed(&self) -> Fault {
        match self.faults.lock().await.recv().await {
            Some(fault) => fault,
            None => Fault::new("E0129", Exit::Error, "all services have ended"),
        }
    }

    /// Stops services first, then NATS, then PostgreSQL.
    pub async fn stop(self) {
        for shutdown in &self.shutdowns {
            shutdown.begin();
        }
        for running in self.running {
            // A service that panicked has ended, too.
            let _ended = running.await;
        }
        if let Some(nats) = self.nats {
            nats.stop().await;
        }
        if let Some(postgres) = self.postgres {
            postgres.stop().await;
        }
    }

    fn services(
        &mut self,
        settings: &Settings,
        tokens: &Path,
        listener: TcpListener,
        report: &mpsc::Sender<Fault>,
    ) -> Result<(), Fault> {
        let text = |path: &Path| path.display().to_string();
        let shared = vec![
            format!("--nats={}", self.nats_url.expose_secret()),
            format!("--database={}", self.database_url.expose_secret()),
            format!("--policy={}", text(&settings.policy)),
        ];
        let with = |more: &[String]| shared.iter().chain(more).cloned().collect::<Vec<_>>();
        let watching = options::<watcher::Options>(&shared)?;
        let reconciling = options::<reconciler::Options>(&with(&settings.extra))?;
        let writing = options::<writer::Options>(&shared)?;
        let api = [format!("--api={}", self.console), format!("--tokens={}", text(tokens))];
        let consoling = options::<console::ConsoleOptions>(&with(&api))?;
        self.spawn(report, move |shutdown| watcher::run(watching.clone(), shutdown));
        self.spawn(report, move |shutdown| reconciler::run(reconciling.clone(), shutdown));
        self.spawn(report, move |shutdown| writer::run(writing.clone(), shutdown));
        self.spawn(report, move |shutdown| {
            // The port stays ours while the console begins again.
            let (options, listener) = (consoling.clone(), listener.try_clone());
            async move {
                let again = |cause| Fault::cannot_listen("--console", &options.api, &cause);
                console::run_on(options.clone(), listener.map_err(again)?, shutdown).await
            }
        });
        Ok(())
    }

    /// Runs a service, and again after a while when what it needs was out of reach. Each new reason is told at once. One
    /// that cannot begin for [`BEGIN_WITHIN`] is given up; one that ran before is tried again for as long as it takes.
    fn spawn<Run, Ended>(&mut self, report: &mpsc::Sender<Fault>, run: Run)
    where
        Run: Fn(Shutdown) -> Ended + Send + Sync + 'static,
        Ended: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        let end = Shutdown::manual();
        self.shutdowns.push(end.clone());
        let report = report.clone();
        self.running.push(tokio::spawn(async move {
            let begun = runtime::clock::monotonic();
            let (mut told, mut ran) = (String::new(), false);
            while !end.has_begun() {
                let started = runtime::clock::monotonic();
                let ended = run(end.clone()).await;
                ran |= is_over(started, RAN);
                match ended {
                    Ok(()) => {}
                    Err(fault) if fault.exit == Exit::TryLater && (ran || !is_over(begun, BEGIN_WITHIN)) => {
                        tracing::warn!(%fault, "a service cannot go on now, trying again");
                        if told != fault.message {
                            show::note(&format!("{fault}\nTrying again …"));
                            told.clone_from(&fault.message);
                        }
                        tokio::select! {
                            () = end.begun() => {}
                            () = tokio::time::sleep(Duration::from_secs(1)) => {}
                        }
                    }
                    Err(fault) => {
                        // Whoever listens stops everything; nobody listens when everything stops already.
                        let _stopping = report.send(fault).await;
                        return;
                    }
                }
            }
        }));
    }
}

/// Locks the folder and takes the port of the operators' API. Where that is taken and there is no folder yet, none is made;
/// who runs in the folder already is told before that they have the port.
fn alone(settings: &Settings) -> Result<(std::fs::File, TcpListener), Fault> {
    let listener = console::listen(settings.console, false, "--console");
    if let (Err(fault), false) = (&listener, settings.folder.exists()) {
        return Err(fault.clone());
    }
    Ok((lock(&settings.folder)?, listener?))
}

/// Whether this long has passed since.
fn is_over(since: std::time::Instant, time: Duration) -> bool {
    runtime::clock::monotonic().saturating_duration_since(since) > time
}

/// Declares the streams, before several services do it at once. A private server may take a moment.
///
/// # Errors
/// When NATS cannot be reached or refuses for ten seconds, or has no room.
async fn declare(url: &str) -> Result<(), Fault> {
    let until = runtime::clock::deadline(Duration::from_secs(10));
    loop {
        let access = crate::services::access()?;
        let declaring = BusOptions { declare: access.nats_declare, ..BusOptions::default() };
        let access = Access { credentials: access.credentials()?, tls: Some(access.tls()?) };
        let error = match Bus::connect_as(url, "up", access, declaring).await {
            Ok(bus) => {
                // It was needed for this alone; nothing is lost when it is gone already.
                let _gone = bus.close().await;
                return Ok(());
            }
            Err(error) => error,
        };
        let fault = match &error {
            BusError::NoRoom { .. } => return Err(Fault::nats_has_no_room(url, &error)),
            BusError::Denied(why) => return Err(Fault::nats_denies(url, why)),
            BusError::Address | BusError::Unreachable(_) => Fault::nats_unreachable(url, &error),
            _ => Fault::nats_refuses(url, &error),
        };
        if runtime::clock::deadline(Duration::ZERO) > until {
            return Err(fault);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Brings the schema up to date; a private server may take a moment before it lets anybody in.
///
/// # Errors
/// When the database cannot be reached within twenty seconds, or refuses.
pub async fn migrate(url: &str) -> Result<(), Fault> {
    let until = runtime::clock::deadline(Duration::from_secs(20));
    loop {
        match store::migrate_by(url, Some(crate::services::access()?.tls()?)).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Unreachable(_)) if runtime::clock::deadline(Duration::ZERO) < until => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error @ StoreError::Unreachable(_)) => return Err(Fault::no_postgres(url, &error, &error.why())),
            Err(error) => {
                let message = format!("the database cannot be brought up to date: {error}");
                return Err(Fault::new("E0131", Exit::Error, message)
                    .help("check that this user may create schemas and roles there"));
            }
        }
    }
}
