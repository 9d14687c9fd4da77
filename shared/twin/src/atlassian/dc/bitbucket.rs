//! Bitbucket Data Center, `/rest/api/1.0` or `/latest`: users, groups, memberships, global permissions.
//!
//! Source: `bitbucket-dc-10.4` for paths and shapes, atlassian-dc.md §4 and §8 for statuses. Nobody is deactivated here:
//! who has no global permission, of their own or through a group, takes no seat and may not sign in.

use serde_json::{Value, json};

use super::words::bitbucket as message;
use super::{Part, Request, Right, Route, nothing, part, text};
use crate::engine::Answer;
use crate::world::atlassian::Act;
use crate::world::dc::{GLOBAL_PERMISSIONS, Group, Instance, Person, Refusal, UserDirectory, fold};

pub(super) const ROUTES: &[Route] = &[
    ("GET", &["application-properties"], "application.get", Right::Anybody),
    ("GET", &["users"], "users.list", Right::User),
    ("GET", &["users", "*"], "users.get", Right::User),
    ("GET", &["groups"], "groups.names", Right::User),
    ("GET", &["admin", "users"], "user.list", Right::User),
    ("POST", &["admin", "users"], "user.create", Right::Admin),
    ("PUT", &["admin", "users"], "user.update", Right::Admin),
    ("DELETE", &["admin", "users"], "user.delete", Right::Admin),
    ("POST", &["admin", "users", "rename"], "user.rename", Right::Admin),
    ("GET", &["admin", "users", "more-members"], "user.groups", Right::User),
    ("POST", &["admin", "users", "add-groups"], "user.groups.add", Right::Admin),
    ("POST", &["admin", "users", "remove-group"], "group.user.remove", Right::Admin),
    ("GET", &["admin", "groups"], "group.list", Right::User),
    ("POST", &["admin", "groups"], "group.create", Right::Admin),
    ("DELETE", &["admin", "groups"], "group.delete", Right::Admin),
    ("GET", &["admin", "groups", "more-members"], "group.member", Right::User),
    ("GET", &["admin", "groups", "more-non-members"], "group.nonmember", Right::User),
    ("POST", &["admin", "groups", "add-users"], "group.user.add", Right::Admin),
    ("POST", &["admin", "groups", "add-user"], "group.user.add-one", Right::Admin),
    ("POST", &["admin", "groups", "remove-user"], "group.user.remove-one", Right::Admin),
    ("GET", &["admin", "permissions", "groups"], "permissions.groups", Right::Admin),
    ("GET", &["admin", "permissions", "users"], "permissions.users", Right::Admin),
    ("PUT", &["admin", "permissions", "users"], "permission.grant", Right::Admin),
    ("DELETE", &["admin", "permissions", "users"], "permission.revoke", Right::Admin),
    ("GET", &["admin", "license"], "license.get", Right::Admin),
    ("GET", &["admin", "user-directories"], "directory.list", Right::Admin),
    ("GET", &["admin", "rate-limit", "settings"], "rate-limit.get", Right::User),
];

pub(super) fn handle(request: &Request<'_>, instance: &mut Instance, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let parameter = |name: &str| request.parameter(name).unwrap_or_default();
    match request.operation {
        "application.get" => Ok(Answer::json(200, properties(instance))),
        "users.get" => {
            let fits = |it: &&Person| slug(&it.name) == request.name(0);
            let found = instance.users().into_iter().find(fits);
            let found = found.ok_or_else(|| unknown_user(request.name(0)))?;
            Ok(Answer::json(200, brief(found)))
        }
        "users.list" => {
            let permitted = request.parameter("permission").map(|wanted| instance.permitted(wanted));
            let has = |it: &&Person| permitted.as_ref().is_none_or(|permitted| permitted.contains(&fold(&it.name)));
            Ok(page(request, instance, filtered(request, instance.users()).into_iter().filter(has).collect(), brief))
        }
        "user.list" => {
            let shown = filtered(request, instance.users()).into_iter().filter(|it| request.view.shows(&it.key));
            Ok(page(request, instance, shown.collect(), |it| detailed(instance, it)))
        }
        "group.list" | "groups.names" => {
            let wanted = fold(parameter("filter"));
            let fits = |it: &&Group| fold(&it.name).contains(&wanted) && request.view.shows(&it.name);
            let shown = instance.groups().into_iter().filter(fits).collect();
            let names_only = request.operation == "groups.names";
            Ok(page(request, instance, shown, |it| if names_only { json!(it.name) } else { detailed_group(it) }))
        }
        "group.member" | "group.nonmember" => {
            let name = parameter("context").to_owned();
            let inside = instance.members(&name, false);
            let outside = request.operation == "group.nonmember";
            // An unknown group has no members: the document knows no 404 here.
            let all = if outside {
                instance.users().into_iter().filter(|it| !inside.iter().any(|member| member.key == it.key)).collect()
            } else {
                inside
            };
            Ok(page(request, instance, filtered(request, all), |it| detailed(instance, it)))
        }
        "user.groups" => {
            let found = instance.groups_of(parameter("context"), false);
            Ok(page(request, instance, found, detailed_group))
        }
        "permissions.groups" => Ok(permissions(request, instance)),
        "permissions.users" => Ok(permissions_of_people(request, instance)),
        "permission.grant" | "permission.revoke" => write_permission(request, instance, act),
        "license.get" => Ok(Answer::json(200, license(instance))),
        "directory.list" => {
            let all = instance.directories.iter().filter(|it| it.active || parameter("includeInactive") == "true");
            Ok(Answer::json(200, all.map(directory).collect::<Vec<_>>().into()))
        }
        "rate-limit.get" => {
            Ok(Answer::json(200, json!({ "enabled": true, "defaultSettings": { "capacity": 60, "fillRate": 5 } })))
        }
        operation if operation.starts_with("user.") && operation != "user.groups.add" => {
            write_user(request, instance, act)
        }
        "group.create" | "group.delete" => write_group(request, instance, act),
        _ => write_members(request, instance, act),
    }
}

fn properties(instance: &Instance) -> Value {
    let version = if instance.switches.version.is_empty() { "10.4.0" } else { &instance.switches.version };
    json!({ "version": version, "buildNumber": "10004000", "buildDate": "1785542400000", "displayName": "Bitbucket" })
}

/// What stands in addresses for a name.
fn slug(name: &str) -> String {
    fold(name).chars().map(|it| if it.is_alphanumeric() || "._-".contains(it) { it } else { '_' }).collect()
}

fn brief(person: &Person) -> Value {
    json!({
        "id": person.key.parse::<u64>().unwrap_or_default(),
        "name": person.name,
        "slug": slug(&person.name),
        "displayName": person.display_name,
        "emailAddress": person.email,
        "active": person.active,
        "type": "NORMAL",
        "links": {},
    })
}

/// A user as `RestDetailedUser`.
fn detailed(instance: &Instance, person: &Person) -> Value {
    let mut body = brief(person);
    let directory = instance.user(&person.name).map(|(directory, _)| (directory.name.clone(), directory.writable));
    if let (Some(fields), Some((name, writable))) = (body.as_object_mut(), directory) {
        fields.insert("directoryName".to_owned(), json!(name));
        fields.insert("createdTimestamp".to_owned(), json!(1_700_000_000_000_u64));
        for flag in ["deletable", "mutableDetails", "mutableGroups"] {
            fields.insert(flag.to_owned(), json!(writable));
        }
    }
    body
}

fn detailed_group(group: &Group) -> Value {
    json!({ "name": group.name, "deletable": true })
}

fn directory(directory: &UserDirectory) -> Value {
    let kind = if directory.writable { "INTERNAL" } else { "CROWD" };
    json!({ "name": directory.name, "active": directory.active, "type": kind, "description": "" })
}

fn filtered<'i>(request: &Request<'_>, people: Vec<&'i Person>) -> Vec<&'i Person> {
    let wanted = fold(request.parameter("filter").unwrap_or_default());
    let fits = |it: &&Person| [&it.name, &it.email, &it.display_name].iter().any(|it| fold(it).contains(&wanted));
    people.into_iter().filter(fits).collect()
}

/// A page. Where the next begins is told and need not be `start + limit`.
fn page<T>(request: &Request<'_>, instance: &Instance, all: Vec<T>, shown: impl Fn(T) -> Value) -> Answer {
    let (start, asked) = (request.number("start", 0), request.number("limit", 25));
    let limit = asked.clamp(1, instance.switches.bitbucket_page);
    let Part { rows, next, .. } = part(all, start, limit);
    let values: Vec<Value> = rows.into_iter().map(shown).collect();
    let mut body = json!({
        "size": values.len(), "limit": limit, "start": start, "isLastPage": next.is_none(), "values": values,
    });
    if let (Some(next), Some(fields)) = (next, body.as_object_mut()) {
        fields.insert("nextPageStart".to_owned(), json!(next));
    }
    Answer::json(200, body)
}

/// Groups with a global permission, the strongest of each.
fn permissions(request: &Request<'_>, instance: &Instance) -> Answer {
    let admins = instance.admin_groups.iter().map(|it| (it, "SYS_ADMIN"));
    let users =
        instance.applications.iter().flat_map(|it| &it.groups).filter(|it| !instance.admin_groups.contains(*it));
    let all: Vec<(&String, &str)> = admins.chain(users.map(|it| (it, "LICENSED_USER"))).collect();
    let name = |folded: &str| instance.group(folded).map_or(folded.to_owned(), |(_, it)| it.name.clone());
    page(
        request,
        instance,
        all,
        |(group, permission)| json!({ "group": { "name": name(group) }, "permission": permission }),
    )
}

/// People with a global permission of their own.
fn permissions_of_people(request: &Request<'_>, instance: &Instance) -> Answer {
    let granted = |it: &&Person| instance.granted.contains_key(&fold(&it.name));
    let all: Vec<&Person> = filtered(request, instance.users()).into_iter().filter(granted).collect();
    page(request, instance, all, |it| json!({ "user": brief(it), "permission": instance.granted.get(&fold(&it.name)) }))
}

fn write_permission(request: &Request<'_>, instance: &mut Instance, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let parameter = |name: &str| request.parameter(name).unwrap_or_default().to_owned();
    let (name, permission) = (parameter("name"), parameter("permission"));
    let grants = request.operation == "permission.grant";
    if grants && !GLOBAL_PERMISSIONS.contains(&&*permission) {
        return Err(message(400, "The permission is not a global one.", "ArgumentValidationException"));
    }
    if !grants && name.eq_ignore_ascii_case(request.caller) {
        return Err(message(409, "You cannot demote yourself.", "IntegrityException"));
    }
    let granted = grants.then_some(permission.as_str());
    instance.grant(&name, granted, act).map_err(|it| refusal(instance_status(it), it, &name, ""))?;
    Ok(Answer::empty(204))
}

fn license(instance: &Instance) -> Value {
    let application = instance.applications.first();
    let used = application.map_or(0, |it| instance.licensed(it).len());
    let seats = application.and_then(|it| it.seats);
    json!({
        "maximumNumberOfUsers": seats.unwrap_or(0), "unlimitedNumberOfUsers": seats.is_none(),
        "status": { "currentNumberOfUsers": used, "serverId": "TWIN-0000" }, "serverId": "TWIN-0000",
    })
}

fn unknown_user(name: &str) -> Answer {
    message(404, &format!("User {name} does not exist."), "user.NoSuchUserException")
}

fn write_user(request: &Request<'_>, instance: &mut Instance, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let parameter = |name: &str| request.parameter(name).unwrap_or_default().to_owned();
    let body = request.body().unwrap_or_else(nothing);
    let name = match request.operation {
        "user.create" | "user.delete" => parameter("name"),
        _ => text(&body, "name").to_owned(),
    };
    let refused = |it| refusal(instance_status(it), it, &name, "");
    match request.operation {
        "user.create" => {
            // Everything comes in the query, the password included.
            let (email, full) = (parameter("emailAddress"), parameter("displayName"));
            if name.is_empty() || full.is_empty() || !email.contains('@') {
                return Err(message(
                    400,
                    "A name, a display name and an email address are required.",
                    "ArgumentValidationException",
                ));
            }
            if parameter("password").is_empty() && parameter("notify") != "true" {
                return Err(message(400, "A password is required.", "ArgumentValidationException"));
            }
            let person = instance.person(&name, &full, &email);
            instance.create_user(person, parameter("addToDefaultGroup") != "false", act).map_err(refused)?;
            return Ok(Answer::empty(204));
        }
        "user.rename" => {
            let after = text(&body, "newName").to_owned();
            instance.rename_user(&name, &after, act).map_err(|it| match it {
                // The document of renaming lists no 409.
                Refusal::NameTaken => {
                    message(400, &format!("User {after} already exists."), "ArgumentValidationException")
                }
                other => refusal(404, other, &name, ""),
            })?;
            return shown_user(instance, &after);
        }
        _ => {}
    }
    let found = instance.user(&name).map(|(_, it)| detailed(instance, it)).ok_or_else(|| unknown_user(&name))?;
    if request.operation == "user.delete" {
        if name.eq_ignore_ascii_case(request.caller) {
            return Err(message(409, "You cannot delete yourself.", "IntegrityException"));
        }
        instance.delete_user(&name, act).map_err(refused)?;
        return Ok(Answer::json(200, found));
    }
    if body.get("active").is_some() {
        return Err(message(400, "Unrecognized field \"active\"", "ArgumentValidationException"));
    }
    let change = |it: &mut Person| {
        for (key, place) in [("email", &mut it.email), ("displayName", &mut it.display_name)] {
            if let Some(value) = body.get(key).and_then(Value::as_str) {
                value.clone_into(place);
            }
        }
    };
    instance.change_user(&name, change, act).map_err(refused)?;
    shown_user(instance, &name)
}

fn shown_user(instance: &Instance, name: &str) -> Result<Answer, Answer> {
    let found = instance.user(name).ok_or_else(|| unknown_user(name))?;
    Ok(Answer::json(200, detailed(instance, found.1)))
}

fn write_group(request: &Request<'_>, instance: &mut Instance, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let name = request.parameter("name").unwrap_or_default().to_owned();
    if name.is_empty() {
        return Err(message(400, "A group name is required.", "ArgumentValidationException"));
    }
    if request.operation == "group.create" {
        instance.create_group(&name, "", act).map_err(|it| refusal(instance_status(it), it, "", &name))?;
        return Ok(Answer::json(200, json!({ "name": name, "deletable": true })));
    }
    let own = instance.admin_groups.contains(&fold(&name))
        && instance
            .groups_of(request.caller, true)
            .iter()
            .filter(|it| instance.admin_groups.contains(&fold(&it.name)))
            .count()
            == 1;
    if own {
        return Err(message(409, "You cannot demote yourself.", "IntegrityException"));
    }
    instance.delete_group(&name, act).map_err(|it| refusal(instance_status(it), it, "", &name))?;
    Ok(Answer::json(200, json!({ "name": name, "deletable": true })))
}

fn write_members(request: &Request<'_>, instance: &mut Instance, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let body = request.body().unwrap_or_else(nothing);
    let all = |name: &str| -> Vec<String> {
        let list = body.get(name).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (context, item) = (text(&body, "context").to_owned(), text(&body, "itemName").to_owned());
    let (pairs, add): (Vec<(String, String)>, bool) = match request.operation {
        "group.user.add" => {
            let group = text(&body, "group");
            (all("users").into_iter().map(|user| (group.to_owned(), user)).collect(), true)
        }
        "user.groups.add" => {
            let user = text(&body, "user");
            (all("groups").into_iter().map(|group| (group, user.to_owned())).collect(), true)
        }
        // The two old operations name the group first, the newer one the user.
        "group.user.add-one" => (vec![(context, item)], true),
        "group.user.remove-one" => (vec![(context, item)], false),
        _ => (vec![(item, context)], false),
    };
    if pairs.is_empty() {
        return Err(message(400, "Nobody is named.", "ArgumentValidationException"));
    }
    // One that cannot be keeps the whole batch from being done, unless the switch says otherwise.
    let unknown = |instance: &Instance| {
        pairs.iter().find_map(|(group, user)| match (instance.group(group), instance.user(user)) {
            (None, _) => Some((Refusal::UnknownGroup, group.clone(), user.clone())),
            (_, None) => Some((Refusal::UnknownUser, group.clone(), user.clone())),
            _ => None,
        })
    };
    let first = unknown(instance);
    if let (Some((it, group, user)), false) = (&first, instance.switches.bitbucket_adds_the_known) {
        return Err(refusal(404, *it, user, group));
    }
    for (group, user) in &pairs {
        let done = if add { instance.add_member(group, user, act) } else { instance.remove_member(group, user, act) };
        match done {
            Ok(()) | Err(Refusal::AlreadyMember) => {}
            Err(Refusal::NotMember) if instance.switches.bitbucket_remove_stranger_status == 200 => {}
            Err(Refusal::UnknownUser | Refusal::UnknownGroup) if add => {}
            Err(it) => return Err(refusal(instance_status(it), it, user, group)),
        }
    }
    match first {
        Some((it, group, user)) => Err(refusal(404, it, &user, &group)),
        None => Ok(Answer::empty(200)),
    }
}

const fn instance_status(refusal: Refusal) -> u16 {
    match refusal {
        Refusal::UnknownUser | Refusal::UnknownGroup | Refusal::NotMember => 404,
        Refusal::NameTaken | Refusal::LastAdminGroup => 409,
        Refusal::ReadOnly | Refusal::NoSeat => 403,
        _ => 400,
    }
}

/// What Bitbucket answers to what was not done.
fn refusal(status: u16, refusal: Refusal, user: &str, group: &str) -> Answer {
    match refusal {
        Refusal::UnknownUser => unknown_user(user),
        Refusal::UnknownGroup => message(404, &format!("Group {group} does not exist."), "user.NoSuchGroupException"),
        Refusal::NotMember => {
            message(404, &format!("User {user} is not a member of group {group}."), "NoSuchEntityException")
        }
        Refusal::NameTaken if group.is_empty() => {
            message(status, &format!("User {user} already exists."), "user.UserAlreadyExistsException")
        }
        Refusal::NameTaken => message(status, &format!("Group {group} already exists."), "IntegrityException"),
        Refusal::ReadOnly => message(403, "The user directory is read-only.", "ForbiddenException"),
        Refusal::NoSeat => message(403, "The licensed user limit has been reached.", "license.LicenseLimitException"),
        Refusal::LastAdminGroup => {
            message(409, "The last group of administrators cannot be deleted.", "IntegrityException")
        }
        _ => message(400, "The request could not be carried out.", "ArgumentValidationException"),
    }
}
