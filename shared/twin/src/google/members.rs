//! Reading and writing memberships.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::dialect::error;
use super::directory::{Context, Outcome};
use super::groups::{found, object, text};
use super::show::{self, Paging};
use crate::engine::Answer;
use crate::world::Cause;
use crate::world::google::{MemberKind, Membership, Outsider, Owner, Refused, Role, lower};

/// members.list: pages of up to 200, by address (google.md §1.6).
pub(super) fn list(context: &mut Context<'_>) -> Outcome {
    let paging = Paging::read(context, 200, 200, false)?;
    if paging.is_too_long(context.view.now) {
        return Ok(error(503, "backendError", "Service unavailable. Please try again", None));
    }
    let roles = roles(context.wire.parameter("roles").unwrap_or_default())?;
    let derived = context.wire.parameter("includeDerivedMembership").is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let view = context.view;
    let (_, record) = context.world.google.readable_group(context.wire.segment(1), view.read_at)?;
    let id = Arc::clone(&record.id);
    let fits = |id: &str, it: &Membership| (roles.is_empty() || roles.contains(&it.role)) && view.shows(id);
    let mut found: Vec<(String, Arc<str>, Membership)> = Vec::new();
    if derived {
        let all = context.world.google.derived_members(&id, view.read_at);
        let all = all.into_iter().map(|((address, id), it)| (format!("{address}\n{id}"), id, it));
        found.extend(all.filter(|(key, id, it)| *key > paging.after && fits(id, it)).take(paging.size + 1));
    } else {
        let mut after = paging.after.clone();
        while found.len() <= paging.size {
            let chunk = context.world.google.members_after(&id, &after, view.read_at);
            let Some((last, _, _)) = chunk.last() else {
                break;
            };
            after.clone_from(last);
            found.extend(chunk.into_iter().filter(|(_, id, it)| fits(id, it)));
        }
    }
    let google = &context.world.google;
    let shown =
        |(key, id, it): (String, Arc<str>, Membership)| (key, show::member(google, &id, &it, view.read_at, false));
    let items: Vec<(String, Value)> = found.into_iter().take(paging.size + 1).map(shown).collect();
    Ok(paging.answer("admin#directory#members", "members", items))
}

/// members.get by id, address or alias.
pub(super) fn get(context: &mut Context<'_>) -> Outcome {
    let at = context.view.read_at;
    let google = &context.world.google;
    let (group, _) = google.readable_group(context.wire.segment(1), at)?;
    let id = member_id(context)?;
    let membership = group.member(&id, at).ok_or(Refused::NotFound("memberKey"))?;
    Ok(Answer::json(200, show::member(google, &id, membership, at, true)))
}

/// members.hasMember: nested memberships count; a member outside the group's domain is an invalid input.
pub(super) fn has_member(context: &mut Context<'_>) -> Outcome {
    let at = context.view.read_at;
    let google = &context.world.google;
    let (_, record) = google.readable_group(context.wire.segment(1), at)?;
    let key = context.wire.segment(3);
    let owner = google.owner(key).ok_or(Refused::NotFound("memberKey"))?;
    let domain = |address: &str| address.rsplit_once('@').map(|(_, domain)| lower(domain));
    if google.address_of(owner.id(), at).map(domain) != Some(domain(&record.email)) {
        return Err(Refused::Invalid("Invalid Input: memberKey".to_owned()));
    }
    Ok(Answer::json(200, json!({ "isMember": google.has_member(&record.id, &owner, at) })))
}

/// members.insert: by address or id; strangers become known by it, a cycle is refused with 412.
pub(super) fn insert(context: &mut Context<'_>) -> Outcome {
    let body = object(context)?;
    let group = found(context)?;
    let role = role(text(&body, "role"))?.unwrap_or(Role::Member);
    let cause = Cause::from(context.view);
    let world = &mut *context.world;
    let key = text(&body, "email").or_else(|| text(&body, "id")).ok_or(Refused::Required("memberKey"))?;
    let (id, kind) = match world.google.owner(key) {
        Some(Owner::Group(id)) => (id, MemberKind::Group),
        Some(owner) => (Arc::clone(owner.id()), MemberKind::User),
        None if key == world.google.customer_id => (Arc::from(key), MemberKind::Customer),
        None if !key.contains('@') || world.google.is_ours(key) => return Err(Refused::NotFound("memberKey")),
        None => {
            let id = world.google.fresh_id("11");
            let stranger = Outsider { email: key.to_owned(), given_name: String::new(), family_name: String::new() };
            world.google.put_outsider(&id, stranger, &cause, &mut world.log);
            (id, MemberKind::User)
        }
    };
    let membership = Membership { kind, role, as_written: None, version: 0 };
    world.google.add_member(&group, &id, membership, true, &cause, &mut world.log)?;
    shown(context, &group, &id)
}

/// members.update and members.patch: the role is all that can change.
pub(super) fn update(context: &mut Context<'_>) -> Outcome {
    let body = object(context)?;
    let group = found(context)?;
    let id = member_id(context)?;
    let cause = Cause::from(context.view);
    let world = &mut *context.world;
    if let Some(role) = role(text(&body, "role"))? {
        world.google.set_role(&group, &id, role, &cause, &mut world.log)?;
    }
    shown(context, &group, &id)
}

/// members.delete by id, address or alias.
pub(super) fn delete(context: &mut Context<'_>) -> Outcome {
    let group = found(context)?;
    let id = member_id(context)?;
    let cause = Cause::from(context.view);
    let world = &mut *context.world;
    world.google.remove_member(&group, &id, &cause, &mut world.log)?;
    Ok(Answer::empty(204))
}

fn member_id(context: &Context<'_>) -> Result<Arc<str>, Refused> {
    let key = context.wire.segment(3);
    match context.world.google.owner(key) {
        Some(owner) => Ok(Arc::clone(owner.id())),
        None if key == context.world.google.customer_id => Ok(Arc::from(key)),
        None => Err(Refused::NotFound("memberKey")),
    }
}

fn shown(context: &Context<'_>, group: &str, id: &str) -> Outcome {
    let google = &context.world.google;
    let group = google.group(group).ok_or(Refused::NotFound("groupKey"))?;
    let membership = group.member(id, i64::MAX).ok_or(Refused::NotFound("memberKey"))?;
    Ok(Answer::json(200, show::member(google, id, membership, i64::MAX, true)))
}

fn role(text: Option<&str>) -> Result<Option<Role>, Refused> {
    let read = |text: &str| Role::read(text).ok_or_else(|| Refused::Invalid("Invalid Input: role".to_owned()));
    text.map(read).transpose()
}

fn roles(text: &str) -> Result<BTreeSet<Role>, Refused> {
    let names = text.split(',').map(str::trim).filter(|it| !it.is_empty());
    names.map(|it| Role::read(it).ok_or_else(|| Refused::Invalid("Invalid Input: roles".to_owned()))).collect()
}
