//! Jira Data Center, `/rest/api/2`: users, groups, application roles. Projects and components are in the next file.
//!
//! Source: `jira-software-dc-11.3.8` for paths and shapes, atlassian-dc.md §2 and §8 for statuses and texts.

use serde_json::{Value, json};

use super::words::{jira as message, jira_field as field};
use super::{Part, Request, Right, Route, jira_projects, nothing, part, text, truth};
use crate::engine::Answer;
use crate::world::atlassian::Act;
use crate::world::dc::{Application, Group, Instance, Person, Refusal, fold};

pub(super) const ROUTES: &[Route] = &[
    ("GET", &["myself"], "myself.get", Right::User),
    ("GET", &["serverInfo"], "serverInfo.get", Right::Anybody),
    ("GET", &["user"], "user.get", Right::User),
    ("POST", &["user"], "user.create", Right::Admin),
    ("PUT", &["user"], "user.update", Right::Admin),
    ("DELETE", &["user"], "user.delete", Right::Admin),
    ("GET", &["user", "list"], "user.list", Right::Admin),
    ("GET", &["user", "search"], "user.search", Right::User),
    ("PUT", &["user", "password"], "user.password", Right::Admin),
    ("POST", &["user", "application"], "user.application.add", Right::Admin),
    ("DELETE", &["user", "application"], "user.application.remove", Right::Admin),
    ("DELETE", &["user", "session", "*"], "user.session.delete", Right::Admin),
    ("POST", &["group"], "group.create", Right::Admin),
    ("DELETE", &["group"], "group.delete", Right::Admin),
    ("GET", &["group", "member"], "group.member", Right::Admin),
    ("POST", &["group", "user"], "group.user.add", Right::Admin),
    ("DELETE", &["group", "user"], "group.user.remove", Right::Admin),
    ("GET", &["groups", "picker"], "groups.picker", Right::Anybody),
    ("GET", &["applicationrole"], "applicationrole.list", Right::Admin),
    ("GET", &["applicationrole", "*"], "applicationrole.get", Right::Admin),
    ("PUT", &["applicationrole", "*"], "applicationrole.update", Right::Admin),
    ("GET", &["project"], "project.list", Right::User),
    ("GET", &["project", "*"], "project.get", Right::User),
    ("PUT", &["project", "*"], "project.update", Right::Admin),
    ("GET", &["project", "*", "components"], "project.components", Right::User),
    ("GET", &["component", "page"], "component.page", Right::User),
    ("GET", &["component", "*"], "component.get", Right::User),
    ("PUT", &["component", "*"], "component.update", Right::Admin),
];

pub(super) fn handle(request: &Request<'_>, instance: &mut Instance, act: &mut Act<'_>) -> Result<Answer, Answer> {
    match request.operation {
        "myself.get" => Ok(Answer::json(200, user(request, instance, by_name(instance, request.caller)?))),
        "serverInfo.get" => Ok(Answer::json(200, server(request, instance))),
        "user.get" => Ok(Answer::json(200, user(request, instance, named(request, instance)?))),
        "user.list" => Ok(Answer::json(200, list(request, instance)?)),
        "user.search" => search(request, instance),
        "user.session.delete" => {
            by_name(instance, request.name(0))?;
            instance.sign_out(request.name(0), act);
            Ok(Answer::empty(200))
        }
        "user.password" => named(request, instance).map(|_| Answer::empty(204)),
        "group.member" => members(request, instance),
        "groups.picker" => Ok(Answer::json(200, picker(request, instance))),
        operation if operation.starts_with("applicationrole") => roles(request, instance),
        operation if operation.starts_with("user") => write_user(request, instance, act),
        operation if operation.starts_with("group") => write_group(request, instance, act),
        _ => jira_projects::handle(request, instance, act),
    }
}

/// A user as `UserBean`.
pub(super) fn user(request: &Request<'_>, instance: &Instance, person: &Person) -> Value {
    let groups = instance.groups_of(&person.name, true);
    let items = |all: Vec<Value>, shown: bool| {
        let size = all.len();
        json!({ "size": size, "items": if shown { all } else { Vec::new() } })
    };
    let names = groups.iter().map(|it| json!({ "name": it.name, "self": group_link(request, &it.name) })).collect();
    let has = |it: &&Application| it.groups.iter().any(|group| groups.iter().any(|it| fold(&it.name) == *group));
    let roles = instance.applications.iter().filter(has).map(|it| json!({ "key": it.key, "name": it.name }));
    let mut body = brief(request, person);
    if let Some(fields) = body.as_object_mut() {
        fields.insert("deleted".to_owned(), json!(false));
        fields.insert("locale".to_owned(), json!("en_US"));
        fields.insert("groups".to_owned(), items(names, request.is_expanded("groups")));
        let roles = items(roles.collect(), request.is_expanded("applicationRoles"));
        fields.insert("applicationRoles".to_owned(), roles);
        fields.insert("expand".to_owned(), json!("groups,applicationRoles"));
    }
    body
}

/// A user as `UserJsonBean`: what both shapes have.
pub(super) fn brief(request: &Request<'_>, person: &Person) -> Value {
    json!({
        "self": format!("{}/rest/api/2/user?username={}", request.origin, encoded(&person.name)),
        "key": person.key,
        "name": person.name,
        "emailAddress": person.email,
        "avatarUrls": {},
        "displayName": person.display_name,
        "active": person.active,
        "timeZone": "Etc/UTC",
    })
}

fn group_link(request: &Request<'_>, name: &str) -> String {
    format!("{}/rest/api/2/group?groupname={}", request.origin, encoded(name))
}

pub(super) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn by_name<'i>(instance: &'i Instance, name: &str) -> Result<&'i Person, Answer> {
    let unknown = || message(404, &format!("The user named '{name}' does not exist"));
    instance.user(name).map(|(_, it)| it).ok_or_else(unknown)
}

/// The user that `username` or `key` names.
fn named<'i>(request: &Request<'_>, instance: &'i Instance) -> Result<&'i Person, Answer> {
    match (request.parameter("username"), request.parameter("key")) {
        (Some(name), _) => by_name(instance, name),
        (None, Some(key)) => instance
            .user_with_key(key)
            .ok_or_else(|| message(404, &format!("The user with key '{key}' does not exist"))),
        (None, None) => Err(message(400, "Either the 'username' or the 'key' query parameters need to be provided")),
    }
}

fn server(request: &Request<'_>, instance: &Instance) -> Value {
    let version = if instance.switches.version.is_empty() { "11.3.8" } else { &instance.switches.version };
    let numbers: Vec<u32> = version.split('.').filter_map(|it| it.parse().ok()).collect();
    json!({ "baseUrl": request.origin, "version": version, "versionNumbers": numbers, "deploymentType": "Server" })
}

/// `user/list`: a stream of pages. A cursor is a number here; clients must not know that.
fn list(request: &Request<'_>, instance: &Instance) -> Result<Value, Answer> {
    let start = match request.parameter("cursor") {
        None | Some("") => 0,
        Some(cursor) => {
            cursor.strip_prefix("c-").and_then(|it| it.parse().ok()).ok_or_else(|| message(400, "bad cursor"))?
        }
    };
    let asked = request.number("maxResults", 2_000);
    let shown = instance.users().into_iter().filter(|it| request.view.shows(&it.key)).collect();
    let Part { rows, next, .. } = part(shown, start, asked.clamp(1, 2_000));
    let base = format!("{}/rest/api/2/user/list?maxResults={asked}", request.origin);
    let mut body = json!({
        "self": base,
        "maxResults": asked,
        "isLast": next.is_none(),
        "values": rows.into_iter().map(|it| brief(request, it)).collect::<Vec<_>>(),
    });
    if let (Some(next), Some(fields)) = (next, body.as_object_mut()) {
        fields.insert("nextCursor".to_owned(), json!(format!("c-{next}")));
        fields.insert("nextPage".to_owned(), json!(format!("{base}&cursor=c-{next}")));
    }
    Ok(body)
}

fn search(request: &Request<'_>, instance: &Instance) -> Result<Answer, Answer> {
    let Some(query) = request.parameter("username") else {
        return Err(message(400, "The username query parameter was not provided"));
    };
    let (inactive, active) =
        (request.parameter("includeInactive") == Some("true"), request.parameter("includeActive") != Some("false"));
    // A dot stands for everybody, as tools have always used it.
    let query = if query == "." { String::new() } else { fold(query) };
    let fits = |it: &&Person| {
        let begins = [&it.name, &it.email, &it.display_name].iter().any(|it| fold(it).starts_with(&query));
        begins && (if it.active { active } else { inactive })
    };
    let (start, asked) = (request.number("startAt", 0), request.number("maxResults", 50).min(1_000));
    let most = instance.switches.jira_search_total;
    // Since Jira 10 the first hundred hits are all there is, whatever the page (JRASERVER-78660).
    let asked = if most > 0 { asked.min(most.saturating_sub(start)) } else { asked };
    let found = instance.users().into_iter().filter(fits).collect();
    let rows = part(found, start, asked).rows;
    Ok(Answer::json(200, rows.into_iter().map(|it| brief(request, it)).collect::<Vec<_>>().into()))
}

fn members(request: &Request<'_>, instance: &Instance) -> Result<Answer, Answer> {
    let group = group_named(request, instance)?;
    let inactive = request.parameter("includeInactiveUsers") == Some("true");
    let people = instance.members(&group.name, true).into_iter().filter(|it| it.active || inactive).collect();
    let asked = request.number("maxResults", 50).clamp(1, instance.switches.jira_member_page);
    let start = request.number("startAt", 0);
    let Part { rows, total, next } = part(people, start, asked);
    let base = format!(
        "{}/rest/api/2/group/member?groupname={}&includeInactiveUsers={inactive}&maxResults={asked}",
        request.origin,
        encoded(&group.name)
    );
    let mut body = json!({
        "self": format!("{base}&startAt={start}"),
        "maxResults": asked,
        "startAt": start,
        "total": total,
        "isLast": next.is_none(),
        "values": rows.into_iter().map(|it| brief(request, it)).collect::<Vec<_>>(),
    });
    if let (Some(next), Some(fields)) = (next, body.as_object_mut()) {
        fields.insert("nextPage".to_owned(), json!(format!("{base}&startAt={next}")));
    }
    Ok(Answer::json(200, body))
}

fn group_named<'i>(request: &Request<'_>, instance: &'i Instance) -> Result<&'i Group, Answer> {
    let Some(name) = request.parameter("groupname").filter(|it| !it.is_empty()) else {
        return Err(message(400, "You must specify a group name."));
    };
    let unknown = || message(404, &format!("The group named '{name}' does not exist"));
    instance.group(name).map(|(_, it)| it).ok_or_else(unknown)
}

/// A type-ahead, not an enumeration: it shows only so many.
fn picker(request: &Request<'_>, instance: &Instance) -> Value {
    let query = fold(request.parameter("query").unwrap_or_default());
    let excluded: Vec<String> = request.incoming.parameters("exclude").into_iter().map(fold).collect();
    // Who has not signed in sees nothing, with status 200.
    let nobody = request.caller.is_empty();
    let fits = |it: &&Group| {
        let name = fold(&it.name);
        !nobody && name.contains(&query) && !excluded.contains(&name) && request.view.shows(&it.name)
    };
    let found: Vec<&Group> = instance.groups().into_iter().filter(fits).collect();
    let most = instance.switches.jira_picker_limit;
    let shown = request.number("maxResults", most).min(most);
    let groups: Vec<Value> =
        found.iter().take(shown).map(|it| json!({ "name": it.name, "html": it.name, "labels": [] })).collect();
    let header = format!("Showing {} of {} matching groups", groups.len(), found.len());
    json!({ "header": header, "total": found.len(), "groups": groups })
}

fn roles(request: &Request<'_>, instance: &mut Instance) -> Result<Answer, Answer> {
    let shown = |instance: &Instance, it: &Application| {
        let used = instance.licensed(it).len();
        json!({
            "key": it.key, "name": it.name, "groups": it.groups, "defaultGroups": it.default_groups,
            "selectedByDefault": !it.default_groups.is_empty(), "defined": true, "platform": false,
            "numberOfSeats": it.seats.map_or(-1, i64::from),
            "remainingSeats": it.seats.map_or(-1, |seats| i64::from(seats) - i64::try_from(used).unwrap_or(i64::MAX)),
            "userCount": used, "userCountDescription": "users", "hasUnlimitedSeats": it.seats.is_none(),
        })
    };
    if request.operation == "applicationrole.list" {
        let all: Vec<Value> = instance.applications.iter().map(|it| shown(instance, it)).collect();
        return Ok(Answer::json(200, all.into()));
    }
    let place = instance.applications.iter().position(|it| it.key == request.name(0));
    let unknown = || message(404, &format!("The application '{}' does not exist", request.name(0)));
    let before = place.and_then(|it| instance.applications.get(it)).ok_or_else(unknown)?;
    let tag = |it: &Application| format!("\"{:x}\"", it.groups.len() * 1_009 + it.default_groups.len());
    if request.operation == "applicationrole.update" {
        let wanted = request.incoming.headers.get("if-match").and_then(|it| it.to_str().ok());
        if wanted.is_some_and(|it| it != tag(before)) {
            return Err(message(412, "The application role was changed meanwhile"));
        }
        let body = request.body().unwrap_or_else(nothing);
        let names = |name: &str| {
            body.get(name).and_then(Value::as_array).map(|all| all.iter().filter_map(Value::as_str).map(fold).collect())
        };
        let (groups, defaults) = (names("groups"), names("defaultGroups"));
        if let Some(role) = place.and_then(|it| instance.applications.get_mut(it)) {
            role.groups = groups.unwrap_or_else(|| role.groups.clone());
            role.default_groups = defaults.unwrap_or_else(|| role.default_groups.clone());
        }
    }
    let after = place.and_then(|it| instance.applications.get(it)).ok_or_else(unknown)?;
    Ok(Answer::json(200, shown(instance, after)).with("ETag", tag(after)))
}

fn write_user(request: &Request<'_>, instance: &mut Instance, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let body = request.body().unwrap_or_else(nothing);
    match request.operation {
        "user.create" => return create_user(request, instance, &body, act),
        "user.update" => return update_user(request, instance, &body, act),
        "user.delete" => {
            let name = named(request, instance)?.name.clone();
            instance.delete_user(&name, act).map_err(|it| refusal(instance, it, &name, ""))?;
            return Ok(Answer::empty(204));
        }
        _ => {}
    }
    let name = named(request, instance)?.name.clone();
    let key = request.parameter("applicationKey").unwrap_or_default();
    let found = instance.applications.iter().find(|it| it.key == key);
    let groups: Vec<String> = match found {
        Some(application) => application.default_groups.iter().cloned().collect(),
        None => return Err(message(400, &format!("The application '{key}' does not exist"))),
    };
    let add = request.operation == "user.application.add";
    for group in groups {
        let done =
            if add { instance.add_member(&group, &name, act) } else { instance.remove_member(&group, &name, act) };
        if let Err(it @ (Refusal::NoSeat | Refusal::ReadOnly)) = done {
            return Err(refusal(instance, it, &name, &group));
        }
    }
    Ok(if add { Answer::json(200, user(request, instance, by_name(instance, &name)?)) } else { Answer::empty(204) })
}

fn create_user(
    request: &Request<'_>,
    instance: &mut Instance,
    body: &Value,
    act: &mut Act<'_>,
) -> Result<Answer, Answer> {
    let (name, email, display_name) = (text(body, "name"), text(body, "emailAddress"), text(body, "displayName"));
    for (value, name, words) in [
        (name, "username", "You must specify a username."),
        (email, "email", "You must specify an email address."),
        (display_name, "fullname", "You must specify a full name."),
    ] {
        if value.trim().is_empty() {
            return Err(field(400, name, words));
        }
    }
    let none_wanted = body.get("applicationKeys").and_then(Value::as_array).is_some_and(Vec::is_empty);
    let mut person = instance.person(name, display_name, email);
    person.active = truth(body, "active").unwrap_or(true);
    let made = brief(request, &person);
    let created = instance.create_user(person, !none_wanted, act);
    created.map_err(|it| match it {
        Refusal::NameTaken => field(400, "username", "A user with that username already exists."),
        other => refusal(instance, other, name, ""),
    })?;
    Ok(Answer::json(201, written(&made)))
}

fn update_user(
    request: &Request<'_>,
    instance: &mut Instance,
    body: &Value,
    act: &mut Act<'_>,
) -> Result<Answer, Answer> {
    let mut name = named(request, instance)?.name.clone();
    let wanted = text(body, "name");
    if !wanted.is_empty() && wanted != name {
        instance.rename_user(&name, wanted, act).map_err(|it| match it {
            Refusal::NameTaken => field(400, "username", "A user with that username already exists."),
            other => refusal(instance, other, &name, ""),
        })?;
        wanted.clone_into(&mut name);
    }
    let change = |it: &mut Person| {
        for (key, place) in [("emailAddress", &mut it.email), ("displayName", &mut it.display_name)] {
            if let Some(value) = body.get(key).and_then(Value::as_str) {
                value.clone_into(place);
            }
        }
        it.active = truth(body, "active").unwrap_or(it.active);
    };
    instance.change_user(&name, change, act).map_err(|it| refusal(instance, it, &name, ""))?;
    Ok(Answer::json(200, written(&brief(request, by_name(instance, &name)?))))
}

/// A user as `UserWriteBean`, which is what the document says of answers to writes.
fn written(user: &Value) -> Value {
    let fields = ["self", "key", "name", "emailAddress", "displayName", "active"];
    fields
        .iter()
        .map(|it| ((*it).to_owned(), user.get(*it).cloned().unwrap_or_default()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn write_group(request: &Request<'_>, instance: &mut Instance, act: &mut Act<'_>) -> Result<Answer, Answer> {
    if request.operation == "group.create" {
        let body = request.body().unwrap_or_else(nothing);
        let name = text(&body, "name").trim();
        if name.is_empty() {
            return Err(field(400, "name", "You must specify a group name."));
        }
        instance.create_group(name, "", act).map_err(|it| refusal(instance, it, "", name))?;
        return Ok(Answer::json(201, group(request, instance, name)));
    }
    if request.operation == "group.delete" {
        let name = request.parameter("groupname").unwrap_or_default();
        let gone = instance.group(name).is_none() && !name.is_empty();
        if gone {
            let status = instance.switches.jira_delete_missing_group_status;
            return Err(message(status, &format!("The group named '{name}' does not exist")));
        }
        let name = group_named(request, instance)?.name.clone();
        instance.delete_group(&name, act).map_err(|it| refusal(instance, it, "", &name))?;
        return Ok(Answer::empty(200));
    }
    let name = group_named(request, instance)?.name.clone();
    if request.operation == "group.user.add" {
        let body = request.body().unwrap_or_else(nothing);
        let user = text(&body, "name");
        if user.is_empty() {
            return Err(message(400, "Cannot add user. The name of the user is missing."));
        }
        instance.add_member(&name, user, act).map_err(|it| refusal(instance, it, user, &name))?;
        return Ok(Answer::json(201, group(request, instance, &name)));
    }
    let user = request.parameter("username").unwrap_or_default();
    instance.remove_member(&name, user, act).map_err(|it| refusal(instance, it, user, &name))?;
    Ok(Answer::empty(200))
}

/// A group as `GroupBean`.
fn group(request: &Request<'_>, instance: &Instance, name: &str) -> Value {
    let size = instance.members(name, true).len();
    let users = json!({ "size": size, "items": [], "maxResults": 50, "backingListSize": size });
    json!({ "name": name, "self": group_link(request, name), "users": users })
}

/// What Jira answers to what was not done.
fn refusal(instance: &Instance, refusal: Refusal, user: &str, group: &str) -> Answer {
    match refusal {
        Refusal::AlreadyMember => {
            message(400, &format!("Cannot add user '{user}', user is already a member of '{group}'"))
        }
        Refusal::NotMember => message(
            instance.switches.jira_remove_stranger_status,
            &format!("Cannot remove user '{user}' from group '{group}' since user is not a member of '{group}'"),
        ),
        Refusal::UnknownUser => message(404, &format!("User '{user}' does not exist")),
        Refusal::UnknownGroup => message(404, &format!("The group named '{group}' does not exist")),
        Refusal::NameTaken => message(400, "A group or user with this name already exists."),
        Refusal::ReadOnly => message(403, "Cannot perform this operation, the user directory is read-only"),
        Refusal::NoSeat => message(
            instance.switches.jira_licence_status,
            &format!("Cannot add user '{user}': the user limit of your license has been reached"),
        ),
        Refusal::LeadsProject => {
            let leads = instance.projects.values().filter(|it| it.lead == fold(user));
            let keys: Vec<&str> = leads.map(|it| it.key.as_str()).collect();
            let words =
                format!("Cannot deactivate user. The user is currently the lead of project(s): {}.", keys.join(", "));
            field(400, "active", &words)
        }
        Refusal::LastAdminGroup => message(400, "The last group with administration rights cannot be deleted"),
        Refusal::Circular | Refusal::NotNested => message(400, "The group cannot be nested"),
    }
}
