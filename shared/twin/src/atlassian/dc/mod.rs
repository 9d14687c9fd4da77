//! Data Center: Jira, Confluence, Bitbucket and Crowd, each below `/dc/<instance>` on the Atlassian port.
//!
//! Families: `atlassian.dc.jira`, `atlassian.dc.confluence`, `atlassian.dc.bitbucket`, `atlassian.dc.crowd`. Facts are
//! those of atlassian-dc.md and the vendor's OpenAPI documents beside it; where they are silent, the
//! [switches](crate::world::dc::DcSwitches) of the instance decide.
//!
//! Rate limiting is off until a limit of the family's name is set, as with the vendor; then every authenticated answer
//! bears the five headers, and each node has a bucket of its own. `stale` faults have no effect: there is one database.

mod bitbucket;
mod confluence;
mod crowd;
mod jira;
mod jira_projects;
#[cfg(test)]
mod tests;
mod words;
mod xml;

use axum::extract::{Request as Http, State};
use http::Method;
use serde_json::{Value, json};

use super::incoming::Incoming;
use crate::engine::credentials::Secret;
use crate::engine::{Answer, Bucket, Call, Dialect, View, run};
use crate::server::Shared;
use crate::world::atlassian::Act;
use crate::world::dc::{BOT, Instance, Product};
use crate::world::{Cause, World};
use words::Words;

/// One operation: method, path below the API's root with `*` for one segment, name, and who may call it.
type Route = (&'static str, &'static [&'static str], &'static str, Right);

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    /// Everybody, also without a credential.
    Anybody,
    /// Whoever has signed in.
    User,
    /// Administrators.
    Admin,
    /// Applications (Crowd's API).
    Application,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Caller {
    /// No credential, or a bad one.
    Nobody,
    /// A person, by user name.
    User(String),
    /// An application, by its name.
    Application(String),
}

/// A request with its place and its caller.
struct Request<'a> {
    incoming: &'a Incoming,
    operation: &'static str,
    /// What stands in the path for each `*`.
    names: Vec<String>,
    caller: &'a str,
    /// The instance's address as it was called.
    origin: String,
    view: &'a View,
}

/// The credentials of the instances that every world begins with.
pub(super) fn sample_credentials() -> Vec<Secret> {
    let secret = |kind: &str, realm: &str, secret: String| Secret {
        kind: kind.to_owned(),
        realm: realm.to_owned(),
        principal: BOT.to_owned(),
        secret,
        scopes: std::collections::BTreeSet::new(),
        expires_at: None,
        revoked: false,
    };
    let mut all = Vec::new();
    for product in Product::ALL {
        let name = product.as_str();
        if matches!(product, Product::Crowd | Product::Jira) {
            all.push(secret("dc-application", name, format!("twin-{name}-application")));
        }
        if product != Product::Crowd {
            all.push(secret("dc-token", name, format!("twin-{name}-token")));
            all.push(secret("dc-password", name, format!("twin-{name}-password")));
        }
    }
    all
}

/// Answers a request of any instance.
pub(super) async fn serve(State(twin): State<Shared>, request: Http) -> Answer {
    match Incoming::read(request).await {
        Ok(incoming) => answer(&twin, &incoming).await,
        Err(answer) => answer,
    }
}

/// Where a path leads: the API below an instance's address, and what follows its root.
fn api<'a>(product: Product, path: &[&'a str]) -> Option<(Product, Vec<&'a str>)> {
    let rest = |from: usize| path.iter().skip(from).copied().collect();
    match (product, path) {
        (Product::Jira | Product::Crowd, ["rest", "usermanagement", "1" | "latest", ..]) => {
            Some((Product::Crowd, rest(3)))
        }
        (Product::Jira, ["rest", "api", "2" | "latest", ..]) => Some((Product::Jira, rest(3))),
        (Product::Confluence, ["rest", "api", ..]) => Some((Product::Confluence, rest(2))),
        (Product::Bitbucket, ["rest", "api", "1.0" | "latest", ..]) => Some((Product::Bitbucket, rest(3))),
        _ => None,
    }
}

const fn routes(product: Product) -> (&'static str, &'static [Route]) {
    match product {
        Product::Jira => ("atlassian.dc.jira", jira::ROUTES),
        Product::Confluence => ("atlassian.dc.confluence", confluence::ROUTES),
        Product::Bitbucket => ("atlassian.dc.bitbucket", bitbucket::ROUTES),
        Product::Crowd => ("atlassian.dc.crowd", crowd::ROUTES),
    }
}

/// The route of a request; `Err` says whether another method is known there.
fn route(all: &'static [Route], method: &Method, rest: &[&str]) -> Result<(&'static Route, Vec<String>), bool> {
    let fits = |pattern: &[&str]| {
        pattern.len() == rest.len() && pattern.iter().zip(rest).all(|(one, it)| *one == "*" || one == it)
    };
    // What is spelt out goes before what is left open.
    let wild = |route: &&Route| route.1.iter().filter(|it| **it == "*").count();
    let found = all.iter().filter(|it| it.0 == method.as_str() && fits(it.1)).min_by_key(wild);
    let Some(found) = found else { return Err(all.iter().any(|it| fits(it.1))) };
    let names = found.1.iter().zip(rest).filter(|(one, _)| **one == "*").map(|(_, it)| (*it).to_owned());
    Ok((found, names.collect()))
}

async fn answer(twin: &Shared, incoming: &Incoming) -> Answer {
    let path = incoming.path();
    let name = path.get(1).copied().unwrap_or_default().to_owned();
    let below: Vec<&str> = path.iter().skip(2).copied().collect();
    let known = twin.world().dc.instance_mut(&name).map(|it| (it.product, it.node()));
    let Some((product, node)) = known else { return Answer::text(404, "no such instance") };
    let Some((product, rest)) = api(product, &below) else { return Answer::html(404, "<html>Not found</html>") };
    let (family, all) = routes(product);
    let accept = incoming.headers.get("accept").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let words = Words { product, json: accept.contains("application/json") };
    let ((_, _, operation, right), names) = match route(all, &incoming.method, &rest) {
        Ok((route, names)) => (*route, names),
        Err(other_method) => return words.message(if other_method { 405 } else { 404 }, "null for uri"),
    };
    let caller = caller(twin, incoming, &name, product);
    let who = match &caller {
        Caller::Nobody => String::new(),
        Caller::User(name) | Caller::Application(name) => name.clone(),
    };
    let bucket = Bucket { limit: family, key: format!("{name} {node} {who}") };
    let now = twin.engine.clock.now();
    let authenticated = caller != Caller::Nobody;
    let parameter = |it: &str| incoming.parameter(it).unwrap_or_default().to_owned();
    let targets = ["groupname", "groupName", "username", "name", "key", "context"].map(parameter).into_iter();
    let call = Call {
        family,
        operation,
        subject: name.clone(),
        target: targets.chain(names.first().cloned()).find(|it| !it.is_empty()).unwrap_or_default(),
        page: page(incoming),
        page_token: ["startAt", "start", "start-index", "cursor"].map(parameter).join(""),
        buckets: if authenticated { vec![bucket.clone()] } else { Vec::new() },
        request_id: incoming.request_id.clone(),
        caller: who.clone(),
    };
    let answer = run(twin, &words, call, |world, view| {
        let origin = format!("{}/dc/{name}", incoming.origin());
        let request = Request { incoming, operation, names, caller: &who, origin, view };
        handle(&request, right, &caller, &words, world, &name, product)
    });
    let mut answer = answer.await;
    if product != Product::Crowd {
        let shown = if authenticated { who.as_str() } else { "anonymous" };
        answer = answer.with("X-AUSERNAME", shown).with("X-ANODEID", format!("node{node}"));
    }
    let left = twin.engine.quota.remaining(&bucket, now).filter(|_| authenticated);
    match left {
        Some((left, limit)) => limit_headers(answer, left, limit),
        None => answer,
    }
}

/// The five headers of every authenticated answer while the limit is on.
fn limit_headers(mut answer: Answer, left: u64, limit: crate::engine::Limit) -> Answer {
    let asked = answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
    // A bucket that fills once a second, so many at a time.
    let fill = (limit.per_minute / 60.0).max(1.0);
    if !asked {
        answer = answer.with("retry-after", if left > 0 { "0" } else { "1" });
    }
    answer
        .with("X-RateLimit-Limit", format!("{:.0}", limit.burst))
        .with("X-RateLimit-Remaining", left.to_string())
        .with("X-RateLimit-FillRate", format!("{fill:.0}"))
        .with("X-RateLimit-Interval-Seconds", format!("{:.0}", fill / (limit.per_minute / 60.0)))
}

fn caller(twin: &Shared, incoming: &Incoming, instance: &str, product: Product) -> Caller {
    let now = twin.engine.clock.now();
    let credentials = twin.engine.credentials();
    let secret = |kind: &str, text: &str| credentials.secret(kind, text, now).filter(|it| it.realm == instance);
    if let Some(token) = incoming.bearer() {
        let found = secret("dc-token", &token).filter(|_| product != Product::Crowd);
        return found.map_or(Caller::Nobody, |it| Caller::User(it.principal.clone()));
    }
    let Some((user, password)) = incoming.basic() else { return Caller::Nobody };
    // A personal access token is no password here, unlike in Cloud (§1.1).
    let kind = if product == Product::Crowd { "dc-application" } else { "dc-password" };
    let found = secret(kind, &password).filter(|it| it.principal.eq_ignore_ascii_case(&user));
    match found {
        Some(_) if product == Product::Crowd => Caller::Application(user),
        Some(it) => Caller::User(it.principal.clone()),
        None => Caller::Nobody,
    }
}

fn handle(
    request: &Request<'_>,
    right: Right,
    caller: &Caller,
    words: &Words,
    world: &mut World,
    name: &str,
    product: Product,
) -> Answer {
    let cause = Cause::from(request.view);
    let World { dc, log, .. } = world;
    let mut act = Act { cause: &cause, log };
    let Some(instance) = dc.instance_mut(name) else { return words.message(404, "no such instance") };
    if let Some(refused) = refused(request, right, caller, words, instance) {
        return refused;
    }
    let answer = match product {
        Product::Jira => jira::handle(request, instance, &mut act),
        Product::Confluence => confluence::handle(request, instance, &mut act),
        Product::Bitbucket => bitbucket::handle(request, instance, &mut act),
        Product::Crowd => crowd::handle(request, instance, &mut act),
    };
    answer.unwrap_or_else(|refused| refused)
}

/// Why the caller may not do this at all.
fn refused(request: &Request<'_>, right: Right, caller: &Caller, words: &Words, instance: &Instance) -> Option<Answer> {
    if matches!(caller, Caller::Application(_)) && instance.switches.crowd_address_refused {
        return Some(Answer::text(
            403,
            "Client with address \"127.0.0.1\" is forbidden from making requests to the application",
        ));
    }
    let incoming = request.incoming;
    let presented = incoming.bearer().is_some() || incoming.basic().is_some();
    let tolerant = instance.switches.bad_token_is_anonymous && incoming.bearer().is_some();
    if *caller == Caller::Nobody && presented && !(tolerant && right == Right::Anybody) {
        return Some(words.unauthorized());
    }
    match (right, caller) {
        (Right::Anybody, _) | (Right::Application, Caller::Application(_)) => {}
        (_, Caller::Nobody) => return Some(words.unauthorized()),
        // Who was deactivated or deleted is signed out everywhere.
        (_, Caller::User(name)) if !instance.user(name).is_some_and(|(_, it)| it.active) => {
            return Some(words.unauthorized());
        }
        (Right::Admin, Caller::User(name)) if !instance.is_admin(name) => return Some(words.forbidden()),
        _ => {}
    }
    (words.product != Product::Crowd && !is_checked(incoming)).then(|| Answer::text(403, "XSRF check failed"))
}

/// Whether a browser could not have been made to send it: JSON, or the header that no form can set.
fn is_checked(incoming: &Incoming) -> bool {
    let header = |name: &str| incoming.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let kind = header("content-type");
    let like_a_form = kind.is_empty()
        || ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]
            .iter()
            .any(|it| kind.starts_with(it));
    incoming.method != Method::POST || !like_a_form || header("x-atlassian-token").eq_ignore_ascii_case("no-check")
}

/// Which page a listing is asked for, for faults.
fn page(incoming: &Incoming) -> u32 {
    let number = |names: [&str; 3]| names.into_iter().find_map(|it| incoming.number(it).ok().flatten());
    let start = number(["startAt", "start", "start-index"]).unwrap_or(0).max(0);
    let size = number(["maxResults", "limit", "max-results"]).unwrap_or(50).max(1);
    if incoming.method == Method::GET { u32::try_from(start / size + 1).unwrap_or(u32::MAX) } else { 0 }
}

impl Request<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.incoming.parameter(name)
    }

    /// The n-th name in the path.
    fn name(&self, place: usize) -> &str {
        self.names.get(place).map_or("", String::as_str)
    }

    /// A non-negative number of the query.
    fn number(&self, name: &str, default: usize) -> usize {
        let asked = self.incoming.number(name).ok().flatten();
        asked.and_then(|it| usize::try_from(it).ok()).unwrap_or(default)
    }

    /// The body as a JSON object; `None` when it is none.
    fn body(&self) -> Option<Value> {
        self.incoming.json::<Value>().ok().filter(Value::is_object)
    }

    fn is_expanded(&self, what: &str) -> bool {
        self.parameter("expand").is_some_and(|it| it.split(',').any(|it| it.trim() == what))
    }
}

/// Text in a JSON object; empty when there is none.
fn text<'v>(body: &'v Value, name: &str) -> &'v str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A truth value, also written as text, as a public client sends it.
fn truth(body: &Value, name: &str) -> Option<bool> {
    match body.get(name)? {
        Value::Bool(value) => Some(*value),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A part of a list: what is shown, how many there are, and where the next part begins, if there is one.
struct Part<T> {
    rows: Vec<T>,
    total: usize,
    next: Option<usize>,
}

fn part<T>(all: Vec<T>, start: usize, limit: usize) -> Part<T> {
    let total = all.len();
    let rows: Vec<T> = all.into_iter().skip(start).take(limit).collect();
    let end = start.saturating_add(rows.len());
    Part { next: (end < total && !rows.is_empty()).then_some(end), rows, total }
}

/// An empty JSON object.
fn nothing() -> Value {
    json!({})
}
