//! Changing an organization: API v2 below `/admin/v2/orgs/{orgId}/directories/{directoryId}`
//! (reference/atlassian-cloud.md §1).

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Access, AccountId, Disposition, EdgeOp, GroupId, Lane, Rejection};
use outbound::{Client, Method, Request, Turn};
use serde_json::{Value, json};

use crate::{
    Answered, Look, classify,
    newborn::{NAMES_PER_LOOK, Newborn},
    products::Products,
    target::{list, not_here, text},
};

/// One organization's directory, as its API key may change it.
#[derive(Debug, Clone)]
pub struct OrgWriter {
    client: Client,
    org: String,
    directory: String,
    /// Groups that clones of this writer have just made.
    newborn: Arc<Newborn>,
    /// The products of the organization, as clones of this writer read them last.
    products: Arc<Products>,
}

impl OrgWriter {
    /// A writer through this client, whose base is `scheme://host[:port]`.
    pub fn new(client: Client, org: &str, directory: &str) -> Self {
        Self {
            client,
            org: org.to_owned(),
            directory: directory.to_owned(),
            newborn: Arc::default(),
            products: Arc::default(),
        }
    }

    /// The client behind it.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Organization and directory.
    pub(crate) fn place(&self) -> (&str, &str) {
        (&self.org, &self.directory)
    }

    /// Adds or removes one membership, idempotently in its disposition.
    pub async fn change_member(&self, turn: &Turn, group: &GroupId, account: &AccountId, op: EdgeOp) -> Answered {
        let ids = [self.org.as_str(), self.directory.as_str(), group.as_str(), account.as_str()];
        let request = match op {
            EdgeOp::Add => Request::post(
                "/admin/v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}/memberships",
                &[self.org.as_str(), self.directory.as_str(), group.as_str()],
            )
            .json(json!({ "accountId": account })),
            EdgeOp::Remove => Request::new(
                Method::DELETE,
                "/admin/v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}/memberships/{accountId}",
                &ids,
            ),
        };
        match self.client.send(&request.turn(turn)).await {
            Ok(answer) => {
                Answered::of(&self.client, &answer, |status, code, words| classify::org_member(op, status, code, words))
            }
            Err(error) => Answered::failed(&error),
        }
    }

    /// Creates a group. The API answers without an id (§0, 3), so the name is searched for until it is visible, together
    /// with the names of other groups that are being made.
    pub async fn create_group(&self, turn: &Turn, name: &str, description: &str) -> Answered {
        let request =
            Request::post("/admin/v2/orgs/{orgId}/directories/{directoryId}/groups", &[&self.org, &self.directory])
                .json(json!({ "name": name, "description": description }))
                .turn(turn);
        let making = self.newborn.begin();
        let mut answered = match self.client.send(&request).await {
            Ok(answer) => Answered::of(&self.client, &answer, classify::org_create_group),
            Err(error) => return Answered::failed(&error),
        };
        if answered.disposition != Disposition::Done {
            return answered;
        }
        let lane = turn.lane();
        let search = |names: Vec<String>| async move { self.find_groups(lane, &names).await };
        // It was created; without its id that is still to be learned by another look.
        answered.group = self.newborn.id_of(&self.client, name, making, search).await.unwrap_or_default();
        if answered.group.is_none() { answered.with(Disposition::Unknown) } else { answered }
    }

    /// The group with exactly this name (without regard to case), if there is one.
    ///
    /// # Errors
    /// What the read came to, when it did not come to an answer.
    pub async fn find_group(&self, lane: Lane, name: &str) -> Result<Option<GroupId>, Answered> {
        let name = name.to_ascii_lowercase();
        Ok(self.find_groups(lane, std::slice::from_ref(&name)).await?.remove(&name))
    }

    /// The groups with exactly these names in lower case, at most [`NAMES_PER_LOOK`] of them.
    async fn find_groups(&self, lane: Lane, names: &[String]) -> Result<BTreeMap<String, GroupId>, Answered> {
        let request = Request::post(
            "/admin/v2/orgs/{orgId}/directories/{directoryId}/groups/search",
            &[&self.org, &self.directory],
        )
        .json(json!({ "groupNames": names, "limit": NAMES_PER_LOOK }))
        .lane(lane);
        let page = self.look(&request).await?.unwrap_or_default();
        let mut found: BTreeMap<String, Vec<GroupId>> = BTreeMap::new();
        for group in list(&page, "/data") {
            if let Ok(id) = GroupId::new(text(group, "/id")) {
                found.entry(text(group, "/name").to_ascii_lowercase()).or_default().push(id);
            }
        }
        // Two groups of one name are a doubt, and nobody's.
        let only = |(name, ids): (String, Vec<GroupId>)| match ids.as_slice() {
            [id] if names.contains(&name) => Some((name, id.clone())),
            _ => None,
        };
        Ok(found.into_iter().filter_map(only).collect())
    }

    /// Deletes a group.
    pub async fn delete_group(&self, turn: &Turn, group: &GroupId) -> Answered {
        let ids = [self.org.as_str(), self.directory.as_str(), group.as_str()];
        let template = "/admin/v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}";
        let request = Request::new(Method::DELETE, template, &ids).turn(turn);
        match self.client.send(&request).await {
            Ok(answer) => Answered::of(&self.client, &answer, classify::org_delete_group),
            Err(error) => Answered::failed(&error),
        }
    }

    /// Has a group give a product on a site. A role that makes administrators is refused without a call, whoever asks:
    /// nobody becomes one by a list of people.
    pub async fn grant_access(&self, turn: &Turn, group: &GroupId, access: &Access) -> Answered {
        let Access::Product { role, .. } = access else {
            return not_here("a group of an organization opens no portal: an organization of customers does");
        };
        if atlassian::makes_administrators(role) {
            return not_here(&format!("{access}: no group is made to give a role that makes administrators"));
        }
        let (resource, is_remembered) = match self.products.resource(&self.client, &self.org, turn.lane(), access).await
        {
            Ok(found) => found,
            Err(answered) => return answered,
        };
        let ids = [self.org.as_str(), self.directory.as_str(), group.as_str()];
        let template = "/admin/v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}/role-assignments/assign";
        let request = Request::post(template, &ids).json(json!({ "resourceId": resource, "roleId": role })).turn(turn);
        let answered = match self.client.send(&request).await {
            Ok(answer) => Answered::of(&self.client, &answer, classify::org_assign),
            Err(error) => return Answered::failed(&error),
        };
        if answered.disposition != Disposition::Reject(Rejection::Validation) {
            return answered;
        }
        let text = format!("{access}: {}", answered.text);
        if is_remembered && answered.status == Some(404) {
            // The product that was known is gone: another may be in its place, and the next try asks.
            self.products.forget();
            return Answered { text, ..answered.with(Disposition::Retry { after: None }) };
        }
        Answered { text, ..answered }
    }

    /// Whether the account is a member of the group, now.
    pub async fn look_member(&self, lane: Lane, group: &GroupId, account: &AccountId) -> Look {
        let places = [self.org.as_str(), self.directory.as_str()];
        let search = |body: Value| {
            let template = "/admin/v2/orgs/{orgId}/directories/{directoryId}/users/search";
            Request::post(template, &places).json(body).lane(lane)
        };
        let members = search(json!({ "groupIds": [group], "accountIds": [account] }));
        let has = |page: &Value| {
            let users = list(page, "/data");
            users.iter().any(|user| text(user, "/accountId") == account.as_str())
        };
        match self.look(&members).await {
            Ok(Some(page)) if has(&page) => return Look::There,
            Ok(_) => {}
            Err(failed) => return Look::Unreadable(failed),
        }
        let template = "/admin/v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}";
        let whole = Request::get(template, &[places[0], places[1], group.as_str()]).lane(lane);
        match self.look(&whole).await {
            Ok(Some(_)) => {}
            Ok(None) => return Look::NoGroup,
            Err(failed) => return Look::Unreadable(failed),
        }
        match self.look(&search(json!({ "accountIds": [account] }))).await {
            Ok(Some(page)) if has(&page) => Look::NotThere,
            Ok(_) => Look::NoAccount,
            Err(failed) => Look::Unreadable(failed),
        }
    }

    /// A read: `None` when the vendor says that it does not exist.
    async fn look(&self, request: &Request) -> Result<Option<Value>, Answered> {
        crate::target::look(&self.client, request).await
    }
}
