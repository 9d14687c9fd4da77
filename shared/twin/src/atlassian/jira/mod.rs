//! Jira Cloud v3, groups and users: `/rest/api/3/…`, on the site's host, below `/ex/jira/<cloud id>` or `/sites/<site>`.
//!
//! Source: `jira-cloud-v3.cut.json` for paths and shapes (answers may carry no other fields), atlassian-cloud.md §4 and
//! §9 for texts, limits and headers. A site is a view of an organization's groups, or owns its groups.

mod error;
mod groups;
mod members;
mod shape;
mod site;
#[cfg(test)]
mod tests;
mod users;

use http::Method;
use serde_json::{Value, json};

use super::incoming::Incoming;
use crate::engine::clock::rfc3339;
use crate::engine::{Answer, Bucket, Call, Dialect, Millis, View, run};
use crate::server::Shared;
use crate::world::atlassian::{Act, AtlassianSide, BaseKey, JiraSite};
use crate::world::{Cause, World};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Myself,
    ServerInfo,
    MyPermissions,
    AuditRecords,
    ApplicationRoles,
    ApplicationRole,
    CreateGroup,
    DeleteGroup,
    GetGroup,
    BulkGroups,
    Members,
    AddMember,
    RemoveMember,
    GroupPicker,
    GroupUserPicker,
    GetUser,
    CreateUser,
    DeleteUser,
    FindUsers,
    AllUsers,
    BulkUsers,
    UserGroups,
    UserEmail,
}

/// A request with its place and its caller.
struct Request<'a> {
    incoming: &'a Incoming,
    operation: Operation,
    /// What follows `/rest/api/3/`.
    rest: Vec<&'a str>,
    site: JiraSite,
    /// Account id of the caller.
    caller: String,
    /// `http://host` and what stands before `/rest`.
    origin: String,
    view: &'a View,
}

/// Answers a request of Jira.
pub(crate) async fn serve(twin: &Shared, incoming: Incoming) -> Answer {
    let path = incoming.path();
    let start = path.iter().position(|it| *it == "rest").unwrap_or(0);
    let prefix: Vec<&str> = path.iter().take(start).copied().collect();
    let rest: Vec<&str> = path.iter().skip(start + 3).copied().collect();
    let version = path.get(start + 2).copied().unwrap_or_default();
    let Some((name, operation)) = route(&incoming.method, &rest).filter(|_| matches!(version, "3" | "2" | "latest"))
    else {
        return Answer::json(404, json!({ "errorMessages": ["null for uri"], "errors": {} }));
    };
    let now = twin.engine.clock.now();
    let presented = incoming.basic();
    let (site, secret) = place(twin, &incoming, &prefix, presented.as_ref(), now);
    let (limit, key) = bucket(operation, &incoming.method, &rest, site.as_ref());
    let bucket = Bucket { limit, key };
    let parameter = |name: &str| incoming.parameter(name).unwrap_or_default().to_owned();
    let call = Call {
        family: "atlassian.jira",
        operation: name,
        subject: site.as_ref().map(|it| it.name.clone()).unwrap_or_default(),
        target: ["groupId", "groupname", "accountId"]
            .map(parameter)
            .into_iter()
            .find(|it| !it.is_empty())
            .unwrap_or_default(),
        page: page(operation, &incoming),
        page_token: incoming.parameter("startAt").unwrap_or("0").to_owned(),
        buckets: vec![bucket.clone()],
        request_id: incoming.request_id.clone(),
        caller: secret.clone().unwrap_or_default(),
    };
    let left = twin.engine.quota.remaining(&bucket, now);
    let mut caller = String::new();
    let words = Words { now };
    let answer = run(twin, &words, call, |world, view| {
        let Some(site) = site else {
            return Answer::json(404, json!({ "errorMessage": "Site temporarily unavailable" }));
        };
        let Some(email) = secret else { return words.unauthorized() };
        let account = world.atlassian.accounts().with_email(&email).first().copied();
        caller = account.and_then(|it| world.atlassian.accounts().get(it)).map(|it| it.id.clone()).unwrap_or_default();
        let origin = prefix.iter().fold(incoming.origin(), |all, it| format!("{all}/{it}"));
        let request = Request { incoming: &incoming, operation, rest, site, caller: caller.clone(), origin, view };
        handle(&request, world)
    });
    let answer = answer.await;
    let answer = if caller.is_empty() { answer } else { answer.with("X-AAccountId", caller) };
    match left.filter(|_| answer.status != 429) {
        // One token of what was left is gone with this call.
        Some((left, limit)) => limits(answer, left.saturating_sub(1), limit.burst),
        None => answer,
    }
}

fn limits(answer: Answer, left: u64, burst: f64) -> Answer {
    #[expect(clippy::cast_precision_loss, reason = "a bucket of calls is small")]
    let near = (left as f64) < burst * 0.2;
    let answer =
        answer.with("X-RateLimit-Limit", format!("{burst:.0}")).with("X-RateLimit-Remaining", left.to_string());
    if near { answer.with("X-RateLimit-NearLimit", "true") } else { answer }
}

/// The site and the caller's address, if the credential is good.
pub(super) fn place(
    twin: &Shared,
    incoming: &Incoming,
    prefix: &[&str],
    presented: Option<&(String, String)>,
    now: Millis,
) -> (Option<JiraSite>, Option<String>) {
    let secret = presented.and_then(|(email, token)| {
        let credentials = twin.engine.credentials();
        credentials.secret("jira", token, now).filter(|it| it.principal.eq_ignore_ascii_case(email)).cloned()
    });
    let world = twin.world();
    let side = &world.atlassian;
    let host = incoming.headers.get("host").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let label = host.split('.').next().unwrap_or_default();
    let site = match prefix {
        ["ex", _, cloud] => side.sites().find(|it| it.cloud_id == *cloud),
        ["sites", name] => side.site(name),
        _ => side
            .site(label)
            .or_else(|| secret.as_ref().and_then(|it| side.site(&it.realm)))
            .or_else(|| side.sites().next()),
    };
    // A token is a person's and works on every site where they are; `*` stands for all, as does the site itself.
    let fits = |realm: &str| realm == "*" || site.is_some_and(|it| it.name == realm || it.cloud_id == realm);
    let email = secret.filter(|it| fits(&it.realm)).map(|it| it.principal.to_lowercase());
    (site.cloned(), email)
}

/// Reads method and path.
fn route(method: &Method, rest: &[&str]) -> Option<(&'static str, Operation)> {
    Some(match (method.as_str(), rest) {
        ("GET", ["myself"]) => ("myself.get", Operation::Myself),
        ("GET", ["serverInfo"]) => ("serverInfo.get", Operation::ServerInfo),
        ("GET", ["mypermissions"]) => ("mypermissions.get", Operation::MyPermissions),
        ("GET", ["auditing", "record"]) => ("auditing.list", Operation::AuditRecords),
        ("GET", ["applicationrole"]) => ("applicationrole.list", Operation::ApplicationRoles),
        ("GET", ["applicationrole", _]) => ("applicationrole.get", Operation::ApplicationRole),
        ("POST", ["group"]) => ("group.create", Operation::CreateGroup),
        ("DELETE", ["group"]) => ("group.delete", Operation::DeleteGroup),
        ("GET", ["group"]) => ("group.get", Operation::GetGroup),
        ("GET", ["group", "bulk"]) => ("group.bulk", Operation::BulkGroups),
        ("GET", ["group", "member"]) => ("group.member", Operation::Members),
        ("POST", ["group", "user"]) => ("group.user.add", Operation::AddMember),
        ("DELETE", ["group", "user"]) => ("group.user.remove", Operation::RemoveMember),
        ("GET", ["groups", "picker"]) => ("groups.picker", Operation::GroupPicker),
        ("GET", ["groupuserpicker"]) => ("groupuserpicker", Operation::GroupUserPicker),
        ("GET", ["user"]) => ("user.get", Operation::GetUser),
        ("POST", ["user"]) => ("user.create", Operation::CreateUser),
        ("DELETE", ["user"]) => ("user.delete", Operation::DeleteUser),
        ("GET", ["user", "search"]) => ("user.search", Operation::FindUsers),
        ("GET", ["users"] | ["users", "search"]) => ("users.search", Operation::AllUsers),
        ("GET", ["user", "bulk"]) => ("user.bulk", Operation::BulkUsers),
        ("GET", ["user", "groups"]) => ("user.groups", Operation::UserGroups),
        ("GET", ["user", "email"] | ["user", "email", "bulk"]) => ("user.email", Operation::UserEmail),
        _ => return None,
    })
}

/// The burst limit that a call falls under: per tenant, endpoint and method; user search has one of the whole tenant.
fn bucket(operation: Operation, method: &Method, rest: &[&str], site: Option<&JiraSite>) -> (&'static str, String) {
    let tenant = site.map_or("", |it| it.cloud_id.as_str());
    let endpoint = format!("{tenant} {}", rest.join("/"));
    match (operation, method.as_str()) {
        (Operation::FindUsers | Operation::GroupUserPicker, _) => ("atlassian.jira.user-search", tenant.to_owned()),
        (Operation::GetUser, _) => ("atlassian.jira.get-user", endpoint),
        (_, "POST") => ("atlassian.jira.post", endpoint),
        (_, "PUT") => ("atlassian.jira.put", endpoint),
        (_, "DELETE") => ("atlassian.jira.delete", endpoint),
        _ => ("atlassian.jira.get", endpoint),
    }
}

/// Which page a listing is asked for, for faults.
fn page(operation: Operation, incoming: &Incoming) -> u32 {
    let paged = matches!(
        operation,
        Operation::BulkGroups | Operation::Members | Operation::FindUsers | Operation::AllUsers | Operation::BulkUsers
    );
    let number = |name: &str, default: i64| incoming.number(name).ok().flatten().unwrap_or(default);
    if !paged {
        return 0;
    }
    u32::try_from(number("startAt", 0).max(0) / number("maxResults", 50).max(1) + 1).unwrap_or(u32::MAX)
}

fn handle(request: &Request<'_>, world: &mut World) -> Answer {
    let cause = Cause::from(request.view);
    let World { atlassian: side, log, .. } = world;
    let mut act = Act { cause: &cause, log };
    side.settle(&mut act);
    if !request.may_log_in(side) {
        return Words { now: request.view.now }.unauthorized();
    }
    let changes_groups = matches!(
        request.operation,
        Operation::CreateGroup | Operation::DeleteGroup | Operation::AddMember | Operation::RemoveMember
    );
    if changes_groups && !side.switches.site_administrators {
        return Words { now: request.view.now }.forbidden();
    }
    let answer = match request.operation {
        Operation::Myself
        | Operation::ServerInfo
        | Operation::MyPermissions
        | Operation::ApplicationRoles
        | Operation::ApplicationRole
        | Operation::UserEmail => site::read(request, side),
        Operation::AuditRecords => site::audit(request, side, act.log),
        Operation::GetGroup | Operation::BulkGroups | Operation::GroupPicker => groups::read(request, side),
        Operation::CreateGroup | Operation::DeleteGroup => groups::write(request, side, &mut act),
        Operation::Members => members::list(request, side),
        Operation::AddMember | Operation::RemoveMember => members::write(request, side, &mut act),
        Operation::GetUser
        | Operation::FindUsers
        | Operation::AllUsers
        | Operation::BulkUsers
        | Operation::UserGroups
        | Operation::GroupUserPicker => users::read(request, side),
        Operation::CreateUser | Operation::DeleteUser => users::write(request, side, &mut act),
    };
    answer.unwrap_or_else(|it| it)
}

impl Request<'_> {
    fn key(&self) -> &BaseKey {
        &self.site.base
    }

    /// The groups as this read sees them: a view of an organization may lag further behind.
    fn base<'s>(&self, side: &'s AtlassianSide) -> Result<crate::world::atlassian::View<'s>, Answer> {
        let lag = match self.site.base {
            BaseKey::Organization(_) => side.switches.site_lag_ms,
            BaseKey::Site(_) => 0,
        };
        let base = side.base(&self.site.base).ok_or_else(|| error::messages(404, &["Site not found"]))?;
        Ok(base.view(self.view.read_at.saturating_sub(lag)))
    }

    /// Whether the caller's account lives: a token of a deactivated person is worth nothing. A caller without an account
    /// is the twin's own key.
    fn may_log_in(&self, side: &AtlassianSide) -> bool {
        let account = side.accounts().find(&self.caller).and_then(|it| side.accounts().get(it));
        account.is_none_or(|it| it.status == crate::world::atlassian::AccountStatus::Active)
    }

    /// A page's `startAt` and `maxResults`, within what the endpoint allows.
    fn window(&self, default: usize, largest: usize) -> Result<(usize, usize), Answer> {
        let bad = |()| error::messages(400, &["startAt and maxResults must be numbers"]);
        let start = self.incoming.number("startAt").map_err(bad)?.unwrap_or(0);
        let count = self.incoming.number("maxResults").map_err(bad)?;
        let start = usize::try_from(start).map_err(|_| error::messages(400, &["startAt must not be negative"]))?;
        let count = count.map_or(default, |it| usize::try_from(it).unwrap_or(0)).min(largest);
        Ok((start, count))
    }
}

/// How Jira words what the engine decides.
struct Words {
    now: Millis,
}

impl Dialect for Words {
    fn throttled(&self, limit: &str, retry_after: Option<&str>) -> Answer {
        let reason = match limit {
            "quota" => "jira-quota-tenant-based",
            "cost" => "jira-cost-based",
            _ => "jira-burst-based",
        };
        let seconds: Millis = retry_after.and_then(|it| it.parse().ok()).unwrap_or(1);
        // To the minute, as it was seen.
        let reset: String = rfc3339(self.now.saturating_add(seconds.saturating_mul(1000))).chars().take(16).collect();
        let answer = error::messages(429, &["Rate limit exceeded."])
            .with("X-RateLimit-Remaining", "0")
            .with("X-RateLimit-Reset", format!("{reset}Z"))
            .with("RateLimit-Reason", reason);
        match retry_after {
            Some(seconds) => answer.with("Retry-After", seconds),
            None => answer,
        }
    }

    fn failed(&self, status: u16) -> Answer {
        error::messages(status, &["Internal server error"])
    }

    fn unauthorized(&self) -> Answer {
        Answer::text(401, "Client must be authenticated to access this resource.")
            .with("WWW-Authenticate", "OAuth realm=\"https%3A%2F%2Fjira.atlassian.net\"")
    }

    fn forbidden(&self) -> Answer {
        error::messages(403, &["You do not have permission to perform this operation."])
    }

    fn not_found(&self, call: &Call) -> Answer {
        if call.operation.starts_with("user") { error::unknown_user(404) } else { error::unknown_group() }
    }

    fn bad_page_token(&self) -> Answer {
        error::messages(400, &["startAt is not valid"])
    }

    fn empty_page(&self, body: &mut Value, keep_next: bool) {
        if body.is_array() {
            *body = json!([]);
        }
        if let Some(values) = body.get_mut("values") {
            *values = json!([]);
        }
        if !keep_next {
            self.drop_next(body);
        }
    }

    /// Listings are `values` of a page, or the body itself.
    fn skip_items(&self, body: &mut Value, count: usize) {
        let items = if body.is_array() { Some(body) } else { body.get_mut("values") };
        if let Some(items) = items.and_then(Value::as_array_mut) {
            items.drain(..count.min(items.len()));
        }
    }

    fn drop_next(&self, body: &mut Value) {
        if let Some(fields) = body.as_object_mut().filter(|it| it.contains_key("values")) {
            fields.insert("isLast".to_owned(), json!(true));
            fields.remove("nextPage");
        }
    }

    fn repeat_page(&self, body: &mut Value, call: &Call) {
        if let Some(fields) = body.as_object_mut().filter(|it| it.contains_key("values")) {
            fields.insert("isLast".to_owned(), json!(false));
            if let Some(this) = fields.get("self").cloned() {
                fields.insert("nextPage".to_owned(), this);
            }
            fields.insert("startAt".to_owned(), json!(call.page_token.parse::<u64>().unwrap_or(0)));
        }
    }
}
