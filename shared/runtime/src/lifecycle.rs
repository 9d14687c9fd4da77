//! Beginning and end of a process: signals, tracked tasks, an orderly stop.
//!
//! The first SIGTERM or SIGINT asks softly: take no new work, finish the call in flight, settle it. A second one, or
//! [`GRACE`] later, stops for good. What is then unfinished is *unknown* in the ledger and resolved by whoever comes next.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::Fault;

/// A service from its beginning to its end. Boxed by the crate that it belongs to, so that all of it is compiled there,
/// once, and not again in each program that runs it.
pub type Run = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>;

/// How long a process may take to finish what it holds once it was asked to stop.
pub const GRACE: Duration = Duration::from_secs(20);

/// The process's end, as a value that all loops hold. Clones belong together.
#[derive(Clone, Debug)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
}

/// How the end went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All tasks finished by themselves.
    Cleanly,
    /// Tasks were still running when the time was up.
    Abandoned {
        /// How many.
        tasks: usize,
    },
}

impl Shutdown {
    /// An end that begins with SIGTERM or SIGINT. To be called inside the runtime, once per process.
    ///
    /// # Errors
    /// When the system refuses to hand over the signals.
    pub fn on_signals() -> std::io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = Self::manual();
        let ours = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = ours.soft.cancelled() => {}
            }
            ours.begin();
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = tokio::time::sleep(GRACE) => {}
                () = ours.hard.cancelled() => {}
            }
            ours.hard.cancel();
        });
        Ok(shutdown)
    }

    /// An end that begins when [`Self::begin`] is called: for tests, and for services that run inside another process.
    pub fn manual() -> Self {
        let hard = CancellationToken::new();
        Self { soft: CancellationToken::new(), hard, tasks: TaskTracker::new() }
    }

    /// Asks everybody to stop. Calling it again changes nothing.
    pub fn begin(&self) {
        if !self.soft.is_cancelled() {
            tracing::info!(event.name = "rollcall.lifecycle.stopping", "stopping: finishing what is in flight");
            self.soft.cancel();
        }
    }

    /// Whether the end has begun: take no new work.
    pub fn has_begun(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Returns when the end begins.
    pub async fn begun(&self) {
        self.soft.cancelled().await;
    }

    /// The token behind [`Self::begun`], for libraries that take one.
    pub const fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// The token that says: drop everything now.
    pub const fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Runs a task that the end waits for, in the current span. It should return soon after [`Self::begun`]; it is
    /// dropped, at its next `await`, when the time is up.
    pub fn spawn<Work>(&self, work: Work) -> JoinHandle<Option<Work::Output>>
    where
        Work: Future + Send + 'static,
        Work::Output: Send + 'static,
    {
        let hard = self.hard.clone();
        self.tasks.spawn(async move { hard.run_until_cancelled(work).await }.in_current_span())
    }

    /// Waits for the end to begin, then for the tasks. After [`GRACE`] the rest is told to drop everything, and not
    /// waited for longer than a further second.
    pub async fn finish(&self) -> Ended {
        self.begun().await;
        self.finish_within(GRACE).await
    }

    /// As [`Self::finish`], beginning the end at once and with a grace of one's own.
    pub async fn finish_within(&self, grace: Duration) -> Ended {
        self.begin();
        self.tasks.close();
        tokio::select! {
            () = self.tasks.wait() => {
                // Lets go of the task that waits for signals.
                self.hard.cancel();
                return Ended::Cleanly;
            }
            () = tokio::time::sleep(grace) => {}
            () = self.hard.cancelled() => {}
        }
        let tasks = self.tasks.len();
        self.hard.cancel();
        // Dropping takes a moment: connections close, deliveries turn into retries.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.tasks.wait()).await;
        tracing::warn!(event.name = "rollcall.lifecycle.abandoned", tasks, "stopped before all work was finished");
        Ended::Abandoned { tasks }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn the_end_waits_for_work_in_flight() {
        let shutdown = Shutdown::manual();
        let ours = shutdown.clone();
        let work = shutdown.spawn(async move {
            ours.begun().await;
            tokio::task::yield_now().await;
            "settled"
        });
        assert_eq!(shutdown.finish_within(Duration::from_secs(10)).await, Ended::Cleanly);
        assert_eq!(work.await.unwrap(), Some("settled"));
    }

    #[tokio::test]
    async fn what_does_not_stop_is_dropped_when_the_time_is_up() {
        let shutdown = Shutdown::manual();
        let stuck = shutdown.spawn(std::future::pending::<()>());
        let ended = shutdown.finish_within(Duration::from_millis(10)).await;
        assert_eq!(ended, Ended::Abandoned { tasks: 1 });
        assert_eq!(stuck.await.unwrap(), None);
        assert!(shutdown.hard().is_cancelled());
    }

    #[tokio::test]
    async fn beginning_twice_is_beginning_once() {
        let shutdown = Shutdown::manual();
        assert!(!shutdown.has_begun());
        shutdown.begin();
        shutdown.begin();
        assert!(shutdown.has_begun());
        assert_eq!(shutdown.finish().await, Ended::Cleanly);
    }
}
