//! Reading and writing groups.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::directory::{Context, Outcome};
use super::query::GroupQuery;
use super::show::{self, Paging};
use crate::engine::Answer;
use crate::world::Cause;
use crate::world::google::{Group, GroupRecord, Owner, Refused, lower};

/// groups.list: pages of up to 200, by address; all of the customer, of a domain, or those that list somebody directly
/// (google.md §1.5).
pub(super) fn list(context: &mut Context<'_>) -> Outcome {
    let paging = Paging::read(context, 200, 200, false)?;
    let query = GroupQuery::parse(context.wire.parameter("query").unwrap_or_default())?;
    let domain = scope(context)?;
    let (google, view) = (&context.world.google, context.view);
    let fits = |it: &GroupRecord| {
        domain.as_ref().is_none_or(|domain| lower(&it.email).ends_with(&format!("@{domain}")))
            && query.matches(it)
            && view.shows(&it.id)
    };
    let key = context.wire.parameter("userKey").or(query.member_key.as_deref());
    let items: Vec<(String, Value)> = if let Some(key) = key {
        let member = match google.owner(key) {
            Some(Owner::Outsider(_)) if query.member_key.is_none() => return Err(Refused::Forbidden),
            Some(owner) => owner,
            None => return Err(Refused::NotFound("userKey")),
        };
        let mut groups: Vec<(String, &Group, &Arc<GroupRecord>)> = google
            .groups_of(member.id(), view.read_at)
            .filter(|(_, it)| fits(it))
            .map(|(group, it)| (format!("{}\n{}", lower(&it.email), it.id), group, it))
            .collect();
        groups.sort_by(|a, b| a.0.cmp(&b.0));
        let rest = groups.into_iter().filter(|(key, _, _)| *key > paging.after);
        rest.take(paging.size + 1).map(|(key, group, it)| (key, show::group(group, it))).collect()
    } else {
        let groups = google.groups_after(&paging.after, view.read_at).filter(|(_, _, it)| fits(it));
        groups.take(paging.size + 1).map(|(key, group, it)| (key, show::group(group, it))).collect()
    };
    Ok(paging.answer("admin#directory#groups", "groups", items))
}

/// groups.get by id, address or alias.
pub(super) fn get(context: &mut Context<'_>) -> Outcome {
    let (group, record) = context.world.google.readable_group(context.wire.segment(1), context.view.read_at)?;
    Ok(Answer::json(200, show::group(group, record)))
}

/// groups.insert: only the address is required.
pub(super) fn insert(context: &mut Context<'_>) -> Outcome {
    let body = object(context)?;
    let email = text(&body, "email").ok_or(Refused::Required("email"))?.to_owned();
    if !context.world.google.is_ours(&email) {
        return Err(Refused::DomainNotFound);
    }
    let local = email.split('@').next().unwrap_or_default();
    let name = text(&body, "name").unwrap_or(local);
    let cause = Cause::from(context.view);
    let world = &mut *context.world;
    let id = world.google.fresh_id("02");
    let record = GroupRecord::new(id, &email, name, text(&body, "description").unwrap_or_default());
    let record = world.google.create_group(record, false, &cause, &mut world.log)?;
    shown(context, &record.id)
}

/// groups.update and groups.patch: only what is named changes.
pub(super) fn update(context: &mut Context<'_>) -> Outcome {
    let body = object(context)?;
    let id = found(context)?;
    if text(&body, "email").is_some_and(|it| !context.world.google.is_ours(it)) {
        return Err(Refused::DomainNotFound);
    }
    let cause = Cause::from(context.view);
    let world = &mut *context.world;
    let change = |record: &mut GroupRecord| {
        for (name, field) in
            [("email", &mut record.email), ("name", &mut record.name), ("description", &mut record.description)]
        {
            if let Some(value) = text(&body, name) {
                value.clone_into(field);
            }
        }
    };
    world.google.change_group(&id, change, false, &cause, &mut world.log)?;
    shown(context, &id)
}

/// groups.delete; memberships go, people stay.
pub(super) fn delete(context: &mut Context<'_>) -> Outcome {
    let id = found(context)?;
    let cause = Cause::from(context.view);
    let world = &mut *context.world;
    world.google.delete_group(&id, &cause, &mut world.log)?;
    Ok(Answer::empty(204))
}

/// The id of the group in the path, as it truly is.
pub(super) fn found(context: &Context<'_>) -> Result<String, Refused> {
    let (_, record) = context.world.google.readable_group(context.wire.segment(1), i64::MAX)?;
    Ok(record.id.to_string())
}

/// The JSON object in the body.
pub(super) fn object(context: &Context<'_>) -> Result<Map<String, Value>, Refused> {
    context.wire.object().ok_or(Refused::BadRequest("Parse Error"))
}

/// A text attribute of the body.
pub(super) fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
}

fn shown(context: &Context<'_>, id: &str) -> Outcome {
    let group = context.world.google.group(id).ok_or(Refused::NotFound("groupKey"))?;
    let record = group.seen(i64::MAX).ok_or(Refused::NotFound("groupKey"))?;
    Ok(Answer::json(200, show::group(group, record)))
}

/// `domain` wins over `customer`; `customer` and `userKey` exclude each other; neither means our customer.
fn scope(context: &Context<'_>) -> Result<Option<String>, Refused> {
    let google = &context.world.google;
    if let Some(domain) = context.wire.parameter("domain") {
        let domain = lower(domain);
        return if google.domains.contains(&domain) { Ok(Some(domain)) } else { Err(Refused::DomainNotFound) };
    }
    match (context.wire.parameter("customer"), context.wire.parameter("userKey")) {
        (Some(_), Some(_)) => Err(Refused::BadRequest("Bad Request")),
        (Some("my_customer") | None, _) => Ok(None),
        (Some(id), None) if id == google.customer_id => Ok(None),
        (Some(_), None) => Err(Refused::Invalid("Invalid Input: customer".to_owned())),
    }
}
