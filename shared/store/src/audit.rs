//! The audit chain: append-only, each entry bound to the one before it, one chain per tenant.
//!
//! Guarantee: no service role may change or remove an entry, and whoever can (the owner of the database) leaves a break
//! that [`Store::verify_audit`] names. Caveat: an owner who rewrites the whole chain from some entry on is found only
//! by comparing with a head that was kept elsewhere; [`Store::audit_head`] gives it.

use deadpool_postgres::Transaction;
use futures_util::TryStreamExt as _;
use model::{TenantId, Time};
use sha2::{Digest as _, Sha256};

use crate::{
    Store, StoreError,
    sql::{self, Batch, values},
};

/// What one entry says. No secrets; ids and digests instead of personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it happened.
    pub at: Time,
    /// Who: a service, or the name of a person from the token file.
    pub actor: String,
    /// What was done: `member.add`, `case.held`, `case.approved`, …
    pub verb: String,
    /// To what: `<target>/<group>/<account>`, `case/<digest>`, …
    pub key: String,
    /// Digest or short text of what was before; may be empty.
    pub before: Vec<u8>,
    /// Digest or short text of what is after; may be empty.
    pub after: Vec<u8>,
    /// Because of what: command and attempt, plan, event.
    pub cause: String,
}

/// A stored entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its place in the tenant's chain, from 1.
    pub seq: u64,
    /// What it says.
    pub entry: AuditEntry,
    /// The hash of the entry before.
    pub prev: Vec<u8>,
    /// Its own hash.
    pub hash: Vec<u8>,
}

/// What a check of a chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainState {
    /// Every entry is as it was written, and none is missing.
    Whole {
        /// How many there are.
        entries: u64,
    },
    /// The first entry that is changed, missing or out of place.
    Broken {
        /// Its place.
        seq: u64,
    },
}

/// Appends within a transaction; call it last, for it locks the tenant's head until the commit.
pub(crate) async fn append(tx: &Transaction<'_>, tenant: &TenantId, entries: &[AuditEntry]) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    add(&mut batch, tenant, entries);
    batch.run(tx).await?;
    Ok(())
}

/// The same beside other statements, as the last of them.
pub(crate) fn add<'a>(batch: &mut Batch<'a>, tenant: &'a TenantId, entries: &'a [AuditEntry]) {
    if entries.is_empty() {
        return;
    }
    let at: Vec<i64> = entries.iter().map(|e| e.at.0).collect();
    let actor: Vec<String> = entries.iter().map(|e| sql::clean(&e.actor)).collect();
    let verb: Vec<&str> = entries.iter().map(|e| e.verb.as_str()).collect();
    let key: Vec<String> = entries.iter().map(|e| sql::clean(&e.key)).collect();
    let before: Vec<&[u8]> = entries.iter().map(|e| e.before.as_slice()).collect();
    let after: Vec<&[u8]> = entries.iter().map(|e| e.after.as_slice()).collect();
    let cause: Vec<String> = entries.iter().map(|e| sql::clean(&e.cause)).collect();
    batch.add(
        "select common.append_audit($1, $2, $3, $4, $5, $6, $7, $8)",
        values![tenant.as_str(), at, actor, verb, key, before, after, cause],
    );
}

impl Store {
    /// Appends entries that belong to no other transaction: sign-ins, policy loads, pauses.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn append_audit(&self, tenant: &TenantId, entries: &[AuditEntry]) -> Result<(), StoreError> {
        let mut client = self.client("append_audit").await?;
        let tx = client.transaction().await?;
        append(&tx, tenant, entries).await?;
        tx.commit().await
    }

    /// The newest entries of a tenant, the newest first, before `before` if given.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_page(
        &self,
        tenant: &TenantId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let client = self.client("audit_page").await?;
        let before = before.map_or(i64::MAX, sql::big);
        let sql = format!("{SELECT} where tenant = $1 and seq < $2 order by seq desc limit $3");
        let rows = sql::query_on(&client, &sql, &[&tenant.as_str(), &before, &i64::from(limit)]).await?;
        rows.iter().map(read).collect()
    }

    /// Place and hash of the newest entry: what an outside witness keeps.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_head(&self, tenant: &TenantId) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let client = self.client("audit_head").await?;
        let sql = "select seq, hash from common.audit_head where tenant = $1";
        let rows = sql::query_on(&client, sql, &[&tenant.as_str()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some((sql::Columns::number(row, 0)?, row.try_get(1)?)))
    }

    /// Recomputes a tenant's chain from its beginning.
    ///
    /// # Errors
    /// When the database does not answer. A broken chain is not an error but an answer.
    pub async fn verify_audit(&self, tenant: &TenantId) -> Result<ChainState, StoreError> {
        let mut client = self.client("verify_audit").await?;
        let tx = client.build_transaction().read_only(true).start().await?;
        // The head is read first: entries that are appended meanwhile are beyond it and still checked as links.
        let head =
            sql::query(&tx, "select seq, hash from common.audit_head where tenant = $1", &[&tenant.as_str()]).await?;
        let head: Option<(u64, Vec<u8>)> = match head.first() {
            Some(row) => Some((sql::Columns::number(row, 0)?, row.try_get(1)?)),
            None => None,
        };
        let statement = tx.prepare_cached(&format!("{SELECT} where tenant = $1 order by seq")).await?;
        let rows = tx.query_raw(&statement, [tenant.as_str()]).await?;
        futures_util::pin_mut!(rows);
        let (mut seq, mut prev) = (0, Sha256::digest(tenant.as_str().as_bytes()).to_vec());
        let mut at_head = head.is_none() || head.as_ref().is_some_and(|(last, _)| *last == 0);
        while let Some(row) = rows.try_next().await? {
            let row = read(&row)?;
            seq += 1;
            if row.seq != seq || row.prev != prev || row.hash != hash(tenant, &row) {
                return Ok(ChainState::Broken { seq });
            }
            if head.as_ref().is_some_and(|(last, hash)| *last == seq && *hash == row.hash) {
                at_head = true;
            }
            prev = row.hash;
        }
        Ok(if at_head { ChainState::Whole { entries: seq } } else { ChainState::Broken { seq: seq + 1 } })
    }
}

const SELECT: &str = "select seq, at, actor, verb, key, before, after, cause, prev, hash from common.audit";

fn read(row: &tokio_postgres::Row) -> Result<AuditRow, StoreError> {
    Ok(AuditRow {
        seq: sql::Columns::number(row, 0)?,
        entry: AuditEntry {
            at: sql::Columns::time(row, 1)?,
            actor: row.try_get(2)?,
            verb: row.try_get(3)?,
            key: row.try_get(4)?,
            before: row.try_get(5)?,
            after: row.try_get(6)?,
            cause: row.try_get(7)?,
        },
        prev: row.try_get(8)?,
        hash: row.try_get(9)?,
    })
}

/// The hash of an entry, computed apart from the database's function (`common.audit_hash`).
pub fn hash(tenant: &TenantId, row: &AuditRow) -> Vec<u8> {
    let mut hasher = Sha256::new();
    let mut field = |bytes: &[u8], bare: bool| {
        if !bare {
            hasher.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
        hasher.update(bytes);
    };
    field(&[0], true);
    field(tenant.as_str().as_bytes(), false);
    field(&row.seq.to_be_bytes(), true);
    field(&row.entry.at.0.to_be_bytes(), true);
    field(row.entry.actor.as_bytes(), false);
    field(row.entry.verb.as_bytes(), false);
    field(row.entry.key.as_bytes(), false);
    field(&row.entry.before, false);
    field(&row.entry.after, false);
    field(row.entry.cause.as_bytes(), false);
    field(&row.prev, false);
    hasher.finalize().to_vec()
}
