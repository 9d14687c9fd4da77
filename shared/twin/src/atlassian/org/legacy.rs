//! What is left of version 1 (organizations, managed accounts, audit events), what is dead of it, and the two listings
//! of version 2 that are about the organization itself.

use http::Method;
use serde_json::{Map, Value, json};

use super::cursor::Cursor;
use super::users::limit;
use super::{Operation, Request, error};
use crate::engine::clock::rfc3339;
use crate::engine::{Answer, Millis};
use crate::world::atlassian::switches::CursorPlace;
use crate::world::atlassian::{Account, AtlassianSide, Organization, Product};
use crate::world::{Mutation, MutationLog};

/// Reads what follows `/admin/v1/orgs/{orgId}/`.
pub(super) fn route(method: &Method, rest: &[&str]) -> Option<(&'static str, Operation)> {
    let own = |it: &str| it.to_owned();
    Some(match (method.as_str(), rest) {
        ("GET", ["users"]) => ("accounts.list", Operation::ManagedAccounts),
        ("GET", ["events"]) => ("events.list", Operation::Events),
        ("GET", ["events-stream"]) => ("events.poll", Operation::EventsStream),
        ("GET", ["events", id]) => ("events.get", Operation::Event(own(id))),
        ("GET", ["event-actions"]) => ("event-actions.list", Operation::EventActions),
        ("GET", ["directory", "users", account, "last-active-dates"]) => {
            ("accounts.last-active", Operation::LastActiveDates(own(account)))
        }
        ("POST", ["users", account, "role-assignments", verb @ ("assign" | "revoke")]) => {
            ("users.org-role", Operation::OrgRole { account: own(account), assign: *verb == "assign" })
        }
        ("POST", ["users", account, "roles", verb @ ("assign" | "revoke")]) => {
            ("users.role", Operation::UserRole { account: own(account), assign: *verb == "assign" })
        }
        // Ended after 2026-06-30 (atlassian-cloud.md §1.3).
        (
            "POST",
            ["users", "search" | "invite"]
            | ["groups", "search"]
            | ["directory", "groups"]
            | ["directory", "users", _, "suspend-access" | "restore-access"]
            | ["directory", "groups", _, "memberships"]
            | ["directory", "groups", _, "roles", "assign" | "revoke"],
        )
        | ("DELETE", ["directory", "users" | "groups", _] | ["directory", "groups", _, "memberships", _]) => {
            ("v1.dead", Operation::Dead)
        }
        _ => return None,
    })
}

/// Reads about the organization.
pub(super) fn handle(request: &Request<'_>, side: &AtlassianSide, log: &MutationLog) -> Answer {
    let Some(organization) = side.organization(&request.organization) else {
        return error::application(404, "ADMIN-404-2", "Organization not found");
    };
    let result = match &request.operation {
        Operation::Organization => Ok(Answer::json(200, json!({ "data": organization_body(request, organization) }))),
        Operation::ManagedAccounts => managed_accounts(request, side, organization),
        Operation::Directories => Ok(directories(request, side, organization)),
        Operation::Workspaces => workspaces(request, side, organization),
        Operation::Events | Operation::EventsStream => events(request, side, log),
        Operation::Event(id) => Ok(event(request, side, log, id)),
        Operation::EventActions => Ok(Answer::json(200, json!({ "data": actions() }))),
        Operation::LastActiveDates(account) => Ok(last_active(side, organization, account)),
        _ => {
            let status = side.switches.dead_v1_status;
            Ok(error::application(
                status,
                &format!("ADMIN-{status}-1"),
                "This API ended on 30 June 2026; use version 2",
            ))
        }
    };
    result.unwrap_or_else(|it| it)
}

/// Organizations that the key may manage: a scoped key sees none (§1.1).
pub(super) fn organizations(request: &Request<'_>, side: &AtlassianSide, scoped: bool, realm: &str) -> Answer {
    let data: Vec<Value> =
        side.organizations().filter(|it| !scoped && it.id == realm).map(|it| organization_body(request, it)).collect();
    let links = json!({ "self": format!("{}/admin/v1/orgs", request.incoming.origin()) });
    Answer::json(200, json!({ "data": data, "links": links }))
}

fn organization_body(request: &Request<'_>, organization: &Organization) -> Value {
    let base = format!("{}/admin/v1/orgs/{}", request.incoming.origin(), organization.id);
    json!({
        "id": organization.id,
        "type": "orgs",
        "attributes": { "name": organization.name },
        "relationships": {
            "domains": { "links": { "related": format!("{base}/domains") } },
            "users": { "links": { "related": format!("{base}/users") } },
        },
        "links": { "self": base },
    })
}

fn managed_accounts(
    request: &Request<'_>,
    side: &AtlassianSide,
    organization: &Organization,
) -> Result<Answer, Answer> {
    let cursor = Cursor::of(request, &side.switches)?;
    let managed = |it: &Account| organization.domains.contains(it.domain());
    let total = side.accounts().iter().filter(|(_, it)| managed(it)).count();
    let after = cursor.after;
    let rest = side.accounts().iter().filter(|(index, it)| after.is_none_or(|after| *index > after) && managed(it));
    // The documents give no page size; a hundred, as everywhere else.
    let (accounts, links) = cursor.page(rest, 100, request.view.now, side.switches.cursor);
    let data: Vec<Value> = accounts
        .into_iter()
        .map(|it| {
            json!({
                "account_id": it.id,
                "account_type": it.kind.word(),
                "account_status": it.status.word(),
                "name": it.name,
                "picture": "",
                "email": it.email,
                "access_billable": true,
                "product_access": [],
                "links": { "self": format!("{}/users/{}/manage/profile", request.incoming.origin(), it.id) },
            })
        })
        .collect();
    let links = as_urls(request, links);
    Ok(Answer::json(200, json!({ "data": data, "links": links, "meta": { "total": total } })))
}

/// In version 1 links are URLs, not cursors.
fn as_urls(request: &Request<'_>, links: Value) -> Value {
    let base = format!("{}{}", request.incoming.origin(), request.incoming.path_text());
    let mut urls = Map::new();
    for name in ["self", "next"] {
        if let Some(cursor) = links.get(name).and_then(Value::as_str) {
            urls.insert(name.to_owned(), json!(format!("{base}?cursor={cursor}")));
        }
    }
    Value::Object(urls)
}

fn directories(request: &Request<'_>, side: &AtlassianSide, organization: &Organization) -> Answer {
    let term = request.incoming.parameter("searchTerm").unwrap_or_default().to_lowercase();
    let account = request.incoming.parameter("accountId");
    let holds_account = account
        .is_none_or(|it| side.accounts().find(it).is_some_and(|person| organization.base.resident(person).is_some()));
    let shown = holds_account && organization.name.to_lowercase().contains(&term);
    let one = json!({ "directoryId": organization.base.directory_id, "name": organization.name });
    let data: Vec<Value> = shown.then_some(one).into_iter().collect();
    Answer::json(200, json!({ "data": data, "links": {} }))
}

fn workspaces(request: &Request<'_>, side: &AtlassianSide, organization: &Organization) -> Result<Answer, Answer> {
    let cursor = Cursor::of(request, &side.switches)?;
    let limit = limit(cursor.query.get("limit"), 20, 1000)?;
    let products: Vec<&Product> = organization.base.products.iter().collect();
    let total = products.len();
    let (products, links) = cursor.page((0..).zip(products), limit, request.view.now, CursorPlace::Offset);
    let data: Vec<Value> = products.into_iter().map(|it| workspace(request, side, organization, it)).collect();
    let meta = json!({ "pageSize": data.len(), "startIndex": cursor.shown, "endIndex": cursor.shown + data.len(), "total": total });
    Ok(Answer::json(200, json!({ "data": data, "links": links, "meta": meta })))
}

fn workspace(request: &Request<'_>, side: &AtlassianSide, organization: &Organization, product: &Product) -> Value {
    json!({
        "id": product.resource,
        "type": "workspaces",
        "attributes": {
            "name": product.name,
            "typeKey": product.key,
            "type": product.name,
            "owner": null,
            "status": "online",
            "statusDetails": [],
            "icons": {},
            "avatars": {},
            "labels": [],
            "sandbox": { "type": "NONE" },
            "usage": side.seat_holders(&organization.base, product).len(),
            "capacity": product.seats,
            "hostUrl": format!("https://{}.atlassian.net", product.site),
            "realm": "",
            "regions": [],
        },
        "links": { "self": format!("{}/admin/v2/orgs/{}/workspaces/{}", request.incoming.origin(), organization.id, product.resource) },
        "relationships": {},
    })
}

fn last_active(side: &AtlassianSide, organization: &Organization, account: &str) -> Answer {
    let resident = side.accounts().find(account).and_then(|it| organization.base.resident(it));
    match resident {
        Some(it) => {
            let day: String = rfc3339(it.added_at).chars().take(10).collect();
            Answer::json(200, json!({ "data": { "product_access": [], "added_to_org": day }, "links": {} }))
        }
        None => error::application(404, "ADMIN-404-8", "User not found"),
    }
}

/// Audit actions that the twin tells of.
fn actions() -> Vec<Value> {
    let action = |id: &str, name: &str, group: &str| json!({ "id": id, "type": "event-actions", "attributes": { "displayName": name, "groupDisplayName": group } });
    vec![
        action("group_created", "Created group", "Groups"),
        action("group_deleted", "Deleted group", "Groups"),
        action("user_added_to_group", "Added user to group", "Groups"),
        action("user_removed_from_group", "Removed user from group", "Groups"),
        action("user_created", "Created user", "Users"),
        action("user_activated", "Activated user", "Users"),
        action("user_deactivated", "Deactivated user", "Users"),
    ]
}

/// Action and objects of an effective change that the vendor's audit log would show.
fn told(change: &Mutation) -> Option<(&'static str, Vec<(&'static str, String)>)> {
    let path: Vec<&str> = change.key.split('/').collect();
    let added = change.new.is_some();
    match path.as_slice() {
        ["atlassian", "group", group, "member", account] => {
            let action = if added { "user_added_to_group" } else { "user_removed_from_group" };
            Some((action, vec![("groups", (*group).to_owned()), ("users", (*account).to_owned())]))
        }
        ["atlassian", "group", group] => {
            Some((if added { "group_created" } else { "group_deleted" }, vec![("groups", (*group).to_owned())]))
        }
        ["atlassian", "account", account] => {
            let action = match (change.old.as_deref(), change.new.as_deref()) {
                (None, _) => "user_created",
                (_, Some("active")) => "user_activated",
                _ => "user_deactivated",
            };
            Some((action, vec![("users", (*account).to_owned())]))
        }
        _ => None,
    }
}

fn event_body(request: &Request<'_>, side: &AtlassianSide, change: &Mutation) -> Option<Value> {
    let (action, objects) = told(change)?;
    let context: Vec<Value> =
        objects.iter().map(|(kind, id)| json!({ "id": id, "type": kind, "attributes": {} })).collect();
    let actor = side.accounts().with_email(&change.caller).first().and_then(|it| side.accounts().get(*it));
    let actor_id = actor.map_or(change.caller.as_str(), |it| it.id.as_str());
    let link =
        format!("{}/admin/v1/orgs/{}/events/{}", request.incoming.origin(), request.organization, change.sequence);
    let at = rfc3339(change.at);
    let mut body = json!({
        "id": change.sequence.to_string(),
        "type": "events",
        "attributes": {
            "time": at,
            "action": action,
            "actor": { "id": actor_id, "name": change.caller },
            "context": context,
            "container": [{ "id": request.organization, "type": "orgs", "attributes": {} }],
        },
        "links": { "self": link },
    });
    // Only those who poll are told when an event came in.
    let polled = request.operation == Operation::EventsStream;
    if let Some(fields) = body.get_mut("attributes").and_then(Value::as_object_mut).filter(|_| polled) {
        fields.insert("processedAt".to_owned(), json!(at));
    }
    Some(body)
}

fn events(request: &Request<'_>, side: &AtlassianSide, log: &MutationLog) -> Result<Answer, Answer> {
    let cursor = Cursor::of(request, &side.switches)?;
    let text = |name: &str| cursor.query.get(name).and_then(|it| it.get(0)).and_then(Value::as_str).map(str::to_owned);
    let time = |name: &str| -> Result<Option<Millis>, Answer> {
        let bad = |_| error::application(400, "ADMIN-400-2", "from and to are milliseconds since 1970");
        text(name).map(|it| it.parse().map_err(bad)).transpose()
    };
    let (from, to, action) = (time("from")?, time("to")?, text("action"));
    let stream = request.operation == Operation::EventsStream;
    let limit = limit(cursor.query.get("limit"), if stream { 200 } else { 30 }, 500)?;
    let wanted = |it: &&Mutation| {
        from.is_none_or(|from| it.at >= from)
            && to.is_none_or(|to| it.at <= to)
            && it.at <= request.view.read_at
            && told(it).is_some_and(|(name, _)| action.as_ref().is_none_or(|wanted| wanted == name))
    };
    let after = cursor.after.map_or(0, u64::from);
    let changes = log.after(after).filter(wanted).map(|it| (u32::try_from(it.sequence).unwrap_or(u32::MAX), it));
    let (changes, links) = cursor.page(changes, limit, request.view.now, CursorPlace::Element);
    let newest = changes.last().and_then(|it| u32::try_from(it.sequence).ok()).or(cursor.after);
    // The cursor of a stream leads to what comes later, also from its last page.
    let onward = Cursor { after: newest, shown: cursor.shown + changes.len(), page: cursor.page + 1, ..cursor.clone() };
    let data: Vec<Value> = changes.into_iter().filter_map(|it| event_body(request, side, it)).collect();
    let mut meta = json!({ "page_size": data.len() });
    let next = links.get("next").cloned().or_else(|| stream.then(|| json!(onward.seal())));
    if let (Some(fields), Some(next)) = (meta.as_object_mut(), next) {
        fields.insert("next".to_owned(), next);
    }
    Ok(Answer::json(200, json!({ "data": data, "links": as_urls(request, links), "meta": meta })))
}

fn event(request: &Request<'_>, side: &AtlassianSide, log: &MutationLog, id: &str) -> Answer {
    let number: u64 = id.parse().unwrap_or(0);
    let found = log.after(number.saturating_sub(1)).next().filter(|it| it.sequence == number);
    match found.and_then(|it| event_body(request, side, it)) {
        Some(body) => Answer::json(200, json!({ "data": body })),
        None => error::application(404, "ADMIN-404-1", "Event not found"),
    }
}
