//! Small helpers around prepared statements and rows.

use std::borrow::Cow;

use deadpool_postgres::{GenericClient, Object};
use model::{AccountId, Digest, DirectoryId, GroupId, TenantId, Time};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use crate::{StoreError, seen::Client};

/// Before statements of a transaction that go over many rows of both sides: they are planned for what is there, with a
/// hash. A nested loop over a few thousand rows at each side, as statistics of empty tables suggest it, takes seconds
/// where a hash takes milliseconds.
pub(crate) const MANY: &str = "set local plan_cache_mode = force_custom_plan; set local enable_seqscan = on;
    set local enable_hashjoin = on; set local enable_mergejoin = on; set local enable_nestloop = off";

/// Parameters of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Runs a statement that is prepared once per connection.
pub(crate) async fn execute(tx: &impl GenericClient, sql: &str, params: Params<'_>) -> Result<u64, StoreError> {
    let statement = tx.prepare_cached(sql).await?;
    Ok(tx.execute(&statement, params).await?)
}

/// Runs a query that is prepared once per connection.
pub(crate) async fn query(tx: &impl GenericClient, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
    let statement = tx.prepare_cached(sql).await?;
    Ok(tx.query(&statement, params).await?)
}

/// A parameter that its statement owns.
pub(crate) type Value<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// Owned parameters of one statement.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$(Box::new($value) as $crate::sql::Value<'_>),*] };
}
pub(crate) use values;

/// How many statements travel together. Few enough that all are polled in order from the first time on.
const TOGETHER: usize = 24;

/// Statements of one transaction of which none needs another's answer: they are sent together and done in the order in
/// which they were added, for one round trip in all.
#[derive(Default)]
pub(crate) struct Batch<'a> {
    statements: Vec<(Cow<'static, str>, Vec<Value<'a>>)>,
}

impl<'a> Batch<'a> {
    /// Adds a statement and gives its place among the answers.
    pub(crate) fn add(&mut self, statement: impl Into<Cow<'static, str>>, values: Vec<Value<'a>>) -> usize {
        self.statements.push((statement.into(), values));
        self.statements.len() - 1
    }

    /// Runs all of them. Gives the rows of each, by its place.
    pub(crate) async fn run(&self, tx: &impl GenericClient) -> Result<Vec<Vec<Row>>, StoreError> {
        in_parts(tx, &self.prepare(tx).await?).await
    }

    /// What is prepared for the first time costs a round trip, and must not let a later statement pass.
    async fn prepare(&self, tx: &impl GenericClient) -> Result<Vec<Prepared<'_>>, StoreError> {
        let mut prepared = Vec::with_capacity(self.statements.len());
        for (statement, values) in &self.statements {
            let params: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
            prepared.push((tx.prepare_cached(statement).await?, params));
        }
        Ok(prepared)
    }
}

/// A statement that can be sent.
type Prepared<'a> = (Statement, Vec<&'a (dyn ToSql + Sync)>);

async fn in_parts(tx: &impl GenericClient, prepared: &[Prepared<'_>]) -> Result<Vec<Vec<Row>>, StoreError> {
    let mut answers = Vec::with_capacity(prepared.len());
    for some in prepared.chunks(TOGETHER) {
        answers.extend(together(tx, some).await?);
    }
    Ok(answers)
}

/// A statement is sent when it is first polled, and these are polled one after the other.
async fn together(tx: &impl GenericClient, some: &[Prepared<'_>]) -> Result<Vec<Vec<Row>>, StoreError> {
    let sent = some.iter().map(|(statement, params)| tx.query(statement, params));
    Ok(futures_util::future::try_join_all(sent).await?)
}

/// Runs a batch as a transaction of its own of which nothing need be looked at before it is committed: one round trip in
/// all. A statement that fails undoes the others.
pub(crate) async fn commit(client: Client, batch: &Batch<'_>) -> Result<Vec<Vec<Row>>, StoreError> {
    let mut work = Work { client: Some(client) };
    let answers = {
        let client = work.client()?;
        let prepared = batch.prepare(&client.object).await?;
        // Sent in this order. What comes in parts must be known to have gone well before it is committed.
        let begin = async { Ok(client.batch_execute("begin").await?) };
        if batch.statements.len() <= TOGETHER {
            let commit = async { Ok(client.batch_execute("commit").await?) };
            let all = async { futures_util::try_join!(begin, together(&client.object, &prepared), commit) };
            client.call.note(all.await)?.1
        } else {
            let ((), answers) = client
                .call
                .note(async { futures_util::try_join!(begin, in_parts(&client.object, &prepared)) }.await)?;
            client.batch_execute("commit").await?;
            answers
        }
    };
    drop(work.client.take());
    Ok(answers)
}

/// A transaction that begins with its first batch, without a round trip of its own. Dropped before its commit, it takes
/// the connection with it, and the database forgets what it did.
pub(crate) struct Work {
    client: Option<Client>,
}

impl Work {
    /// Begins with a batch and gives its answers.
    pub(crate) async fn begin(client: Client, batch: &Batch<'_>) -> Result<(Self, Vec<Vec<Row>>), StoreError> {
        let work = Self { client: Some(client) };
        let answers = {
            let client = work.client()?;
            // Sent in this order.
            let begin = async { Ok(client.batch_execute("begin").await?) };
            let all = async { futures_util::try_join!(begin, batch.run(&client.object)) };
            client.call.note(all.await)?.1
        };
        Ok((work, answers))
    }

    /// The connection.
    pub(crate) fn client(&self) -> Result<&Client, StoreError> {
        self.client.as_ref().ok_or_else(|| StoreError::corrupt("a transaction", "it has ended"))
    }

    /// Commits, and gives the connection back.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        let client = self.client()?;
        client.call.note(client.batch_execute("commit").await.map_err(StoreError::from))?;
        drop(self.client.take());
        Ok(())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(Client { object, call }) = self.client.take() {
            call.failed("rolled_back");
            drop(Object::take(object));
        }
    }
}

/// Runs a query outside a transaction.
pub(crate) async fn query_on(client: &Client, sql: &str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
    client.call.note(query(&client.object, sql, params).await)
}

/// Runs a statement outside a transaction.
pub(crate) async fn execute_on(client: &Client, sql: &str, params: Params<'_>) -> Result<u64, StoreError> {
    client.call.note(execute(&client.object, sql, params).await)
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
