//! Progress with numbers, on standard error, when it is a terminal; one plain line every ten seconds when it is not.

use std::{
    io::IsTerminal as _,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often a line is written where there is no terminal.
const PLAIN_EVERY_MICROS: i64 = 10_000_000;

/// A set of running numbers. Cheap to clone.
#[derive(Clone)]
pub struct Progress {
    bars: MultiProgress,
    mode: Mode,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Bars,
    Plain,
    Silent,
}

/// One running number.
#[derive(Clone)]
pub struct Running {
    what: Arc<str>,
    bar: ProgressBar,
    mode: Mode,
    done: Arc<AtomicU64>,
    total: Arc<AtomicU64>,
    last: Arc<AtomicI64>,
}

impl Progress {
    /// Progress as this terminal, or its absence, allows.
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let mode = match (quiet, terminal) {
            (true, _) => Mode::Silent,
            (false, true) => Mode::Bars,
            (false, false) => Mode::Plain,
        };
        Self { bars: MultiProgress::new(), mode }
    }

    /// Begins a number; `total` 0 means that it is not known yet.
    pub fn begin(&self, what: &str, total: u64) -> Running {
        let bar = if self.mode == Mode::Bars { self.bars.add(ProgressBar::new(total)) } else { ProgressBar::hidden() };
        let style = if total == 0 { "{spinner} {msg} {pos}" } else { "{msg} {bar:24} {pos}/{len} {per_sec} eta {eta}" };
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Running {
            what: what.into(),
            bar,
            mode: self.mode,
            done: Arc::default(),
            total: Arc::new(AtomicU64::new(total)),
            last: Arc::new(AtomicI64::new(runtime::clock::now_micros())),
        }
    }
}

impl Running {
    /// So many more are done.
    pub fn add(&self, more: u64) {
        let done = self.done.fetch_add(more, Ordering::Relaxed) + more;
        self.bar.inc(more);
        if self.mode == Mode::Plain {
            let (now, last) = (runtime::clock::now_micros(), self.last.load(Ordering::Relaxed));
            let due = now - last >= PLAIN_EVERY_MICROS;
            if due && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                super::note(&self.line(done));
            }
        }
    }

    /// It ended.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self, done: u64) -> String {
        match self.total.load(Ordering::Relaxed) {
            0 => format!("{}: {done}", self.what),
            total => format!("{}: {done}/{total}", self.what),
        }
    }
}
