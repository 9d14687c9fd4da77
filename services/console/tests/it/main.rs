//! The operators' API on a real PostgreSQL and a real NATS.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]

mod access;
mod explain;
mod letters;
mod status;
mod verdicts;
mod world;
