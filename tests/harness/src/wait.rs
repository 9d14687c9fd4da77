//! Waiting for a condition, with a deadline and a name.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Asks `check` again and again until it gives a value, and gives that. `Ok(None)` and `Err` both mean "not yet"; the last
/// error is shown when the time is up.
///
/// # Errors
/// When the deadline passes: says what was waited for, how long, and what `check` last said.
pub async fn eventually<T>(
    within: Duration,
    what: &str,
    mut check: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Deadline::after(within);
    let mut pause = FIRST_PAUSE;
    loop {
        let said = match tokio::time::timeout(deadline.left().max(FIRST_PAUSE), check()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => "not yet".to_owned(),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "the check itself did not come back".to_owned(),
        };
        if deadline.is_over() {
            bail!("waited {within:?} for {what}: {said}");
        }
        tokio::time::sleep(pause.min(deadline.left().max(FIRST_PAUSE))).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A point in real time that a wait must not pass.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// `within` from now.
    pub fn after(within: Duration) -> Self {
        Self(Instant::now() + within)
    }

    /// What is left; zero when it is over.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn is_over(self) -> bool {
        self.left().is_zero()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn a_condition_that_comes_true_ends_the_wait() {
        let mut asked = 0;
        let value = eventually(Duration::from_secs(10), "three", async || {
            asked += 1;
            Ok((asked == 3).then_some("there"))
        })
        .await
        .unwrap();
        assert_eq!((value, asked), ("there", 3));
    }

    #[tokio::test]
    async fn a_wait_that_fails_says_what_for_and_what_was_last_seen() {
        let error = eventually::<()>(Duration::from_millis(20), "the writer", async || bail!("answered 503")).await;
        let said = error.unwrap_err().to_string();
        assert!(said.contains("for the writer: answered 503"), "{said}");
        let error =
            eventually::<()>(Duration::from_millis(20), "an answer", async || std::future::pending().await).await;
        assert!(error.unwrap_err().to_string().contains("did not come back"));
    }
}
