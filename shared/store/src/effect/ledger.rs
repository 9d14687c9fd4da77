//! Commands to carry out, attempts and outcomes.

use std::collections::BTreeMap;

use model::{CommandId, Digest, DirectoryId, Generation, Lane, Outcome, StepResult, TenantId, Time};
use uuid::Uuid;

use super::letters::{self, NewLetter};
use crate::audit::{self, AuditEntry};
use crate::outbox::{self, Envelope, OutboxMessage, Schema};
use crate::plan::{COMMAND, OpenCommand};
use crate::{
    Lease, Store, StoreError, lease,
    sql::{self, Batch, Work, values},
};

/// A call that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttempt {
    /// Its id; also what the audit chain calls it.
    pub id: Uuid,
    /// For which command.
    pub command: CommandId,
    /// The digest of the command as the writer has it.
    pub digest: Digest,
    /// At which target.
    pub target: DirectoryId,
    /// Method and path of the call, without secrets and personal data.
    pub request: String,
    /// What it is to change: `add/<group>/<account>`, `create-group/<name>`, …
    pub edges: Vec<String>,
    /// When.
    pub began_at: Time,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptEnd {
    /// Which attempt.
    pub id: Uuid,
    /// When.
    pub ended_at: Time,
    /// What its answer means: `done`, `already-so`, `throttled`, `retry`, `unknown`, `reject`, `halt`, `look`.
    pub disposition: String,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The answer, redacted.
    pub answer: String,
}

/// An attempt that never ended: after a crash its effect is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnendedAttempt {
    /// Its id.
    pub id: Uuid,
    /// For which command.
    pub command: CommandId,
    /// What it was to change.
    pub edges: Vec<String>,
    /// When it began.
    pub began_at: Time,
}

/// What recording outcomes led to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordedOutcomes {
    /// Commands whose outcome is new. One that had an outcome keeps it.
    pub new: Vec<CommandId>,
    /// The letter of each rejection, in the order given, and whether it was opened by it.
    pub letters: Vec<(u64, bool)>,
    /// Redriven letters that are resolved now.
    pub resolved: Vec<u64>,
}

impl Store {
    /// Commands of a target's lane that are neither settled nor have an outcome, the oldest first: what a writer takes
    /// up at its start and every few seconds, whether a message told it or not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn waiting_commands(
        &self,
        tenant: &TenantId,
        target: &DirectoryId,
        lane: Lane,
        limit: u32,
    ) -> Result<Vec<OpenCommand>, StoreError> {
        let client = self.client("waiting_commands").await?;
        let select = format!(
            "{COMMAND} where c.tenant = $1 and c.target = $2 and c.lane = $3 and c.settled_at is null
                         and not exists (select from effect.outcome o where o.command = c.id)
                       order by c.created_at, c.id limit $4"
        );
        let params: sql::Params<'_> = &[&tenant.as_str(), &target.as_str(), &lane.as_str(), &i64::from(limit)];
        let rows = sql::query_on(&client, &select, params).await?;
        rows.iter().map(crate::plan::open_command).collect()
    }

    /// The ledger's rows of these commands, as far as they are neither settled nor have an outcome. A command that is
    /// not among them must not be executed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn load_commands(&self, ids: &[CommandId]) -> Result<BTreeMap<CommandId, OpenCommand>, StoreError> {
        let client = self.client("load_commands").await?;
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let select = format!(
            "{COMMAND} where c.id = any($1) and c.settled_at is null
                         and not exists (select from effect.outcome o where o.command = c.id)"
        );
        let rows = sql::query_on(&client, &select, &[&ids]).await?;
        rows.iter().map(|row| crate::plan::open_command(row).map(|open| (open.command.id, open))).collect()
    }

    /// The present generations of these objects (`group/<id>`, `account/<id>`, `person/<id>`); an object that is missing
    /// in the answer has generation 0.
    ///
    /// # Errors
    /// When the database does not answer: no call may start then.
    pub async fn generations(
        &self,
        tenant: &TenantId,
        target: &DirectoryId,
        objects: &[String],
    ) -> Result<BTreeMap<String, Generation>, StoreError> {
        let client = self.client("generations").await?;
        let select = "select g.object, g.generation from unnest($3::text[]) as r (object)
                       cross join lateral (select x.object, x.generation from plan.generation x
                                            where x.tenant = $1 and x.target = $2 and x.object = r.object limit 1) g";
        let rows = sql::query_on(&client, select, &[&tenant.as_str(), &target.as_str(), &objects]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, sql::Columns::number(row, 1)?))).collect()
    }

    /// Commits attempts before their calls. Returns the ids of those that may be made: an attempt whose command is
    /// settled, unknown or has another digest is not recorded and must not be made.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when another writer has the target.
    pub async fn begin_attempts(
        &self,
        held: &Lease,
        tenant: &TenantId,
        attempts: &[NewAttempt],
    ) -> Result<Vec<Uuid>, StoreError> {
        let client = self.client("begin_attempts").await?;
        let ids: Vec<Uuid> = attempts.iter().map(|a| a.id).collect();
        let commands: Vec<Uuid> = attempts.iter().map(|a| a.command.0).collect();
        let digests: Vec<&[u8]> = attempts.iter().map(|a| a.digest.0.as_slice()).collect();
        let targets: Vec<&str> = attempts.iter().map(|a| a.target.as_str()).collect();
        let requests: Vec<String> = attempts.iter().map(|a| sql::clean(&a.request)).collect();
        // PostgreSQL has no arrays of arrays of unequal lengths: the lists travel as JSON.
        let edges: Vec<String> = attempts.iter().map(|a| sql::json_text(&a.edges)).collect();
        let began: Vec<i64> = attempts.iter().map(|a| a.began_at.0).collect();
        // One statement, which is a transaction of its own: every call waits for it.
        let statement = format!(
            "with held as ({}), begun as (
                 insert into effect.attempt (id, command, tenant, target, epoch, request, edges, began_at)
                 select r.id, r.command, $4, r.target, $3, r.request,
                        array(select json_array_elements_text(r.edges::json)), r.began_at
                   from unnest($5::uuid[], $6::uuid[], $7::bytea[], $8::text[], $9::text[], $10::text[], $11::bigint[])
                        as r (id, command, digest, target, request, edges, began_at)
                  cross join lateral (select x.digest, x.tenant, x.target, x.settled_at from plan.command x
                                       where x.id = r.command limit 1) c
                  where c.digest = r.digest and c.tenant = $4 and c.target = r.target and c.settled_at is null
                    and exists (select from held)
                 returning id)
             select exists (select from held), array(select id from begun)",
            lease::HOLD
        );
        let rows = sql::query_on(
            &client,
            &statement,
            &[
                &held.name,
                &held.holder,
                &held.epoch,
                &tenant.as_str(),
                &ids,
                &commands,
                &digests,
                &targets,
                &requests,
                &edges,
                &began,
            ],
        )
        .await?;
        let row = rows.first();
        lease::check(held, row.map(|row| row.try_get(0)).transpose()?.unwrap_or(false))?;
        Ok(row.map(|row| row.try_get(1)).transpose()?.unwrap_or_default())
    }

    /// Attempts of a target that never ended: after a crash, what they were to do is unknown.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unended_attempts(
        &self,
        tenant: &TenantId,
        target: &DirectoryId,
    ) -> Result<Vec<UnendedAttempt>, StoreError> {
        let client = self.client("unended_attempts").await?;
        let select = "select id, command, edges, began_at from effect.attempt
                       where tenant = $1 and target = $2 and ended_at is null order by began_at, id";
        let rows = sql::query_on(&client, select, &[&tenant.as_str(), &target.as_str()]).await?;
        rows.iter()
            .map(|row| {
                Ok(UnendedAttempt {
                    id: row.try_get(0)?,
                    command: CommandId(row.try_get(1)?),
                    edges: row.try_get(2)?,
                    began_at: sql::Columns::time(row, 3)?,
                })
            })
            .collect()
    }

    /// Commits how calls ended that led to no outcome yet (throttled, to be repeated).
    ///
    /// # Errors
    /// When the database does not answer; the attempts then stay unended.
    pub async fn end_attempts(&self, ends: &[AttemptEnd]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        end(&mut batch, ends);
        Work::begin(self.client("end_attempts").await?, &batch).await?.0.commit().await
    }

    /// Commits outcomes with how their calls ended, the dead letters, what goes into the audit chain, and the messages
    /// that `announce` makes of them, in one transaction. A command that has an outcome already keeps it. The messages
    /// are given back claimed, for whoever publishes them now.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when another writer has the target: nothing is committed.
    #[expect(clippy::too_many_arguments, reason = "each is another kind of row of the one transaction")]
    pub async fn record_outcomes(
        &self,
        held: &Lease,
        tenant: &TenantId,
        ends: &[AttemptEnd],
        outcomes: &[Outcome],
        rejections: &[NewLetter],
        entries: &[AuditEntry],
        announce: impl FnOnce(&RecordedOutcomes) -> Vec<OutboxMessage> + Send,
    ) -> Result<(RecordedOutcomes, Vec<Envelope>), StoreError> {
        let mut batch = Batch::default();
        end(&mut batch, ends);
        let place = add_outcomes(&mut batch, tenant, outcomes);
        let mine = lease::add(&mut batch, held);
        let (work, answers) = Work::begin(self.client("record_outcomes").await?, &batch).await?;
        lease::held(&answers, mine, held)?;
        let mut recorded = RecordedOutcomes::default();
        for row in answers.get(place).into_iter().flatten() {
            recorded.new.push(CommandId(row.try_get(0)?));
        }
        recorded.letters = letters::put(&work.client()?.object, tenant, rejections).await?;
        if outcomes.iter().any(succeeded) {
            recorded.resolved = letters::resolve(&work.client()?.object, tenant, outcomes).await?;
        }
        let messages = announce(&recorded);
        let messages: Vec<&OutboxMessage> = messages.iter().collect();
        let mut batch = Batch::default();
        let outgoing = outbox::add(&mut batch, Schema::Effect, &messages);
        audit::add(&mut batch, tenant, entries);
        let answers = batch.run(&work.client()?.object).await?;
        let envelopes = outbox::given(&answers, outgoing, &messages)?;
        work.commit().await?;
        Ok((recorded, envelopes))
    }

    /// Keeps bytes that could not be read, with where they came from. Twice the same delivery is one row.
    ///
    /// # Errors
    /// When the database does not answer: the delivery must then be retried.
    pub async fn bury(&self, subject: &str, sequence: u64, payload: &[u8], why: &str) -> Result<(), StoreError> {
        let client = self.client("bury").await?;
        let insert = "insert into effect.buried (subject, sequence, payload, why) values ($1, $2, $3, $4)
                      on conflict (subject, sequence) do nothing";
        sql::execute_on(&client, insert, &[&subject, &sql::big(sequence), &payload, &why]).await?;
        Ok(())
    }
}

/// Whether anything of a command holds now: what may resolve a redriven letter.
fn succeeded(outcome: &Outcome) -> bool {
    outcome.edges.iter().any(|edge| edge.result.holds())
        || matches!(outcome.result, StepResult::Done | StepResult::AlreadySo)
}

fn add_outcomes<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, outcomes: &'a [Outcome]) -> usize {
    let ids: Vec<Uuid> = outcomes.iter().map(|o| o.command.0).collect();
    let targets: Vec<&str> = outcomes.iter().map(|o| o.target.as_str()).collect();
    let at: Vec<i64> = outcomes.iter().map(|o| o.at.0).collect();
    let bodies: Vec<Vec<u8>> = outcomes.iter().map(sql::json).collect();
    batch.add(
        "insert into effect.outcome (command, tenant, target, at, body)
         select r.command, $1, r.target, r.at, r.body
           from unnest($2::uuid[], $3::text[], $4::bigint[], $5::bytea[]) as r (command, target, at, body)
         on conflict (command) do nothing returning command",
        values![tenant.as_str(), ids, targets, at, bodies],
    )
}

fn end<'a>(batch: &mut Batch<'a>, ends: &'a [AttemptEnd]) {
    if ends.is_empty() {
        return;
    }
    let ids: Vec<Uuid> = ends.iter().map(|e| e.id).collect();
    let at: Vec<i64> = ends.iter().map(|e| e.ended_at.0).collect();
    let dispositions: Vec<&str> = ends.iter().map(|e| e.disposition.as_str()).collect();
    let statuses: Vec<Option<i32>> = ends.iter().map(|e| e.status.map(i32::from)).collect();
    let answers: Vec<String> = ends.iter().map(|e| sql::clean(&e.answer)).collect();
    batch.add(
        "update effect.attempt a
            set ended_at = r.at, disposition = r.disposition, status = r.status, answer = r.answer
           from unnest($1::uuid[], $2::bigint[], $3::text[], $4::integer[], $5::text[])
                as r (id, at, disposition, status, answer)
          cross join lateral (select x.ctid as place, x.ended_at from effect.attempt x where x.id = r.id limit 1) x
          where a.ctid = x.place and x.ended_at is null",
        values![ids, at, dispositions, statuses, answers],
    );
}
