//! The policy in force, followed while running: the reconciler judges the file, and what it takes over the watchers go by.
//! A file that waits for a person, or cannot be right, changes nothing here.

use std::sync::Arc;
use std::time::Duration;

use model::{DirectoryId, TenantId};
use policy::Policy;
use runtime::Shutdown;
use store::{Store, StoreError};
use tokio::sync::watch::Sender;

use crate::setup::used_directories;

/// How often we look.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Tells the watchers of a tenant which policy is in force, until the end begins.
pub(crate) async fn follow(store: Store, tenant: TenantId, policies: Sender<Arc<Policy>>, shutdown: Shutdown) {
    loop {
        let running = Arc::clone(&policies.borrow());
        match look(&store, &tenant, &running).await {
            Ok(None) => {}
            Ok(Some(policy)) => {
                tracing::info!(
                    event.name = "rollcall.policy.loaded",
                    rollcall.org = tenant.as_str(),
                    policy = policy.hash.short(),
                    "another policy is in force"
                );
                for directory in unknown(&running, &policy) {
                    tracing::warn!(
                        rollcall.org = tenant.as_str(),
                        rollcall.site = directory.as_str(),
                        "a directory that is new, or reached in another way, is read so from the next start on"
                    );
                }
                policies.send_replace(Arc::new(policy));
            }
            Err(error) => tracing::debug!(%error, "cannot see which policy is in force, looking again"),
        }
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// The policy in force, if it is another than this one. Before a reconciler has taken any over, none is.
async fn look(store: &Store, tenant: &TenantId, running: &Policy) -> Result<Option<Policy>, StoreError> {
    let Some(hash) = store.policy_in_force(tenant).await?.filter(|hash| *hash != running.hash) else { return Ok(None) };
    let row = store.policy(tenant, hash).await?;
    // What a reconciler of another version took over may say more than we understand: we go on as before.
    Ok(row.and_then(|row| Policy::parse(&row.body).ok()).filter(|policy| policy.tenant == *tenant))
}

/// Directories that a rule names and that readers of the policy before do not reach, or reach otherwise.
fn unknown(before: &Policy, now: &Policy) -> Vec<DirectoryId> {
    let reached = |policy: &Policy, id: &DirectoryId| {
        let directory = policy.directories.get(id)?;
        Some((directory.kind, directory.endpoint.clone(), directory.settings.clone()))
    };
    let known = used_directories(before);
    let same = |id: &DirectoryId| known.contains(id) && reached(before, id) == reached(now, id);
    used_directories(now).into_iter().filter(|id| !same(id)).collect()
}
