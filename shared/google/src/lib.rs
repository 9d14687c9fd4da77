//! Reading Google Workspace through the Directory API: users, groups, members.
//!
//! Purpose: to say what is so at Google, and how completely it was seen. Nothing is written, nothing is guessed.
//!
//! Guarantees:
//! * a walk is complete only if every page of it came and every row of it could be read; a page token that comes back,
//!   a walk without end, a row of unknown shape and a refused credential make it incomplete;
//! * a list that cannot be true (no users at all, or not the account that we read as) is incomplete;
//! * the customer that was read first is the directory: credentials of another one are refused, and nothing they show is
//!   believed;
//! * groups of other customers are never asked for their members: only groups of our own list are;
//! * nobody is looked up one by one during a sweep: it costs ⌈users/500⌉ + ⌈groups/200⌉ + one call for each group and
//!   further 200 members, and one for those deleted in the last 20 days.
//!
//! Caveats: a person of another domain is a [`model::User`] with [`model::Standing::Unlisted`], known only by membership;
//! whether such a person still exists cannot be asked. `directMembersCount` is a hint and never more.
//!
//! Sources: `reference/google.md` §1 (API), §4 (quotas), §5 (auth), §7 (quirks).

mod auth;
mod customer;
mod error;
mod page;
mod point;
mod probe;
mod reader;
mod sweep;
mod wire;

pub use auth::{Auth, SCOPES};
pub use error::{GoogleError, sense};
pub use reader::{Config, GoogleReader, documented_limit};
