//! Jira Service Management: `/rest/servicedeskapi/…`: desks, their customers, organizations of customers, portal-only
//! accounts. Places and credentials are those of the Jira site.
//!
//! Source: `jsm-cloud.cut.json` for paths and shapes (answers may carry no other fields), atlassian-cloud.md §6 and §12
//! for what repeats, unknown people and existing names answer.

mod customers;
mod organizations;
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
    Info,
    Desks,
    Desk,
    Customers,
    AddCustomers,
    RemoveCustomers,
    DeskOrganizations,
    AddOrganization,
    RemoveOrganization,
    CreateCustomer,
    RevokeCustomer,
    Organizations,
    CreateOrganization,
    Organization,
    DeleteOrganization,
    Members,
    AddMembers,
    RemoveMembers,
    Properties,
    Property,
    SetProperty,
    DeleteProperty,
}

/// A request with its place.
struct Request<'a> {
    incoming: &'a Incoming,
    operation: Operation,
    /// What follows `/rest/servicedeskapi/`.
    rest: Vec<&'a str>,
    site: JiraSite,
    /// `http://host` and what stands before `/rest`.
    origin: String,
    view: &'a View,
}

/// Answers a request of service management.
pub(crate) async fn serve(twin: &Shared, incoming: Incoming) -> Answer {
    let path = incoming.path();
    let start = path.iter().position(|it| *it == "rest").unwrap_or(0);
    let prefix: Vec<&str> = path.iter().take(start).copied().collect();
    let rest: Vec<&str> = path.iter().skip(start + 2).copied().collect();
    let Some((name, operation, experimental)) = route(&incoming.method, &rest) else {
        return failure(404, "sd.rest.not.found", "null for uri");
    };
    let now = twin.engine.clock.now();
    let presented = incoming.basic();
    let (site, email) = jira::place(twin, &incoming, &prefix, presented.as_ref(), now);
    let tenant = site.as_ref().map_or("", |it| it.cloud_id.as_str());
    let limit = match incoming.method.as_str() {
        "POST" => "atlassian.jira.post",
        "PUT" => "atlassian.jira.put",
        "DELETE" => "atlassian.jira.delete",
        _ => "atlassian.jira.get",
    };
    let start_at = incoming.number("start").ok().flatten().unwrap_or(0).max(0);
    let paged =
        matches!(operation, Operation::Desks | Operation::Customers | Operation::Organizations | Operation::Members);
    let call = Call {
        family: "atlassian.servicedesk",
        operation: name,
        subject: site.as_ref().map(|it| it.name.clone()).unwrap_or_default(),
        target: rest.get(1).map(|it| (*it).to_owned()).unwrap_or_default(),
        page: if paged { u32::try_from(start_at / 50 + 1).unwrap_or(u32::MAX) } else { 0 },
        page_token: start_at.to_string(),
        buckets: vec![Bucket { limit, key: format!("{tenant} {}", rest.join("/")) }],
        request_id: incoming.request_id.clone(),
        caller: email.clone().unwrap_or_default(),
    };
    let answer = run(twin, &Words, call, |world, view| {
        let Some(site) = site else { return failure(404, "site.unknown", "Site temporarily unavailable") };
        if email.is_none() && operation != Operation::Info {
            return Words.unauthorized();
        }
        let opted = incoming.headers.get("x-experimentalapi").is_some_and(|it| it.as_bytes() == b"opt-in");
        if experimental && !opted && world.atlassian.switches.jsm_needs_opt_in {
            let text = "This method is experimental: send the header X-ExperimentalApi: opt-in";
            return failure(412, "sd.rest.experimental", text);
        }
        let origin = prefix.iter().fold(incoming.origin(), |all, it| format!("{all}/{it}"));
        let request = Request { incoming: &incoming, operation, rest, site, origin, view };
        let cause = Cause::from(view);
        let World { atlassian: side, log, .. } = world;
        let mut act = Act { cause: &cause, log };
        side.settle(&mut act);
        handle(&request, side, &mut act).unwrap_or_else(|it| it)
    });
    answer.await
}

/// Reads method and path; says too whether the operation is experimental.
fn route(method: &Method, rest: &[&str]) -> Option<(&'static str, Operation, bool)> {
    use Operation as Op;
    let (name, operation, experimental) = match (method.as_str(), rest) {
        ("GET", ["info"]) => ("info.get", Op::Info, false),
        ("GET", ["servicedesk"]) => ("servicedesk.list", Op::Desks, false),
        ("GET", ["servicedesk", _]) => ("servicedesk.get", Op::Desk, false),
        ("GET", ["servicedesk", _, "customer"]) => ("servicedesk.customer.list", Op::Customers, true),
        ("POST", ["servicedesk", _, "customer"]) => ("servicedesk.customer.add", Op::AddCustomers, false),
        ("DELETE", ["servicedesk", _, "customer"]) => ("servicedesk.customer.remove", Op::RemoveCustomers, true),
        ("GET", ["servicedesk", _, "organization"]) => ("servicedesk.organization.list", Op::DeskOrganizations, false),
        ("POST", ["servicedesk", _, "organization"]) => ("servicedesk.organization.add", Op::AddOrganization, false),
        ("DELETE", ["servicedesk", _, "organization"]) => {
            ("servicedesk.organization.remove", Op::RemoveOrganization, false)
        }
        ("POST", ["customer"]) => ("customer.create", Op::CreateCustomer, false),
        ("PUT", ["customer", "user", _, "revoke-portal-only-access"]) => ("customer.revoke", Op::RevokeCustomer, true),
        ("GET", ["organization"]) => ("organization.list", Op::Organizations, false),
        ("POST", ["organization"]) => ("organization.create", Op::CreateOrganization, false),
        ("GET", ["organization", _]) => ("organization.get", Op::Organization, false),
        ("DELETE", ["organization", _]) => ("organization.delete", Op::DeleteOrganization, false),
        ("GET", ["organization", _, "user"]) => ("organization.user.list", Op::Members, false),
        ("POST", ["organization", _, "user"]) => ("organization.user.add", Op::AddMembers, false),
        ("DELETE", ["organization", _, "user"]) => ("organization.user.remove", Op::RemoveMembers, false),
        ("GET", ["organization", _, "property"]) => ("organization.property.list", Op::Properties, false),
        ("GET", ["organization", _, "property", _]) => ("organization.property.get", Op::Property, false),
        ("PUT", ["organization", _, "property", _]) => ("organization.property.set", Op::SetProperty, false),
        ("DELETE", ["organization", _, "property", _]) => ("organization.property.delete", Op::DeleteProperty, false),
        _ => return None,
    };
    Some((name, operation, experimental))
}

fn handle(request: &Request<'_>, side: &mut AtlassianSide, act: &mut Act<'_>) -> Result<Answer, Answer> {
    use Operation as Op;
    match request.operation {
        Op::Info => Ok(Answer::json(200, shape::info(request))),
        Op::Desks | Op::Desk | Op::Customers | Op::DeskOrganizations => customers::read(request, side),
        Op::AddCustomers
        | Op::RemoveCustomers
        | Op::AddOrganization
        | Op::RemoveOrganization
        | Op::CreateCustomer
        | Op::RevokeCustomer => customers::write(request, side, act),
        Op::Organizations | Op::Organization | Op::Members | Op::Properties | Op::Property => {
            organizations::read(request, side)
        }
        Op::CreateOrganization
        | Op::DeleteOrganization
        | Op::AddMembers
        | Op::RemoveMembers
        | Op::SetProperty
        | Op::DeleteProperty => organizations::write(request, side, act),
    }
}

impl Request<'_> {
    /// The id in the path: of a desk, an organization.
    fn id(&self) -> &str {
        self.rest.get(1).copied().unwrap_or_default()
    }

    fn site(&self) -> &str {
        &self.site.name
    }
}

/// `{errorMessage, i18nErrorMessage}`.
fn failure(status: u16, key: &str, message: &str) -> Answer {
    let body =
        json!({ "errorMessage": message, "i18nErrorMessage": { "i18nKey": key, "parameters": Vec::<String>::new() } });
    Answer::json(status, body)
}

fn invalid() -> Answer {
    failure(400, "sd.rest.validation", "The request body is not what the operation wants")
}

/// How service management words what the engine decides.
struct Words;

impl Dialect for Words {
    fn throttled(&self, _limit: &str, retry_after: Option<&str>) -> Answer {
        let answer = failure(429, "rate.limit", "Rate limit exceeded.").with("RateLimit-Reason", "jira-burst-based");
        match retry_after {
            Some(seconds) => answer.with("Retry-After", seconds),
            None => answer,
        }
    }

    fn failed(&self, status: u16) -> Answer {
        failure(status, "sd.internal.error", "Internal server error")
    }

    fn unauthorized(&self) -> Answer {
        failure(401, "sd.unauthenticated", "Client must be authenticated to access this resource.")
    }

    fn forbidden(&self) -> Answer {
        failure(403, "sd.forbidden", "You do not have permission to perform this operation.")
    }

    fn not_found(&self, call: &Call) -> Answer {
        if call.operation.starts_with("organization") { organizations::unknown() } else { customers::unknown() }
    }

    fn bad_page_token(&self) -> Answer {
        failure(400, "sd.rest.page", "start is not valid")
    }

    fn empty_page(&self, body: &mut Value, keep_next: bool) {
        if let Some(values) = body.get_mut("values") {
            *values = json!([]);
        }
        if !keep_next {
            self.drop_next(body);
        }
    }

    fn drop_next(&self, body: &mut Value) {
        if let Some(fields) = body.as_object_mut().filter(|it| it.contains_key("values")) {
            fields.insert("isLastPage".to_owned(), json!(true));
        }
    }

    fn repeat_page(&self, body: &mut Value, call: &Call) {
        if let Some(fields) = body.as_object_mut().filter(|it| it.contains_key("values")) {
            fields.insert("isLastPage".to_owned(), json!(false));
            fields.insert("start".to_owned(), json!(call.page_token.parse::<u64>().unwrap_or(0)));
        }
    }
}
