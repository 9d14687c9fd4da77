//! One change is one story: the traces that a decision comes of, also where no message told of them yet, or where
//! something had to wait.
//!
//! A turn takes in whatever the database has, and what was committed a moment ago may be found before the message about
//! it came: so the trace is kept with the rows. What flows on at once stays in its trace; what waited is linked to it.
//! Where no collector gets the spans nothing of this is kept, nor asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{CommandId, Digest, DirectoryId, Outcome, Time};
use runtime::spans::{self, LINKS};
use store::directory::VersionTrace;
use store::plan::Turn;
use store::{Store, StoreError};

use crate::state::State;

/// A `traceparent` that is kept with much that waits.
pub(crate) type Trace = Arc<str>;

/// The current trace, to be kept with what waits.
pub(crate) fn here() -> Option<Trace> {
    spans::kept().map(Arc::from)
}

/// The traces of outcomes that no message told of. `told`: of which commands one did.
pub(crate) fn of_outcomes(outcomes: &[(Outcome, Option<String>)], told: &[CommandId]) -> Vec<String> {
    if !spans::collected() {
        return Vec::new();
    }
    let told: BTreeSet<&CommandId> = told.iter().collect();
    let untold = outcomes.iter().filter(|(outcome, _)| !told.contains(&outcome.command));
    untold.filter_map(|(_, trace)| trace.clone()).take(LINKS).collect()
}

/// The versions that the mirrors had before a turn took anything in.
pub(crate) struct Before(BTreeMap<DirectoryId, u64>);

impl Before {
    /// As of now. What loading took in is no part of it: nothing was decided from that yet.
    pub(crate) fn of(state: &State, begun: &Turn) -> Self {
        let loaded = |directory: &DirectoryId| begun.progress.iter().any(|(of, _)| of == directory);
        let known = state.directories.iter().filter(|(directory, _)| !loaded(directory));
        Self(known.map(|(directory, (_, version))| (directory.clone(), *version)).collect())
    }

    /// The traces of versions that were taken in since and that no message told of. `taken`: up to where, by directory;
    /// `told`: what messages told of.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn untold(
        &self,
        store: &Store,
        state: &State,
        taken: &[(DirectoryId, u64)],
        told: &[(DirectoryId, u64)],
    ) -> Result<Vec<String>, StoreError> {
        if !spans::collected() || self.all_told(taken, told) {
            return Ok(Vec::new());
        }
        let most = u32::try_from(LINKS).unwrap_or(u32::MAX);
        let traces = store.undecided_traces(&state.tenant, most).await?;
        Ok(untold(traces, taken, told))
    }

    fn all_told(&self, taken: &[(DirectoryId, u64)], told: &[(DirectoryId, u64)]) -> bool {
        taken.iter().all(|(directory, now)| {
            let before = self.0.get(directory);
            before.is_some_and(|before| (before + 1..=*now).all(|version| is_told(directory, version, told)))
        })
    }
}

fn is_told(directory: &DirectoryId, version: u64, told: &[(DirectoryId, u64)]) -> bool {
    told.iter().any(|(of, told)| of == directory && *told == version)
}

/// Of what is undecided: what was taken in, and no message told of.
fn untold(undecided: Vec<VersionTrace>, taken: &[(DirectoryId, u64)], told: &[(DirectoryId, u64)]) -> Vec<String> {
    let is_in = |of: &VersionTrace| taken.iter().any(|(by, up_to)| *by == of.directory && of.version <= *up_to);
    let untold = undecided.into_iter().filter(|of| is_in(of) && !is_told(&of.directory, of.version, told));
    untold.map(|of| of.traceparent).collect()
}

/// A case that did not go, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PutOff {
    /// Since when it waits for facts to be read, if it does.
    pub(crate) unread_since: Option<Time>,
    /// What it came to when it was put off last.
    digest: Digest,
    /// The traces in which it came to that.
    pub(crate) traces: Vec<Trace>,
}

impl PutOff {
    /// A case of this digest, put off here again if it was `before`. `None`: there is nothing to remember.
    pub(crate) fn again(
        before: Option<&Self>,
        unread_since: Option<Time>,
        digest: Digest,
        here: Option<&Trace>,
    ) -> Option<Self> {
        let mut traces = before.map(|before| before.traces.clone()).unwrap_or_default();
        let is_new = before.is_none_or(|before| before.digest != digest);
        traces.extend(here.filter(|_| is_new && traces.len() < LINKS).cloned());
        (unread_since.is_some() || !traces.is_empty()).then_some(Self { unread_since, digest, traces })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn at(directory: &str, version: u64) -> (DirectoryId, u64) {
        (DirectoryId::new(directory).unwrap(), version)
    }

    fn read(directory: &str, version: u64) -> VersionTrace {
        let (directory, version) = at(directory, version);
        let traceparent = format!("{directory} {version}");
        VersionTrace { directory, version, traceparent }
    }

    #[test]
    fn what_no_message_told_of_is_asked_for_and_nothing_else() {
        let before = Before([at("workspace", 4), at("cloud", 7)].into());
        assert!(before.all_told(&[], &[]), "nothing came");
        assert!(before.all_told(&[at("workspace", 5)], &[at("workspace", 5)]));
        assert!(!before.all_told(&[at("workspace", 6)], &[at("workspace", 6)]), "the fifth came with the sixth");
        assert!(!before.all_told(&[at("cloud", 8)], &[at("workspace", 8)]));
        assert!(!before.all_told(&[at("idp", 1)], &[]), "a directory that is new");
        let undecided = vec![read("cloud", 8), read("workspace", 5), read("workspace", 6), read("workspace", 7)];
        let taken = [at("workspace", 6), at("cloud", 8)];
        let found = untold(undecided, &taken, &[at("workspace", 6)]);
        assert_eq!(found, ["cloud 8", "workspace 5"], "the seventh came later, and is another turn's");
    }

    #[test]
    fn a_case_that_waits_remembers_each_trace_in_which_it_came_to_more() {
        let (first, second): (Trace, Trace) = ("one".into(), "two".into());
        let (small, big) = (Digest([1; 32]), Digest([2; 32]));
        assert_eq!(PutOff::again(None, None, small, None), None, "there is nothing to remember");
        let once = PutOff::again(None, None, small, Some(&first)).unwrap();
        let same = PutOff::again(Some(&once), None, small, Some(&second)).unwrap();
        assert_eq!(same, once, "a look that found nothing new is no part of the story");
        let more = PutOff::again(Some(&same), Some(Time(5)), big, Some(&second)).unwrap();
        assert_eq!((more.traces, more.unread_since), (vec![first, second], Some(Time(5))));
    }
}
