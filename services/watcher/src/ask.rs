//! Targeted reads: facts that the reconciler wants read by themselves, people and groups that somebody asks about, and
//! groups that became ours since the last sweep.
//!
//! A message or a request only wakes: what is to be read stands in PostgreSQL. All that waits is read at once and
//! committed as one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, Consumer, Delivery, Intake, Wake};
use contract::{Verify, subjects};
use futures_util::{StreamExt as _, stream};
use model::{AccountId, Answer, Corroboration, Email, Fact, GroupId, Reading, Time};
use outbound::{Clock, ReadDirectory as _, ReadError};
use runtime::health::LoopHandle;
use runtime::metrics;
use runtime::spans::{self, Cause, Messages};
use store::StoreError;
use store::directory::{Committed, Pass, Wish};
use tracing::Instrument as _;

use crate::post::Post;

/// How often we look into PostgreSQL without being woken.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many facts and wishes are taken at once.
const MOST: u32 = 500;
/// How many facts are read at once.
const PARALLEL: usize = 16;
/// When a fact that could not be read is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What a walk has missed, as a fact that holds after all tells: it is read again, so that the fact is a row again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Missed {
    Group(GroupId),
    User(AccountId),
}

impl Missed {
    fn of(proof: &Corroboration) -> Option<Self> {
        if proof.answer != Answer::Holds {
            return None;
        }
        Some(match &proof.fact {
            Fact::Member { group, .. } | Fact::Nested { group, .. } | Fact::Group { group, .. } => {
                Self::Group(group.clone())
            }
            Fact::User { user, .. } => Self::User(user.clone()),
        })
    }
}

/// The loop of a directory.
pub(crate) struct Asker {
    pub(crate) post: Arc<Post>,
    pub(crate) bus: Bus,
    pub(crate) clock: Clock,
    pub(crate) wake: Wake,
    pub(crate) report: LoopHandle,
    /// Facts that could not be read, and when they are tried again.
    resting: BTreeMap<Fact, Time>,
    /// Requests that could not be read yet.
    unread: Vec<Wish>,
}

impl Asker {
    pub(crate) const fn new(post: Arc<Post>, bus: Bus, clock: Clock, wake: Wake, report: LoopHandle) -> Self {
        Self { post, bus, clock, wake, report, resting: BTreeMap::new(), unread: Vec::new() }
    }

    /// Answers until told to stop.
    pub(crate) async fn run(mut self) {
        let intake = Intake::verify(self.post.place.tenant(), self.post.place.id());
        let mut consumer = None;
        loop {
            if consumer.is_none() {
                // Without NATS nobody wakes us, and what is to be read stands in PostgreSQL all the same.
                match self.bus.consume::<Verify>(intake.clone()).await {
                    Ok(opened) => consumer = Some(opened),
                    Err(error) => tracing::warn!(%error, "cannot hear what is to be verified, trying again"),
                }
            }
            let stop = self.post.stop.clone();
            let deliveries = tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.woken() => Vec::new(),
                deliveries = next_batch(consumer.as_mut()) => deliveries,
            };
            let began = runtime::clock::monotonic();
            let ended = tokio::select! {
                () = stop.cancelled() => return,
                ended = self.round(&deliveries) => ended,
            };
            if !deliveries.is_empty() {
                let (stream, error) = (intake.stream().as_str(), if ended.is_ok() { "" } else { "store" });
                metrics::process().messaging_process("process", stream, error, began.elapsed());
            }
            settle(deliveries, ended.is_ok()).await;
            if let Err(error) = ended {
                self.report.finished(Err(error.to_string()), None);
                tracing::warn!(%error, "cannot answer what was asked, trying again");
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }

    /// Reads what waits. Errors are the database's; what a vendor does not answer is left for the next round.
    async fn round(&mut self, deliveries: &[Delivery<Verify>]) -> Result<(), StoreError> {
        let now = outbound::now(&self.clock);
        let needs = self.post.store.open_needs(&self.post.key, MOST).await?;
        self.resting.retain(|_, until| *until > now);
        let facts: Vec<Fact> =
            needs.into_iter().map(|(fact, _)| fact).filter(|fact| !self.resting.contains_key(fact)).collect();
        if !facts.is_empty() {
            self.report.started("verify");
            let span = self.span(deliveries);
            let said = self.verify(facts).instrument(span).await?;
            self.report.finished(Ok(said), None);
        }
        let asked = self.post.store.wishes(&self.post.key, now, MOST).await?;
        // Done before they are read: who asks again while we read asks for another read. What cannot be read is kept here,
        // and a watcher that takes over begins with reading everything.
        let ids: Vec<i64> = asked.iter().map(|wish| wish.id).collect();
        if !ids.is_empty() {
            self.post.store.wishes_done(&ids, now).await?;
        }
        for wish in asked {
            if self.unread.iter().all(|unread| unread.place != wish.place) {
                self.unread.push(wish);
            }
        }
        if !self.unread.is_empty() {
            let wishes = self.unread.clone();
            self.report.started("request");
            let causes: Vec<&str> = wishes.iter().filter_map(|wish| wish.traceparent.as_deref()).collect();
            let span = spans::watch("watch reread", self.post.whose(), Cause::Flows(&causes));
            let (total, read) = (wishes.len(), self.grant(&wishes).instrument(span).await?);
            self.unread.retain(|wish| !read.contains(&wish.id));
            self.report.finished(Ok(format!("{} of {total} requests read", read.len())), None);
        }
        self.walk_what_became_ours(now).await
    }

    /// The span of a round of point reads: what asked for them waited in PostgreSQL with what else is read now.
    fn span(&self, deliveries: &[Delivery<Verify>]) -> tracing::Span {
        let causes: Vec<&str> = deliveries.iter().filter_map(Delivery::traceparent).collect();
        let whose = self.post.whose();
        let Some(first) = deliveries.first() else { return spans::watch("watch verify", whose, Cause::Flows(&causes)) };
        let intake = Intake::verify(self.post.place.tenant(), self.post.place.id());
        let (stream, group, count) = (intake.stream().as_str(), intake.durable(), deliveries.len());
        let (id, sequence, deliveries) = if count == 1 { first.source() } else { Default::default() };
        let messages = Messages { stream, template: subjects::VERIFY, group, count, id, sequence, deliveries };
        spans::process(&messages, whose, Cause::Flows(&causes))
    }

    async fn verify(&mut self, facts: Vec<Fact>) -> Result<String, StoreError> {
        let asked = facts.len();
        let this = &*self;
        let reads = facts.into_iter().map(|fact| async move {
            let proof = this.prove(&fact).await;
            (fact, proof)
        });
        let proofs: Vec<_> = stream::iter(reads).buffer_unordered(PARALLEL).collect().await;
        let missed = proofs.iter().filter_map(|(_, proof)| Missed::of(proof.as_ref().ok()?)).collect();
        let again = outbound::now(&self.clock).plus(AGAIN_AFTER.into());
        let (mut answers, mut readings, mut failed) = (Vec::new(), Vec::new(), None);
        let mut unread = BTreeSet::new();
        for (missed, read) in self.read_again(missed).await {
            match read {
                Ok(reading) => readings.push(reading),
                Err(error) => {
                    unread.insert(missed);
                    failed = Some(error);
                }
            }
        }
        for (fact, proof) in proofs {
            match proof {
                Ok(answer) if Missed::of(&answer).is_none_or(|missed| !unread.contains(&missed)) => {
                    answers.push(answer);
                }
                proof => {
                    self.resting.insert(fact, again);
                    failed = proof.err().or(failed);
                }
            }
        }
        // The order in which answers came is chance; what is committed is not.
        answers.sort_by(|a, b| a.fact.cmp(&b.fact));
        if !answers.is_empty() {
            self.post.commit_answers(&answers, &readings).await?;
        }
        if let Some(error) = failed {
            tracing::warn!(
                rollcall.site = self.post.place.id().as_str(),
                error.code = error.code.as_str(),
                "{} of {asked} facts could not be read, trying again: {error}",
                asked - answers.len()
            );
        }
        Ok(format!("{} of {asked} facts read", answers.len()))
    }

    /// Reads one fact.
    async fn prove(&self, fact: &Fact) -> Result<Corroboration, ReadError> {
        let read_at = outbound::now(&self.clock);
        let answer = self.post.place.reader.verify(fact).await?;
        Ok(Corroboration { fact: fact.clone(), answer, read_at })
    }

    /// Reads what walks have missed, each once: many facts of one group may be asked for, since a page of it was lost.
    async fn read_again(&self, missed: BTreeSet<Missed>) -> Vec<(Missed, Result<Reading, ReadError>)> {
        let reader = &self.post.place.reader;
        let reads = missed.into_iter().map(|missed| async move {
            let read = match &missed {
                Missed::Group(group) => reader.reread(std::slice::from_ref(group), &[]).await,
                Missed::User(user) => reader.reread(&[], std::slice::from_ref(user)).await,
            };
            (missed, read)
        });
        stream::iter(reads).buffered(PARALLEL).collect().await
    }

    /// Reads the places that somebody asked for: all at once, and one by one when that goes wrong, so that one place that
    /// cannot be read keeps nobody waiting. Gives which were, with those that will not be read by asking again: of them
    /// the sweep says more.
    async fn grant(&self, wishes: &[Wish]) -> Result<BTreeSet<i64>, StoreError> {
        let places: BTreeSet<String> = wishes.iter().map(|wish| wish.place.clone()).collect();
        if places.contains("all") {
            let asked = wishes.iter().filter(|wish| wish.place == "all");
            self.post.ask_for_sweep(asked.filter_map(|wish| wish.traceparent.clone()));
        }
        let all = || wishes.iter().map(|wish| wish.id).collect();
        let (mut read, mut failed) = (BTreeSet::new(), None);
        match self.reread(places.clone()).await? {
            Ok(committed) => {
                read = all();
                self.lag(wishes, &committed);
            }
            Err(error) if places.len() == 1 => {
                read = if error.may_pass() { read } else { all() };
                failed = Some(error);
            }
            Err(_) => {
                for wish in wishes {
                    match self.reread(BTreeSet::from([wish.place.clone()])).await? {
                        Ok(committed) => {
                            read.insert(wish.id);
                            self.lag(std::slice::from_ref(wish), &committed);
                        }
                        Err(error) => {
                            read.extend((!error.may_pass()).then_some(wish.id));
                            failed = Some(error);
                        }
                    }
                }
            }
        }
        if let Some(error) = failed {
            tracing::warn!(
                rollcall.site = self.post.place.id().as_str(),
                error.code = error.code.as_str(),
                "what was asked for could not be read: {error}"
            );
        }
        Ok(read)
    }

    /// How long after it was told of it something was detected. Who points at a person or a group tells when it
    /// happened at the latest; of what a sweep finds nobody has told.
    fn lag(&self, wishes: &[Wish], committed: &Committed) {
        let Some(told_at) = wishes.iter().map(|wish| wish.asked_at).min() else { return };
        if self.post.place.side() != "source" {
            return;
        }
        let (org, lag) = (self.post.place.tenant().as_str(), told_at.until(outbound::now(&self.clock)).to_std());
        let memberships = committed.members_added + committed.members_removed + committed.roles_changed;
        let accounts = committed.users.len() as u64;
        for (kind, count) in
            [("account", accounts), ("group", committed.groups.len() as u64), ("membership", memberships)]
        {
            if count > 0 {
                metrics::process().change_source_lag(org, kind, lag, count);
            }
        }
    }

    /// Finds out what places mean, reads that and commits it. The inner error is the vendor's.
    async fn reread(&self, places: BTreeSet<String>) -> Result<Result<Committed, ReadError>, StoreError> {
        let searches = places.into_iter().map(|place| self.find(place));
        let found: Vec<_> = stream::iter(searches).buffer_unordered(PARALLEL).collect().await;
        let (mut users, mut groups) = (BTreeSet::new(), BTreeSet::new());
        for one in found {
            match one {
                Ok((more_users, more_groups)) => {
                    users.extend(more_users);
                    groups.extend(more_groups);
                }
                Err(Trouble::Store(error)) => return Err(error),
                Err(Trouble::Read(error)) => return Ok(Err(error)),
            }
        }
        if users.is_empty() && groups.is_empty() {
            return Ok(Ok(Committed::default()));
        }
        let (groups, users) = (groups.into_iter().collect::<Vec<_>>(), users.into_iter().collect::<Vec<_>>());
        match self.post.place.reader.reread(&groups, &users).await {
            Ok(reading) => self.post.commit(Pass::Targeted, &reading).await.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Whom and what a place means: a person with all groups that the vendor or the mirror knows them in, or a group.
    async fn find(&self, place: String) -> Result<(Vec<AccountId>, Vec<GroupId>), Trouble> {
        let (mut users, mut groups): (Vec<AccountId>, Vec<GroupId>) = (Vec::new(), Vec::new());
        let Some((kind, text)) = place.split_once('/') else { return Ok((users, groups)) };
        let reader = &self.post.place.reader;
        match kind {
            "group" => groups.extend(GroupId::new(text).ok()),
            "user" => {
                let Ok(id) = AccountId::new(text) else { return Ok((users, groups)) };
                // A group's id may stand here: people ask by id without saying of what.
                match (reader.read_user(&id).await?, GroupId::new(text)) {
                    (None, Ok(group)) if reader.read_group(&group).await.ok().flatten().is_some() => groups.push(group),
                    _ => users.push(id),
                }
            }
            "email" => {
                let Ok(email) = Email::new(text) else { return Ok((users, groups)) };
                users.extend(reader.find_person(&email).await?.map(|user| user.id));
                // Who is no longer found is read by the id that was known.
                users.extend(self.post.store.people_at(&self.post.key, &email).await?);
                // It may be a group's: Google reads groups by their address as well as by their id.
                if let (true, Ok(address)) = (users.is_empty(), GroupId::new(text)) {
                    groups.extend(reader.read_group(&address).await.ok().flatten().map(|group| group.id));
                }
            }
            _ => {}
        }
        users.sort_unstable();
        users.dedup();
        for user in &users {
            groups.extend(reader.groups_of(user).await?);
            groups.extend(self.post.store.groups_of(&self.post.key, user.as_str()).await?);
        }
        Ok((users, groups))
    }

    /// Walks groups that a rule can touch and that were never walked: a source group became known or was renamed, or we
    /// made the group. One that we made is read when the vendor's lag has passed.
    async fn walk_what_became_ours(&self, now: Time) -> Result<(), StoreError> {
        let before = now.minus(self.post.directory().lag);
        let mut groups: BTreeSet<GroupId> =
            self.post.store.unwalked_pins(&self.post.key, before).await?.into_iter().collect();
        if self.post.learn().await? {
            let touched = self.post.touched().await?;
            let unwalked = self.post.store.unwalked_groups(&self.post.key).await?;
            groups.extend(unwalked.into_iter().filter(|group| touched.holds(group)).map(|group| group.id));
        }
        if groups.is_empty() || self.post.blind_since().is_some() {
            return Ok(());
        }
        self.report.started("new groups");
        let groups: Vec<GroupId> = groups.into_iter().collect();
        let span = spans::watch("watch new groups", self.post.whose(), Cause::Waited(&[]));
        let walk = async {
            match self.post.place.reader.reread(&groups, &[]).await {
                Ok(reading) => {
                    self.post.commit(Pass::Targeted, &reading).await?;
                    Ok(Ok(format!("{} groups walked for the first time", groups.len())))
                }
                Err(error) => Ok::<_, StoreError>(Err(error.to_string())),
            }
        };
        let said = walk.instrument(span).await?;
        self.report.finished(said, None);
        Ok(())
    }
}

/// What stopped a search.
enum Trouble {
    Read(ReadError),
    Store(StoreError),
}

impl From<ReadError> for Trouble {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Waits for messages, or for the time when we look by ourselves.
async fn next_batch(consumer: Option<&mut Consumer<Verify>>) -> Vec<Delivery<Verify>> {
    if let Some(consumer) = consumer {
        return consumer.next_batch(MOST as usize, LOOK_EVERY).await;
    }
    tokio::time::sleep(LOOK_EVERY).await;
    Vec::new()
}

/// The rows are read: the messages have done their work. What still has no answer is a row without one.
async fn settle(deliveries: Vec<Delivery<Verify>>, done: bool) {
    for delivery in deliveries {
        let settled = if done { delivery.ack().await } else { delivery.retry(AGAIN_AFTER).await };
        if let Err(error) = settled {
            tracing::debug!(%error, "a request to verify was not settled; it comes again");
        }
    }
}
