//! Whose turn it is: the lease of a target, renewed while we hold it, counted from before each renewal.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use runtime::clock::monotonic;
use store::{Lease, Store, StoreError};
use tokio_util::sync::CancellationToken;

/// How much longer than one call a lease lasts: what is left for renewing it late.
const SLACK: Duration = Duration::from_secs(6);
/// How often it is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How long a call may wait for its turn in the API budget after it was admitted.
const TURN: Duration = Duration::from_secs(2);

/// A lease that we hold, as far as we know.
#[derive(Debug, Clone)]
pub(crate) struct Tenure {
    store: Store,
    lease: Lease,
    call: Duration,
    until: Arc<Mutex<Instant>>,
    over: CancellationToken,
}

impl Tenure {
    /// Tries to take the lease. `None`: somebody else has it, or had it until less than one call ago.
    pub(crate) async fn acquire(
        store: &Store,
        name: &str,
        holder: &str,
        call: Duration,
    ) -> Result<Option<Self>, StoreError> {
        let before = monotonic();
        let Some(lease) = store.acquire(name, holder, call + SLACK, call).await? else { return Ok(None) };
        let until = Arc::new(Mutex::new(before + call + SLACK));
        Ok(Some(Self { store: store.clone(), lease, call, until, over: CancellationToken::new() }))
    }

    /// The lease, for transactions that must not commit without it.
    pub(crate) const fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Cancelled when the tenure is over.
    pub(crate) const fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// Whether a call that starts soon ends before the lease does.
    pub(crate) fn fits_a_call(&self) -> bool {
        !self.over.is_cancelled() && monotonic() + TURN + self.call <= *self.until()
    }

    /// Renews the lease until it is lost or given up.
    pub(crate) async fn keep(&self) {
        while !self.over.is_cancelled() {
            tokio::select! {
                () = self.over.cancelled() => return,
                () = tokio::time::sleep(RENEW_EVERY) => {}
            }
            let before = monotonic();
            match self.store.renew(&self.lease, self.call + SLACK).await {
                Ok(true) => *self.until() = before + self.call + SLACK,
                Ok(false) => {
                    tracing::warn!(lease = self.lease.name, "another writer has the lease");
                    self.over.cancel();
                }
                // Until the database answers, no call starts that does not fit; when none fits any more, it is over.
                Err(error) => {
                    tracing::warn!(%error, lease = self.lease.name, "cannot renew the lease, trying again");
                    if monotonic() > *self.until() {
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

    fn until(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
