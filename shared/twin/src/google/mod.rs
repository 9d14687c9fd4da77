//! Google's APIs: the token endpoint, the Directory API and its batch endpoint.
//!
//! Facts are from `reference/google.md` and Google's discovery document; what those leave open is answered in the
//! strictest documented way.

mod aliases;
mod batch;
mod dialect;
mod directory;
mod fields;
mod groups;
pub mod key;
mod members;
mod query;
mod show;
mod token;
mod user_writes;
mod users;
mod wire;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};

use crate::engine::Limit;
use crate::server::Shared;

/// All routes of the Google side.
pub fn router() -> Router<Shared> {
    Router::new()
        .route("/token", post(token::token))
        .route("/batch", post(batch::batch))
        .route("/batch/admin/directory_v1", post(batch::batch))
        .route("/admin/directory/v1/{*path}", any(directory_call))
}

/// The documented limits of Google's families, by the name that their buckets use.
///
/// Directory: 2,400 queries per minute, user and project; 10 users created per second and domain. The account-wide limit
/// (`google.directory.account`) is not published, so none is set for it unless an operator does (google.md §4).
pub fn limits() -> Vec<(&'static str, Limit)> {
    vec![
        ("google.directory.user", Limit { per_minute: 2400.0, burst: 2400.0 }),
        ("google.directory.user-create", Limit { per_minute: 600.0, burst: 10.0 }),
    ]
}

async fn directory_call(State(twin): State<Shared>, request: Request) -> Response {
    match wire::Wire::read(request).await {
        Ok(wire) => directory::dispatch(&twin, &wire).await.into_response(),
        Err(refused) => refused.into_response(),
    }
}
