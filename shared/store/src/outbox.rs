//! Messages that are committed with the rows they speak of, and published afterwards.
//!
//! A row waits until it was published and acknowledged by the server. The relay claims what waits, never "everything
//! above the last id": ids are given out before commits become visible, in another order. Directory events are claimed
//! in order by the holder of the directory's lease, the others by whoever comes, past each other's locks.
//!
//! What must have an effect (commands, outcomes) has a settle key: published and unsettled for too long, it is published
//! again with a higher attempt, which is part of its message id, so that the server's duplicate window does not swallow
//! it. Directory events need none: the reconciler looks at versions every few seconds anyway.

use std::{collections::BTreeMap, time::Duration};

use deadpool_postgres::Transaction;
use tokio_postgres::{Row, types::ToSql};

use crate::{
    Lease, Store, StoreError, lease,
    sql::{self, Batch, values},
};

/// Whose outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// Of watchers: directory events.
    Directory,
    /// Of the reconciler: commands, requests to verify.
    Plan,
    /// Of writers: outcomes, notices of dead letters.
    Effect,
}

impl Schema {
    const fn table(self) -> &'static str {
        match self {
            Self::Directory => "directory.outbox",
            Self::Plan => "plan.outbox",
            Self::Effect => "effect.outbox",
        }
    }
}

/// A message to commit beside the rows it speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMessage {
    /// Whose order it is part of: `<tenant>/<directory>`.
    pub topic: String,
    /// What settles it (a command's id); empty: done once it is published.
    pub settle_key: String,
    /// Where it is published.
    pub subject: String,
    /// What the server knows duplicates by, without the attempt.
    pub message_id: String,
    /// The bytes.
    pub payload: Vec<u8>,
    /// Headers: `traceparent`, the contract version.
    pub headers: Vec<(String, String)>,
}

/// A claimed message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Its row.
    pub id: i64,
    /// Where it is published.
    pub subject: String,
    /// What the server knows duplicates by, the attempt included from the second on.
    pub message_id: String,
    /// The bytes.
    pub payload: Vec<u8>,
    /// Headers.
    pub headers: Vec<(String, String)>,
}

/// Lets the commit of the statement that it is part of not wait for the disk.
const AT_LEISURE: &str = "set_config('synchronous_commit', 'off', true)";

/// How long a claimed row is left to its claimer before another relay may take it.
const CLAIM: Duration = Duration::from_secs(30);

/// Writes messages within the transaction that changes what they speak of, and gives them: for the holder of their
/// topic's lease, who publishes them in order, and needs no claim.
pub(crate) async fn put(
    tx: &Transaction<'_>,
    schema: Schema,
    messages: &[OutboxMessage],
) -> Result<Vec<Envelope>, StoreError> {
    let mut batch = Batch::default();
    let messages: Vec<&OutboxMessage> = messages.iter().collect();
    let place = write(&mut batch, schema, &messages, None);
    given(&batch.run(tx).await?, place, &messages)
}

/// Writes messages beside other statements, and claims them in the same breath for whoever commits them, who publishes
/// them at once. Should that fail, any relay finds them when the claim is over. [`given`] gives them.
pub(crate) fn add<'a>(batch: &mut Batch<'a>, schema: Schema, messages: &[&'a OutboxMessage]) -> Option<usize> {
    write(batch, schema, messages, Some(CLAIM))
}

/// What was written at this place, ready to go out once the transaction is committed.
pub(crate) fn given(
    answers: &[Vec<Row>],
    place: Option<usize>,
    messages: &[&OutboxMessage],
) -> Result<Vec<Envelope>, StoreError> {
    let rows = place.and_then(|place| answers.get(place)).map(Vec::as_slice).unwrap_or_default();
    let mut ids = BTreeMap::new();
    for row in rows {
        ids.insert(row.try_get::<_, &str>(1)?, row.try_get::<_, i64>(0)?);
    }
    let with_id = |message: &&OutboxMessage| {
        ids.get(message.message_id.as_str()).map(|id| Envelope {
            id: *id,
            subject: message.subject.clone(),
            message_id: message.message_id.clone(),
            payload: message.payload.clone(),
            headers: message.headers.clone(),
        })
    };
    Ok(messages.iter().filter_map(with_id).collect())
}

fn write<'a>(
    batch: &mut Batch<'a>,
    schema: Schema,
    messages: &[&'a OutboxMessage],
    claim: Option<Duration>,
) -> Option<usize> {
    if messages.is_empty() {
        return None;
    }
    let topics: Vec<&str> = messages.iter().map(|m| m.topic.as_str()).collect();
    let keys: Vec<&str> = messages.iter().map(|m| m.settle_key.as_str()).collect();
    let subjects: Vec<&str> = messages.iter().map(|m| m.subject.as_str()).collect();
    let ids: Vec<&str> = messages.iter().map(|m| m.message_id.as_str()).collect();
    let payloads: Vec<&[u8]> = messages.iter().map(|m| m.payload.as_slice()).collect();
    let headers: Vec<String> = messages.iter().map(|m| sql::json_text(&m.headers)).collect();
    let statement = format!(
        "insert into {} (topic, settle_key, subject, message_id, payload, headers, claimed_till)
         select r.*, clock_timestamp() + make_interval(secs => $7)
           from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[]) as r
         returning id, message_id",
        schema.table()
    );
    let claim = claim.map(|claim| claim.as_secs_f64());
    Some(batch.add(statement, values![topics, keys, subjects, ids, payloads, headers, claim]))
}

fn envelope(row: &Row) -> Result<Envelope, StoreError> {
    let attempt: i32 = row.try_get(3)?;
    let message_id: String = row.try_get(2)?;
    Ok(Envelope {
        id: row.try_get(0)?,
        subject: row.try_get(1)?,
        message_id: if attempt > 1 { format!("{message_id}.{attempt}") } else { message_id },
        payload: row.try_get(4)?,
        headers: sql::Columns::json(row, "outbox", 5)?,
    })
}

impl Store {
    /// Claims up to `limit` messages of any topic that wait, past what other relays hold. What is not marked as
    /// published within half a minute can be claimed again.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn claim(&self, schema: Schema, limit: u32) -> Result<Vec<Envelope>, StoreError> {
        let client = self.client("claim").await?;
        // Losing a claim in a crash costs a duplicate at most: no need to wait for the disk.
        let sql = format!(
            "with due as (
                 select id from {table}
                  where published_at is null and (claimed_till is null or claimed_till < clock_timestamp())
                  order by id limit $1 for update skip locked)
             update {table} o set claimed_till = clock_timestamp() + make_interval(secs => $2)
               from due cross join (select {AT_LEISURE}) as commit
              where o.id = due.id
             returning o.id, o.subject, o.message_id, o.attempt, o.payload, o.headers",
            table = schema.table()
        );
        let rows = sql::query_on(&client, &sql, &[&i64::from(limit), &CLAIM.as_secs_f64()]).await?;
        let mut envelopes = rows.iter().map(envelope).collect::<Result<Vec<_>, _>>()?;
        envelopes.sort_by_key(|envelope| envelope.id);
        Ok(envelopes)
    }

    /// The oldest messages of one topic that wait, in order, for the holder of the topic's lease, who publishes them one
    /// after the other and marks them before asking again.
    ///
    /// # Errors
    /// When the lease is lost or the database does not answer.
    pub async fn claim_in_order(
        &self,
        schema: Schema,
        held: &Lease,
        topic: &str,
        limit: u32,
    ) -> Result<Vec<Envelope>, StoreError> {
        let client = self.client("claim_in_order").await?;
        let sql = format!(
            "with held as ({hold})
             select o.id, o.subject, o.message_id, o.attempt, o.payload, o.headers, h.held
               from (select exists (select from held) as held) h
               left join lateral (select * from {table}
                                   where topic = $4 and published_at is null order by id limit $5) o on h.held
              order by o.id",
            hold = lease::HOLD,
            table = schema.table()
        );
        let limit = i64::from(limit);
        let params: [&(dyn ToSql + Sync); 5] = [&held.name, &held.holder, &held.epoch, &topic, &limit];
        let rows = sql::query_on(&client, &sql, &params).await?;
        lease::check(held, rows.first().map(|row| row.try_get(6)).transpose()?.unwrap_or(false))?;
        let waiting = rows.iter().filter(|row| row.try_get::<_, Option<i64>>(0).is_ok_and(|id| id.is_some()));
        waiting.map(envelope).collect()
    }

    /// Notes that the server has acknowledged these.
    ///
    /// # Errors
    /// When the database does not answer; they will then be published again.
    pub async fn mark_published(&self, schema: Schema, ids: &[i64]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let client = self.client("mark_published").await?;
        let sql = format!(
            "update {} o set published_at = clock_timestamp() from (select {AT_LEISURE}) as commit where id = any($1)",
            schema.table()
        );
        sql::execute_on(&client, &sql, &[&ids]).await?;
        Ok(())
    }

    /// Publishes commands again that were published, and have neither an outcome nor been settled, for `after`. Counts
    /// them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn republish_commands(&self, after: Duration) -> Result<u64, StoreError> {
        let client = self.client("republish_commands").await?;
        sql::execute_on(
            &client,
            "update plan.outbox o set published_at = null, claimed_till = null, attempt = o.attempt + 1
              where o.settle_key <> '' and o.settled_at is null
                and o.published_at < clock_timestamp() - make_interval(secs => $1)
                and not exists (select from effect.outcome e where e.command = nullif(o.settle_key, '')::uuid)",
            &[&after.as_secs_f64()],
        )
        .await
    }

    /// Settles outcomes that the reconciler has taken in, and publishes again those that it has not for `after`. Counts
    /// the latter.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn republish_outcomes(&self, after: Duration) -> Result<u64, StoreError> {
        let client = self.client("republish_outcomes").await?;
        sql::execute_on(
            &client,
            "update effect.outbox o set settled_at = clock_timestamp()
               from plan.command c
              where o.settle_key <> '' and o.settled_at is null and o.published_at is not null
                and c.id = nullif(o.settle_key, '')::uuid and c.settled_at is not null",
            &[],
        )
        .await?;
        sql::execute_on(
            &client,
            "update effect.outbox set published_at = null, claimed_till = null, attempt = attempt + 1
              where settle_key <> '' and settled_at is null
                and published_at < clock_timestamp() - make_interval(secs => $1)",
            &[&after.as_secs_f64()],
        )
        .await
    }

    /// Removes messages that were published (and settled, where they must be) longer than `keep` ago. Keep more than the
    /// broker may lose in a crash.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn prune_outbox(&self, schema: Schema, keep: Duration) -> Result<u64, StoreError> {
        let client = self.client("prune_outbox").await?;
        let sql = format!(
            "delete from {} where published_at < clock_timestamp() - make_interval(secs => $1)
                and (settle_key = '' or settled_at is not null)",
            schema.table()
        );
        sql::execute_on(&client, &sql, &[&keep.as_secs_f64()]).await
    }

    /// How many messages wait to be published, and for how many seconds the oldest of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn outbox_backlog(&self, schema: Schema) -> Result<(u64, f64), StoreError> {
        let client = self.client("outbox_backlog").await?;
        let sql = format!(
            "select count(*), coalesce(extract(epoch from clock_timestamp() - min(created_at)), 0)::float8
               from {} where published_at is null",
            schema.table()
        );
        let rows = sql::query_on(&client, &sql, &[]).await?;
        let Some(row) = rows.first() else { return Ok((0, 0.0)) };
        Ok((sql::Columns::number(row, 0)?, row.try_get(1)?))
    }
}
