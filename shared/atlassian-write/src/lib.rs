//! Changing Atlassian. A crate of its own so that the boundary is a dependency, not a habit: only `effect` imports it.
//!
//! [`Target`] makes one call and says what became of it, as an [`Answered`] with a [`Disposition`](model::Disposition). It
//! never repeats a change, decides nothing and remembers nothing but what is under way (groups that were made and whose ids
//! are asked for together), which products an organization has and, for some minutes, which groups of Confluence Data Center
//! hold no groups: what to do next is `effect`'s.
//!
//! Guarantees:
//! * the vendors' many ways to say "already so" are told from real refusals by tables that are plain functions
//!   ([`classify`]), one row a row of reference/atlassian-cloud.md §12 and reference/atlassian-dc.md §8;
//! * what the words leave open is [`Disposition::Look`](model::Disposition::Look), never a guess;
//! * an answer is kept as status, stable code and the vendor's own sentence without addresses.

mod answered;
pub mod classify;
mod confluence;
mod customers;
pub mod dc;
mod jira;
mod lifecycle;
mod newborn;
mod org;
mod products;
mod scim;
mod target;

pub use answered::{Answered, Look};
pub use confluence::ConfluenceWriter;
pub use customers::{CustomersWriter, ListKind};
pub use dc::DcWriter;
pub use jira::JiraWriter;
pub use org::OrgWriter;
pub use outbound::Turn;
pub use scim::ScimWriter;
pub use target::Target;
