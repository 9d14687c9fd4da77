//! The twin as its clients see it, over HTTP.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod admin;
mod faults;
mod google;
mod real;
mod support;
