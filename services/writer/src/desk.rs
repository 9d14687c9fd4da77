//! Many commands at once, the urgent ones first.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bus::{Intake, StreamName};
use contract::subjects;
use effect::{Job, Runner};
use model::{CommandId, Lane, StepResult, Time};
use runtime::spans::{self, Cause, Messages, Whose};
use runtime::{events, metrics, trace};
use store::{
    effect::{AttemptEnd, UnendedAttempt},
    plan::OpenCommand,
};
use tokio::{sync::mpsc, task, task::JoinSet};
use tracing::Instrument as _;

use crate::{
    bury::Deeds,
    ledger::{PostgresLedger, Run},
    settle::Done,
    take::Came,
};

/// The stream that commands come from.
const COMMANDS: &str = StreamName::Command.as_str();

/// A command that waits for its turn.
#[derive(Debug)]
pub(crate) struct Taken {
    /// As the ledger has it.
    pub(crate) open: OpenCommand,
    /// When it was stored, by our clock: half a minute later it is not begun any more.
    pub(crate) since: Time,
    /// Where we have it from.
    pub(crate) came: Came,
}

impl Taken {
    /// A command that was read at this time.
    pub(crate) fn new(open: OpenCommand, read_at: Time, came: Came) -> Self {
        let since = read_at.minus(open.age);
        Self { open, since, came }
    }
}

/// What waits to be run, lane by lane.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    lanes: BTreeMap<Lane, VecDeque<Taken>>,
}

impl Queue {
    /// Puts a command at the end of its lane.
    pub(crate) fn push(&mut self, taken: Taken) {
        self.lanes.entry(taken.open.command.lane).or_default().push_back(taken);
    }

    /// The first command of the most urgent lane that has one, among the lanes up to this one.
    pub(crate) fn pop(&mut self, up_to: Lane) -> Option<Taken> {
        self.lanes.range_mut(..=up_to).find_map(|(_, waiting)| waiting.pop_front())
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.values().all(VecDeque::is_empty)
    }

    /// How many wait in a lane.
    pub(crate) fn waiting(&self, lane: Lane) -> usize {
        self.lanes.get(&lane).map_or(0, VecDeque::len)
    }
}

/// Runs commands of one tenure.
pub(crate) struct Desk {
    runner: Runner<PostgresLedger>,
    ledger: std::sync::Arc<PostgresLedger>,
    running: JoinSet<Ran>,
    commands: HashMap<task::Id, CommandId>,
    settle: mpsc::Sender<Done>,
    /// Attempts that an earlier writer began and that never ended, by command.
    begun_before: BTreeMap<CommandId, Vec<UnendedAttempt>>,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Ran {
    /// It goes to be settled.
    Settled {
        /// The credentials are gone.
        halted: bool,
    },
    /// It is to be taken again: nothing may be said of it.
    Again {
        /// Which command.
        command: CommandId,
        /// The credentials are gone.
        halted: bool,
        /// Its calls that may have done something: it is read first when the command is taken again.
        begun: Vec<UnendedAttempt>,
        /// How its other calls ended.
        ends: Vec<AttemptEnd>,
    },
}

impl Desk {
    /// A desk with nothing on it.
    pub(crate) fn new(
        runner: Runner<PostgresLedger>,
        ledger: std::sync::Arc<PostgresLedger>,
        settle: mpsc::Sender<Done>,
        unended: Vec<UnendedAttempt>,
    ) -> Self {
        let mut begun_before: BTreeMap<CommandId, Vec<UnendedAttempt>> = BTreeMap::new();
        for attempt in unended {
            begun_before.entry(attempt.command).or_default().push(attempt);
        }
        Self { runner, ledger, running: JoinSet::new(), commands: HashMap::new(), settle, begun_before }
    }

    /// How many run.
    pub(crate) fn busy(&self) -> usize {
        self.running.len()
    }

    /// The next run that ends; `None` when none runs.
    pub(crate) async fn ended(&mut self) -> Option<Ran> {
        loop {
            match self.running.join_next_with_id().await? {
                Ok((id, ran)) => {
                    self.commands.remove(&id);
                    if let Ran::Again { command, begun, .. } = &ran
                        && !begun.is_empty()
                    {
                        self.begun_before.insert(*command, begun.clone());
                    }
                    return Some(ran);
                }
                Err(error) => {
                    tracing::error!(%error, "a run did not come to its end; its command is taken again");
                    if let Some(command) = self.commands.remove(&error.id()) {
                        let begun = self.ledger.finish(command).begun;
                        self.begun_before.insert(command, begun);
                        return Some(Ran::Again { command, halted: false, begun: Vec::new(), ends: Vec::new() });
                    }
                }
            }
        }
    }

    /// Begins a run.
    pub(crate) fn begin(&mut self, taken: Taken) {
        let Taken { open, since, came } = taken;
        let command = open.command.id;
        let before = self.begun_before.remove(&command).unwrap_or_default();
        let span = span(&open, &came);
        let (runner, ledger, settle) = (self.runner.clone(), std::sync::Arc::clone(&self.ledger), self.settle.clone());
        let work = async move {
            let began = runtime::clock::monotonic();
            let job = Job { command: open.command.clone(), since, begun_before: !before.is_empty() };
            ledger.begin(command, open.digest);
            let ran = runner.run(&job).await;
            let error = if ran.as_ref().is_ok_and(|finished| !finished.halted) { "" } else { "retried" };
            metrics::process().messaging_process("process", COMMANDS, error, began.elapsed());
            let Run { begun, mut ends } = ledger.finish(command);
            let finished = match ran {
                Ok(finished) if !finished.halted || did_anything(&finished.outcome) => finished,
                ended => {
                    let why =
                        ended.as_ref().err().map_or_else(|| "the credentials are gone".to_owned(), ToString::to_string);
                    tracing::warn!(event.name = events::CHANGE_RETRIED, why, "a command is left for another try");
                    spans::failed(&tracing::Span::current(), error);
                    let (mut begun, ends) = without_effect(begun, ends);
                    begun.extend(before);
                    return Ran::Again { command, halted: ended.is_ok(), begun, ends };
                }
            };
            let halted = finished.halted;
            let deeds = Deeds::of(&begun, &ends, &before);
            ends.extend(before.iter().map(|attempt| lost(attempt, finished.outcome.at)));
            let done = Done {
                open,
                finished,
                ends,
                deeds,
                traceparent: trace::current_traceparent(),
                span: tracing::Span::current(),
            };
            // The settler ends after the last run; without it nothing can be said of the command.
            match settle.send(done).await {
                Ok(()) => Ran::Settled { halted },
                Err(_) => Ran::Again { command, halted, begun, ends: Vec::new() },
            }
        };
        let running = self.running.spawn(work.instrument(span));
        self.commands.insert(running.id(), command);
    }
}

/// The span of a command: a child of the decision that it comes of.
fn span(open: &OpenCommand, came: &Came) -> tracing::Span {
    let OpenCommand { command, plan, traceparent, .. } = open;
    // Only a collector reads it.
    let intake = spans::collected().then(|| Intake::commands(&command.tenant, &command.target, command.lane));
    let messages = Messages {
        stream: COMMANDS,
        template: subjects::COMMAND,
        group: intake.as_ref().map_or("", Intake::durable),
        count: 1,
        id: &came.message,
        sequence: came.sequence,
        deliveries: came.deliveries,
    };
    let whose = Whose::of(command.tenant.as_str(), command.target.as_str());
    let whose = Whose { change: command.id.to_string(), plan: Some(*plan), ..whose };
    // What the bus lost is found in PostgreSQL, with the trace of the decision.
    let cause: Vec<&str> = came.traceparent.iter().chain(traceparent).map(String::as_str).take(1).collect();
    spans::process(&messages, whose, Cause::Flows(&cause))
}

/// Whether the target holds anything by a run that was stopped: then its outcome must be said.
fn did_anything(outcome: &model::Outcome) -> bool {
    let said = |result: StepResult| !matches!(result, StepResult::NotTried);
    outcome.edges.iter().any(|edge| said(edge.result)) || (outcome.edges.is_empty() && said(outcome.result))
}

/// Tells the calls that certainly did nothing, whose ends may be noted, from those that may have done something: these
/// stay without an end until their command has its outcome.
fn without_effect(begun: Vec<UnendedAttempt>, ends: Vec<AttemptEnd>) -> (Vec<UnendedAttempt>, Vec<AttemptEnd>) {
    let nothing = |end: &AttemptEnd| matches!(end.disposition.as_str(), "throttled" | "retry" | "reject" | "halt");
    let ends: Vec<AttemptEnd> = ends.into_iter().filter(nothing).collect();
    let begun = begun.into_iter().filter(|attempt| ends.iter().all(|end| end.id != attempt.id)).collect();
    (begun, ends)
}

/// The end of an attempt whose writer vanished: nobody knows, and the outcome says what was read.
fn lost(attempt: &UnendedAttempt, at: Time) -> AttemptEnd {
    AttemptEnd {
        id: attempt.id,
        ended_at: at,
        disposition: "unknown".to_owned(),
        status: None,
        answer: "the writer ended before the answer came".to_owned(),
    }
}
