//! One change is one story: the traces that a decision comes of, also where no message told of them yet, or where
//! something had to wait.
//!
//! A turn takes in whatever the database has, and what was committed a moment ago may be found before the message about
//! it came: so the trace is kept with the rows. What flows on at once stays in its trace. What waited (for an earlier
//! command, for a read, for an account, for the schedule, for a pause) is linked to it: [`Stories`] remembers of every
//! object that something is to be done about what it comes of. They do not outlive the process; what was held, released
//! or not taken in yet does, by the traces in its rows.
//!
//! Where no collector gets the spans none of this is kept nor asked for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use model::{Case, CaseKind, CommandId, DirectoryId, GroupId, Outcome, Step};
use planner::Object;
use runtime::spans::{self, LINKS};
use store::Store;
use store::directory::VersionTrace;
use store::plan::Turn;

use crate::state::State;

/// A `traceparent` that is kept with much that waits.
pub(crate) type Trace = Arc<str>;

/// The current trace, to be kept with what waits.
pub(crate) fn here() -> Option<Trace> {
    spans::kept().map(Arc::from)
}

/// The traces of outcomes that no message told of, each once. `told`: of which commands one did.
pub(crate) fn of_outcomes(outcomes: &[(Outcome, Option<String>)], told: &[CommandId]) -> Vec<String> {
    if !spans::collected() {
        return Vec::new();
    }
    let told: BTreeSet<&CommandId> = told.iter().collect();
    let untold = outcomes.iter().filter(|(outcome, _)| !told.contains(&outcome.command));
    let traces: BTreeSet<&String> = untold.filter_map(|(_, trace)| trace.as_ref()).collect();
    traces.into_iter().take(LINKS).cloned().collect()
}

/// The versions that the mirrors had before a turn took anything in.
pub(crate) struct Before(BTreeMap<DirectoryId, u64>);

impl Before {
    /// As of now. What loading took in is no part of it: nothing was decided from that yet.
    pub(crate) fn of(state: &State, begun: &Turn) -> Self {
        if !spans::collected() {
            return Self(BTreeMap::new());
        }
        let loaded = |directory: &DirectoryId| begun.progress.iter().any(|(of, _)| of == directory);
        let known = state.directories.iter().filter(|(directory, _)| !loaded(directory));
        Self(known.map(|(directory, (_, version))| (directory.clone(), *version)).collect())
    }

    /// The traces of versions that were taken in since and that no message told of, the newest of each directory first.
    /// `taken`: up to where, by directory; `told`: what messages told of. None where the database does not answer: a
    /// trace is worth less than the work.
    pub(crate) async fn untold(
        &self,
        store: &Store,
        state: &State,
        taken: &[(DirectoryId, u64)],
        told: &[(DirectoryId, u64)],
    ) -> Vec<String> {
        if !spans::collected() || self.all_told(taken, told) {
            return Vec::new();
        }
        let most = u32::try_from(LINKS).unwrap_or(u32::MAX);
        match store.undecided_traces(&state.tenant, taken, most).await {
            Ok(traces) => untold(traces, told),
            Err(error) => {
                tracing::debug!(%error, "what was found is not linked to the reads that it comes of");
                Vec::new()
            }
        }
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

/// Of what is undecided: what no message told of. Of each directory in turn, so that none hides another's.
fn untold(undecided: Vec<VersionTrace>, told: &[(DirectoryId, u64)]) -> Vec<String> {
    let mut places: BTreeMap<DirectoryId, usize> = BTreeMap::new();
    let untold = undecided.into_iter().filter(|of| !is_told(&of.directory, of.version, told));
    let mut placed: Vec<(usize, String)> = Vec::new();
    for of in untold {
        let place = places.entry(of.directory).or_insert(0);
        placed.push((*place, of.traceparent));
        *place += 1;
    }
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, trace)| trace).collect()
}

/// Of each object that something is to be done about, or that is waited for: the traces of the turns that reached it, the
/// newest last.
#[derive(Debug, Default)]
pub(crate) struct Stories(BTreeMap<Object, VecDeque<Trace>>);

impl Stories {
    /// A turn reached these objects.
    pub(crate) fn reached(&mut self, objects: BTreeSet<Object>, here: Option<&Trace>) {
        let Some(here) = here else { return };
        for object in objects {
            let traces = self.0.entry(object).or_default();
            if traces.back() != Some(here) {
                traces.push_back(Trace::clone(here));
            }
            if traces.len() > LINKS {
                traces.pop_front();
            }
        }
    }

    /// What a case comes of.
    pub(crate) fn of(&self, target: &DirectoryId, case: &Case, fold: impl Fn(&str) -> String) -> BTreeSet<Trace> {
        if self.0.is_empty() {
            return BTreeSet::new();
        }
        let traces = objects(target, case, fold).into_iter().filter_map(|object| self.0.get(&object));
        traces.flatten().cloned().collect()
    }

    /// A case went, all of it: what comes of its objects from now on is another story. `more`: what this turn brought may
    /// be more than the case, the opposite of what was under way, and is to be decided when that is done.
    pub(crate) fn went(&mut self, target: &DirectoryId, case: &Case, more: bool, fold: impl Fn(&str) -> String) {
        if self.0.is_empty() {
            return;
        }
        for object in objects(target, case, fold) {
            if let Some(traces) = self.0.get_mut(&object) {
                traces.drain(..traces.len().saturating_sub(usize::from(more)));
            }
        }
    }

    /// Forgets the objects that nothing is to be done about any more.
    pub(crate) fn forget(&mut self, is_done: impl Fn(&Object) -> bool) {
        self.0.retain(|object, _| !is_done(object));
    }
}

/// The group whose members a case changes, where it is there.
pub(crate) const fn group(kind: &CaseKind) -> Option<&GroupId> {
    match kind {
        CaseKind::Additions { group, .. } | CaseKind::Removals { group, .. } | CaseKind::Conflict { group, .. } => {
            Some(group)
        }
        _ => None,
    }
}

/// What a case is about.
fn objects(target: &DirectoryId, case: &Case, fold: impl Fn(&str) -> String) -> BTreeSet<Object> {
    let group = |name: &str| Object::Group { target: target.clone(), key: fold(name) };
    match &case.kind {
        CaseKind::Leaver { source, person } | CaseKind::Account { source, person } => {
            let (target, source, person) = (target.clone(), source.clone(), person.clone());
            let groups = case.steps.iter().filter_map(|step| match step {
                Step::Edge { edge, .. } => Some(group(&edge.group_name)),
                _ => None,
            });
            groups.chain([Object::Account { target, source, person }]).collect()
        }
        CaseKind::Create { name }
        | CaseKind::Conflict { name, .. }
        | CaseKind::Additions { name, .. }
        | CaseKind::Removals { name, .. }
        | CaseKind::Delete { name, .. }
        | CaseKind::Access { name, .. } => [group(name)].into(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use model::{AccountId, Digest, Edge, EdgeOp, Lane, Reason, RuleId};

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
        let undecided = ["cloud", "cloud", "workspace", "workspace"].into_iter().zip([9, 8, 6, 5]);
        let undecided = undecided.map(|(directory, version)| read(directory, version)).collect();
        let found = untold(undecided, &[at("workspace", 6)]);
        assert_eq!(found, ["cloud 9", "workspace 5", "cloud 8"], "no directory hides another one's");
    }

    #[test]
    fn of_what_waits_every_trace_that_reached_it_is_told_until_it_went() {
        let cloud = DirectoryId::new("cloud").unwrap();
        let group = Object::Group { target: cloud.clone(), key: "staff".to_owned() };
        let case = additions("Staff");
        let fold = str::to_lowercase;
        let mut stories = Stories::default();
        stories.reached([group.clone()].into(), None);
        assert!(stories.of(&cloud, &case, fold).is_empty(), "nobody collects");
        let (one, two): (Trace, Trace) = ("one".into(), "two".into());
        for here in [&one, &one, &two] {
            stories.reached([group.clone()].into(), Some(here));
        }
        assert_eq!(stories.of(&cloud, &case, fold), [one, two.clone()].into());
        stories.went(&cloud, &case, true, fold);
        assert_eq!(stories.of(&cloud, &case, fold), [two].into(), "the turn in which it went brought more");
        stories.went(&cloud, &case, false, fold);
        assert!(stories.of(&cloud, &case, fold).is_empty(), "what comes now is another story");
        for number in 0..100 {
            stories.reached([group.clone()].into(), Some(&number.to_string().into()));
        }
        let told = stories.of(&cloud, &case, fold);
        assert!(told.len() == LINKS && told.contains("99"), "the newest are kept");
        stories.forget(|object| object == &group);
        assert!(stories.of(&cloud, &case, fold).is_empty());
    }

    #[test]
    fn a_leaver_is_about_the_person_and_every_group() {
        let target = DirectoryId::new("cloud").unwrap();
        let (source, person) = (DirectoryId::new("workspace").unwrap(), AccountId::new("p").unwrap());
        let kind = CaseKind::Leaver { source: source.clone(), person: person.clone() };
        let case = Case { kind, ..additions("Staff") };
        let group = Object::Group { target: target.clone(), key: "staff".to_owned() };
        let account = Object::Account { target: target.clone(), source, person };
        assert_eq!(objects(&target, &case, str::to_lowercase), [group, account].into());
    }

    /// One person is to come into a group.
    fn additions(name: &str) -> Case {
        let (group, account) = (GroupId::new("g").unwrap(), AccountId::new("a").unwrap());
        let edge = Edge {
            group: Some(group.clone()),
            group_name: name.to_owned(),
            account: Some(account),
            person: None,
            op: EdgeOp::Add,
        };
        let reason = Reason::Drift { rule: RuleId::new("teams").unwrap() };
        Case {
            digest: Digest([0; 32]),
            kind: CaseKind::Additions { group, name: name.to_owned() },
            lane: Lane::Normal,
            steps: vec![Step::Edge { edge, reason }],
            guards: Vec::new(),
            held: Vec::new(),
            needs: Vec::new(),
        }
    }
}
