//! Atlassian's APIs: organization v1/v2, user provisioning (SCIM), user management, Jira Cloud v3, service management.
//!
//! Families, as counters, lag, quotas and faults name them: `atlassian.org`, `atlassian.scim`, `atlassian.jira`,
//! `atlassian.users`, `atlassian.servicedesk` and `atlassian.confluence` (with Jira's limits). Facts are those of the documents that each module names; where they are silent, the
//! [switches](crate::world::atlassian::AtlassianSwitches) decide.
//!
//! No lag is set at first. Documented are 1–2 s until the organization API shows a written group or membership
//! (visibility of `atlassian.org`, and of `atlassian.scim` and `atlassian.jira` for what they write), up to 30 s for roles
//! (switch `role_lag_ms`, on top); how far a site's view lags behind its organization is unknown (switch `site_lag_ms`).

pub mod confluence;
pub mod dc;
pub mod desk;
mod incoming;
pub mod jira;
pub mod org;
pub mod scim;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod users;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::any;

use crate::engine::credentials::Secret;
use crate::engine::{Answer, Credentials, Limit};
use crate::server::Shared;
use crate::world::atlassian::{ORGANIZATION, SCIM_DIRECTORY, SITE};
use incoming::Incoming;

/// All routes of the Atlassian side. The state is [`Shared`]; handlers answer through [`crate::engine::run`].
///
/// A Jira site is reached by `Host: <site>.…`, by `/ex/jira/<cloud id>/rest/…`, by `/sites/<site>/rest/…`, or else by
/// the site that the API token is for.
pub fn router() -> Router<Shared> {
    Router::new()
        .route("/admin/v1/orgs", any(serve_org))
        .route("/admin/v1/orgs/{*rest}", any(serve_org))
        .route("/admin/v2/orgs/{*rest}", any(serve_org))
        .route("/admin/user-provisioning/v1/org/{*rest}", any(serve_org))
        .route("/scim/directory/{*rest}", any(serve_scim))
        .route("/users/{account}/manage", any(serve_users))
        .route("/users/{account}/manage/{*rest}", any(serve_users))
        .route("/rest/api/{*rest}", any(serve_jira))
        .route("/ex/jira/{cloud}/rest/api/{*rest}", any(serve_jira))
        .route("/sites/{site}/rest/api/{*rest}", any(serve_jira))
        .route("/dc/{instance}/{*rest}", any(dc::serve))
        .route("/wiki/rest/api/{*rest}", any(serve_confluence))
        .route("/ex/confluence/{cloud}/wiki/rest/api/{*rest}", any(serve_confluence))
        .route("/sites/{site}/wiki/rest/api/{*rest}", any(serve_confluence))
        .route("/rest/servicedeskapi/{*rest}", any(serve_desk))
        .route("/ex/jira/{cloud}/rest/servicedeskapi/{*rest}", any(serve_desk))
        .route("/sites/{site}/rest/servicedeskapi/{*rest}", any(serve_desk))
}

/// The documented or observed limits, by the name that their buckets use.
///
/// Jira's burst limits are documented per second, endpoint and method (steady GET 100, POST 100, PUT 50, DELETE 50,
/// GET user 150); 200 a minute and organization was observed; `/events` is documented with 10 a minute. SCIM has no
/// known limit: set `atlassian.scim` (key: directory) to have one.
pub fn limits() -> Vec<(&'static str, Limit)> {
    let per_second = |n: f64| Limit { per_minute: n * 60.0, burst: n };
    vec![
        ("atlassian.org", Limit { per_minute: 200.0, burst: 200.0 }),
        ("atlassian.org.events", Limit { per_minute: 10.0, burst: 10.0 }),
        ("atlassian.jira.get", per_second(100.0)),
        ("atlassian.jira.get-user", per_second(150.0)),
        ("atlassian.jira.post", per_second(100.0)),
        ("atlassian.jira.put", per_second(50.0)),
        ("atlassian.jira.delete", per_second(50.0)),
        ("atlassian.jira.user-search", per_second(100.0)),
    ]
}

/// Keys for the organization, SCIM directory and site that every world begins with. Their owner is `sync-bot@<domain>`.
pub fn sample_credentials(owner_email: &str) -> Credentials {
    let secret = |kind: &str, realm: &str, principal: &str, secret: &str| Secret {
        kind: kind.to_owned(),
        realm: realm.to_owned(),
        principal: principal.to_owned(),
        secret: secret.to_owned(),
        scopes: std::collections::BTreeSet::new(),
        expires_at: None,
        revoked: false,
    };
    let mut secrets = vec![
        secret("atlassian-org", ORGANIZATION, "org-key", "twin-org-key"),
        secret("scim", SCIM_DIRECTORY, "scim-key", "twin-scim-key"),
        secret("jira", SITE, owner_email, "twin-api-token"),
    ];
    secrets.extend(dc::sample_credentials());
    Credentials { secrets, ..Credentials::default() }
}

async fn serve_org(State(twin): State<Shared>, request: Request) -> Answer {
    match Incoming::read(request).await {
        Ok(incoming) => org::serve(&twin, incoming).await,
        Err(answer) => answer,
    }
}

async fn serve_scim(State(twin): State<Shared>, request: Request) -> Answer {
    match Incoming::read(request).await {
        Ok(incoming) => scim::serve(&twin, incoming).await,
        Err(answer) => answer,
    }
}

async fn serve_users(State(twin): State<Shared>, request: Request) -> Answer {
    match Incoming::read(request).await {
        Ok(incoming) => users::serve(&twin, incoming).await,
        Err(answer) => answer,
    }
}

async fn serve_jira(State(twin): State<Shared>, request: Request) -> Answer {
    match Incoming::read(request).await {
        Ok(incoming) => jira::serve(&twin, incoming).await,
        Err(answer) => answer,
    }
}

async fn serve_confluence(State(twin): State<Shared>, request: Request) -> Answer {
    match Incoming::read(request).await {
        Ok(incoming) => confluence::serve(&twin, incoming).await,
        Err(answer) => answer,
    }
}

async fn serve_desk(State(twin): State<Shared>, request: Request) -> Answer {
    match Incoming::read(request).await {
        Ok(incoming) => desk::serve(&twin, incoming).await,
        Err(answer) => answer,
    }
}
