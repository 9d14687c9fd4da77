//! Changing a Confluence Cloud site that owns its groups: API v1 (reference/atlassian-cloud.md §5). One write per edge;
//! what is so already is said to be done.

use model::{AccountId, Disposition, EdgeOp, GroupId, Lane, Rejection};
use outbound::{Client, Method, Request, Turn};
use serde_json::{Value, json};

use crate::{
    Answered, Look, classify,
    target::{list, look, text},
};

const GROUP: &str = "/wiki/rest/api/group";
const BY_ID: &str = "/wiki/rest/api/group/by-id";
const CURRENT: &str = "/wiki/rest/api/user/current";
const MEMBER: &str = "/wiki/rest/api/group/userByGroupId";

/// Pages of a listing that are walked at most: two million groups.
const PAGES_MAX: usize = 10_000;

/// One site, as its API token may change it.
#[derive(Debug, Clone)]
pub struct ConfluenceWriter {
    client: Client,
}

impl ConfluenceWriter {
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
        let request = match op {
            EdgeOp::Add => Request::post(MEMBER, &[]).json(json!({ "accountId": account })),
            EdgeOp::Remove => Request::new(Method::DELETE, MEMBER, &[]).query("accountId", account.as_str()),
        };
        let request = request.query("groupId", group.as_str()).turn(turn);
        let answered = self.send(&request, classify::confluence_member).await.0;
        self.whose(turn.lane(), group, answered).await
    }

    /// A refusal for lack of rights, told by the state and not by its words: a group that somebody else manages is
    /// nobody else's to change; and a token whose owner administers the site no more can change nothing at all.
    async fn whose(&self, lane: Lane, group: &GroupId, answered: Answered) -> Answered {
        if answered.disposition != Disposition::Reject(Rejection::Auth) {
            return answered;
        }
        let request = Request::get(BY_ID, &[]).query("id", group.as_str()).lane(lane);
        let found = look(&self.client, &request).await.ok().flatten().unwrap_or_default();
        if !matches!(text(&found, "/managedBy"), "" | "ADMINS") {
            return answered.with(Disposition::Reject(Rejection::Ownership));
        }
        let request = Request::get(CURRENT, &[]).query("expand", "operations").lane(lane);
        let me = look(&self.client, &request).await.ok().flatten().unwrap_or_default();
        let administers =
            |row: &Value| text(row, "/operation") == "administer" && text(row, "/targetType") == "application";
        let mine = me.get("operations").and_then(Value::as_array);
        if mine.is_some_and(|mine| !mine.iter().any(administers)) {
            return answered.with(Disposition::Halt);
        }
        answered
    }

    /// Creates a group; the answer has its id. Confluence's groups have no description.
    pub async fn create_group(&self, turn: &Turn, name: &str) -> Answered {
        let request = Request::post(GROUP, &[]).json(json!({ "name": name })).turn(turn);
        let (mut answered, made) = self.send(&request, classify::jira_create_group).await;
        answered.group = GroupId::new(text(&made, "/id")).ok();
        answered
    }

    /// The group with exactly this name (without regard to case), if there is one. The picker searches within names, so
    /// it is walked until the whole name comes.
    ///
    /// # Errors
    /// What the read came to, when it did not come to an answer.
    pub async fn find_group(&self, lane: Lane, name: &str) -> Result<Option<GroupId>, Answered> {
        let mut start = 0;
        for _ in 0..PAGES_MAX {
            let request = Request::get("/wiki/rest/api/group/picker", &[])
                .query("query", name)
                .query("start", start.to_string())
                .query("limit", "200")
                .lane(lane);
            let page = look(&self.client, &request).await?.unwrap_or_default();
            let groups = list(&page, "/results");
            if let Some(found) = groups.iter().find(|group| text(group, "/name").eq_ignore_ascii_case(name)) {
                return Ok(GroupId::new(text(found, "/id")).ok());
            }
            start += groups.len();
            if groups.is_empty() || page.pointer("/_links/next").is_none_or(Value::is_null) {
                break;
            }
        }
        Ok(None)
    }

    /// Deletes a group.
    pub async fn delete_group(&self, turn: &Turn, group: &GroupId) -> Answered {
        let request = Request::new(Method::DELETE, BY_ID, &[]).query("id", group.as_str());
        let answered = self.send(&request.turn(turn), classify::jira_delete_group).await.0;
        self.whose(turn.lane(), group, answered).await
    }

    /// Whether the account is a member of the group, now.
    pub async fn look_member(&self, lane: Lane, group: &GroupId, account: &AccountId) -> Look {
        let request = Request::get("/wiki/rest/api/user/memberof", &[])
            .query("accountId", account.as_str())
            .query("limit", "200")
            .lane(lane);
        match look(&self.client, &request).await {
            Ok(Some(page)) => {
                if list(&page, "/results").iter().any(|found| text(found, "/id") == group.as_str()) {
                    return Look::There;
                }
            }
            Ok(None) => return Look::NoAccount,
            Err(failed) => return Look::Unreadable(failed),
        }
        let whole = Request::get(BY_ID, &[]).query("id", group.as_str()).lane(lane);
        match look(&self.client, &whole).await {
            Ok(Some(_)) => Look::NotThere,
            Ok(None) => Look::NoGroup,
            Err(failed) => Look::Unreadable(failed),
        }
    }

    async fn send(&self, request: &Request, judge: fn(u16, &str, &str) -> model::Disposition) -> (Answered, Value) {
        match self.client.send(request).await {
            Ok(answer) => {
                let body = if answer.is_success() { answer.json().unwrap_or_default() } else { Value::Null };
                (Answered::of(&self.client, &answer, judge), body)
            }
            Err(error) => (Answered::failed(&error), Value::Null),
        }
    }
}
