//! User provisioning: `/scim/directory/{directoryId}`.
//!
//! Source: `admin-user-provisioning-scim.errata.json` for paths and shapes, atlassian-cloud.md §3 for what it does not
//! say. 401 and 403 are `{error,traceId}` and not SCIM; everything else is the error of RFC 7644.

mod discovery;
mod error;
mod group;
mod list;
mod patch;
#[cfg(test)]
mod tests;
mod user;

use http::Method;
use serde_json::{Value, json};

use super::incoming::Incoming;
use crate::engine::{Answer, Bucket, Call, Dialect, View, run};
use crate::server::Shared;
use crate::world::atlassian::{Act, AtlassianSide};
use crate::world::{Cause, World};

/// Media type of every answer.
const SCIM_JSON: &str = "application/scim+json";

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Operation {
    Config,
    Schemas,
    Schema(String),
    ResourceTypes,
    ResourceType(String),
    Users,
    CreateUser,
    User(String),
    PutUser(String),
    PatchUser(String),
    DeleteUser(String),
    Groups,
    CreateGroup,
    Group(String),
    PutGroup(String),
    PatchGroup(String),
    DeleteGroup(String),
}

/// A request with its place.
struct Request<'a> {
    incoming: &'a Incoming,
    operation: Operation,
    directory: String,
    view: &'a View,
}

/// Answers a request of user provisioning.
pub(crate) async fn serve(twin: &Shared, incoming: Incoming) -> Answer {
    let Some((name, operation, directory)) = route(&incoming) else {
        let (status, detail) = if is_known(&incoming) { (405, "Method not allowed.") } else { (404, "Not found.") };
        return error::scim(status, None, detail);
    };
    let now = twin.engine.clock.now();
    let secret = incoming.bearer().and_then(|it| twin.engine.credentials().secret("scim", &it, now).cloned());
    let target = match &operation {
        Operation::User(it)
        | Operation::PutUser(it)
        | Operation::PatchUser(it)
        | Operation::DeleteUser(it)
        | Operation::Group(it)
        | Operation::PutGroup(it)
        | Operation::PatchGroup(it)
        | Operation::DeleteGroup(it) => it.clone(),
        _ => String::new(),
    };
    let call = Call {
        family: "atlassian.scim",
        operation: name,
        subject: directory.clone(),
        target,
        page: if matches!(operation, Operation::Users | Operation::Groups) { list::page(&incoming) } else { 0 },
        page_token: incoming.parameter("startIndex").unwrap_or("1").to_owned(),
        buckets: vec![Bucket { limit: "atlassian.scim", key: directory.clone() }],
        request_id: incoming.request_id.clone(),
        caller: secret.as_ref().map(|it| it.principal.clone()).unwrap_or_default(),
    };
    let answer = run(twin, &Words, call, |world, view| {
        let Some(secret) = &secret else { return Words.unauthorized() };
        if secret.realm != directory {
            return Words.forbidden();
        }
        handle(&Request { incoming: &incoming, operation, directory, view }, world)
    });
    answer.await
}

/// Whether there is something at the path, for other methods.
fn is_known(incoming: &Incoming) -> bool {
    let kinds = ["ServiceProviderConfig", "Schemas", "ResourceTypes", "Users", "Groups"];
    match incoming.path().as_slice() {
        ["scim", "directory", _, kind] | ["scim", "directory", _, kind, _] => kinds.contains(kind),
        _ => false,
    }
}

/// Reads method and path.
fn route(incoming: &Incoming) -> Option<(&'static str, Operation, String)> {
    let path = incoming.path();
    let ["scim", "directory", directory, rest @ ..] = path.as_slice() else { return None };
    let own = |it: &str| it.to_owned();
    let (name, operation) = match (&incoming.method, rest) {
        (m, rest) if *m == Method::GET => match rest {
            ["ServiceProviderConfig"] => ("ServiceProviderConfig.get", Operation::Config),
            ["Schemas"] => ("Schemas.list", Operation::Schemas),
            ["Schemas", id] => ("Schemas.get", Operation::Schema(own(id))),
            ["ResourceTypes"] => ("ResourceTypes.list", Operation::ResourceTypes),
            ["ResourceTypes", id] => ("ResourceTypes.get", Operation::ResourceType(own(id))),
            ["Users"] => ("Users.list", Operation::Users),
            ["Users", id] => ("Users.get", Operation::User(own(id))),
            ["Groups"] => ("Groups.list", Operation::Groups),
            ["Groups", id] => ("Groups.get", Operation::Group(own(id))),
            _ => return None,
        },
        (m, ["Users"]) if *m == Method::POST => ("Users.create", Operation::CreateUser),
        (m, ["Users", id]) if *m == Method::PUT => ("Users.replace", Operation::PutUser(own(id))),
        (m, ["Users", id]) if *m == Method::PATCH => ("Users.patch", Operation::PatchUser(own(id))),
        (m, ["Users", id]) if *m == Method::DELETE => ("Users.delete", Operation::DeleteUser(own(id))),
        (m, ["Groups"]) if *m == Method::POST => ("Groups.create", Operation::CreateGroup),
        (m, ["Groups", id]) if *m == Method::PUT => ("Groups.replace", Operation::PutGroup(own(id))),
        (m, ["Groups", id]) if *m == Method::PATCH => ("Groups.patch", Operation::PatchGroup(own(id))),
        (m, ["Groups", id]) if *m == Method::DELETE => ("Groups.delete", Operation::DeleteGroup(own(id))),
        _ => return None,
    };
    Some((name, operation, own(directory)))
}

fn handle(request: &Request<'_>, world: &mut World) -> Answer {
    let cause = Cause::from(request.view);
    let World { atlassian: side, log, .. } = world;
    let mut act = Act { cause: &cause, log };
    side.settle(&mut act);
    let Some(directory) = side.scim_directory(&request.directory) else {
        return error::scim(404, None, "Directory not found.");
    };
    if !side.organization(&directory.organization).is_some_and(|it| it.guard) {
        return match side.switches.scim_without_guard_status {
            403 => Words.forbidden(),
            status => error::scim(status, None, "Directory not found."),
        };
    }
    let answer = match &request.operation {
        Operation::Config
        | Operation::Schemas
        | Operation::Schema(_)
        | Operation::ResourceTypes
        | Operation::ResourceType(_) => discovery::read(request),
        Operation::Users => user::list(request, side),
        Operation::User(id) => user::get(request, side, id),
        Operation::CreateUser | Operation::PutUser(_) | Operation::PatchUser(_) | Operation::DeleteUser(_) => {
            user::write(request, side, &mut act)
        }
        Operation::Groups => group::list(request, side),
        Operation::Group(id) => group::get(request, side, id),
        Operation::CreateGroup | Operation::PutGroup(_) | Operation::PatchGroup(_) | Operation::DeleteGroup(_) => {
            group::write(request, side, &mut act)
        }
    };
    answer.unwrap_or_else(|it| it)
}

impl Request<'_> {
    /// The address of a resource.
    fn location(&self, kind: &str, id: &str) -> String {
        format!("{}/scim/directory/{}/{kind}/{id}", self.incoming.origin(), self.directory)
    }

    /// The directory; it exists.
    fn scim<'s>(&self, side: &'s AtlassianSide) -> Result<&'s crate::world::atlassian::ScimDirectory, Answer> {
        side.scim_directory(&self.directory).ok_or_else(|| error::scim(404, None, "Directory not found."))
    }
}

/// An answer in SCIM's media type.
fn answer(status: u16, body: Value) -> Answer {
    Answer { json_type: SCIM_JSON, ..Answer::json(status, body) }
}

/// How user provisioning words what the engine decides.
struct Words;

impl Dialect for Words {
    fn throttled(&self, _limit: &str, retry_after: Option<&str>) -> Answer {
        let answer = error::scim(429, None, "Too many requests.");
        match retry_after {
            Some(seconds) => answer.with("Retry-After", seconds),
            None => answer,
        }
    }

    fn failed(&self, status: u16) -> Answer {
        error::scim(status, None, "Internal error. You can retry calls.")
    }

    fn unauthorized(&self) -> Answer {
        error::gateway(401, "Unauthorized")
    }

    fn forbidden(&self) -> Answer {
        error::gateway(403, "Forbidden")
    }

    fn not_found(&self, call: &Call) -> Answer {
        let kind = if call.operation.starts_with("Users") { "USER" } else { "GROUP" };
        error::scim(404, None, &format!("Resource [{kind}]: with id[{}] not found.", call.target))
    }

    fn bad_page_token(&self) -> Answer {
        error::scim(400, Some("invalidValue"), "startIndex is not valid.")
    }

    fn empty_page(&self, body: &mut Value, keep_next: bool) {
        if let Some(fields) = body.as_object_mut().filter(|it| it.contains_key("Resources")) {
            fields.insert("Resources".to_owned(), json!([]));
            if !keep_next {
                fields.insert("totalResults".to_owned(), json!(0));
            }
        }
    }

    fn skip_items(&self, body: &mut Value, count: usize) {
        if let Some(items) = body.get_mut("Resources").and_then(Value::as_array_mut) {
            items.drain(..count.min(items.len()));
        }
    }

    /// A listing has no token: what was shown is said to be all.
    fn drop_next(&self, body: &mut Value) {
        let shown = body.get("Resources").and_then(Value::as_array).map_or(0, Vec::len);
        let start = body.get("startIndex").and_then(Value::as_u64).unwrap_or(1);
        if let Some(fields) = body.as_object_mut().filter(|it| it.contains_key("Resources")) {
            fields.insert("totalResults".to_owned(), json!(start.saturating_sub(1) + shown as u64));
        }
    }

    /// The listing claims that its first page is where the client stands: it never reaches the end.
    fn repeat_page(&self, body: &mut Value, call: &Call) {
        let start: u64 = call.page_token.parse().unwrap_or(1);
        if let Some(fields) = body.as_object_mut().filter(|it| it.contains_key("Resources")) {
            fields.insert("startIndex".to_owned(), json!(1));
            fields.insert("totalResults".to_owned(), json!(start.saturating_add(1_000_000)));
        }
    }
}
