//! Messages as bytes: a later version reads an earlier one. Each message is kept in `golden/` as hexadecimal bytes with
//! the value that it must read as; those files are never rewritten.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod golden;
mod later;
mod ops;
mod samples;
