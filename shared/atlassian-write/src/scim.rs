//! Changing a provisioning directory: SCIM 2.0 (reference/atlassian-cloud.md §3). It owns its users and groups.

use std::collections::BTreeMap;

use model::{AccountChange, AccountId, Disposition, EdgeOp, GroupId, Lane, Rejection};
use outbound::{Body, Client, Method, Request, Turn};
use serde_json::{Map, Value, json};

use crate::{
    Answered, Look, classify,
    target::{list, look, not_here, text},
};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const ATLASSIAN: &str = "urn:scim:schemas:extension:atlassian-external:1.0";

/// Members per PATCH: no cap is documented, 100 is what others hold to (§3.2).
pub(crate) const MEMBERS_PER_PATCH: usize = 100;

/// One provisioning directory, as its key may change it.
#[derive(Debug, Clone)]
pub struct ScimWriter {
    client: Client,
    directory: String,
}

impl ScimWriter {
    /// A writer through this client, whose base is `scheme://host[:port]`.
    pub fn new(client: Client, directory: &str) -> Self {
        Self { client, directory: directory.to_owned() }
    }

    /// The client behind it.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Adds and removes members of one group in one call: all of them or, when it is refused, none.
    pub async fn patch_members(&self, turn: &Turn, group: &GroupId, edges: &[(AccountId, EdgeOp)]) -> Answered {
        let of = |op: EdgeOp| edges.iter().filter(move |(_, wanted)| *wanted == op).map(|(account, _)| account);
        let mut operations: Vec<Value> = of(EdgeOp::Remove)
            .map(|account| json!({ "op": "remove", "path": format!("members[value eq {}]", quoted(account.as_str())) }))
            .collect();
        let added: Vec<Value> = of(EdgeOp::Add).map(|account| json!({ "value": account })).collect();
        if !added.is_empty() {
            operations.push(json!({ "op": "add", "path": "members", "value": added }));
        }
        let body = json!({ "schemas": [PATCH], "Operations": operations });
        let template = "/scim/directory/{directoryId}/Groups/{id}";
        let request = Request::new(Method::PATCH, template, &[&self.directory, group.as_str()]);
        let judge = if edges.len() > 1 { classify::scim_members } else { classify::scim_member };
        let answered = self.change(request.body(Body::Scim(body)).turn(turn), judge).await.0;
        if answered.disposition != Disposition::Reject(Rejection::Auth) {
            return answered;
        }
        // A key that may not even read its directory has lost it, or the organization its subscription.
        let request = Request::get("/scim/directory/{directoryId}/Groups/{id}", &[&self.directory, group.as_str()]);
        match look(&self.client, &request.lane(turn.lane())).await {
            Err(failed) if failed.status == Some(403) => answered.with(Disposition::Halt),
            _ => answered,
        }
    }

    /// Creates a group, which from then on is read-only for everybody else.
    pub async fn create_group(&self, turn: &Turn, name: &str) -> Answered {
        let body = json!({ "schemas": [GROUP], "displayName": name });
        let request = Request::post("/scim/directory/{directoryId}/Groups", &[&self.directory]);
        let request = request.body(Body::Scim(body)).turn(turn);
        let (mut answered, made) = self.change(request, classify::scim_create).await;
        answered.group = GroupId::new(text(&made, "/id")).ok();
        answered
    }

    /// The directory's group with exactly this name, if there is one.
    ///
    /// # Errors
    /// What the read came to, when it did not come to an answer.
    pub async fn find_group(&self, lane: Lane, name: &str) -> Result<Option<GroupId>, Answered> {
        let found = self.find("/scim/directory/{directoryId}/Groups", lane, "displayName", name).await?;
        Ok(found.and_then(|group| GroupId::new(text(&group, "/id")).ok()))
    }

    /// Deletes a group everywhere, with the access that was granted through it.
    pub async fn delete_group(&self, turn: &Turn, group: &GroupId) -> Answered {
        let template = "/scim/directory/{directoryId}/Groups/{id}";
        let request = Request::new(Method::DELETE, template, &[&self.directory, group.as_str()]);
        self.change(request.turn(turn), classify::scim_delete_group).await.0
    }

    /// Changes one account. `person` becomes the external id of an account that is created.
    pub async fn change_account(
        &self,
        turn: &Turn,
        account: Option<&AccountId>,
        person: &AccountId,
        change: &AccountChange,
    ) -> Answered {
        let request = match (change, account) {
            (AccountChange::Create { attributes }, _) => {
                let mut body = document(attributes);
                body.insert("schemas".to_owned(), json!(schemas(attributes)));
                body.insert("externalId".to_owned(), json!(person));
                body.insert("active".to_owned(), json!(true));
                let request = Request::post("/scim/directory/{directoryId}/Users", &[&self.directory]);
                request.body(Body::Scim(Value::Object(body)))
            }
            (_, None) => return no_account(),
            (AccountChange::Update { attributes }, Some(account)) => {
                let operations: Vec<Value> = attributes.iter().map(|(path, value)| replaced(path, value)).collect();
                self.patch_user(account, &operations)
            }
            (AccountChange::Suspend | AccountChange::Remove, Some(_)) => {
                return not_here("only an organization suspends or removes people");
            }
            // Nobody leads anything here.
            (AccountChange::Deactivate | AccountChange::HandOver { .. }, Some(account)) => {
                self.patch_user(account, &[active(false)])
            }
            (AccountChange::Restore, Some(account)) => self.patch_user(account, &[active(true)]),
        };
        let judge =
            if matches!(change, AccountChange::Create { .. }) { classify::scim_create } else { classify::scim_user };
        let (mut answered, made) = self.change(request.turn(turn), judge).await;
        name_account(&mut answered, &made);
        answered
    }

    /// The account that an unclear creation left, by the external id that it would have; named in the answer.
    ///
    /// # Errors
    /// What the read came to, when it did not come to an answer.
    pub async fn find_account(&self, lane: Lane, person: &AccountId) -> Result<Option<Answered>, Answered> {
        let found = self.find("/scim/directory/{directoryId}/Users", lane, "externalId", person.as_str()).await?;
        Ok(found.map(|user| {
            let mut answered = no_account().with(model::Disposition::AlreadySo);
            answered.text.clear();
            name_account(&mut answered, &user);
            answered
        }))
    }

    /// Whether the account is active, now; `None`: there is no such account.
    ///
    /// # Errors
    /// What the read came to, when it did not come to an answer.
    pub async fn is_active(&self, lane: Lane, account: &AccountId) -> Result<Option<bool>, Answered> {
        let request = Request::get("/scim/directory/{directoryId}/Users/{id}", &[&self.directory, account.as_str()]);
        Ok(look(&self.client, &request.lane(lane))
            .await?
            .map(|user| user.get("active").and_then(Value::as_bool).unwrap_or(true)))
    }

    /// Whether the account is a member of the group, now.
    pub async fn look_member(&self, lane: Lane, group: &GroupId, account: &AccountId) -> Look {
        let request = Request::get("/scim/directory/{directoryId}/Groups/{id}", &[&self.directory, group.as_str()]);
        let group = match look(&self.client, &request.lane(lane)).await {
            Ok(Some(group)) => group,
            Ok(None) => return Look::NoGroup,
            Err(failed) => return Look::Unreadable(failed),
        };
        let members = list(&group, "/members");
        if members.iter().any(|member| text(member, "/value") == account.as_str()) {
            return Look::There;
        }
        match self.is_active(lane, account).await {
            Ok(Some(_)) => Look::NotThere,
            Ok(None) => Look::NoAccount,
            Err(failed) => Look::Unreadable(failed),
        }
    }

    fn patch_user(&self, account: &AccountId, operations: &[Value]) -> Request {
        let template = "/scim/directory/{directoryId}/Users/{id}";
        let body = json!({ "schemas": [PATCH], "Operations": operations });
        Request::new(Method::PATCH, template, &[&self.directory, account.as_str()]).body(Body::Scim(body))
    }

    async fn find(
        &self,
        template: &'static str,
        lane: Lane,
        attribute: &str,
        value: &str,
    ) -> Result<Option<Value>, Answered> {
        let request =
            Request::get(template, &[&self.directory]).query("filter", format!("{attribute} eq {}", quoted(value)));
        let mut page = look(&self.client, &request.lane(lane)).await?.unwrap_or_default();
        Ok(page.get_mut("Resources").and_then(Value::as_array_mut).and_then(Vec::pop))
    }

    async fn change(&self, request: Request, judge: fn(u16, &str, &str) -> model::Disposition) -> (Answered, Value) {
        match self.client.send(&request).await {
            Ok(answer) => {
                let body = if answer.is_success() { answer.json().unwrap_or_default() } else { Value::Null };
                (Answered::of(&self.client, &answer, judge), body)
            }
            Err(error) => (Answered::failed(&error), Value::Null),
        }
    }
}

fn no_account() -> Answered {
    Answered {
        disposition: model::Disposition::Reject(model::Rejection::UnknownUser),
        status: None,
        text: "the account is not known yet".to_owned(),
        group: None,
        account: None,
        behind: None,
    }
}

fn name_account(answered: &mut Answered, user: &Value) {
    answered.account = AccountId::new(text(user, "/id")).ok();
    answered.behind =
        user.get(ATLASSIAN).and_then(|extension| AccountId::new(text(extension, "/atlassianAccountId")).ok());
}

/// A PATCH knows no `emails[primary]`; the list is replaced, of which we keep one. An attribute without a value is
/// taken away.
fn replaced(path: &str, value: &str) -> Value {
    if value.is_empty() {
        return json!({ "op": "remove", "path": path });
    }
    if path.starts_with("emails") {
        return json!({ "op": "replace", "path": "emails", "value": [email(value)] });
    }
    json!({ "op": "replace", "path": path, "value": value })
}

fn email(address: &str) -> Value {
    json!({ "value": address, "type": "work", "primary": true })
}

fn active(value: bool) -> Value {
    json!({ "op": "replace", "path": "active", "value": value })
}

/// A filter's value: a JSON string.
fn quoted(value: &str) -> String {
    Value::from(value).to_string()
}

fn schemas(attributes: &BTreeMap<String, String>) -> Vec<&'static str> {
    let enterprise = attributes.keys().any(|path| path.starts_with(ENTERPRISE));
    if enterprise { vec![USER, ENTERPRISE] } else { vec![USER] }
}

/// A user's document from attribute paths: `userName`, `name.givenName`, `emails[primary].value`,
/// `urn:…:User:department`.
fn document(attributes: &BTreeMap<String, String>) -> Map<String, Value> {
    let mut body = Map::new();
    for (path, value) in attributes {
        if let Some(name) = path.strip_prefix(ENTERPRISE).and_then(|rest| rest.strip_prefix(':')) {
            put(&mut body, ENTERPRISE, name, value);
        } else if path.starts_with("emails") {
            body.insert("emails".to_owned(), json!([email(value)]));
        } else if let Some((outer, inner)) = path.split_once('.') {
            put(&mut body, outer, inner, value);
        } else {
            body.insert(path.clone(), json!(value));
        }
    }
    body
}

fn put(body: &mut Map<String, Value>, outer: &str, inner: &str, value: &str) {
    let place = body.entry(outer.to_owned()).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(fields) = place {
        fields.insert(inner.to_owned(), json!(value));
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]
    use super::*;

    #[test]
    fn attribute_paths_become_a_document() {
        let attributes: BTreeMap<String, String> = [
            ("userName", "ana@example.com"),
            ("emails[primary].value", "ana@example.com"),
            ("name.givenName", "Ana"),
            ("name.familyName", "B"),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "R&D"),
        ]
        .map(|(path, value)| (path.to_owned(), value.to_owned()))
        .into();
        let body = Value::Object(document(&attributes));
        assert_eq!(body["name"], json!({ "givenName": "Ana", "familyName": "B" }));
        assert_eq!(body["emails"], json!([{ "value": "ana@example.com", "type": "work", "primary": true }]));
        assert_eq!(body[ENTERPRISE], json!({ "department": "R&D" }));
        assert_eq!(schemas(&attributes).len(), 2);
    }

    #[test]
    fn a_filter_cannot_be_left_by_a_quote() {
        assert_eq!(quoted(r#"a" or id pr"#), r#""a\" or id pr""#);
    }
}
