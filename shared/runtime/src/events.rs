//! The names of log events that operators and their tools look for: `event.name` in each line.

/// A decision differs from the last one and was stored.
pub const PLAN_PROPOSED: &str = "rollcall.plan.proposed";
/// A person approved.
pub const PLAN_APPROVED: &str = "rollcall.plan.approved";
/// A person rejected.
pub const PLAN_REJECTED: &str = "rollcall.plan.rejected";
/// What somebody looked at, or approved, is not what would be done now.
pub const PLAN_STALE: &str = "rollcall.plan.stale";
/// A watcher committed something new.
pub const CHANGE_DETECTED: &str = "rollcall.change.detected";
/// A command changed its target. One line for each command, at debug level: there may be a thousand a second.
pub const CHANGE_APPLIED: &str = "rollcall.change.applied";
/// A command found everything as wanted, or outdated. As [`CHANGE_APPLIED`].
pub const CHANGE_NOOP: &str = "rollcall.change.noop";
/// A command is taken again later.
pub const CHANGE_RETRIED: &str = "rollcall.change.retried";
/// A dead letter was opened.
pub const CHANGE_DEAD_LETTERED: &str = "rollcall.change.dead_lettered";
/// The last complete read of a directory became older than two intervals. Once, until it is read again.
pub const DIRECTORY_STALE: &str = "rollcall.directory.stale";
/// A guard holds something that it did not hold before.
pub const GUARD_HELD: &str = "rollcall.guard.held";
/// A group that existed before we came waits for a decision.
pub const CONFLICT_OPENED: &str = "rollcall.conflict.opened";
/// One that waited waits no more.
pub const CONFLICT_RESOLVED: &str = "rollcall.conflict.resolved";
