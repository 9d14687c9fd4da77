//! Whose turn it is: the lease of a directory, renewed while we hold it.

use std::time::Duration;

use runtime::clock::monotonic;
use store::{Lease, Store, StoreError};
use tokio_util::sync::CancellationToken;

/// How long a lease lasts without being renewed.
const LASTS: Duration = Duration::from_secs(8);
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// A lease that we hold, as far as we know. What is committed proves it again, so a new holder need not wait for calls of
/// the old one: reading twice hurts nobody.
#[derive(Debug, Clone)]
pub(crate) struct Tenure {
    store: Store,
    lease: Lease,
    over: CancellationToken,
}

impl Tenure {
    /// Tries to take the lease. `None`: somebody else has it.
    pub(crate) async fn acquire(store: &Store, name: &str, holder: &str) -> Result<Option<Self>, StoreError> {
        let lease = store.acquire(name, holder, LASTS, Duration::ZERO).await?;
        Ok(lease.map(|lease| Self { store: store.clone(), lease, over: CancellationToken::new() }))
    }

    /// The lease, for transactions that must not commit without it.
    pub(crate) const fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Cancelled when the tenure is over.
    pub(crate) const fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// Renews the lease until it is lost or given up.
    pub(crate) async fn keep(&self) {
        let mut until = monotonic() + LASTS;
        while !self.over.is_cancelled() {
            tokio::select! {
                () = self.over.cancelled() => return,
                () = tokio::time::sleep(RENEW_EVERY) => {}
            }
            let before = monotonic();
            match self.store.renew(&self.lease, LASTS).await {
                Ok(true) => until = before + LASTS,
                Ok(false) => {
                    tracing::warn!(lease = self.lease.name, "another watcher has the lease");
                    self.over.cancel();
                }
                Err(error) => {
                    tracing::warn!(%error, lease = self.lease.name, "cannot renew the lease, trying again");
                    if monotonic() > until {
                        self.over.cancel();
                    }
                }
            }
        }
    }

    /// Gives the lease up: the next holder need not wait.
    pub(crate) async fn give_up(&self) {
        self.over.cancel();
        if let Err(error) = self.store.release(&self.lease).await {
            tracing::warn!(%error, lease = self.lease.name, "cannot give up the lease; it ends by itself");
        }
    }
}
