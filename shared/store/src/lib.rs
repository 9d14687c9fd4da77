//! PostgreSQL, where the truth is kept: what was seen, decided and done, who may act, and the chain that proves it.
//!
//! Purpose: every row that Rollcall keeps is written here and read here, in one schema per owner. Services call
//! functions that are one transaction each; none of them sees SQL.
//!
//! Guarantees:
//! * rows and the messages about them are committed in one transaction ([`outbox`]);
//! * a directory's version is taken under its row lock, so whoever sees version *n* sees every row up to *n*
//!   ([`directory`]);
//! * a partial read adds and updates, it never removes;
//! * a transaction of somebody who no longer holds the lease does not commit ([`lease`]);
//! * audit entries can be appended and read, and a changed or missing one is found ([`audit`]).
//!
//! Times that are facts are bigint microseconds ([`model::Time`]) and are handed in; database time decides leases and
//! the bookkeeping of outboxes, where only this database's own clock is compared with itself.
//!
//! Rejected: repository traits (one implementation, every change twice), one table for all outboxes (one grant for all
//! services), JSONB for bodies (refuses characters that vendors send).

pub mod audit;
pub mod console;
pub mod directory;
pub mod effect;
mod error;
pub mod lease;
mod migrate;
pub mod outbox;
pub mod plan;
mod prune;
mod seen;
pub mod show;
mod sql;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, QueueMode, RecyclingMethod, Runtime, Timeouts};
use tokio_postgres::NoTls;

pub use error::StoreError;
pub use lease::Lease;
pub use migrate::{check_environment, migrate, migrate_by};
pub use outbox::{Envelope, OutboxMessage, Schema};
pub use seen::Seen;

use seen::{Call, Client};

/// The service on whose behalf a connection acts: its grants and no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Writes what it saw.
    Watcher,
    /// Decides.
    Reconciler,
    /// Keeps the ledger of effects.
    Writer,
    /// Shows, and adds what people decide.
    Console,
}

impl Role {
    /// The role's name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Watcher => "rollcall_watcher",
            Self::Reconciler => "rollcall_reconciler",
            Self::Writer => "rollcall_writer",
            Self::Console => "rollcall_console",
        }
    }

    /// How the statements of a connection are planned. The pipeline's look up a handful of rows by their keys, hundreds
    /// of times a second. Left alone, PostgreSQL plans each of them anew each time, which takes longer than doing it; and
    /// where it keeps a plan, one from when the tables were empty reads all of them for as long as it is kept. So these
    /// are planned once, through the indexes. What handles many rows at once says so by itself ([`sql::MANY`]).
    const fn planning(self) -> &'static str {
        match self {
            Self::Watcher | Self::Reconciler | Self::Writer => {
                "set jit = off; set plan_cache_mode = force_generic_plan; set random_page_cost = 1.1;
                 set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off"
            }
            Self::Console => "set jit = off",
        }
    }
}

/// A pool of connections that act as one role. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    seen: Option<Seen>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// The longest that a caller waits for a connection.
const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(10);

/// After so long without a word a connection is asked whether it still is one.
const SILENT_FOR: Duration = Duration::from_secs(10);

impl Store {
    /// Makes a pool of at most `size` connections and proves with one of them that the database answers. Each
    /// connection does `SET ROLE` first, where a role is named, and plans as that role's statements need it.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] when there is no answer; [`StoreError::Database`] when the URL cannot be read or the
    /// role may not be taken.
    pub async fn connect(url: &str, role: Option<Role>, size: usize) -> Result<Self, StoreError> {
        Self::connect_by(url, None, role, size).await
    }

    /// As [`Store::connect`], by TLS of this configuration where the URL has an `sslmode` that asks for it.
    ///
    /// # Errors
    /// As there; what the other end or its certificate is refused for is among the causes.
    pub async fn connect_by(
        url: &str,
        by: Option<rustls::ClientConfig>,
        role: Option<Role>,
        size: usize,
    ) -> Result<Self, StoreError> {
        let mut config = tls::address(url)?;
        config.connect_timeout(WAIT_FOR_CONNECTION).application_name(role.map_or("rollcall", Role::as_str));
        // A server that vanished without a word is noticed in half a minute: nobody waits for its answer for hours.
        config.keepalives_idle(SILENT_FOR).keepalives_interval(SILENT_FOR).keepalives_retries(2);
        config.tcp_user_timeout(3 * SILENT_FOR);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match by {
            Some(by) => Manager::from_config(config, tls::Tls(Arc::new(by)), recycling),
            None => Manager::from_config(config, NoTls, recycling),
        };
        // The connection that came back last goes out first: its statements are prepared, and the server has them at hand.
        let builder = Pool::builder(manager).max_size(size).queue_mode(QueueMode::Lifo).runtime(Runtime::Tokio1);
        let mut builder = builder.timeouts(Timeouts {
            wait: Some(WAIT_FOR_CONNECTION),
            create: Some(WAIT_FOR_CONNECTION),
            recycle: Some(WAIT_FOR_CONNECTION),
        });
        if let Some(role) = role {
            builder = builder.post_create(Hook::async_fn(move |client, _| {
                Box::pin(async move {
                    let sql = format!("set role {}; {}", role.as_str(), role.planning());
                    client.batch_execute(&sql).await.map_err(HookError::Backend)
                })
            }));
        }
        let pool = builder.build().map_err(|error| StoreError::Unreachable(Box::new(error)))?;
        let store = Self { pool, seen: None };
        store.ping().await?;
        Ok(store)
    }

    /// Proves that the database answers: for readiness.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.client("ping").await?.simple_query("select 1").await?;
        Ok(())
    }

    /// The same, with somebody who is told how long calls take.
    #[must_use]
    pub fn seen_by(mut self, seen: Seen) -> Self {
        self.seen = Some(seen);
        self
    }

    /// A connection for the length of a call of this function.
    pub(crate) async fn client(&self, function: &'static str) -> Result<Client, StoreError> {
        let call = Call::begin(function, self.seen);
        let got = self.pool.get().await.map_err(|error| match error {
            deadpool_postgres::PoolError::PostCreateHook(HookError::Backend(error)) => StoreError::from(error),
            other => StoreError::from(other),
        });
        let object = call.note(got)?;
        Ok(Client { object, call })
    }
}
