//! Google Workspace: users, groups, memberships.

/// The Google side of the world.
#[derive(Debug, Default)]
pub struct GoogleSide {}
