//! Role assignments of groups and of people.

use serde::Deserialize;

use super::{Operation, Request, error};
use crate::engine::Answer;
use crate::world::atlassian::{Act, AtlassianSide, BaseKey};

/// Roles that a resource knows.
const RESOURCE_ROLES: [&str; 10] = [
    "atlassian/user",
    "atlassian/admin",
    "atlassian/user-access-admin",
    "atlassian/guest",
    "atlassian/contributor",
    "atlassian/customer",
    "atlassian/basic",
    "atlassian/stakeholder",
    "atlassian/viewer",
    "atlassian/ai-access",
];
/// Roles of the whole organization.
const ORGANIZATION_ROLES: [&str; 2] = ["atlassian/org-admin", "atlassian/site-admin"];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GroupRole {
    resource_id: String,
    role_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonRole {
    role: String,
    #[serde(default)]
    resource: Option<String>,
}

/// Assigns or revokes; repeats succeed.
pub(super) fn write(request: &Request<'_>, side: &mut AtlassianSide, key: &BaseKey, act: &mut Act<'_>) -> Answer {
    attempt(request, side, key, act).unwrap_or_else(|it| it)
}

fn attempt(
    request: &Request<'_>,
    side: &mut AtlassianSide,
    key: &BaseKey,
    act: &mut Act<'_>,
) -> Result<Answer, Answer> {
    let invalid = |it: serde_json::Error| error::invalid_body(&it.to_string());
    let unknown_role = || error::application(400, "ADMIN-UAM-400-3", "Invalid role for resource");
    match &request.operation {
        Operation::GroupRole { group, assign } => {
            let wanted: GroupRole = request.incoming.json().map_err(invalid)?;
            if !RESOURCE_ROLES.contains(&wanted.role_id.as_str()) {
                return Err(unknown_role());
            }
            let role = (wanted.resource_id.as_str(), wanted.role_id.as_str());
            let result = side.set_role(key, group, role, *assign, act);
            result.map_err(|it| error::refusal(it, &side.switches))?;
            Ok(Answer::empty(side.switches.org_role_status))
        }
        Operation::OrgRole { account, assign } => {
            let wanted: PersonRole = request.incoming.json().map_err(invalid)?;
            if !ORGANIZATION_ROLES.contains(&wanted.role.as_str()) {
                return Err(unknown_role());
            }
            let result = side.set_person_role(key, account, (None, &wanted.role), *assign, act);
            result.map_err(|it| error::refusal(it, &side.switches))?;
            Ok(Answer::empty(side.switches.org_role_status))
        }
        Operation::UserRole { account, assign } => {
            let wanted: PersonRole = request.incoming.json().map_err(invalid)?;
            let known = RESOURCE_ROLES.contains(&wanted.role.as_str());
            if !known && !ORGANIZATION_ROLES.contains(&wanted.role.as_str()) {
                return Err(unknown_role());
            }
            let role = (wanted.resource.as_deref(), wanted.role.as_str());
            let result = side.set_person_role(key, account, role, *assign, act);
            result.map_err(|it| error::refusal(it, &side.switches))?;
            // Documented as 204 alone.
            Ok(Answer::empty(204))
        }
        _ => Err(error::invalid_body("not a changing operation")),
    }
}
