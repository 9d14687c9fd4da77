//! Faults that an operator injects: which calls they hit, how often, and what goes wrong.

use std::sync::Mutex;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::call::Call;
use super::clock::Millis;
use super::locked;

/// What goes wrong. `after` means: the effect happens, then the answer is lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FaultKind {
    /// A 429, or what the family answers to too many calls.
    Throttle {
        /// The `Retry-After` header as it is sent, also when it makes no sense; none is sent without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<String>,
        /// Which of the family's shapes, for example `userRateLimitExceeded`, `quotaExceeded`, `plain`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shape: Option<String>,
    },
    /// An error of this status.
    Fail {
        /// The HTTP status code.
        status: u16,
        /// Only after the effect.
        #[serde(default)]
        after: bool,
        /// In plain text instead of the family's body.
        #[serde(default)]
        plain: bool,
    },
    /// The connection is cut.
    Reset {
        /// Only after the effect.
        #[serde(default)]
        after: bool,
    },
    /// The answer takes so many milliseconds longer, on the machine's clock.
    Slow {
        /// Milliseconds.
        ms: Millis,
    },
    /// Reads answer from the state of so many milliseconds ago.
    Stale {
        /// Milliseconds.
        ms: Millis,
    },
    /// A list without items.
    EmptyPage {
        /// Whether it still points at a next page.
        #[serde(default)]
        keep_next: bool,
    },
    /// A list without its first items, as when what came before them was removed between two pages.
    SkipItems {
        /// How many.
        count: usize,
    },
    /// A list without the token of its next page.
    Truncate,
    /// A list whose next page is itself.
    RepeatPage,
    /// The page token is refused.
    BadToken,
    /// 200 with a web page.
    Html {
        /// Only after the effect.
        #[serde(default)]
        after: bool,
    },
    /// 401.
    Unauthorized,
    /// 403 for lack of permission.
    Forbidden,
    /// 404 although it is there.
    NotFound,
    /// Lists show only a part, always the same one, with status 200.
    Shrink {
        /// How much is still shown, in per cent.
        shown_percent: u8,
    },
}

/// A fault and the calls that it hits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Given by the twin.
    #[serde(default)]
    pub id: u64,
    /// Glob over the family (`*` any text); all families if empty.
    #[serde(default)]
    pub family: String,
    /// Glob over the operation; all operations if empty.
    #[serde(default)]
    pub operation: String,
    /// Glob over the object in the path; all objects if empty.
    #[serde(default)]
    pub target: String,
    /// Only this page of a list, from 1.
    #[serde(default)]
    pub page: Option<u32>,
    /// How likely a matching call is hit, from 0 to 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// Seed of the dice.
    #[serde(default)]
    pub seed: u64,
    /// So many matching calls pass first.
    #[serde(default)]
    pub skip: u64,
    /// At most so many calls are hit; any number if absent.
    #[serde(default)]
    pub times: Option<u64>,
    /// Not before this time of the twin's clock.
    #[serde(default)]
    pub from: Option<Millis>,
    /// Not at or after this time of the twin's clock.
    #[serde(default)]
    pub until: Option<Millis>,
    /// How many calls it has hit so far; given by the twin.
    #[serde(default)]
    pub hits: u64,
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
}

impl Fault {
    /// A fault for every call of an operation, to be narrowed by its fields.
    pub fn new(family: &str, operation: &str, kind: FaultKind) -> Self {
        Self {
            id: 0,
            family: family.to_owned(),
            operation: operation.to_owned(),
            target: String::new(),
            page: None,
            probability: 1.0,
            seed: 0,
            skip: 0,
            times: None,
            from: None,
            until: None,
            hits: 0,
            kind,
        }
    }

    fn matches(&self, call: &Call, now: Millis) -> bool {
        glob(&self.family, call.family)
            && glob(&self.operation, call.operation)
            && glob(&self.target, &call.target)
            && self.page.is_none_or(|page| page == call.page)
            && self.from.is_none_or(|from| from <= now)
            && self.until.is_none_or(|until| now < until)
            && self.times.is_none_or(|times| self.hits < times)
    }
}

fn always() -> f64 {
    1.0
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    dice: SmallRng,
    to_skip: u64,
}

/// All injected faults, in the order of injection: the first that hits is taken.
#[derive(Debug, Default)]
pub struct Faults {
    armed: Mutex<(u64, Vec<Armed>)>,
}

impl Faults {
    /// Arms a fault and returns its id.
    pub fn inject(&self, mut fault: Fault) -> u64 {
        let mut armed = locked(&self.armed);
        armed.0 += 1;
        fault.id = armed.0;
        fault.hits = 0;
        let id = fault.id;
        armed.1.push(Armed { dice: SmallRng::seed_from_u64(fault.seed), to_skip: fault.skip, fault });
        id
    }

    /// Removes one fault; false if there is none with that id.
    pub fn remove(&self, id: u64) -> bool {
        let mut armed = locked(&self.armed);
        let before = armed.1.len();
        armed.1.retain(|it| it.fault.id != id);
        armed.1.len() < before
    }

    /// Removes all faults.
    pub fn clear(&self) {
        locked(&self.armed).1.clear();
    }

    /// All faults with their hits.
    pub fn all(&self) -> Vec<Fault> {
        locked(&self.armed).1.iter().map(|it| it.fault.clone()).collect()
    }

    /// The fault that hits this call, if any; counts the hit.
    pub fn pick(&self, call: &Call, now: Millis) -> Option<Fault> {
        let mut armed = locked(&self.armed);
        for it in &mut armed.1 {
            if !it.fault.matches(call, now) {
                continue;
            }
            if it.to_skip > 0 {
                it.to_skip -= 1;
                continue;
            }
            if it.fault.probability < 1.0 && it.dice.random::<f64>() >= it.fault.probability {
                continue;
            }
            it.fault.hits += 1;
            return Some(it.fault.clone());
        }
        None
    }
}

/// Whether a pattern, in which `*` stands for any text, matches; letter case does not count, an empty pattern matches
/// everything.
pub fn glob(pattern: &str, text: &str) -> bool {
    if pattern.is_empty() {
        return true;
    }
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| text.strip_prefix(head)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            let Some((_, after)) = rest.split_once(middle) else {
                return false;
            };
            rest = after;
        }
    }
    last.map_or(rest.is_empty(), |tail: &str| rest.ends_with(tail))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn call(operation: &'static str, page: u32) -> Call {
        Call { family: "google.directory", operation, page, target: "g-1".to_owned(), ..Call::default() }
    }

    #[test]
    fn globs_match_like_a_shell() {
        assert!(glob("members.*", "members.list") && glob("", "x") && glob("*", "") && glob("a*b*c", "a-b-b-c"));
        assert!(glob("abc", "ABC"));
        assert!(!glob("members.*", "groups.list") && !glob("a*b", "a-bc") && !glob("abc", "abcd"));
    }

    #[test]
    fn a_fault_hits_its_page_so_many_times() {
        let faults = Faults::default();
        let kind = FaultKind::Fail { status: 503, after: false, plain: false };
        faults.inject(Fault { page: Some(2), times: Some(1), ..Fault::new("google.*", "members.list", kind) });
        assert!(faults.pick(&call("members.list", 1), 0).is_none());
        assert!(faults.pick(&call("groups.list", 2), 0).is_none());
        assert!(faults.pick(&call("members.list", 2), 0).is_some());
        assert!(faults.pick(&call("members.list", 2), 0).is_none());
        assert_eq!(faults.all().first().map(|it| it.hits), Some(1));
    }

    #[test]
    fn the_dice_are_seeded() {
        let rolls = || {
            let faults = Faults::default();
            faults.inject(Fault { probability: 0.5, seed: 7, ..Fault::new("", "", FaultKind::Truncate) });
            (0..64).map(|_| faults.pick(&call("members.list", 1), 0).is_some()).collect::<Vec<_>>()
        };
        let once = rolls();
        assert_eq!(once, rolls());
        assert!(once.contains(&true) && once.contains(&false));
    }

    #[test]
    fn faults_have_a_window_and_can_be_removed() {
        let faults = Faults::default();
        let id = faults.inject(Fault { from: Some(10), until: Some(20), ..Fault::new("", "", FaultKind::Forbidden) });
        assert!(faults.pick(&call("users.list", 1), 9).is_none());
        assert!(faults.pick(&call("users.list", 1), 10).is_some());
        assert!(faults.pick(&call("users.list", 1), 20).is_none());
        assert!(faults.remove(id) && !faults.remove(id));
    }

    #[test]
    fn a_fault_is_read_from_flat_json() {
        let json = r#"{"operation":"members.*","kind":"fail","status":503,"after":true}"#;
        let fault: Fault = serde_json::from_str(json).unwrap();
        assert_eq!(fault.kind, FaultKind::Fail { status: 503, after: true, plain: false });
    }
}
