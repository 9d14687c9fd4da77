//! The post of a watcher at one directory: what its loops share while the lease is ours.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus::{Outlet, Wake};
use model::{AccountId, Corroboration, Fact, Reading, Time};
use policy::{Directory, Policy};
use runtime::spans::Whose;
use runtime::{events, metrics};
use store::directory::{Committed, DirectoryKey, Health, Pass};
use store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::announce;
use crate::scope::{Known, Touched, touched};
use crate::setup::Place;
use crate::tenure::Tenure;

/// How often a transaction is tried that met a conflict or a database out of reach.
const TRIES: u32 = 5;

/// The policy of a tenant, as it comes into force.
pub(crate) type Policies = tokio::sync::watch::Receiver<Arc<Policy>>;

/// One tenure at one directory.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) store: Store,
    pub(crate) place: Place,
    pub(crate) policies: Policies,
    pub(crate) key: DirectoryKey,
    pub(crate) tenure: Tenure,
    /// Where events go after a commit.
    pub(crate) outlet: Outlet,
    /// Wakes the sweep.
    pub(crate) sweep: Wake,
    /// The traces of those who asked for one since the last.
    sweep_asked: Mutex<Vec<String>>,
    pub(crate) stop: CancellationToken,
    known: Mutex<(Known, Versions)>,
    blind_since: Mutex<Option<Time>>,
    /// What the directory was found to be pinned by.
    pinned: Mutex<Option<String>>,
}

/// Up to which version the groups of each source are known.
type Versions = std::collections::BTreeMap<model::DirectoryId, u64>;

impl Post {
    pub(crate) fn new(
        store: Store,
        (place, policies): (Place, Policies),
        key: DirectoryKey,
        tenure: Tenure,
        outlet: Outlet,
        stop: CancellationToken,
    ) -> Self {
        let (known, blind_since, pinned) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (sweep, sweep_asked) = (Wake::default(), Mutex::default());
        Self { store, place, policies, key, tenure, outlet, sweep, sweep_asked, stop, known, blind_since, pinned }
    }

    /// Whose work is done here, for spans.
    pub(crate) fn whose(&self) -> Whose {
        Whose::of(self.place.tenant().as_str(), self.place.id().as_str())
    }

    /// Somebody asks for a sweep, in these traces.
    pub(crate) fn ask_for_sweep(&self, traces: impl Iterator<Item = String>) {
        self.sweep_asked.lock().unwrap_or_else(PoisonError::into_inner).extend(traces);
        self.sweep.wake();
    }

    /// The traces of those who asked for a sweep.
    pub(crate) fn sweep_asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.sweep_asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Refuses what was read of another directory than the one that was met first under this name.
    async fn same_directory(&self) -> Result<(), StoreError> {
        let Some(id) = self.place.reader.pinned_id() else { return Ok(()) };
        if self.pinned.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(&id) {
            return Ok(());
        }
        self.store.pin_directory(&self.key, &id).await?;
        *self.pinned.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
        Ok(())
    }

    /// Commits a reading with the events about it.
    ///
    /// # Errors
    /// When the lease is lost, the database does not answer for long, or it is of another directory than before.
    pub(crate) async fn commit(&self, pass: Pass, reading: &Reading) -> Result<Committed, StoreError> {
        self.same_directory().await?;
        let (traceparent, kept) = (runtime::trace::current_traceparent(), runtime::spans::kept());
        let mut tries = 0;
        loop {
            let announce = |committed: &Committed| self.announce(committed, &[], traceparent.as_deref());
            let lease = Some(self.tenure.lease());
            match self.store.commit_reading(lease, &self.key, pass, reading, kept.as_deref(), announce).await {
                Err(error) if passes(&error) && tries < TRIES => pause(&error, &mut tries).await,
                done => return self.done(done),
            }
        }
    }

    /// Commits answers, with what was read on the way, and the events about them.
    ///
    /// # Errors
    /// As [`Post::commit`].
    pub(crate) async fn commit_answers(
        &self,
        answers: &[Corroboration],
        readings: &[Reading],
    ) -> Result<Committed, StoreError> {
        let (traceparent, kept) = (runtime::trace::current_traceparent(), runtime::spans::kept());
        self.same_directory().await?;
        let facts: Vec<Fact> = answers.iter().map(|answer| answer.fact.clone()).collect();
        let mut tries = 0;
        loop {
            let announce = |committed: &Committed| self.announce(committed, &facts, traceparent.as_deref());
            let lease = Some(self.tenure.lease());
            match self.store.commit_answers(lease, &self.key, answers, readings, kept.as_deref(), announce).await {
                Err(error) if passes(&error) && tries < TRIES => pause(&error, &mut tries).await,
                done => return self.done(done),
            }
        }
    }

    /// Says whether the directory can be read, for whoever decides, and what the last sweep saw, for status pages.
    pub(crate) async fn say(&self, blind_since: Option<Time>, note: String) -> Result<(), StoreError> {
        *self.blind_since.lock().unwrap_or_else(PoisonError::into_inner) = blind_since;
        self.store.set_health(self.tenure.lease(), &self.key, &Health { blind_since, note }).await
    }

    /// Says which accounts our credentials belong to.
    pub(crate) async fn own_are(&self, accounts: &[AccountId]) -> Result<(), StoreError> {
        self.store.set_own_accounts(self.tenure.lease(), &self.key, accounts).await
    }

    /// Since when the directory cannot be read, as far as was said.
    pub(crate) fn blind_since(&self) -> Option<Time> {
        *self.blind_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The policy in force.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policies.borrow())
    }

    /// The directory as the policy in force has it: how often it is swept, how far its reads lag.
    pub(crate) fn directory(&self) -> Directory {
        self.policy().directories.get(self.place.id()).unwrap_or(&self.place.directory).clone()
    }

    /// Which groups a rule can touch, as of now: the groups of the sources are asked for news only.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn touched(&self) -> Result<Touched, StoreError> {
        self.learn().await?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(touched(&self.policy(), self.place.id(), &known.0))
    }

    /// Learns what is new of the groups at the sources and of our pins. True: something is.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn learn(&self) -> Result<bool, StoreError> {
        let policy = self.policy();
        let touching = policy.rules.iter().filter(|rule| rule.to.contains(self.place.id()));
        let sources: std::collections::BTreeSet<_> = touching.map(|rule| rule.from.clone()).collect();
        let mut news = Vec::new();
        for source in sources {
            let Some(key) = self.store.find_directory(&policy.tenant, &source).await? else { continue };
            let since = self.known.lock().unwrap_or_else(PoisonError::into_inner).1.get(&source).copied();
            news.push((source, self.store.groups_since(&key, since.unwrap_or(0)).await?));
        }
        let pinned = self.store.pinned_groups(&self.key).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, versions) = &mut *known;
        let mut learned = known.pinned != pinned;
        known.pinned = pinned;
        for (source, rows) in news {
            learned |= !rows.is_empty();
            let groups = known.sources.entry(source.clone()).or_default();
            for row in rows {
                versions.insert(source.clone(), row.version);
                if row.gone {
                    groups.remove(&row.group.id);
                } else {
                    groups.insert(row.group.id.clone(), row.group);
                }
            }
        }
        Ok(learned)
    }

    /// Shows how fresh the mirror is.
    pub(crate) fn measure(&self, complete_at: Option<Time>, now: Time) {
        let (org, side) = (self.place.tenant().as_str(), self.place.side());
        let Some(at) = complete_at else { return };
        metrics::process().watcher_last_success(org, side, at.0);
        metrics::process().snapshot_age(org, side, at.until(now).to_std());
    }

    fn announce(
        &self,
        committed: &Committed,
        answered: &[Fact],
        traceparent: Option<&str>,
    ) -> Vec<store::OutboxMessage> {
        announce::messages(self.place.tenant(), self.place.id(), committed, answered, traceparent)
    }

    /// Says what is new of a commit.
    fn tell(&self, committed: &Committed) {
        let Committed { version, users, groups, member_groups, members_added, members_removed, .. } = committed;
        let (users, groups, member_groups) = (users.len(), groups.len(), member_groups.len());
        if users + groups + member_groups == 0 {
            return;
        }
        tracing::info!(
            event.name = events::CHANGE_DETECTED,
            rollcall.org = self.place.tenant().as_str(),
            rollcall.site = self.place.id().as_str(),
            version,
            users,
            groups,
            member_groups,
            members_added,
            members_removed,
            "something is new"
        );
    }

    /// Hands the events of a commit over. Where it is not known to have failed or not, the outbox is looked at.
    fn done(&self, done: Result<Committed, StoreError>) -> Result<Committed, StoreError> {
        match done {
            Ok(mut committed) => {
                self.tell(&committed);
                self.outlet.hand(std::mem::take(&mut committed.messages));
                Ok(committed)
            }
            Err(error) => {
                self.outlet.look();
                Err(error)
            }
        }
    }
}

/// Whether a transaction lost against another one, or found no database: another try may go well.
const fn passes(error: &StoreError) -> bool {
    matches!(error, StoreError::Conflict(_) | StoreError::Unreachable(_))
}

/// Waits a little longer each time.
async fn pause(error: &StoreError, tries: &mut u32) {
    tracing::warn!(%error, "cannot commit what was read, trying again");
    *tries += 1;
    tokio::time::sleep(runtime::ids::jitter(Duration::from_millis(100 << (*tries).min(6)))).await;
}
