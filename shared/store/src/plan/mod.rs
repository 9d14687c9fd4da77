//! What the reconciler decided and what it remembers: links, pins, released edges, commands, cases, windows, progress.
//!
//! One turn of the reconciler is one transaction ([`crate::Store::commit_turn`]): the outcomes it took in, the plan it came to,
//! the commands with their messages, and how far it has read. A crash before the commit changes nothing; after it,
//! everything is there.

mod asked;
mod memory;
mod news;
mod read;
mod rows;
mod statements;
mod turn;
mod verdicts;

pub use asked::{SyncAsked, SyncTaken};
pub(crate) use memory::{COMMAND, open_command};
pub use news::{Awaited, News};
pub use read::{CaseRow, PlanSummary, SyncStateRow};
pub use rows::{
    AccountOpenRow, CaseState, ConfirmedRow, EdgeKey, HeldRow, LeavingRow, MemoryRows, NewCommand, OpenCommand,
    OpeningRow, PersonLinkRow, PinRow, PlanHoldRow, PlanRow, PolicyRow, PolicyState, ReleasedRow, WaitingCase,
    WindowKind, WindowRow,
};
pub use turn::Turn;
pub use verdicts::{ConflictRow, LetterRow, VerdictRow, Verdicts};
