//! Messages as bytes: a later version reads an earlier one. Each message is kept in `golden/` as hexadecimal bytes with
//! the value that it must read as; those files are never rewritten: a message that changes gets another one.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod coverage;
mod golden;
mod later;
mod ops;
mod plans;
mod samples;
