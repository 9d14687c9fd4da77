//! The ledger of effects: an attempt is committed before its call, an outcome when the writer knows.
//!
//! Guarantees: an attempt is recorded only under the target's lease and only for a command that stands in the ledger
//! unsettled and with the same digest; a command has one outcome; what has the same fault at the same target with the
//! same class is one dead letter while that is
//! open.

mod ledger;
mod letters;

pub use ledger::{AttemptEnd, NewAttempt, RecordedOutcomes, UnendedAttempt};
pub use letters::{LetterView, NewLetter};
