//! When the next call may go: a synchronous decision over values. No clock, no waiting, no I/O.
//!
//! *Declared* limits are paced so that no window of the stated length ever holds more calls than stated, whether the
//! vendor counts fixed windows, sliding ones or a bucket; a small part is kept back so that an urgent call goes at
//! once. *Learned* limits begin fast, and after the first refusal follow what the vendor let through, pauses included.

use model::{Lane, Span, Time};

/// So many calls in so long a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// How many calls.
    pub calls: u64,
    /// In how long a time.
    pub per: Span,
}

/// What is known of a vendor's limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// Stated by the vendor; all of them hold at once.
    Declared(Vec<Allowance>),
    /// Not stated: to be learned from answers.
    Learned,
}

/// What a pacer starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacerConfig {
    /// The vendor's limit.
    pub limit: Limit,
    /// Which part of it is ours, in per cent: a target's watcher keeps to 20.
    pub share_percent: u8,
    /// Most calls at once.
    pub concurrency: u32,
}

/// What to do with a call that wants to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poll {
    /// It goes; a place and a token are taken. [`Pacer::ended`] gives the place back.
    Go,
    /// Not before this time.
    WaitUntil(Time),
    /// Not before another call has ended or left the queue.
    WaitForChange,
}

/// How a call ended, as far as pacing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// An answer came.
    Answered,
    /// The vendor says: too many calls in a time.
    Throttled {
        /// What it asked us to wait, if anything.
        after: Option<Span>,
    },
    /// The vendor says: too many calls at once, or it is in trouble.
    Overloaded {
        /// What it asked us to wait, if anything.
        after: Option<Span>,
    },
    /// Nothing is known: no answer came, or the call was never made.
    Nothing,
}

/// Part of a limit that only urgent calls may use, in per cent.
const RESERVE_PERCENT: u64 = 2;
/// Distance kept from a declared limit for what arrives out of step.
const MARGIN: f64 = 0.005;
/// Calls per second at which learning begins.
const LEARN_FROM: f64 = 50.0;
/// Calls per second beyond which learning does not go.
const LEARN_TO: f64 = 20_000.0;
/// Calls per second below which learning does not go.
const LEARN_FLOOR: f64 = 0.5;
/// At least so many calls lead from the rate after a refusal back to the rate before it: it bounds the share of refusals.
const RECOVERY_CALLS: f64 = 300.0;
/// And at least so many times the wait that the refusal cost: it bounds the share of time that is lost to waits.
const RECOVERY_WAITS: f64 = 30.0;
/// How much faster each call goes than the one before while we feel our way up: one per cent in a hundred calls.
const FEELING: f64 = 0.0001;
/// First wait after a refusal that names none (failure mode 37).
const BARE_WAIT: Span = Span::from_secs(2);
/// Longest wait after refusals that name none.
const BARE_WAIT_MAX: Span = Span::from_secs(300);
/// Wait after the vendor was overloaded and named no time.
const OVERLOAD_WAIT: Span = Span::from_millis(250);

/// The pacer of one API as one credential sees it.
#[derive(Debug, Clone)]
pub struct Pacer {
    buckets: Vec<Bucket>,
    learning: Option<Learning>,
    paused_until: Time,
    /// Refusals in a row that named no time.
    bare: u32,
    places: f64,
    places_max: u32,
    in_flight: u32,
    waiting: [u32; 3],
    /// Calls begun before this refusal say nothing new when they are refused too.
    refused_at: Time,
    /// Part of a declared limit that is used: sinks when the vendor refuses in spite of our pace.
    scale: f64,
}

#[derive(Debug, Clone)]
struct Bucket {
    /// Tokens per microsecond.
    rate: f64,
    capacity: f64,
    reserve: f64,
    level: f64,
    at: Time,
}

#[derive(Debug, Clone)]
struct Learning {
    /// Calls per second.
    rate: f64,
    /// The rate that a refusal taught, to be kept for a while.
    aim: f64,
    /// Whether the vendor ever refused.
    refused: bool,
    step: f64,
    /// Calls for which the aim is kept, and after which the step doubles.
    recovery: f64,
    calls_since: f64,
    cycle_from: Time,
}

impl Pacer {
    /// A pacer that has sent nothing yet.
    pub fn new(config: &PacerConfig, now: Time) -> Self {
        let share = f64::from(config.share_percent.clamp(1, 100)) / 100.0;
        let (buckets, learning) = match &config.limit {
            Limit::Declared(all) => (all.iter().map(|one| Bucket::declared(*one, share, now)).collect(), None),
            Limit::Learned => {
                let learning = Learning::new(share, now);
                (vec![Bucket::of_rate(learning.rate, now)], Some(learning))
            }
        };
        let places_max = config.concurrency.max(1);
        Self {
            buckets,
            learning,
            paused_until: Time::NEVER,
            bare: 0,
            places: f64::from(places_max),
            places_max,
            in_flight: 0,
            waiting: [0; 3],
            refused_at: Time::NEVER,
            scale: 1.0,
        }
    }

    /// A call joins the queue of its lane: calls of lesser lanes wait while it does.
    pub fn join(&mut self, lane: Lane) {
        if let Some(count) = self.waiting.get_mut(rank(lane)) {
            *count = count.saturating_add(1);
        }
    }

    /// A call leaves the queue, because it goes or because nobody wants it any more.
    pub fn leave(&mut self, lane: Lane) {
        if let Some(count) = self.waiting.get_mut(rank(lane)) {
            *count = count.saturating_sub(1);
        }
    }

    /// Whether a call of this lane may go now.
    pub fn poll(&mut self, now: Time, lane: Lane) -> Poll {
        if now < self.paused_until {
            return Poll::WaitUntil(self.paused_until);
        }
        let better_waits = self.waiting.iter().take(rank(lane)).any(|count| *count > 0);
        if better_waits || f64::from(self.in_flight) >= self.places.floor() {
            return Poll::WaitForChange;
        }
        let scale = self.scale;
        let mut ready = now;
        for bucket in &mut self.buckets {
            bucket.fill(now, scale);
            ready = ready.max(bucket.ready(lane, scale));
        }
        if ready > now {
            return Poll::WaitUntil(ready);
        }
        for bucket in &mut self.buckets {
            bucket.level -= 1.0;
        }
        self.in_flight += 1;
        Poll::Go
    }

    /// A call that went has ended. `began` is when [`Self::poll`] let it go.
    pub fn ended(&mut self, now: Time, began: Time, end: End) {
        self.in_flight = self.in_flight.saturating_sub(1);
        match end {
            End::Nothing => {}
            End::Answered => self.answered(now),
            End::Throttled { after } => self.throttled(now, began, after),
            End::Overloaded { after } => {
                self.places = (self.places / 2.0).max(1.0);
                self.pause(now.plus(after.unwrap_or(OVERLOAD_WAIT)));
            }
        }
    }

    /// Nobody calls before this time. Never shortens a pause.
    pub fn pause(&mut self, until: Time) {
        self.paused_until = self.paused_until.max(until);
    }

    /// The vendor said how many calls are left until when: the rest is spread over that time.
    pub fn learn(&mut self, now: Time, remaining: u64, reset: Time) {
        let left = now.until(reset);
        if left == Span::ZERO {
            return;
        }
        if remaining == 0 {
            self.pause(reset);
        }
        let seconds = seconds(left).max(0.001);
        if let Some(learning) = &mut self.learning {
            let told = (to_f64(remaining) * 0.98 / seconds).max(LEARN_FLOOR);
            if told < learning.rate {
                (learning.rate, learning.aim, learning.refused) = (told, told, true);
                learning.step = told * FEELING;
            }
            let rate = learning.rate;
            self.set_rate(now, rate);
        }
    }

    /// What part of the budget is unspent now, 0 to 1.
    pub fn remaining(&mut self, now: Time) -> f64 {
        if now < self.paused_until {
            return 0.0;
        }
        let scale = self.scale;
        let ratio = |bucket: &mut Bucket| {
            bucket.fill(now, scale);
            (bucket.level / bucket.capacity).clamp(0.0, 1.0)
        };
        self.buckets.iter_mut().map(ratio).fold(1.0, f64::min)
    }

    /// How many calls are under way.
    pub const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    fn answered(&mut self, now: Time) {
        self.bare = 0;
        self.places = (self.places + 1.0 / self.places).min(f64::from(self.places_max));
        self.scale = (self.scale + 0.000_01).min(1.0);
        if let Some(learning) = &mut self.learning {
            learning.answered();
            let rate = learning.rate;
            self.set_rate(now, rate);
        }
    }

    fn throttled(&mut self, now: Time, began: Time, after: Option<Span>) {
        let wait =
            after.unwrap_or_else(|| Span(BARE_WAIT.0.saturating_mul(1 << self.bare.min(16)).min(BARE_WAIT_MAX.0)));
        if began <= self.refused_at {
            self.pause(now.plus(after.unwrap_or(Span::ZERO)));
            return;
        }
        if after.is_none() {
            self.bare = self.bare.saturating_add(1);
            self.places = (self.places / 2.0).max(1.0);
        }
        let resume = now.plus(wait);
        self.pause(resume);
        self.refused_at = now;
        self.scale = (self.scale * 0.99).max(0.25);
        if let Some(learning) = &mut self.learning {
            learning.throttled(wait, after.is_some(), resume);
            let rate = learning.rate;
            self.set_rate(now, rate);
        }
    }

    fn set_rate(&mut self, now: Time, rate: f64) {
        if let Some(bucket) = self.buckets.first_mut() {
            bucket.fill(now, 1.0);
            let level = bucket.level;
            *bucket = Bucket::of_rate(rate, now);
            bucket.level = level.min(bucket.capacity);
        }
    }
}

impl Bucket {
    /// Capacity plus everything that flows in during one window stays below the limit.
    fn declared(allowance: Allowance, share: f64, now: Time) -> Self {
        let calls = (to_f64(allowance.calls.max(1)) * share).max(1.0);
        let window = to_f64(allowance.per.0.max(1));
        let reserve = (to_f64(allowance.calls.saturating_mul(RESERVE_PERCENT)) * share / 100.0).floor();
        let slack = (calls / window * 50_000.0).min(calls * 0.005).max(0.25);
        let capacity = reserve + 1.0 + slack;
        let rate = ((calls * (1.0 - MARGIN) - capacity) / window).max(calls * 0.5 / window);
        Self { rate, capacity, reserve, level: capacity, at: now }
    }

    /// What of calls per second gathers within 50 milliseconds, and the reserve of a second.
    fn of_rate(per_second: f64, now: Time) -> Self {
        let reserve = (per_second * 0.02).floor();
        let capacity = reserve + 1.0 + (per_second * 0.05).max(0.25);
        Self { rate: per_second / 1e6, capacity, reserve, level: capacity, at: now }
    }

    fn fill(&mut self, now: Time, scale: f64) {
        let passed = to_f64(self.at.until(now).0);
        self.level = (self.level + passed * self.rate * scale).min(self.capacity);
        self.at = self.at.max(now);
    }

    /// When this lane's next token is there.
    fn ready(&self, lane: Lane, scale: f64) -> Time {
        let kept = if lane == Lane::Urgent { 0.0 } else { self.reserve };
        let missing = kept + 1.0 - self.level;
        if missing <= 1e-9 {
            return Time::NEVER;
        }
        self.at.plus(Span(to_u64((missing / (self.rate * scale)).ceil()).max(1)))
    }
}

impl Learning {
    fn new(share: f64, now: Time) -> Self {
        let rate = LEARN_FROM * share;
        Self { rate, aim: rate, refused: false, step: 0.0, recovery: RECOVERY_CALLS, calls_since: 0.0, cycle_from: now }
    }

    /// Until the first refusal the rate doubles with every second's worth of calls. After it, it nears its aim, stays
    /// there for `recovery` calls, and then feels its way up in steps that double as often.
    fn answered(&mut self) {
        self.calls_since += 1.0;
        if !self.refused {
            self.rate += 1.0;
        } else if self.rate < self.aim {
            self.rate = (self.rate + (self.aim - self.rate) / 100.0 + self.rate * 1e-5).min(self.aim);
        } else if self.calls_since > self.recovery {
            if self.calls_since > self.recovery * 2.0 && self.calls_since % self.recovery < 1.0 {
                self.step *= 2.0;
            }
            self.rate += self.step;
        }
        self.rate = self.rate.min(LEARN_TO);
    }

    /// A vendor that says how long to wait let `calls_since` pass between the last resumption and this one: that, and not
    /// our guess, is its rate. If it let us go for longer than it makes us wait, its rate is just below what we had felt
    /// our way up to. A vendor that does not say leaves us to guess: a little below where it refused, or far below it
    /// after the first refusal, when we had come up fast.
    fn throttled(&mut self, wait: Span, told: bool, resume: Time) {
        let cycle = seconds(self.cycle_from.until(resume)).max(0.001);
        let measured = (self.calls_since / cycle) * 0.97;
        let before = self.rate;
        let went_well = self.refused && cycle >= seconds(wait) * 2.0;
        if told && went_well {
            self.rate = before * 0.92;
            self.aim = self.rate;
        } else if told {
            self.rate = measured.clamp(before * 0.1, before * 0.97).max(LEARN_FLOOR);
            self.aim = self.rate;
        } else {
            let (least, aim) = if self.refused { (0.8, 0.93) } else { (0.5, 0.7) };
            self.rate = measured.clamp(before * least, before * 0.9).max(LEARN_FLOOR);
            self.aim = (before * aim).max(self.rate);
        }
        self.refused = true;
        self.recovery = (self.aim * seconds(wait) * RECOVERY_WAITS).max(RECOVERY_CALLS);
        self.step = self.aim * FEELING;
        self.calls_since = 0.0;
        self.cycle_from = resume;
    }
}

const fn rank(lane: Lane) -> usize {
    match lane {
        Lane::Urgent => 0,
        Lane::Normal => 1,
        Lane::Bulk => 2,
    }
}

fn seconds(span: Span) -> f64 {
    to_f64(span.0) / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "counts and spans far below 2^52")]
const fn to_f64(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is never negative here")]
const fn to_u64(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
#[path = "pacer_tests.rs"]
mod tests;
