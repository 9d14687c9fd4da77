//! What to do about what will not be done.

use crate::RefusalWhy;

impl RefusalWhy {
    /// What to do if it was meant.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::ProtectedGroup => "no rule touches it: take the group out of the rule",
            Self::ProtectedPerson => "nobody touches protected_people under [guard]",
            Self::OurOwnAccount => "our own credentials' account is never touched",
            Self::LastAdministrator => "make somebody else an administrator first",
            Self::NotOurs => "change it where it is owned, or take the group out of the rule",
            Self::DefaultAccessGroup => {
                "it gives a product by default: write default_access_group = true and members = \"managed\" if that is meant"
            }
            Self::MayNotCreate => "make the group at the target, or write create = true",
            Self::Skipped => "write another on_conflict to take the group",
        }
    }

    /// Whether a rule asks for what it does not get until somebody changes the rule or the target. Everything else is
    /// left alone on purpose: it is protected, or the policy says so.
    pub const fn asks_for_a_change(self) -> bool {
        matches!(self, Self::NotOurs | Self::DefaultAccessGroup | Self::MayNotCreate)
    }
}
