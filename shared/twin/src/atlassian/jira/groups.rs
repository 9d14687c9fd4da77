//! Groups of a site.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Operation, Request, error, shape};
use crate::engine::Answer;
use crate::world::atlassian::switches::NonEmptyGroup;
use crate::world::atlassian::{Act, AtlassianSide, Authority, Group, Owner, View};

#[derive(Debug, Deserialize)]
struct NewGroup {
    #[serde(default)]
    name: String,
}

/// The group that `groupId` or `groupname` names: exactly one of them must be there.
pub(super) fn named<'v>(request: &Request<'_>, view: &View<'v>) -> Result<&'v Group, Answer> {
    let (id, name) = (request.incoming.parameter("groupId"), request.incoming.parameter("groupname"));
    let found = match (id, name) {
        (Some(_), Some(_)) => {
            return Err(error::messages(400, &["The groupId and groupname parameters are mutually exclusive."]));
        }
        (Some(id), None) => view.group(id),
        (None, Some(name)) => view.group_named(name),
        (None, None) => return Err(error::messages(400, &["Either groupId or groupname must be provided."])),
    };
    found.map(|it| it.1).ok_or_else(error::unknown_group)
}

/// GET of groups.
pub(super) fn read(request: &Request<'_>, side: &AtlassianSide) -> Result<Answer, Answer> {
    let view = request.base(side)?;
    match request.operation {
        Operation::GetGroup => {
            let group = named(request, &view)?;
            let expanded = request.incoming.parameter("expand").is_some_and(|it| it.starts_with("users"));
            Ok(Answer::json(200, shape::group(request, side, &view, group, if expanded { 50 } else { 0 })))
        }
        Operation::BulkGroups => bulk(request, side, &view),
        Operation::GroupPicker => Ok(Answer::json(200, picker(request, side, &view))),
        _ => Err(error::messages(404, &["Not found"])),
    }
}

fn bulk(request: &Request<'_>, side: &AtlassianSide, view: &View<'_>) -> Result<Answer, Answer> {
    let (start, count) = request.window(50, side.switches.jira_bulk_groups_max)?;
    let ids = request.incoming.parameters("groupId");
    let names: Vec<String> = request.incoming.parameters("groupName").into_iter().map(str::to_lowercase).collect();
    let kind = request.incoming.parameter("accessType");
    if kind.is_some_and(|it| !matches!(it, "site-admin" | "admin" | "user")) {
        return Err(error::messages(400, &["accessType must be site-admin, admin or user."]));
    }
    let application = request.incoming.parameter("applicationKey");
    let product = |resource: &str| view.base().products.iter().find(|it| it.resource == resource);
    let grants = |group: &Group| {
        let roles = group.roles.iter().filter(|(resource, _)| {
            application.is_none_or(|wanted| product(resource).is_some_and(|it| it.key == wanted))
        });
        let mut roles = roles.flat_map(|(_, roles)| roles);
        match kind {
            Some("site-admin") => group.admin,
            Some("admin") => roles.any(|it| it == "atlassian/admin"),
            Some(_) => roles.any(|it| it == "atlassian/user"),
            None => application.is_none() || roles.next().is_some(),
        }
    };
    let wanted = |group: &Group| {
        (ids.is_empty() && names.is_empty()
            || ids.contains(&group.id.as_str())
            || names.contains(&group.name.to_lowercase()))
            && grants(group)
            && request.view.shows(&group.id)
    };
    let found: Vec<&Group> = view.groups_after(None).map(|(_, it)| it).filter(|it| wanted(it)).collect();
    let total = found.len();
    let values: Vec<Value> =
        found.into_iter().skip(start).take(count).map(|it| json!({ "name": it.name, "groupId": it.id })).collect();
    Ok(Answer::json(200, shape::page(request, start, count, total, values)))
}

fn picker(request: &Request<'_>, side: &AtlassianSide, view: &View<'_>) -> Value {
    let query = request.incoming.parameter("query").unwrap_or_default();
    let excluded = request.incoming.parameters("exclude");
    let excluded_ids = request.incoming.parameters("excludeId");
    let any_case = request.incoming.parameter("caseInsensitive") == Some("true");
    let contains = |name: &str| {
        if any_case { name.to_lowercase().contains(&query.to_lowercase()) } else { name.contains(query) }
    };
    let found: Vec<&Group> = view
        .groups_after(None)
        .map(|(_, it)| it)
        .filter(|it| contains(&it.name))
        .filter(|it| !excluded.contains(&it.name.as_str()) && !excluded_ids.contains(&it.id.as_str()))
        .collect();
    let asked = request.incoming.number("maxResults").ok().flatten().and_then(|it| usize::try_from(it).ok());
    let limit = side.switches.jira_picker_limit;
    let shown = asked.map_or(limit, |it| it.min(limit));
    let groups: Vec<Value> = found
        .iter()
        .take(shown)
        .map(|it| {
            json!({
                "name": it.name,
                "html": it.name,
                "labels": [],
                "groupId": it.id,
                "managedBy": it.owner.word().to_uppercase().replace('-', "_"),
                "usageType": if it.owner == Owner::Team { "TEAM_COLLABORATION" } else { "USERBASE_GROUP" },
            })
        })
        .collect();
    let header = format!("Showing {} of {} matching groups", groups.len(), found.len());
    json!({ "header": header, "total": found.len(), "groups": groups })
}

/// Creates or deletes a group.
pub(super) fn write(request: &Request<'_>, side: &mut AtlassianSide, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let refused = |it, side: &AtlassianSide| error::group_refusal(it, &side.switches);
    if request.operation == Operation::CreateGroup {
        let wanted: NewGroup = request.incoming.json().map_err(|_| {
            error::messages(400, &["Invalid request payload. Refer to the REST API documentation and try again."])
        })?;
        let name = wanted.name.trim();
        if name.is_empty() {
            return Err(error::field(400, "name", "You must specify a group name."));
        }
        let created = side.create_group(request.key(), name, "", Owner::Admins, act);
        let id = created.map_err(|it| refused(it, side))?;
        let base = side.base(request.key()).ok_or_else(error::unknown_group)?;
        let view = base.view(crate::engine::Millis::MAX);
        let (_, group) = view.group(&id).ok_or_else(error::unknown_group)?;
        return Ok(Answer::json(201, shape::group(request, side, &view, group, 50)));
    }
    let base = side.base(request.key()).ok_or_else(error::unknown_group)?;
    let id = named(request, &base.view(crate::engine::Millis::MAX))?.id.clone();
    for swap in ["swapGroup", "swapGroupId"] {
        let known =
            |it: &str| if swap == "swapGroup" { base.group_named(it).is_some() } else { base.group(it).is_some() };
        if request.incoming.parameter(swap).is_some_and(|it| !known(it)) {
            return Err(error::unknown_group());
        }
    }
    let done = side.delete_group(request.key(), &id, NonEmptyGroup::Delete, &Authority::Administrator, act);
    done.map_err(|it| refused(it, side))?;
    Ok(Answer::empty(200))
}
