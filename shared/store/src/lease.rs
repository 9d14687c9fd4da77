//! Who may act, by database time.
//!
//! A lease has an epoch that rises with each new holder. Everything that must not be done twice checks name and epoch
//! in the transaction that commits it (`hold`), so a holder that was paused and replaced commits nothing.

use std::time::Duration;

use deadpool_postgres::Transaction;

use tokio_postgres::{Row, error::SqlState};

use crate::{
    Store, StoreError,
    sql::{self, Batch, values},
};

/// A lease that was held when it was acquired or renewed. Proof is the database's row, not this value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it is for: `watcher/<tenant>/<directory>`, `reconciler/<tenant>`, `writer/<tenant>/<target>`.
    pub name: String,
    /// Who holds it.
    pub holder: String,
    /// Rises with each new holder.
    pub epoch: i64,
}

/// Seconds as PostgreSQL's float.
fn secs(length: Duration) -> f64 {
    length.as_secs_f64()
}

impl Store {
    /// Takes the lease, or takes it again while we hold it. `None`: somebody else holds it, or held it until less than
    /// `settling` ago. Settling is the time-out of one call: what the old holder began has ended by then.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn acquire(
        &self,
        name: &str,
        holder: &str,
        time_to_live: Duration,
        settling: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let client = self.client("acquire").await?;
        let rows = sql::query_on(
            &client,
            "insert into common.lease as l (name, holder, epoch, expires_at)
             values ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
             on conflict (name) do update
                set holder = excluded.holder, expires_at = excluded.expires_at,
                    epoch = l.epoch + case when l.holder = excluded.holder and l.expires_at > clock_timestamp()
                                           then 0 else 1 end
              where l.holder = excluded.holder
                 or l.expires_at + make_interval(secs => $4) <= clock_timestamp()
             returning epoch",
            &[&name, &holder, &secs(time_to_live), &secs(settling)],
        )
        .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Lease { name: name.to_owned(), holder: holder.to_owned(), epoch: row.try_get(0)? }))
    }

    /// Holds on for another `time_to_live`. `false`: it is lost.
    ///
    /// # Errors
    /// When the database does not answer, or not in half that time: until it does, count the lease from before the last
    /// good renewal. An answer that never comes must not hide that the lease is over.
    pub async fn renew(&self, lease: &Lease, time_to_live: Duration) -> Result<bool, StoreError> {
        let renewed = tokio::time::timeout(time_to_live / 2, self.try_renew(lease, time_to_live)).await;
        renewed.unwrap_or_else(|late| Err(StoreError::Unreachable(Box::new(late))))
    }

    async fn try_renew(&self, lease: &Lease, time_to_live: Duration) -> Result<bool, StoreError> {
        let client = self.client("renew").await?;
        let changed = sql::execute_on(
            &client,
            "update common.lease set expires_at = clock_timestamp() + make_interval(secs => $4)
              where name = $1 and holder = $2 and epoch = $3 and expires_at > clock_timestamp()",
            &[&lease.name, &lease.holder, &lease.epoch, &secs(time_to_live)],
        )
        .await?;
        Ok(changed == 1)
    }

    /// Gives the lease up: the next holder need not wait.
    ///
    /// # Errors
    /// When the database does not answer; the lease then ends by itself.
    pub async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let client = self.client("release").await?;
        sql::execute_on(
            &client,
            "update common.lease set expires_at = '-infinity' where name = $1 and holder = $2 and epoch = $3",
            &[&lease.name, &lease.holder, &lease.epoch],
        )
        .await?;
        Ok(())
    }

    /// Who holds which leases now, for status pages: name, holder, epoch.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        let client = self.client("leases").await?;
        let sql = "select name, holder, epoch from common.lease where expires_at > clock_timestamp() order by name";
        let rows = sql::query_on(&client, sql, &[]).await?;
        rows.iter()
            .map(|row| Ok(Lease { name: row.try_get(0)?, holder: row.try_get(1)?, epoch: row.try_get(2)? }))
            .collect()
    }
}

/// A lease's row, kept from anybody who would take it before the transaction ends.
pub(crate) const HOLD: &str = "select 1 from common.lease
    where name = $1 and holder = $2 and epoch = $3 and expires_at > clock_timestamp() for share";

/// Checks within a transaction that the lease is held, and keeps anybody from taking it before the transaction ends.
pub(crate) async fn hold(tx: &Transaction<'_>, lease: &Lease) -> Result<(), StoreError> {
    let rows = sql::query(tx, HOLD, &[&lease.name, &lease.holder, &lease.epoch]).await?;
    check(lease, !rows.is_empty())
}

/// The same in a batch that is committed unseen: without the lease it fails, and all fails with it. [`judge`] tells that
/// failure from others.
pub(crate) fn insist<'a>(batch: &mut Batch<'a>, lease: &'a Lease) {
    // Nothing else of ours divides by anything.
    let statement = format!("select 1 / count(*) from ({HOLD}) as held");
    batch.add(statement, values![lease.name.as_str(), lease.holder.as_str(), lease.epoch]);
}

/// What came of a batch with [`insist`].
pub(crate) fn judge<T>(lease: &Lease, done: Result<T, StoreError>) -> Result<T, StoreError> {
    let lost = |error: &StoreError| error.sql_state() == Some(&SqlState::DIVISION_BY_ZERO);
    match done {
        Err(error) if lost(&error) => Err(StoreError::LeaseLost { name: lease.name.clone(), epoch: lease.epoch }),
        done => done,
    }
}

/// The same beside other statements. [`held`] judges the answer, before the commit.
pub(crate) fn add<'a>(batch: &mut Batch<'a>, lease: &'a Lease) -> usize {
    batch.add(HOLD, values![lease.name.as_str(), lease.holder.as_str(), lease.epoch])
}

/// Judges the answer to what [`add`] put at this place.
pub(crate) fn held(answers: &[Vec<Row>], place: usize, lease: &Lease) -> Result<(), StoreError> {
    check(lease, answers.get(place).is_some_and(|rows| !rows.is_empty()))
}

/// An error unless the lease is held.
pub(crate) fn check(lease: &Lease, held: bool) -> Result<(), StoreError> {
    if held {
        return Ok(());
    }
    Err(StoreError::LeaseLost { name: lease.name.clone(), epoch: lease.epoch })
}
