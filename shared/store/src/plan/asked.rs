//! Requests to synchronize: written down before anybody is told, taken up by whoever has the tenant.

use model::{TenantId, Time};

use crate::audit::{self, AuditEntry};
use crate::sql::Columns as _;
use crate::{Store, StoreError, sql};

/// What was asked for, and what was made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncAsked {
    /// The number of the newest request; 0: nobody ever asked.
    pub newest: u64,
    /// The newest request that was taken up.
    pub taken: SyncTaken,
}

/// A request that was taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncTaken {
    /// Its number; 0: none was.
    pub request: u64,
    /// Until when new decisions go that the schedule alone would not let go.
    pub until: Time,
}

impl Store {
    /// Writes down that somebody asked to synchronize, with its entry in the audit chain. From then on it is not lost,
    /// whoever runs or does not.
    ///
    /// # Errors
    /// When the database does not answer: nothing was asked then.
    pub async fn ask_sync(&self, tenant: &TenantId, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut client = self.client("ask_sync").await?;
        let tx = client.transaction().await?;
        let insert = "insert into console.sync_request (tenant, actor, at) values ($1, $2, $3)";
        sql::execute(&*tx, insert, &[&tenant.as_str(), &entry.actor, &entry.at.0]).await?;
        audit::append(&tx, tenant, std::slice::from_ref(entry)).await?;
        tx.commit().await
    }

    /// What was asked for, and what was taken up of it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sync_asked(&self, tenant: &TenantId) -> Result<SyncAsked, StoreError> {
        let client = self.client("sync_asked").await?;
        let select = "select coalesce((select max(id) from console.sync_request where tenant = $1), 0),
                             coalesce((select request from plan.sync_taken where tenant = $1), 0),
                             coalesce((select until_at from plan.sync_taken where tenant = $1), $2)";
        let rows = sql::query_on(&client, select, &[&tenant.as_str(), &Time::NEVER.0]).await?;
        let Some(row) = rows.first() else { return Err(StoreError::corrupt("plan.sync_taken", "no answer")) };
        Ok(SyncAsked { newest: row.number(0)?, taken: SyncTaken { request: row.number(1)?, until: row.time(2)? } })
    }
}
