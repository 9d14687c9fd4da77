//! From the text of a policy file to a [`Policy`](crate::Policy), collecting everything that is wrong on the way.

mod address;
mod capable;
mod checks;
mod claims;
mod context;
mod directory;
mod guard;
mod people;
mod section;
mod sync;
mod tenant;
mod value;

pub(crate) use context::{Context, Said};
pub(crate) use section::{Section, list_of, shown, table_of, text_of};
pub(crate) use tenant::{policy, report_syntax_errors};
pub(crate) use value::{UserStates, directory_named};
