//! Organizations of customers.

use serde::Deserialize;
use serde_json::{Value, json};

use super::customers::{people, unknown_people};
use super::{Operation, Request, failure, invalid, shape};
use crate::engine::Answer;
use crate::world::atlassian::{Act, AtlassianSide};

/// Longest name.
const NAME_MAX: usize = 200;

#[derive(Debug, Deserialize)]
struct NewOrganization {
    #[serde(default)]
    name: String,
}

/// 404: no such organization.
pub(super) fn unknown() -> Answer {
    failure(404, "sd.organization.not.found", "The organization does not exist.")
}

/// GET of organizations.
pub(super) fn read(request: &Request<'_>, side: &AtlassianSide) -> Result<Answer, Answer> {
    if request.operation == Operation::Organizations {
        let person = request.incoming.parameter("accountId").map(|it| side.accounts().find(it));
        let holds = |members: &std::collections::BTreeSet<_>| match person {
            Some(Some(person)) => members.contains(&person),
            Some(None) => false,
            None => true,
        };
        let found = side.desks().organizations.values().filter(|it| it.site == request.site() && holds(&it.members));
        let values = found.filter(|it| request.view.shows(&it.id)).map(|it| shape::organization(request, it)).collect();
        return shape::page(request, side, values);
    }
    let organization = side.customer_organization(request.site(), request.id()).ok_or_else(unknown)?;
    match request.operation {
        Operation::Organization => Ok(Answer::json(200, shape::organization(request, organization))),
        Operation::Members => {
            let people = organization.members.iter().filter_map(|it| side.accounts().get(*it));
            let shown = people.filter(|it| request.view.shows(&it.id));
            shape::page(request, side, shown.map(|it| shape::person(request, side, it)).collect())
        }
        Operation::Properties => {
            let keys = organization.properties.keys();
            let keys: Vec<Value> = keys.map(|it| json!({ "key": it, "self": property_url(request, it) })).collect();
            Ok(Answer::json(200, json!({ "keys": keys })))
        }
        _ => {
            let key = property(request);
            let value = organization.properties.get(key).ok_or_else(unknown)?;
            Ok(Answer::json(200, json!({ "key": key, "value": value })))
        }
    }
}

fn property<'a>(request: &'a Request<'_>) -> &'a str {
    request.rest.get(3).copied().unwrap_or_default()
}

fn property_url(request: &Request<'_>, key: &str) -> String {
    format!("{}/rest/servicedeskapi/organization/{}/property/{key}", request.origin, request.id())
}

/// Changes of organizations.
pub(super) fn write(request: &Request<'_>, side: &mut AtlassianSide, act: &mut Act<'_>) -> Result<Answer, Answer> {
    if request.operation == Operation::CreateOrganization {
        let wanted: NewOrganization = request.incoming.json().map_err(|_| invalid())?;
        let name = wanted.name.trim();
        if name.is_empty() || name.chars().count() > NAME_MAX {
            return Err(failure(400, "sd.organization.name", "The name must have 1 to 200 characters."));
        }
        let id = side.create_customer_organization(request.site(), name, act);
        let made = side.customer_organization(request.site(), &id).ok_or_else(unknown)?;
        return Ok(Answer::json(201, shape::organization(request, made)));
    }
    let found = side.customer_organization(request.site(), request.id()).ok_or_else(unknown)?;
    let id = found.id.clone();
    let members = matches!(request.operation, Operation::AddMembers | Operation::RemoveMembers);
    if found.scim_managed && (members || request.operation == Operation::DeleteOrganization) {
        let text = "The organization is managed by an identity provider.";
        return Err(failure(side.switches.jsm_scim_managed_status, "sd.organization.scim", text));
    }
    match request.operation {
        Operation::DeleteOrganization => {
            side.delete_customer_organization(request.site(), &id, act).map_err(|_| unknown())?;
            Ok(Answer::empty(204))
        }
        Operation::SetProperty | Operation::DeleteProperty => properties(request, side, &id),
        operation => {
            let (known, all) = people(request, side)?;
            if !all {
                return Err(unknown_people());
            }
            for person in known {
                let present = operation == Operation::AddMembers;
                side.set_organization_member(&id, person, present, act).map_err(|_| unknown())?;
            }
            Ok(Answer::empty(204))
        }
    }
}

fn properties(request: &Request<'_>, side: &mut AtlassianSide, id: &str) -> Result<Answer, Answer> {
    let key = property(request).to_owned();
    let organization = side.desks.organizations.get_mut(id).ok_or_else(unknown)?;
    if request.operation == Operation::DeleteProperty {
        organization.properties.remove(&key).ok_or_else(unknown)?;
        return Ok(Answer::empty(204));
    }
    let value: Value = request.incoming.json().map_err(|_| invalid())?;
    let known = organization.properties.insert(key, value).is_some();
    Ok(Answer::empty(if known { 200 } else { 201 }))
}
