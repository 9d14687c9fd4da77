//! Time and memory of this process.

use std::time::{Duration, Instant};

/// Waits until the disk has what others wrote, a build for example: it stops every commit for most of a second when it
/// is written half a minute later, and that is not ours to measure.
pub(crate) fn let_the_disk_rest() {
    rustix::fs::sync();
}

/// Milliseconds since then.
pub(crate) fn millis(since: Instant) -> f64 {
    as_millis(since.elapsed())
}

pub(crate) fn as_millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The shortest of several runs, so that neighbours on a shared machine count for little.
pub(crate) fn best(rounds: usize, mut run: impl FnMut() -> anyhow::Result<f64>) -> anyhow::Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..rounds {
        best = best.min(run()?);
    }
    Ok(best)
}

/// The value below which so many hundredths of the values lie; 0 of nothing.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(0.0)
}

/// Megabytes of memory that this process has in the machine now (`VmRSS:`) or had at most (`VmHWM:`).
pub(crate) fn memory(field: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or("0");
    let kilobytes: f64 = line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0.0);
    kilobytes / 1024.0
}

/// A count as a figure. Counts here are far below 2⁵².
#[expect(clippy::cast_precision_loss, reason = "counts of calls and changes are far below 2^52")]
pub(crate) fn figure(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<f64> = (0..100_u8).rev().map(f64::from).collect();
        assert!((percentile(&values, 50) - 50.0).abs() < f64::EPSILON);
        assert!((percentile(&values, 99) - 99.0).abs() < f64::EPSILON);
        assert!(percentile(&[], 50).abs() < f64::EPSILON);
    }
}
