//! People of a site.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Operation, Request, error, shape};
use crate::engine::{Answer, Millis};
use crate::world::atlassian::{Account, Act, AtlassianSide, Authority, Index, Refusal, Standing, View};

/// `findUsers` looks at no more than so many matches.
const FOUND_AT_MOST: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewUser {
    #[serde(default)]
    email_address: String,
    #[serde(default)]
    products: Option<Vec<String>>,
    #[serde(default)]
    display_name: Option<String>,
}

/// GET of people.
pub(super) fn read(request: &Request<'_>, side: &AtlassianSide) -> Result<Answer, Answer> {
    let view = request.base(side)?;
    match request.operation {
        Operation::GetUser => {
            let person = asked(request, side, &view)?;
            let expand = request.incoming.parameter("expand").unwrap_or_default();
            let body = shape::user(request, side, &view, person, expand).ok_or_else(|| error::unknown_user(404))?;
            Ok(Answer::json(200, body))
        }
        Operation::UserGroups => {
            let person = asked(request, side, &view)?;
            let groups = view.groups_of(person).into_iter().filter_map(|it| view.group_at(it));
            Ok(Answer::json(200, groups.map(|it| shape::group_name(request, it)).collect()))
        }
        Operation::AllUsers => {
            let (start, count) = request.window(50, 1000)?;
            let people = everybody(request, side, &view).filter(|it| shows(request, side, *it)).skip(start).take(count);
            Ok(Answer::json(200, people.filter_map(|it| shape::user(request, side, &view, it, "")).collect()))
        }
        Operation::FindUsers => find(request, side, &view),
        Operation::BulkUsers => bulk(request, side, &view),
        Operation::GroupUserPicker => Ok(Answer::json(200, picker(request, side, &view))),
        _ => Err(error::messages(404, &["Not found"])),
    }
}

/// The people of the site, then its portal-only accounts.
fn everybody<'a>(
    request: &'a Request<'_>,
    side: &'a AtlassianSide,
    view: &'a View<'_>,
) -> impl Iterator<Item = Index> + 'a {
    let customers = side.portal_only(&request.site.name).filter(|_| side.switches.jira_lists_customers);
    view.people_after(None).chain(customers)
}

fn shows(request: &Request<'_>, side: &AtlassianSide, person: Index) -> bool {
    side.accounts().get(person).is_some_and(|it| request.view.shows(&it.id))
}

/// The person that `accountId` names.
fn asked(request: &Request<'_>, side: &AtlassianSide, view: &View<'_>) -> Result<Index, Answer> {
    let Some(id) = request.incoming.parameter("accountId") else {
        return Err(error::messages(400, &["The query parameter 'accountId' must be provided."]));
    };
    let unknown = || error::unknown_user(side.switches.jira_unknown_user_status);
    let known = |it: &Index| view.knows(*it) || side.is_portal_only(&request.site.name, *it);
    side.accounts().find(id).filter(known).ok_or_else(unknown)
}

fn find(request: &Request<'_>, side: &AtlassianSide, view: &View<'_>) -> Result<Answer, Answer> {
    let (query, account) = (request.incoming.parameter("query"), request.incoming.parameter("accountId"));
    if query.is_none() && account.is_none() && request.incoming.parameter("property").is_none() {
        return Err(error::messages(
            400,
            &["The query parameters 'query', 'accountId' or 'property' must be provided."],
        ));
    }
    if query.is_some() && account.is_some() {
        return Err(error::messages(400, &["The query and accountId parameters are mutually exclusive."]));
    }
    let (start, count) = request.window(50, 1000)?;
    let term = query.unwrap_or_default().to_lowercase();
    let hides = |it: &Account| side.switches.jira_hides_emails || it.email_hidden;
    let matches = |it: &Account| match account {
        Some(id) => it.id == id,
        None => {
            it.name.to_lowercase().split_whitespace().any(|word| word.starts_with(&term))
                || it.name.to_lowercase().starts_with(&term)
                || (!hides(it) && it.email.starts_with(&term))
                || (side.switches.jira_finds_hidden_emails && it.email.eq_ignore_ascii_case(&term))
        }
    };
    let people = everybody(request, side, view)
        .filter(|person| {
            side.accounts().get(*person).is_some_and(|it| matches(it) && shape::is_active(view.base(), *person, it))
        })
        .filter(|it| shows(request, side, *it))
        .take(FOUND_AT_MOST)
        .skip(start)
        .take(count);
    Ok(Answer::json(200, people.filter_map(|it| shape::user(request, side, view, it, "")).collect()))
}

fn bulk(request: &Request<'_>, side: &AtlassianSide, view: &View<'_>) -> Result<Answer, Answer> {
    let ids = request.incoming.parameters("accountId");
    if ids.is_empty() {
        return Err(error::messages(400, &["The accountId parameter must be provided."]));
    }
    let (start, count) = request.window(10, 200)?;
    let found: Vec<Index> = ids.iter().filter_map(|it| side.accounts().find(it)).filter(|it| view.knows(*it)).collect();
    let total = found.len();
    let people = found.into_iter().skip(start).take(count);
    let values = people.filter_map(|it| shape::user(request, side, view, it, "")).collect();
    Ok(Answer::json(200, shape::page(request, start, count, total, values)))
}

fn picker(request: &Request<'_>, side: &AtlassianSide, view: &View<'_>) -> Value {
    let query = request.incoming.parameter("query").unwrap_or_default().to_lowercase();
    let people: Vec<&Account> = view
        .people_after(None)
        .filter_map(|it| side.accounts().get(it).filter(|account| shape::is_active(view.base(), it, account)))
        .filter(|it| it.name.to_lowercase().contains(&query))
        .collect();
    let groups: Vec<Value> = view
        .groups_after(None)
        .filter(|(_, it)| it.name.to_lowercase().contains(&query))
        .map(|(_, it)| json!({ "name": it.name, "html": it.name, "labels": [], "groupId": it.id }))
        .collect();
    let users: Vec<Value> = people
        .iter()
        .take(50)
        .map(|it| json!({ "accountId": it.id, "accountType": it.kind.word(), "displayName": it.name, "html": it.name }))
        .collect();
    let header = |shown: usize, total: usize, what: &str| format!("Showing {shown} of {total} matching {what}");
    let shown: Vec<&Value> = groups.iter().take(side.switches.jira_picker_limit).collect();
    json!({
        "users": { "users": users, "total": people.len(), "header": header(users.len(), people.len(), "users") },
        "groups": { "groups": shown, "total": groups.len(), "header": header(shown.len(), groups.len(), "groups") },
    })
}

/// Creates or removes somebody.
pub(super) fn write(request: &Request<'_>, side: &mut AtlassianSide, act: &mut Act<'_>) -> Result<Answer, Answer> {
    if request.operation == Operation::CreateUser {
        return create(request, side, act);
    }
    let id = request.incoming.parameter("accountId").unwrap_or_default().to_owned();
    if id.is_empty() {
        return Err(error::messages(400, &["The accountId must be provided."]));
    }
    if id == request.caller {
        return Err(error::messages(400, &["You cannot delete yourself."]));
    }
    let base = side.base(request.key()).ok_or_else(error::unknown_group)?;
    let status = side.switches.jira_unknown_user_status;
    let here = |it: &Index| base.resident(*it).is_some_and(|it| it.standing != Standing::NoMembership);
    let person = side.accounts().find(&id).filter(here);
    let person = person.ok_or_else(|| error::unknown_user(status))?;
    side.evict(request.key(), person, act);
    Ok(Answer::empty(204))
}

/// An account with access answers 201 again; one without access is 400 (§4).
fn create(request: &Request<'_>, side: &mut AtlassianSide, act: &mut Act<'_>) -> Result<Answer, Answer> {
    let payload =
        |_| error::messages(400, &["Invalid request payload. Refer to the REST API documentation and try again."]);
    let wanted: NewUser = request.incoming.json().map_err(payload)?;
    if !wanted.email_address.contains('@') {
        return Err(error::field(400, "email", "You must specify a valid email address."));
    }
    let Some(products) = wanted.products else {
        return Err(error::field(400, "products", "products must be provided"));
    };
    let groups = default_groups(request, side, &products)?;
    let known = side.accounts().with_email(&wanted.email_address).first().copied();
    let key = request.key().clone();
    let resident = known.is_some_and(|it| side.base(&key).is_some_and(|base| base.resident(it).is_some()));
    let member = |it: Index| {
        side.base(&key)
            .is_some_and(|base| groups.iter().all(|id| base.group(id).is_some_and(|(_, g)| g.members.contains(&it))))
    };
    if let Some(person) = known.filter(|it| resident && !groups.is_empty() && !member(*it)) {
        let name = side.accounts().get(person).map(|it| it.name.clone()).unwrap_or_default();
        return Err(error::messages(400, &[&format!("User '{name}' exists but has no access to Jira")]));
    }
    let person = if let Some(person) = known {
        side.admit(&key, person, false, act);
        person
    } else {
        let name = wanted.display_name.unwrap_or_else(|| wanted.email_address.clone());
        side.create_account(&key, &wanted.email_address, &name, act)
    };
    let account = side.accounts().get(person).map(|it| it.id.clone()).unwrap_or_default();
    for group in &groups {
        match side.set_membership(&key, group, &account, true, &Authority::Administrator, act) {
            Ok(()) | Err(Refusal::AlreadyMember) => {}
            Err(it) => return Err(error::membership(it, &side.switches, &account, group)),
        }
    }
    let view = side.base(&key).ok_or_else(error::unknown_group)?.view(Millis::MAX);
    let body = shape::user(request, side, &view, person, "").ok_or_else(|| error::unknown_user(404))?;
    Ok(Answer::json(201, body))
}

/// Default groups of the products; a product without a free seat refuses the whole request before anything is made.
fn default_groups(request: &Request<'_>, side: &AtlassianSide, products: &[String]) -> Result<Vec<String>, Answer> {
    let view = side.base(request.key()).ok_or_else(error::unknown_group)?.view(Millis::MAX);
    let mut groups = Vec::new();
    for key in products {
        let Some(product) = shape::products(request, &view).find(|it| it.key == *key) else {
            return Err(error::field(400, "products", &format!("The product {key} is not available on this site.")));
        };
        let used = side.seat_holders(view.base(), product).len();
        if product.seats.is_some_and(|seats| used >= seats as usize) {
            return Err(error::messages(400, &["The number of licensed users has been exceeded."]));
        }
        let gives = |group: &crate::world::atlassian::Group| {
            group.default && crate::world::atlassian::UserBase::gives_seat(group, product)
        };
        groups.extend(view.groups_after(None).filter(|(_, it)| gives(it)).map(|(_, it)| it.id.clone()));
    }
    Ok(groups)
}
