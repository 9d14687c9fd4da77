//! One metric with all its series, and how it is written in Prometheus's text format (version 0.0.4).

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Longest value that a label may have; ours are ids of up to 40 characters and host names.
const LABEL_CHARS_MAX: usize = 128;

/// What a metric counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts what was observed below each bound.
    Histogram(&'static [f64]),
}

/// A metric whose series have `N` labels.
#[derive(Debug)]
pub(super) struct Family<const N: usize> {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    labels: [&'static str; N],
    /// In the order of their labels.
    series: Mutex<Vec<([String; N], Series)>>,
}

#[derive(Clone, Debug, Default)]
struct Series {
    /// The gauge's value, or the histogram's sum.
    value: f64,
    /// The counter's value, or the histogram's count.
    count: u64,
    /// The histogram's counts, not yet summed up, one per bound.
    buckets: Vec<u64>,
}

impl<const N: usize> Family<N> {
    pub(super) const fn new(name: &'static str, help: &'static str, kind: Kind, labels: [&'static str; N]) -> Self {
        Self { name, help, kind, labels, series: Mutex::new(Vec::new()) }
    }

    pub(super) fn add(&self, labels: [&str; N], by: u64) {
        self.with(labels, |series| series.count += by);
    }

    pub(super) fn set(&self, labels: [&str; N], value: f64) {
        self.with(labels, |series| series.value = value);
    }

    /// Notes that `value` was observed `times`.
    pub(super) fn observe(&self, labels: [&str; N], value: f64, times: u64) {
        let Kind::Histogram(bounds) = self.kind else { return };
        self.with(labels, |series| {
            series.value += value * to_f64(times);
            series.count += times;
            series.buckets.resize(bounds.len(), 0);
            let at = bounds.iter().position(|bound| value <= *bound);
            if let Some(bucket) = at.and_then(|at| series.buckets.get_mut(at)) {
                *bucket += times;
            }
        });
    }

    /// Forgets one series: nobody here can say any more how it stands.
    pub(super) fn remove(&self, labels: [&str; N]) {
        let mut all = self.lock();
        if let Ok(at) = place(&all, &labels) {
            all.remove(at);
        }
    }

    /// Sets all series to zero whose first labels are these: what is not reported any more has none left.
    pub(super) fn zero(&self, first: &[&str]) {
        for (labels, series) in self.lock().iter_mut() {
            if labels.iter().zip(first).all(|(ours, theirs)| *ours == admissible(theirs)) {
                series.value = 0.0;
            }
        }
    }

    /// Changes one series. One that is there costs no allocation: this runs for every change.
    fn with(&self, labels: [&str; N], change: impl FnOnce(&mut Series)) {
        let mut all = self.lock();
        let at = place(&all, &labels).or_else(|_| {
            let made = labels.map(admissible);
            place(&all, &made.each_ref().map(String::as_str)).or_else(|at| {
                all.insert(at, (made, Series::default()));
                Ok::<usize, usize>(at)
            })
        });
        if let Some((_, series)) = at.ok().and_then(|at: usize| all.get_mut(at)) {
            change(series);
        }
    }

    /// Writes the family; nothing when it has no series.
    pub(super) fn write(&self, text: &mut String) {
        let all = self.lock();
        if all.is_empty() {
            return;
        }
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {} {}\n# TYPE {} {kind}", self.name, self.help, self.name);
        for (values, series) in all.iter() {
            let labels = self.label_text(values);
            let _ = match self.kind {
                Kind::Counter => writeln!(text, "{}{{{labels}}} {}", self.name, series.count),
                Kind::Gauge => writeln!(text, "{}{{{labels}}} {}", self.name, series.value),
                Kind::Histogram(bounds) => self.write_histogram(text, &labels, bounds, series),
            };
        }
    }

    fn write_histogram(&self, text: &mut String, labels: &str, bounds: &[f64], series: &Series) -> std::fmt::Result {
        let name = self.name;
        let mut below = 0;
        for (bound, count) in bounds.iter().zip(&series.buckets) {
            below += count;
            writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}")?;
        }
        writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", series.count)?;
        writeln!(text, "{name}_sum{{{labels}}} {}", series.value)?;
        writeln!(text, "{name}_count{{{labels}}} {}", series.count)
    }

    fn label_text(&self, values: &[String; N]) -> String {
        let escaped = |value: &String| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let pairs: Vec<String> =
            self.labels.iter().zip(values).map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        pairs.join(",")
    }

    /// A panic elsewhere costs at most one observation.
    fn lock(&self) -> MutexGuard<'_, Vec<([String; N], Series)>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the series with these labels stands, or would.
fn place<const N: usize>(all: &[([String; N], Series)], labels: &[&str; N]) -> Result<usize, usize> {
    all.binary_search_by(|(key, _)| key.iter().map(String::as_str).cmp(labels.iter().copied()))
}

/// Counts of ours stay far below 2^53, up to which the conversion is exact.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub(super) fn to_f64(count: u64) -> f64 {
    count as f64
}

/// An address or something very long is no label of ours; it is replaced rather than refused, since counting must not
/// fail.
fn admissible(value: &str) -> String {
    if value.contains('@') || value.chars().count() > LABEL_CHARS_MAX {
        return "redacted".to_owned();
    }
    value.to_owned()
}
