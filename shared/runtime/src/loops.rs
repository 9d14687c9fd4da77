//! Loops that come and go while a process runs: one for each name that is to be looked after.

use std::collections::BTreeMap;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::Shutdown;

/// The loops that run now, each by its name, with what it was begun for.
///
/// Guarantees: a name has one loop at a time, since a loop that takes another's place begins after that one's end; and
/// all of them are told to end when the process is.
#[derive(Debug)]
pub struct Loops<Name, Made> {
    shutdown: Shutdown,
    running: BTreeMap<Name, Running<Made>>,
    /// Told to end, and perhaps not there yet.
    ending: BTreeMap<Name, JoinHandle<Option<()>>>,
}

#[derive(Debug)]
struct Running<Made> {
    made: Made,
    stop: CancellationToken,
    task: JoinHandle<Option<()>>,
}

impl<Name: Ord, Made: PartialEq> Loops<Name, Made> {
    /// None yet; they end with the process.
    pub const fn new(shutdown: Shutdown) -> Self {
        Self { shutdown, running: BTreeMap::new(), ending: BTreeMap::new() }
    }

    /// Has exactly these running from now on: what is not among them is told to end, what is new begins, and what is
    /// to be made of something else ends and begins anew. `begin` gives a loop, which is to return soon after its token
    /// is cancelled. Gives the number of loops that were told to end.
    pub fn keep<Work>(
        &mut self,
        wanted: BTreeMap<Name, Made>,
        mut begin: impl FnMut(&Name, &Made, CancellationToken) -> Work,
    ) -> usize
    where
        Work: Future<Output = ()> + Send + 'static,
    {
        let mut ended = 0;
        for (name, running) in std::mem::take(&mut self.running) {
            if wanted.get(&name) == Some(&running.made) {
                self.running.insert(name, running);
            } else {
                running.stop.cancel();
                self.ending.insert(name, running.task);
                ended += 1;
            }
        }
        for (name, made) in wanted {
            if self.running.contains_key(&name) {
                continue;
            }
            let (stop, forerunner) = (self.shutdown.soft().child_token(), self.ending.remove(&name));
            let work = begin(&name, &made, stop.clone());
            let task = self.shutdown.spawn(async move {
                if let Some(forerunner) = forerunner
                    && forerunner.await.is_err()
                {
                    tracing::error!("a loop did not come to its end; another one takes its place");
                }
                work.await;
            });
            self.running.insert(name, Running { made, stop, task });
        }
        self.ending.retain(|_, task| !task.is_finished());
        ended
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::time::Duration;

    use tokio::sync::mpsc;

    use super::*;

    /// What the loops said, in this order.
    async fn said(words: &mut mpsc::UnboundedReceiver<String>, expected: &[&str]) {
        for expected in expected {
            let word = tokio::time::timeout(Duration::from_secs(10), words.recv()).await.unwrap().unwrap();
            assert_eq!(word, *expected);
        }
        assert!(words.try_recv().is_err(), "nothing else");
    }

    #[tokio::test]
    async fn what_is_new_begins_what_is_gone_ends_and_what_is_made_otherwise_begins_after_its_end() {
        let shutdown = Shutdown::manual();
        let mut loops = Loops::new(shutdown.clone());
        let (say, mut words) = mpsc::unbounded_channel();
        let begin = |name: &&'static str, made: &u8, stop: CancellationToken| {
            let (say, line) = (say.clone(), format!("{name}{made}"));
            async move {
                say.send(format!("{line} begins")).unwrap();
                stop.cancelled().await;
                say.send(format!("{line} ends")).unwrap();
            }
        };
        assert_eq!(loops.keep([("a", 1)].into(), begin), 0);
        said(&mut words, &["a1 begins"]).await;
        assert_eq!(loops.keep([("a", 1), ("b", 1)].into(), begin), 0);
        said(&mut words, &["b1 begins"]).await;
        assert_eq!(loops.keep([("a", 2), ("b", 1)].into(), begin), 1);
        said(&mut words, &["a1 ends", "a2 begins"]).await;
        assert_eq!(loops.keep([("a", 2)].into(), begin), 1);
        said(&mut words, &["b1 ends"]).await;
        shutdown.finish_within(Duration::from_secs(10)).await;
        said(&mut words, &["a2 ends"]).await;
    }
}
