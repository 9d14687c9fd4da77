//! Google's APIs: the token endpoint and the Directory API.

use axum::Router;

use crate::engine::Limit;
use crate::server::Shared;

/// All routes of the Google side.
pub fn router() -> Router<Shared> {
    Router::new()
}

/// The documented limits of Google's families, by the name that their buckets use.
///
/// Directory: 2,400 queries per minute, user and project; the account-wide limit is not published (google.md §4), so
/// none is set for it unless an operator does.
pub fn limits() -> Vec<(&'static str, Limit)> {
    vec![(
        "google.directory.user",
        Limit {
            per_minute: 2400.0,
            burst: 2400.0,
        },
    )]
}
