//! How old the reads are that everything rests on, and that somebody hears of it when they grow too old.
//!
//! A watcher that is dead says nothing, so it is the reconciler that looks: it knows every directory's policy and what
//! came of its reads.

use std::collections::{BTreeMap, BTreeSet};

use model::{DirectoryId, ReadScope, Side, Span, Time};
use planner::Planner;
use runtime::{events, metrics::Metrics};

/// What is known of the age of reads, from look to look.
#[derive(Debug, Default)]
pub(crate) struct Freshness {
    /// Since when each directory is looked at: what was never read is as old as that.
    since: BTreeMap<DirectoryId, Time>,
    /// Those that are overdue, and were told of.
    overdue: BTreeSet<DirectoryId>,
}

/// One look at all directories.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ages {
    /// Overdue since this look: which, and how old its last complete read is.
    newly: Vec<(DirectoryId, Span)>,
    /// The oldest of all last complete reads of a side.
    by_side: BTreeMap<&'static str, Span>,
    /// By how much the worst of them is overdue.
    overdue_by: Span,
}

impl Freshness {
    /// Shows how old the reads are, and says once of each directory, until it is read again, that nothing is removed
    /// because of what it lacks: its last complete read is older than two intervals.
    pub(crate) fn tell(&mut self, org: &str, planner: &Planner, metrics: &Metrics, now: Time) {
        let ages = self.look(planner, now);
        for (directory, age) in &ages.newly {
            tracing::warn!(
                event.name = events::DIRECTORY_STALE,
                rollcall.org = org,
                rollcall.site = directory.as_str(),
                age_s = age.to_std().as_secs(),
                "the last complete read is older than two intervals: nobody is removed by it, and it is not in sync"
            );
        }
        for (side, age) in &ages.by_side {
            metrics.snapshot_age(org, side, age.to_std());
        }
        metrics.oldest_pending_age(org, "read", ages.overdue_by.to_std());
    }

    fn look(&mut self, planner: &Planner, now: Time) -> Ages {
        let policy = planner.policy();
        let used = policy.used();
        self.since.retain(|directory, _| used.contains(directory));
        self.overdue.retain(|directory| used.contains(directory));
        let mut ages = Ages::default();
        for id in used {
            let Some(directory) = policy.directories.get(id) else { continue };
            let since = *self.since.entry(id.clone()).or_insert(now);
            let age = read_at(planner, id).unwrap_or(since).until(now);
            let oldest = ages.by_side.entry(side(directory.kind.side())).or_default();
            *oldest = age.max(*oldest);
            let may_be = directory.stale_after();
            if age <= may_be {
                self.overdue.remove(id);
                continue;
            }
            ages.overdue_by = ages.overdue_by.max(Span(age.0.saturating_sub(may_be.0)));
            if self.overdue.insert(id.clone()) {
                ages.newly.push((id.clone(), age));
            }
        }
        ages
    }
}

/// When the older of the two lists of a directory was last read completely; `None`: one of them never was.
fn read_at(planner: &Planner, directory: &DirectoryId) -> Option<Time> {
    let mirror = planner.mirror(directory)?;
    let began = |scope| mirror.read_of(&scope)?.complete_began_at;
    Some(began(ReadScope::Users)?.min(began(ReadScope::Groups)?))
}

const fn side(side: Side) -> &'static str {
    match side {
        Side::Source => "source",
        Side::Target => "target",
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::sync::Arc;

    use model::{Reading, Snapshot};
    use policy::Policy;

    use super::*;
    use crate::testing::POLICY;

    const fn at(hours: i64) -> Time {
        Time::from_secs(hours * 3600)
    }

    const fn hours(hours: u64) -> Span {
        Span::from_secs(hours * 3600)
    }

    #[test]
    fn i13_a_directory_that_is_not_read_is_told_of_once_until_it_is_read_again() {
        let mut planner = Planner::new(Arc::new(Policy::parse(POLICY).unwrap()));
        let (workspace, cloud) = (DirectoryId::new("workspace").unwrap(), DirectoryId::new("cloud").unwrap());
        let mut fresh = Freshness::default();
        let mut source = Snapshot::new(workspace.clone());
        let mut read = |planner: &mut Planner, began: i64, whole: bool| {
            let mut reading = Reading::begun(at(began));
            (reading.users.complete, reading.groups.complete) = (true, whole);
            planner.apply(&source.observe(&reading));
        };
        let told = |ages: &Ages| ages.newly.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>();
        // Nothing was read yet, which is nobody's fault for two intervals of six hours.
        read(&mut planner, 0, true);
        assert!(told(&fresh.look(&planner, at(0))).is_empty());
        assert!(told(&fresh.look(&planner, at(12))).is_empty());
        let ages = fresh.look(&planner, at(13));
        assert_eq!(told(&ages), ["cloud", "workspace"], "one that was never read, and one whose watcher died");
        assert_eq!(ages.overdue_by, hours(1));
        assert_eq!(ages.by_side, [("source", hours(13)), ("target", hours(13))].into());
        assert!(told(&fresh.look(&planner, at(20))).is_empty(), "once");
        // Half a read is none.
        read(&mut planner, 20, false);
        assert_eq!(fresh.look(&planner, at(20)).overdue_by, hours(8));
        read(&mut planner, 21, true);
        assert!(told(&fresh.look(&planner, at(22))).is_empty());
        assert_eq!(told(&fresh.look(&planner, at(34))), ["workspace"], "another episode");
        assert_eq!((fresh.overdue.len(), fresh.overdue.contains(&cloud)), (2, true));
        assert!(fresh.overdue.contains(&workspace));
    }
}
