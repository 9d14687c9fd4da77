//! Crowd's `/rest/usermanagement/1`, also of Jira as user server (reference/atlassian-dc.md §5). The cheapest full read of
//! all: a page for each thousand people and groups, and one answer for all memberships.

use std::collections::{BTreeMap, BTreeSet};

use model::{AccountId, Email, Group, GroupId, Lane, Member, MemberKind, Reading, Role, User, UserState};
use outbound::{Client, Progress, ReadError, Request, Scope, Stage};
use serde_json::Value;

use super::pages::{List, Paging};
use super::source::DcSource;
use super::xml::{self, Membership};
use super::{Instance, person, user_name};
use crate::error::shape;
use crate::gather::{Listed, Source, Walk, members_seen};
use crate::names::{says_administrators, says_default_access};

const SEARCH: &str = "/rest/usermanagement/1/search";
const USER: &str = "/rest/usermanagement/1/user";
const GROUP: &str = "/rest/usermanagement/1/group";
const MEMBERSHIP: &str = "/rest/usermanagement/1/group/membership";
const MEMBERS: &str = "/rest/usermanagement/1/group/user/direct";
const CHILDREN: &str = "/rest/usermanagement/1/group/child-group/direct";
const GROUPS_OF: &str = "/rest/usermanagement/1/user/group/direct";

/// Rows per page.
const PAGE: usize = 1_000;

/// One server.
#[derive(Clone, Debug)]
pub(super) struct Crowd(pub(super) Instance);

impl Crowd {
    async fn list<T>(
        &self,
        template: &'static str,
        name: &'static str,
        query: &[(&'static str, String)],
        lane: Lane,
        read: impl Fn(&Value) -> Option<T>,
        progress: impl Fn(u64, Option<u64>),
    ) -> Walk<T> {
        let query: Vec<_> = query.iter().cloned().chain([("max-results", PAGE.to_string())]).collect();
        let list = List { template, values: &[], query: &query, lane, paging: Paging::Crowd(name, PAGE) };
        self.0.walk(&list, read, progress).await
    }

    /// What is told of each user. The vendor's own client asks for attributes in this way.
    fn expand(&self) -> (&'static str, String) {
        ("expand", if self.0.attributes.is_empty() { "user" } else { "user,attributes" }.to_owned())
    }

    /// All memberships, in one answer, which comes as XML alone.
    async fn memberships(&self) -> Result<BTreeMap<String, Membership>, ReadError> {
        let request = Request::get(MEMBERSHIP, &[]).header("accept", "application/xml").lane(Lane::Bulk);
        let answer = self.0.client.read(&request).await?;
        self.0.check(MEMBERSHIP, &answer)?;
        let text = std::str::from_utf8(&answer.body).ok();
        text.and_then(xml::memberships)
            .ok_or_else(|| shape(MEMBERSHIP, "the memberships are of another shape, or cut off"))
    }

    /// One request for everything; the members of the groups in scope are taken from it.
    async fn whole(&self, scope: &Scope, progress: &dyn Progress) -> Result<Reading, ReadError> {
        let mut reading = Reading::begun(self.0.client.now());
        let (users, groups) = tokio::join!(self.users(progress), self.groups(progress));
        let began_at = self.0.client.now();
        let memberships = self.memberships().await;
        for error in [users.error.as_ref(), groups.error.as_ref(), memberships.as_ref().err()].into_iter().flatten() {
            if error.is_refusal() {
                return Err(error.clone().about_us());
            }
            if users.rows.is_empty() && groups.rows.is_empty() {
                return Err(error.clone());
            }
            progress.trouble(error);
        }
        reading.users.complete = users.complete;
        reading.groups.complete = groups.complete;
        let by_name: BTreeMap<String, &AccountId> =
            users.rows.iter().map(|user| (fold(user_name(&user.id)), &user.id)).collect();
        let names: BTreeMap<String, &GroupId> =
            groups.rows.iter().map(|listed| (fold(&listed.group.name), &listed.group.id)).collect();
        let all: BTreeMap<String, &Membership> =
            memberships.iter().flatten().map(|(name, membership)| (fold(name), membership)).collect();
        let in_scope: Vec<&Group> = groups.rows.iter().map(|it| &it.group).filter(|group| scope.holds(group)).collect();
        let total = in_scope.len() as u64;
        for (done, group) in (1..).zip(&in_scope) {
            let mut walk = Walk::begun(began_at);
            let listed = all.get(&fold(&group.name));
            if let Some(membership) = listed {
                walk = members(membership, &by_name, &names, walk);
            }
            // A group that appeared between the two reads is not empty: it is unread.
            walk.complete &= listed.is_some() && memberships.is_ok();
            reading.members.push(members_seen(&group.id, walk));
            progress.step(Stage::Members, done, Some(total));
        }
        reading.members.sort_by(|a, b| a.group.cmp(&b.group));
        reading.groups.seen = groups.rows.into_iter().map(|listed| listed.group).collect();
        reading.users.seen = users.rows;
        reading.ended_at = self.0.client.now();
        Ok(reading)
    }
}

/// A group's members by id. Somebody whom the list of users does not have makes the walk incomplete.
fn members(
    membership: &Membership,
    people: &BTreeMap<String, &AccountId>,
    groups: &BTreeMap<String, &GroupId>,
    mut walk: Walk<Member>,
) -> Walk<Member> {
    let users = membership.users.iter().map(|name| people.get(&fold(name)).map(|id| MemberKind::User((*id).clone())));
    let nested =
        membership.groups.iter().map(|name| groups.get(&fold(name)).map(|id| MemberKind::Group((*id).clone())));
    walk.complete = true;
    for kind in users.chain(nested) {
        match kind {
            Some(kind) => walk.rows.push(Member { kind, role: Role::Member }),
            None => walk.complete = false,
        }
    }
    walk
}

fn fold(name: &str) -> String {
    name.to_lowercase()
}

fn user(row: &Value) -> Option<User> {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let given = |name: &str| text(name).filter(|text| !text.is_empty()).map(str::to_owned);
    Some(User {
        display_name: given("display-name"),
        given_name: given("first-name"),
        family_name: given("last-name"),
        state: if row.get("active")?.as_bool()? { UserState::Active } else { UserState::Deactivated },
        ..person(text("key")?, text("name")?, text("email"))?
    })
}

/// The same with those of these attributes that have a value. Crowd keeps counters of its own among them, which change
/// with every sign-in: nobody asked for those.
fn user_with(row: &Value, wanted: &BTreeSet<String>) -> Option<User> {
    let mut user = user(row)?;
    for attribute in row.pointer("/attributes/attributes").and_then(Value::as_array).into_iter().flatten() {
        let name = attribute.get("name").and_then(Value::as_str).filter(|name| wanted.contains(*name));
        let value = attribute.pointer("/values/0").and_then(Value::as_str).filter(|value| !value.is_empty());
        if let (Some(name), Some(value)) = (name, value) {
            user.attributes.insert(name.to_owned(), value.to_owned());
        }
    }
    Some(user)
}

fn group(row: &Value) -> Option<Group> {
    let name = row.get("name").and_then(Value::as_str)?;
    let description = row.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    // What groups give, an application is not told: those of Jira, Confluence and Bitbucket by their names alone.
    let (grants_admin, default_access) = (says_administrators(name), says_default_access(name));
    Some(Group { description, grants_admin, default_access, ..Group::new(GroupId::new(name).ok()?, name) })
}

impl Source for Crowd {
    fn client(&self) -> &Client {
        &self.0.client
    }

    fn parallel(&self) -> usize {
        self.0.parallel
    }

    async fn users(&self, progress: &dyn Progress) -> Walk<User> {
        let query = [("entity-type", "user".to_owned()), self.expand()];
        let step = |done, all| progress.step(Stage::Users, done, all);
        self.list(SEARCH, "users", &query, Lane::Bulk, |row| user_with(row, &self.0.attributes), step).await
    }

    async fn groups(&self, progress: &dyn Progress) -> Walk<Listed> {
        let query = [("entity-type", "group".to_owned()), ("expand", "group".to_owned())];
        let step = |done, all| progress.step(Stage::Groups, done, all);
        let read = |row: &Value| group(row).map(Listed::from);
        self.list(SEARCH, "groups", &query, Lane::Bulk, read, step).await
    }

    async fn members(&self, group: &GroupId, lane: Lane) -> Walk<AccountId> {
        let query = [("groupname", group.to_string()), ("expand", "user".to_owned())];
        self.list(MEMBERS, "users", &query, lane, |row| user(row).map(|user| user.id), |_, _| ()).await
    }

    async fn all_members(&self, id: &GroupId, lane: Lane) -> Walk<Member> {
        let query = [("groupname", id.to_string())];
        let child = |row: &Value| GroupId::new(row.get("name")?.as_str()?).ok();
        let (people, groups) =
            tokio::join!(self.members(id, lane), self.list(CHILDREN, "groups", &query, lane, child, |_, _| ()));
        let people_rows = people.rows.into_iter().map(MemberKind::User);
        let rows = people_rows.chain(groups.rows.into_iter().map(MemberKind::Group));
        Walk {
            rows: rows.map(|kind| Member { kind, role: Role::Member }).collect(),
            complete: people.complete && groups.complete,
            error: people.error.or(groups.error),
            began_at: people.began_at,
        }
    }

    async fn group(&self, id: &GroupId, lane: Lane) -> Result<Option<Group>, ReadError> {
        let request = Request::get(GROUP, &[]).query("groupname", id.as_str()).lane(lane);
        let found: Option<Value> = self.0.find(&request).await?;
        found.map(|row| group(&row).ok_or_else(|| shape(GROUP, "a group is of another shape"))).transpose()
    }

    async fn user(&self, id: &AccountId, lane: Lane) -> Result<Option<User>, ReadError> {
        let mut request = Request::get(USER, &[]).query("username", user_name(id)).lane(lane);
        if !self.0.attributes.is_empty() {
            request = request.query("expand", "attributes");
        }
        let found: Option<Value> = self.0.find(&request).await?;
        let found = found
            .map(|row| user_with(&row, &self.0.attributes).ok_or_else(|| shape(USER, "a user is of another shape")))
            .transpose()?;
        Ok(found.filter(|user| user.id == *id))
    }

    fn may_be_empty(&self) -> bool {
        true
    }
}

impl DcSource for Crowd {
    async fn find(&self, email: &Email) -> Result<Option<User>, ReadError> {
        let restriction = format!("email = \"{}\"", email.as_written());
        let query = [("entity-type", "user".to_owned()), self.expand(), ("restriction", restriction)];
        let read = |row: &Value| user_with(row, &self.0.attributes);
        let walk = self.list(SEARCH, "users", &query, Lane::Normal, read, |_, _| ()).await;
        match (walk.error, walk.rows.as_slice()) {
            (Some(error), _) => Err(error),
            (None, [one]) => Ok(Some(one.clone()).filter(|user| user.email.as_ref() == Some(email))),
            (None, _) => Ok(None),
        }
    }

    async fn groups_of(&self, id: &AccountId, lane: Lane) -> Result<Option<Vec<GroupId>>, ReadError> {
        let query = [("username", user_name(id).to_owned())];
        let read = |row: &Value| GroupId::new(row.get("name")?.as_str()?).ok();
        let walk = self.list(GROUPS_OF, "groups", &query, lane, read, |_, _| ()).await;
        match walk.error {
            Some(error) if error.code == "USER_NOT_FOUND" || error.code == "404" => Ok(None),
            Some(error) => Err(error),
            None => Ok(Some(walk.rows)),
        }
    }

    /// What an application may change, nobody tells: that it may read, [`Self::myself`] asks.
    async fn may_change(&self) -> Result<(), ReadError> {
        Ok(())
    }

    /// An application is nobody.
    async fn myself(&self) -> Result<Vec<AccountId>, ReadError> {
        // The credentials are tried all the same.
        let query = [("entity-type", "group".to_owned())];
        let list = List {
            template: SEARCH,
            values: &[],
            query: &query,
            lane: Lane::Bulk,
            paging: Paging::Crowd("groups", usize::MAX),
        };
        let walk = self.0.walk(&list, |_| Some(()), |_, _| ()).await;
        walk.error.map_or_else(|| Ok(Vec::new()), Err)
    }

    async fn pass(&self, scope: &Scope, progress: &dyn Progress) -> Result<Reading, ReadError> {
        self.whole(scope, progress).await
    }
}
