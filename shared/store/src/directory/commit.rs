//! Committing what was read: one transaction, whatever the size.

use deadpool_postgres::Transaction;
use model::{Corroboration, Reading, Time};

use super::fold::{Folded, fold};
use super::{Committed, DirectoryKey, diff, marks};
use crate::outbox::{self, Envelope, OutboxMessage, Schema};
use crate::{Lease, Store, StoreError, lease, seen::Tx, sql};

/// What kind of pass a reading is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Meant to see everything: a list that is not complete was not read completely, and is marked so.
    Sweep,
    /// Meant to see just what it names: says nothing about the lists unless it read one completely.
    Targeted,
}

impl Store {
    /// Commits one reading. See [`Store::commit_readings`].
    ///
    /// # Errors
    /// As there.
    pub async fn commit_reading(
        &self,
        held: Option<&Lease>,
        directory: &DirectoryKey,
        pass: Pass,
        reading: &Reading,
        traceparent: Option<&str>,
        announce: impl FnOnce(&Committed) -> Vec<OutboxMessage> + Send,
    ) -> Result<Committed, StoreError> {
        self.commit_readings(held, directory, pass, std::slice::from_ref(reading), traceparent, announce).await
    }

    /// Commits readings of one directory, in the order given, as one transaction and one version; `announce` says which
    /// messages go out with them. `traceparent` is what they were read in.
    ///
    /// A complete read of a scope closes what it did not see, as of its end; a partial one adds and updates only. A read
    /// that began before a newer one of the same thing was committed changes nothing about it. Hundreds of rows go as
    /// arrays, more by binary COPY.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] when `held` is over: nothing is committed. Transient errors may be repeated.
    pub async fn commit_readings(
        &self,
        held: Option<&Lease>,
        directory: &DirectoryKey,
        pass: Pass,
        readings: &[Reading],
        traceparent: Option<&str>,
        announce: impl FnOnce(&Committed) -> Vec<OutboxMessage> + Send,
    ) -> Result<Committed, StoreError> {
        let folded = fold(pass, readings);
        let mut client = self.client("commit_readings").await?;
        let tx = client.transaction().await?;
        let version = next_version(&tx, directory, read_at(readings), traceparent).await?;
        let mut committed = Committed { version, whole: folded.whole, ..Committed::default() };
        write(&tx, directory, version, folded, &mut committed).await?;
        committed.messages = finish(tx, held, &committed, announce).await?;
        Ok(committed)
    }

    /// Commits the answers of facts that were read by themselves, and with them what the reads saw (a fact that holds
    /// after all is a row again).
    ///
    /// # Errors
    /// As [`Store::commit_readings`].
    pub async fn commit_answers(
        &self,
        held: Option<&Lease>,
        directory: &DirectoryKey,
        answers: &[Corroboration],
        readings: &[Reading],
        traceparent: Option<&str>,
        announce: impl FnOnce(&Committed) -> Vec<OutboxMessage> + Send,
    ) -> Result<Committed, StoreError> {
        let folded = fold(Pass::Targeted, readings);
        let mut client = self.client("commit_answers").await?;
        let tx = client.transaction().await?;
        let answered_at = answers.iter().map(|answer| answer.read_at).max();
        let version = next_version(&tx, directory, read_at(readings).max(answered_at), traceparent).await?;
        let mut committed = Committed { version, ..Committed::default() };
        write(&tx, directory, version, folded, &mut committed).await?;
        committed.answers = diff::answers(&tx, directory.key, version, answers).await?;
        committed.messages = finish(tx, held, &committed, announce).await?;
        Ok(committed)
    }
}

/// When the last of these ended.
fn read_at(readings: &[Reading]) -> Option<Time> {
    readings.iter().map(|reading| reading.ended_at).max()
}

/// Takes the directory's row lock and its next version, and notes when that was read, and in which trace.
async fn next_version(
    tx: &Transaction<'_>,
    directory: &DirectoryKey,
    at: Option<Time>,
    traceparent: Option<&str>,
) -> Result<u64, StoreError> {
    let sql = "with next as (update directory.directory set version = version + 1 where key = $1 returning version),
                    noted as (insert into directory.commit (dir, version, at, traceparent)
                              select $1, version, $2::bigint, $3::text from next where $2::bigint is not null)
               select version from next";
    let rows = sql::query(tx, sql, &[&directory.key, &at.map(|at| at.0), &traceparent]).await?;
    match rows.first() {
        Some(row) => sql::Columns::number(row, 0),
        None => Err(StoreError::corrupt("directory.directory", "the directory's row is gone")),
    }
}

async fn write(
    tx: &Transaction<'_>,
    directory: &DirectoryKey,
    version: u64,
    folded: Folded,
    committed: &mut Committed,
) -> Result<(), StoreError> {
    diff::users(tx, directory.key, version, &folded, committed).await?;
    diff::groups(tx, directory.key, version, &folded, committed).await?;
    marks::lists(tx, directory.key, version, &folded).await?;
    diff::members(tx, directory.key, version, folded, committed).await
}

async fn finish(
    tx: Tx<'_>,
    held: Option<&Lease>,
    committed: &Committed,
    announce: impl FnOnce(&Committed) -> Vec<OutboxMessage> + Send,
) -> Result<Vec<Envelope>, StoreError> {
    let messages = outbox::put(&tx, Schema::Directory, &announce(committed)).await?;
    if let Some(held) = held {
        lease::hold(&tx, held).await?;
    }
    tx.commit().await?;
    Ok(messages)
}
