//! The store on a real PostgreSQL.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "tests"
)]

mod audit;
mod directory;
mod grants;
mod leases;
mod ledger;
mod migrations;
mod outbox;
mod plan;
mod prune;
mod world;
