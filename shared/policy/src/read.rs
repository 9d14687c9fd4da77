//! From the text of a policy file to a [`Policy`](crate::Policy), collecting everything that is wrong on the way.

mod address;
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

pub(crate) use tenant::policy;
