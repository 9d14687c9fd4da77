//! Commands carried out against a twin, with a ledger in memory. Tests assert on the twin's world.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod access;
mod confluence;
mod customers;
mod dc;
mod dc_accounts;
mod fence;
mod handover;
mod jira;
mod lifecycle;
mod matrix;
mod org;
mod provisioning;
mod user_directory;
mod world;
