//! Service desks and their customers; portal-only accounts.

use serde::Deserialize;
use serde_json::Value;

use super::{Operation, Request, failure, invalid, organizations, shape};
use crate::engine::Answer;
use crate::world::atlassian::desk::Desk;
use crate::world::atlassian::{Account, AccountStatus, Act, AtlassianSide, Index, Refusal};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct People {
    #[serde(default)]
    account_ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewCustomer {
    #[serde(default)]
    email: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    full_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Organization {
    organization_id: i64,
}

/// 404: no such desk.
pub(super) fn unknown() -> Answer {
    failure(404, "sd.servicedesk.not.found", "The service desk does not exist.")
}

/// GET of desks.
pub(super) fn read(request: &Request<'_>, side: &AtlassianSide) -> Result<Answer, Answer> {
    if request.operation == Operation::Desks {
        let desks = side.desks().desks.values().filter(|it| it.site == request.site());
        let values = desks.map(|it| shape::desk(request, it)).collect();
        return shape::page(request, side, values);
    }
    let desk = side.desk(request.site(), request.id()).ok_or_else(unknown)?;
    match request.operation {
        Operation::Desk => Ok(Answer::json(200, shape::desk(request, desk))),
        Operation::Customers => shape::page(request, side, customers(request, side, desk)),
        _ => {
            let found = desk.organizations.iter().filter_map(|id| side.customer_organization(request.site(), id));
            shape::page(request, side, found.map(|it| shape::organization(request, it)).collect())
        }
    }
}

fn customers(request: &Request<'_>, side: &AtlassianSide, desk: &Desk) -> Vec<Value> {
    let query = request.incoming.parameter("query").unwrap_or_default().to_lowercase();
    let matches = |it: &Account| {
        query.is_empty()
            || it.email.starts_with(&query)
            || it.name.to_lowercase().starts_with(&query)
            || it.name.to_lowercase().split_whitespace().any(|word| word.starts_with(&query))
    };
    let people = desk.customers.iter().filter_map(|it| side.accounts().get(*it));
    let shown = people.filter(|it| matches(it) && request.view.shows(&it.id));
    shown.map(|it| shape::person(request, side, it)).collect()
}

/// Changes of desks and people.
pub(super) fn write(request: &Request<'_>, side: &mut AtlassianSide, act: &mut Act<'_>) -> Result<Answer, Answer> {
    match request.operation {
        Operation::CreateCustomer => return create(request, side, act),
        Operation::RevokeCustomer => {
            let account = request.rest.get(2).copied().unwrap_or_default();
            side.revoke_customer(request.site(), account, act).map_err(|_| unknown_people())?;
            return Ok(Answer::empty(204));
        }
        _ => {}
    }
    let desk = side.desk(request.site(), request.id()).ok_or_else(unknown)?;
    let (id, open) = (desk.id.clone(), desk.open);
    if matches!(request.operation, Operation::AddOrganization | Operation::RemoveOrganization) {
        let wanted: Organization = request.incoming.json().map_err(|_| invalid())?;
        let organization = wanted.organization_id.to_string();
        let present = request.operation == Operation::AddOrganization;
        let done = side.set_desk_organization((request.site(), &id), &organization, present, act);
        done.map_err(|it| if it == Refusal::UnknownGroup { unknown() } else { organizations::unknown() })?;
        return Ok(Answer::empty(204));
    }
    let present = request.operation == Operation::AddCustomers;
    if !present && open {
        let text = "Customers cannot be removed from a service desk that is open to everybody.";
        return Err(failure(400, "sd.customer.open.access", text));
    }
    let (known, all) = people(request, side)?;
    // Those who are known are added even where others are not (§6).
    for person in known {
        side.set_customer((request.site(), &id), person, present, act).map_err(|_| unknown())?;
    }
    if all { Ok(Answer::empty(204)) } else { Err(unknown_people()) }
}

/// The people that a body names and the site knows, and whether that is all of them.
pub(super) fn people(request: &Request<'_>, side: &AtlassianSide) -> Result<(Vec<Index>, bool), Answer> {
    let wanted: People = request.incoming.json().map_err(|_| invalid())?;
    let lives = |it: &Index| side.accounts().get(*it).is_some_and(|it| it.status != AccountStatus::Closed);
    let found =
        |id: &String| side.accounts().find(id).filter(|it| side.site_knows(request.site(), *it)).filter(|it| lives(it));
    let known: Vec<Index> = wanted.account_ids.iter().filter_map(found).collect();
    let all = known.len() == wanted.account_ids.len();
    Ok((known, all))
}

/// 400: somebody of the body is not on the site.
pub(super) fn unknown_people() -> Answer {
    failure(400, "sd.customer.not.found", "One or more of the users do not exist or cannot be customers.")
}

fn create(request: &Request<'_>, side: &mut AtlassianSide, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let wanted: NewCustomer = request.incoming.json().map_err(|_| invalid())?;
    let email = wanted.email.trim();
    if email.is_empty() || !email.contains('@') {
        return Err(failure(400, "sd.customer.email.invalid", "The email address is not valid."));
    }
    let name = wanted.display_name.or(wanted.full_name).unwrap_or_else(|| email.to_owned());
    if let Ok(person) = side.create_customer(request.site(), email, &name, act) {
        let account = side.accounts().get(person).ok_or_else(unknown_people)?;
        return Ok(Answer::json(201, shape::person(request, side, account)));
    }
    let strict = request.incoming.parameter("strictConflictStatusCode") == Some("true");
    let status = if strict { 409 } else { 400 };
    Err(failure(status, "sd.customer.exists", "An account already exists for this email."))
}
