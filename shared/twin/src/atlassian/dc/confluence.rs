//! Confluence Data Center, `/rest/api`: users, groups and memberships.
//!
//! Source: `confluence-dc-10.2.14` for paths and shapes, atlassian-dc.md §3 and §8 for statuses. A person's address is
//! shown only in the list of active users, which holds those who take a seat.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::words::confluence as message;
use super::{Part, Request, Right, Route, nothing, part, text, truth};
use crate::engine::Answer;
use crate::world::atlassian::Act;
use crate::world::dc::{Group, Instance, Person, Refusal, fold};

pub(super) const ROUTES: &[Route] = &[
    ("GET", &["server-information"], "server.get", Right::User),
    ("GET", &["user", "current"], "user.current", Right::User),
    ("GET", &["user"], "user.get", Right::User),
    ("GET", &["user", "list"], "user.list", Right::User),
    ("GET", &["user", "memberof"], "user.memberof", Right::User),
    ("GET", &["admin", "users", "list", "active"], "user.active", Right::Admin),
    ("POST", &["admin", "user"], "user.create", Right::Admin),
    ("PUT", &["admin", "user", "*"], "user.update", Right::Admin),
    ("DELETE", &["admin", "user", "*"], "user.delete", Right::Admin),
    ("PUT", &["admin", "user", "*", "disable"], "user.disable", Right::Admin),
    ("PUT", &["admin", "user", "*", "enable"], "user.enable", Right::Admin),
    ("GET", &["longtask", "*"], "longtask.get", Right::User),
    ("GET", &["group"], "group.list", Right::User),
    ("GET", &["group", "info"], "group.get", Right::User),
    ("GET", &["group", "*"], "group.get", Right::User),
    ("GET", &["group", "member"], "group.member", Right::Admin),
    ("GET", &["group", "*", "member"], "group.member", Right::Admin),
    ("GET", &["group", "groupmember"], "group.groupmember", Right::Admin),
    ("GET", &["group", "*", "groupmember"], "group.groupmember", Right::Admin),
    ("POST", &["admin", "group"], "group.create", Right::Admin),
    ("DELETE", &["admin", "group", "*"], "group.delete", Right::Admin),
    ("PUT", &["user", "*", "group", "*"], "group.user.add", Right::Admin),
    ("DELETE", &["user", "*", "group", "*"], "group.user.remove", Right::Admin),
    ("GET", &["permissions"], "permissions.list", Right::Admin),
];

pub(super) fn handle(request: &Request<'_>, instance: &mut Instance, act: &mut Act<'_>) -> Result<Answer, Answer> {
    match request.operation {
        "server.get" => Ok(Answer::json(200, server(request, instance))),
        "user.current" => Ok(Answer::json(200, person(request, by_name(instance, request.caller)?, None))),
        "user.get" => Ok(Answer::json(200, person(request, named(request, instance)?, None))),
        "user.list" => {
            let shown = instance.users().into_iter().filter(|it| request.view.shows(&it.key)).collect();
            Ok(page(request, instance, shown, |it| person(request, it, None)))
        }
        "user.active" => {
            let seated: BTreeSet<String> = instance.applications.iter().flat_map(|it| instance.licensed(it)).collect();
            let shown = instance.users().into_iter().filter(|it| seated.contains(&fold(&it.name))).collect();
            Ok(page(request, instance, shown, |it| person(request, it, Some(&it.email))))
        }
        "user.memberof" => {
            let name = named(request, instance)?.name.clone();
            Ok(page(request, instance, instance.groups_of(&name, true), |it| group(request, it)))
        }
        "longtask.get" => {
            Ok(Answer::json(200, json!({ "id": request.name(0), "percentageComplete": 100, "successful": true })))
        }
        "group.list" => {
            let shown = instance.groups().into_iter().filter(|it| request.view.shows(&it.name)).collect();
            Ok(page(request, instance, shown, |it| group(request, it)))
        }
        "group.get" => Ok(Answer::json(200, group(request, group_named(request, instance)?))),
        "group.member" => {
            let name = group_named(request, instance)?.name.clone();
            Ok(page(request, instance, instance.members(&name, true), |it| person(request, it, None)))
        }
        "group.groupmember" => {
            let children = &group_named(request, instance)?.children;
            let shown = children.iter().filter_map(|it| Some(instance.group(it)?.1)).collect();
            Ok(page(request, instance, shown, |it| group(request, it)))
        }
        "permissions.list" => Ok(Answer::json(200, permissions(instance))),
        operation if operation.starts_with("user") => write_user(request, instance, act),
        _ => write_group(request, instance, act),
    }
}

fn server(request: &Request<'_>, instance: &Instance) -> Value {
    let version = if instance.switches.version.is_empty() { "10.2.14" } else { &instance.switches.version };
    json!({
        "version": version, "buildNumber": 10_214, "buildDate": "2026-08-01", "baseUrl": request.origin,
        "marketplaceBuildNumber": 10_214,
    })
}

fn person(request: &Request<'_>, person: &Person, email: Option<&str>) -> Value {
    let mut body = json!({
        "type": "known",
        "username": person.name,
        "userKey": person.key,
        "displayName": person.display_name,
        "profilePicture": { "path": "/images/icons/profilepics/default.svg", "width": 48, "height": 48, "isDefault": true },
        "_links": { "self": format!("{}/rest/api/user?key={}", request.origin, person.key) },
        "_expandable": if request.is_expanded("status") { json!({}) } else { json!({ "status": "" }) },
    });
    if let Some(fields) = body.as_object_mut() {
        if request.is_expanded("status") {
            fields.insert("status".to_owned(), json!(if person.active { "current" } else { "deactivated" }));
        }
        if let Some(email) = email {
            fields.insert("email".to_owned(), json!(email));
        }
    }
    body
}

fn group(request: &Request<'_>, group: &Group) -> Value {
    let this = format!("{}/rest/api/group/{}", request.origin, super::jira::encoded(&group.name));
    json!({ "type": "group", "name": group.name, "_links": { "self": this } })
}

/// A page; the limit may be smaller than the one that was asked for, without a word.
fn page<T>(request: &Request<'_>, instance: &Instance, all: Vec<T>, shown: impl Fn(T) -> Value) -> Answer {
    let (start, asked) = (request.number("start", 0), request.number("limit", 100));
    let limit = asked.clamp(1, instance.switches.confluence_page);
    let Part { rows, total, next } = part(all, start, limit);
    let path = request.incoming.path_text();
    let path = path.split_once("/rest/").map_or("", |(_, it)| it);
    let mut more = String::new();
    for (name, value) in request.incoming.query.iter().filter(|it| !matches!(it.0.as_str(), "start" | "limit")) {
        more.push('&');
        more.push_str(name);
        more.push('=');
        more.push_str(&super::jira::encoded(value));
    }
    let link = |start: usize| format!("/rest/{path}?limit={limit}&start={start}{more}");
    let mut links =
        json!({ "self": format!("{}{}", request.origin, link(start)), "base": request.origin, "context": "" });
    if let (Some(next), Some(links)) = (next, links.as_object_mut()) {
        links.insert("next".to_owned(), json!(link(next)));
    }
    let results: Vec<Value> = rows.into_iter().map(shown).collect();
    let body = json!({
        "start": start, "limit": limit, "size": results.len(), "totalCount": total, "results": results, "_links": links,
    });
    Answer::json(200, body)
}

/// Which groups may use the site, and which administer it.
fn permissions(instance: &Instance) -> Value {
    let entry = |group: &String, operation: &str| {
        json!({
            "subject": { "type": "group", "displayName": group },
            "operation": { "targetType": "application", "operationKey": operation },
        })
    };
    let uses = instance.applications.iter().flat_map(|it| &it.groups).map(|it| entry(it, "use"));
    uses.chain(instance.admin_groups.iter().map(|it| entry(it, "administer"))).collect::<Vec<_>>().into()
}

fn by_name<'i>(instance: &'i Instance, name: &str) -> Result<&'i Person, Answer> {
    let unknown = || message(404, &format!("No user found with username : {name}"));
    instance.user(name).map(|(_, it)| it).ok_or_else(unknown)
}

fn named<'i>(request: &Request<'_>, instance: &'i Instance) -> Result<&'i Person, Answer> {
    match (request.parameter("username"), request.parameter("key")) {
        (Some(name), _) => by_name(instance, name),
        (None, Some(key)) => {
            instance.user_with_key(key).ok_or_else(|| message(404, &format!("No user found with key : {key}")))
        }
        (None, None) => Err(message(400, "No user key or username was given")),
    }
}

/// The group of the path, or of `groupName`.
fn group_named<'i>(request: &Request<'_>, instance: &'i Instance) -> Result<&'i Group, Answer> {
    let name = request.parameter("groupName").filter(|_| request.names.is_empty()).unwrap_or_else(|| request.name(0));
    let unknown = || message(404, &format!("No group found with name : {name}"));
    instance.group(name).map(|(_, it)| it).ok_or_else(unknown)
}

fn write_user(request: &Request<'_>, instance: &mut Instance, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let body = request.body().unwrap_or_else(nothing);
    if request.operation == "user.create" {
        return create_user(instance, &body, act);
    }
    let name = by_name(instance, request.name(0))?.name.clone();
    let refused = |it| refusal(it, &name, "");
    match request.operation {
        "user.update" => {
            let change = |it: &mut Person| {
                for (key, place) in [("email", &mut it.email), ("fullName", &mut it.display_name)] {
                    if let Some(value) = body.get(key).and_then(Value::as_str) {
                        value.clone_into(place);
                    }
                }
            };
            instance.change_user(&name, change, act).map_err(refused)?;
            Ok(Answer::empty(204))
        }
        "user.delete" => {
            instance.delete_user(&name, act).map_err(refused)?;
            let task = instance.number();
            let status = format!("/rest/api/longtask/{task}");
            Ok(Answer::json(202, json!({ "id": task.to_string(), "links": { "status": status } })))
        }
        // Documented as idempotent, both.
        _ => {
            let active = request.operation == "user.enable";
            instance.change_user(&name, |it| it.active = active, act).map_err(refused)?;
            Ok(Answer::empty(204))
        }
    }
}

fn create_user(instance: &mut Instance, body: &Value, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let (name, email, full_name) = (text(body, "userName"), text(body, "email"), text(body, "fullName"));
    let notify = truth(body, "notifyViaEmail").unwrap_or(false);
    let password = text(body, "password");
    let forbidden = |it: char| it.is_uppercase() || it.is_whitespace() || "\\,+<>'\"".contains(it);
    let wrong = if name.is_empty() || name.contains(forbidden) || name == "anonymous" {
        Some("The username is not valid")
    } else if !email.contains('@') {
        Some("The email is not valid")
    } else if full_name.trim().is_empty() || full_name.contains(['<', '>']) {
        Some("The full name is not valid")
    } else if notify != password.is_empty() {
        Some("Either a password must be given or the user be notified, and not both")
    } else {
        None
    };
    if let Some(words) = wrong {
        return Err(message(400, words));
    }
    let person = instance.person(name, full_name, email);
    let key = person.key.clone();
    instance.create_user(person, true, act).map_err(|it| match it {
        Refusal::NameTaken => message(409, &format!("A user with username {name} already exists")),
        other => refusal(other, name, ""),
    })?;
    Ok(Answer::json(201, json!({ "userKey": key })))
}

fn write_group(request: &Request<'_>, instance: &mut Instance, act: &mut Act<'_>) -> Result<Answer, Answer> {
    match request.operation {
        "group.create" => {
            let body = request.body().unwrap_or_else(nothing);
            let name = text(&body, "name").trim();
            if name.is_empty() || text(&body, "type") != "group" {
                return Err(message(400, "A group needs a type and a name"));
            }
            instance.create_group(name, "", act).map_err(|it| refusal(it, "", name))?;
            let made = instance.group(name).map(|(_, it)| group(request, it));
            Ok(Answer::json(200, made.unwrap_or_else(nothing)))
        }
        "group.delete" => {
            let name = group_named(request, instance)?.name.clone();
            instance.delete_group(&name, act).map_err(|it| refusal(it, "", &name))?;
            Ok(Answer::empty(204))
        }
        operation => {
            let (user, name) = (request.name(0).to_owned(), request.name(1).to_owned());
            let add = operation == "group.user.add";
            let done =
                if add { instance.add_member(&name, &user, act) } else { instance.remove_member(&name, &user, act) };
            match done {
                // Documented as idempotent, both.
                Ok(()) | Err(Refusal::AlreadyMember | Refusal::NotMember) => Ok(Answer::empty(204)),
                Err(it) => Err(refusal(it, &user, &name)),
            }
        }
    }
}

/// What Confluence answers to what was not done.
fn refusal(refusal: Refusal, user: &str, group: &str) -> Answer {
    match refusal {
        Refusal::UnknownUser => message(404, &format!("No user found with username : {user}")),
        Refusal::UnknownGroup => message(404, &format!("No group found with name : {group}")),
        Refusal::NameTaken => message(409, &format!("A group with name {group} already exists")),
        Refusal::ReadOnly => message(403, "The user directory is read-only"),
        Refusal::NoSeat => message(402, "There are no licenses left"),
        Refusal::LastAdminGroup => message(400, "The last group of administrators cannot be deleted"),
        _ => message(400, "The request could not be carried out"),
    }
}
