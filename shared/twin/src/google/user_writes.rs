//! Writing users.

use serde_json::{Map, Value};

use super::directory::{Context, Outcome};
use super::groups::{object, text};
use super::show;
use super::users::find;
use crate::engine::Answer;
use crate::world::Cause;
use crate::world::google::{Refused, UserRecord};

/// What clients may send and the API ignores; the password is never kept.
const READ_ONLY: [&str; 14] = [
    "password",
    "hashFunction",
    "id",
    "kind",
    "etag",
    "isAdmin",
    "isDelegatedAdmin",
    "aliases",
    "nonEditableAliases",
    "customerId",
    "creationTime",
    "lastLoginTime",
    "emails",
    "isMailboxSetup",
];

/// users.insert: address, both names and a password are required; the password is not kept.
pub(super) fn insert(context: &mut Context<'_>) -> Outcome {
    let body = object(context)?;
    let email = text(&body, "primaryEmail").ok_or(Refused::Required("primaryEmail"))?;
    if !context.world.google.is_ours(email) {
        return Err(Refused::DomainNotFound);
    }
    let name = body.get("name").and_then(Value::as_object).ok_or(Refused::Required("name"))?;
    let given = text(name, "givenName").ok_or(Refused::Required("name.givenName"))?;
    let family = text(name, "familyName").ok_or(Refused::Required("name.familyName"))?;
    text(&body, "password").ok_or(Refused::Required("password"))?;
    let cause = Cause::from(context.view);
    let world = &mut *context.world;
    let id = world.google.fresh_id("100");
    let mut record = UserRecord::new(id, email, given, family);
    record.created_at = cause.at;
    assign(&mut record, &body);
    let record = world.google.create_user(record, false, &cause, &mut world.log)?;
    Ok(Answer::json(200, show::user(&world.google, &record, true)))
}

/// users.update and users.patch: both change only what is named.
pub(super) fn update(context: &mut Context<'_>) -> Outcome {
    let body = object(context)?;
    let id = true_id(context)?;
    if text(&body, "primaryEmail").is_some_and(|it| !context.world.google.is_ours(it)) {
        return Err(Refused::DomainNotFound);
    }
    let cause = Cause::from(context.view);
    let world = &mut *context.world;
    let record = world.google.change_user(&id, |it| assign(it, &body), false, &cause, &mut world.log)?;
    Ok(Answer::json(200, show::user(&world.google, &record, true)))
}

/// users.delete.
pub(super) fn delete(context: &mut Context<'_>) -> Outcome {
    let id = true_id(context)?;
    let cause = Cause::from(context.view);
    let world = &mut *context.world;
    world.google.delete_user(&id, &cause, &mut world.log)?;
    Ok(Answer::empty(204))
}

/// users.undelete, by id only.
pub(super) fn undelete(context: &mut Context<'_>) -> Outcome {
    let body = object(context)?;
    let path = text(&body, "orgUnitPath").unwrap_or("/").to_owned();
    let id = context.wire.segment(1).to_owned();
    let cause = Cause::from(context.view);
    let world = &mut *context.world;
    world.google.undelete_user(&id, &path, &cause, &mut world.log)?;
    Ok(Answer::empty(204))
}

/// users.makeAdmin.
pub(super) fn make_admin(context: &mut Context<'_>) -> Outcome {
    let body = object(context)?;
    let status = body.get("status").and_then(Value::as_bool).ok_or(Refused::Required("status"))?;
    let id = true_id(context)?;
    let cause = Cause::from(context.view);
    let world = &mut *context.world;
    world.google.change_user(&id, |it| it.is_admin = status, false, &cause, &mut world.log)?;
    Ok(Answer::empty(204))
}

/// The id of the user in the path, worded as reads would when there is none.
fn true_id(context: &Context<'_>) -> Result<String, Refused> {
    find(context, context.wire.segment(1)).map(|it| it.id.to_string())
}

/// Takes over what the body names. What the twin has no rule for is kept and shown as it was sent.
fn assign(record: &mut UserRecord, body: &Map<String, Value>) {
    for (name, value) in body {
        match (name.as_str(), value) {
            ("primaryEmail", Value::String(it)) => it.clone_into(&mut record.primary_email),
            ("name", Value::Object(parts)) => assign_name(record, parts),
            ("suspended", Value::Bool(it)) => record.suspended = *it,
            ("archived", Value::Bool(it)) => record.archived = *it,
            ("orgUnitPath", Value::String(it)) => it.clone_into(&mut record.org_unit_path),
            (name, _) if READ_ONLY.contains(&name) => {}
            (_, Value::Null) => {
                record.further.remove(name);
            }
            _ => {
                record.further.insert(name.clone(), value.clone());
            }
        }
    }
}

fn assign_name(record: &mut UserRecord, parts: &Map<String, Value>) {
    if let Some(it) = text(parts, "givenName") {
        it.clone_into(&mut record.given_name);
    }
    if let Some(it) = text(parts, "familyName") {
        it.clone_into(&mut record.family_name);
    }
    if let Some(it) = parts.get("displayName") {
        record.further.insert("displayName".to_owned(), it.clone());
    }
}
