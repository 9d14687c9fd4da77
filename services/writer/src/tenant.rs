//! One tenant: the policy in force, followed while running, and a loop for each target of it.
//!
//! The reconciler judges the policy file, and what it takes over we go by. A target that is new is served from then on,
//! one that is reached in another way is served anew, and one that the policy does not have any more is let go: calls in
//! flight come to their ends, and no other begins.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::DirectoryId;
use policy::{Directory, Policy};
use runtime::Loops;
use store::{Store, StoreError};

use crate::setup::{Place, Tenant, targets};
use crate::target::{Served, Shared, serve};

/// How often we look which policy is in force.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Serves a tenant's targets until the end begins. It begins with the file's, which are open already, unless another
/// policy is in force.
pub(crate) async fn follow(shared: Arc<Shared>, tenant: Tenant) {
    let shutdown = shared.shutdown.clone();
    let Tenant { mut policy, base, places } = tenant;
    let mut running = Running { base, open: places, loops: Loops::new(shutdown.clone()), shared };
    let mut new = true;
    while !shutdown.has_begun() {
        match look(&running.shared.store, &policy).await {
            Ok(Some(other)) => {
                tracing::info!(
                    event.name = "rollcall.policy.loaded",
                    rollcall.org = other.tenant.as_str(),
                    policy = other.hash.short(),
                    "another policy is in force"
                );
                policy = other;
                new = true;
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "cannot see which policy is in force, looking again"),
        }
        if std::mem::take(&mut new) {
            running.go_by(&policy);
        }
        tokio::select! {
            () = shutdown.begun() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// What runs for a tenant.
struct Running {
    shared: Arc<Shared>,
    base: PathBuf,
    /// What was opened at the start and is not served yet.
    open: BTreeMap<DirectoryId, (Directory, Place)>,
    loops: Loops<DirectoryId, Directory>,
}

impl Running {
    /// Goes by another policy from now on.
    fn go_by(&mut self, policy: &Policy) {
        let targets = targets(policy);
        let count = targets.len();
        let Self { shared, base, open, loops } = self;
        let ended = loops.keep(targets, |id, directory, stop| {
            let place = open.remove(id).filter(|(opened, _)| opened == directory).map(|(_, place)| place);
            let (tenant, directory, base) = (policy.tenant.clone(), directory.clone(), base.clone());
            serve(Arc::clone(shared), Served { tenant, directory, base, stop }, place)
        });
        open.clear();
        tracing::info!(rollcall.org = policy.tenant.as_str(), targets = count, ended, "serving");
    }
}

/// The policy in force, if it is another than this one. Before a reconciler has taken any over, none is.
async fn look(store: &Store, running: &Policy) -> Result<Option<Policy>, StoreError> {
    let row = store.other_policy(&running.tenant, running.hash).await?;
    // What a reconciler of another version took over may say more than we understand: we go on as before.
    Ok(row.and_then(|row| Policy::parse(&row.body).ok()).filter(|policy| policy.tenant == running.tenant))
}
