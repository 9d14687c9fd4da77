//! Crowd's `/rest/usermanagement/1`, of Crowd itself and of Jira as user server.
//!
//! Source: atlassian-dc.md §5 and §8; a community document covers a part. JSON throughout, in kebab case, but for the
//! memberships of everybody, which are XML.

use serde_json::{Value, json};

use super::words::crowd as message;
use super::{Part, Request, Right, Route, nothing, part, text, truth, xml};
use crate::engine::Answer;
use crate::engine::answer::Content;
use crate::world::atlassian::Act;
use crate::world::dc::{Group, Instance, Person, Refusal, fold};

const APPLICATION: Right = Right::Application;

pub(super) const ROUTES: &[Route] = &[
    ("GET", &["user"], "user.get", APPLICATION),
    ("POST", &["user"], "user.create", APPLICATION),
    ("PUT", &["user"], "user.update", APPLICATION),
    ("DELETE", &["user"], "user.delete", APPLICATION),
    ("POST", &["user", "rename"], "user.rename", APPLICATION),
    ("GET", &["user", "attribute"], "user.attribute.get", APPLICATION),
    ("POST", &["user", "attribute"], "user.attribute.set", APPLICATION),
    ("DELETE", &["user", "attribute"], "user.attribute.delete", APPLICATION),
    ("GET", &["user", "group", "direct"], "user.group.direct", APPLICATION),
    ("GET", &["user", "group", "nested"], "user.group.nested", APPLICATION),
    ("POST", &["user", "group", "direct"], "user.group.add", APPLICATION),
    ("DELETE", &["user", "group", "direct"], "user.group.remove", APPLICATION),
    ("GET", &["group"], "group.get", APPLICATION),
    ("POST", &["group"], "group.create", APPLICATION),
    ("PUT", &["group"], "group.update", APPLICATION),
    ("DELETE", &["group"], "group.delete", APPLICATION),
    ("GET", &["group", "user", "direct"], "group.user.direct", APPLICATION),
    ("GET", &["group", "user", "nested"], "group.user.nested", APPLICATION),
    ("POST", &["group", "user", "direct"], "group.user.add", APPLICATION),
    ("DELETE", &["group", "user", "direct"], "group.user.remove", APPLICATION),
    ("GET", &["group", "child-group", "direct"], "group.child.direct", APPLICATION),
    ("POST", &["group", "child-group", "direct"], "group.child.add", APPLICATION),
    ("DELETE", &["group", "child-group", "direct"], "group.child.remove", APPLICATION),
    ("GET", &["group", "membership"], "group.membership", APPLICATION),
    ("GET", &["search"], "search", APPLICATION),
    ("POST", &["search"], "search", APPLICATION),
    ("DELETE", &["session"], "session.delete", APPLICATION),
];

pub(super) fn handle(request: &Request<'_>, instance: &mut Instance, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let parameter = |name: &str| request.parameter(name).unwrap_or_default();
    match request.operation {
        "user.get" => Ok(Answer::json(200, user(request, named(request, instance)?))),
        "group.get" => Ok(Answer::json(200, group(request, group_named(request, instance)?))),
        "user.attribute.get" => {
            let found = named(request, instance)?;
            Ok(Answer::json(200, attributes(request, &found.attributes)))
        }
        "session.delete" => {
            instance.sign_out(parameter("username"), act);
            Ok(Answer::empty(204))
        }
        "user.group.direct" | "user.group.nested" => {
            let name = named(request, instance)?.name.clone();
            let found = instance.groups_of(&name, request.operation.ends_with("nested"));
            let wanted = fold(parameter("groupname"));
            // With a group's name it is one membership that is asked about.
            if !wanted.is_empty() {
                let there = found.into_iter().find(|it| fold(&it.name) == wanted);
                let there = there.ok_or_else(|| refusal(instance, Refusal::NotMember, &name, &wanted))?;
                return Ok(Answer::json(200, group(request, there)));
            }
            Ok(list(request, "groups", found, |it| short_or(request, "group", &it.name, || group(request, it))))
        }
        "group.user.direct" | "group.user.nested" => {
            let name = group_named(request, instance)?.name.clone();
            let found = instance.members(&name, request.operation.ends_with("nested"));
            let wanted = fold(parameter("username"));
            if !wanted.is_empty() {
                let there = found.into_iter().find(|it| fold(&it.name) == wanted);
                let there = there.ok_or_else(|| refusal(instance, Refusal::NotMember, &wanted, &name))?;
                return Ok(Answer::json(200, user(request, there)));
            }
            Ok(list(request, "users", found, |it| short_or(request, "user", &it.name, || user(request, it))))
        }
        "group.child.direct" => {
            let children = &group_named(request, instance)?.children;
            let found = children.iter().filter_map(|it| Some(instance.group(it)?.1)).collect();
            Ok(list(request, "groups", found, |it: &Group| short_or(request, "group", &it.name, || group(request, it))))
        }
        "group.membership" => Ok(memberships(request, instance)),
        "search" => search(request, instance),
        operation if operation.starts_with("user.group") || operation.starts_with("group.user") => {
            write_member(request, instance, act)
        }
        operation if operation.starts_with("user") => write_user(request, instance, act),
        _ => write_group(request, instance, act),
    }
}

/// XML only: who does not accept it gets 406.
fn memberships(request: &Request<'_>, instance: &Instance) -> Answer {
    let accept = request.incoming.headers.get("accept").and_then(|it| it.to_str().ok()).unwrap_or("*/*");
    if !["application/xml", "text/xml", "application/*", "*/*"].iter().any(|it| accept.contains(it)) {
        return Answer::text(406, "Not Acceptable");
    }
    let body = Content::Text(xml::memberships(instance), "application/xml".to_owned());
    Answer { content: body, ..Answer::empty(200) }
}

fn user(request: &Request<'_>, person: &Person) -> Value {
    // Of who came by another way only the name to show is known.
    let split = || person.display_name.split_once(' ').unwrap_or((&person.display_name, ""));
    let (first, last) = person.names.as_ref().map_or_else(split, |(first, last)| (first.as_str(), last.as_str()));
    let mut body = json!({
        "expand": "attributes",
        "link": { "rel": "self", "href": link(request, "user?username", &person.name) },
        "name": person.name,
        "key": person.key,
        "first-name": first,
        "last-name": last,
        "display-name": person.display_name,
        "email": person.email,
        "active": person.active,
        "password": { "link": { "rel": "edit", "href": link(request, "user/password?username", &person.name) } },
    });
    if let (true, Some(fields)) = (request.is_expanded("attributes"), body.as_object_mut()) {
        fields.insert("attributes".to_owned(), attributes(request, &person.attributes));
    }
    body
}

fn group(request: &Request<'_>, group: &Group) -> Value {
    json!({
        "expand": "attributes",
        "link": { "rel": "self", "href": link(request, "group?groupname", &group.name) },
        "name": group.name,
        "description": group.description,
        "type": "GROUP",
        "active": group.active,
    })
}

fn link(request: &Request<'_>, what: &str, name: &str) -> String {
    format!("{}/rest/usermanagement/1/{what}={}", request.origin, super::jira::encoded(name))
}

fn attributes(_request: &Request<'_>, all: &std::collections::BTreeMap<String, Vec<String>>) -> Value {
    let rows: Vec<Value> = all.iter().map(|(name, values)| json!({ "name": name, "values": values })).collect();
    json!({ "attributes": rows })
}

/// An entity by its name alone, unless it is expanded.
fn short_or(request: &Request<'_>, what: &str, name: &str, whole: impl Fn() -> Value) -> Value {
    if request.is_expanded(what) { whole() } else { json!({ "name": name }) }
}

fn list<T>(request: &Request<'_>, name: &str, all: Vec<T>, shown: impl Fn(T) -> Value) -> Answer {
    let (start, asked) = (request.number("start-index", 0), request.number("max-results", 1_000));
    let Part { rows, .. } = part(all, start, asked);
    let rows: Vec<Value> = rows.into_iter().map(shown).collect();
    Answer::json(200, json!({ "expand": name.trim_end_matches('s'), name: rows }))
}

fn search(request: &Request<'_>, instance: &Instance) -> Result<Answer, Answer> {
    // Of CQL: a property, an equals sign and a text; an empty restriction is everybody.
    let restriction = request.parameter("restriction").unwrap_or_default();
    let (property, wanted) = match restriction.split_once('=') {
        Some((property, value)) => (property.trim().to_owned(), fold(value.trim().trim_matches(['"', '\'']))),
        None => (String::new(), String::new()),
    };
    let fits = |property: &str, value: &str| {
        let (wanted, value) = (wanted.as_str(), fold(value));
        match (wanted.strip_prefix('*'), wanted.strip_suffix('*')) {
            (Some(rest), _) => value.contains(rest.trim_end_matches('*')),
            (None, Some(rest)) => value.starts_with(rest),
            (None, None) => property.is_empty() || value == wanted,
        }
    };
    match request.parameter("entity-type") {
        Some("user") => {
            let of = |it: &&Person| {
                let value = match property.as_str() {
                    "email" => it.email.clone(),
                    "displayName" => it.display_name.clone(),
                    "active" => it.active.to_string(),
                    _ => it.name.clone(),
                };
                (property.is_empty() || fits(&property, &value)) && request.view.shows(&it.key)
            };
            let found = instance.users().into_iter().filter(of).collect();
            Ok(list(request, "users", found, |it| short_or(request, "user", &it.name, || user(request, it))))
        }
        Some("group") => {
            let of = |it: &&Group| (property.is_empty() || fits(&property, &it.name)) && request.view.shows(&it.name);
            let found = instance.groups().into_iter().filter(of).collect();
            Ok(list(request, "groups", found, |it| short_or(request, "group", &it.name, || group(request, it))))
        }
        _ => Err(message(400, "ILLEGAL_ARGUMENT", "The entity-type must be user or group")),
    }
}

fn named<'i>(request: &Request<'_>, instance: &'i Instance) -> Result<&'i Person, Answer> {
    let found = match (request.parameter("username"), request.parameter("key")) {
        (Some(name), _) => instance.user(name).map(|(_, it)| it),
        (None, Some(key)) => instance.user_with_key(key),
        (None, None) => return Err(message(400, "ILLEGAL_ARGUMENT", "A username or a key is needed")),
    };
    found.ok_or_else(|| refusal(instance, Refusal::UnknownUser, request.parameter("username").unwrap_or_default(), ""))
}

fn group_named<'i>(request: &Request<'_>, instance: &'i Instance) -> Result<&'i Group, Answer> {
    let name = request.parameter("groupname").unwrap_or_default();
    let unknown = || refusal(instance, Refusal::UnknownGroup, "", name);
    instance.group(name).map(|(_, it)| it).ok_or_else(unknown)
}

fn write_user(request: &Request<'_>, instance: &mut Instance, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let Some(body) = request.body().or_else(|| request.incoming.body.is_empty().then(nothing)) else {
        return Err(message(400, "ILLEGAL_ARGUMENT", "The body is no entity"));
    };
    if request.operation == "user.create" {
        let name = text(&body, "name").to_owned();
        if name.is_empty() {
            return Err(message(400, "INVALID_USER", "The name of the user is missing"));
        }
        let given = format!("{} {}", text(&body, "first-name"), text(&body, "last-name"));
        let shown = Some(text(&body, "display-name")).filter(|it| !it.is_empty()).unwrap_or(given.trim());
        let mut person = instance.person(&name, shown, text(&body, "email"));
        person.names = Some(names(&body));
        person.active = truth(&body, "active").unwrap_or(true);
        person.attributes = read_attributes(&body);
        let made = user(request, &person);
        instance.create_user(person, true, act).map_err(|it| match it {
            Refusal::NameTaken => message(400, "INVALID_USER", &format!("User already exists in directory: {name}")),
            other => refusal(instance, other, &name, ""),
        })?;
        return Ok(Answer::json(201, made));
    }
    let name = named(request, instance)?.name.clone();
    match request.operation {
        "user.update" => {
            if !text(&body, "name").eq_ignore_ascii_case(&name) {
                return Err(message(400, "ILLEGAL_ARGUMENT", "The names in the address and in the body differ"));
            }
            // A whole entity: what it leaves out is emptied, but for being active.
            let change = |it: &mut Person| {
                let given = format!("{} {}", text(&body, "first-name"), text(&body, "last-name"));
                let shown = Some(text(&body, "display-name")).filter(|it| !it.is_empty()).unwrap_or(given.trim());
                shown.clone_into(&mut it.display_name);
                it.names = Some(names(&body));
                text(&body, "email").clone_into(&mut it.email);
                it.active = truth(&body, "active").unwrap_or(it.active);
            };
            instance.change_user(&name, change, act).map_err(|it| refusal(instance, it, &name, ""))?;
        }
        "user.rename" => {
            let after = text(&body, "new-name").to_owned();
            instance.rename_user(&name, &after, act).map_err(|it| match it {
                Refusal::NameTaken => message(400, "INVALID_USER", &format!("User already exists: {after}")),
                other => refusal(instance, other, &name, ""),
            })?;
            let found = instance.user(&after).map(|(_, it)| user(request, it));
            return Ok(Answer::json(200, found.unwrap_or_else(nothing)));
        }
        "user.attribute.set" => {
            let more = read_attributes(&json!({ "attributes": body }));
            let change = |it: &mut Person| it.attributes.extend(more);
            instance.change_user(&name, change, act).map_err(|it| refusal(instance, it, &name, ""))?;
        }
        // One that is not there is taken away as well.
        "user.attribute.delete" => {
            let gone = request.parameter("attributename").unwrap_or_default().to_owned();
            if gone.is_empty() {
                return Err(message(400, "ILLEGAL_ARGUMENT", "The name of the attribute is missing"));
            }
            let change = |it: &mut Person| drop(it.attributes.remove(&gone));
            instance.change_user(&name, change, act).map_err(|it| refusal(instance, it, &name, ""))?;
        }
        _ => instance.delete_user(&name, act).map_err(|it| refusal(instance, it, &name, ""))?,
    }
    Ok(Answer::empty(204))
}

/// Given name and family name of an entity.
fn names(body: &Value) -> (String, String) {
    (text(body, "first-name").to_owned(), text(body, "last-name").to_owned())
}

/// `{attributes: {attributes: [{name, values}]}}`.
fn read_attributes(body: &Value) -> std::collections::BTreeMap<String, Vec<String>> {
    let rows = body.pointer("/attributes/attributes").and_then(Value::as_array).into_iter().flatten();
    let row = |it: &Value| {
        let values = it.get("values").and_then(Value::as_array).into_iter().flatten();
        (text(it, "name").to_owned(), values.filter_map(Value::as_str).map(str::to_owned).collect())
    };
    rows.map(row).collect()
}

fn write_group(request: &Request<'_>, instance: &mut Instance, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let body = request.body().unwrap_or_else(nothing);
    if request.operation == "group.create" {
        let name = text(&body, "name");
        if name.is_empty() || text(&body, "type") != "GROUP" {
            return Err(message(400, "INVALID_GROUP", "A group needs a name and the type GROUP"));
        }
        instance.create_group(name, text(&body, "description"), act).map_err(|it| refusal(instance, it, "", name))?;
        // The document shows no body here, other than for users.
        return Ok(Answer::empty(201));
    }
    let name = group_named(request, instance)?.name.clone();
    let child = match request.operation {
        "group.child.add" => text(&body, "name").to_owned(),
        _ => request.parameter("child-groupname").unwrap_or_default().to_owned(),
    };
    match request.operation {
        "group.child.add" => {
            instance.set_child(&name, &child, true, act).map_err(|it| match it {
                // As for users: what is to be put in is named in the body, and its absence a 400.
                Refusal::UnknownGroup => message(400, "GROUP_NOT_FOUND", &format!("Group <{child}> does not exist")),
                other => refusal(instance, other, &child, &name),
            })?;
            Ok(Answer::empty(201))
        }
        "group.child.remove" => {
            instance.set_child(&name, &child, false, act).map_err(|it| refusal(instance, it, &child, &name))?;
            Ok(Answer::empty(204))
        }
        "group.update" => Ok(Answer::json(200, group(request, group_named(request, instance)?))),
        _ => {
            instance.delete_group(&name, act).map_err(|it| refusal(instance, it, "", &name))?;
            Ok(Answer::empty(204))
        }
    }
}

fn write_member(request: &Request<'_>, instance: &mut Instance, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let body = request.body().unwrap_or_else(nothing);
    let parameter = |name: &str| request.parameter(name).unwrap_or_default().to_owned();
    // What the address names must exist (404); what the body names is a 400 when it does not.
    let (group, user) = match request.operation {
        "group.user.add" => (group_named(request, instance)?.name.clone(), text(&body, "name").to_owned()),
        "user.group.add" => (text(&body, "name").to_owned(), named(request, instance)?.name.clone()),
        _ => (parameter("groupname"), parameter("username")),
    };
    if request.operation.ends_with("add") {
        instance.add_member(&group, &user, act).map_err(|it| match it {
            Refusal::UnknownUser => message(400, "USER_NOT_FOUND", &format!("User <{user}> does not exist")),
            Refusal::UnknownGroup => message(400, "GROUP_NOT_FOUND", &format!("Group <{group}> does not exist")),
            other => refusal(instance, other, &user, &group),
        })?;
        return Ok(Answer::empty(201));
    }
    instance.remove_member(&group, &user, act).map_err(|it| refusal(instance, it, &user, &group))?;
    Ok(Answer::empty(204))
}

/// What Crowd answers to what was not done.
fn refusal(instance: &Instance, refusal: Refusal, user: &str, group: &str) -> Answer {
    match refusal {
        Refusal::UnknownUser => message(404, "USER_NOT_FOUND", &format!("User <{user}> does not exist")),
        Refusal::UnknownGroup => message(404, "GROUP_NOT_FOUND", &format!("Group <{group}> does not exist")),
        Refusal::NameTaken => message(400, "INVALID_GROUP", &format!("Group already exists: {group}")),
        Refusal::AlreadyMember => message(
            409,
            "MEMBERSHIP_ALREADY_EXISTS",
            &format!("Membership already exists: user <{user}> is a member of group <{group}>"),
        ),
        Refusal::NotMember => {
            message(404, "MEMBERSHIP_NOT_FOUND", &format!("The membership of <{user}> in <{group}> does not exist"))
        }
        Refusal::ReadOnly => message(403, &instance.switches.crowd_read_only_reason, "The directory is read-only"),
        Refusal::NoSeat => message(403, "OPERATION_FAILED", "The license limit has been reached"),
        Refusal::LeadsProject => message(403, "OPERATION_FAILED", &format!("User <{user}> leads a project")),
        Refusal::LastAdminGroup => {
            message(403, "OPERATION_FAILED", "The last group of administrators cannot be deleted")
        }
        Refusal::Circular => message(400, "INVALID_MEMBERSHIP", "The groups would hold each other"),
        Refusal::NotNested => message(403, "NESTED_GROUPS_NOT_SUPPORTED", "The directory does not nest groups"),
    }
}
