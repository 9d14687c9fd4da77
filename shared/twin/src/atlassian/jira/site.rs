//! About the caller and the site: who am I, what may I, seats and default groups, the audit log.

use serde_json::{Map, Value, json};

use super::{Operation, Request, error, shape};
use crate::engine::Answer;
use crate::engine::clock::rfc3339;
use crate::world::atlassian::AtlassianSide;
use crate::world::{Mutation, MutationLog};

/// Global permissions that a credential check asks for: key, id, name.
const PERMISSIONS: [(&str, &str, &str); 4] = [
    ("ADMINISTER", "0", "Administer Jira"),
    ("USER_PICKER", "27", "Browse users and groups"),
    ("SYSTEM_ADMIN", "44", "Jira system administrator"),
    ("BULK_CHANGE", "33", "Make bulk changes"),
];

/// Reads about the site.
pub(super) fn read(request: &Request<'_>, side: &AtlassianSide) -> Result<Answer, Answer> {
    let view = request.base(side)?;
    match request.operation {
        Operation::Myself => {
            let expand = request.incoming.parameter("expand").unwrap_or_default();
            let person = side.accounts().find(&request.caller);
            let body = person.and_then(|it| shape::user(request, side, &view, it, expand));
            body.map(|it| Answer::json(200, it)).ok_or_else(|| error::unknown_user(404))
        }
        Operation::ServerInfo => Ok(Answer::json(200, server_info(request))),
        Operation::MyPermissions => permissions(request, side),
        Operation::ApplicationRoles => {
            let roles = shape::products(request, &view).map(|it| shape::application_role(request, side, &view, it));
            Ok(Answer::json(200, roles.collect()))
        }
        Operation::ApplicationRole => {
            let key = request.rest.last().copied().unwrap_or_default();
            let product = shape::products(request, &view).find(|it| it.key == key);
            let product = product.ok_or_else(|| error::messages(404, &["The application role does not exist."]))?;
            Ok(Answer::json(200, shape::application_role(request, side, &view, product)))
        }
        // Only approved apps get addresses here; API tokens never do (§4).
        _ => Err(error::messages(400, &["The calling app is not approved to use this API."])),
    }
}

fn server_info(request: &Request<'_>) -> Value {
    json!({
        "baseUrl": request.origin,
        "version": "1001.0.0-SNAPSHOT",
        "versionNumbers": [1001, 0, 0],
        "deploymentType": "Cloud",
        "buildNumber": 100_298,
        "buildDate": "2026-11-01T00:00:00.000Z",
        "serverTime": rfc3339(request.view.now),
        "scmInfo": "twin",
        "serverTitle": request.site.name,
        "serverTimeZone": "Etc/UTC",
    })
}

fn permissions(request: &Request<'_>, side: &AtlassianSide) -> Result<Answer, Answer> {
    let Some(asked) = request.incoming.parameter("permissions") else {
        return Err(error::messages(400, &["The 'permissions' query parameter is required."]));
    };
    let mut found = Map::new();
    for key in asked.split(',').map(str::trim) {
        let Some((key, id, name)) = PERMISSIONS.iter().find(|it| it.0 == key) else {
            return Err(error::messages(400, &[&format!("Unrecognized permission: {key}")]));
        };
        let body = json!({
            "id": id, "key": key, "name": name, "type": "GLOBAL", "description": name,
            "havePermission": *key != "ADMINISTER" || side.switches.site_administrators,
        });
        found.insert((*key).to_owned(), body);
    }
    Ok(Answer::json(200, json!({ "permissions": found })))
}

/// The audit log: effective changes of groups and memberships, newest first.
pub(super) fn audit(request: &Request<'_>, side: &AtlassianSide, log: &MutationLog) -> Result<Answer, Answer> {
    let bad = |()| error::messages(400, &["offset and limit must be numbers"]);
    let number = |name: &str| request.incoming.number(name).map_err(bad);
    let offset = usize::try_from(number("offset")?.unwrap_or(0)).unwrap_or(0);
    let limit = usize::try_from(number("limit")?.unwrap_or(1000)).unwrap_or(0).min(1000);
    let mut records: Vec<Value> = log.after(0).filter_map(|it| record(side, it)).collect();
    records.reverse();
    let total = records.len();
    let shown: Vec<Value> = records.into_iter().skip(offset).take(limit).collect();
    Ok(Answer::json(200, json!({ "offset": offset, "limit": limit, "total": total, "records": shown })))
}

fn record(side: &AtlassianSide, change: &Mutation) -> Option<Value> {
    let path: Vec<&str> = change.key.split('/').collect();
    let added = change.new.is_some();
    let (summary, group, account) = match path.as_slice() {
        ["atlassian", "group", group, "member", account] => {
            (if added { "User added to group" } else { "User removed from group" }, *group, Some(*account))
        }
        ["atlassian", "group", group] => (if added { "Group created" } else { "Group deleted" }, *group, None),
        _ => return None,
    };
    let named = account.and_then(|it| side.accounts().find(it)).and_then(|it| side.accounts().get(it));
    let user = named.map(|it| json!({ "id": it.id, "name": it.name, "typeName": "USER" }));
    Some(json!({
        "id": change.sequence,
        "summary": summary,
        "created": rfc3339(change.at),
        "category": "group management",
        "eventSource": "",
        "authorKey": change.caller,
        "objectItem": { "id": group, "name": group, "typeName": "GROUP" },
        "associatedItems": user.into_iter().collect::<Vec<_>>(),
        "changedValues": [],
    }))
}
