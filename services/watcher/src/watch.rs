//! One directory: waits for its lease, watches it, and starts over when the lease is lost.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, OrderedRelay, Outlet, Wake};
use model::{TenantId, Time};
use runtime::health::HealthState;
use runtime::{Clock, Fault, Shutdown, ids};
use store::directory::Health;
use store::{Schema, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::Options;
use crate::ask::Asker;
use crate::post::{Policies, Post};
use crate::setup::{self, Place, Way};
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
    pub(crate) options: Options,
    pub(crate) shutdown: Shutdown,
}

/// A directory that is to be watched.
pub(crate) struct Watched {
    pub(crate) tenant: TenantId,
    pub(crate) way: Way,
    /// The folder that secrets are relative to.
    pub(crate) base: PathBuf,
    pub(crate) policies: Policies,
    /// Wakes it when somebody wants something read.
    pub(crate) asked: Wake,
    /// Cancelled when it is to be let go, or the process is to end.
    pub(crate) stop: CancellationToken,
}

/// Watches a directory under the policy in force until told to let it go. `place`: it, if it is open already.
pub(crate) async fn serve(shared: Arc<Shared>, watched: Watched, mut place: Option<Place>) {
    let name = format!("watcher/{}/{}", watched.tenant, watched.way.id());
    let holder = ids::uuid().to_string();
    let mut refused = None;
    while !watched.stop.is_cancelled() {
        let mut rest = LOOK_FOR_LEASE;
        match Tenure::acquire(&shared.store, &name, &holder).await {
            Ok(Some(tenure)) => {
                tracing::info!(lease = name, epoch = tenure.lease().epoch, "this watcher has the directory");
                let held = match open(&shared, &watched, &mut place) {
                    Ok(place) => hold(&shared, &watched, place, &tenure).await,
                    Err(fault) => {
                        rest = AFTER_FAILURE;
                        cannot_open((&shared, &watched), &tenure, &fault, &mut refused).await
                    }
                };
                if let Err(error) = held {
                    tracing::error!(%error, lease = name, "cannot watch this directory, beginning anew");
                    rest = AFTER_FAILURE;
                }
                tenure.give_up().await;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, lease = name, "cannot ask for the lease, trying again"),
        }
        tokio::select! {
            () = watched.stop.cancelled() => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// The directory, opened if it is not yet.
fn open<'a>(shared: &Shared, watched: &Watched, place: &'a mut Option<Place>) -> Result<&'a Place, Fault> {
    let opened = if let Some(place) = place.take() {
        place
    } else {
        let policy = Arc::clone(&watched.policies.borrow());
        setup::open(&policy, &watched.way, &watched.base, &shared.clock, &shared.options)?
    };
    Ok(place.insert(opened))
}

/// A directory of the policy in force that cannot be opened is one that cannot be read.
async fn cannot_open(
    (shared, watched): (&Shared, &Watched),
    tenure: &Tenure,
    fault: &Fault,
    refused: &mut Option<(Time, String)>,
) -> Result<(), StoreError> {
    let (org, site) = (watched.tenant.as_str(), watched.way.id().as_str());
    let now = outbound::now(&shared.clock);
    let since = refused.as_ref().map_or(now, |(since, _)| *since);
    // Once for each reason: it is tried again every few seconds.
    if refused.as_ref().is_none_or(|(_, message)| *message != fault.message) {
        tracing::error!(rollcall.org = org, rollcall.site = site, error.code = fault.code, "{fault}");
        *refused = Some((since, fault.message.clone()));
    }
    let key = shared.store.directory(&watched.tenant, watched.way.id()).await?;
    let note = serde_json::json!({ "last": format!("{}: {}", fault.code, fault.message) }).to_string();
    shared.store.set_health(tenure.lease(), &key, &Health { blind_since: Some(since), note }).await
}

/// Watches while the lease is ours.
async fn hold(shared: &Shared, watched: &Watched, place: &Place, tenure: &Tenure) -> Result<(), StoreError> {
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
    let of = (place.clone(), watched.policies.clone());
    let post = Arc::new(Post::new(shared.store.clone(), of, key, tenure.clone(), outlet, stop.clone()));
    let intakes = vec![bus::Intake::verify(place.tenant(), place.id())];
    shared.shutdown.spawn(shared.bus.clone().tell_waiting(intakes, stop.clone()));
    let site = format!("{}/{}", place.tenant(), place.id());
    let sweep_report = shared.health.register_loop(&format!("sweep {site}"));
    let ask_report = shared.health.register_loop(&format!("ask {site}"));
    let sweeper = Sweeper::new(Arc::clone(&post), shared.clock.clone(), sweep_report.clone());
    let (bus, clock) = (shared.bus.clone(), shared.clock.clone());
    let asker = Asker::new(Arc::clone(&post), bus, clock, watched.asked.clone(), ask_report.clone());
    let (sweeping, asking) = (shared.shutdown.spawn(sweeper.run()), shared.shutdown.spawn(asker.run()));
    tokio::select! {
        () = watched.stop.cancelled() => {}
        () = tenure.over().cancelled() => {}
    }
    stop.cancel();
    let _ended = tokio::join!(sweeping, asking);
    if watched.stop.is_cancelled() && !shared.shutdown.has_begun() {
        // Nobody looks after it from now on: whoever names it again decides nothing from what it was.
        let note = serde_json::json!({ "last": "let go: the policy does not name it, or not so, any more" });
        let since = post.blind_since().unwrap_or_else(|| outbound::now(&shared.clock));
        if let Err(error) = post.say(Some(since), note.to_string()).await {
            tracing::warn!(%error, "cannot write that the directory is let go");
        }
    }
    // What is committed still has to go out: the relay looks once more, then ends.
    relay_stop.cancel();
    let _ended = relaying.await;
    tenure.over().cancel();
    let _ended = keeping.await;
    sweep_report.ended();
    ask_report.ended();
    Ok(())
}
