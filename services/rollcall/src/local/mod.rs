//! One-shot runs: one process, no server. The same planner, connectors and write path as the services, with a journal
//! in the place of PostgreSQL.

pub mod apply;
pub mod aside;
pub mod cases;
pub mod deeds;
pub mod draft;
pub mod execute;
pub mod explain;
pub mod files;
pub mod import;
pub mod journal;
pub mod ledger;
pub mod past;
pub mod plan;
pub mod planfile;
pub mod recover;
pub mod world;

use crate::args::{ApplyArgs, JournalArgs};

/// Where an apply keeps its journal.
pub(crate) fn journal_args(args: &ApplyArgs) -> JournalArgs {
    args.journal.clone()
}
