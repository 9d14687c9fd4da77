//! What a runner is given and gives back.

use model::{Command, Disposition, EdgeOutcome, Outcome, StepResult, Time};

use crate::Answered;

/// A command to carry out.
#[derive(Debug, Clone)]
pub struct Job {
    /// The command, as the ledger has it.
    pub command: Command,
    /// When it was decided: what does not begin in time after this is settled *not tried*, for it may not be wanted any
    /// more.
    pub since: Time,
    /// An earlier attempt was begun and its end is not known (a crash): what may have happened is read first.
    pub begun_before: bool,
}

/// A command carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// What became of it.
    pub outcome: Outcome,
    /// The last answer to each thing that was rejected, in the order of the outcome's edges, or one for a command
    /// without edges: what a dead letter keeps.
    pub answers: Vec<Option<Answered>>,
    /// The credentials are gone: take nothing more for this target.
    pub halted: bool,
}

impl Finished {
    /// A command of which nothing was tried yet.
    pub(crate) fn untouched(job: &Job) -> Self {
        let command = &job.command;
        let edges: Vec<EdgeOutcome> = match &command.body {
            model::CommandBody::Edges { group, edges, .. } => edges
                .iter()
                .map(|edge| EdgeOutcome {
                    group: group.clone(),
                    account: edge.account.clone(),
                    op: edge.op,
                    result: StepResult::NotTried,
                    confirmed_at: None,
                })
                .collect(),
            _ => Vec::new(),
        };
        let answers = vec![None; edges.len().max(1)];
        let outcome = Outcome {
            command: command.id,
            tenant: command.tenant.clone(),
            target: command.target.clone(),
            at: job.since,
            result: StepResult::NotTried,
            edges,
            group: None,
            account: None,
            behind: None,
        };
        Self { outcome, answers, halted: false }
    }

    /// The turn of a command was over before it began: nothing was tried, unless by an earlier attempt.
    pub(crate) fn too_late(&mut self, job: &Job, now: Time) {
        self.outcome.at = now;
        if job.begun_before {
            self.outcome.result = StepResult::Unknown;
            for edge in &mut self.outcome.edges {
                edge.result = StepResult::Unknown;
            }
        }
    }

    /// Whether an earlier attempt did it cannot be read: nobody knows, and it is not sent again.
    pub(crate) fn unreadable(&mut self, answered: &Answered) {
        if answered.disposition == Disposition::Halt {
            self.halted = true;
        } else {
            self.finish(StepResult::Unknown, answered);
        }
    }

    /// A command without edges ended so, by this answer.
    pub(crate) fn finish(&mut self, result: StepResult, answered: &Answered) {
        self.outcome.result = result;
        if let Some(last) = self.answers.first_mut() {
            *last = Some(answered.clone());
        }
    }

    /// The account that an answer names.
    pub(crate) fn name_account(&mut self, answered: &Answered) {
        if answered.account.is_some() {
            self.outcome.account.clone_from(&answered.account);
            self.outcome.behind.clone_from(&answered.behind);
        }
    }
}
