//! Confluence Data Center, `/rest/api` (reference/atlassian-dc.md §3).

use std::collections::{BTreeMap, BTreeSet};

use model::{AccountId, Email, Group, GroupId, Lane, ProductAccess, User, UserState};
use outbound::{Client, Progress, ReadError, Request, Stage};
use serde_json::Value;

use super::pages::{List, Paging};
use super::source::DcSource;
use super::{Instance, canary, key, person, user_name};
use crate::error::{if_permitted, lacks_if_refused, shape};
use crate::gather::{Listed, Source, Walk};
use crate::names::{says_administrators, says_default_access};

const USERS: &str = "/rest/api/user/list";
const ACTIVE: &str = "/rest/api/admin/users/list/active";
const USER: &str = "/rest/api/user";
const MYSELF: &str = "/rest/api/user/current";
const MEMBER_OF: &str = "/rest/api/user/memberof";
const GROUPS: &str = "/rest/api/group";
/// The query form: names may hold a slash.
const GROUP: &str = "/rest/api/group/info";
const MEMBERS: &str = "/rest/api/group/member";
const PERMISSIONS: &str = "/rest/api/permissions";

/// Asked for; the instance may silently give less.
const PAGE: &str = "500";

/// Which groups may use the site and which administer it, by name in lower case.
#[derive(Debug, Default)]
struct Granted {
    site: String,
    users: BTreeSet<String>,
    administrators: BTreeSet<String>,
}

/// One instance.
#[derive(Clone, Debug)]
pub(super) struct Confluence(pub(super) Instance);

impl Confluence {
    async fn list<T>(
        &self,
        template: &'static str,
        query: &[(&'static str, String)],
        lane: Lane,
        read: impl Fn(&Value) -> Option<T>,
        progress: impl Fn(u64, Option<u64>),
    ) -> Walk<T> {
        let query: Vec<_> = query.iter().cloned().chain([("limit", PAGE.to_owned())]).collect();
        let list = List { template, values: &[], query: &query, lane, paging: Paging::Confluence };
        self.0.walk(&list, read, progress).await
    }

    /// The addresses of those who take a seat, by id: no other list has them.
    async fn addresses(&self, progress: &dyn Progress) -> Walk<(AccountId, Email)> {
        let read = |row: &Value| Some((user(row)?.id, row.get("email").and_then(Value::as_str).map(str::to_owned)));
        let walk = self.list(ACTIVE, &[], Lane::Bulk, read, |done, all| progress.step(Stage::Users, done, all)).await;
        let Walk { rows, complete, error, began_at } = walk;
        let rows = rows.into_iter().filter_map(|(id, text)| Some((id, Email::new(text?).ok()?))).collect();
        Walk { rows, complete, error, began_at }
    }

    /// What the groups may do on the site. Without the right to see it, names must do.
    async fn granted(&self) -> Result<Granted, ReadError> {
        let entries: Value = if_permitted(self.0.read(&Request::get(PERMISSIONS, &[]).lane(Lane::Bulk)).await)?;
        let mut granted = Granted { site: self.0.site.clone(), ..Granted::default() };
        for entry in entries.as_array().into_iter().flatten() {
            let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            if text("/subject/type") != "group" {
                continue;
            }
            let name = text("/subject/displayName").to_ascii_lowercase();
            match text("/operation/operationKey") {
                "use" => granted.users.insert(name),
                operation if operation.contains("administer") => granted.administrators.insert(name),
                _ => false,
            };
        }
        Ok(granted)
    }
}

fn user(row: &Value) -> Option<User> {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let deactivated = text("status").is_some_and(|status| status != "current");
    Some(User {
        display_name: text("displayName").map(str::to_owned),
        state: if deactivated { UserState::Deactivated } else { UserState::Active },
        ..person(text("userKey")?, text("username")?, text("email"))?
    })
}

fn group(name: &str, granted: &Granted) -> Option<Group> {
    let folded = name.to_ascii_lowercase();
    let grants_admin = granted.administrators.contains(&folded) || says_administrators(name);
    let access = granted.users.contains(&folded).then(|| ProductAccess::new("confluence", granted.site.as_str()));
    let (default_access, gives) = (says_default_access(name), access.into_iter().collect());
    Some(Group { default_access, grants_admin, gives, ..Group::new(GroupId::new(name).ok()?, name) })
}

fn name_of(row: &Value) -> Option<String> {
    row.get("name").and_then(Value::as_str).map(str::to_owned)
}

impl Source for Confluence {
    fn client(&self) -> &Client {
        &self.0.client
    }

    fn parallel(&self) -> usize {
        self.0.parallel
    }

    /// Two lists: everybody with their state, and those who take a seat with their address. An address that the second
    /// could not give to its end is unknown, and the list of users is then not complete: somebody without an address
    /// would be taken for somebody else.
    async fn users(&self, progress: &dyn Progress) -> Walk<User> {
        let status = [("expand", "status".to_owned())];
        let step = |done, all| progress.step(Stage::Users, done, all);
        let (everybody, addresses) =
            tokio::join!(self.list(USERS, &status, Lane::Bulk, user, step), self.addresses(progress));
        let mut walk = everybody;
        let by_id: BTreeMap<AccountId, Email> = addresses.rows.into_iter().collect();
        for user in &mut walk.rows {
            user.email = by_id.get(&user.id).cloned();
        }
        if let Some(error) = addresses.error {
            return walk.failed(error);
        }
        walk.complete &= addresses.complete;
        if walk.error.is_some() {
            return walk;
        }
        match self.myself().await {
            Ok(me) if walk.rows.iter().any(|user| me.contains(&user.id)) => walk,
            Ok(_) => walk.failed(canary(USERS)),
            Err(error) => walk.failed(error),
        }
    }

    async fn groups(&self, progress: &dyn Progress) -> Walk<Listed> {
        let step = |done, all| progress.step(Stage::Groups, done, all);
        let (names, granted) = tokio::join!(self.list(GROUPS, &[], Lane::Bulk, name_of, step), self.granted());
        let granted = match granted {
            Ok(granted) => granted,
            Err(error) => return Walk::begun(names.began_at).failed(error),
        };
        let Walk { rows, complete, error, began_at } = names;
        let rows = rows.iter().filter_map(|name| group(name, &granted)).map(Listed::from).collect();
        Walk { rows, complete, error, began_at }
    }

    async fn members(&self, group: &GroupId, lane: Lane) -> Walk<AccountId> {
        let query = [("groupName", group.to_string())];
        self.list(MEMBERS, &query, lane, |row| user(row).map(|user| user.id), |_, _| ()).await
    }

    async fn group(&self, id: &GroupId, lane: Lane) -> Result<Option<Group>, ReadError> {
        let request = Request::get(GROUP, &[]).query("groupName", id.as_str()).lane(lane);
        let found: Option<Value> = self.0.find(&request).await?;
        let Some(name) = found.and_then(|row| name_of(&row)) else { return Ok(None) };
        Ok(group(&name, &self.granted().await?))
    }

    /// One person; the address is not among what is answered.
    async fn user(&self, id: &AccountId, lane: Lane) -> Result<Option<User>, ReadError> {
        let request = Request::get(USER, &[]).query("key", key(id)).query("expand", "status").lane(lane);
        let found: Option<Value> = self.0.find(&request).await?;
        let found = found.map(|row| user(&row).ok_or_else(|| shape(USER, "a user is of another shape"))).transpose()?;
        let Some(mut found) = found.filter(|user| user.id == *id) else { return Ok(None) };
        if found.state == UserState::Active {
            let addresses = self.addresses(&outbound::Silent).await;
            if let Some(error) = addresses.error {
                return Err(error);
            }
            found.email = addresses.rows.into_iter().find(|(of, _)| of == id).map(|(_, email)| email);
        }
        Ok(Some(found))
    }

    fn may_be_empty(&self) -> bool {
        false
    }
}

impl DcSource for Confluence {
    async fn find(&self, email: &Email) -> Result<Option<User>, ReadError> {
        let addresses = self.addresses(&outbound::Silent).await;
        if let Some(error) = addresses.error {
            return Err(error);
        }
        let mut found = addresses.rows.into_iter().filter(|(_, of)| of == email).map(|(id, _)| id);
        match (found.next(), found.next()) {
            (Some(id), None) => self.user(&id, Lane::Normal).await,
            _ => Ok(None),
        }
    }

    async fn groups_of(&self, id: &AccountId, lane: Lane) -> Result<Option<Vec<GroupId>>, ReadError> {
        let query = [("username", user_name(id).to_owned())];
        let walk = self.list(MEMBER_OF, &query, lane, |row| GroupId::new(name_of(row)?).ok(), |_, _| ()).await;
        match walk.error {
            Some(error) if error.code == "404" => Ok(None),
            Some(error) => Err(error),
            None => Ok(Some(walk.rows)),
        }
    }

    async fn may_change(&self) -> Result<(), ReadError> {
        let read = self.0.read::<Value>(&Request::get(ACTIVE, &[]).query("limit", "1")).await;
        lacks_if_refused(read, ACTIVE, "the right to administer Confluence")
    }

    async fn myself(&self) -> Result<Vec<AccountId>, ReadError> {
        let row: Value = self.0.read(&Request::get(MYSELF, &[]).lane(Lane::Bulk)).await?;
        let me = user(&row).ok_or_else(|| shape(MYSELF, "the answer is no user"))?;
        Ok(vec![me.id])
    }
}
