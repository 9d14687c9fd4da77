//! Google and Atlassian played faithfully: state, routes, quotas, lag, faults.
//!
//! [`Twin::start`] serves one in-memory world on two loopback ports: the first is meant as Google, the second as
//! Atlassian, and both answer everything, with the operator's endpoint under `/_twin/` on either. It is an independent
//! reading of the vendors' documents: nothing here comes from Rollcall's own connectors, or its mistakes would cancel
//! theirs.
#![expect(
    clippy::disallowed_methods,
    reason = "the twin is an outside world: it has its own clock and makes its own ids"
)]

pub mod admin;
pub mod atlassian;
pub mod engine;
pub mod google;
pub mod load;
pub mod server;
pub mod world;

pub use server::{Config, Error, Running, Shared, Twin};
