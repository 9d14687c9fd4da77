//! Bitbucket's requests, `/rest/api/latest` (§4): the one product that takes many additions at once.

use model::{Disposition, GroupId, Lane, Rejection};
use outbound::{Client, Method, Request, Turn};
use serde_json::{Value, json};

use super::{DcWriter, Write, names_in_pages};
use crate::target::{list, look, not_here, text};
use crate::{Answered, classify::dc};

const GROUPS: &str = "/rest/api/latest/admin/groups";
const USERS: &str = "/rest/api/latest/admin/users";
pub(super) const DIRECTORIES: &str = "/rest/api/latest/admin/user-directories";
const GROUP_PERMISSIONS: &str = "/rest/api/latest/admin/permissions/groups";
const OWN_PERMISSIONS: &str = "/rest/api/latest/admin/permissions/users";

/// What is said where nothing may be taken that lets somebody in.
const BY_OTHERS: &str = "still let in: by a group of administrators, a group in a group, or a directory that is only read; \
                         take that away there";

/// All of them or, when it is refused, none that we could count on: the batch is halved then.
pub(super) fn add(group: &GroupId, names: Vec<&str>) -> Write {
    let request = Request::post("/rest/api/latest/admin/groups/add-users", &[]);
    let request = request.json(json!({ "group": group, "users": names }));
    let judge = if names.len() > 1 { dc::bitbucket_add_many } else { dc::bitbucket_add };
    Write { request, judge, names: names.into_iter().map(str::to_owned).collect() }
}

/// The user is the context and the group the item: the other way round than in the older operation.
pub(super) fn remove(group: &GroupId, name: &str) -> Write {
    let request = Request::post("/rest/api/latest/admin/users/remove-group", &[]);
    let request = request.json(json!({ "context": name, "itemName": group }));
    Write { request, judge: dc::bitbucket_remove, names: vec![name.to_owned()] }
}

pub(super) fn create_group(name: &str) -> Write {
    Write { request: Request::post(GROUPS, &[]).query("name", name), judge: dc::create, names: Vec::new() }
}

pub(super) fn delete_group(group: &GroupId) -> Write {
    let request = Request::new(Method::DELETE, GROUPS, &[]).query("name", group.as_str());
    Write { request, judge: dc::delete_group, names: Vec::new() }
}

pub(super) fn find_group(name: &str) -> (Request, &'static str) {
    (Request::get(GROUPS, &[]).query("filter", name).query("limit", "1000"), "/values")
}

/// What lets somebody in.
#[derive(Debug, PartialEq, Eq)]
enum Lever {
    /// A group with a global permission.
    Group(GroupId),
    /// A permission of their own.
    Own,
}

/// Takes one of the things away that let somebody in: a group of theirs that gives a global permission, or the permission
/// of their own. Bitbucket deactivates nobody, and who has no global permission may not sign in and takes no seat (§0.4).
/// One change a call, for each is admitted by itself: what is left is the next attempt's.
pub(super) async fn lock_out(writer: &DcWriter, turn: &Turn, name: &str) -> Answered {
    match levers(&writer.client, turn.lane(), name).await {
        Ok(None) => not_here("nothing lets them in").with(Disposition::AlreadySo),
        Ok(Some(levers)) => {
            let write = match levers.first() {
                Some(Lever::Group(group)) => remove(group, name),
                Some(Lever::Own) => revoke(name),
                None => return not_here(BY_OTHERS).with(Disposition::Reject(Rejection::Conflict)),
            };
            let answered = writer.send(turn, write).await.0;
            let more = levers.len() > 1;
            if more && answered.holds() { answered.with(Disposition::Retry { after: None }) } else { answered }
        }
        Err(failed) => failed,
    }
}

/// Whether a global permission lets somebody in.
pub(super) async fn is_let_in(client: &Client, lane: Lane, name: &str) -> Result<bool, Answered> {
    let request = Request::get("/rest/api/latest/users", &[]).query("permission", "LICENSED_USER");
    let rows = rows(client, &request.query("filter", name).lane(lane)).await?;
    Ok(rows.iter().any(|row| text(row, "/name").eq_ignore_ascii_case(name)))
}

/// What lets somebody in, of what may be taken; `None`: nothing lets them in. Groups of administrators are left: who
/// administers is nobody to be taken out by a machine.
async fn levers(client: &Client, lane: Lane, name: &str) -> Result<Option<Vec<Lever>>, Answered> {
    if !is_let_in(client, lane, name).await? {
        return Ok(None);
    }
    let permissions = rows(client, &Request::get(GROUP_PERMISSIONS, &[]).lane(lane)).await?;
    let own = rows(client, &Request::get(OWN_PERMISSIONS, &[]).query("filter", name).lane(lane)).await?;
    let groups = groups_of(client, lane, name).await?.unwrap_or_default();
    Ok(Some(levers_of(&groups, &permissions, &own, name)))
}

/// The rows of a list, of all its pages. A filter fits parts of names, addresses and shown names, so that whoever is meant
/// may stand on any of them.
async fn rows(client: &Client, first: &Request) -> Result<Vec<Value>, Answered> {
    /// More pages than anybody has people.
    const PAGES_MAX: usize = 10_000;
    let (mut rows, mut start) = (Vec::new(), 0);
    for _ in 0..PAGES_MAX {
        let request = first.clone().query("limit", "1000").query("start", start.to_string());
        let page = look(client, &request).await?.unwrap_or_default();
        rows.extend_from_slice(list(&page, "/values"));
        match page.get("nextPageStart").and_then(Value::as_u64).filter(|next| *next > start) {
            Some(next) => start = next,
            None => return Ok(rows),
        }
    }
    Err(not_here("the list does not end").with(Disposition::Unknown))
}

fn levers_of(groups: &[String], permissions: &[Value], own: &[Value], name: &str) -> Vec<Lever> {
    let gives = |rows: &[Value], pointer: &str, name: &str| {
        rows.iter().any(|row| {
            let administers = matches!(text(row, "/permission"), "ADMIN" | "SYS_ADMIN");
            !administers && text(row, pointer).eq_ignore_ascii_case(name)
        })
    };
    let groups = groups.iter().filter(|group| gives(permissions, "/group/name", group));
    let groups = groups.filter_map(|group| GroupId::new(group.as_str()).ok()).map(Lever::Group);
    groups.chain(gives(own, "/user/name", name).then_some(Lever::Own)).collect()
}

fn revoke(name: &str) -> Write {
    let request = Request::new(Method::DELETE, OWN_PERMISSIONS, &[]).query("name", name);
    Write { request, judge: dc::user, names: vec![name.to_owned()] }
}

/// The user of that name, as the list of users shows it.
pub(super) async fn user(client: &Client, lane: Lane, name: &str) -> Result<Option<Value>, Answered> {
    let found = rows(client, &Request::get(USERS, &[]).query("filter", name).lane(lane)).await?;
    Ok(found.into_iter().find(|it| text(it, "/name").eq_ignore_ascii_case(name)))
}

/// Nobody's groups are an empty list here: whether there is such a user is asked by itself.
pub(super) async fn groups_of(client: &Client, lane: Lane, name: &str) -> Result<Option<Vec<String>>, Answered> {
    let page = |start: u64| {
        let request = Request::get("/rest/api/latest/admin/users/more-members", &[]).query("context", name);
        request.query("limit", "1000").query("start", start.to_string()).lane(lane)
    };
    let next = |page: &Value, _: u64| page.get("nextPageStart").and_then(Value::as_u64);
    let groups = names_in_pages(client, "/values", page, next).await?;
    match groups {
        Some(groups) if groups.is_empty() => Ok(user(client, lane, name).await?.map(|_| groups)),
        groups => Ok(groups),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_lets_somebody_in_is_taken_and_administration_is_left() {
        let group = |name: &str, permission: &str| json!({ "group": { "name": name }, "permission": permission });
        let permissions =
            [group("Devs", "LICENSED_USER"), group("leads", "PROJECT_CREATE"), group("root", "SYS_ADMIN")];
        let person = |name: &str, permission: &str| json!({ "user": { "name": name }, "permission": permission });
        let own = [person("ann.b", "LICENSED_USER"), person("root", "ADMIN")];
        let of = ["devs", "leads", "root", "readers"].map(str::to_owned);
        let found = |name: &str| levers_of(&of, &permissions, &own, name);
        let groups = ["devs", "leads"].map(|name| Lever::Group(GroupId::new(name).unwrap()));
        assert_eq!(found("ann"), groups, "the permission is somebody else's, whose name begins with this one");
        assert_eq!(found("Ann.B").last(), Some(&Lever::Own));
        assert!(levers_of(&of[2..], &permissions, &own, "root").is_empty());
    }
}
