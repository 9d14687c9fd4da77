//! A private PostgreSQL, with databases cloned from templates.
//!
//! Making a data folder takes seconds, so one is kept per version and user in the folder for temporary files, and copied.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tokio_postgres::NoTls;

use crate::process::{Lines, Process, User, command_as, run};
use crate::{eventually, find, ports};

/// From start to usable; after a kill under load recovery may have much to read.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// The name of the superuser, who needs no password: the server listens on 127.0.0.1 alone.
const SUPERUSER: &str = "rollcall";

/// Whether a commit waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// As in production.
    Durable,
    /// `fsync` off: for tests in which no machine fails. What was committed survives a kill all the same.
    Fast,
}

/// One server on its own port with its own data.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    folder: TempDir,
    user: Option<User>,
    port: u16,
    durability: Durability,
    lines: Lines,
    process: Option<Process>,
}

impl Postgres {
    /// A durable server, ready.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not become ready.
    pub async fn start() -> Result<Self> {
        Self::start_with(Durability::Durable).await
    }

    /// A server that does not wait for the disk, ready.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not become ready.
    pub async fn fast() -> Result<Self> {
        Self::start_with(Durability::Fast).await
    }

    /// A server as asked for, ready.
    ///
    /// # Errors
    /// When PostgreSQL is not installed or does not become ready.
    pub async fn start_with(durability: Durability) -> Result<Self> {
        let bin = find::postgres_bin()?;
        let user = User::for_postgres()?;
        let folder = tempfile::Builder::new().prefix("rollcall-postgres-").tempdir()?;
        give(folder.path(), user)?;
        let pristine = pristine(&bin, user)?;
        let mut copy = command_as(Path::new("cp"), user);
        run("copying a data folder", copy.arg("-a").arg(pristine).arg(folder.path().join("data")))?;
        let port = ports::free()?;
        let mut postgres = Self { bin, folder, user, port, durability, lines: Lines::default(), process: None };
        postgres.restart().await?;
        Ok(postgres)
    }

    /// The address of a database of this server, for its superuser.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://{SUPERUSER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Its port, for a proxy in between.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What it has logged.
    pub const fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Makes an empty database and gives its address.
    ///
    /// # Errors
    /// When there is one of that name.
    pub async fn database(&self, name: &str) -> Result<String> {
        self.database_from("template1", name).await
    }

    /// Makes a database that is a copy of `template` (see [`Self::template`]) and gives its address. Takes a few
    /// milliseconds, whatever it took to make the template.
    ///
    /// # Errors
    /// When there is one of that name, or somebody is connected to the template.
    pub async fn database_from(&self, template: &str, name: &str) -> Result<String> {
        self.execute(&format!("CREATE DATABASE {} TEMPLATE {}", quoted(name), quoted(template))).await?;
        Ok(self.url(name))
    }

    /// Makes a database for others to be copied from: empty, then filled by `fill`, which is given its address and must
    /// have closed its connections when it returns.
    ///
    /// # Errors
    /// When there is one of that name, or `fill` fails.
    pub async fn template(&self, name: &str, fill: impl AsyncFnOnce(String) -> Result<()>) -> Result<()> {
        let url = self.database(name).await?;
        fill(url).await.with_context(|| format!("cannot fill the template {name}"))
    }

    /// A connection to a database of this server, as its superuser; lives until the client is dropped.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn connect(&self, database: &str) -> Result<tokio_postgres::Client> {
        let (client, connection) = tokio_postgres::connect(&self.url(database), NoTls).await?;
        // It ends with the client, or with the server; the client then says so.
        tokio::spawn(connection);
        Ok(client)
    }

    /// SIGKILL to the server, which takes its backends with it. Data and port stay.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Fast stop: connections are cut, what is committed is written. Data and port stay.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.signal(rustix::process::Signal::INT)?;
            process.wait(READY_WITHIN).await?;
        }
        Ok(())
    }

    /// Starts it (again) on the same port with the same data; ready when this returns.
    ///
    /// # Errors
    /// When it does not become ready; shows what it logged.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = None;
        // After a kill the last backends may hold the shared memory for a moment; the server then refuses to start.
        eventually(READY_WITHIN, "PostgreSQL to accept connections", async || {
            if self.process.as_mut().is_none_or(|process| process.ended().is_some()) {
                self.process = Some(self.launch()?);
            }
            let client = self.connect("postgres").await?;
            client.simple_query("SELECT 1").await?;
            Ok(Some(()))
        })
        .await
        .with_context(|| format!("PostgreSQL logged last:\n{}", self.lines.tail(20)))
    }

    fn launch(&self) -> Result<Process> {
        let mut command = Command::new(self.bin.join("postgres"));
        command.arg("-D").arg(self.folder.path().join("data")).arg("-p").arg(self.port.to_string());
        let mut settings = vec![
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=200",
            "shared_buffers=64MB",
            "max_wal_size=2GB",
            "log_min_messages=warning",
            "restart_after_crash=on",
        ];
        if self.durability == Durability::Fast {
            settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"]);
        }
        for setting in settings {
            command.args(["-c", setting]);
        }
        // Killed, it would leave its segment of shared memory behind; of those the machine has some thousands.
        Process::spawn_as("postgres", command, self.user, rustix::process::Signal::QUIT, &self.lines)
    }

    async fn execute(&self, statement: &str) -> Result<()> {
        let client = self.connect("postgres").await?;
        client.batch_execute(statement).await.with_context(|| statement.to_owned())
    }
}

/// A data folder fresh from `initdb`, made once per version and user.
fn pristine(bin: &Path, user: Option<User>) -> Result<PathBuf> {
    let version = run("postgres --version", Command::new(bin.join("postgres")).arg("--version"))?;
    let version = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let version = version.context("PostgreSQL does not say its version")?;
    let us = rustix::process::geteuid().as_raw();
    let folder = std::env::temp_dir().join(format!("rollcall-test-postgres-{version}-{us}"));
    std::fs::create_dir_all(&folder)?;
    give(&folder, user)?;
    // Whoever comes first makes it, the others wait; given back at the end of this function.
    let lock = File::options().create(true).append(true).open(folder.join("lock"))?;
    lock.lock()?;
    let (made, making) = (folder.join("data"), folder.join("making"));
    if !made.is_dir() {
        if making.exists() {
            std::fs::remove_dir_all(&making)?;
        }
        let mut initdb = command_as(&bin.join("initdb"), user);
        initdb.arg("-D").arg(&making).args(["-U", SUPERUSER, "--auth=trust", "-E", "UTF8", "--no-locale", "--no-sync"]);
        run("initdb", &mut initdb)?;
        std::fs::rename(&making, &made)?;
    }
    Ok(made)
}

/// Hands a folder of ours to the user that will write in it.
fn give(folder: &Path, user: Option<User>) -> Result<()> {
    let Some(user) = user else { return Ok(()) };
    std::os::unix::fs::chown(folder, Some(user.uid), Some(user.gid))
        .with_context(|| format!("cannot hand over {}", folder.display()))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn what_was_committed_survives_a_kill_and_templates_are_copied() {
        let mut postgres = Postgres::start().await.unwrap();
        postgres
            .template("migrated", async |url| {
                let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
                let running = tokio::spawn(connection);
                client.batch_execute("CREATE TABLE fact (value int); INSERT INTO fact VALUES (7)").await?;
                drop(client);
                running.await??;
                Ok(())
            })
            .await
            .unwrap();
        for name in ["one", "two"] {
            let url = postgres.database_from("migrated", name).await.unwrap();
            assert!(url.ends_with(name));
        }
        postgres.connect("one").await.unwrap().batch_execute("INSERT INTO fact VALUES (8)").await.unwrap();
        postgres.kill();
        postgres.restart().await.unwrap();
        let count = async |database: &str| {
            let client = postgres.connect(database).await.unwrap();
            client.query_one("SELECT count(*) FROM fact", &[]).await.unwrap().get::<_, i64>(0)
        };
        assert_eq!((count("one").await, count("two").await), (2, 1));
        let fsync = postgres.connect("one").await.unwrap().query_one("SHOW fsync", &[]).await.unwrap();
        assert_eq!(fsync.get::<_, String>(0), "on");
        postgres.stop().await.unwrap();
    }
}
