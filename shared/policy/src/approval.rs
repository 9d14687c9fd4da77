//! `[approval]`: what waits for a person, and for how long a person's word holds.

use std::collections::BTreeSet;

use model::Span;

/// `[approval]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// What a person must release. Deleting a group is held even if it is not named here, and so is what is above a
    /// budget.
    pub required_for: BTreeSet<ApprovalFor>,
    /// Whether the one who approves must be another than the one who proposed.
    pub four_eyes: bool,
    /// How long an approval holds.
    pub expires: Span,
}

/// What a person must release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ApprovalFor {
    /// Whatever is above a budget. It is held in any case: a list without it is refused.
    Guard,
    /// A target group that existed before.
    Conflict,
    /// Membership of a group that gives a product by default.
    DefaultAccessGroup,
    /// Deleting or emptying a group since its source is gone.
    GroupDelete,
}

impl ApprovalFor {
    /// All of them, in the order of the policy file.
    pub const ALL: [Self; 4] = [Self::Guard, Self::Conflict, Self::DefaultAccessGroup, Self::GroupDelete];

    /// The name in the policy file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Guard => "guard",
            Self::Conflict => "conflict",
            Self::DefaultAccessGroup => "default-access-group",
            Self::GroupDelete => "group-delete",
        }
    }
}

/// Everything is required, by a second person, within the hour.
impl Default for Approval {
    fn default() -> Self {
        Self { required_for: ApprovalFor::ALL.into(), four_eyes: true, expires: Span::from_secs(60 * 60) }
    }
}
