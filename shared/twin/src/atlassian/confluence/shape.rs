//! How groups and people look in Confluence.

use serde_json::{Value, json};

use super::{Request, failure};
use crate::engine::Answer;
use crate::world::atlassian::account::AccountKind;
use crate::world::atlassian::{AtlassianSide, Group, Index, Owner};

pub(super) fn group(request: &Request<'_>, group: &Group) -> Value {
    json!({
        "type": "group",
        "name": group.name,
        "id": group.id,
        "managedBy": group.owner.word().to_uppercase().replace('-', "_"),
        "usageType": if group.owner == Owner::Team { "TEAM_COLLABORATION" } else { "USERBASE_GROUP" },
        "_links": { "self": format!("{}/wiki/rest/api/group/by-id?id={}", request.origin, group.id) },
    })
}

/// A person: the address is empty where it is hidden.
pub(super) fn person(request: &Request<'_>, side: &AtlassianSide, person: Index) -> Option<Value> {
    let account = side.accounts().get(person)?;
    let hidden = (side.switches.jira_hides_emails || account.email_hidden) && account.id != request.caller;
    Some(json!({
        "type": "known",
        "accountId": account.id,
        "accountType": if account.kind == AccountKind::App { "app" } else { "atlassian" },
        "email": if hidden { "" } else { account.email.as_str() },
        "publicName": account.nickname,
        "displayName": account.name,
        "isExternalCollaborator": false,
        "profilePicture": { "path": "/wiki/avatar.png", "width": 48, "height": 48, "isDefault": true },
        "_expandable": { "operations": "", "personalSpace": "" },
        "_links": { "self": format!("{}/wiki/rest/api/user?accountId={}", request.origin, account.id) },
    }))
}

/// A page of `results`.
pub(super) fn page(request: &Request<'_>, values: Vec<Value>, default: usize) -> Result<Answer, Answer> {
    let bad = |()| failure(400, "start and limit must be numbers");
    let number = |name: &str| request.incoming.number(name).map_err(bad);
    let start = usize::try_from(number("start")?.unwrap_or(0)).map_err(|_| bad(()))?;
    let limit = number("limit")?.map_or(default, |it| usize::try_from(it).unwrap_or(0)).min(200);
    let total = values.len();
    let shown: Vec<Value> = values.into_iter().skip(start).take(limit).collect();
    let path = request.rest.join("/");
    let mut links = json!({ "base": format!("{}/wiki", request.origin), "context": "/wiki",
        "self": format!("{}/wiki/rest/api/{path}", request.origin) });
    if let Some(fields) = links.as_object_mut().filter(|_| start + shown.len() < total) {
        fields
            .insert("next".to_owned(), json!(format!("/rest/api/{path}?start={}&limit={limit}", start + shown.len())));
    }
    let mut body = json!({ "start": start, "limit": limit, "size": shown.len(), "results": shown, "_links": links });
    if let Some(fields) = body.as_object_mut()
        && request.incoming.parameter("shouldReturnTotalSize") == Some("true")
    {
        fields.insert("totalSize".to_owned(), json!(total));
    }
    Ok(Answer::json(200, body))
}
