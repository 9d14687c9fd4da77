//! Atlassian's APIs: organization v2, user provisioning (SCIM), Jira Cloud v3.

use axum::Router;

use crate::engine::Limit;
use crate::server::Shared;

/// All routes of the Atlassian side. The state is [`Shared`]; handlers answer through [`crate::engine::run`].
pub fn router() -> Router<Shared> {
    Router::new()
}

/// The documented limits of Atlassian's families, by the name that their buckets use.
pub fn limits() -> Vec<(&'static str, Limit)> {
    Vec::new()
}
