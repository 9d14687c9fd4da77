//! People of a site.

use serde_json::{Value, json};

use super::{Operation, Request, failure, shape, unknown_user};
use crate::engine::Answer;
use crate::world::atlassian::{AtlassianSide, Standing};

/// GET of people.
pub(super) fn read(request: &Request<'_>, side: &AtlassianSide) -> Result<Answer, Answer> {
    let view = request.base(side)?;
    let known = |id: &str| side.accounts().find(id).filter(|it| view.knows(*it));
    match request.operation {
        Operation::User | Operation::Current => {
            let id = if request.operation == Operation::Current {
                request.caller.as_str()
            } else {
                request.incoming.parameter("accountId").unwrap_or_default()
            };
            let mut body = known(id).and_then(|it| shape::person(request, side, it));
            let expanded =
                request.incoming.parameter("expand").is_some_and(|it| it.split(',').any(|it| it == "operations"));
            if let (Operation::Current, true, Some(body)) = (request.operation, expanded, &mut body) {
                let may = if side.switches.site_administrators { &["use", "administer"][..] } else { &["use"] };
                let row = |operation| json!({ "operation": operation, "targetType": "application" });
                if let Some(fields) = body.as_object_mut() {
                    fields.insert("operations".to_owned(), may.iter().map(row).collect());
                }
            }
            body.map(|it| Answer::json(200, it)).ok_or_else(unknown_user)
        }
        Operation::Bulk => {
            let ids = request.incoming.parameters("accountId");
            let people = ids.into_iter().filter_map(known).filter_map(|it| shape::person(request, side, it));
            shape::page(request, people.take(100).collect(), 100)
        }
        _ => find(request, side, &view),
    }
}

/// Searching people: `type=user`, alone or with a full name. Suspended people are not found.
fn find(
    request: &Request<'_>,
    side: &AtlassianSide,
    view: &crate::world::atlassian::View<'_>,
) -> Result<Answer, Answer> {
    let cql = request.incoming.parameter("cql").unwrap_or_default();
    let plain: String = cql.chars().filter(|c| !c.is_whitespace()).collect();
    let name = match plain.strip_prefix("type=user") {
        Some("") => None,
        Some(rest) => {
            Some(rest.strip_prefix("anduser.fullname~").ok_or_else(not_cql)?.trim_matches('"').to_lowercase())
        }
        None => return Err(not_cql()),
    };
    let matches = |it: &u32| {
        let shown = view.base().resident(*it).is_some_and(|it| it.standing == Standing::Active);
        let account = side.accounts().get(*it);
        shown
            && account.is_some_and(|it| {
                request.view.shows(&it.id)
                    && name.as_ref().is_none_or(|name| it.name.to_lowercase().replace(' ', "").contains(name))
            })
    };
    let found: Vec<Value> = view
        .people_after(None)
        .filter(matches)
        .filter_map(|it| {
            let user = shape::person(request, side, it)?;
            Some(json!({
                "user": user,
                "title": user.get("displayName"),
                "excerpt": "",
                "url": format!("/people/{}", user.get("accountId").and_then(Value::as_str).unwrap_or_default()),
                "breadcrumbs": [],
                "entityType": "user",
                "iconCssClass": "",
                "lastModified": "2026-01-01T00:00:00.000Z",
            }))
        })
        .collect();
    let total = found.len();
    let mut answer = shape::page(request, found, 200)?;
    if let Some(body) = answer.body_mut().and_then(Value::as_object_mut) {
        body.insert("totalSize".to_owned(), json!(total));
        body.insert("cqlQuery".to_owned(), json!(cql));
        body.insert("searchDuration".to_owned(), json!(1));
    }
    Ok(answer)
}

fn not_cql() -> Answer {
    failure(400, "Could not parse cql")
}
