//! The writer on real NATS and PostgreSQL, against a twin. Tests assert on the twin's world and on the ledger.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod bench;
mod carries_out;
mod survives;
