//! Commands carried out against a twin, with a ledger in memory. Tests assert on the twin's world.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod dc;
mod fence;
mod jira;
mod org;
mod provisioning;
mod world;
