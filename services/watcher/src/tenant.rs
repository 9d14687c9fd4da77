//! One tenant: the policy in force, followed while running, and a loop for each directory that a rule of it names.
//!
//! The reconciler judges the policy file, and what it takes over we go by. A file that waits for a person, or cannot be
//! right, changes nothing here. A directory that is new is watched from then on, one that is reached in another way is
//! watched anew, and one that no rule names any more is let go.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, Wake};
use model::{DirectoryId, TenantId};
use policy::Policy;
use runtime::{Loops, Shutdown};
use store::{Store, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::setup::{Place, Tenant, Way, ways};
use crate::watch::{Shared, Watched, serve};

/// How often we look which policy is in force.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What wakes the loops of a tenant's directories.
type Wakes = BTreeMap<DirectoryId, Wake>;

/// Watches a tenant's directories until the end begins. It begins with the file's, which are open already, unless
/// another policy is in force.
pub(crate) async fn follow(shared: Arc<Shared>, tenant: Tenant) {
    let shutdown = shared.shutdown.clone();
    let mut running = Running {
        base: tenant.base,
        open: tenant.places,
        policies: watch::Sender::new(Arc::clone(&tenant.policy)),
        wakes: watch::Sender::default(),
        loops: Loops::new(shutdown.clone()),
        shared,
    };
    let id = tenant.policy.tenant.clone();
    let hearing = hear(running.shared.bus.clone(), id, running.wakes.subscribe(), shutdown.clone());
    shutdown.spawn(hearing);
    let mut policy = tenant.policy;
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
                policy = Arc::new(other);
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
    /// What was opened at the start and is not watched yet.
    open: BTreeMap<DirectoryId, (Way, Place)>,
    policies: watch::Sender<Arc<Policy>>,
    wakes: watch::Sender<Wakes>,
    loops: Loops<DirectoryId, Way>,
}

impl Running {
    /// Goes by another policy from now on.
    fn go_by(&mut self, policy: &Arc<Policy>) {
        self.policies.send_replace(Arc::clone(policy));
        let ways = ways(policy);
        let known = self.wakes.borrow().clone();
        let wake = |id: &DirectoryId| known.get(id).cloned().unwrap_or_default();
        let wakes: Wakes = ways.keys().map(|id| (id.clone(), wake(id))).collect();
        let Self { shared, base, open, policies, loops, .. } = self;
        let ended = loops.keep(ways, |id, way, stop: CancellationToken| {
            let watched = Watched {
                tenant: policy.tenant.clone(),
                way: way.clone(),
                base: base.clone(),
                policies: policies.subscribe(),
                asked: wakes.get(id).cloned().unwrap_or_default(),
                stop,
            };
            let place = open.remove(id).filter(|(opened, _)| opened == way).map(|(_, place)| place);
            serve(Arc::clone(shared), watched, place)
        });
        open.clear();
        tracing::info!(rollcall.org = policy.tenant.as_str(), directories = wakes.len(), ended, "watching");
        self.wakes.send_replace(wakes);
    }
}

/// The policy in force, if it is another than this one. Before a reconciler has taken any over, none is.
async fn look(store: &Store, running: &Policy) -> Result<Option<Policy>, StoreError> {
    let row = store.other_policy(&running.tenant, running.hash).await?;
    // What a reconciler of another version took over may say more than we understand: we go on as before.
    Ok(row.and_then(|row| Policy::parse(&row.body).ok()).filter(|policy| policy.tenant == running.tenant))
}

/// Hears `sync` requests: the wishes are rows already, so every watcher of the tenant is woken and looks. The answer is
/// the reconciler's: what is read and not decided upon is no yes.
async fn hear(bus: Bus, tenant: TenantId, wakes: watch::Receiver<Wakes>, shutdown: Shutdown) {
    // A group of its own for each process: the one that has the lease must hear it.
    let group = format!("watcher-{}", runtime::ids::uuid());
    while !shutdown.has_begun() {
        match bus.serve(&tenant, "sync", &group).await {
            Ok(mut requests) => loop {
                let request = tokio::select! {
                    () = shutdown.begun() => return,
                    request = requests.next() => request,
                };
                if request.is_none() {
                    break;
                }
                wakes.borrow().values().for_each(Wake::wake);
            },
            Err(error) => tracing::warn!(%error, "cannot hear requests, trying again"),
        }
        tokio::select! {
            () = shutdown.begun() => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}
