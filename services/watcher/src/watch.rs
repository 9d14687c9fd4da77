//! One directory: waits for its lease, watches it, and starts over when the lease is lost.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, OrderedRelay, Outlet, Wake};
use runtime::health::HealthState;
use runtime::{Clock, Shutdown, ids};
use store::{Schema, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::ask::Asker;
use crate::post::{Policies, Post};
use crate::setup::Place;
use crate::sweep::Sweeper;
use crate::tenure::Tenure;

/// How often we look for the lease while somebody else has it.
const LOOK_FOR_LEASE: Duration = Duration::from_millis(500);

/// How long we wait after a beginning that failed: the database, or a policy that means another directory than before.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// What all directories of the process share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) clock: Clock,
    pub(crate) health: HealthState,
    pub(crate) shutdown: Shutdown,
}

/// Watches a directory for as long as the process lives, under the policy in force. `asked` wakes it when somebody wants
/// something read.
pub(crate) async fn serve(shared: Arc<Shared>, place: Place, policies: Policies, asked: Wake) {
    let name = format!("watcher/{}/{}", place.tenant(), place.id());
    let holder = ids::uuid().to_string();
    while !shared.shutdown.has_begun() {
        let mut rest = LOOK_FOR_LEASE;
        match Tenure::acquire(&shared.store, &name, &holder).await {
            Ok(Some(tenure)) => {
                tracing::info!(lease = name, epoch = tenure.lease().epoch, "this watcher has the directory");
                if let Err(error) = hold(&shared, (&place, &policies), &tenure, &asked).await {
                    tracing::error!(%error, lease = name, "cannot watch this directory, beginning anew");
                    rest = AFTER_FAILURE;
                }
                tenure.give_up().await;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, lease = name, "cannot ask for the lease, trying again"),
        }
        tokio::select! {
            () = shared.shutdown.begun() => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// Watches while the lease is ours.
async fn hold(
    shared: &Shared,
    (place, policies): (&Place, &Policies),
    tenure: &Tenure,
    asked: &Wake,
) -> Result<(), StoreError> {
    let keeping = shared.shutdown.spawn({
        let tenure = tenure.clone();
        async move { tenure.keep().await }
    });
    let key = shared.store.directory(place.tenant(), place.id()).await?;
    if let Some(vendor_id) = place.reader.pinned_id() {
        shared.store.pin_directory(&key, &vendor_id).await?;
    }
    let (outlet, stop, relay_stop) = (Outlet::default(), CancellationToken::new(), CancellationToken::new());
    let relay = OrderedRelay {
        bus: shared.bus.clone(),
        store: shared.store.clone(),
        schema: Schema::Directory,
        lease: tenure.lease().clone(),
        topic: key.topic(),
        outlet: outlet.clone(),
    };
    let relaying = shared.shutdown.spawn({
        let (tenure, topic, stop) = (tenure.clone(), key.topic(), relay_stop.clone());
        async move {
            if let Err(error) = relay.run(stop).await {
                tracing::warn!(%error, topic, "events are no longer ours to send");
                tenure.over().cancel();
            }
        }
    });
    let of = (place.clone(), policies.clone());
    let post = Arc::new(Post::new(shared.store.clone(), of, key, tenure.clone(), outlet, stop.clone()));
    let site = format!("{}/{}", place.tenant(), place.id());
    let sweep_report = shared.health.register_loop(&format!("sweep {site}"));
    let ask_report = shared.health.register_loop(&format!("ask {site}"));
    let sweeper = Sweeper::new(Arc::clone(&post), shared.clock.clone(), sweep_report.clone());
    let (bus, clock) = (shared.bus.clone(), shared.clock.clone());
    let asker = Asker::new(post, bus, clock, asked.clone(), ask_report.clone());
    let (sweeping, asking) = (shared.shutdown.spawn(sweeper.run()), shared.shutdown.spawn(asker.run()));
    tokio::select! {
        () = shared.shutdown.begun() => {}
        () = tenure.over().cancelled() => {}
    }
    stop.cancel();
    let _ended = tokio::join!(sweeping, asking);
    // What is committed still has to go out: the relay looks once more, then ends.
    relay_stop.cancel();
    let _ended = relaying.await;
    tenure.over().cancel();
    let _ended = keeping.await;
    sweep_report.ended();
    ask_report.ended();
    Ok(())
}
