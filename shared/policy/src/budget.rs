//! `[guard]`: above which size a change is held for a person.

use std::{collections::BTreeMap, fmt};

use model::Email;

use crate::NameMatcher;

/// `[guard]`, or what of it holds for one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// For one group in one decision.
    pub per_group: Changes,
    /// For one target in a one-shot run, or in the first decision after a sweep.
    pub per_plan: Changes,
    /// For one target in 24 hours, counting what was released without approval.
    pub per_day: Day,
    /// For one target in seven days, counting what was released without approval.
    pub per_week: Week,
    /// A group of at least this many that would become empty is always held.
    pub emptied_group_from: u64,
    /// When the source itself lost this share since the last sweep, every removal is held.
    pub source_shrink_percent: u64,
    /// A group of administrators never gets fewer than this.
    pub minimum_administrators: u64,
    /// Groups at the target that are never touched. No approval lifts it.
    pub protected_groups: NameMatcher,
    /// People who are never touched. No approval lifts it.
    pub protected_people: Vec<Email>,
    /// How many seats may be used, by product.
    pub seat_limit: BTreeMap<String, u64>,
}

/// Budgets in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// Memberships taken away.
    pub removals: Budget,
    /// Memberships given.
    pub additions: Budget,
}

/// Budgets of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// Memberships taken away.
    pub removals: Budget,
    /// People deactivated, or taken out of everything.
    pub deactivations: Budget,
}

/// Budgets of a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Week {
    /// Memberships taken away.
    pub removals: Budget,
}

/// How much may go without a person's approval: the larger of the two counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// This many.
    pub count: u64,
    /// This share, 0 to 100, of what was managed and observed before.
    pub percent: u64,
}

/// The budgets that a rule sets for itself; `None` leaves what `[guard]` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GuardOverride {
    /// `per_group.removals`.
    pub group_removals: Option<Budget>,
    /// `per_group.additions`.
    pub group_additions: Option<Budget>,
    /// `per_plan.removals`.
    pub plan_removals: Option<Budget>,
    /// `per_plan.additions`.
    pub plan_additions: Option<Budget>,
    /// `per_day.removals`.
    pub day_removals: Option<Budget>,
    /// `per_day.deactivations`.
    pub day_deactivations: Option<Budget>,
    /// `per_week.removals`.
    pub week_removals: Option<Budget>,
    /// `emptied_group_from`.
    pub emptied_group_from: Option<u64>,
    /// `source_shrink_percent`.
    pub source_shrink_percent: Option<u64>,
}

impl Budget {
    /// A budget of `count`, or of `percent` per cent where that is more.
    pub const fn new(count: u64, percent: u64) -> Self {
        Self { count, percent }
    }

    /// How many may go, of a whole of `base`: the larger of the count and the (rounded down) share.
    pub fn limit(&self, base: u64) -> u64 {
        let share = u128::from(base) * u128::from(self.percent) / 100;
        self.count.max(u64::try_from(share).unwrap_or(u64::MAX))
    }

    /// Whether it ever allows more than the other.
    pub const fn is_wider_than(&self, other: &Self) -> bool {
        self.count > other.count || self.percent > other.percent
    }
}

/// As it is written in the policy file.
impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{ count = {}, percent = {} }}", self.count, self.percent)
    }
}

impl Guard {
    /// What holds for a rule with these budgets of its own. Protection, seats and administrators are the tenant's and
    /// stay as they are.
    #[must_use]
    pub fn merge(&self, rule: &GuardOverride) -> Self {
        let mut merged = self.clone();
        merged.apply(rule);
        merged
    }

    pub(crate) fn apply(&mut self, rule: &GuardOverride) {
        fn set<T: Copy>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        set(&mut self.per_group.removals, rule.group_removals);
        set(&mut self.per_group.additions, rule.group_additions);
        set(&mut self.per_plan.removals, rule.plan_removals);
        set(&mut self.per_plan.additions, rule.plan_additions);
        set(&mut self.per_day.removals, rule.day_removals);
        set(&mut self.per_day.deactivations, rule.day_deactivations);
        set(&mut self.per_week.removals, rule.week_removals);
        set(&mut self.emptied_group_from, rule.emptied_group_from);
        set(&mut self.source_shrink_percent, rule.source_shrink_percent);
    }

    /// Where this guard allows more than `other`, in words for every plan: `per_group.removals is { … } instead of { … }`.
    pub fn wider_than(&self, other: &Self) -> Vec<String> {
        let budgets = [
            ("per_group.removals", self.per_group.removals, other.per_group.removals),
            ("per_group.additions", self.per_group.additions, other.per_group.additions),
            ("per_plan.removals", self.per_plan.removals, other.per_plan.removals),
            ("per_plan.additions", self.per_plan.additions, other.per_plan.additions),
            ("per_day.removals", self.per_day.removals, other.per_day.removals),
            ("per_day.deactivations", self.per_day.deactivations, other.per_day.deactivations),
            ("per_week.removals", self.per_week.removals, other.per_week.removals),
        ];
        let numbers = [
            ("emptied_group_from", self.emptied_group_from, other.emptied_group_from),
            ("source_shrink_percent", self.source_shrink_percent, other.source_shrink_percent),
        ];
        let budgets = budgets
            .into_iter()
            .filter(|(_, ours, theirs)| ours.is_wider_than(theirs))
            .map(|(key, ours, theirs)| format!("{key} is {ours} instead of {theirs}"));
        let numbers = numbers
            .into_iter()
            .filter(|(_, ours, theirs)| ours > theirs)
            .map(|(key, ours, theirs)| format!("{key} is {ours} instead of {theirs}"));
        budgets.chain(numbers).collect()
    }
}

/// The defaults of DESIGN §5. People and seats are each tenant's own: none by default.
impl Default for Guard {
    fn default() -> Self {
        Self {
            per_group: Changes { removals: Budget::new(5, 10), additions: Budget::new(25, 50) },
            per_plan: Changes { removals: Budget::new(25, 2), additions: Budget::new(200, 20) },
            per_day: Day { removals: Budget::new(50, 5), deactivations: Budget::new(3, 1) },
            per_week: Week { removals: Budget::new(100, 10) },
            emptied_group_from: 3,
            source_shrink_percent: 10,
            minimum_administrators: 2,
            protected_groups: NameMatcher::new(["org-admins", "site-admins", "*-admins-*"]).unwrap_or_default(),
            protected_people: Vec::new(),
            seat_limit: BTreeMap::new(),
        }
    }
}
