//! Every route with the role that it needs, in one table: what is not in it does not exist.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode};
use axum::middleware;
use axum::routing::{MethodRouter, get, post};

use crate::failure::Failure;
use crate::gate::{admit, require};
use crate::state::Api;
use crate::tokens::Role;
use crate::{cases, conflicts, control, explain, letters, plans, review, status};

/// What every path begins with.
pub const PREFIX: &str = "/api/v1";

/// The longest body that is read.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A route and who may take it.
#[derive(Debug)]
pub struct Route {
    /// `GET`, or `POST` for whatever changes something.
    pub method: Method,
    /// The path below [`PREFIX`], with `{parts}`.
    pub path: &'static str,
    /// The least role that may.
    pub role: Role,
    handler: MethodRouter<Api>,
}

/// All routes.
pub fn routes() -> Vec<Route> {
    let look = |path, handler| Route { method: Method::GET, path, role: Role::Viewer, handler };
    let act = |path, role, handler| Route { method: Method::POST, path, role, handler };
    vec![
        look("/status", get(status::show)),
        look("/plans", get(plans::list)),
        look("/plans/{number}", get(plans::show)),
        act("/plans/apply", Role::Operator, post(plans::apply)),
        look("/cases", get(cases::list)),
        look("/cases/{digest}", get(cases::show)),
        act("/cases/verdict", Role::Approver, post(cases::verdict)),
        act("/cases/{digest}/approve", Role::Approver, post(cases::approve)),
        act("/cases/{digest}/reject", Role::Approver, post(cases::reject)),
        look("/conflicts", get(review::list)),
        look("/conflicts/{target}/{group}", get(review::show)),
        act("/conflicts/decision", Role::Operator, post(conflicts::decide_many)),
        act("/conflicts/{target}/{group}", Role::Operator, post(conflicts::decide_one)),
        look("/dead-letters", get(letters::list)),
        look("/dead-letters/{id}", get(letters::show)),
        act("/dead-letters/redrive", Role::Operator, post(letters::redrive_many)),
        act("/dead-letters/discard", Role::Approver, post(letters::discard_many)),
        act("/dead-letters/{id}/redrive", Role::Operator, post(letters::redrive_one)),
        act("/dead-letters/{id}/discard", Role::Approver, post(letters::discard_one)),
        look("/explain", get(explain::explain)),
        act("/hints/sign-in", Role::Hook, post(control::signed_in)),
        act("/sync", Role::Operator, post(control::sync)),
        act("/pause", Role::Operator, post(control::pause)),
        act("/resume", Role::Operator, post(control::resume)),
    ]
}

/// The API as a service.
pub(crate) fn router(api: Api) -> Router {
    let mut router = Router::new();
    for route in routes() {
        let guarded = route.handler.layer(middleware::from_fn_with_state((api.clone(), route.role), require));
        router = router.route(&format!("{PREFIX}{}", route.path), guarded);
    }
    router
        .fallback(async || Failure::not_found("page"))
        .method_not_allowed_fallback(async || {
            Failure::new(StatusCode::METHOD_NOT_ALLOWED, "usage", "looking is GET, changing is POST")
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(api.clone(), admit))
        .with_state(api)
}
