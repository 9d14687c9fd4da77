//! The operator's endpoint under `/_twin/`.

use axum::Router;

use crate::server::Shared;

/// All routes of the operator.
pub fn router() -> Router<Shared> {
    Router::new()
}
