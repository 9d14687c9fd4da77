//! Carrying out one command after another, or many at once.

use std::sync::Arc;

use atlassian_write::{Answered, Target, Turn};
use model::{
    Access, AccountChange, AccountId, CommandBody, Disposition, Generation, GroupId, Rejection, Span, StepResult, Time,
};
use uuid::Uuid;

use crate::{
    Call, Finished, Job, Ledger, LedgerError, Next, Patience, What,
    locks::Locks,
    members::Members,
    next::{next, throttled},
};

/// How long something new may stay invisible to reads (reference/atlassian-cloud.md §13, rule 5).
const VISIBLE_WITHIN: Span = Span::from_secs(30);

/// How long an admission is believed while the call waits for its turn in the API budget.
const ADMITTED_FOR: Span = Span::from_secs(2);

/// Carries out commands at one target. Clones share the locks that keep two calls from holding one object at once.
#[derive(Debug)]
pub struct Runner<L> {
    pub(crate) target: Target,
    pub(crate) ledger: Arc<L>,
    pub(crate) locks: Arc<Locks>,
    pub(crate) patience: Patience,
    jitter: fn(std::time::Duration) -> std::time::Duration,
    pub(crate) ids: fn() -> Uuid,
}

impl<L> Clone for Runner<L> {
    fn clone(&self) -> Self {
        Self {
            target: self.target.clone(),
            ledger: Arc::clone(&self.ledger),
            locks: Arc::clone(&self.locks),
            patience: self.patience,
            jitter: self.jitter,
            ids: self.ids,
        }
    }
}

impl<L: Ledger> Runner<L> {
    /// A runner. `jitter` gives a random length between nothing and the one it is given, `ids` what attempts are called.
    pub fn new(
        target: Target,
        ledger: Arc<L>,
        patience: Patience,
        jitter: fn(std::time::Duration) -> std::time::Duration,
        ids: fn() -> Uuid,
    ) -> Self {
        Self { target, ledger, locks: Arc::default(), patience, jitter, ids }
    }

    /// The target.
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Carries a command out and says what became of it.
    ///
    /// # Errors
    /// When the ledger cannot be written. Then nothing more was called, and the command is to be taken again.
    pub async fn run(&self, job: &Job) -> Result<Finished, LedgerError> {
        let mut finished = Finished::untouched(job);
        if self.now() >= self.turn_by(job) && !is_looked_for(job) {
            finished.too_late(job, self.now());
            return Ok(finished);
        }
        match &job.command.body {
            CommandBody::Edges { group, generation, edges } => {
                let work = Members::new(group, *generation, edges);
                self.run_edges(job, &work, &mut finished).await?;
            }
            CommandBody::CreateGroup { name, description } => {
                let _held = self.locks.hold(&job.command.object()).await;
                self.run_create(job, name, description, &mut finished).await?;
            }
            CommandBody::DeleteGroup { group, generation } => {
                let _held = self.locks.hold(&job.command.object()).await;
                self.run_delete(job, group, *generation, &mut finished).await?;
            }
            CommandBody::GrantAccess { group, access, generation } => {
                let _held = self.locks.hold(&job.command.object()).await;
                self.run_grant(job, group, (access, *generation), &mut finished).await?;
            }
            CommandBody::Account { account, person, change, generation } => {
                let _held = self.locks.hold(&job.command.object()).await;
                let wanted = Wanted { account: account.as_ref(), person, kind: change, generation: *generation };
                self.run_account(job, &wanted, &mut finished).await?;
            }
        }
        finished.outcome.at = self.now();
        Ok(finished)
    }

    async fn run_create(
        &self,
        job: &Job,
        name: &str,
        description: &str,
        finished: &mut Finished,
    ) -> Result<(), LedgerError> {
        let lane = job.command.lane;
        let (mut may_be_ours, mut taken) = (job.begun_before, None);
        let mut tried = 0;
        loop {
            if may_be_ours {
                match self.looked(job, taken.is_some(), || self.target.find_group(lane, name)).await {
                    Looked::There(group) => {
                        finished.outcome.group = Some(group);
                        finished.outcome.result = StepResult::AlreadySo;
                        return Ok(());
                    }
                    Looked::Unreadable(answered) => {
                        finished.unreadable(&answered);
                        return Ok(());
                    }
                    Looked::NotThere => {}
                }
            }
            if let Some(answered) = &taken {
                // Taken, perhaps by ourselves, and not to be seen: the reconciler looks when it is.
                finished.finish(StepResult::Unknown, answered);
                return Ok(());
            }
            tried += 1;
            let call = self.call(job, tried, What::CreateGroup { name: name.to_owned() });
            if !self.admitted(&call).await? {
                finished.outcome.result = StepResult::Outdated;
                return Ok(());
            }
            let answered = self.target.create_group(&self.turn(job, &call), name, description).await;
            self.ledger.answered(&call, &answered).await?;
            match answered.disposition {
                // The name is taken. By us only if an attempt of ours may have done it; else it is another's group, and
                // the reconciler meets it as a conflict.
                Disposition::Look if !may_be_ours => {
                    finished.finish(StepResult::Rejected(Rejection::Conflict), &answered);
                    return Ok(());
                }
                Disposition::Look => taken = Some(answered),
                _ => {
                    may_be_ours = may_be_ours || answered.disposition == Disposition::Unknown;
                    finished.outcome.group.clone_from(&answered.group);
                    // A name is given once: repeating is harmless, it is said to be taken.
                    if !self.go_on(job, &answered, &mut tried, true, finished).await {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn run_delete(
        &self,
        job: &Job,
        group: &GroupId,
        generation: Generation,
        finished: &mut Finished,
    ) -> Result<(), LedgerError> {
        let mut tried = 0;
        loop {
            tried += 1;
            let what = What::DeleteGroup { group: group.clone(), generation };
            let call = self.call(job, tried, what);
            if !self.admitted(&call).await? {
                finished.outcome.result = StepResult::Outdated;
                return Ok(());
            }
            let answered = self.target.delete_group(&self.turn(job, &call), group).await;
            self.ledger.answered(&call, &answered).await?;
            // Deleting what is gone is said to be so: repeating is harmless.
            if !self.go_on(job, &answered, &mut tried, true, finished).await {
                return Ok(());
            }
        }
    }

    async fn run_grant(
        &self,
        job: &Job,
        group: &GroupId,
        (access, generation): (&Access, Generation),
        finished: &mut Finished,
    ) -> Result<(), LedgerError> {
        let mut tried = 0;
        loop {
            tried += 1;
            let what = What::GrantAccess { group: group.clone(), access: access.clone(), generation };
            let call = self.call(job, tried, what);
            if !self.admitted(&call).await? {
                finished.outcome.result = StepResult::Outdated;
                return Ok(());
            }
            let answered = self.target.grant_access(&self.turn(job, &call), group, access).await;
            self.ledger.answered(&call, &answered).await?;
            // Giving twice is giving: repeating is harmless.
            if !self.go_on(job, &answered, &mut tried, true, finished).await {
                return Ok(());
            }
        }
    }

    async fn run_account(&self, job: &Job, wanted: &Wanted<'_>, finished: &mut Finished) -> Result<(), LedgerError> {
        let lane = job.command.lane;
        let (mut may_be_ours, mut taken) = (job.begun_before, None);
        let mut tried = 0;
        loop {
            let mut looked = Looked::NotThere;
            if may_be_ours || taken.is_some() {
                let patient = may_be_ours && taken.is_some();
                let find = || self.target.find_account(lane, wanted.account, wanted.person, wanted.kind, may_be_ours);
                looked = self.looked(job, patient, find).await;
            }
            match (looked, &taken) {
                (Looked::Unreadable(answered), _) => {
                    finished.unreadable(&answered);
                    return Ok(());
                }
                (Looked::There(found), _) => {
                    finished.name_account(&found);
                    finished.finish(StepResult::AlreadySo, &found);
                    return Ok(());
                }
                // Taken by somebody who is not this person.
                (Looked::NotThere, Some(answered)) if !may_be_ours => {
                    finished.finish(StepResult::Rejected(Rejection::Conflict), answered);
                    return Ok(());
                }
                (_, Some(answered)) => {
                    finished.finish(StepResult::Unknown, answered);
                    return Ok(());
                }
                (_, None) => {}
            }
            tried += 1;
            let what = What::Account {
                person: wanted.person.clone(),
                change: wanted.kind.as_str().to_owned(),
                generation: wanted.generation,
            };
            let call = self.call(job, tried, what);
            if !self.admitted(&call).await? {
                finished.outcome.result = StepResult::Outdated;
                return Ok(());
            }
            let turn = self.turn(job, &call);
            let answered = self.target.change_account(&turn, wanted.account, wanted.person, wanted.kind).await;
            self.ledger.answered(&call, &answered).await?;
            finished.name_account(&answered);
            if answered.disposition == Disposition::Look {
                taken = Some(answered);
                continue;
            }
            // What may have happened is read before it is repeated, at the beginning of the next round.
            may_be_ours = may_be_ours || answered.disposition == Disposition::Unknown;
            if !self.go_on(job, &answered, &mut tried, true, finished).await {
                return Ok(());
            }
        }
    }

    /// Looks for something; `patient`: it is said to be there, so again and again for as long as a new thing may stay
    /// invisible. What cannot be read is looked for until the command's turn is over: nothing is sent twice unseen.
    async fn looked<T, F: Future<Output = Result<Option<T>, Answered>>>(
        &self,
        job: &Job,
        patient: bool,
        look: impl Fn() -> F,
    ) -> Looked<T> {
        let visible_by = self.now().plus(if patient { VISIBLE_WITHIN } else { Span::ZERO });
        let mut pause = self.patience.wait;
        loop {
            let (looked, until) = match look().await {
                Ok(Some(found)) => return Looked::There(found),
                Ok(None) => (Looked::NotThere, visible_by),
                Err(answered) if answered.disposition == Disposition::Halt => return Looked::Unreadable(answered),
                Err(answered) => (Looked::Unreadable(answered), self.turn_by(job)),
            };
            if self.now() >= until {
                return looked;
            }
            self.target.client().clock().sleep(pause.to_std()).await;
            pause = Span(pause.0.saturating_mul(2)).min(self.patience.wait_max);
        }
    }

    /// Settles a command without edges by its answer, or waits for another try; says whether there is one.
    async fn go_on(
        &self,
        job: &Job,
        answered: &Answered,
        tried: &mut u32,
        repeatable: bool,
        finished: &mut Finished,
    ) -> bool {
        match next(answered.disposition, *tried, repeatable, &self.patience) {
            Next::Settle(result) => finished.finish(result, answered),
            // A step of several is done: the next is an attempt of its own, at once.
            Next::Again { .. } if answered.is_progress() => {
                *tried = 0;
                return self.now() < self.turn_by(job);
            }
            Next::Again { after, at_least } if self.has_time(job, answered.disposition) => {
                *tried -= u32::from(throttled(answered.disposition));
                self.wait(after, at_least).await;
                return true;
            }
            Next::Again { .. } => {}
            Next::Look => finished.finish(StepResult::Unknown, answered),
            Next::Halt => finished.halted = true,
        }
        false
    }

    async fn admitted(&self, call: &Call) -> Result<bool, LedgerError> {
        let admission = self.ledger.admit(call).await?;
        if admission.not_now {
            // Taken again as it is: whether an earlier attempt made it, only this command knows.
            return Err(LedgerError("a person paused the target".to_owned()));
        }
        Ok(admission.allowed.first().copied().unwrap_or(false))
    }

    /// Whether a further try may be waited for: what is only throttled, or never left, has until its turn is over.
    pub(crate) fn has_time(&self, job: &Job, disposition: Disposition) -> bool {
        !throttled(disposition) || self.now() < self.turn_by(job)
    }

    fn call(&self, job: &Job, attempt: u32, what: What) -> Call {
        Call { id: (self.ids)(), command: job.command.id, attempt, what }
    }

    /// The turn of a call that was just admitted. It is given up unsent before what admitted it (the lease, the
    /// generations) is too old to be believed.
    pub(crate) fn turn(&self, job: &Job, call: &Call) -> Turn {
        let by = self.turn_by(job).min(self.now().plus(ADMITTED_FOR));
        Turn::new(job.command.lane, by, call.id)
    }

    fn turn_by(&self, job: &Job) -> Time {
        job.since.plus(self.patience.turn)
    }

    pub(crate) fn now(&self) -> Time {
        self.target.client().now()
    }

    pub(crate) async fn wait(&self, after: Span, at_least: Span) {
        let wait = (self.jitter)(after.to_std()).max(at_least.to_std());
        if !wait.is_zero() {
            self.target.client().clock().sleep(wait).await;
        }
    }
}

/// Whether what an earlier attempt may have done is looked for before anything is said, however late it is. A membership
/// is not, nor what a group gives: adding twice is adding, and giving twice is giving.
fn is_looked_for(job: &Job) -> bool {
    job.begun_before && !matches!(job.command.body, CommandBody::Edges { .. } | CommandBody::GrantAccess { .. })
}

/// What a look came to.
enum Looked<T> {
    There(T),
    NotThere,
    Unreadable(Answered),
}

/// A change of an account, as its command says it.
struct Wanted<'a> {
    account: Option<&'a AccountId>,
    person: &'a AccountId,
    kind: &'a AccountChange,
    generation: Generation,
}
