//! The HTTP client: one per API and credential.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use model::Time;
use runtime::{Clock, spans};
use secrecy::ExposeSecret as _;
use tracing::{Instrument as _, Span};
use url::Url;

use crate::answer::{Answer, CallError, CallErrorKind, Sense, default_sense};
use crate::budget::{Budget, Permit};
use crate::credential::{Credential, TokenError};
use crate::pacer::End;
use crate::request::{Body, Request};
use crate::retry::{Allowed, RetryPolicy};
use crate::trust;

/// Longest wait for a connection. Within [`ClientConfig::timeout`].
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What names a request in the vendor's logs and, for a write, in our ledger.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a client is made of.
#[derive(Clone)]
pub struct ClientConfig {
    /// What metrics call the API (`google`, `atlassian-org`).
    pub name: String,
    /// `scheme://host:port`, with a path before the vendor's own if there is a gateway.
    pub base_url: String,
    /// Who we are.
    pub credential: Credential,
    /// What the calls spend from.
    pub budget: Arc<Budget>,
    /// Longest time from sending to the last byte of the answer.
    pub timeout: Duration,
    /// Largest answer in bytes.
    pub largest_answer: usize,
    /// What times answers bear.
    pub clock: Clock,
    /// What the vendor's answers say about the vendor.
    pub sense: fn(&Answer) -> Sense,
    /// How reads are repeated.
    pub retry: RetryPolicy,
}

impl ClientConfig {
    /// A client with the usual patience: 30 s for an answer of at most 64 MiB.
    pub fn new(name: &str, base_url: &str, credential: Credential, budget: Arc<Budget>, clock: Clock) -> Self {
        Self {
            name: name.to_owned(),
            base_url: base_url.to_owned(),
            credential,
            budget,
            timeout: Duration::from_secs(30),
            largest_answer: 64 << 20,
            clock,
            sense: default_sense,
            retry: RetryPolicy::default(),
        }
    }
}

/// Why there is no client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The address is none.
    #[error("\"{0}\" is not an address: write scheme://host:port")]
    Address(String),
    /// Plain http to another machine.
    #[error("\"{0}\" is plain http to another machine: use https, or http to a loopback address")]
    PlainHttp(String),
    /// The HTTP library could not begin.
    #[error("the HTTP client cannot be made: {0}")]
    Library(String),
}

/// One API as one credential. Clones share connections and budget.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    config: ClientConfig,
    base: Url,
    server: String,
    http: reqwest::Client,
    allowed: Allowed,
}

/// An answer, and what its request was signed with.
type Sent = (Answer, Option<HeaderValue>);

impl Client {
    /// A client. Opens no connection.
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        let base = Url::parse(&config.base_url).map_err(|_| ClientError::Address(config.base_url.clone()))?;
        let server = base.host_str().unwrap_or_default().to_owned();
        if server.is_empty() || base.cannot_be_a_base() {
            return Err(ClientError::Address(config.base_url));
        }
        let loopback = is_loopback(&base);
        match base.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err(ClientError::PlainHttp(config.base_url)),
            _ => return Err(ClientError::Address(config.base_url)),
        }
        let http = http_client(&config, loopback)?;
        Ok(Self { inner: Arc::new(Inner { allowed: Allowed::new(), config, base, server, http }) })
    }

    /// Sends once and gives the answer, whatever its status. Only where the vendor refuses our credentials and there are
    /// others by now (a new token, a secret that was replaced) is the call repeated with them, once: what was refused so
    /// did not happen.
    ///
    /// # Errors
    /// When no usable answer came; [`CallError::kind`] says whether the call may have had an effect.
    pub async fn send(&self, request: &Request) -> Result<Answer, CallError> {
        let (answer, used) = self.once(request).await?;
        if self.sense(&answer) == Sense::Unauthenticated && self.credential(request, true).await? != used {
            return self.once(request).await.map(|(answer, _)| answer);
        }
        Ok(answer)
    }

    /// Sends a read, and again while the vendor throttles or is in trouble, with full jitter and a retry budget.
    ///
    /// # Errors
    /// As [`Client::send`], after the last try. An answer that still says *throttled* or *in trouble* after the last
    /// try is given as it is: the connector must look at [`Client::sense`].
    pub async fn read(&self, request: &Request) -> Result<Answer, CallError> {
        let policy = self.inner.config.retry;
        let mut tries = 0;
        loop {
            let result = self.send(&request.clone().resend(tries)).await;
            tries += 1;
            let again = match &result {
                Ok(answer) => matches!(self.sense(answer), Sense::Throttled | Sense::Overloaded | Sense::Troubled),
                Err(error) => matches!(error.kind, CallErrorKind::NotSent | CallErrorKind::Unknown),
            };
            if !again {
                self.inner.allowed.earn();
                return result;
            }
            // What is throttled waits for the budget's pause anyway, and says nothing about the vendor's health.
            let throttled = result.as_ref().is_ok_and(|answer| self.sense(answer) == Sense::Throttled);
            if tries >= policy.tries(throttled) || !(throttled || self.inner.allowed.spend()) {
                return result;
            }
            if !throttled {
                tokio::time::sleep(runtime::ids::jitter(policy.longest_wait(tries))).await;
            }
        }
    }

    /// What an answer says about the vendor, in the words of this API.
    pub fn sense(&self, answer: &Answer) -> Sense {
        (self.inner.config.sense)(answer)
    }

    /// The present time on the client's clock.
    pub fn now(&self) -> Time {
        crate::now(&self.inner.config.clock)
    }

    /// The clock behind [`Client::now`].
    pub fn clock(&self) -> &Clock {
        &self.inner.config.clock
    }

    /// What the calls spend from.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.inner.config.budget
    }

    /// Longest time that one call takes, from its turn to its answer: a lease must outlast it.
    pub fn timeout(&self) -> Duration {
        self.inner.config.timeout
    }

    async fn once(&self, request: &Request) -> Result<Sent, CallError> {
        let permit = self.turn(request).await?;
        // Each time it is sent it is another request.
        let id = request.requests.as_ref().map_or_else(|| runtime::ids::uuid().to_string(), |requests| requests.next());
        let span = spans::call(request.method.as_str(), request.template, &self.inner.server, &id, request.resend);
        self.in_turn(request, &id, permit, &span).instrument(span.clone()).await
    }

    async fn turn(&self, request: &Request) -> Result<Permit, CallError> {
        let budget = &self.inner.config.budget;
        let Some(time) = request.turn_by else { return Ok(budget.acquire(request.lane).await) };
        tokio::select! {
            permit = budget.acquire(request.lane) => Ok(permit),
            () = self.inner.config.clock.sleep_until(time.0) => Err(CallError {
                call: format!("{request:?}"),
                kind: CallErrorKind::NoTurn,
                message: "the API budget gave it no turn in time".to_owned(),
            }),
        }
    }

    async fn in_turn(&self, request: &Request, id: &str, permit: Permit, span: &Span) -> Result<Sent, CallError> {
        let began = runtime::clock::monotonic();
        let result = self.exchange(request, id).await;
        let budget = &self.inner.config.budget;
        let mut after = None;
        let (status, error, end) = match &result {
            Ok((answer, _)) => {
                let sense = self.sense(answer);
                after = answer.retry_after();
                if let Some((left, reset)) = answer.remaining() {
                    budget.learn(left, reset);
                }
                let well = answer.is_success() && sense == Sense::Judged;
                let error = if well { "" } else { answer.status.as_str() };
                (Some(answer.status), error, answer.end(sense))
            }
            Err(error) => (None, kind_name(error.kind), End::Nothing),
        };
        permit.settle(end);
        let left = budget.remaining();
        runtime::metrics::process().api_budget_remaining(budget.name(), left);
        runtime::metrics::process().http_client(
            request.method.as_str(),
            &self.inner.server,
            status.as_ref().map_or("", StatusCode::as_str),
            error,
            runtime::clock::monotonic().saturating_duration_since(began),
        );
        spans::answered(span, status.map(|status| status.as_u16()), error, left, after.map(model::Span::to_std));
        result
    }

    /// What the next request is signed with; `refresh`: the vendor has just refused the last.
    async fn credential(&self, request: &Request, refresh: bool) -> Result<Option<HeaderValue>, CallError> {
        let failed = |kind, message: String| CallError { call: format!("{request:?}"), kind, message };
        self.inner.config.credential.header(refresh).await.map_err(|error| match error {
            TokenError::Refused(text) => failed(CallErrorKind::Credentials, text),
            TokenError::Untrusted(text) => failed(CallErrorKind::Untrusted, text),
            TokenError::Unreachable(text) => failed(CallErrorKind::NotSent, text),
        })
    }

    async fn exchange(&self, request: &Request, id: &str) -> Result<Sent, CallError> {
        let authorization = self.credential(request, false).await?;
        let mut url = self.inner.base.clone();
        url.set_path(&format!("{}{}", url.path().trim_end_matches('/'), request.path));
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept(&request.body)));
        for (name, value) in &request.headers {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        if let Some(value) = &authorization {
            headers.insert(AUTHORIZATION, value.clone());
        }
        if let Ok(id) = HeaderValue::from_str(id) {
            headers.insert(REQUEST_ID, id);
        }
        if request.traced {
            runtime::trace::inject_headers(&mut headers);
        }
        let mut builder = self.inner.http.request(request.method.clone(), url);
        builder = match &request.body {
            Body::Empty => builder,
            Body::Json(body) => builder.json(body),
            Body::Scim(body) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/scim+json"));
                builder.body(body.to_string())
            }
            Body::Form(pairs) => {
                let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.expose_secret())).collect();
                builder.form(&pairs)
            }
        };
        let response = builder.headers(headers).send().await.map_err(|error| self.transport(request, &error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = self.body(request, response).await?;
        Ok((Answer { status, headers, body, at: self.now() }, authorization))
    }

    async fn body(&self, request: &Request, mut response: reqwest::Response) -> Result<Vec<u8>, CallError> {
        let largest = self.inner.config.largest_answer;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.transport(request, &error))? {
            if body.len().saturating_add(chunk.len()) > largest {
                return Err(CallError {
                    call: format!("{request:?}"),
                    kind: CallErrorKind::Unknown,
                    message: format!("the answer is larger than {largest} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// A transport error without its URL. Only what failed before there was a connection certainly had no effect.
    fn transport(&self, request: &Request, error: &reqwest::Error) -> CallError {
        let server = &self.inner.server;
        let (kind, message) = if error.is_builder() {
            (CallErrorKind::Impossible, "the request cannot be made".to_owned())
        } else if let Some(why) = trust::untrusted(error) {
            (CallErrorKind::Untrusted, format!("{server} is not trusted: {why}"))
        } else if error.is_connect() {
            (CallErrorKind::NotSent, format!("cannot connect to {server}: check the address, the network and TLS"))
        } else if error.is_timeout() {
            let seconds = self.inner.config.timeout.as_secs_f64();
            (CallErrorKind::Unknown, format!("{server} did not answer within {seconds} s"))
        } else {
            (CallErrorKind::Unknown, format!("the connection to {server} broke before the answer was complete"))
        };
        CallError { call: format!("{request:?}"), kind, message }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({} at {})", self.inner.config.name, self.inner.server)
    }
}

/// Whether an address is on this machine: the only ones that plain http may go to.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(url::Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn http_client(config: &ClientConfig, loopback: bool) -> Result<reqwest::Client, ClientError> {
    let library = |error: &dyn fmt::Display| ClientError::Library(error.to_string());
    let tls = trust::tls_config()?;
    let mut headers = HeaderMap::new();
    // Google compresses only for those who have "gzip" in their name (reference/google.md §1.1).
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("rollcall/", env!("CARGO_PKG_VERSION"), " (gzip)")));
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT.min(config.timeout))
        .timeout(config.timeout)
        .pool_idle_timeout(Duration::from_secs(30));
    if loopback {
        builder = builder.no_proxy();
    } else {
        builder = builder.https_only(true);
    }
    builder.build().map_err(|error| library(&error.without_url()))
}

const fn accept(body: &Body) -> &'static str {
    match body {
        Body::Scim(_) => "application/scim+json, application/json",
        _ => "application/json, application/scim+json",
    }
}

const fn kind_name(kind: CallErrorKind) -> &'static str {
    match kind {
        CallErrorKind::NotSent => "not_sent",
        CallErrorKind::Untrusted => "untrusted",
        CallErrorKind::NoTurn => "no_turn",
        CallErrorKind::Unknown => "no_answer",
        CallErrorKind::Credentials => "credentials",
        CallErrorKind::Impossible => "impossible",
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
