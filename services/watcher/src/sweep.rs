//! The sweep: everything is read, at the start, then every so often, and when somebody asks. It is the truth; whatever
//! hints, events and messages lose, it finds.

use std::{sync::Arc, time::Duration};

use model::{AccountId, Disposition, Reading, Span, Time};
use outbound::{Clock, Progress, ReadDirectory as _, ReadError, Stage};
use runtime::health::LoopHandle;
use runtime::spans::{self, Cause};
use store::StoreError;
use store::directory::{Committed, Pass};
use tracing::Instrument as _;

use crate::post::{Policies, Post};
use crate::scope::Touched;

/// After a sweep that did not see everything, the next one waits at least so long, and twice as long each time.
const AGAIN_AFTER: Span = Span::from_secs(15);
/// How often it is said how old the newest complete read is.
const MEASURE_EVERY: Duration = Duration::from_secs(15);
/// So many sweeps in a row without a complete list make a directory blind.
const BLIND_AFTER: u32 = 3;

/// The loop of a directory.
pub(crate) struct Sweeper {
    pub(crate) post: Arc<Post>,
    pub(crate) clock: Clock,
    pub(crate) report: LoopHandle,
    /// Sweeps in a row that lacked a list.
    failures: u32,
    /// Sweeps in a row that were not whole.
    partial: u32,
    /// When the last sweep ended that had both lists.
    listed_at: Option<Time>,
    /// The accounts that our credentials belong to, once the vendor has told them.
    own: Option<Vec<AccountId>>,
    /// Whose members the last sweep walked.
    walked: Option<Touched>,
    policies: Policies,
}

/// How a sweep went.
enum Swept {
    /// What was seen is committed.
    Seen(Box<(Reading, Committed)>),
    /// Nothing could be said.
    Nothing(ReadError),
}

impl Sweeper {
    pub(crate) fn new(post: Arc<Post>, clock: Clock, report: LoopHandle) -> Self {
        let mut policies = post.policies.clone();
        policies.mark_unchanged();
        Self { post, clock, report, failures: 0, partial: 0, listed_at: None, own: None, walked: None, policies }
    }

    /// Sweeps until told to stop.
    pub(crate) async fn run(mut self) {
        let mut woken_by = "start";
        loop {
            self.report.started(woken_by);
            let asked = self.post.sweep_asked();
            let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
            let span = spans::watch("watch sweep", self.post.whose(), Cause::Waited(&asked));
            let stop = self.post.stop.clone();
            let swept = tokio::select! {
                () = stop.cancelled() => return,
                swept = self.sweep().instrument(span) => swept,
            };
            let again = swept.is_err();
            let result = self.judge(swept).await;
            let ended = outbound::now(&self.clock);
            self.report.finished(result, None);
            let Some(why) = self.rest(ended, again).await else { return };
            woken_by = why;
        }
    }

    /// Waits until there is a reason for the next sweep; `None`: to stop.
    async fn rest(&mut self, ended: Time, again: bool) -> Option<&'static str> {
        loop {
            let due = self.due(ended, again);
            self.report.due(due.0);
            tokio::select! {
                () = self.post.stop.cancelled() => return None,
                () = self.clock.sleep_until(due.0) => return Some("schedule"),
                () = self.post.sweep.woken() => return Some("request"),
                () = tokio::time::sleep(MEASURE_EVERY) => self.post.measure(self.listed_at, outbound::now(&self.clock)),
                // Another policy may sweep at other times, and walk other groups. Without a sender it stays as it is.
                Ok(()) = self.policies.changed() => {
                    let touched = self.post.touched().await.ok();
                    if touched.is_none() || touched != self.walked {
                        return Some("policy");
                    }
                }
            }
        }
    }

    /// When the next sweep is due after one that ended then; `again`: the database got in its way.
    fn due(&self, ended: Time, again: bool) -> Time {
        let every = self.post.directory().sweep_every;
        let wait = match self.partial {
            _ if again => AGAIN_AFTER,
            0 => every,
            partial => Span(backoff(partial).0.min(every.0)),
        };
        ended.plus(wait)
    }

    async fn sweep(&mut self) -> Result<Swept, StoreError> {
        // Before anything is known of a directory nothing can be decided about it, so nobody ever decides without this.
        // It is asked each time: a secret may have been replaced by another account's.
        match self.post.place.reader.who_am_i().await {
            Ok(own) => {
                self.own = Some(own);
                self.know_ourselves().await?;
            }
            Err(error) if self.own.is_none() => return Ok(Swept::Nothing(error)),
            // The sweep itself will tell whether the directory can be read.
            Err(error) => tracing::warn!(%error, "cannot ask whose our credentials are, going by the last answer"),
        }
        let touched = self.post.touched().await?;
        let scope = touched.clone().scope();
        self.walked = Some(touched);
        let reader = &self.post.place.reader;
        let reading = match reader.sweep(&scope, &Told { post: &self.post }).await {
            Ok(reading) => reading,
            Err(error) => return Ok(Swept::Nothing(error)),
        };
        let committed = match self.post.commit(Pass::Sweep, &reading).await {
            // Nothing of it is written, and what is known is no longer looked after: that is being blind.
            Err(error @ StoreError::OtherDirectory { .. }) => {
                let (disposition, message) = (Disposition::Halt, error.to_string());
                let code = ReadError::OTHER_DIRECTORY.to_owned();
                return Ok(Swept::Nothing(ReadError { disposition, message, code }));
            }
            committed => committed?,
        };
        // The owner's accounts can be found now.
        self.know_ourselves().await?;
        Ok(Swept::Seen(Box::new((reading, committed))))
    }

    /// Which accounts the credentials belong to: they are never touched.
    async fn know_ourselves(&self) -> Result<(), StoreError> {
        let mut own = self.own.clone().unwrap_or_default();
        if let Some(owner) = &self.post.directory().owner {
            own.extend(self.post.store.people_at(&self.post.key, owner).await?);
        }
        own.sort_unstable();
        own.dedup();
        self.post.own_are(&own).await
    }

    /// What a sweep means for the next one, and for whoever decides.
    async fn judge(&mut self, swept: Result<Swept, StoreError>) -> Result<String, String> {
        let now = outbound::now(&self.clock);
        let (result, listed, whole, about_us) = match &swept {
            Ok(Swept::Seen(seen)) => {
                let (reading, committed) = &**seen;
                let listed = reading.users.complete && reading.groups.complete;
                (Ok(summary(reading, committed)), listed, reading.is_whole(), false)
            }
            Ok(Swept::Nothing(error)) => {
                tracing::warn!(
                    event.name = "rollcall.sweep.failed",
                    rollcall.org = self.post.place.tenant().as_str(),
                    rollcall.site = self.post.place.id().as_str(),
                    error.code = error.stable_code(),
                    vendor.code = error.code.as_str(),
                    "nothing could be read: {error}"
                );
                (Err(format!("{}: {error}", error.stable_code())), false, false, error.is_about_us())
            }
            Err(error) => (Err(error.to_string()), false, false, false),
        };
        if swept.is_err() {
            // Not the directory's fault: it is as readable as it was.
            return result;
        }
        if listed {
            self.failures = 0;
            self.listed_at = Some(now);
        } else {
            self.failures = self.failures.saturating_add(1);
        }
        let blind = !listed && (about_us || self.failures >= BLIND_AFTER || self.listed_at.is_none());
        let blind_since = if listed { None } else { self.post.blind_since().or(blind.then_some(now)) };
        self.partial = if whole { 0 } else { self.partial.saturating_add(1) };
        let note = serde_json::json!({
            "next": self.due(now, false).0,
            "last": result.as_ref().unwrap_or_else(|error| error),
            "at": now.to_string(),
            "whole": whole,
            "failures": self.failures,
            "calls": self.post.place.reader.counts().calls,
            "throttled": self.post.place.reader.counts().throttled,
        });
        if let Err(error) = self.post.say(blind_since, note.to_string()).await {
            tracing::warn!(%error, "cannot write how the directory is, writing it with the next sweep");
        }
        self.post.measure(self.listed_at, now);
        result
    }
}

/// Fifteen seconds after the first failure, then twice as long each time, an hour at most.
fn backoff(failures: u32) -> Span {
    Span(AGAIN_AFTER.0.saturating_mul(1 << failures.saturating_sub(1).min(8)).min(3_600_000_000))
}

fn summary(reading: &Reading, committed: &Committed) -> String {
    let incomplete = reading.members.iter().filter(|read| !read.complete).count();
    let whole = match (reading.users.complete && reading.groups.complete, incomplete) {
        (true, 0) => String::new(),
        (true, count) => format!(", {count} groups not to the end"),
        (false, _) => ", lists not to the end".to_owned(),
    };
    let memberships: usize = reading.members.iter().map(|read| read.seen.len()).sum();
    format!(
        "{} people, {} groups, {} walked with {memberships} memberships{whole}; {} began, {} ended",
        reading.users.seen.len(),
        reading.groups.seen.len(),
        reading.members.len(),
        committed.members_added,
        committed.members_removed,
    )
}

/// Troubles of a sweep go to the log with the names that let one find it.
struct Told<'a> {
    post: &'a Post,
}

impl Progress for Told<'_> {
    fn step(&self, _stage: Stage, _done: u64, _of: Option<u64>) {}

    fn trouble(&self, error: &ReadError) {
        tracing::warn!(
            event.name = "rollcall.read.incomplete",
            rollcall.org = self.post.place.tenant().as_str(),
            rollcall.site = self.post.place.id().as_str(),
            error.code = error.code.as_str(),
            "a read is incomplete: {error}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_wait_longer_each_time_and_an_hour_at_most() {
        assert_eq!(backoff(0), AGAIN_AFTER);
        assert_eq!(backoff(1), AGAIN_AFTER);
        assert_eq!(backoff(3), Span::from_secs(60));
        assert_eq!(backoff(40), Span::from_secs(3_600));
    }
}
