//! Confluence Cloud v1, groups and people: `/wiki/rest/api/…`. Places and credentials are those of the site.
//!
//! Source: `confluence-cloud-v1.cut.json` for paths and shapes, atlassian-cloud.md §5 and §12 for what repeats and unknown
//! people answer: removing somebody who is no member is 204, suspended people are missing from listings, a page of more
//! than 200 members is 400.

mod groups;
mod people;
mod shape;
#[cfg(test)]
mod tests;

use http::Method;
use serde_json::{Value, json};

use super::incoming::Incoming;
use super::jira;
use crate::engine::{Answer, Bucket, Call, Dialect, View, run};
use crate::server::Shared;
use crate::world::atlassian::{Act, AtlassianSide, JiraSite};
use crate::world::{Cause, World};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Groups,
    CreateGroup,
    Group,
    DeleteGroup,
    Picker,
    Members,
    AddMember,
    RemoveMember,
    MemberOf,
    Find,
    User,
    Bulk,
    Current,
}

/// A request with its place and its caller.
struct Request<'a> {
    incoming: &'a Incoming,
    operation: Operation,
    /// What follows `/wiki/rest/api/`.
    rest: Vec<&'a str>,
    site: JiraSite,
    /// Account id of the caller.
    caller: String,
    /// `http://host` and what stands before `/wiki`.
    origin: String,
    view: &'a View,
}

/// Answers a request of Confluence.
pub(crate) async fn serve(twin: &Shared, incoming: Incoming) -> Answer {
    let path = incoming.path();
    let start = path.iter().position(|it| *it == "wiki").unwrap_or(0);
    let prefix: Vec<&str> = path.iter().take(start).copied().collect();
    let rest: Vec<&str> = path.iter().skip(start + 3).copied().collect();
    let Some((name, operation)) = route(&incoming.method, &rest) else { return failure(404, "Not Found") };
    let now = twin.engine.clock.now();
    let presented = incoming.basic();
    let (site, email) = jira::place(twin, &incoming, &prefix, presented.as_ref(), now);
    let tenant = site.as_ref().map_or("", |it| it.cloud_id.as_str());
    let limit = match incoming.method.as_str() {
        "POST" => "atlassian.jira.post",
        "DELETE" => "atlassian.jira.delete",
        _ => "atlassian.jira.get",
    };
    let start_at = incoming.number("start").ok().flatten().unwrap_or(0).max(0);
    let paged = matches!(operation, Operation::Groups | Operation::Members | Operation::Find);
    let parameter = |name: &str| incoming.parameter(name).unwrap_or_default().to_owned();
    let in_path = rest.get(1).filter(|_| operation == Operation::Members).map(|it| (*it).to_owned());
    let named = ["groupId", "id", "accountId"].map(parameter).into_iter().find(|it| !it.is_empty());
    let call = Call {
        family: "atlassian.confluence",
        operation: name,
        subject: site.as_ref().map(|it| it.name.clone()).unwrap_or_default(),
        target: in_path.or(named).unwrap_or_default(),
        page: if paged { u32::try_from(start_at / 200 + 1).unwrap_or(u32::MAX) } else { 0 },
        page_token: start_at.to_string(),
        buckets: vec![Bucket { limit, key: format!("{tenant} wiki {}", rest.join("/")) }],
        request_id: incoming.request_id.clone(),
        caller: email.clone().unwrap_or_default(),
    };
    let answer = run(twin, &Words, call, |world, view| {
        let Some(site) = site else { return failure(404, "Site temporarily unavailable") };
        let Some(email) = email else { return Words.unauthorized() };
        let account = world.atlassian.accounts().with_email(&email).first().copied();
        let caller =
            account.and_then(|it| world.atlassian.accounts().get(it)).map(|it| it.id.clone()).unwrap_or_default();
        let origin = prefix.iter().fold(incoming.origin(), |all, it| format!("{all}/{it}"));
        let request = Request { incoming: &incoming, operation, rest, site, caller, origin, view };
        let cause = Cause::from(view);
        let World { atlassian: side, log, .. } = world;
        let mut act = Act { cause: &cause, log };
        side.settle(&mut act);
        handle(&request, side, &mut act).unwrap_or_else(|it| it)
    });
    answer.await
}

/// Reads method and path.
fn route(method: &Method, rest: &[&str]) -> Option<(&'static str, Operation)> {
    use Operation as Op;
    Some(match (method.as_str(), rest) {
        ("GET", ["group"]) => ("group.list", Op::Groups),
        ("POST", ["group"]) => ("group.create", Op::CreateGroup),
        ("GET", ["group", "by-id"]) => ("group.get", Op::Group),
        ("DELETE", ["group", "by-id"]) => ("group.delete", Op::DeleteGroup),
        ("GET", ["group", "picker"]) => ("group.picker", Op::Picker),
        ("POST", ["group", "userByGroupId"]) => ("group.user.add", Op::AddMember),
        ("DELETE", ["group", "userByGroupId"]) => ("group.user.remove", Op::RemoveMember),
        ("GET", ["group", _, "membersByGroupId"]) => ("group.member", Op::Members),
        ("GET", ["user", "memberof"]) => ("user.memberof", Op::MemberOf),
        ("GET", ["search", "user"]) => ("search.user", Op::Find),
        ("GET", ["user"]) => ("user.get", Op::User),
        ("GET", ["user", "bulk"]) => ("user.bulk", Op::Bulk),
        ("GET", ["user", "current"]) => ("user.current", Op::Current),
        _ => return None,
    })
}

fn handle(request: &Request<'_>, side: &mut AtlassianSide, act: &mut Act<'_>) -> Result<Answer, Answer> {
    use Operation as Op;
    let changes_groups =
        matches!(request.operation, Op::CreateGroup | Op::DeleteGroup | Op::AddMember | Op::RemoveMember);
    if changes_groups && !side.switches.site_administrators {
        return Err(Words.forbidden());
    }
    match request.operation {
        Op::Groups | Op::Group | Op::Picker | Op::Members | Op::MemberOf => groups::read(request, side),
        Op::CreateGroup | Op::DeleteGroup | Op::AddMember | Op::RemoveMember => groups::write(request, side, act),
        Op::Find | Op::User | Op::Bulk | Op::Current => people::read(request, side),
    }
}

impl Request<'_> {
    /// The groups as this read sees them.
    fn base<'s>(&self, side: &'s AtlassianSide) -> Result<crate::world::atlassian::View<'s>, Answer> {
        let base = side.base(&self.site.base).ok_or_else(|| failure(404, "Site not found"))?;
        Ok(base.view(self.view.read_at))
    }
}

/// `{statusCode, data, message}`, as Confluence words errors.
fn failure(status: u16, message: &str) -> Answer {
    let data = json!({ "authorized": status != 403, "valid": status != 400, "errors": [], "successful": false });
    Answer::json(status, json!({ "statusCode": status, "data": data, "message": message }))
}

fn unknown_group() -> Answer {
    failure(404, "No group found")
}

fn unknown_user() -> Answer {
    failure(404, "No user found")
}

/// How Confluence words what the engine decides.
struct Words;

impl Dialect for Words {
    fn throttled(&self, _limit: &str, retry_after: Option<&str>) -> Answer {
        let answer = failure(429, "Rate limit exceeded").with("RateLimit-Reason", "confluence-quota-tenant-based");
        match retry_after {
            Some(seconds) => answer.with("Retry-After", seconds),
            None => answer,
        }
    }

    fn failed(&self, status: u16) -> Answer {
        failure(status, "Internal server error")
    }

    fn unauthorized(&self) -> Answer {
        failure(401, "Unauthorized")
    }

    fn forbidden(&self) -> Answer {
        failure(403, "Current user not permitted to use Confluence")
    }

    fn not_found(&self, call: &Call) -> Answer {
        if call.operation.starts_with("user") { unknown_user() } else { unknown_group() }
    }

    fn bad_page_token(&self) -> Answer {
        failure(400, "start is not valid")
    }

    fn empty_page(&self, body: &mut Value, keep_next: bool) {
        if let Some(results) = body.get_mut("results") {
            *results = json!([]);
        }
        if !keep_next {
            self.drop_next(body);
        }
    }

    fn drop_next(&self, body: &mut Value) {
        if let Some(links) = body.get_mut("_links").and_then(Value::as_object_mut) {
            links.remove("next");
        }
    }

    fn repeat_page(&self, body: &mut Value, call: &Call) {
        if let Some(links) = body.get_mut("_links").and_then(Value::as_object_mut) {
            links.insert("next".to_owned(), json!(format!("/rest/api/group?start={}", call.page_token)));
        }
    }
}
