//! What was called how often, for benchmarks and assertions.

use std::collections::BTreeMap;
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
    /// Answers by HTTP status; 0 stands for a cut connection.
    pub statuses: BTreeMap<u16, u64>,
}

#[derive(Debug, Default)]
struct State {
    operations: BTreeMap<String, BTreeMap<String, Figures>>,
    under_way: BTreeMap<String, u32>,
    peak: BTreeMap<String, u32>,
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

    /// Counts an answer and the end of its call.
    pub fn leave(&self, family: &str, operation: &str, status: u16, throttled: bool) {
        let mut state = locked(&self.state);
        let figures = state.figures(family, operation);
        *figures.statuses.entry(status).or_default() += 1;
        figures.throttled += u64::from(throttled);
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
        state.peak = state.under_way.clone();
    }
}

impl State {
    fn figures(&mut self, family: &str, operation: &str) -> &mut Figures {
        self.operations.entry(family.to_owned()).or_default().entry(operation.to_owned()).or_default()
    }
}
