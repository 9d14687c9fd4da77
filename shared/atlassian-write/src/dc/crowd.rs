//! Crowd's requests, `/rest/usermanagement/1` (§5).

use model::{EdgeOp, GroupId, Lane};
use outbound::{Client, Method, Request};
use serde_json::{Value, json};

use super::{Write, names_in_pages};
use crate::target::list;
use crate::{Answered, classify::dc};

const GROUP: &str = "/rest/usermanagement/1/group";
const MEMBER: &str = "/rest/usermanagement/1/group/user/direct";

/// Groups per page.
const PAGE: usize = 1_000;

/// The group is in the address and the user in the body: who is not there is a 400, a group that is not there a 404.
pub(super) fn member(group: &GroupId, name: &str, op: EdgeOp) -> Write {
    let request = match op {
        EdgeOp::Add => Request::post(MEMBER, &[]).json(json!({ "name": name })),
        EdgeOp::Remove => Request::new(Method::DELETE, MEMBER, &[]).query("username", name),
    };
    let judge = if op == EdgeOp::Add { dc::crowd_add } else { dc::crowd_remove };
    Write { request: request.query("groupname", group.as_str()), judge, names: vec![name.to_owned()] }
}

pub(super) fn create_group(name: &str, description: &str) -> Write {
    let body = json!({ "name": name, "type": "GROUP", "description": description, "active": true });
    Write { request: Request::post(GROUP, &[]).json(body), judge: dc::crowd_create, names: Vec::new() }
}

pub(super) fn delete_group(group: &GroupId) -> Write {
    let request = Request::new(Method::DELETE, GROUP, &[]).query("groupname", group.as_str());
    Write { request, judge: dc::delete_group, names: Vec::new() }
}

pub(super) fn find_group(name: &str) -> (Request, &'static str) {
    (Request::get(GROUP, &[]).query("groupname", name), "")
}

pub(super) async fn groups_of(client: &Client, lane: Lane, name: &str) -> Result<Option<Vec<String>>, Answered> {
    let page = |start: u64| {
        let request = Request::get("/rest/usermanagement/1/user/group/direct", &[]).query("username", name);
        request.query("max-results", PAGE.to_string()).query("start-index", start.to_string()).lane(lane)
    };
    let next = |page: &Value, start: u64| {
        let came = list(page, "/groups").len();
        (came >= PAGE).then(|| start.saturating_add(came as u64))
    };
    names_in_pages(client, "/groups", page, next).await
}
