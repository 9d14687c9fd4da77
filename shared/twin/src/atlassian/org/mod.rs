//! The organization API: `/admin/v1/orgs`, `/admin/v2/orgs` and the repair API of user provisioning.
//!
//! Source: `admin-organization.merged-2026.json` for paths and shapes, the behaviour table of the Atlassian facts sheet
//! for statuses. Errors of the application are `{errors:[{id,status,code,title,detail}]}`, those of the gateway in front
//! of it `{code,message}`.

mod cursor;
mod error;
mod groups;
mod legacy;
mod repair;
mod roles;
mod shape;
#[cfg(test)]
mod tests;
mod users;

use http::Method;
use serde_json::{Value, json};

use super::incoming::Incoming;
use crate::engine::{Answer, Bucket, Call, Dialect, View, run};
use crate::server::Shared;
use crate::world::atlassian::{Act, AtlassianSide, BaseKey};
use crate::world::{Cause, World};
use cursor::Cursor;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Operation {
    Organizations,
    Organization,
    ManagedAccounts,
    Events,
    EventsStream,
    Event(String),
    EventActions,
    LastActiveDates(String),
    OrgRole { account: String, assign: bool },
    UserRole { account: String, assign: bool },
    Dead,
    Directories,
    Workspaces,
    Invite,
    UserSearch,
    UserList,
    UserCount,
    UserStats,
    User(String),
    UserRoles(String),
    Suspend(String),
    Restore(String),
    RemoveUser(String),
    GroupCreate,
    GroupSearch,
    GroupList,
    GroupCount,
    GroupStats,
    Group(String),
    GroupDelete(String),
    Add(String),
    Remove(String, String),
    GroupRoles(String),
    GroupRole { group: String, assign: bool },
    ScimLinks(String),
    ScimLinksForEmail,
    Unlink { directory: String, user: String },
    DeleteRecord(String),
}

/// A request with its place.
struct Request<'a> {
    incoming: &'a Incoming,
    operation: Operation,
    /// Organization id of the path.
    organization: String,
    /// Directory id of the path; empty where there is none.
    directory: String,
    view: &'a View,
    cursor: Result<Option<Cursor>, ()>,
}

/// Answers a request of the organization API.
pub(crate) async fn serve(twin: &Shared, incoming: Incoming) -> Answer {
    let Some((name, operation, organization, directory)) = route(&incoming) else {
        return Answer::json(404, json!({ "code": 404, "message": "Not Found" }));
    };
    let now = twin.engine.clock.now();
    let secret = incoming.bearer().and_then(|it| twin.engine.credentials().secret("atlassian-org", &it, now).cloned());
    let cursor_text = cursor::presented(&incoming);
    let cursor = cursor_text.as_deref().map(Cursor::open).transpose();
    let page = match &cursor {
        Ok(Some(it)) => it.page,
        Ok(None) => 1,
        Err(()) => 0,
    };
    let mut buckets = vec![Bucket { limit: "atlassian.org", key: organization.clone() }];
    if matches!(operation, Operation::Events | Operation::EventsStream) {
        buckets.push(Bucket { limit: "atlassian.org.events", key: format!("{organization} {}", incoming.path_text()) });
    }
    let call = Call {
        family: "atlassian.org",
        operation: name,
        subject: organization.clone(),
        target: target(&operation),
        page: if cursor::is_paged(&operation) { page } else { 0 },
        page_token: cursor_text.unwrap_or_else(|| Cursor::first(&incoming, now).seal()),
        buckets,
        request_id: incoming.request_id.clone(),
        caller: secret.as_ref().map(|it| it.principal.clone()).unwrap_or_default(),
    };
    let answer = run(twin, &Words, call, |world, view| {
        let Some(secret) = &secret else { return Words.unauthorized() };
        if !organization.is_empty() && secret.realm != organization {
            // Reads do not tell whether the organization exists; their documents know no 403.
            return match incoming.method {
                Method::GET => error::application(404, "ADMIN-404-2", "Organization not found"),
                _ => error::forbidden_organization(),
            };
        }
        if scope(&operation).is_some_and(|scope| !secret.scopes.is_empty() && !secret.scopes.contains(scope)) {
            return Words.forbidden();
        }
        let request = Request { incoming: &incoming, operation, organization, directory, view, cursor };
        handle(&request, !secret.scopes.is_empty(), &secret.realm, world)
    });
    answer.await
}

/// Which scope a key with scopes needs to read this (§1.1); those of writes are not known by name.
fn scope(operation: &Operation) -> Option<&'static str> {
    match operation {
        Operation::Directories => Some("read:directories:admin"),
        Operation::UserSearch
        | Operation::UserList
        | Operation::UserCount
        | Operation::UserStats
        | Operation::User(_)
        | Operation::UserRoles(_) => Some("read:accounts:admin"),
        Operation::GroupSearch
        | Operation::GroupList
        | Operation::GroupCount
        | Operation::GroupStats
        | Operation::Group(_)
        | Operation::GroupRoles(_) => Some("read:groups:admin"),
        _ => None,
    }
}

/// Reads method and path.
fn route(incoming: &Incoming) -> Option<(&'static str, Operation, String, String)> {
    let path = incoming.path();
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    let own = |it: &str| it.to_owned();
    let (name, operation, organization, directory) = match (&incoming.method, path.as_slice()) {
        (m, ["admin", "v1", "orgs"]) if *m == get => ("orgs.list", Operation::Organizations, "", ""),
        (m, ["admin", "v1", "orgs", org]) if *m == get => ("orgs.get", Operation::Organization, *org, ""),
        (m, ["admin", "v1", "orgs", org, rest @ ..]) => {
            let (name, operation) = legacy::route(m, rest)?;
            (name, operation, *org, "")
        }
        (m, ["admin", "v2", "orgs", org, "directories"]) if *m == get => {
            ("directories.list", Operation::Directories, *org, "")
        }
        (m, ["admin", "v2", "orgs", org, "workspaces"]) if *m == post => {
            ("workspaces.query", Operation::Workspaces, *org, "")
        }
        (m, ["admin", "v2", "orgs", org, "users", "invite"]) if *m == post => {
            ("users.invite", Operation::Invite, *org, "")
        }
        (m, ["admin", "v2", "orgs", org, "directories", directory, "users", rest @ ..]) => {
            let (name, operation) = users::route(m, rest)?;
            (name, operation, *org, *directory)
        }
        (m, ["admin", "v2", "orgs", org, "directories", directory, "groups", rest @ ..]) => {
            let (name, operation) = groups::route(m, rest)?;
            (name, operation, *org, *directory)
        }
        (m, ["admin", "user-provisioning", "v1", "org", org, "user", account, "get-scim-links"]) if *m == get => {
            ("scim-links.get", Operation::ScimLinks(own(account)), *org, "")
        }
        (m, ["admin", "user-provisioning", "v1", "org", org, "get-scim-links-for-email"]) if *m == post => {
            ("scim-links.find", Operation::ScimLinksForEmail, *org, "")
        }
        (m, ["admin", "user-provisioning", "v1", "org", org, "user", account, "onlyDeleteUserInDB"])
            if *m == delete =>
        {
            ("scim-record.delete", Operation::DeleteRecord(own(account)), *org, "")
        }
        (m, ["admin", "user-provisioning", "v1", "org", org, "scimDirectoryId", dir, "scimUserId", user, "unlink"])
            if *m == Method::PATCH =>
        {
            ("scim-user.unlink", Operation::Unlink { directory: own(dir), user: own(user) }, *org, "")
        }
        _ => return None,
    };
    Some((name, operation, own(organization), own(directory)))
}

/// The object in the path, for faults.
fn target(operation: &Operation) -> String {
    match operation {
        Operation::User(it)
        | Operation::UserRoles(it)
        | Operation::Suspend(it)
        | Operation::Restore(it)
        | Operation::RemoveUser(it)
        | Operation::Group(it)
        | Operation::GroupDelete(it)
        | Operation::Add(it)
        | Operation::Remove(it, _)
        | Operation::GroupRoles(it)
        | Operation::GroupRole { group: it, .. } => it.clone(),
        _ => String::new(),
    }
}

fn handle(request: &Request<'_>, scoped: bool, realm: &str, world: &mut World) -> Answer {
    let cause = Cause::from(request.view);
    let World { atlassian: side, log, .. } = world;
    let mut act = Act { cause: &cause, log };
    side.settle(&mut act);
    if request.operation == Operation::Organizations {
        return legacy::organizations(request, side, scoped, realm);
    }
    let Some(organization) = side.organization(&request.organization) else {
        return error::application(404, "ADMIN-404-2", "Organization not found");
    };
    let directory = request.directory.as_str();
    if !(directory.is_empty() || directory == organization.base.directory_id || (directory == "-" && request.reads())) {
        return error::application(404, "ADMIN-404-3", "Directory not found");
    }
    let key = BaseKey::Organization(request.organization.clone());
    match &request.operation {
        Operation::Organizations
        | Operation::Organization
        | Operation::ManagedAccounts
        | Operation::Events
        | Operation::EventsStream
        | Operation::Event(_)
        | Operation::EventActions
        | Operation::LastActiveDates(_)
        | Operation::Directories
        | Operation::Workspaces
        | Operation::Dead => legacy::handle(request, side, act.log),
        Operation::UserSearch
        | Operation::UserList
        | Operation::UserCount
        | Operation::UserStats
        | Operation::User(_)
        | Operation::UserRoles(_) => users::read(request, side),
        Operation::Suspend(_) | Operation::Restore(_) | Operation::RemoveUser(_) | Operation::Invite => {
            users::write(request, side, &key, &mut act)
        }
        Operation::GroupSearch
        | Operation::GroupList
        | Operation::GroupCount
        | Operation::GroupStats
        | Operation::Group(_)
        | Operation::GroupRoles(_) => groups::read(request, side),
        Operation::GroupCreate | Operation::GroupDelete(_) | Operation::Add(_) | Operation::Remove(..) => {
            groups::write(request, side, &key, &mut act)
        }
        Operation::GroupRole { .. } | Operation::OrgRole { .. } | Operation::UserRole { .. } => {
            roles::write(request, side, &key, &mut act)
        }
        Operation::ScimLinks(_)
        | Operation::ScimLinksForEmail
        | Operation::Unlink { .. }
        | Operation::DeleteRecord(_) => repair::handle(request, side, &mut act),
    }
}

impl Request<'_> {
    /// Whether the operation only reads: then `-` may stand for the directory.
    fn reads(&self) -> bool {
        self.incoming.method == Method::GET
            || matches!(self.operation, Operation::UserSearch | Operation::GroupSearch | Operation::Workspaces)
    }

    /// The base as this read sees it.
    fn base<'s>(&self, side: &'s AtlassianSide) -> Option<crate::world::atlassian::View<'s>> {
        side.organization(&self.organization).map(|it| it.base.view(self.view.read_at))
    }
}

/// How the organization API words what the engine decides.
struct Words;

impl Dialect for Words {
    fn throttled(&self, _limit: &str, retry_after: Option<&str>) -> Answer {
        let answer = Answer::json(429, json!({ "code": 429, "message": "Rate limit exceeded" }));
        match retry_after {
            Some(seconds) => answer.with("Retry-After", seconds),
            None => answer,
        }
    }

    fn failed(&self, status: u16) -> Answer {
        let code = format!("ADMIN-{status}-1");
        error::application(status, &code, "Internal error")
    }

    fn unauthorized(&self) -> Answer {
        Answer::json(401, json!({ "code": 401, "message": "Unauthorized" }))
    }

    fn forbidden(&self) -> Answer {
        error::forbidden_organization()
    }

    fn not_found(&self, call: &Call) -> Answer {
        let (code, title) = match call.operation.split('.').next() {
            Some("users") => ("ADMIN-404-8", "User not found"),
            Some("groups" | "memberships") => ("ADMIN-404-10", "Group not found"),
            _ => ("ADMIN-404-2", "Organization not found"),
        };
        error::application(404, code, title)
    }

    fn bad_page_token(&self) -> Answer {
        error::application(400, "ADMIN-400-1", "Invalid cursor")
    }

    fn empty_page(&self, body: &mut Value, keep_next: bool) {
        if let Some(data) = body.get_mut("data").filter(|it| it.is_array()) {
            *data = json!([]);
        }
        if !keep_next {
            self.drop_next(body);
        }
    }

    fn drop_next(&self, body: &mut Value) {
        if let Some(links) = body.get_mut("links").and_then(Value::as_object_mut) {
            links.remove("next");
        }
    }

    fn repeat_page(&self, body: &mut Value, call: &Call) {
        if let Some(links) = body.get_mut("links").and_then(Value::as_object_mut) {
            links.insert("next".to_owned(), json!(call.page_token));
        }
    }
}
