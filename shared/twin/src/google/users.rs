//! Reading users and the customer.

use std::sync::Arc;

use serde_json::{Value, json};

use super::directory::{Context, Outcome};
use super::query::UserQuery;
use super::show::{self, Paging};
use crate::engine::Answer;
use crate::engine::clock::rfc3339;
use crate::world::google::{Owner, Refused, UserRecord, lower};

/// users.list: pages of up to 500, all domains of the customer or one of them (google.md §1.4).
pub(super) fn list(context: &mut Context<'_>) -> Outcome {
    let paging = Paging::read(context, 100, 500, true)?;
    let domain = scope(context)?;
    let query = UserQuery::parse(context.wire.parameter("query").unwrap_or_default())?;
    let full = projects_custom(context)?;
    let deleted = context.wire.parameter("showDeleted").is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let (google, view) = (&context.world.google, context.view);
    let fits = |it: &UserRecord| {
        domain.as_ref().is_none_or(|domain| domain_of(&it.primary_email) == *domain)
            && query.matches(it)
            && view.shows(&it.id)
    };
    let shown = |(key, it): (String, &Arc<UserRecord>)| (key, show::user(google, it, full));
    let items: Vec<(String, Value)> = if deleted {
        let mut gone: Vec<(String, &Arc<UserRecord>)> =
            google.deleted_users(view.now).filter(|it| fits(it)).map(|it| (sort_key(it), it)).collect();
        gone.sort_by(|a, b| a.0.cmp(&b.0));
        gone.into_iter().filter(|(key, _)| *key > paging.after).take(paging.size + 1).map(shown).collect()
    } else if let Some(order) = other_order(context)? {
        let mut users: Vec<(String, &Arc<UserRecord>)> = google
            .users_after("", view.read_at)
            .filter(|(_, it)| fits(it))
            .map(|(_, it)| (order.key(it), it))
            .collect();
        users.sort_by(|a, b| if order.descending { b.0.cmp(&a.0) } else { a.0.cmp(&b.0) });
        let start = users.iter().position(|(key, _)| *key == paging.after).map_or(0, |it| it + 1);
        users.into_iter().skip(start).take(paging.size + 1).map(shown).collect()
    } else {
        let users = google.users_after(&paging.after, view.read_at).filter(|(_, it)| fits(it));
        users.take(paging.size + 1).map(shown).collect()
    };
    Ok(paging.answer("admin#directory#users", "users", items))
}

/// users.get by id, primary address or alias.
pub(super) fn get(context: &mut Context<'_>) -> Outcome {
    let full = projects_custom(context)?;
    let record = find(context, context.wire.segment(1))?;
    Ok(Answer::json(200, show::user(&context.world.google, &record, full)))
}

/// customers.get, for `my_customer` or the customer's own id.
pub(super) fn customer(context: &mut Context<'_>) -> Outcome {
    let google = &context.world.google;
    let key = context.wire.segment(1);
    if key != "my_customer" && key != google.customer_id {
        return Err(Refused::NotFound("customerKey"));
    }
    Ok(Answer::json(
        200,
        json!({
            "kind": "admin#directory#customer",
            "etag": show::etag("customer", &google.customer_id),
            "id": google.customer_id,
            "customerDomain": google.primary_domain,
            "customerCreationTime": rfc3339(0),
            "language": "en",
        }),
    ))
}

/// A user as this call may see it. Others are worded as Google does (google.md §1.6): a group is a type not supported,
/// a person of another organization is forbidden, everybody else is not found.
pub(super) fn find(context: &Context<'_>, key: &str) -> Result<Arc<UserRecord>, Refused> {
    let google = &context.world.google;
    let id = match google.owner(key) {
        Some(Owner::User(id)) => id,
        Some(Owner::Group(_)) => return Err(Refused::BadRequest("Type not supported: userKey")),
        Some(Owner::Outsider(_)) if !is_consumer(key) => return Err(Refused::Forbidden),
        Some(Owner::Outsider(_)) | None => return Err(Refused::NotFound("userKey")),
    };
    let record = google.user(&id, context.view.read_at).ok_or(Refused::NotFound("userKey"))?;
    if key.contains('@') && !record.answers_to(key) {
        return Err(Refused::NotFound("userKey"));
    }
    Ok(Arc::clone(record))
}

/// Addresses of Google's consumer service answer 404, those of other organizations 403.
fn is_consumer(key: &str) -> bool {
    let key = lower(key);
    key.ends_with("@gmail.com") || key.ends_with("@googlemail.com")
}

/// The domain that a list is limited to, after checking that `customer` or `domain` is ours.
fn scope(context: &Context<'_>) -> Result<Option<String>, Refused> {
    let google = &context.world.google;
    if let Some(domain) = context.wire.parameter("domain") {
        let domain = lower(domain);
        return if google.domains.contains(&domain) { Ok(Some(domain)) } else { Err(Refused::DomainNotFound) };
    }
    match context.wire.parameter("customer") {
        Some("my_customer") => Ok(None),
        Some(id) if id == google.customer_id => Ok(None),
        Some(_) => Err(Refused::Invalid("Invalid Input: customer".to_owned())),
        None => Err(Refused::BadRequest("Bad Request")),
    }
}

fn projects_custom(context: &Context<'_>) -> Result<bool, Refused> {
    let view = context.wire.parameter("viewType").unwrap_or("admin_view");
    if !["admin_view", "domain_public"].contains(&view) {
        return Err(Refused::Invalid(format!("Invalid value '{view}'")));
    }
    match context.wire.parameter("projection") {
        None | Some("basic") => Ok(false),
        Some("full" | "custom") => Ok(true),
        Some(other) => Err(Refused::Invalid(format!("Invalid value '{other}'"))),
    }
}

/// An order other than by address, rising.
struct Order {
    by: String,
    descending: bool,
}

impl Order {
    fn key(&self, it: &UserRecord) -> String {
        let first = match self.by.as_str() {
            "givenname" => lower(&it.given_name),
            "familyname" => lower(&it.family_name),
            _ => String::new(),
        };
        format!("{first}\n{}", sort_key(it))
    }
}

fn other_order(context: &Context<'_>) -> Result<Option<Order>, Refused> {
    let by = context.wire.parameter("orderBy").unwrap_or("email").to_ascii_lowercase();
    if !["email", "givenname", "familyname"].contains(&by.as_str()) {
        return Err(Refused::Invalid(format!("Invalid value '{by}'")));
    }
    let descending = match context.wire.parameter("sortOrder").unwrap_or("ASCENDING").to_ascii_uppercase().as_str() {
        "ASCENDING" => false,
        "DESCENDING" => true,
        other => return Err(Refused::Invalid(format!("Invalid value '{other}'"))),
    };
    Ok((by != "email" || descending).then_some(Order { by, descending }))
}

fn sort_key(it: &UserRecord) -> String {
    format!("{}\n{}", lower(&it.primary_email), it.id)
}

fn domain_of(address: &str) -> String {
    address.rsplit_once('@').map(|(_, domain)| lower(domain)).unwrap_or_default()
}
