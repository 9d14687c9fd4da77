//! Both sides, read once: what the services do all the time, for one run.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use model::{Corroboration, Delta, DirectoryId, Fact, Plan, Reading, RuleId, Side, Snapshot, Time};
use outbound::{ReadDirectory as _, ReadError, Scope, Stage};
use planner::{Decision, Memory, Occasion, Planner};
use policy::Policy;
use runtime::{Exit, Fault};
use watcher::reader::{Reader, ReaderOptions};

use super::{aside::Aside, journal::Journal, recover::recover};
use crate::{
    policy_file::Loaded,
    show::{self, plan::Names, progress::Progress},
};

/// How often facts that a decision needs are read before the rest is left as a wait.
const PROOF_ROUNDS: usize = 4;
/// So many violations are shown: one is enough to refuse.
const MOST_VIOLATIONS: usize = 20;

/// Both sides as just read, with the brain that decides from them.
pub struct World {
    /// The policy.
    pub policy: Arc<Policy>,
    /// Where secrets start from.
    pub readers: BTreeMap<DirectoryId, Reader>,
    /// The brain.
    pub planner: Planner,
    /// Names for ids.
    pub directory_names: Directory,
    /// When the read of each directory began, in real time.
    pub read_at: BTreeMap<DirectoryId, Time>,
    /// What could not be read.
    pub aside: Aside,
}

/// Addresses and names by directory and id.
#[derive(Debug, Default)]
pub struct Directory {
    people: BTreeMap<(DirectoryId, String), String>,
    groups: BTreeMap<(DirectoryId, String), String>,
    gives: BTreeMap<(DirectoryId, String), Vec<String>>,
    /// Where rules and entries begin in the policy file.
    lines: BTreeMap<RuleId, usize>,
}

impl Names for Directory {
    fn person(&self, directory: &DirectoryId, id: &str) -> String {
        self.people.get(&(directory.clone(), id.to_owned())).cloned().unwrap_or_else(|| id.to_owned())
    }

    fn group(&self, directory: &DirectoryId, id: &str) -> String {
        self.groups.get(&(directory.clone(), id.to_owned())).cloned().unwrap_or_else(|| id.to_owned())
    }

    fn gives(&self, directory: &DirectoryId, group: &str) -> Vec<String> {
        self.gives.get(&(directory.clone(), group.to_owned())).cloned().unwrap_or_default()
    }

    fn line(&self, rule: &RuleId) -> Option<usize> {
        self.lines.get(rule).copied()
    }
}

impl World {
    /// Reads both sides: the sources first, since they say which groups of the targets matter. A directory that cannot
    /// be read is put aside, and stops no other.
    ///
    /// # Errors
    /// When no source or no target is left, or a secret is not to be had; what to do is in the fault.
    pub async fn read(loaded: &Loaded, journal: &mut Journal, progress: &Progress) -> Result<Self, Fault> {
        let policy = Arc::new(loaded.policy.clone());
        let mut world = Self {
            planner: Planner::new(Arc::clone(&policy)),
            policy,
            readers: BTreeMap::new(),
            directory_names: Directory { lines: lines(&loaded.policy), ..Directory::default() },
            read_at: BTreeMap::new(),
            aside: Aside::default(),
        };
        let used = loaded.policy.used().into_iter().cloned();
        let (sources, targets): (Vec<_>, Vec<_>) = used.partition(|id| {
            loaded.policy.directories.get(id).is_some_and(|directory| directory.kind.side() == Side::Source)
        });
        for id in &sources {
            Box::pin(world.read_directory(loaded, journal, id, Scope::All, progress)).await?;
        }
        world.aside.leaves_a_source(&sources)?;
        for id in &targets {
            let scope = touched(&loaded.policy, journal, id);
            Box::pin(world.read_directory(loaded, journal, id, scope, progress)).await?;
        }
        world.aside.leaves_a_target(&targets)?;
        recover(&world, journal);
        Ok(world)
    }

    /// Decides, reads the facts that the decision needs by themselves, and decides again until nothing more is needed.
    /// What is not answered waits.
    ///
    /// # Errors
    /// When the second opinion on the plan differs: nothing of it is shown or applied.
    pub async fn decide(&mut self, journal: &mut Journal, now: Time) -> Result<Decision, Fault> {
        journal.memory.forget_newcomers(now);
        self.planner.forget_given(&mut journal.memory, now);
        let mut decision = self.planner.decide(&journal.memory, now, Occasion::OneShot);
        let mut asked = BTreeSet::new();
        for _ in 0..PROOF_ROUNDS {
            let open: Vec<Fact> = decision.needs.iter().filter(|fact| asked.insert((*fact).clone())).cloned().collect();
            if open.is_empty() {
                break;
            }
            self.prove(journal, &open).await;
            decision = self.planner.decide(&journal.memory, now, Occasion::OneShot);
        }
        second_opinion(&decision.plan, &self.planner, &journal.memory)?;
        self.aside.leave_out(&mut decision, &journal.memory);
        Ok(decision)
    }

    /// Reads facts one by one and gives the answers to the planner. A directory that does not answer is asked no more.
    async fn prove(&mut self, journal: &Journal, facts: &[Fact]) {
        let mut answers: BTreeMap<DirectoryId, Vec<Corroboration>> = BTreeMap::new();
        for fact in facts {
            let id = fact.directory();
            let Some(reader) = self.readers.get(id).filter(|_| !self.aside.has(id)) else { continue };
            let read_at = Time(runtime::clock::now_micros());
            match reader.verify(fact).await {
                Ok(answer) => {
                    let corroboration = Corroboration { fact: fact.clone(), answer, read_at };
                    answers.entry(id.clone()).or_default().push(corroboration);
                }
                Err(error) => self.aside.note(id, unreadable(id, &error)),
            }
        }
        for (directory, corroborations) in answers {
            let version = journal.snapshots.get(&directory).map_or(0, Snapshot::version);
            self.planner.apply(&Delta { corroborations, ..Delta::empty(directory, version) });
        }
    }

    /// Reads a directory, or puts it aside: then it is known as an earlier run saw it, as far as it is a source.
    async fn read_directory(
        &mut self,
        loaded: &Loaded,
        journal: &mut Journal,
        id: &DirectoryId,
        scope: Scope,
        progress: &Progress,
    ) -> Result<(), Fault> {
        let Some(directory) = loaded.policy.directories.get(id) else { return Ok(()) };
        let reader = connect(&loaded.policy, directory, &loaded.base)?;
        match look(&reader, id, &scope, progress).await {
            Ok((own, reading)) => {
                if let Some(vendor_id) = reader.pinned_id() {
                    journal.pin(id, vendor_id)?;
                }
                journal.memory.own_accounts.entry(id.clone()).or_default().extend(own);
                journal.memory.blind.remove(id);
                self.observe(journal, id, &reading);
                self.readers.insert(id.clone(), reader);
            }
            Err(fault) => {
                let known = journal.snapshots.get(id).map(Snapshot::whole);
                self.aside.put(&loaded.policy, id, fault, known.is_some());
                journal.memory.blind.insert(id.clone());
                let fills = loaded.policy.rules.iter().any(|rule| &rule.from == id)
                    || loaded.policy.provisions.iter().any(|entry| &entry.from == id);
                if let Some(known) = known.filter(|_| fills) {
                    self.planner.apply(&known);
                }
            }
        }
        Ok(())
    }

    fn observe(&mut self, journal: &mut Journal, id: &DirectoryId, reading: &Reading) {
        let snapshot = journal.snapshots.entry(id.clone()).or_insert_with(|| Snapshot::new(id.clone()));
        snapshot.observe(reading);
        let whole = snapshot.whole();
        for row in &whole.users {
            if let Some(email) = &row.user.email {
                let key = (id.clone(), row.user.id.to_string());
                self.directory_names.people.insert(key, email.as_written().to_owned());
            }
        }
        for row in &whole.groups {
            let name = row.group.email.as_ref().map_or(row.group.name.as_str(), |email| email.as_written());
            let key = (id.clone(), row.group.id.to_string());
            self.directory_names.groups.insert(key.clone(), name.to_owned());
            let words = row.group.gives.iter().map(|access| format!("{} ({})", access.product, access.site));
            let by_default = row.group.default_access.then(|| "a product by default".to_owned());
            let words: Vec<String> = words.chain(by_default).collect();
            if !words.is_empty() {
                self.directory_names.gives.insert(key, words);
            }
        }
        self.read_at.insert(id.clone(), reading.began_at);
        self.planner.apply(&whole);
    }
}

/// Has the plan looked at by code that shares nothing with what made it, as the services do.
///
/// # Errors
/// When it finds what must not be; says what.
fn second_opinion(plan: &Plan, planner: &Planner, memory: &Memory) -> Result<(), Fault> {
    let Err(violations) = planner::check::check(plan, planner, memory) else { return Ok(()) };
    for violation in violations.iter().take(MOST_VIOLATIONS) {
        show::note(&format!("  {violation}"));
    }
    let first = violations.first().map(ToString::to_string).unwrap_or_default();
    Err(Fault::new("E0142", Exit::Error, format!("the second opinion on this plan differs: {first}"))
        .help("nothing was applied; this is a fault of ours: report it with the lines above and the policy file"))
}

/// Whose credentials they are, and one pass.
async fn look(
    reader: &Reader,
    id: &DirectoryId,
    scope: &Scope,
    progress: &Progress,
) -> Result<(Vec<model::AccountId>, Reading), Fault> {
    let own = reader.who_am_i().await.map_err(|error| unreadable(id, &error))?;
    let shown = Shown::new(progress, id);
    let reading = reader.sweep(scope, &shown).await;
    shown.finish();
    let reading = reading.map_err(|error| unreadable(id, &error))?;
    if !reading.groups.complete {
        let message = format!("the list of groups of {id} could not be read to its end");
        return Err(Fault::new("E0117", Exit::TryLater, message).help("try again; nothing was decided from it"));
    }
    Ok((own, reading))
}

/// Where each rule and entry begins in the file.
fn lines(policy: &Policy) -> BTreeMap<RuleId, usize> {
    let rules = policy.rules.iter().map(|rule| (rule.id.clone(), rule.line));
    rules.chain(policy.provisions.iter().map(|entry| (entry.id.clone(), entry.line))).collect()
}

/// The groups of a target that a rule fills: those by a name that a source group gives, and those that are pinned or
/// adopted.
fn touched(policy: &Policy, journal: &Journal, target: &DirectoryId) -> Scope {
    // What a rule takes from here is not known before the first read.
    if policy.rules.iter().any(|rule| rule.from == *target) {
        return Scope::All;
    }
    let groups = |snapshot: &model::Snapshot| {
        snapshot.whole().groups.into_iter().map(|row| (row.group.id.clone(), row.group)).collect()
    };
    let sources = journal.snapshots.iter().map(|(source, snapshot)| (source.clone(), groups(snapshot))).collect();
    let pinned = journal.memory.pins.iter().filter(|((of, _), _)| of == target).map(|(_, pin)| pin.group.clone());
    watcher::scope::touched(policy, target, &watcher::scope::Known { sources, pinned: pinned.collect() }).scope()
}

/// Connects to a directory.
///
/// # Errors
/// When a secret is not to be had, or the kind cannot be run yet.
pub fn connect(policy: &Policy, directory: &policy::Directory, base: &Path) -> Result<Reader, Fault> {
    Reader::connect_with(directory, base, &ReaderOptions::of(policy, directory))
}

/// A read error as the operator's fault: credentials 1, everything that may pass 75.
pub fn unreadable(directory: &DirectoryId, error: &ReadError) -> Fault {
    if error.code == ReadError::UNTRUSTED {
        return Fault::new("E0141", Exit::Error, format!("{directory} is not to be trusted: {error}"))
            .help("correct the address or the certificate; nothing was sent, and there is no way around it");
    }
    if error.code == "E0144" {
        return Fault::new("E0144", Exit::Error, error.to_string())
            .help("give that account the right to administer Jira, or wait until the site answers");
    }
    if error.is_about_us() {
        return Fault::new("E0118", Exit::Error, format!("the credentials of {directory} are refused: {error}"))
            .help("`rollcall doctor` names the directory and the scopes that are missing; nothing was written there");
    }
    let exit = if error.may_pass() { Exit::TryLater } else { Exit::Error };
    Fault::new("E0119", exit, format!("{directory} cannot be read: {error}"))
        .help("try again later; nothing was decided from what was not read")
}

/// Shows how far the sweep of one directory is.
pub(crate) struct Shown {
    bars: [crate::show::progress::Running; 3],
    done: [std::sync::atomic::AtomicU64; 3],
}

impl Shown {
    pub(crate) fn new(progress: &Progress, id: &DirectoryId) -> Self {
        let bar = |stage: Stage| progress.begin(&format!("{id}: {}", stage.as_str()), 0);
        Self { bars: [bar(Stage::Users), bar(Stage::Groups), bar(Stage::Members)], done: Default::default() }
    }

    pub(crate) fn finish(&self) {
        self.bars.iter().for_each(crate::show::progress::Running::finish);
    }
}

impl outbound::Progress for Shown {
    fn step(&self, stage: Stage, done: u64, _of: Option<u64>) {
        let index = stage as usize;
        if let (Some(bar), Some(last)) = (self.bars.get(index), self.done.get(index)) {
            let before = last.swap(done, std::sync::atomic::Ordering::Relaxed);
            bar.add(done.saturating_sub(before));
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use model::{Case, CaseKind, Digest, GroupId, Lane, TargetPlan};

    use super::*;

    const POLICY: &str = "tenant = \"t\"\n[directory.google]\nkind = \"google-workspace\"\nservice_account = \"env:K\"\n\
        subject = \"a@b.c\"\n[directory.cloud]\nkind = \"atlassian-org\"\norg = \"o\"\ndirectory = \"d\"\n\
        api_key = \"env:K\"\n[[sync]]\nname = \"a\"\nfrom = \"google\"\nto = \"cloud\"\ngroups = [\"*\"]\n";

    #[test]
    fn a_plan_that_the_second_opinion_does_not_share_is_refused_with_a_code() {
        let mut planner = Planner::new(Arc::new(Policy::parse(POLICY).unwrap()));
        let cloud = DirectoryId::new("cloud").unwrap();
        planner.apply(&Snapshot::new(cloud.clone()).whole());
        let memory = Memory::default();
        let mut plan = planner.decide(&memory, Time(1), Occasion::OneShot).plan;
        assert!(second_opinion(&plan, &planner, &memory).is_ok());
        // A released case whose digest is not that of its steps.
        let kind = CaseKind::Delete { group: GroupId::new("g").unwrap(), name: "eng".to_owned() };
        let (digest, lane) = (Digest([0; 32]), Lane::Normal);
        let (steps, guards, held, needs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let cases = vec![Case { digest, kind, lane, steps, guards, held, needs }];
        let (refusals, waits, links, seats) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        plan.body.targets = vec![TargetPlan { target: cloud, cases, refusals, waits, links, seats }];
        let fault = second_opinion(&plan, &planner, &memory).unwrap_err();
        assert_eq!((fault.code, fault.exit), ("E0142", Exit::Error));
        assert!(fault.message.contains("digest"), "{}", fault.message);
    }
}
