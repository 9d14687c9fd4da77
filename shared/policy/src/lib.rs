//! The file operators write: parsed, diagnosed with line and column, compiled to matchers.
//!
//! [`Policy::parse`] reads one tenant's policy file (DESIGN §5) and gives either a policy that can be right or all
//! problems at once, each with its place, a stable code and what to do. The crate is pure: it opens no file, reads no
//! environment and no clock. Secrets are references ([`SecretRef`]) that somebody else resolves; a secret written
//! into the file is refused and never shown.

mod approval;
mod budget;
mod cases;
mod coverage;
mod diagnostic;
mod directory;
mod filter;
mod mask;
mod matcher;
mod people;
mod policy;
mod read;
mod rule;
mod schedule;
mod schema;

pub use approval::{Approval, ApprovalFor};
pub use budget::{Budget, Changes, Day, Guard, GuardOverride, Week};
pub use cases::{Case, Cases};
pub use coverage::{Coverage, Shared};
pub use diagnostic::{Code, Diagnostic, Diagnostics};
pub use directory::{Customers, Directory, GoogleAuth, Push, SecretRef, Settings, below_endpoint};
pub use filter::PersonFilter;
pub use matcher::{GroupMatcher, NameMatcher, OrgUnitMatcher, PatternError, Rewrite};
pub use people::{
    DefaultGroups, Joining, LeadFallback, LeaveAction, MatchBy, OnLeave, Outsiders, People, Provision, Who,
};
pub use policy::{Policy, policy_shrink};
pub use rule::{DriftMode, External, MembersMode, Nested, OnConflict, OnSourceDeleted, SyncRule};
pub use schedule::{Cron, CronError, Schedule};
pub use schema::json_schema;
