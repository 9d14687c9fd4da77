//! Confluence's requests, `/rest/api` (§3). Adding and removing are documented as idempotent.

use model::{EdgeOp, GroupId, Lane};
use outbound::{Client, Method, Request};
use serde_json::{Value, json};

use super::{Write, names_in_pages};
use crate::target::{list, look};
use crate::{Answered, classify::dc};

pub(super) fn member(group: &GroupId, name: &str, op: EdgeOp) -> Write {
    let method = if op == EdgeOp::Add { Method::PUT } else { Method::DELETE };
    let request = Request::new(method, "/rest/api/user/{username}/group/{groupName}", &[name, group.as_str()]);
    Write { request, judge: dc::confluence_member, names: vec![name.to_owned()] }
}

pub(super) fn create_group(name: &str) -> Write {
    let request = Request::post("/rest/api/admin/group", &[]).json(json!({ "type": "group", "name": name }));
    Write { request, judge: dc::create, names: Vec::new() }
}

pub(super) fn delete_group(group: &GroupId) -> Write {
    let request = Request::new(Method::DELETE, "/rest/api/admin/group/{groupName}", &[group.as_str()]);
    Write { request, judge: dc::delete_group, names: Vec::new() }
}

pub(super) fn find_group(name: &str) -> (Request, &'static str) {
    (Request::get("/rest/api/group/info", &[]).query("groupName", name), "")
}

/// Whether there are groups in the group; `None`: that could not be read.
pub(super) async fn nests(client: &Client, lane: Lane, group: &GroupId) -> Option<bool> {
    let request = Request::get("/rest/api/group/groupmember", &[]).query("groupName", group.as_str()).lane(lane);
    let page = look(client, &request).await.ok().flatten()?;
    Some(!list(&page, "/results").is_empty())
}

pub(super) async fn groups_of(client: &Client, lane: Lane, name: &str) -> Result<Option<Vec<String>>, Answered> {
    let page = |start: u64| {
        let request = Request::get("/rest/api/user/memberof", &[]).query("username", name).query("limit", "200");
        request.query("start", start.to_string()).lane(lane)
    };
    let next = |page: &Value, start: u64| {
        page.pointer("/_links/next")?;
        Some(start.saturating_add(page.get("size").and_then(Value::as_u64).unwrap_or(0)))
    };
    names_in_pages(client, "/results", page, next).await
}
