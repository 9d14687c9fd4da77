#![expect(clippy::indexing_slicing, reason = "tests")]
use std::collections::VecDeque;

use super::*;

/// How a vendor counts.
enum Vendor {
    /// A fixed window of the clock.
    Fixed { calls: u64, per: Span, window: i64, used: u64 },
    /// Every window that ends now.
    Sliding { calls: usize, per: Span, seen: VecDeque<Time> },
    /// A bucket that holds a burst and fills evenly.
    Bucket { rate: f64, burst: f64, level: f64, at: Time },
}

impl Vendor {
    fn call(&mut self, now: Time) -> Option<Span> {
        match self {
            Self::Fixed { calls, per, window, used } => {
                let length = i64::try_from(per.0).unwrap_or(i64::MAX);
                let index = now.0 / length;
                if index != *window {
                    (*window, *used) = (index, 0);
                }
                *used += 1;
                (*used > *calls).then(|| now.until(Time((index + 1) * length)))
            }
            Self::Sliding { calls, per, seen } => {
                while seen.front().is_some_and(|first| first.plus(*per) <= now) {
                    seen.pop_front();
                }
                if seen.len() >= *calls {
                    return Some(now.until(seen[0].plus(*per)));
                }
                seen.push_back(now);
                None
            }
            Self::Bucket { rate, burst, level, at } => {
                *level = (*level + seconds(at.until(now)) * *rate).min(*burst);
                *at = now;
                if *level >= 1.0 {
                    *level -= 1.0;
                    return None;
                }
                Some(Span(to_u64((1.0 - *level) / *rate * 1e6)))
            }
        }
    }
}

/// Sixteen callers that always have work, against a vendor whose answers take 30 ms and arrive out of step.
fn run(mut pacer: Pacer, vendor: &mut Vendor, tells: bool, lasts: Span) -> (u64, u64) {
    let end = Time(0).plus(lasts);
    let mut now = Time(0);
    let mut flying: Vec<(Time, Time, End)> = Vec::new();
    let (mut good, mut refused, mut spread) = (0, 0, 7_u64);
    while now < end {
        flying.sort_unstable_by_key(|call| call.0);
        while flying.first().is_some_and(|call| call.0 <= now) {
            let (_, began, answer) = flying.remove(0);
            pacer.ended(now, began, answer);
        }
        match pacer.poll(now, Lane::Normal) {
            Poll::Go => {
                spread = spread.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let arrives = now.plus(Span(spread >> 52));
                let answer = if let Some(wait) = vendor.call(arrives) {
                    refused += 1;
                    // Vendors speak in whole seconds.
                    let told = Span::from_secs(wait.0.div_ceil(1_000_000).max(1));
                    End::Throttled { after: tells.then_some(told) }
                } else {
                    good += 1;
                    End::Answered
                };
                flying.push((now.plus(Span::from_millis(30)), now, answer));
            }
            Poll::WaitUntil(at) => {
                let answer = flying.iter().map(|call| call.0).min().unwrap_or(Time(i64::MAX));
                // A timer fires up to two milliseconds late.
                now = at.plus(Span(spread >> 53)).min(answer.max(now.plus(Span(1))));
            }
            Poll::WaitForChange => now = flying.iter().map(|call| call.0).min().unwrap_or(end),
        }
    }
    (good, refused)
}

fn pacer(limit: Limit) -> Pacer {
    Pacer::new(&PacerConfig { limit, share_percent: 100, concurrency: 16 }, Time(0))
}

fn vendors(calls: u64, per: Span) -> Vec<Vendor> {
    let rate = to_f64(calls) / seconds(per);
    vec![
        Vendor::Fixed { calls, per, window: -1, used: 0 },
        Vendor::Sliding { calls: usize::try_from(calls).unwrap_or(0), per, seen: VecDeque::new() },
        Vendor::Bucket { rate, burst: to_f64(calls), level: to_f64(calls), at: Time(0) },
    ]
}

#[test]
fn a_declared_limit_is_used_to_95_per_cent_with_next_to_no_refusal() {
    for (calls, per) in [(2_400, Span::from_secs(60)), (200, Span::from_secs(60)), (100, Span::from_secs(1))] {
        for (kind, mut vendor) in vendors(calls, per).into_iter().enumerate() {
            let limit = Limit::Declared(vec![Allowance { calls, per }]);
            let lasts = Span::from_secs(600);
            let (good, refused) = run(pacer(limit), &mut vendor, true, lasts);
            let allowed = calls * lasts.0 / per.0;
            assert!(good * 100 >= allowed * 95, "{calls} per {per:?}, vendor {kind}: {good} of {allowed}");
            assert!(refused * 1000 <= good, "{calls} per {per:?}, vendor {kind}: {refused} refused of {good}");
        }
    }
}

#[test]
fn a_limit_that_nobody_declared_is_found_and_used_to_90_per_cent() {
    for (calls, per) in [(200, Span::from_secs(60)), (100, Span::from_secs(1)), (2_400, Span::from_secs(60))] {
        for (kind, mut vendor) in vendors(calls, per).into_iter().enumerate() {
            let lasts = Span::from_secs(7_200);
            let (good, refused) = run(pacer(Limit::Learned), &mut vendor, true, lasts);
            let allowed = calls * lasts.0 / per.0;
            assert!(good * 100 >= allowed * 90, "{calls} per {per:?}, vendor {kind}: {good} of {allowed}");
            assert!(refused * 100 <= good, "{calls} per {per:?}, vendor {kind}: {refused} refused of {good}");
        }
    }
}

#[test]
fn a_limit_that_is_enforced_without_a_word_is_found_all_the_same() {
    for (calls, per) in [(100, Span::from_secs(1)), (2_400, Span::from_secs(60))] {
        for (kind, mut vendor) in vendors(calls, per).into_iter().enumerate() {
            let lasts = Span::from_secs(7_200);
            let (good, refused) = run(pacer(Limit::Learned), &mut vendor, false, lasts);
            let allowed = calls * lasts.0 / per.0;
            assert!(good * 100 >= allowed * 80, "{calls} per {per:?}, vendor {kind}: {good} of {allowed}");
            assert!(refused * 100 <= good, "{calls} per {per:?}, vendor {kind}: {refused} refused of {good}");
        }
    }
}

#[test]
fn where_there_is_no_limit_learning_is_soon_out_of_the_way() {
    let mut vendor = Vendor::Bucket { rate: 1e9, burst: 1e9, level: 1e9, at: Time(0) };
    let (good, refused) = run(pacer(Limit::Learned), &mut vendor, true, Span::from_secs(20));
    assert_eq!(refused, 0);
    // Sixteen callers of 30 ms are 533 calls a second at most.
    assert!(good > 533 * 15, "{good}");
}

#[test]
fn a_pause_asked_for_by_the_vendor_binds_everybody_urgent_calls_too() {
    let mut pacer = pacer(Limit::Learned);
    assert_eq!(pacer.poll(Time(0), Lane::Bulk), Poll::Go);
    pacer.ended(Time(10), Time(0), End::Throttled { after: Some(Span::from_secs(30)) });
    let until = Time(10).plus(Span::from_secs(30));
    assert_eq!(pacer.poll(Time(20), Lane::Urgent), Poll::WaitUntil(until));
    assert_eq!(pacer.poll(until, Lane::Urgent), Poll::Go);
}

#[test]
fn urgent_goes_first_and_has_a_reserve() {
    let limit = Limit::Declared(vec![Allowance { calls: 2_400, per: Span::from_secs(60) }]);
    let mut pacer = Pacer::new(&PacerConfig { limit, share_percent: 100, concurrency: 1_000 }, Time(0));
    while pacer.poll(Time(0), Lane::Normal) == Poll::Go {}
    let mut urgent = 0;
    while pacer.poll(Time(0), Lane::Urgent) == Poll::Go {
        urgent += 1;
    }
    assert_eq!(urgent, 48, "two per cent of the limit stand ready for what is urgent");
    pacer.join(Lane::Urgent);
    assert_eq!(pacer.poll(Time::from_secs(30), Lane::Normal), Poll::WaitForChange);
    assert_eq!(pacer.poll(Time::from_secs(30), Lane::Urgent), Poll::Go);
    pacer.leave(Lane::Urgent);
    assert_eq!(pacer.poll(Time::from_secs(60), Lane::Normal), Poll::Go);
}

#[test]
fn the_share_of_a_watcher_is_a_fifth() {
    let limit = Limit::Declared(vec![Allowance { calls: 1_000, per: Span::from_secs(60) }]);
    let pacer = Pacer::new(&PacerConfig { limit, share_percent: 20, concurrency: 16 }, Time(0));
    let mut vendor = Vendor::Bucket { rate: 1e9, burst: 1e9, level: 1e9, at: Time(0) };
    let (good, _) = run(pacer, &mut vendor, true, Span::from_secs(600));
    assert!((1_900..=2_000).contains(&good), "{good} of 2,000 in ten minutes");
}

#[test]
fn overload_halves_the_places_and_answers_win_them_back() {
    let mut pacer = pacer(Limit::Learned);
    assert_eq!(pacer.poll(Time(0), Lane::Normal), Poll::Go);
    pacer.ended(Time(1), Time(0), End::Overloaded { after: None });
    let now = Time::from_secs(1);
    let mut going = 0;
    while pacer.poll(now, Lane::Urgent) == Poll::Go {
        going += 1;
    }
    assert!(going <= 8, "{going}");
    for _ in 0..going {
        pacer.ended(now, now, End::Answered);
    }
    for second in 2..200 {
        let now = Time::from_secs(second);
        assert_eq!(pacer.poll(now, Lane::Urgent), Poll::Go);
        pacer.ended(now, now, End::Answered);
    }
    assert!(pacer.places > 15.9);
}

#[test]
fn refusals_without_a_time_wait_longer_each_time_and_never_for_ever() {
    let mut pacer = pacer(Limit::Learned);
    let mut now = Time(0);
    let mut waits = Vec::new();
    for _ in 0..12 {
        assert_eq!(pacer.poll(now, Lane::Normal), Poll::Go);
        let began = now;
        now = now.plus(Span(1_000));
        pacer.ended(now, began, End::Throttled { after: None });
        let Poll::WaitUntil(until) = pacer.poll(now, Lane::Urgent) else { unreachable!("paused") };
        waits.push(now.until(until));
        now = until;
    }
    assert_eq!(waits[0], BARE_WAIT);
    assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]));
    assert_eq!(waits[11], BARE_WAIT_MAX);
}

#[test]
fn what_the_vendor_says_is_left_is_spread_until_its_reset() {
    let mut pacer = pacer(Limit::Learned);
    pacer.learn(Time(0), 100, Time::from_secs(100));
    let mut vendor = Vendor::Bucket { rate: 1e9, burst: 1e9, level: 1e9, at: Time(0) };
    pacer.learning.as_mut().map(|learning| learning.refused = true).unwrap_or_default();
    let (good, _) = run(pacer.clone(), &mut vendor, true, Span::from_secs(90));
    assert!(good <= 100, "{good}");
    pacer.learn(Time(5), 0, Time::from_secs(100));
    assert_eq!(pacer.poll(Time(6), Lane::Urgent), Poll::WaitUntil(Time::from_secs(100)));
}
