//! Changing a list of customers of Jira Service Management: those of a desk, or an organization of customers
//! (reference/atlassian-cloud.md §6). Many people in one call; repeats change nothing and are no refusal.

use std::ops::Range;

use model::{Access, AccountChange, AccountId, Disposition, EdgeOp, GroupId, Lane, Rejection};
use outbound::{Client, Method, Request, Turn};
use serde_json::{Value, json};

use crate::{
    Answered, Look, classify,
    target::{list, look, not_here, text},
};

/// People per call: no cap is documented, a page has so many.
pub(crate) const CUSTOMERS_PER_CALL: usize = 50;

/// Pages of a list that are walked at most: a million people.
const PAGES_MAX: usize = 20_000;

/// What experimental operations want.
const OPT_IN: (&str, &str) = ("X-ExperimentalApi", "opt-in");

const DESK_CUSTOMERS: &str = "/rest/servicedeskapi/servicedesk/{serviceDeskId}/customer";
const DESK_ORGANIZATIONS: &str = "/rest/servicedeskapi/servicedesk/{serviceDeskId}/organization";
const ORGANIZATIONS: &str = "/rest/servicedeskapi/organization";
const ORGANIZATION: &str = "/rest/servicedeskapi/organization/{organizationId}";
const ORGANIZATION_USERS: &str = "/rest/servicedeskapi/organization/{organizationId}/user";

/// Which kind of list a directory's one group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// The customers of a service desk.
    Desk,
    /// An organization of customers.
    Organization,
}

/// One site's list of customers, as its API token may change it.
#[derive(Debug, Clone)]
pub struct CustomersWriter {
    client: Client,
    kind: ListKind,
}

impl CustomersWriter {
    /// A writer through this client, whose base is the site.
    pub const fn new(client: Client, kind: ListKind) -> Self {
        Self { client, kind }
    }

    /// The client behind it.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    const fn template(&self) -> &'static str {
        match self.kind {
            ListKind::Desk => DESK_CUSTOMERS,
            ListKind::Organization => ORGANIZATION_USERS,
        }
    }

    /// Adds people to the list, or takes them from it: one direction a call. When somebody is refused, the others may
    /// have been added all the same, which a repetition does not mind.
    pub async fn change_members(&self, turn: &Turn, group: &GroupId, edges: &[(AccountId, EdgeOp)]) -> Answered {
        let Some((_, op)) = edges.first() else { return not_here("no customer is named") };
        if edges.iter().any(|(_, other)| other != op) {
            return not_here("this API adds or removes customers, not both in one call");
        }
        let accounts: Vec<&AccountId> = edges.iter().map(|(account, _)| account).collect();
        let method = if *op == EdgeOp::Add { Method::POST } else { Method::DELETE };
        let request = Request::new(method, self.template(), &[group.as_str()]).json(json!({ "accountIds": accounts }));
        let answered = self.send(request.turn(turn), classify::customers).await;
        self.whose(turn.lane(), group, answered).await
    }

    /// Opens a desk's portal to an organization of customers: attaches it to the desk. Attaching twice is attaching (§6).
    pub async fn grant_access(&self, turn: &Turn, group: &GroupId, access: &Access) -> Answered {
        let desk = match (access, self.kind) {
            (Access::Portal { desk }, ListKind::Organization) => desk,
            (Access::Portal { .. }, ListKind::Desk) => {
                return not_here("a desk's own customers see its portal, and no other");
            }
            (Access::Product { .. }, _) => return not_here("a list of customers gives no product"),
        };
        // The document has a number here.
        let id = group.as_str().parse::<u64>().map_or_else(|_| json!(group), |id| json!(id));
        let request = Request::post(DESK_ORGANIZATIONS, &[desk]).json(json!({ "organizationId": id }));
        let answered = self.send(request.turn(turn), classify::customers_attach).await;
        if answered.holds() {
            return answered;
        }
        let answered = self.whose(turn.lane(), group, answered).await;
        let answered = self.which_is_missing(turn.lane(), group, answered).await;
        let text = format!("the organization of customers could not be attached to the desk {desk}: {}", answered.text);
        Answered { text, ..answered }
    }

    /// That something is not there, told by the state: the organization is gone, or else it is the desk.
    async fn which_is_missing(&self, lane: Lane, group: &GroupId, answered: Answered) -> Answered {
        if answered.status != Some(404) {
            return answered;
        }
        let request = Request::get(ORGANIZATION, &[group.as_str()]).lane(lane);
        match look(&self.client, &request).await {
            Ok(None) => answered.with(Disposition::Reject(Rejection::UnknownGroup)),
            Ok(Some(_)) | Err(_) => answered,
        }
    }

    /// A refusal for lack of rights, told by the state and not by its words: an organization of customers that an
    /// identity provider owns is nobody else's to change, whatever our rights (§6).
    async fn whose(&self, lane: Lane, group: &GroupId, answered: Answered) -> Answered {
        let refused = answered.disposition == Disposition::Reject(Rejection::Auth);
        if !refused || self.kind == ListKind::Desk {
            return answered;
        }
        let request = Request::get(ORGANIZATION, &[group.as_str()]).lane(lane);
        let found = look(&self.client, &request).await.ok().flatten();
        let owned = found.and_then(|it| it.get("scimManaged")?.as_bool()).unwrap_or(false);
        if owned { answered.with(Disposition::Reject(Rejection::Ownership)) } else { answered }
    }

    /// Makes an organization of customers. The API answers a name that is taken with the organization that has it, so
    /// the name is looked for first: what was there before is somebody's.
    pub async fn create_group(&self, turn: &Turn, name: &str) -> Answered {
        if self.kind == ListKind::Desk {
            return not_here("a service desk is made by people");
        }
        match self.find_group(turn.lane(), name).await {
            Err(failed) => return failed,
            Ok(Some(_)) => {
                return not_here("an organization of customers has the name").with(Disposition::Look);
            }
            Ok(None) => {}
        }
        let request = Request::post(ORGANIZATIONS, &[]).json(json!({ "name": name }));
        let request = request.turn(turn);
        match self.client.send(&request).await {
            Ok(answer) => {
                let mut answered = Answered::of(&self.client, &answer, classify::customers_create);
                let body: Value = answer.json().unwrap_or_default();
                answered.group = GroupId::new(text(&body, "/id")).ok();
                answered
            }
            Err(error) => Answered::failed(&error),
        }
    }

    /// The organization of customers with exactly this name (without regard to case), if there is one.
    ///
    /// # Errors
    /// What the read came to, when it did not come to an answer.
    pub async fn find_group(&self, lane: Lane, name: &str) -> Result<Option<GroupId>, Answered> {
        if self.kind == ListKind::Desk {
            return Ok(None);
        }
        let request = Request::get(ORGANIZATIONS, &[]).lane(lane);
        let found = self.walk(&request, |row| text(row, "/name").eq_ignore_ascii_case(name)).await?;
        Ok(found.and_then(|row| GroupId::new(text(&row, "/id")).ok()))
    }

    /// Deletes an organization of customers.
    pub async fn delete_group(&self, turn: &Turn, group: &GroupId) -> Answered {
        if self.kind == ListKind::Desk {
            return not_here("a service desk is never deleted");
        }
        let request = Request::new(Method::DELETE, ORGANIZATION, &[group.as_str()]);
        let answered = self.send(request.turn(turn), classify::customers_delete).await;
        self.whose(turn.lane(), group, answered).await
    }

    /// Makes a portal-only account. Nothing else is done to accounts here: leaving the list takes the portal away, and
    /// the account is the site's.
    pub async fn change_account(&self, turn: &Turn, change: &AccountChange) -> Answered {
        let AccountChange::Create { attributes } = change else {
            return not_here("customers are only made here");
        };
        let Some(email) = attributes.get(EMAIL) else { return not_here("a customer has an address") };
        let name = attributes.get("displayName").unwrap_or(email);
        let request = Request::post("/rest/servicedeskapi/customer", &[])
            .query("strictConflictStatusCode", "true")
            .json(json!({ "email": email, "displayName": name }))
            .turn(turn);
        match self.client.send(&request).await {
            Ok(answer) => {
                let mut answered = Answered::of(&self.client, &answer, classify::customers_account);
                let body: Value = answer.json().unwrap_or_default();
                answered.account = AccountId::new(text(&body, "/accountId")).ok();
                answered
            }
            Err(error) => Answered::failed(&error),
        }
    }

    /// Whoever on the site has the address of the account that was to be made: a person, or a customer.
    ///
    /// Some hide their address, from us too. The site has just said that somebody has it, and is asked for the whole of
    /// it: the only one who is found, and who shows no other, is that person. One who is not found stays a conflict: the
    /// address is somebody's, and only they or an administrator can show whose.
    ///
    /// # Errors
    /// What the read came to, when it did not come to an answer.
    pub async fn find_account(&self, lane: Lane, change: &AccountChange) -> Result<Option<Answered>, Answered> {
        let AccountChange::Create { attributes } = change else { return Ok(None) };
        let Some(email) = attributes.get(EMAIL) else { return Ok(None) };
        let request = Request::get("/rest/api/3/user/search", &[]).query("query", email.as_str()).lane(lane);
        let rows = look(&self.client, &request).await?.unwrap_or_default();
        let Some(row) = only_of(list(&rows, ""), email) else { return Ok(None) };
        let mut answered = not_here("").with(Disposition::AlreadySo);
        answered.account = AccountId::new(text(row, "/accountId")).ok();
        Ok(answered.account.is_some().then_some(answered))
    }

    /// Whether the account is in the list, now.
    pub async fn look_member(&self, lane: Lane, group: &GroupId, account: &AccountId) -> Look {
        let people = Request::get(self.template(), &[group.as_str()]).lane(lane);
        let is = |row: &Value| text(row, "/accountId") == account.as_str();
        match self.walk(&people, is).await {
            Ok(Some(_)) => return Look::There,
            Ok(None) => {}
            Err(failed) if failed.disposition == Disposition::Reject(Rejection::UnknownGroup) => return Look::NoGroup,
            Err(failed) => return Look::Unreadable(failed),
        }
        let person = Request::get("/rest/api/3/user", &[]).query("accountId", account.as_str()).lane(lane);
        match look(&self.client, &person).await {
            Ok(Some(_)) => Look::NotThere,
            Ok(None) => Look::NoAccount,
            Err(failed) => Look::Unreadable(failed),
        }
    }

    /// The first row of a listing for which this holds.
    async fn walk(&self, first: &Request, wanted: impl Fn(&Value) -> bool) -> Result<Option<Value>, Answered> {
        let mut start = 0;
        for _ in 0..PAGES_MAX {
            let request = first.clone().header(OPT_IN.0, OPT_IN.1).query("start", start.to_string());
            let Some(page) = look(&self.client, &request.query("limit", "100")).await? else {
                return Err(not_here("the list is gone").with(Disposition::Reject(Rejection::UnknownGroup)));
            };
            let rows = list(&page, "/values");
            if let Some(row) = rows.iter().find(|row| wanted(row)) {
                return Ok(Some(row.clone()));
            }
            start += rows.len();
            if rows.is_empty() || page.get("isLastPage").and_then(Value::as_bool) != Some(false) {
                return Ok(None);
            }
        }
        Err(not_here("the list does not end").with(Disposition::Unknown))
    }

    async fn send(&self, request: Request, judge: fn(u16, &str, &str) -> Disposition) -> Answered {
        match self.client.send(&request.header(OPT_IN.0, OPT_IN.1)).await {
            Ok(answer) => Answered::of(&self.client, &answer, judge),
            Err(error) => Answered::failed(&error),
        }
    }
}

/// The one person of these with this address; where nobody shows it, the one who shows none and is not found by name.
/// Two are a doubt, and nobody's.
fn only_of<'a>(rows: &'a [Value], email: &str) -> Option<&'a Value> {
    let shows = |row: &&Value| text(row, "/emailAddress").eq_ignore_ascii_case(email);
    let hides = |row: &&Value| text(row, "/emailAddress").is_empty() && !text(row, "/displayName").contains('@');
    let mut found = rows.iter().filter(shows);
    match (found.next(), found.next()) {
        (Some(row), None) => Some(row),
        (None, _) => rows.first().filter(|row| rows.len() == 1 && hides(row)),
        (Some(_), Some(_)) => None,
    }
}

/// Which changes go in one call each: at most so many, all in one direction.
pub(crate) fn calls(changes: &[EdgeOp]) -> Vec<Range<usize>> {
    let mut calls: Vec<Range<usize>> = Vec::new();
    for (place, op) in changes.iter().enumerate() {
        let fits = |call: &Range<usize>| call.len() < CUSTOMERS_PER_CALL && changes.get(call.start) == Some(op);
        match calls.last_mut() {
            Some(last) if fits(last) => last.end = place + 1,
            _ => calls.push(place..place + 1),
        }
    }
    calls
}

/// Where the planner puts the address of an account that is to be made.
const EMAIL: &str = "emails[primary].value";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_who_shows_the_address_or_the_only_one_who_shows_none() {
        let row =
            |id: &str, email: &str, name: &str| json!({ "accountId": id, "emailAddress": email, "displayName": name });
        let (shown, hidden) = (row("a", "Ann@x.test", "Ann"), row("b", "", "Bea"));
        let id = |rows: &[Value]| only_of(rows, "ann@x.test").map(|row| text(row, "/accountId").to_owned());
        assert_eq!(id(&[hidden.clone(), shown.clone()]).as_deref(), Some("a"));
        assert_eq!(id(std::slice::from_ref(&hidden)).as_deref(), Some("b"));
        assert_eq!(id(&[shown.clone(), shown]), None, "two of one address");
        assert_eq!(id(&[hidden.clone(), hidden]), None, "nobody can say which of them");
        assert_eq!(id(&[row("c", "other@x.test", "ann@x.test")]), None, "found by name");
        assert_eq!(id(&[row("d", "", "ann@x.test")]), None, "found by name");
    }

    #[test]
    fn calls_are_as_large_as_allowed_and_keep_directions_apart() {
        let mut changes = vec![EdgeOp::Remove; 51];
        changes.extend([EdgeOp::Add; 3]);
        assert_eq!(calls(&changes), [0..50, 50..51, 51..54]);
        assert!(calls(&[]).is_empty());
    }
}
