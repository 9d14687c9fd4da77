//! Carrying out a command: fence, ledger, budget, perform, classify, settle.
//!
//! [`Runner::run`] takes one command and gives its [`Outcome`](model::Outcome). There is one write path with two
//! ledgers: PostgreSQL under the writer, a synced journal under one-shot `apply`.
//!
//! Guarantees, with the invariant they stand for:
//! * every call is admitted by the [`Ledger`] first, which commits the attempt and looks at the generations in one step:
//!   an outdated edge is dropped, an effect without a row cannot be (I6, I7);
//! * two calls never hold one membership at once, whatever lanes their commands came by;
//! * what may have happened is repeated only where repeating is harmless (a membership), and read otherwise (a creation,
//!   a deactivation);
//! * throttling is never anybody's fault: it ends as *not tried*, never as a rejection.
//!
//! What to do with an answer is [`next()`], a plain function. The runner only carries it out.

mod job;
mod ledger;
mod locks;
mod members;
mod next;
mod runner;

pub use atlassian_write::{
    Answered, ConfluenceWriter, CustomersWriter, DcWriter, JiraWriter, ListKind, Look, OrgWriter, ScimWriter, Target,
    dc::Product as DcProduct,
};
pub use job::{Finished, Job};
pub use ledger::{Admission, Call, Ledger, LedgerError, What};
pub use next::{Next, Patience, next};
pub use runner::Runner;
