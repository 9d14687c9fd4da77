//! Groups of a directory: search, get, create, delete, members, roles.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::cursor::Cursor;
use super::shape::{self, Expand};
use super::users::{OneOrMany, holds, limit, sort_order};
use super::{Operation, Request, error};
use crate::engine::Answer;
use crate::world::atlassian::switches::CursorPlace;
use crate::world::atlassian::{Act, AtlassianSide, Authority, BaseKey, Group, GroupIndex, Owner, View};

/// Body of `groups/search`; parameters of the deprecated listing are read into the same.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Query {
    #[serde(rename = "cursor")]
    _cursor: Option<String>,
    limit: Option<Value>,
    sort_by: Vec<Value>,
    account_ids: Option<Vec<String>>,
    directory_ids: Option<Vec<String>>,
    role_ids: Option<Vec<String>>,
    resource_owners: Option<Vec<String>>,
    resource_ids: Option<Vec<String>>,
    search_term: Option<OneOrMany>,
    group_ids: Option<Vec<String>>,
    group_names: Option<Vec<String>>,
    expand: Vec<String>,
    /// Only in the deprecated listing.
    counts: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewGroup {
    name: String,
    #[serde(default)]
    description: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewMember {
    account_id: String,
}

/// Reads what follows `…/groups`.
pub(super) fn route(method: &Method, rest: &[&str]) -> Option<(&'static str, Operation)> {
    let own = |it: &str| it.to_owned();
    Some(match (method.as_str(), rest) {
        ("GET", []) => ("groups.list", Operation::GroupList),
        ("POST", []) => ("groups.create", Operation::GroupCreate),
        ("POST", ["search"]) => ("groups.search", Operation::GroupSearch),
        ("GET", ["count"]) => ("groups.count", Operation::GroupCount),
        ("GET", ["stats"]) => ("groups.stats", Operation::GroupStats),
        ("GET", [group]) => ("groups.get", Operation::Group(own(group))),
        ("DELETE", [group]) => ("groups.delete", Operation::GroupDelete(own(group))),
        ("POST", [group, "memberships"]) => ("memberships.add", Operation::Add(own(group))),
        ("DELETE", [group, "memberships", account]) => {
            ("memberships.remove", Operation::Remove(own(group), own(account)))
        }
        ("GET", [group, "role-assignments"]) => ("groups.roles.list", Operation::GroupRoles(own(group))),
        ("POST", [group, "role-assignments", "assign"]) => {
            ("groups.roles.assign", Operation::GroupRole { group: own(group), assign: true })
        }
        ("POST", [group, "role-assignments", "revoke"]) => {
            ("groups.roles.revoke", Operation::GroupRole { group: own(group), assign: false })
        }
        _ => return None,
    })
}

/// Reads about groups.
pub(super) fn read(request: &Request<'_>, side: &AtlassianSide) -> Answer {
    let Some(view) = request.base(side) else {
        return error::application(404, "ADMIN-404-2", "Organization not found");
    };
    match &request.operation {
        Operation::GroupSearch | Operation::GroupList => search(request, side, &view).unwrap_or_else(|it| it),
        Operation::GroupCount => Answer::json(200, json!({ "count": view.groups_after(None).count() })),
        Operation::GroupStats => {
            let all = view.groups_after(None).count();
            let synced = view.groups_after(None).filter(|(_, it)| matches!(it.owner, Owner::External(_))).count();
            let types = json!([{ "type": "GROUP", "count": all }]);
            Answer::json(200, json!({ "totals": { "all": all, "synced": synced }, "types": types }))
        }
        Operation::Group(id) => match view.group(id) {
            Some((index, found)) => {
                Answer::json(200, json!({ "data": shape::group(&view, index, found, Expand::default()) }))
            }
            None => unknown(),
        },
        Operation::GroupRoles(id) => match view.group(id) {
            Some((index, _)) => {
                let data = shape::role_assignments(&view, &view.roles(index));
                Answer::json(200, json!({ "data": data, "links": {} }))
            }
            None => unknown(),
        },
        _ => error::invalid_body("not a reading operation"),
    }
}

fn unknown() -> Answer {
    error::application(404, "ADMIN-404-10", "Group not found")
}

fn search(request: &Request<'_>, side: &AtlassianSide, view: &View<'_>) -> Result<Answer, Answer> {
    let cursor = Cursor::of(request, &side.switches)?;
    let query: Query =
        serde_json::from_value(cursor.query.clone()).map_err(|it| error::invalid_body(&it.to_string()))?;
    if query.group_names.is_some() && (query.search_term.is_some() || query.group_ids.is_some()) {
        return Err(error::invalid_body("groupNames, groupIds and searchTerm are mutually exclusive"));
    }
    let limit = limit(query.limit.as_ref(), 20, side.switches.org_search_limit_max)?;
    let mut expand = Expand::read(&query.expand, &["counts.resources", "counts.users"])
        .map_err(|it| error::invalid_body(&format!("unknown expand value {it}")))?;
    let counts = query.counts.join(",");
    expand.users |= counts.contains("includeUsers");
    expand.resources |= counts.contains("includeResources");
    let matches = |it: &(GroupIndex, &Group)| matches(side, view, &query, it.0, it.1) && request.view.shows(&it.1.id);
    let (groups, links) = if query.sort_by.is_empty() {
        let groups = candidates(side, view, &query, cursor.after).filter(matches).map(|it| (it.0, it));
        cursor.page(groups, limit, request.view.now, side.switches.cursor)
    } else {
        let (field, descending) = sort_order(&query.sort_by, &["name", "description"])?;
        let mut found: Vec<_> = candidates(side, view, &query, None).filter(matches).collect();
        let by_name = field == "name";
        found.sort_by_key(|(_, it)| if by_name { it.name.to_lowercase() } else { it.description.to_lowercase() });
        if descending {
            found.reverse();
        }
        cursor.page((0..).zip(found), limit, request.view.now, CursorPlace::Offset)
    };
    let data: Vec<Value> = groups.into_iter().map(|(index, it)| shape::group(view, index, it, expand)).collect();
    let looked_for = query.group_names.unwrap_or_default();
    Ok(Answer { looked_for, ..Answer::json(200, json!({ "data": data, "links": links })) })
}

fn candidates<'a>(
    side: &AtlassianSide,
    view: &'a View<'a>,
    query: &Query,
    after: Option<GroupIndex>,
) -> Box<dyn Iterator<Item = (GroupIndex, &'a Group)> + 'a> {
    let mut set: std::collections::BTreeSet<GroupIndex> = if let Some(names) = &query.group_names {
        names.iter().filter_map(|it| view.group_named(it)).map(|it| it.0).collect()
    } else if let Some(ids) = &query.group_ids {
        ids.iter().filter_map(|it| view.group(it)).map(|it| it.0).collect()
    } else if let Some(accounts) = &query.account_ids {
        accounts.iter().filter_map(|it| side.accounts().find(it)).flat_map(|it| view.groups_of(it)).collect()
    } else {
        return view.groups_after(after);
    };
    set.retain(|it| after.is_none_or(|after| *it > after));
    Box::new(set.into_iter().filter_map(|it| Some((it, view.group_at(it)?))))
}

fn matches(side: &AtlassianSide, view: &View<'_>, query: &Query, index: GroupIndex, group: &Group) -> bool {
    let owner_of = |resource: &String| view.base().products.iter().find(|it| it.resource == *resource);
    holds(query.directory_ids.as_ref(), |all| all.contains(&view.base().directory_id))
        && holds(query.search_term.as_ref(), |it| group.name.to_lowercase().contains(&it.text().to_lowercase()))
        && holds(query.account_ids.as_ref(), |all| {
            let members = view.members(index);
            all.iter().filter_map(|it| side.accounts().find(it)).any(|it| members.contains(&it))
        })
        && holds(query.resource_ids.as_ref(), |all| view.roles(index).keys().any(|it| all.contains(it)))
        && holds(query.role_ids.as_ref(), |all| view.roles(index).values().flatten().any(|it| all.contains(it)))
        && holds(query.resource_owners.as_ref(), |all| {
            view.roles(index).keys().filter_map(owner_of).any(|it| all.contains(&it.key))
        })
}

/// Changes groups and memberships.
pub(super) fn write(request: &Request<'_>, side: &mut AtlassianSide, key: &BaseKey, act: &mut Act<'_>) -> Answer {
    let switches = side.switches.clone();
    let administrator = Authority::Administrator;
    let (done, result) = match &request.operation {
        Operation::GroupCreate => {
            let wanted: NewGroup = match request.incoming.json() {
                Ok(it) => it,
                Err(it) => return error::invalid_body(&it.to_string()),
            };
            let name = wanted.name.trim();
            if name.is_empty() || name.chars().count() > 255 {
                return error::invalid_body("name must have 1 to 255 characters");
            }
            let description = wanted.description.unwrap_or_default();
            (201, side.create_group(key, name, &description, Owner::Admins, act).map(|_| ()))
        }
        Operation::GroupDelete(group) => {
            let result = side.delete_group(key, group, switches.org_delete_non_empty, &administrator, act);
            (switches.org_delete_group_status, result)
        }
        Operation::Add(group) => {
            let wanted: NewMember = match request.incoming.json() {
                Ok(it) => it,
                Err(it) => return error::invalid_body(&it.to_string()),
            };
            (switches.org_add_status, side.set_membership(key, group, &wanted.account_id, true, &administrator, act))
        }
        Operation::Remove(group, account) => {
            (switches.org_remove_status, side.set_membership(key, group, account, false, &administrator, act))
        }
        _ => return error::invalid_body("not a changing operation"),
    };
    match result {
        Ok(()) => Answer::empty(done),
        Err(it) => error::refusal(it, &switches),
    }
}
