//! Memberships: the calls of one command, side by side, each admitted by itself.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::atomic::{AtomicU32, Ordering},
};

use atlassian_write::Answered;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use model::{AccountId, EdgeChange, EdgeOp, Generation, GroupId, StepResult, Time};
use uuid::Uuid;

use crate::{
    Admission, Call, Finished, Job, Ledger, LedgerError, Next, Runner, What,
    next::{next, seen_member, throttled},
};

/// The memberships of one command.
pub(crate) struct Members<'a> {
    group: &'a GroupId,
    generation: Generation,
    edges: &'a [EdgeChange],
    attempts: AtomicU32,
}

impl<'a> Members<'a> {
    pub(crate) const fn new(group: &'a GroupId, generation: Generation, edges: &'a [EdgeChange]) -> Self {
        Self { group, generation, edges, attempts: AtomicU32::new(0) }
    }

    fn call(&self, id: Uuid, job: &Job, edges: &[EdgeChange]) -> Call {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed) + 1;
        let edges = edges.iter().map(|edge| (edge.account.clone(), edge.op, edge.person_generation)).collect();
        let what = What::Edges { group: self.group.clone(), generation: self.generation, edges };
        Call { id, command: job.command.id, attempt, what }
    }
}

/// How a call and its repetitions ended, by the places of its edges in the command.
enum BatchEnd {
    Settled(Vec<SettledEdge>),
    Split(Range<usize>),
    Late,
    Halt,
}

struct SettledEdge {
    place: usize,
    result: StepResult,
    confirmed_at: Option<Time>,
    answered: Option<Answered>,
}

impl SettledEdge {
    fn settle(self, finished: &mut Finished) {
        if let Some(edge) = finished.outcome.edges.get_mut(self.place) {
            edge.result = self.result;
            edge.confirmed_at = self.confirmed_at;
        }
        if let Some(last) = finished.answers.get_mut(self.place) {
            *last = self.answered;
        }
    }
}

/// Calls of one command under way at once. The API budget bounds all of them together.
const CALLS_AT_ONCE: usize = 8;

impl<L: Ledger> Runner<L> {
    /// Carries out the memberships of a command, many calls at once.
    pub(crate) async fn run_edges(
        &self,
        job: &Job,
        work: &Members<'_>,
        finished: &mut Finished,
    ) -> Result<(), LedgerError> {
        let changes: Vec<EdgeOp> = work.edges.iter().map(|edge| edge.op).collect();
        let mut queue: VecDeque<Range<usize>> = self.target.calls(&changes).into();
        let mut running = FuturesUnordered::new();
        let mut stopped = false;
        loop {
            while running.len() < CALLS_AT_ONCE && !stopped {
                let Some(places) = queue.pop_front() else { break };
                running.push(self.run_batch(job, work, places));
            }
            let Some(end) = running.next().await else { break };
            match end? {
                BatchEnd::Settled(edges) => {
                    finished.outcome.result = StepResult::Done;
                    for edge in edges {
                        edge.settle(finished);
                    }
                }
                BatchEnd::Split(places) => {
                    let middle = places.start + places.len() / 2;
                    queue.push_front(middle..places.end);
                    queue.push_front(places.start..middle);
                }
                // What was not begun in time goes back; it never stands in a leaver's way.
                BatchEnd::Late => stopped = true,
                BatchEnd::Halt => {
                    finished.halted = true;
                    stopped = true;
                }
            }
        }
        Ok(())
    }

    /// Makes one call, and again as long as that makes sense.
    async fn run_batch(&self, job: &Job, work: &Members<'_>, places: Range<usize>) -> Result<BatchEnd, LedgerError> {
        let edges = work.edges.get(places.clone()).unwrap_or_default();
        let mut tried = 0;
        loop {
            let held = self.locks.hold(&self.lock_of(work.group, edges)).await;
            let call = work.call((self.ids)(), job, edges);
            let admission = self.ledger.admit(&call).await?;
            if admission.not_now {
                return Ok(BatchEnd::Late);
            }
            let wanted: Vec<(AccountId, EdgeOp)> = edges
                .iter()
                .zip(&admission.allowed)
                .filter(|(_, allowed)| **allowed)
                .map(|(edge, _)| (edge.account.clone(), edge.op))
                .collect();
            if wanted.is_empty() {
                return Ok(self.settled(places, &admission, StepResult::Outdated, None));
            }
            tried += 1;
            let answered = self.target.change_members(&self.turn(job, &call), work.group, &wanted).await;
            self.ledger.answered(&call, &answered).await?;
            let mut next = next(answered.disposition, tried, true, &self.patience);
            if next == Next::Look && wanted.len() > 1 {
                // One of them is at fault; halves find it.
                return Ok(BatchEnd::Split(places));
            }
            if let (Next::Look, Some((account, op))) = (next, wanted.first()) {
                let look = self.target.look_member(job.command.lane, work.group, account).await;
                next = Next::Settle(seen_member(&look, *op).unwrap_or(StepResult::Unknown));
            }
            drop(held);
            match next {
                Next::Settle(result) => return Ok(self.settled(places, &admission, result, Some(&answered))),
                Next::Again { after, at_least } if self.has_time(job, answered.disposition) => {
                    tried -= u32::from(throttled(answered.disposition));
                    self.wait(after, at_least).await;
                }
                Next::Again { .. } => return Ok(BatchEnd::Late),
                Next::Halt | Next::Look => return Ok(BatchEnd::Halt),
            }
        }
    }

    fn settled(
        &self,
        places: Range<usize>,
        admission: &Admission,
        result: StepResult,
        answered: Option<&Answered>,
    ) -> BatchEnd {
        let now = self.now();
        let each = places.zip(&admission.allowed).map(|(place, allowed)| {
            let result = if *allowed { result } else { StepResult::Outdated };
            SettledEdge { place, result, confirmed_at: result.holds().then_some(now), answered: answered.cloned() }
        });
        BatchEnd::Settled(each.collect())
    }

    /// What one call holds: a membership, or the whole group where a call changes many.
    fn lock_of(&self, group: &GroupId, edges: &[EdgeChange]) -> String {
        match edges {
            [edge] if self.target.edges_per_call() == 1 => format!("edge/{group}/{}", edge.account),
            _ => format!("group/{group}"),
        }
    }
}
