//! By how much less a plan was guarded than the tenant says.

use serde::{Deserialize, Serialize};

use crate::RuleId;

/// A budget of a rule that allows more than the tenant's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WiderGuard {
    /// Which rule.
    pub rule: RuleId,
    /// Which budget, and what it is instead: `per_group.removals is { … } instead of { … }`.
    pub budget: String,
}
