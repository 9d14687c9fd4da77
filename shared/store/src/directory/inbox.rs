//! What watchers are asked to read, and what they say about themselves.

use model::{AccountId, DirectoryId, Fact, TenantId, Time};

use super::{DirectoryKey, diff::texts};
use crate::sql::Columns as _;
use crate::{Lease, Store, StoreError, lease, sql};

/// A read that somebody asked for: a place to look, never a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Its row, once stored.
    pub id: i64,
    /// Where to look: `user/<id>`, `group/<id>`, `email/<address>` or `all`.
    pub place: String,
    /// When it was asked for.
    pub asked_at: Time,
    /// By whom or what: `audit`, `push`, `control`, a person.
    pub asked_by: String,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
    /// Not to be looked at before.
    pub due_at: Time,
}

/// What a watcher says about a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Since when it cannot be read; `None`: it can.
    pub blind_since: Option<Time>,
    /// JSON for status pages, without personal data.
    pub note: String,
}

impl Store {
    /// Asks for reads. A place that is already wished for keeps its first wish.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn wish(&self, directory: &DirectoryKey, wishes: &[Wish]) -> Result<(), StoreError> {
        let client = self.client("wish").await?;
        for wish in wishes {
            sql::execute_on(
                &client,
                "insert into directory.wish as w (dir, place, asked_at, asked_by, traceparent, due_at)
                 values ($1, $2, $3, $4, $5, $6)
                 on conflict (dir, place) where done_at is null do nothing",
                &[
                    &directory.key,
                    &sql::clean(&wish.place),
                    &wish.asked_at.0,
                    &wish.asked_by,
                    &wish.traceparent,
                    &wish.due_at.0,
                ],
            )
            .await?;
        }
        Ok(())
    }

    /// Wishes that are due at `now`, the oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn wishes(&self, directory: &DirectoryKey, now: Time, limit: u32) -> Result<Vec<Wish>, StoreError> {
        let client = self.client("wishes").await?;
        let select = "select id, place, asked_at, asked_by, traceparent, due_at from directory.wish
                       where dir = $1 and done_at is null and due_at <= $2 order by due_at, id limit $3";
        let rows = sql::query_on(&client, select, &[&directory.key, &now.0, &i64::from(limit)]).await?;
        rows.iter()
            .map(|row| {
                Ok(Wish {
                    id: row.try_get(0)?,
                    place: row.try_get(1)?,
                    asked_at: row.time(2)?,
                    asked_by: row.try_get(3)?,
                    traceparent: row.try_get(4)?,
                    due_at: row.time(5)?,
                })
            })
            .collect()
    }

    /// Marks wishes as read. One that came in meanwhile for the same place is a new wish.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn wishes_done(&self, ids: &[i64], now: Time) -> Result<(), StoreError> {
        let client = self.client("wishes_done").await?;
        let update = "update directory.wish set done_at = $2 where id = any($1) and done_at is null";
        sql::execute_on(&client, update, &[&ids, &now.0]).await?;
        Ok(())
    }

    /// Facts that the reconciler wants read by themselves and that have no answer since it asked.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn open_needs(&self, directory: &DirectoryKey, limit: u32) -> Result<Vec<(Fact, Time)>, StoreError> {
        let client = self.client("open_needs").await?;
        let select = "select n.fact, n.asked_at from plan.need n
                       where n.tenant = $1 and n.directory = $2
                         and not exists (select from directory.corroboration c
                                          where c.dir = $3 and c.fact = n.fact and c.read_at >= n.asked_at)
                       order by n.asked_at, n.fact limit $4";
        let params: sql::Params<'_> =
            &[&directory.tenant.as_str(), &directory.directory.as_str(), &directory.key, &i64::from(limit)];
        let rows = sql::query_on(&client, select, params).await?;
        rows.iter()
            .map(|row| {
                let fact = Fact::from_key(&directory.directory, row.try_get(0)?)
                    .ok_or_else(|| StoreError::corrupt("plan.need", "a fact cannot be read"))?;
                Ok((fact, row.time(1)?))
            })
            .collect()
    }

    /// Which accounts our credentials belong to at a directory: all of them, as found now by who holds its lease.
    ///
    /// # Errors
    /// When the lease is lost or the database does not answer.
    pub async fn set_own_accounts(
        &self,
        held: &Lease,
        directory: &DirectoryKey,
        accounts: &[AccountId],
    ) -> Result<(), StoreError> {
        let mut client = self.client("set_own_accounts").await?;
        let tx = client.transaction().await?;
        let ids = texts(accounts);
        let insert =
            "insert into directory.own_account (dir, account) select $1, unnest($2::text[]) on conflict do nothing";
        sql::execute(&*tx, insert, &[&directory.key, &ids]).await?;
        let delete = "delete from directory.own_account where dir = $1 and account <> all($2)";
        sql::execute(&*tx, delete, &[&directory.key, &ids]).await?;
        lease::hold(&tx, held).await?;
        tx.commit().await
    }

    /// The accounts that our credentials belong to, of all directories of a tenant.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn own_accounts(&self, tenant: &TenantId) -> Result<Vec<(DirectoryId, AccountId)>, StoreError> {
        const TABLE: &str = "directory.own_account";
        let client = self.client("own_accounts").await?;
        let select = "select d.directory, o.account from directory.own_account o
                        join directory.directory d on d.key = o.dir where d.tenant = $1 order by 1, 2";
        let rows = sql::query_on(&client, select, &[&tenant.as_str()]).await?;
        rows.iter().map(|row| Ok((row.directory(TABLE, 0)?, row.account(TABLE, 1)?))).collect()
    }

    /// Writes what the watcher that holds the lease says about a directory. Blindness moves no version: whoever decides
    /// reads it with the versions.
    ///
    /// # Errors
    /// When the lease is lost or the database does not answer.
    pub async fn set_health(&self, held: &Lease, directory: &DirectoryKey, health: &Health) -> Result<(), StoreError> {
        let mut client = self.client("set_health").await?;
        let tx = client.transaction().await?;
        let update = "update directory.directory set blind_since = $2, health = $3 where key = $1";
        let since = health.blind_since.map(|time| time.0);
        sql::execute(&*tx, update, &[&directory.key, &since, &sql::clean(&health.note)]).await?;
        lease::hold(&tx, held).await?;
        tx.commit().await
    }
}
