//! The reconciler on a real PostgreSQL and a real NATS; watchers and writers are played by the tests.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, unreachable_pub, reason = "tests")]

mod acting;
mod cases;
mod changes;
mod fresh;
mod people;
mod survives;
mod world;
