//! Carrying out the released cases of a plan in one run: groups first, then people, then memberships, deletions last.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use effect::{Finished, Job, Patience, Runner, Target};
use futures_util::{StreamExt as _, stream};
use model::{
    AccountId, Canonical as _, Case, Command, CommandBody, CommandId, Digest, DirectoryId, EdgeChange, GroupId, Lane,
    Outcome, Rejection, Step, StepResult, TenantId, Time,
};
use planner::Decision;
use runtime::{Clock, Fault, Shutdown};
use store::effect::UnendedAttempt;
use writer::Object;

use super::{
    deeds::{Begun, Calls, happened},
    journal::Journal,
    ledger::JournalLedger,
    past,
    world::World,
};
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
    shutdown: &'a Shutdown,
    progress: &'a Running,
    applied: &'a mut Applied,
    /// What the run's commands do not say by themselves.
    begun: Begun,
    /// What happened or may have, as the ledger says it.
    happened: BTreeSet<String>,
    /// Ids of what this run created: by name, and by person.
    groups: BTreeMap<String, GroupId>,
    accounts: BTreeMap<AccountId, AccountId>,
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
    let because = because(decision);
    for (target, cases) in cases {
        let Some(directory) = world.policy.directories.get(target) else { continue };
        let Some(opened) = open(directory, base)? else { continue };
        let ledger = Arc::new(JournalLedger::open(journal.folder(), target, shutdown)?);
        let begun = Begun::of(
            (&world.policy.tenant, target),
            (Time(runtime::clock::now_micros()), because.clone()),
            cases,
            (&journal.memory, &decision.sources),
            |name| world.policy.fold_group_name(target, name),
        );
        ledger.begin(&begun).await.map_err(|error| ledger_fault(&error))?;
        let (jitter, ids) = (runtime::ids::jitter, runtime::ids::uuid);
        let runner = Runner::new(opened, Arc::clone(&ledger), Patience::default(), jitter, ids);
        let mut run = Run {
            tenant: world.policy.tenant.clone(),
            target: target.clone(),
            runner,
            ledger,
            journal,
            shutdown,
            progress,
            applied: &mut applied,
            begun,
            happened: BTreeSet::new(),
            groups: BTreeMap::new(),
            accounts: BTreeMap::new(),
        };
        run.cases(cases).await?;
    }
    applied.interrupted = shutdown.has_begun();
    Ok(applied)
}

/// What a plan is called in the audit.
pub fn because(decision: &Decision) -> String {
    format!("plan/{}", Digest::of(&decision.plan.body.canonical_bytes()))
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
        let accounts = steps(|step| matches!(step, Step::Account { .. }));
        self.run(accounts.iter().filter_map(|(lane, step)| self.account(*lane, step)).collect()).await?;
        let edges = steps(|step| matches!(step, Step::Edge { .. }));
        self.run(self.edges(&edges)).await?;
        let grants = steps(|step| matches!(step, Step::GrantAccess { .. }));
        self.run(grants.iter().filter_map(|(lane, step)| self.grant(*lane, step)).collect()).await?;
        let deletions = steps(|step| matches!(step, Step::DeleteGroup { .. }));
        self.run(deletions.iter().filter_map(|(lane, step)| self.delete(*lane, step)).collect()).await?;
        // What was released without a person's word counts against the day and the week, as far as it happened.
        self.begun.count(&mut self.journal.memory, &self.happened);
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

    /// What a group is to give that could not be created is left out: the next run finds it.
    fn grant(&self, lane: Lane, step: &Step) -> Option<Command> {
        let Step::GrantAccess { group, name, access, .. } = step else { return None };
        let group = group.clone().or_else(|| self.groups.get(name).cloned())?;
        Some(self.command(lane, CommandBody::GrantAccess { group, access: access.clone(), generation: 0 }))
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
        let open = |command: Command| (!self.before(&command).is_empty(), command);
        let commands: Vec<(bool, Command)> = commands.into_iter().map(open).collect();
        let mut running = stream::iter(commands)
            .map(|(begun_before, command)| {
                let (runner, stop, halted) = (runner.clone(), stop.clone(), Arc::clone(&halted));
                async move {
                    if stop.has_begun() || halted.load(std::sync::atomic::Ordering::Relaxed) {
                        return (command, None);
                    }
                    let since = runner.target().client().now();
                    let job = Job { command, since, begun_before };
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
                    let calls = self.ledger.settle(&finished.outcome).await.map_err(|error| ledger_fault(&error))?;
                    self.progress.add(size(&command));
                    self.learn(&command, finished, &calls)?;
                }
            }
        }
        Ok(())
    }

    /// Open calls of earlier runs about what this command is about.
    fn before(&self, command: &Command) -> Vec<UnendedAttempt> {
        if self.journal.open.is_empty() {
            return Vec::new();
        }
        let lines: BTreeSet<String> = lines(&command.body).into_iter().collect();
        let of = self.journal.open.iter().filter(|open| open.target == self.target);
        of.filter(|open| lines.contains(&open.line())).map(super::deeds::Open::unended).collect()
    }

    fn learn(&mut self, command: &Command, finished: Finished, calls: &Calls) -> Result<(), Fault> {
        if finished.halted {
            self.applied.halted.insert(self.target.clone());
        }
        let (object, outcome) = (Object::from(&command.body), &finished.outcome);
        let deeds = calls.deeds(&self.before(command));
        let entries = past::learn(&mut self.journal.memory, &self.begun, object, outcome, &deeds);
        self.journal.audit_effects(&entries)?;
        self.happened.extend(happened(object, outcome));
        self.close(command, outcome);
        let words = |place: usize| finished.answers.get(place).and_then(Option::as_ref).map(|last| last.text.clone());
        if let CommandBody::Edges { .. } = &command.body {
            for (place, edge) in outcome.edges.iter().enumerate() {
                let what = format!("{} {} in {}", edge.op.as_str(), edge.account, edge.group);
                self.count(edge.result, &what, words(place));
            }
            return Ok(());
        }
        if outcome.result.holds() {
            match &command.body {
                CommandBody::CreateGroup { name, .. } => {
                    self.groups.extend(outcome.group.clone().map(|group| (name.clone(), group)));
                }
                CommandBody::Account { person, .. } => {
                    self.accounts.extend(outcome.account.clone().map(|account| (person.clone(), account)));
                }
                CommandBody::Edges { .. } | CommandBody::DeleteGroup { .. } | CommandBody::GrantAccess { .. } => {}
            }
        }
        self.count(outcome.result, &command.object(), words(0));
        Ok(())
    }

    /// What an earlier run left open is answered by what this command came to.
    fn close(&mut self, command: &Command, outcome: &Outcome) {
        if self.journal.open.is_empty() {
            return;
        }
        let is_answer = |result: StepResult| !matches!(result, StepResult::NotTried | StepResult::Outdated);
        let closed: BTreeSet<String> = if outcome.edges.is_empty() {
            lines(&command.body).into_iter().filter(|_| is_answer(outcome.result)).collect()
        } else {
            outcome.edges.iter().filter(|edge| is_answer(edge.result)).map(writer::line).collect()
        };
        self.journal.open.retain(|open| open.target != self.target || !closed.contains(&open.line()));
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
}

/// What a command is to change, as the ledger says it.
fn lines(body: &CommandBody) -> Vec<String> {
    match body {
        CommandBody::Edges { group, edges, .. } => {
            edges.iter().map(|edge| format!("{}/{group}/{}", edge.op.as_str(), edge.account)).collect()
        }
        CommandBody::CreateGroup { name, .. } => vec![format!("create-group/{name}")],
        CommandBody::DeleteGroup { group, .. } => vec![format!("delete-group/{group}")],
        CommandBody::GrantAccess { group, access, .. } => vec![format!("grant/{group}/{access}")],
        CommandBody::Account { person, change, .. } => vec![format!("{}/{person}", change.as_str())],
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
