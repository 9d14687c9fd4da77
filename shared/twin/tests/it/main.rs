//! The twin as its clients see it, over HTTP.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests sign in by the machine's clock and fail loudly"
)]

mod admin;
mod faults;
mod google;
mod real;
mod support;
