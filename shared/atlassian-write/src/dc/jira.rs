//! Jira's requests, `/rest/api/2` (§2).

use model::{EdgeOp, GroupId, Lane};
use outbound::{Client, Method, Request};
use serde_json::json;

use super::Write;
use crate::target::{list, look, text};
use crate::{Answered, classify::dc};

const GROUP: &str = "/rest/api/2/group";
const MEMBER: &str = "/rest/api/2/group/user";
const USER: &str = "/rest/api/2/user";

pub(super) fn member(group: &GroupId, name: &str, op: EdgeOp) -> Write {
    let request = match op {
        EdgeOp::Add => Request::post(MEMBER, &[]).json(json!({ "name": name })),
        EdgeOp::Remove => Request::new(Method::DELETE, MEMBER, &[]).query("username", name),
    };
    let judge = if op == EdgeOp::Add { dc::jira_add } else { dc::jira_remove };
    Write { request: request.query("groupname", group.as_str()), judge, names: vec![name.to_owned()] }
}

pub(super) fn create_group(name: &str) -> Write {
    let request = Request::post(GROUP, &[]).json(json!({ "name": name }));
    Write { request, judge: dc::jira_create_group, names: Vec::new() }
}

pub(super) fn delete_group(group: &GroupId) -> Write {
    let request = Request::new(Method::DELETE, GROUP, &[]).query("groupname", group.as_str());
    Write { request, judge: dc::delete_group, names: Vec::new() }
}

/// The type-ahead, asked for the whole name: what it shows first is what begins with it.
pub(super) fn find_group(name: &str) -> (Request, &'static str) {
    let request = Request::get("/rest/api/2/groups/picker", &[]).query("query", name).query("maxResults", "10000");
    (request, "/groups")
}

pub(super) async fn groups_of(client: &Client, lane: Lane, name: &str) -> Result<Option<Vec<String>>, Answered> {
    let request = Request::get(USER, &[]).query("username", name).query("expand", "groups").lane(lane);
    let found = look(client, &request).await?;
    Ok(found.map(|user| list(&user, "/groups/items").iter().map(|it| text(it, "/name").to_owned()).collect()))
}
