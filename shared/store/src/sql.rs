//! Small helpers around prepared statements and rows.

use deadpool_postgres::Transaction;
use model::{AccountId, Digest, DirectoryId, GroupId, TenantId, Time};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::StoreError;

/// Parameters of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Runs a statement that is prepared once per connection.
pub(crate) async fn execute(tx: &Transaction<'_>, sql: &str, params: Params<'_>) -> Result<u64, StoreError> {
    let statement = tx.prepare_cached(sql).await?;
    Ok(tx.execute(&statement, params).await?)
}

/// Runs a query that is prepared once per connection.
pub(crate) async fn query(tx: &Transaction<'_>, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
    let statement = tx.prepare_cached(sql).await?;
    Ok(tx.query(&statement, params).await?)
}

/// Runs a query outside a transaction.
pub(crate) async fn query_on(
    client: &deadpool_postgres::Object,
    sql: &str,
    params: Params<'_>,
) -> Result<Vec<Row>, StoreError> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query(&statement, params).await?)
}

/// Runs a statement outside a transaction.
pub(crate) async fn execute_on(
    client: &deadpool_postgres::Object,
    sql: &str,
    params: Params<'_>,
) -> Result<u64, StoreError> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.execute(&statement, params).await?)
}

/// Text as PostgreSQL can hold it: the one character that it cannot is replaced.
pub(crate) fn clean(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

/// Reads ids, numbers and digests from a row's columns and names the table when they are not what we write.
pub(crate) trait Columns {
    fn tenant(&self, table: &'static str, column: usize) -> Result<TenantId, StoreError>;
    fn directory(&self, table: &'static str, column: usize) -> Result<DirectoryId, StoreError>;
    fn account(&self, table: &'static str, column: usize) -> Result<AccountId, StoreError>;
    fn group(&self, table: &'static str, column: usize) -> Result<GroupId, StoreError>;
    fn time(&self, column: usize) -> Result<Time, StoreError>;
    fn number(&self, column: usize) -> Result<u64, StoreError>;
    fn digest(&self, table: &'static str, column: usize) -> Result<Digest, StoreError>;
    fn json<T: serde::de::DeserializeOwned>(&self, table: &'static str, column: usize) -> Result<T, StoreError>;
}

impl Columns for Row {
    fn tenant(&self, table: &'static str, column: usize) -> Result<TenantId, StoreError> {
        TenantId::new(self.try_get::<_, &str>(column)?).map_err(|error| StoreError::corrupt(table, error))
    }

    fn directory(&self, table: &'static str, column: usize) -> Result<DirectoryId, StoreError> {
        DirectoryId::new(self.try_get::<_, &str>(column)?).map_err(|error| StoreError::corrupt(table, error))
    }

    fn account(&self, table: &'static str, column: usize) -> Result<AccountId, StoreError> {
        AccountId::new(self.try_get::<_, &str>(column)?).map_err(|error| StoreError::corrupt(table, error))
    }

    fn group(&self, table: &'static str, column: usize) -> Result<GroupId, StoreError> {
        GroupId::new(self.try_get::<_, &str>(column)?).map_err(|error| StoreError::corrupt(table, error))
    }

    fn time(&self, column: usize) -> Result<Time, StoreError> {
        Ok(Time(self.try_get(column)?))
    }

    fn number(&self, column: usize) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.try_get::<_, i64>(column)?).unwrap_or(0))
    }

    fn digest(&self, table: &'static str, column: usize) -> Result<Digest, StoreError> {
        let bytes: &[u8] = self.try_get(column)?;
        bytes.try_into().map(Digest).map_err(|_| StoreError::corrupt(table, "a digest has 32 bytes"))
    }

    fn json<T: serde::de::DeserializeOwned>(&self, table: &'static str, column: usize) -> Result<T, StoreError> {
        let bytes: &[u8] = match self.try_get::<_, &[u8]>(column) {
            Ok(bytes) => bytes,
            Err(_) => self.try_get::<_, &str>(column)?.as_bytes(),
        };
        serde_json::from_slice(bytes).map_err(|error| StoreError::corrupt(table, error))
    }
}

/// A number as PostgreSQL's bigint.
pub(crate) fn big(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// JSON of one of our own values; they always have one.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// JSON as text.
pub(crate) fn json_text<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
