//! Properties of the pure core, seen from outside: whatever directories hold and in whatever order they are read, a plan
//! that was carried out leaves nothing to plan, and nobody is removed on the word of a read that was not complete.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod convergence;
mod partial_reads;
mod policy_files;
mod world;
