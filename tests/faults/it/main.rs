//! Kills at random moments under load. What counts is the twin's world, and its log beside the ledger.
//!
//! The seed is printed; `ROLLCALL_SEED` repeats it, `ROLLCALL_KILLS` says how often each part is killed (3).

#![expect(clippy::disallowed_methods, reason = "tests are told by their environment how often and with which seed")]

mod evidence;
mod kills;
mod load;
