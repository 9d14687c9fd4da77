//! One of our own processes under test.

use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::process::{Lines, Process};
use crate::{eventually, find};

/// From start to ready. Debug builds on a busy machine are slow.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// How long an orderly end may take: the runtime's grace and a little.
const STOP_WITHIN: Duration = Duration::from_secs(25);

/// A binary of ours with its arguments, running or not; can be killed and started again.
#[derive(Debug)]
pub struct Service {
    name: String,
    binary: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    lines: Lines,
    process: Option<Process>,
}

impl Service {
    /// Starts `binary` (such as `rollcall-watcher`) with `arguments`.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn spawn<Text: AsRef<str>>(binary: &str, arguments: impl IntoIterator<Item = Text>) -> Result<Self> {
        Self::spawn_with(binary, arguments, std::iter::empty::<(&str, &str)>())
    }

    /// As [`Self::spawn`], with environment variables. Those of the test itself that begin with `ROLLCALL_` or `OTEL_` are
    /// not passed on.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn spawn_with<Text: AsRef<str>, Name: AsRef<str>, Value: AsRef<str>>(
        binary: &str,
        arguments: impl IntoIterator<Item = Text>,
        environment: impl IntoIterator<Item = (Name, Value)>,
    ) -> Result<Self> {
        let mut service = Self {
            name: binary.to_owned(),
            binary: find::ours(binary)?,
            arguments: arguments.into_iter().map(|text| text.as_ref().to_owned()).collect(),
            environment: environment
                .into_iter()
                .map(|(name, value)| (name.as_ref().to_owned(), value.as_ref().to_owned()))
                .collect(),
            lines: Lines::default(),
            process: None,
        };
        service.restart()?;
        Ok(service)
    }

    /// What it has printed, over all its lives.
    pub const fn lines(&self) -> &Lines {
        &self.lines
    }

    /// The id of its process; `None` when it is down.
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Starts it (again), with the same arguments. A running one is killed first.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart(&mut self) -> Result<()> {
        self.process = None;
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ROLLCALL_") || name.starts_with("OTEL_"))
        {
            command.env_remove(name);
        }
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.process = Some(Process::spawn(&self.name, command, &self.lines)?);
        Ok(())
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// SIGTERM, and waits for the orderly end.
    ///
    /// # Errors
    /// When it is down or does not end.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        let mut process = self.process.take().with_context(|| format!("{} is down", self.name))?;
        process.stop(STOP_WITHIN).await
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it is down or does not end.
    pub async fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let mut process = self.process.take().with_context(|| format!("{} is down", self.name))?;
        process.wait(within).await
    }

    /// An error when it has ended, with what it printed last.
    ///
    /// # Errors
    /// When it has ended.
    pub fn check_running(&mut self) -> Result<()> {
        match self.process.as_mut() {
            Some(process) => process.check_running(),
            None => bail!("{} is down", self.name),
        }
    }

    /// Waits until `url` (such as `http://127.0.0.1:PORT/readyz`) answers 200.
    ///
    /// # Errors
    /// When it ends or the time is up; shows what it last answered, or printed.
    pub async fn wait_ready(&mut self, url: &str) -> Result<()> {
        let client = crate::http()?;
        let process = self.process.as_mut().with_context(|| format!("{} is down", self.name))?;
        let ready = eventually(READY_WITHIN, &format!("{} to be ready at {url}", self.name), async || {
            if process.ended().is_some() {
                return Ok(Some(()));
            }
            let answer = client.get(url).send().await?;
            let status = answer.status();
            if status.is_success() {
                return Ok(Some(()));
            }
            bail!("it answered {status}: {}", answer.text().await.unwrap_or_default())
        })
        .await;
        process.check_running()?;
        ready.with_context(|| format!("{} printed last:\n{}", self.name, self.lines.tail(40)))
    }

    /// Waits for a line that contains `text`, and gives it.
    ///
    /// # Errors
    /// When the time is up; shows what it printed.
    pub async fn wait_line(&mut self, text: &str, within: Duration) -> Result<String> {
        let lines = self.lines.clone();
        eventually(within, &format!("{} to print {text:?}", self.name), async || Ok(lines.find(text)))
            .await
            .with_context(|| format!("{} printed last:\n{}", self.name, self.lines.tail(40)))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_binary_that_is_not_built_is_named_with_what_to_do() {
        let error = Service::spawn("rollcall-nothing", ["--help"]).unwrap_err().to_string();
        assert!(error.contains("rollcall-nothing is not built") && error.contains("cargo build"), "{error}");
    }
}
