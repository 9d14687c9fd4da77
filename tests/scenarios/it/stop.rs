//! Ctrl-C: the first lets calls in flight end and begins no other, the second ends at once, and the next run goes on.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::{Lines, Process, eventually};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use scenarios::{Company, Outside};
use twin::engine::fault::FaultKind;

use crate::{WITHIN, crash::audit_and_effects_agree};

/// How soon a process must be gone once it was told.
const AT_ONCE: Duration = Duration::from_secs(15);
/// Longer than anybody waits.
const NEVER: i64 = 600_000;

async fn outside() -> Result<Outside> {
    let company = Company::of(30).group("staff", 0..24).group("readers", 2..6);
    Outside::start(&company.snapshot(), &company.policy()).await
}

fn start(outside: &Outside) -> Result<Process> {
    Process::spawn("apply", outside.command(&["apply", "--yes"])?, &Lines::default())
}

/// Waits until a fault has hit a call.
async fn until_hit(outside: &Outside, fault: u64) -> Result<()> {
    eventually(WITHIN, "a call to be on its way", async || {
        let faults = outside.twin.twin.engine.faults.all();
        Ok(faults.iter().any(|one| one.id == fault && one.hits > 0).then_some(()))
    })
    .await
}

async fn ended(running: &mut Process) -> Result<()> {
    let code = running.wait(AT_ONCE).await?.code();
    ensure!(code == Some(130), "{code:?}: {}", running.lines().tail(20));
    Ok(())
}

/// The next run does the rest, and all of it is in the audit.
async fn goes_on(outside: &Outside) -> Result<()> {
    outside.no_faults();
    let again = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    assert_eq!(outside.difference(), Vec::<String>::new());
    audit_and_effects_agree(outside)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_both_sides_are_read_ends_with_130_and_nothing_was_applied() -> Result<()> {
    for (family, operation) in [("google.directory", "users.list"), ("atlassian.org", "groups.*")] {
        let outside = outside().await?;
        let before = outside.sequence();
        let fault = outside.fault(family, operation, FaultKind::Slow { ms: NEVER }, |_| {});
        let mut running = start(&outside)?;
        until_hit(&outside, fault).await?;
        running.signal(Signal::INT)?;
        ended(&mut running).await?;
        let said = running.lines().tail(3);
        assert!(said.contains("nothing was applied") && said.contains("same command"), "{said}");
        assert_eq!(outside.sequence(), before);
        goes_on(&outside).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_it_applies_lets_calls_in_flight_end_and_the_next_run_goes_on() -> Result<()> {
    let outside = outside().await?;
    outside.fault("atlassian.org", "memberships.*", FaultKind::Slow { ms: 300 }, |_| {});
    let mut running = start(&outside)?;
    eventually(WITHIN, "some of it to be applied", async || Ok((outside.effects(0).len() >= 4).then_some(()))).await?;
    running.signal(Signal::INT)?;
    ended(&mut running).await?;
    let (said, done) = (running.lines().tail(6), outside.effects(0).len());
    assert!(said.contains("Stopped. What was begun is settled; the same command goes on with the rest."), "{said}");
    assert!(said.contains("not finished") && done < 2 + 24 + 4, "{done}: {said}");
    audit_and_effects_agree(&outside)?;
    goes_on(&outside).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() -> Result<()> {
    let outside = outside().await?;
    let fault = outside.fault("atlassian.org", "memberships.*", FaultKind::Slow { ms: NEVER }, |_| {});
    let mut running = start(&outside)?;
    until_hit(&outside, fault).await?;
    eventually(AT_ONCE, "the second signal to end it", async || {
        // Two signals that come together are one; so again and again, as somebody would who is in a hurry.
        Ok(running.signal(Signal::INT).is_err().then_some(()))
    })
    .await?;
    ended(&mut running).await?;
    assert!(running.lines().tail(3).contains("Stopped at once"), "{}", running.lines().tail(3));
    goes_on(&outside).await
}

/// An apply whose questions are asked on a pseudo-terminal, and what it has shown there.
struct AtTerminal {
    child: std::process::Child,
    terminal: File,
    shown: Arc<Mutex<String>>,
}

impl AtTerminal {
    fn start(outside: &Outside) -> Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?.into_string()?;
        let theirs = || File::options().read(true).write(true).open(&name);
        let mut command = outside.command(&["apply"])?;
        let child = command.stdin(theirs()?).stderr(theirs()?).stdout(theirs()?).spawn()?;
        drop(command);
        let (terminal, shown) = (File::from(ours), Arc::new(Mutex::new(String::new())));
        let (mut from, into) = (terminal.try_clone()?, Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut block = [0; 1024];
            // The end of the other side is an error here.
            while let Ok(length @ 1..) = from.read(&mut block) {
                let text = String::from_utf8_lossy(&block[..length]).into_owned();
                into.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Ok(Self { child, terminal, shown })
    }

    async fn until_shown(&self, text: &str) -> Result<()> {
        eventually(WITHIN, "the terminal to show it", async || {
            let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
            ensure!(shown.contains(text), "it shows {shown}");
            Ok(Some(()))
        })
        .await
    }

    async fn code(&mut self) -> Result<i32> {
        let ended = eventually(AT_ONCE, "it to end", async || Ok(self.child.try_wait()?)).await?;
        ended.code().context("ended by a signal")
    }
}

impl Drop for AtTerminal {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_at_the_question_ends_with_130_and_an_answer_applies() -> Result<()> {
    let outside = outside().await?;
    let before = outside.sequence();
    let mut asked = AtTerminal::start(&outside)?;
    asked.until_shown("Type yes:").await?;
    kill_process(Pid::from_child(&asked.child), Signal::INT)?;
    assert_eq!(asked.code().await?, 130);
    asked.until_shown("nothing was applied").await?;
    assert_eq!(outside.sequence(), before);
    for (answer, code) in [("no\n", 3), ("yes\n", 0)] {
        let mut asked = AtTerminal::start(&outside)?;
        asked.until_shown("Type yes:").await?;
        assert_eq!(outside.sequence(), before, "nothing is applied before the answer");
        asked.terminal.write_all(answer.as_bytes())?;
        assert_eq!(asked.code().await?, code);
    }
    assert_eq!(outside.difference(), Vec::<String>::new());
    Ok(())
}
