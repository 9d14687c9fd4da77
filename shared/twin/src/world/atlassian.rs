//! Atlassian Cloud: an organization with its directories, accounts, groups and sites.

use serde_json::{Value, json};

use crate::world::{Cause, MutationLog};

/// The Atlassian side of the world.
#[derive(Debug, Default)]
pub struct AtlassianSide {}

impl AtlassianSide {
    /// One account in the organization for a person; called while a world is loaded and when a person appears later.
    /// An account with that address (ASCII lower case) that already exists is left as it is.
    pub fn seed_person(
        &mut self,
        _source_id: &str,
        _email: &str,
        _display_name: &str,
        _log: &mut MutationLog,
        _cause: &Cause,
    ) {
    }

    /// The whole side for the operator: accounts, groups with members, SCIM resources.
    pub fn dump(&self) -> Value {
        json!({})
    }
}
