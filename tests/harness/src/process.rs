//! A child process that cannot outlive the test, with its output kept.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::Deadline;

/// How many of the last lines a failed test shows of each process.
const LINES_SHOWN: usize = 60;

/// Most lines kept of one process; older ones are dropped.
const LINES_KEPT: usize = 20_000;

/// How long what an ended process has printed may take to be read.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What a process has printed so far, both streams in the order in which they arrived. Clones share it, and it
/// outlives the process.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// All lines so far.
    pub fn all(&self) -> Vec<String> {
        self.lock().clone()
    }

    /// The first line so far that contains `text`.
    pub fn find(&self, text: &str) -> Option<String> {
        self.lock().iter().find(|line| line.contains(text)).cloned()
    }

    /// The last lines as one text, for an error message.
    pub fn tail(&self, count: usize) -> String {
        let lines = self.lock();
        lines.iter().skip(lines.len().saturating_sub(count)).cloned().collect::<Vec<_>>().join("\n")
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn collect(&self, stream: impl Read + Send + 'static) -> JoinHandle<()> {
        let lines = self.clone();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut bytes = Vec::new();
            while reader.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
                let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                let mut kept = lines.lock();
                if kept.len() == LINES_KEPT {
                    kept.drain(..LINES_KEPT / 2);
                }
                kept.push(line);
                bytes.clear();
            }
        })
    }
}

/// A running child. Its end, or the test's, ends the process: with SIGKILL, unless another signal is its last.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    last: Signal,
    lines: Lines,
    /// Those who read what it prints; they end with its streams.
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command` under `name`, adding its output to `lines`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(name: &str, command: Command, lines: &Lines) -> Result<Self> {
        Self::spawn_as(name, command, None, Signal::KILL, lines)
    }

    /// As [`Self::spawn`], as another user where one is given, and ended by this signal.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_as(name: &str, command: Command, user: Option<User>, last: Signal, lines: &Lines) -> Result<Self> {
        let mut command = tied_to_us(&command, user, last);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = on_lasting_thread(command).with_context(|| format!("cannot start {name}"))?;
        let printed = child.stdout.take().map(|stream| lines.collect(stream));
        let told = child.stderr.take().map(|stream| lines.collect(stream));
        let readers = printed.into_iter().chain(told).collect();
        Ok(Self { name: name.to_owned(), child, last, lines: lines.clone(), readers })
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed.
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        // It may be gone already; waiting is then at once.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.ended() {
            bail!("{} has ended already: {status}", self.name);
        }
        kill_process(Pid::from_child(&self.child), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Waits until it ends by itself, and until its last words are read.
    ///
    /// # Errors
    /// When it does not within the time; shows what it printed last.
    pub async fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let deadline = Deadline::after(within);
        loop {
            if let Some(status) = self.ended() {
                // What it has started itself may hold its streams open, and is not waited for.
                let last_words = Deadline::after(LAST_WORDS);
                while !self.readers.iter().all(JoinHandle::is_finished) && !last_words.is_over() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                return Ok(status);
            }
            if deadline.is_over() {
                bail!(
                    "{} did not end within {within:?}; it printed last:\n{}",
                    self.name,
                    self.lines.tail(LINES_SHOWN)
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// SIGTERM, and waits until it has ended.
    ///
    /// # Errors
    /// When it does not within the time.
    pub async fn stop(&mut self, within: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.ended() {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        self.wait(within).await
    }

    /// An error with the last lines when the process has ended: for loops that wait for it to become ready.
    ///
    /// # Errors
    /// When it has ended.
    pub fn check_running(&mut self) -> Result<()> {
        if let Some(status) = self.ended() {
            bail!("{} ended with {status}; it printed last:\n{}", self.name, self.lines.tail(LINES_SHOWN));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} printed last:\n{}", self.name, self.lines.tail(LINES_SHOWN));
        }
        if self.last != Signal::KILL && self.signal(self.last).is_ok() {
            let deadline = Deadline::after(LAST_WORDS);
            while self.ended().is_none() && !deadline.is_over() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.kill();
    }
}

/// Another user for a program to run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's number.
    pub uid: u32,
    /// The number of the user's group.
    pub gid: u32,
}

impl User {
    /// Whom to run PostgreSQL as: nobody else unless we are root; then `postgres`, or `nobody`.
    ///
    /// # Errors
    /// When root finds neither.
    pub fn for_postgres() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = std::fs::read_to_string("/etc/passwd").context("cannot read the list of users")?;
        let found = ["postgres", "nobody"].into_iter().find_map(|name| Self::named(&passwd, name));
        found.map(Some).context("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")
    }

    fn flags(self) -> [String; 3] {
        [format!("--reuid={}", self.uid), format!("--regid={}", self.gid), "--clear-groups".to_owned()]
    }

    fn named(passwd: &str, name: &str) -> Option<Self> {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some(Self { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    }
}

/// A command for `program`, run as `user` where one is given.
pub fn command_as(program: &Path, user: Option<User>) -> Command {
    let Some(user) = user else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args(user.flags()).arg("--").arg(program);
    // The home of the caller is of no use to that user.
    command.env("HOME", "/").current_dir("/");
    command
}

/// Runs a command to its end and gives what it printed on standard output.
///
/// # Errors
/// When it fails; shows what it printed.
pub fn run(what: &str, command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {what}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !output.status.success() {
        bail!("{what} failed with {}:\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
    }
    Ok(text(&output.stdout))
}

/// The same command under `setpriv`, which has the kernel end it when its parent dies. One `setpriv` does both that and
/// the change of user, since the kernel forgets the first at the second.
fn tied_to_us(command: &Command, user: Option<User>, last: Signal) -> Command {
    let mut tied = Command::new("setpriv");
    if let Some(user) = user {
        tied.args(user.flags()).env("HOME", "/").current_dir("/");
    }
    let last = if last == Signal::QUIT { "QUIT" } else { "KILL" };
    tied.args(["--pdeathsig", last, "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => tied.env(name, value),
            None => tied.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        tied.current_dir(folder);
    }
    tied
}

type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

/// The kernel's "parent" is the *thread* that started the child: one that ends would take the child with it. So all
/// children are started by one thread that lives as long as the process.
fn on_lasting_thread(command: Command) -> std::io::Result<Child> {
    static ORDERS: LazyLock<Mutex<mpsc::Sender<Order>>> = LazyLock::new(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            while let Ok((mut command, answer)) = orders.recv() {
                // The caller may have gone; the child is then dropped, and killed with us at the latest.
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (sender, answer) = mpsc::channel();
    let gone = || std::io::Error::other("the thread that starts children has ended");
    ORDERS.lock().unwrap_or_else(PoisonError::into_inner).send((command, sender)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn output_and_end_are_kept() {
        let lines = Lines::default();
        let mut process = Process::spawn("sh", shell("echo out; echo err >&2; exit 7"), &lines).unwrap();
        let status = process.wait(Duration::from_secs(10)).await.unwrap();
        assert_eq!(status.code(), Some(7));
        crate::eventually(Duration::from_secs(10), "both lines", async || Ok(lines.find("out").and(lines.find("err"))))
            .await
            .unwrap();
        assert!(process.check_running().unwrap_err().to_string().contains("exit status: 7"));
    }

    #[tokio::test]
    async fn a_child_outlives_the_thread_that_asked_for_it_and_not_its_value() {
        let spawn = || Process::spawn("sleep", shell("exec sleep 600"), &Lines::default()).unwrap();
        let mut process = std::thread::spawn(spawn).join().unwrap();
        process.check_running().unwrap();
        let id = process.id();
        drop(process);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }

    #[test]
    fn users_are_read_from_the_list() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65533:nobody:/:/bin/false\n";
        assert_eq!(User::named(passwd, "nobody"), Some(User { uid: 65534, gid: 65533 }));
        assert_eq!(User::named(passwd, "postgres"), None);
    }
}
