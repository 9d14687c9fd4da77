//! The nouns of Rollcall: what a directory holds, what a plan says, what a command does and what became of it.
//!
//! This crate is pure. It has no I/O, no clock and no randomness; every time is a value that somebody hands in, every
//! id was made elsewhere. All other crates speak in these words, and none of them invents a second word for the same
//! thing.
//!
//! - What was seen: [`User`], [`Group`], [`Member`], [`Reading`], [`Fact`].
//! - What is intended: [`Plan`], [`Case`], [`Step`], [`Edge`].
//! - What is done: [`Command`], [`Outcome`], [`Disposition`], [`DeadLetter`].

mod access;
mod canonical;
mod command;
mod dead_letter;
mod delta;
mod directory;
mod email;
mod fact;
mod group;
mod id;
mod outcome;
mod plan;
mod reading;
mod remedy;
mod snapshot;
mod step;
mod time;
mod user;
mod wider;

pub use access::Access;
pub use canonical::{Canonical, Digest, DigestError, members_digest};
pub use command::{Command, CommandBody, EdgeChange, Generation, Lane};
pub use dead_letter::{DeadLetter, DeadLetterState, Fault, PersonStep};
pub use delta::{Delta, GroupRow, MemberRow, ReadRow, ReadScope, UserRow};
pub use directory::{DirectoryKind, Side};
pub use email::{Email, EmailDoubt, EmailError};
pub use fact::{Answer, Corroboration, Fact};
pub use group::{Group, Member, MemberKind, Ownership, ProductAccess, Role, SeatCount, same_site, says_default_access};
pub use id::{AccountId, CommandId, DirectoryId, GroupId, IdError, RuleId, TenantId};
pub use outcome::{Disposition, EdgeOutcome, Outcome, Rejection, StepResult};
pub use plan::{
    Case, CaseKind, GuardName, GuardVerdict, Held, Link, LinkHow, Plan, PlanBody, Refusal, RefusalWhy, Seats,
    TargetPlan, Wait, WaitWhy,
};
pub use reading::{GroupsRead, MembersRead, Reading, UsersRead};
pub use snapshot::Snapshot;
pub use step::{ACCOUNT_FIELDS, AccountChange, Edge, EdgeOp, Reason, Step};
pub use time::{Span, Time};
pub use user::{LET_IN, Standing, User, UserState};
pub use wider::WiderGuard;
