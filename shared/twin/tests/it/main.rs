//! The twin as its clients see it, over HTTP.
#![expect(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

mod admin;
mod faults;
mod google;
mod real;
mod support;
