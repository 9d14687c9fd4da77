//! Bringing the schema up to date.

use std::sync::Arc;

use tokio_postgres::{Client, NoTls};

use crate::StoreError;
use crate::tls::{self, Tls};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Key of the advisory lock under which one process migrates and all others wait.
const LOCK: i64 = 0x726f_6c6c_6361_6c6c;

/// Brings the schema up to date; does nothing when it is. Several processes may call it at once: one migrates under an
/// advisory lock, the others wait and find nothing to do. Needs the owner's rights, and to create roles the first time.
///
/// Returns the schema's version.
///
/// # Errors
/// [`StoreError::Unreachable`] without an answer, [`StoreError::Migration`] when a step fails; a failed step leaves
/// nothing behind.
pub async fn migrate(url: &str) -> Result<i64, StoreError> {
    migrate_by(url, None).await
}

/// As [`migrate`], by TLS of this configuration where the URL has an `sslmode` that asks for it.
///
/// # Errors
/// As there.
pub async fn migrate_by(url: &str, by: Option<rustls::ClientConfig>) -> Result<i64, StoreError> {
    let config = tls::address(url)?;
    // How the connection ends changes nothing about what was committed.
    let (mut client, driver) = if let Some(by) = by {
        let (client, connection) = config.connect(Tls(Arc::new(by))).await?;
        (client, tokio::spawn(async move { connection.await.is_ok() }))
    } else {
        let (client, connection) = config.connect(NoTls).await?;
        (client, tokio::spawn(async move { connection.await.is_ok() }))
    };
    let result = run(&mut client).await;
    drop(client);
    let _ = driver.await;
    result
}

async fn run(client: &mut Client) -> Result<i64, StoreError> {
    client.execute("select pg_advisory_lock($1)", &[&LOCK]).await?;
    let report = embedded::migrations::runner()
        .set_migration_table_name("rollcall_schema_history")
        .run_async(client)
        .await
        .map_err(|error| StoreError::Migration(chain(&error)))?;
    for migration in report.applied_migrations() {
        tracing::info!(version = i64::from(migration.version()), name = migration.name(), "schema step applied");
    }
    let row = client.query_one("select coalesce(max(version), 0)::bigint from rollcall_schema_history", &[]).await?;
    client.execute("select pg_advisory_unlock($1)", &[&LOCK]).await?;
    Ok(row.try_get(0)?)
}

/// An error with its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Stamps a fresh database with the environment it belongs to, or refuses one that belongs to another: a copy of
/// production that wakes up elsewhere must not act.
///
/// # Errors
/// [`StoreError::OtherEnvironment`] when the stamp differs.
pub async fn check_environment(url: &str, environment: &str) -> Result<(), StoreError> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let driver = tokio::spawn(connection);
    let stamp = "insert into common.stamp (environment) values ($1) on conflict do nothing";
    client.execute(stamp, &[&environment]).await?;
    let row = client.query_one("select environment from common.stamp", &[]).await?;
    let found: String = row.try_get(0)?;
    drop(client);
    let _ = driver.await;
    if found == environment {
        Ok(())
    } else {
        Err(StoreError::OtherEnvironment { expected: environment.to_owned(), found })
    }
}
