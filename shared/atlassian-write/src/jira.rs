//! Changing a Jira Cloud site that owns its groups: REST v3 (reference/atlassian-cloud.md §4). One write per edge and
//! no read per write.

use model::{AccountId, Disposition, EdgeOp, GroupId, Lane, Rejection};
use outbound::{Client, Method, Request, Turn};
use serde_json::{Value, json};

use crate::{
    Answered, Look, classify,
    target::{list, look, text},
};

/// The global permission without which no group can be changed.
const ADMINISTER: &str = "ADMINISTER";

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
        let answered = match self.client.send(&request).await {
            Ok(answer) => Answered::of(&self.client, &answer, |status, code, words| {
                classify::jira_member(op, status, code, words)
            }),
            Err(error) => Answered::failed(&error),
        };
        self.whose(turn.lane(), group, answered).await
    }

    /// A refusal for lack of rights, told by the state and not by its words: a group that somebody else manages is
    /// nobody else's to change; and a token whose owner administers the site no more can change nothing at all.
    async fn whose(&self, lane: Lane, group: &GroupId, answered: Answered) -> Answered {
        if answered.disposition != Disposition::Reject(Rejection::Auth) {
            return answered;
        }
        if self.is_anothers(lane, group).await {
            return answered.with(Disposition::Reject(Rejection::Ownership));
        }
        let request = Request::get("/rest/api/3/mypermissions", &[]).query("permissions", ADMINISTER).lane(lane);
        let mine = look(&self.client, &request).await.ok().flatten().unwrap_or_default();
        match mine.pointer("/permissions/ADMINISTER/havePermission").and_then(Value::as_bool) {
            Some(false) => answered.with(Disposition::Halt),
            _ => answered,
        }
    }

    /// Whether an identity provider or a team manages the group. Only the type-ahead says so, which knows names.
    async fn is_anothers(&self, lane: Lane, group: &GroupId) -> bool {
        let request = Request::get("/rest/api/3/group/bulk", &[]).query("groupId", group.as_str()).lane(lane);
        let known = look(&self.client, &request).await.ok().flatten().unwrap_or_default();
        let Some(name) = known.pointer("/values/0/name").and_then(Value::as_str) else { return false };
        let request = Request::get("/rest/api/3/groups/picker", &[]).query("query", name).lane(lane);
        let found = look(&self.client, &request).await.ok().flatten().unwrap_or_default();
        let same = list(&found, "/groups").iter().find(|row| text(row, "/groupId") == group.as_str());
        same.is_some_and(|row| !matches!(text(row, "/managedBy").to_ascii_lowercase().as_str(), "" | "admins"))
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
        let answered = match self.client.send(&request.turn(turn)).await {
            Ok(answer) => Answered::of(&self.client, &answer, classify::jira_delete_group),
            Err(error) => Answered::failed(&error),
        };
        self.whose(turn.lane(), group, answered).await
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
