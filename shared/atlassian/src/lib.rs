//! Reading Atlassian: the organization API v2, user provisioning (SCIM), Jira Cloud v3, customers of service desks, Data
//! Center ([`dc`]).
//!
//! Purpose: to say what is so at Atlassian, and how completely it was seen. Nothing is written, nothing is guessed.
//!
//! Guarantees:
//! * a walk is complete only if every page came, every row could be read and, where the vendor counts, the count agrees;
//! * members of a group are walked only for the groups in scope: one walk each, in pages as large as the API allows;
//! * accounts that are deactivated are seen too (Jira leaves them out unless it is asked for them).
//!
//! Caveats: which groups of an organization make administrators or give a product, two searches by role tell; where the
//! key may not ask, [`names::says_default_access`] goes by name, on the safe side, and nothing is said about
//! administrators: whether a name alone makes a group untouchable depends on who made it, which only the planner knows.
//! Which groups give a product by default, only the sites of the organization tell. A Jira site may hide addresses.
//!
//! Sources: `reference/atlassian-cloud.md` §1 (organization), §3 (SCIM), §4 (Jira), §7 (default and administrator
//! groups), §9 (limits).

mod confluence;
mod customers;
pub mod dc;
mod error;
mod gather;
mod jira;
pub mod names;
mod org;
mod provisioning;
mod roles;

pub use confluence::ConfluenceReader;
pub use customers::{CustomerList, CustomersReader, OPT_IN};
pub use error::{AtlassianError, read_error};
pub use jira::{JiraConfig, JiraReader, documented_limit as jira_limit};
pub use org::{OrgConfig, OrgReader};
pub use provisioning::{ScimConfig, ScimReader};
pub use roles::{makes_administrators, product};

/// Where the organization and provisioning APIs are.
pub const API_BASE: &str = "https://api.atlassian.com";
