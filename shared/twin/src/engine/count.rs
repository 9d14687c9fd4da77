//! What was called how often, for benchmarks and assertions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use serde::Serialize;

use super::locked;

/// Figures of one operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Calls that arrived, throttled ones included.
    pub calls: u64,
    /// Calls that a quota or an injected 429 turned away.
    pub throttled: u64,
    /// Calls that looked for names, all of which had been looked for before.
    pub again: u64,
    /// Answers by HTTP status; 0 stands for a cut connection.
    pub statuses: BTreeMap<u16, u64>,
}

#[derive(Debug, Default)]
struct State {
    operations: BTreeMap<String, BTreeMap<String, Figures>>,
    under_way: BTreeMap<String, u32>,
    peak: BTreeMap<String, u32>,
    /// What was looked for so far.
    looked_for: BTreeSet<String>,
}

/// Counters per family and operation, and calls under way per family.
#[derive(Debug, Default)]
pub struct Counters {
    state: Mutex<State>,
}

impl Counters {
    /// Counts an arrival and a call under way. Returns how many of the family are under way with it.
    pub fn enter(&self, family: &str, operation: &str) -> u32 {
        let mut state = locked(&self.state);
        state.figures(family, operation).calls += 1;
        let under_way = state.under_way.entry(family.to_owned()).or_default();
        *under_way += 1;
        let now = *under_way;
        let peak = state.peak.entry(family.to_owned()).or_default();
        *peak = now.max(*peak);
        now
    }

    /// Counts an answer and the end of its call, which looked for these names.
    pub fn leave(&self, family: &str, operation: &str, status: u16, throttled: bool, looked_for: &[String]) {
        let mut state = locked(&self.state);
        let known = state.looked_for.len();
        state.looked_for.extend(looked_for.iter().map(|name| name.to_lowercase()));
        let is_new = state.looked_for.len() > known;
        let figures = state.figures(family, operation);
        *figures.statuses.entry(status).or_default() += 1;
        figures.throttled += u64::from(throttled);
        figures.again += u64::from(!looked_for.is_empty() && !is_new);
        if let Some(under_way) = state.under_way.get_mut(family) {
            *under_way = under_way.saturating_sub(1);
        }
    }

    /// Everything counted: operations by family, and the peak of calls under way.
    pub fn all(&self) -> (BTreeMap<String, BTreeMap<String, Figures>>, BTreeMap<String, u32>) {
        let state = locked(&self.state);
        (state.operations.clone(), state.peak.clone())
    }

    /// Starts counting anew; calls under way stay.
    pub fn clear(&self) {
        let mut state = locked(&self.state);
        state.operations.clear();
        state.looked_for.clear();
        state.peak = state.under_way.clone();
    }
}

impl State {
    fn figures(&mut self, family: &str, operation: &str) -> &mut Figures {
        self.operations.entry(family.to_owned()).or_default().entry(operation.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_for_what_was_looked_for_waits_for_it() {
        let counters = Counters::default();
        for names in [&["a", "b"][..], &["B"], &["b", "c"], &["c", "a"], &[]] {
            counters.enter("atlassian.org", "groups.search");
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            counters.leave("atlassian.org", "groups.search", 200, false, &names);
        }
        let again = |counters: &Counters| {
            let (operations, _) = counters.all();
            operations.values().flat_map(BTreeMap::values).map(|figures| (figures.calls, figures.again)).next()
        };
        assert_eq!(again(&counters), Some((5, 2)));
        counters.clear();
        counters.leave("atlassian.org", "groups.search", 200, false, &["a".to_owned()]);
        assert_eq!(again(&counters), Some((0, 0)), "counting began anew");
    }
}
