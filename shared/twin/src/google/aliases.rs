//! Aliases of users and groups. Their lists are not paged.

use serde_json::{Value, json};

use super::directory::{Context, Outcome};
use super::groups::{found, object, text};
use super::show::etag;
use super::users::find;
use crate::engine::Answer;
use crate::world::Cause;
use crate::world::google::Refused;

/// users.aliases.list.
pub(super) fn list_of_user(context: &mut Context<'_>) -> Outcome {
    let record = find(context, context.wire.segment(1))?;
    Ok(list(&record.id, &record.primary_email, &record.aliases))
}

/// groups.aliases.list.
pub(super) fn list_of_group(context: &mut Context<'_>) -> Outcome {
    let (_, record) = context.world.google.readable_group(context.wire.segment(1), context.view.read_at)?;
    Ok(list(&record.id, &record.email, &record.aliases))
}

/// users.aliases.insert.
pub(super) fn insert_for_user(context: &mut Context<'_>) -> Outcome {
    let alias = new_alias(context)?;
    let id = find(context, context.wire.segment(1))?.id.to_string();
    let cause = Cause::from(context.view);
    let world = &mut *context.world;
    let change = |it: &mut crate::world::google::UserRecord| it.aliases.push(alias.clone());
    let record = world.google.change_user(&id, change, false, &cause, &mut world.log)?;
    Ok(Answer::json(200, one(&record.id, &record.primary_email, &alias)))
}

/// groups.aliases.insert.
pub(super) fn insert_for_group(context: &mut Context<'_>) -> Outcome {
    let alias = new_alias(context)?;
    let id = found(context)?;
    let cause = Cause::from(context.view);
    let world = &mut *context.world;
    let change = |it: &mut crate::world::google::GroupRecord| it.aliases.push(alias.clone());
    let record = world.google.change_group(&id, change, false, &cause, &mut world.log)?;
    Ok(Answer::json(200, one(&record.id, &record.email, &alias)))
}

/// users.aliases.delete.
pub(super) fn delete_of_user(context: &mut Context<'_>) -> Outcome {
    let record = find(context, context.wire.segment(1))?;
    let alias = held(context, &record.aliases)?;
    let cause = Cause::from(context.view);
    let world = &mut *context.world;
    let change = |it: &mut crate::world::google::UserRecord| it.aliases.retain(|it| !it.eq_ignore_ascii_case(&alias));
    world.google.change_user(&record.id, change, false, &cause, &mut world.log)?;
    Ok(Answer::empty(204))
}

/// groups.aliases.delete.
pub(super) fn delete_of_group(context: &mut Context<'_>) -> Outcome {
    let id = found(context)?;
    let aliases = context.world.google.group(&id).and_then(|it| it.seen(i64::MAX)).map(|it| it.aliases.clone());
    let alias = held(context, &aliases.unwrap_or_default())?;
    let cause = Cause::from(context.view);
    let world = &mut *context.world;
    let change = |it: &mut crate::world::google::GroupRecord| it.aliases.retain(|it| !it.eq_ignore_ascii_case(&alias));
    world.google.change_group(&id, change, false, &cause, &mut world.log)?;
    Ok(Answer::empty(204))
}

fn new_alias(context: &Context<'_>) -> Result<String, Refused> {
    let body = object(context)?;
    let alias = text(&body, "alias").ok_or(Refused::Required("alias"))?;
    if context.world.google.owner(alias).is_some() {
        return Err(Refused::Duplicate("Entity already exists."));
    }
    if context.world.google.is_ours(alias) { Ok(alias.to_owned()) } else { Err(Refused::DomainNotFound) }
}

fn held(context: &Context<'_>, aliases: &[String]) -> Result<String, Refused> {
    let alias = context.wire.segment(3);
    let missing = || Refused::Invalid("Invalid Input: resource_id".to_owned());
    aliases.iter().find(|it| it.eq_ignore_ascii_case(alias)).cloned().ok_or_else(missing)
}

fn list(id: &str, primary: &str, aliases: &[String]) -> Answer {
    let items: Vec<Value> = aliases.iter().map(|it| one(id, primary, it)).collect();
    let mut body = json!({"kind": "admin#directory#aliases", "etag": etag("aliases", (id, aliases))});
    if let Some(body) = body.as_object_mut().filter(|_| !items.is_empty()) {
        body.insert("aliases".to_owned(), Value::Array(items));
    }
    Answer::json(200, body)
}

fn one(id: &str, primary: &str, alias: &str) -> Value {
    json!({
        "kind": "admin#directory#alias",
        "id": id,
        "etag": etag("alias", (id, alias)),
        "alias": alias,
        "primaryEmail": primary,
    })
}
