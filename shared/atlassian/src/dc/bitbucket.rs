//! Bitbucket Data Center, `/rest/api/latest` (reference/atlassian-dc.md §4).

use std::collections::{BTreeMap, BTreeSet};

use model::{AccountId, Email, Group, GroupId, LET_IN, Lane, Ownership, ProductAccess, SeatCount, User, UserState};
use outbound::{Client, Progress, ReadError, Request, Stage};
use serde_json::Value;

use super::pages::{List, Paging};
use super::source::DcSource;
use super::{Instance, canary, person, user_name};
use crate::error::{if_permitted, lacks_if_refused, shape};
use crate::gather::{Listed, Source, Walk};
use crate::names::{says_administrators, says_default_access};

const USERS: &str = "/rest/api/latest/admin/users";
const GROUPS: &str = "/rest/api/latest/admin/groups";
const MEMBERS: &str = "/rest/api/latest/admin/groups/more-members";
const GROUPS_OF: &str = "/rest/api/latest/admin/users/more-members";
/// Everybody with a permission, of their own or through a group: the only list that tells.
const LET_IN_BY: &str = "/rest/api/latest/users";
const DIRECTORIES: &str = "/rest/api/latest/admin/user-directories";
const LICENSE: &str = "/rest/api/latest/admin/license";
const PERMISSIONS: &str = "/rest/api/latest/admin/permissions/groups";
const WHOAMI: &str = "/rest/api/latest/application-properties";

/// Rows per page; the instance may give less.
const PAGE: &str = "1000";

/// What is known of the groups beside their names.
struct Known {
    /// The global permission of each group that has one, by folded name.
    permissions: BTreeMap<String, String>,
    /// What every permission gives.
    access: ProductAccess,
}

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

    /// What the groups give, and the seats that are left.
    async fn known(&self) -> Result<Known, ReadError> {
        let license = Request::get(LICENSE, &[]).lane(Lane::Bulk);
        let (permissions, license) = tokio::join!(self.permissions(), self.0.read::<Value>(&license));
        let seats = seats(&if_permitted(license)?);
        let access = ProductAccess { seats, ..ProductAccess::new("bitbucket", self.0.site.as_str()) };
        Ok(Known { permissions: permissions?, access })
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

    /// Whether the user directory that is named, if one is, is the one in which users are made.
    pub(super) async fn check_user_directory(&self) -> Result<(), ReadError> {
        let Some(named) = &self.0.user_directory else { return Ok(()) };
        let all: Vec<Value> = self.0.read(&Request::get(DIRECTORIES, &[])).await?;
        let Some(wrong) = not_chosen(&all, named) else { return Ok(()) };
        let disposition = model::Disposition::Reject(model::Rejection::Validation);
        Err(ReadError {
            disposition,
            message: format!("GET {DIRECTORIES}: {wrong}"),
            code: "user-directory".to_owned(),
        })
    }

    /// Everybody whose name, address or shown name holds this text, as far as one call tells.
    async fn filtered(&self, text: &str, lane: Lane) -> Result<Vec<User>, ReadError> {
        let walk = self.list(USERS, &[("filter", text.to_owned())], lane, user, |_, _| ()).await;
        walk.error.map_or(Ok(walk.rows), Err)
    }

    /// Whoever has this global permission or a greater one, of those who are filtered.
    async fn permitted(&self, permission: &str, filter: &str, lane: Lane) -> Walk<AccountId> {
        let query = [("permission", permission.to_owned()), ("filter", filter.to_owned())];
        let query = if filter.is_empty() { query.get(..1).unwrap_or_default() } else { &query };
        self.list(LET_IN_BY, query, lane, |row| user(row).map(|user| user.id), |_, _| ()).await
    }

    /// Notes of each of these people whether anything lets them in, and whether they administer: two calls for all.
    async fn with_permissions(&self, mut users: Vec<User>, filter: &str, lane: Lane) -> Result<Vec<User>, ReadError> {
        let (licensed, administrators) =
            tokio::join!(self.permitted("LICENSED_USER", filter, lane), self.permitted("ADMIN", filter, lane));
        if let Some(error) = licensed.error.or(administrators.error) {
            return Err(error);
        }
        let [licensed, administrators] = [licensed.rows, administrators.rows].map(BTreeSet::from_iter);
        for user in &mut users {
            user.admin = administrators.contains(&user.id);
            if !licensed.contains(&user.id) {
                user.attributes.insert(LET_IN.to_owned(), "false".to_owned());
            }
        }
        Ok(users)
    }

    /// Everybody whose name, address or shown name holds this text, with what their permissions say.
    async fn found(&self, text: &str, lane: Lane) -> Result<Vec<User>, ReadError> {
        let users = self.filtered(text, lane).await?;
        if users.is_empty() { Ok(users) } else { self.with_permissions(users, text, lane).await }
    }
}

/// Nobody is deactivated by this API; `active` tells whether the directory behind it did so. Whether anything lets them in,
/// their permissions say.
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

fn group(name: &str, deletable: bool, known: &Known) -> Option<Group> {
    let permission = known.permissions.get(&name.to_ascii_lowercase()).map(String::as_str);
    Some(Group {
        // One that cannot be deleted lies in a directory that is only read.
        ownership: if deletable { Ownership::Local } else { Ownership::IdentityProvider },
        default_access: says_default_access(name),
        grants_admin: matches!(permission, Some("ADMIN" | "SYS_ADMIN")) || says_administrators(name),
        gives: permission.map(|_| known.access.clone()).into_iter().collect(),
        ..Group::new(GroupId::new(name).ok()?, name)
    })
}

/// Why users are not made in the user directory of this name, of the instance's list (`admin/user-directories`): writes go
/// to the first active one that is its own. `None`: they are.
pub fn not_chosen(all: &[Value], named: &str) -> Option<String> {
    let text = |row: &Value, name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let active = || all.iter().filter(|row| row.get("active").and_then(Value::as_bool) != Some(false));
    if !active().any(|row| text(row, "name") == named) {
        return Some(format!("the instance has no active user directory \"{named}\""));
    }
    let first = active().find(|row| text(row, "type") == "INTERNAL" || text(row, "name") == named);
    let first = first.map(|row| text(row, "name")).filter(|first| first != named)?;
    Some(format!("users are made in \"{first}\", which stands before \"{named}\": have its administrators move it up"))
}

/// The seats of an answer of `admin/license`; `None`: there is no limit, or it is not told.
fn seats(license: &Value) -> Option<SeatCount> {
    let number = |pointer: &str| license.pointer(pointer).and_then(Value::as_u64);
    let limited = license.get("unlimitedNumberOfUsers").and_then(Value::as_bool) == Some(false);
    let (total, used) = (number("/maximumNumberOfUsers")?, number("/status/currentNumberOfUsers")?);
    limited.then_some(SeatCount { total, left: total.saturating_sub(used) })
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
        let mut walk =
            self.list(USERS, &[], Lane::Bulk, user, |done, all| progress.step(Stage::Users, done, all)).await;
        if walk.error.is_some() {
            return walk;
        }
        let users = std::mem::take(&mut walk.rows);
        match tokio::join!(self.myself(), self.with_permissions(users, "", Lane::Bulk)) {
            (Ok(me), Ok(users)) => {
                let there = me.iter().all(|id| users.iter().any(|user| user.id == *id));
                walk.rows = users;
                if there { walk } else { walk.failed(canary(USERS)) }
            }
            (Err(error), _) | (_, Err(error)) => walk.failed(error),
        }
    }

    async fn groups(&self, progress: &dyn Progress) -> Walk<Listed> {
        let step = |done, all| progress.step(Stage::Groups, done, all);
        let (names, known) = tokio::join!(self.list(GROUPS, &[], Lane::Bulk, named, step), self.known());
        let known = match known {
            Ok(known) => known,
            Err(error) => return Walk::begun(names.began_at).failed(error),
        };
        let Walk { rows, complete, error, began_at } = names;
        let found = rows.iter().filter_map(|(name, deletable)| group(name, *deletable, &known));
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
        Ok(group(&name, deletable, &self.known().await?))
    }

    async fn user(&self, id: &AccountId, lane: Lane) -> Result<Option<User>, ReadError> {
        let found = self.found(user_name(id), lane).await?;
        Ok(found.into_iter().find(|user| user.id == *id))
    }

    fn may_be_empty(&self) -> bool {
        false
    }
}

impl DcSource for Bitbucket {
    async fn find(&self, email: &Email) -> Result<Option<User>, ReadError> {
        let found = self.found(email.as_written(), Lane::Normal).await?;
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

    async fn may_change(&self) -> Result<(), ReadError> {
        let read = self.0.read::<Value>(&Request::get(LICENSE, &[])).await;
        lacks_if_refused(read, LICENSE, "the global permission \"Admin\"")
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_directory_that_is_named_must_be_the_one_that_is_written() {
        let row = |name: &str, kind: &str, active: bool| json!({ "name": name, "type": kind, "active": active });
        let all = [
            row("Crowd", "CROWD", true),
            row("Old", "INTERNAL", false),
            row("Own", "INTERNAL", true),
            row("LDAP", "LDAP", true),
        ];
        assert_eq!(not_chosen(&all, "Own"), None);
        assert_eq!(not_chosen(&all, "Crowd"), None, "whether it may be written, nobody tells");
        assert!(not_chosen(&all, "LDAP").is_some_and(|told| told.contains("users are made in \"Own\"")));
        assert!(not_chosen(&all, "Old").is_some() && not_chosen(&all, "Else").is_some());
    }
}
