//! Before any handler: the host, the person, the role. Deny by default.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use model::TenantId;
use runtime::{clock, spans};
use serde::Deserialize;
use tracing::Instrument as _;

use crate::failure::Failure;
use crate::state::Api;
use crate::tokens::{Person, Role};

/// Whoever asks, put into the request by [`admit`].
#[derive(Debug, Clone)]
pub(crate) struct Asker(pub(crate) Arc<Person>);

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Failure::unauthenticated)
    }
}

/// `?tenant=`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct TenantQuery {
    pub(crate) tenant: Option<String>,
}

/// Whose request it is and about which tenant.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) person: Arc<Person>,
    pub(crate) tenant: TenantId,
}

impl FromRequestParts<Api> for Asked {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Failure> {
        let Asker(person) = Asker::from_request_parts(parts, api).await?;
        let Query(query) = Query::<TenantQuery>::from_request_parts(parts, api)
            .await
            .map_err(|_| Failure::usage("the query cannot be read"))?;
        let tenant = api.tenant(&person, query.tenant.as_deref())?;
        spans::asked_for(tenant.as_str());
        Ok(Self { person, tenant })
    }
}

/// Lets in whoever asks by a host name that is ours and shows a token that is somebody's. Runs before routing, so that
/// an outsider learns nothing about what there is, and writes no row.
pub(crate) async fn admit(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let started = clock::monotonic();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let span = spans::request(method.as_str(), &route);
    let admitted = if host_is_ours(&api, &request) {
        bearer(&request).and_then(|token| api.inner.tokens.current().find(token)).ok_or_else(Failure::unauthenticated)
    } else {
        Err(Failure::misdirected())
    };
    let mut response = match admitted {
        Ok(person) => {
            request.extensions_mut().insert(Asker(person));
            next.run(request).instrument(span.clone()).await
        }
        Err(failure) => failure.into_response(),
    };
    let status = response.status();
    spans::served(&span, status.as_u16());
    api.inner.metrics.http_server(method.as_str(), &route, status.as_str(), clock::monotonic() - started);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if status == axum::http::StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Lets on whoever has the route's role. Attempts to change something without it are kept in the audit chain.
pub(crate) async fn require(
    State((api, role)): State<(Api, Role)>,
    Asker(person): Asker,
    request: Request,
    next: Next,
) -> Response {
    if person.role >= role {
        return next.run(request).await;
    }
    let changes = request.method() != Method::GET;
    let failure = Failure::forbidden();
    if !changes {
        return failure.into_response();
    }
    let what = format!("{} {}", request.method(), request.uri().path());
    let (mut parts, _) = request.into_parts();
    if let Ok(asked) = Asked::from_request_parts(&mut parts, &api).await {
        return api.refuse(&asked.tenant, &person, &what, failure).await.into_response();
    }
    // Which chain it belongs to cannot be said: the log keeps it.
    tracing::warn!(event.name = "rollcall.console.refused", "a request was refused");
    failure.into_response()
}

/// A path's parts; a part that cannot be read is a usage error in our own words.
#[derive(Debug)]
pub(crate) struct Parts1<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for Parts1<T>
where
    T: serde::de::DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Path(value) =
            Path::<T>::from_request_parts(parts, state).await.map_err(|_| Failure::usage("the path cannot be read"))?;
        Ok(Self(value))
    }
}

fn bearer(request: &Request) -> Option<&str> {
    let header = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Exact names only: a prefix or a suffix that matches is how DNS rebinding gets in.
fn host_is_ours(api: &Api, request: &Request) -> bool {
    let mut named = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (named.next().and_then(|host| host.to_str().ok()), named.next()) else { return false };
    let authority = request.uri().authority().map(axum::http::uri::Authority::as_str);
    let known = |name: &str| api.inner.hosts.contains(&name.to_ascii_lowercase());
    known(host) && authority.is_none_or(known)
}
