//! Members of a site's groups.

use serde::Deserialize;
use serde_json::Value;

use super::groups::named;
use super::{Operation, Request, error, shape};
use crate::engine::{Answer, Millis};
use crate::world::atlassian::{Account, Act, AtlassianSide, Authority, Index, Refusal};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewMember {
    #[serde(default)]
    account_id: Option<String>,
}

/// Members, page by page; inactive ones only on request.
pub(super) fn list(request: &Request<'_>, side: &AtlassianSide) -> Result<Answer, Answer> {
    let view = request.base(side)?;
    let group = named(request, &view)?;
    let (start, count) = request.window(50, 50)?;
    let all = request.incoming.parameter("includeInactiveUsers") == Some("true");
    let index = view.group(&group.id).map(|it| it.0).ok_or_else(error::unknown_group)?;
    let members = view.members(index);
    let found: Vec<(Index, &Account)> = members
        .iter()
        .filter_map(|it| Some((*it, side.accounts().get(*it)?)))
        .filter(|(person, it)| all || shape::is_active(view.base(), *person, it))
        .filter(|(_, it)| request.view.shows(&it.id))
        .collect();
    let total = found.len();
    let values: Vec<Value> = found
        .into_iter()
        .skip(start)
        .take(count)
        .map(|(person, it)| shape::details(request, side, &view, person, it))
        .collect();
    Ok(Answer::json(200, shape::page(request, start, count, total, values)))
}

/// Adds or removes a member.
pub(super) fn write(request: &Request<'_>, side: &mut AtlassianSide, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let add = request.operation == Operation::AddMember;
    let base = side.base(request.key()).ok_or_else(error::unknown_group)?;
    let group = named(request, &base.view(Millis::MAX))?;
    let (id, name) = (group.id.clone(), group.name.clone());
    let account = if add {
        let sent: NewMember = request.incoming.json().map_err(|_| {
            error::messages(400, &["Invalid request payload. Refer to the REST API documentation and try again."])
        })?;
        sent.account_id
    } else {
        request.incoming.parameter("accountId").map(str::to_owned)
    };
    let account = account
        .filter(|it| !it.is_empty())
        .ok_or_else(|| error::messages(400, &["The accountId must be provided."]))?;
    let result = side.set_membership(request.key(), &id, &account, add, &Authority::Administrator, act);
    let shown = side.accounts().find(&account).and_then(|it| side.accounts().get(it)).map(|it| it.name.clone());
    let refused = |it: Refusal, side: &AtlassianSide| {
        error::membership(it, &side.switches, shown.as_deref().unwrap_or(&account), &name)
    };
    result.map_err(|it| refused(it, side))?;
    if !add {
        return Ok(Answer::empty(200));
    }
    let view = side.base(request.key()).ok_or_else(error::unknown_group)?.view(Millis::MAX);
    let (_, group) = view.group(&id).ok_or_else(error::unknown_group)?;
    Ok(Answer::json(201, shape::group(request, side, &view, group, 0)))
}
