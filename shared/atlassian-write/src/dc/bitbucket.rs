//! Bitbucket's requests, `/rest/api/latest` (§4): the one product that takes many additions at once.

use model::{GroupId, Lane};
use outbound::{Client, Method, Request};
use serde_json::{Value, json};

use super::{Write, names_in_pages};
use crate::target::{list, look, text};
use crate::{Answered, classify::dc};

const GROUPS: &str = "/rest/api/latest/admin/groups";
const USERS: &str = "/rest/api/latest/admin/users";

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

/// The user of that name, as the list of users shows it.
pub(super) async fn user(client: &Client, lane: Lane, name: &str) -> Result<Option<Value>, Answered> {
    let request = Request::get(USERS, &[]).query("filter", name).query("limit", "1000").lane(lane);
    let page = look(client, &request).await?.unwrap_or_default();
    Ok(list(&page, "/values").iter().find(|it| text(it, "/name").eq_ignore_ascii_case(name)).cloned())
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
