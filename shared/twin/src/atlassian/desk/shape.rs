//! How desks, people and organizations look in service management. Answers carry these fields and no others.

use serde_json::{Value, json};

use super::{Request, failure};
use crate::engine::Answer;
use crate::engine::clock::rfc3339;
use crate::world::atlassian::desk::{CustomerOrganization, Desk};
use crate::world::atlassian::{Account, AccountStatus, AtlassianSide};

pub(super) fn info(request: &Request<'_>) -> Value {
    json!({
        "version": "1001.0.0-SNAPSHOT",
        "platformVersion": "1001.0.0-SNAPSHOT",
        "buildDate": date(request.view.now),
        "buildChangeSet": "twin",
        "isLicensedForUse": true,
        "_links": { "self": format!("{}/rest/servicedeskapi/info", request.origin) },
    })
}

fn date(at: crate::engine::Millis) -> Value {
    json!({ "iso8601": rfc3339(at), "jira": rfc3339(at), "friendly": rfc3339(at), "epochMillis": at })
}

pub(super) fn desk(request: &Request<'_>, desk: &Desk) -> Value {
    json!({
        "id": desk.id,
        "projectId": format!("1000{}", desk.id),
        "projectName": desk.name,
        "projectKey": desk.project_key,
        "projectTypeKey": "service_desk",
        "_links": { "self": format!("{}/rest/servicedeskapi/servicedesk/{}", request.origin, desk.id) },
    })
}

pub(super) fn organization(request: &Request<'_>, organization: &CustomerOrganization) -> Value {
    json!({
        "id": organization.id,
        "uuid": organization.uuid,
        "name": organization.name,
        "scimManaged": organization.scim_managed,
        "created": date(organization.created_at),
        "_links": { "self": format!("{}/rest/servicedeskapi/organization/{}", request.origin, organization.id) },
    })
}

pub(super) fn person(request: &Request<'_>, side: &AtlassianSide, account: &Account) -> Value {
    let encoded: String = url::form_urlencoded::byte_serialize(account.id.as_bytes()).collect();
    let rest = format!("{}/rest/api/2/user?accountId={encoded}", request.origin);
    let email = (!(side.switches.jira_hides_emails || account.email_hidden)).then_some(account.email.as_str());
    let mut body = json!({
        "accountId": account.id,
        "displayName": account.name,
        "active": account.status == AccountStatus::Active,
        "timeZone": account.time_zone.as_deref().unwrap_or("Etc/UTC"),
        "_links": { "self": rest, "jiraRest": rest, "avatarUrls": {} },
    });
    if let (Some(fields), Some(email)) = (body.as_object_mut(), email) {
        fields.insert("emailAddress".to_owned(), json!(email));
    }
    body
}

/// A page of `values`.
pub(super) fn page(request: &Request<'_>, side: &AtlassianSide, values: Vec<Value>) -> Result<Answer, Answer> {
    let bad = |()| failure(400, "sd.rest.page", "start and limit must be numbers");
    let number = |name: &str| request.incoming.number(name).map_err(bad);
    let start = usize::try_from(number("start")?.unwrap_or(0)).map_err(|_| bad(()))?;
    let asked = number("limit")?.map_or(50, |it| usize::try_from(it).unwrap_or(0));
    let limit = asked.min(side.switches.jsm_page_max);
    let total = values.len();
    let shown: Vec<Value> = values.into_iter().skip(start).take(limit).collect();
    let last = start + shown.len() >= total;
    let path = request.rest.join("/");
    let url = |at: usize| format!("{}/rest/servicedeskapi/{path}?start={at}&limit={limit}", request.origin);
    let mut links = json!({ "base": request.origin, "context": "", "self": url(start) });
    if let Some(fields) = links.as_object_mut().filter(|_| !last) {
        fields.insert("next".to_owned(), json!(url(start + shown.len())));
    }
    let body = json!({
        "_expands": [],
        "size": shown.len(),
        "start": start,
        "limit": limit,
        "isLastPage": last,
        "_links": links,
        "values": shown,
    });
    Ok(Answer::json(200, body))
}
