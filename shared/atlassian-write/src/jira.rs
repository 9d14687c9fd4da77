//! Changing a Jira Cloud site that owns its groups: REST v3 (reference/atlassian-cloud.md §4). One write per edge and
//! no read per write.

use model::{AccountId, EdgeOp, GroupId, Lane};
use outbound::{Client, Method, Request, Turn};
use serde_json::{Value, json};

use crate::{
    Answered, Look, classify,
    target::{list, look, text},
};

/// One site, as its API token may change it.
#[derive(Debug, Clone)]
pub struct JiraWriter {
    client: Client,
}

impl JiraWriter {
    /// A writer through this client, whose base is the site.
    pub const fn new(client: Client) -> Self {
        Self { client }
    }

    /// The client behind it.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Adds or removes one membership, idempotently in its disposition.
    pub async fn change_member(&self, turn: &Turn, group: &GroupId, account: &AccountId, op: EdgeOp) -> Answered {
        let template = "/rest/api/3/group/user";
        let request = match op {
            EdgeOp::Add => Request::post(template, &[]).json(json!({ "accountId": account })),
            EdgeOp::Remove => Request::new(Method::DELETE, template, &[]).query("accountId", account.as_str()),
        };
        let request = request.query("groupId", group.as_str()).turn(turn);
        match self.client.send(&request).await {
            Ok(answer) => Answered::of(&self.client, &answer, |status, code, words| {
                classify::jira_member(op, status, code, words)
            }),
            Err(error) => Answered::failed(&error),
        }
    }

    /// Creates a group; the answer has its id. Jira's groups have no description.
    pub async fn create_group(&self, turn: &Turn, name: &str) -> Answered {
        let request = Request::post("/rest/api/3/group", &[]).json(json!({ "name": name })).turn(turn);
        match self.client.send(&request).await {
            Ok(answer) => {
                let mut answered = Answered::of(&self.client, &answer, classify::jira_create_group);
                let body: Value = answer.json().unwrap_or_default();
                answered.group = GroupId::new(text(&body, "/groupId")).ok();
                answered
            }
            Err(error) => Answered::failed(&error),
        }
    }

    /// The group with exactly this name, if there is one.
    ///
    /// # Errors
    /// What the read came to, when it did not come to an answer.
    pub async fn find_group(&self, lane: Lane, name: &str) -> Result<Option<GroupId>, Answered> {
        let request = Request::get("/rest/api/3/group/bulk", &[]).query("groupName", name).lane(lane);
        let page = look(&self.client, &request).await?.unwrap_or_default();
        let groups = list(&page, "/values");
        let found = groups.iter().find(|group| text(group, "/name").eq_ignore_ascii_case(name));
        Ok(found.and_then(|group| GroupId::new(text(group, "/groupId")).ok()))
    }

    /// Deletes a group.
    pub async fn delete_group(&self, turn: &Turn, group: &GroupId) -> Answered {
        let request = Request::new(Method::DELETE, "/rest/api/3/group", &[]).query("groupId", group.as_str());
        match self.client.send(&request.turn(turn)).await {
            Ok(answer) => Answered::of(&self.client, &answer, classify::jira_delete_group),
            Err(error) => Answered::failed(&error),
        }
    }

    /// Whether the account is a member of the group, now.
    pub async fn look_member(&self, lane: Lane, group: &GroupId, account: &AccountId) -> Look {
        let request = Request::get("/rest/api/3/user/groups", &[]).query("accountId", account.as_str()).lane(lane);
        let groups = match look(&self.client, &request).await {
            Ok(Some(groups)) => groups,
            Ok(None) => return Look::NoAccount,
            Err(failed) => return Look::Unreadable(failed),
        };
        let groups = list(&groups, "");
        if groups.iter().any(|found| text(found, "/groupId") == group.as_str()) {
            return Look::There;
        }
        let request = Request::get("/rest/api/3/group/bulk", &[]).query("groupId", group.as_str()).lane(lane);
        match look(&self.client, &request).await {
            Ok(page) if page.as_ref().is_some_and(|page| !list(page, "/values").is_empty()) => Look::NotThere,
            Ok(_) => Look::NoGroup,
            Err(failed) => Look::Unreadable(failed),
        }
    }
}
