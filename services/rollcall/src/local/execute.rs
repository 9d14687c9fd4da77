//! Carrying out the released cases of a plan in one run: groups first, then people, then memberships, deletions last.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use effect::{Finished, Job, Patience, Runner, Target};
use futures_util::{StreamExt as _, stream};
use model::{
    AccountChange, AccountId, Case, CaseKind, Command, CommandBody, CommandId, DirectoryId, EdgeChange, EdgeOp,
    GroupId, Lane, LinkHow, Rejection, Step, StepResult, TenantId, Time,
};
use planner::{Confirmed, Decision, WindowEntry};
use runtime::{Clock, Fault, Shutdown};

use super::{journal::Journal, ledger::JournalLedger, world::World};
use crate::show::progress::Running;

/// Memberships per command: a few seconds of work.
const EDGES_PER_COMMAND: usize = 100;
/// Commands of one target under way at once. Its API budget bounds the calls.
const COMMANDS_AT_ONCE: usize = 8;

/// What a run came to.
#[derive(Debug, Default)]
pub struct Applied {
    /// How many things became, or already were, as wanted.
    pub holds: u64,
    /// How many were not begun, or may or may not have happened: the next run finds out.
    pub open: u64,
    /// What the targets will not do: target, class, what, the vendor's words.
    pub rejected: Vec<(DirectoryId, Rejection, String, String)>,
    /// Targets whose credentials were refused.
    pub halted: BTreeSet<DirectoryId>,
    /// Somebody stopped the run.
    pub interrupted: bool,
}

/// The run at one target.
struct Run<'a> {
    tenant: TenantId,
    target: DirectoryId,
    runner: Runner<JournalLedger>,
    ledger: Arc<JournalLedger>,
    journal: &'a mut Journal,
    decision: &'a Decision,
    shutdown: &'a Shutdown,
    progress: &'a Running,
    applied: &'a mut Applied,
    /// Ids of what this run created: by name, and by person.
    groups: BTreeMap<String, GroupId>,
    accounts: BTreeMap<AccountId, AccountId>,
    /// Where the people are whose accounts are made.
    sources: BTreeMap<AccountId, DirectoryId>,
}

/// Applies these cases at their targets, one target after the other.
///
/// # Errors
/// When a target cannot be opened or the journal cannot be written.
pub async fn execute(
    world: &World,
    base: &Path,
    journal: &mut Journal,
    decision: &Decision,
    cases: &BTreeMap<DirectoryId, Vec<&Case>>,
    (shutdown, progress): (&Shutdown, &Running),
) -> Result<Applied, Fault> {
    let mut applied = Applied::default();
    for (target, cases) in cases {
        let Some(directory) = world.policy.directories.get(target) else { continue };
        let Some(opened) = open(directory, base)? else { continue };
        let ledger = Arc::new(JournalLedger::open(journal.folder(), target)?);
        let (jitter, ids) = (runtime::ids::jitter, runtime::ids::uuid);
        let runner = Runner::new(opened, Arc::clone(&ledger), Patience::default(), jitter, ids);
        let mut run = Run {
            tenant: world.policy.tenant.clone(),
            target: target.clone(),
            runner,
            ledger,
            journal,
            decision,
            shutdown,
            progress,
            applied: &mut applied,
            groups: BTreeMap::new(),
            accounts: BTreeMap::new(),
            sources: BTreeMap::new(),
        };
        run.cases(cases).await?;
    }
    applied.interrupted = shutdown.has_begun();
    Ok(applied)
}

/// Opens a target for writing.
///
/// # Errors
/// When a secret is not to be had.
fn open(directory: &policy::Directory, base: &Path) -> Result<Option<Target>, Fault> {
    writer::setup::open(directory, base, &Clock::real(), &crate::services::writer_options()?)
}

impl Run<'_> {
    async fn cases(&mut self, cases: &[&Case]) -> Result<(), Fault> {
        let steps = |wanted: fn(&Step) -> bool| -> Vec<(Lane, &Step)> {
            let of = |case: &&Case| case.lane;
            cases
                .iter()
                .flat_map(|case| case.steps.iter().map(move |step| (of(case), step)))
                .filter(|(_, step)| wanted(step))
                .collect()
        };
        let creations = steps(|step| matches!(step, Step::CreateGroup { .. }));
        self.run(creations.iter().filter_map(|(lane, step)| self.create(*lane, step)).collect()).await?;
        self.sources = cases.iter().filter_map(|case| source_of(case)).collect();
        let accounts = steps(|step| matches!(step, Step::Account { .. }));
        self.run(accounts.iter().filter_map(|(lane, step)| self.account(*lane, step)).collect()).await?;
        let edges = steps(|step| matches!(step, Step::Edge { .. }));
        self.run(self.edges(&edges)).await?;
        let deletions = steps(|step| matches!(step, Step::DeleteGroup { .. }));
        self.run(deletions.iter().filter_map(|(lane, step)| self.delete(*lane, step)).collect()).await?;
        self.count_windows(cases);
        self.journal.save()
    }

    fn command(&self, lane: Lane, body: CommandBody) -> Command {
        let id = CommandId(runtime::ids::uuid());
        Command { id, tenant: self.tenant.clone(), target: self.target.clone(), lane, body }
    }

    fn create(&self, lane: Lane, step: &Step) -> Option<Command> {
        let Step::CreateGroup { name, description, .. } = step else { return None };
        Some(self.command(lane, CommandBody::CreateGroup { name: name.clone(), description: description.clone() }))
    }

    fn delete(&self, lane: Lane, step: &Step) -> Option<Command> {
        let Step::DeleteGroup { group, .. } = step else { return None };
        Some(self.command(lane, CommandBody::DeleteGroup { group: group.clone(), generation: 0 }))
    }

    fn account(&self, lane: Lane, step: &Step) -> Option<Command> {
        let Step::Account { account, person: Some(person), change, .. } = step else { return None };
        let body = CommandBody::Account {
            account: account.clone(),
            person: person.clone(),
            change: change.clone(),
            generation: 0,
        };
        Some(self.command(lane, body))
    }

    /// Commands of at most a hundred memberships of one group each, removals first, the most urgent first. What could
    /// not be created is left out: the next run finds it.
    fn edges(&self, steps: &[(Lane, &Step)]) -> Vec<Command> {
        let mut by_group: BTreeMap<(Lane, GroupId), Vec<EdgeChange>> = BTreeMap::new();
        for (lane, step) in steps {
            let Step::Edge { edge, .. } = step else { continue };
            let group = edge.group.clone().or_else(|| self.groups.get(&edge.group_name).cloned());
            let made = || edge.person.as_ref().and_then(|person| self.accounts.get(person)).cloned();
            if let (Some(group), Some(account)) = (group, edge.account.clone().or_else(made)) {
                by_group.entry((*lane, group)).or_default().push(EdgeChange {
                    account,
                    op: edge.op,
                    person_generation: 0,
                });
            }
        }
        let mut commands = Vec::new();
        for ((lane, group), mut edges) in by_group {
            edges.sort_by(|a, b| (a.op, &a.account).cmp(&(b.op, &b.account)));
            for chunk in edges.chunks(EDGES_PER_COMMAND) {
                let body = CommandBody::Edges { group: group.clone(), generation: 0, edges: chunk.to_vec() };
                commands.push(self.command(lane, body));
            }
        }
        commands
    }

    /// Runs commands, several at once, and learns from each outcome. After an interruption or a refusal of the
    /// credentials nothing new is begun.
    async fn run(&mut self, commands: Vec<Command>) -> Result<(), Fault> {
        let runner = self.runner.clone();
        let stop = self.shutdown.clone();
        let halted = Arc::new(std::sync::atomic::AtomicBool::new(self.applied.halted.contains(&self.target)));
        let mut running = stream::iter(commands)
            .map(|command| {
                let (runner, stop, halted) = (runner.clone(), stop.clone(), Arc::clone(&halted));
                async move {
                    if stop.has_begun() || halted.load(std::sync::atomic::Ordering::Relaxed) {
                        return (command, None);
                    }
                    let taken_at = runner.target().client().now();
                    let job = Job { command, taken_at, begun_before: false };
                    let finished = runner.run(&job).await;
                    if finished.as_ref().is_ok_and(|finished| finished.halted) {
                        halted.store(true, std::sync::atomic::Ordering::Relaxed);
                    }
                    (job.command, Some(finished))
                }
            })
            .buffer_unordered(COMMANDS_AT_ONCE);
        while let Some((command, finished)) = running.next().await {
            match finished {
                None => self.applied.open += size(&command),
                Some(finished) => {
                    let finished = finished.map_err(|error| ledger_fault(&error))?;
                    self.ledger.settle(&finished.outcome).await.map_err(|error| ledger_fault(&error))?;
                    self.progress.add(size(&command));
                    self.learn(&command, finished);
                }
            }
        }
        Ok(())
    }

    fn learn(&mut self, command: &Command, finished: Finished) {
        if finished.halted {
            self.applied.halted.insert(self.target.clone());
        }
        let words = |place: usize| finished.answers.get(place).and_then(Option::as_ref).map(|last| last.text.clone());
        match &command.body {
            CommandBody::Edges { .. } => {
                for (place, edge) in finished.outcome.edges.iter().enumerate() {
                    let what = format!("{} {} in {}", edge.op.as_str(), edge.account, edge.group);
                    self.count(edge.result, &what, words(place));
                    if edge.result.holds() {
                        let key = (self.target.clone(), edge.group.clone(), edge.account.clone());
                        let present = edge.op == EdgeOp::Add;
                        if present && edge.result == StepResult::Done {
                            self.journal.memory.managed.insert(key.clone(), ());
                        } else if !present {
                            self.journal.memory.managed.remove(&key);
                        }
                        let at = edge.confirmed_at.unwrap_or(finished.outcome.at);
                        self.journal.memory.confirmed.insert(key, Confirmed { present, at });
                    }
                }
                return;
            }
            CommandBody::CreateGroup { name, .. } => {
                if let Some(group) = finished.outcome.group.clone().filter(|_| finished.outcome.result.holds()) {
                    let folded = name.to_ascii_lowercase();
                    self.journal.memory.pin(&self.target, &folded, &group, LinkHow::Created, self.decision);
                    self.groups.insert(name.clone(), group);
                }
            }
            CommandBody::Account { person, change, .. } => {
                if let Some(account) = finished.outcome.account.clone().filter(|_| finished.outcome.result.holds()) {
                    if let Some(source) = self.source_of(person) {
                        let link = (source, person.clone(), self.target.clone());
                        self.journal.memory.people.insert(link, account.clone());
                    }
                    self.accounts.insert(person.clone(), account);
                }
                if let (AccountChange::Create { .. }, Some(source), true) =
                    (change, self.sources.get(person), finished.outcome.result.holds())
                {
                    self.journal.memory.made_account(&self.target, source, person, finished.outcome.at);
                }
            }
            CommandBody::DeleteGroup { .. } => {}
        }
        self.count(finished.outcome.result, &command.object(), words(0));
    }

    /// Where a person of an account's case is known from.
    fn source_of(&self, person: &AccountId) -> Option<DirectoryId> {
        self.decision.plan.cases().find_map(|(_, case)| match &case.kind {
            CaseKind::Account { source, person: of } | CaseKind::Leaver { source, person: of } if of == person => {
                Some(source.clone())
            }
            _ => None,
        })
    }

    fn count(&mut self, result: StepResult, what: &str, words: Option<String>) {
        match result {
            StepResult::Rejected(class) => {
                self.applied.rejected.push((self.target.clone(), class, what.to_owned(), words.unwrap_or_default()));
            }
            result if result.holds() => self.applied.holds += 1,
            _ => self.applied.open += 1,
        }
    }

    /// What was released without a person's word counts against the day and the week.
    fn count_windows(&mut self, cases: &[&Case]) {
        let at = Time(runtime::clock::now_micros());
        for case in cases {
            let verdict = self.journal.memory.approvals.get(&case.digest).copied();
            self.journal.memory.window.extend(WindowEntry::of(&self.target, case, verdict, at));
        }
    }
}

/// Whose account a case is about, and where the person is known from.
fn source_of(case: &Case) -> Option<(AccountId, DirectoryId)> {
    match &case.kind {
        CaseKind::Account { source, person } => Some((person.clone(), source.clone())),
        _ => None,
    }
}

fn size(command: &Command) -> u64 {
    match &command.body {
        CommandBody::Edges { edges, .. } => u64::try_from(edges.len()).unwrap_or(u64::MAX),
        _ => 1,
    }
}

fn ledger_fault(error: &effect::LedgerError) -> Fault {
    Fault::new("E0116", runtime::Exit::Error, error.to_string()).help("free space or correct the rights of the journal")
}
