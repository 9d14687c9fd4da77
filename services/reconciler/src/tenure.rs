//! Whose turn it is: the lease of a tenant, renewed while we hold it.

use std::time::Duration;

use runtime::clock::monotonic;
use store::{Lease, Store, StoreError};
use tokio_util::sync::CancellationToken;

/// A lease that we hold, as far as we know. What matters is checked by the transaction that commits a turn.
#[derive(Debug, Clone)]
pub(crate) struct Tenure {
    store: Store,
    lease: Lease,
    lasts: Duration,
    over: CancellationToken,
}

impl Tenure {
    /// Tries to take the lease; `None`: somebody else has it.
    pub(crate) async fn acquire(
        store: &Store,
        name: &str,
        holder: &str,
        lasts: Duration,
    ) -> Result<Option<Self>, StoreError> {
        // A reconciler makes no calls, so nothing of an old holder can still be under way but a commit, which fails.
        let lease = store.acquire(name, holder, lasts, Duration::ZERO).await?;
        Ok(lease.map(|lease| Self { store: store.clone(), lease, lasts, over: CancellationToken::new() }))
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
        let mut good_until = monotonic() + self.lasts;
        while !self.over.is_cancelled() {
            tokio::select! {
                () = self.over.cancelled() => return,
                () = tokio::time::sleep(self.lasts / 5) => {}
            }
            let before = monotonic();
            match self.store.renew(&self.lease, self.lasts).await {
                Ok(true) => good_until = before + self.lasts,
                Ok(false) => {
                    tracing::warn!(lease = self.lease.name, "another reconciler has the lease");
                    self.over.cancel();
                }
                Err(error) => {
                    tracing::warn!(%error, lease = self.lease.name, "cannot renew the lease, trying again");
                    if monotonic() > good_until {
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
