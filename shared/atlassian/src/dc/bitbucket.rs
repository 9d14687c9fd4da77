//! Bitbucket Data Center, `/rest/api/latest` (reference/atlassian-dc.md §4).

use std::collections::BTreeMap;

use model::{AccountId, Email, Group, GroupId, Lane, Ownership, User, UserState};
use outbound::{Client, Progress, ReadError, Request, Stage};
use serde_json::Value;

use super::pages::{List, Paging};
use super::source::DcSource;
use super::{Instance, canary, person, user_name};
use crate::error::{if_permitted, shape};
use crate::gather::{Listed, Source, Walk};
use crate::names::{says_administrators, says_default_access};

const USERS: &str = "/rest/api/latest/admin/users";
const GROUPS: &str = "/rest/api/latest/admin/groups";
const MEMBERS: &str = "/rest/api/latest/admin/groups/more-members";
const GROUPS_OF: &str = "/rest/api/latest/admin/users/more-members";
const PERMISSIONS: &str = "/rest/api/latest/admin/permissions/groups";
const WHOAMI: &str = "/rest/api/latest/application-properties";

/// Rows per page; the instance may give less.
const PAGE: &str = "1000";

/// One instance.
#[derive(Clone, Debug)]
pub(super) struct Bitbucket(pub(super) Instance);

impl Bitbucket {
    async fn list<T>(
        &self,
        template: &'static str,
        query: &[(&'static str, String)],
        lane: Lane,
        read: impl Fn(&Value) -> Option<T>,
        progress: impl Fn(u64, Option<u64>),
    ) -> Walk<T> {
        let query: Vec<_> = query.iter().cloned().chain([("limit", PAGE.to_owned())]).collect();
        let list = List { template, values: &[], query: &query, lane, paging: Paging::Bitbucket };
        self.0.walk(&list, read, progress).await
    }

    /// The global permission of each group that has one, by folded name.
    async fn permissions(&self) -> Result<BTreeMap<String, String>, ReadError> {
        let read = |row: &Value| {
            let text = |pointer: &str| row.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            Some((text("/group/name")?.to_ascii_lowercase(), text("/permission")?))
        };
        let walk = self.list(PERMISSIONS, &[], Lane::Bulk, read, |_, _| ()).await;
        let rows = if_permitted(walk.error.map_or(Ok(walk.rows), Err))?;
        Ok(rows.into_iter().collect())
    }

    /// Everybody whose name, address or shown name holds this text.
    async fn filtered(&self, text: &str, lane: Lane) -> Result<Vec<User>, ReadError> {
        let walk = self.list(USERS, &[("filter", text.to_owned())], lane, user, |_, _| ()).await;
        walk.error.map_or(Ok(walk.rows), Err)
    }
}

/// Nobody is deactivated by this API; `active` tells whether the directory behind it did so.
fn user(row: &Value) -> Option<User> {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let key = row.get("id")?.as_u64()?.to_string();
    let active = row.get("active").and_then(Value::as_bool).unwrap_or(true);
    Some(User {
        display_name: text("displayName").map(str::to_owned),
        state: if active { UserState::Active } else { UserState::Deactivated },
        ..person(&key, text("name")?, text("emailAddress"))?
    })
}

fn group(name: &str, deletable: bool, permissions: &BTreeMap<String, String>) -> Option<Group> {
    let permission = permissions.get(&name.to_ascii_lowercase()).map(String::as_str);
    Some(Group {
        // One that cannot be deleted lies in a directory that is only read.
        ownership: if deletable { Ownership::Local } else { Ownership::IdentityProvider },
        default_access: says_default_access(name),
        grants_admin: matches!(permission, Some("ADMIN" | "SYS_ADMIN")) || says_administrators(name),
        ..Group::new(GroupId::new(name).ok()?, name)
    })
}

fn named(row: &Value) -> Option<(String, bool)> {
    let name = row.get("name").and_then(Value::as_str)?.to_owned();
    Some((name, row.get("deletable").and_then(Value::as_bool).unwrap_or(true)))
}

impl Source for Bitbucket {
    fn client(&self) -> &Client {
        &self.0.client
    }

    fn parallel(&self) -> usize {
        self.0.parallel
    }

    async fn users(&self, progress: &dyn Progress) -> Walk<User> {
        let walk = self.list(USERS, &[], Lane::Bulk, user, |done, all| progress.step(Stage::Users, done, all)).await;
        if walk.error.is_some() {
            return walk;
        }
        match self.myself().await {
            Ok(me) if me.iter().all(|id| walk.rows.iter().any(|user| user.id == *id)) => walk,
            Ok(_) => walk.failed(canary(USERS)),
            Err(error) => walk.failed(error),
        }
    }

    async fn groups(&self, progress: &dyn Progress) -> Walk<Listed> {
        let step = |done, all| progress.step(Stage::Groups, done, all);
        let (names, permissions) = tokio::join!(self.list(GROUPS, &[], Lane::Bulk, named, step), self.permissions());
        let permissions = match permissions {
            Ok(permissions) => permissions,
            Err(error) => return Walk::begun(names.began_at).failed(error),
        };
        let Walk { rows, complete, error, began_at } = names;
        let found = rows.iter().filter_map(|(name, deletable)| group(name, *deletable, &permissions));
        Walk { rows: found.map(Listed::from).collect(), complete, error, began_at }
    }

    /// A group that is gone has no members and the status 200: an empty list is believed only of a group that exists.
    async fn members(&self, id: &GroupId, lane: Lane) -> Walk<AccountId> {
        let query = [("context", id.to_string())];
        let walk = self.list(MEMBERS, &query, lane, |row| user(row).map(|user| user.id), |_, _| ()).await;
        if !walk.rows.is_empty() || walk.error.is_some() {
            return walk;
        }
        match self.group(id, lane).await {
            Ok(Some(_)) => walk,
            Ok(None) => walk.failed(ReadError {
                disposition: model::Disposition::Reject(model::Rejection::UnknownGroup),
                message: format!("GET {MEMBERS}: the group is not found"),
                code: "404".to_owned(),
            }),
            Err(error) => walk.failed(error),
        }
    }

    async fn group(&self, id: &GroupId, lane: Lane) -> Result<Option<Group>, ReadError> {
        let walk = self.list(GROUPS, &[("filter", id.to_string())], lane, named, |_, _| ()).await;
        if let Some(error) = walk.error {
            return Err(error);
        }
        let found = walk.rows.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(id.as_str()));
        let Some((name, deletable)) = found else { return Ok(None) };
        Ok(group(&name, deletable, &self.permissions().await?))
    }

    async fn user(&self, id: &AccountId, lane: Lane) -> Result<Option<User>, ReadError> {
        let found = self.filtered(user_name(id), lane).await?;
        Ok(found.into_iter().find(|user| user.id == *id))
    }

    fn may_be_empty(&self) -> bool {
        false
    }
}

impl DcSource for Bitbucket {
    async fn find(&self, email: &Email) -> Result<Option<User>, ReadError> {
        let found = self.filtered(email.as_written(), Lane::Normal).await?;
        let mut found = found.into_iter().filter(|user| user.email.as_ref() == Some(email));
        let first = found.next();
        Ok(first.filter(|_| found.next().is_none()))
    }

    async fn groups_of(&self, id: &AccountId, lane: Lane) -> Result<Option<Vec<GroupId>>, ReadError> {
        let query = [("context", user_name(id).to_owned())];
        let read = |row: &Value| GroupId::new(named(row)?.0).ok();
        let walk = self.list(GROUPS_OF, &query, lane, read, |_, _| ()).await;
        match walk.error {
            Some(error) if error.code == "404" => Ok(None),
            Some(error) => Err(error),
            None => Ok(Some(walk.rows)),
        }
    }

    /// No resource says who we are; every authenticated answer names us in a header.
    async fn myself(&self) -> Result<Vec<AccountId>, ReadError> {
        let request = Request::get(WHOAMI, &[]).lane(Lane::Bulk);
        let answer = self.0.client.read(&request).await?;
        self.0.check(WHOAMI, &answer)?;
        let Some(name) = answer.header("x-ausername").map(str::to_owned) else {
            return Err(shape(WHOAMI, "no header says whose token it is"));
        };
        let found = self.filtered(&name, Lane::Bulk).await?;
        let me = found.into_iter().find(|user| user_name(&user.id).eq_ignore_ascii_case(&name));
        Ok(vec![me.ok_or_else(|| canary(USERS))?.id])
    }
}
