//! Jira Data Center, `/rest/api/2` (reference/atlassian-dc.md §2).

use std::collections::{BTreeSet, VecDeque};

use model::{AccountId, Email, Group, GroupId, Lane, User, UserState};
use outbound::{Client, Progress, ReadError, Request, Stage};
use serde_json::Value;

use super::pages::{List, Paging};
use super::source::DcSource;
use super::{Instance, canary, person, user_name};
use crate::error::{if_permitted, lacks_if_refused, shape};
use crate::gather::{Listed, Source, Walk};
use crate::names::says_administrators;
use crate::roles::Applications;

const USERS: &str = "/rest/api/2/user/list";
const USER: &str = "/rest/api/2/user";
const FIND: &str = "/rest/api/2/user/search";
const MYSELF: &str = "/rest/api/2/myself";
const PICKER: &str = "/rest/api/2/groups/picker";
const MEMBERS: &str = "/rest/api/2/group/member";
const ROLES: &str = "/rest/api/2/applicationrole";
const PROJECTS: &str = "/rest/api/2/project";
const COMPONENTS: &str = "/rest/api/2/component/page";

/// Users per page: the vendor's own default.
const USERS_PAGE: &str = "2000";
/// Members per page; a smaller page that comes back is as good.
const MEMBERS_PAGE: &str = "50";
/// What names of groups are made of, the most frequent first; others are found when they stand beside one of these.
const LETTERS: &str = "etaoinrslucdpmhgbfy-vkwxzjq0123456789_. ";
/// Most questions to the type-ahead before the list is given up as incomplete.
const QUESTIONS_MAX: usize = 2_000;
/// Room for names that a question excludes, in bytes: servers take eight thousand for the whole address.
const EXCLUDED_MAX: usize = 6_000;

/// One instance.
#[derive(Clone, Debug)]
pub(super) struct Jira(pub(super) Instance);

/// What a person leads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leads {
    /// Keys of projects, sorted.
    pub projects: Vec<String>,
    /// Numbers of components, sorted.
    pub components: Vec<String>,
}

/// The keys of the projects that this user name leads, of an answer of `project?expand=lead`. `None`: the answer is of
/// another shape.
pub fn projects_led(projects: &Value, name: &str) -> Option<Vec<String>> {
    let text = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let led = |project: &&Value| text(project, "/lead/name").is_some_and(|lead| lead.eq_ignore_ascii_case(name));
    let mut keys: Vec<String> =
        projects.as_array()?.iter().filter(led).map(|it| text(it, "/key")).collect::<Option<_>>()?;
    keys.sort_unstable();
    Some(keys)
}

/// The numbers of the components that this user name leads, of one page of `component/page`.
pub fn components_led(page: &Value, name: &str) -> Option<Vec<String>> {
    let text = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let led = |component: &&Value| text(component, "/lead/name").is_some_and(|lead| lead.eq_ignore_ascii_case(name));
    let list = page.get("values")?.as_array()?;
    list.iter().filter(led).map(|it| text(it, "/id")).collect()
}

/// A page of the type-ahead.
struct Picked {
    names: Vec<String>,
    total: usize,
}

impl Jira {
    /// What a person leads: one call for all projects, one for each fifty components.
    pub(super) async fn leads(&self, account: &AccountId) -> Result<Leads, ReadError> {
        let name = user_name(account);
        let projects: Value = self.0.read(&Request::get(PROJECTS, &[]).query("expand", "lead")).await?;
        let projects = projects_led(&projects, name).ok_or_else(|| shape(PROJECTS, "a project is of another shape"))?;
        let list =
            List { template: COMPONENTS, values: &[], query: &[], lane: Lane::Normal, paging: Paging::JiraIndex };
        // The whole row is kept: whose it is, is asked of each page in the same words as before a write.
        let walk = self.0.walk(&list, |row| Some(row.clone()), |_, _| ()).await;
        if let Some(error) = walk.error {
            return Err(error);
        }
        let page = serde_json::json!({ "values": walk.rows });
        let mut components =
            components_led(&page, name).ok_or_else(|| shape(COMPONENTS, "a component is of another shape"))?;
        components.sort_unstable();
        Ok(Leads { projects, components })
    }

    /// Asks the type-ahead, for other groups than these.
    async fn pick(&self, query: &str, excluded: &[&String]) -> Result<Picked, ReadError> {
        let mut request = Request::get(PICKER, &[]).query("query", query).query("maxResults", "10000").lane(Lane::Bulk);
        for name in excluded {
            request = request.query("exclude", name.as_str());
        }
        let page: Value = self.0.read(&request).await?;
        let list = page.get("groups").and_then(Value::as_array);
        let names = list.and_then(|list| list.iter().map(|it| it.get("name")?.as_str().map(str::to_owned)).collect());
        let total = page.get("total").and_then(Value::as_u64).and_then(|total| usize::try_from(total).ok());
        let picked = names.zip(total).map(|(names, total)| Picked { names, total });
        picked.ok_or_else(|| shape(PICKER, "the answer is no list of groups"))
    }

    /// All names of groups. There is no list of groups in this API, only a type-ahead that shows the first so many and
    /// counts the rest. What is not shown is asked for again without those that are known, as long as an address has room
    /// for them and the answer has something new; then by ever longer parts of names, until all are found.
    async fn names(&self, progress: &dyn Progress) -> Walk<String> {
        let mut walk = Walk::begun(self.0.client.now());
        let mut found = BTreeSet::new();
        let mut open = VecDeque::from([String::new()]);
        let mut all = None;
        for _ in 0..QUESTIONS_MAX {
            let Some(query) = open.front().cloned() else { break };
            let excluded = with_room(&found, &query);
            let (known, had_room) = (found.len(), excluded.1);
            let picked = match self.pick(&query, &excluded.0).await {
                Ok(picked) => picked,
                Err(error) => {
                    walk.rows = found.into_iter().collect();
                    return walk.failed(error);
                }
            };
            let total = *all.get_or_insert(picked.total);
            let hidden = picked.total > picked.names.len();
            found.extend(picked.names);
            progress.step(Stage::Groups, found.len() as u64, Some(total as u64));
            if found.len() >= total {
                break;
            }
            if hidden && had_room && found.len() > known {
                continue;
            }
            open.pop_front();
            if hidden {
                open.extend(LETTERS.chars().map(|letter| format!("{query}{letter}")));
                // What ends with these letters is found by what stands before them.
                if query.chars().count() >= 2 {
                    open.extend(LETTERS.chars().map(|letter| format!("{letter}{query}")));
                }
            }
        }
        let complete = all.is_some_and(|total| found.len() >= total);
        walk.rows = found.into_iter().collect();
        if complete {
            return walk.ended(PICKER, 0);
        }
        let text = "not all groups could be found by parts of their names: raise jira.ajax.autocomplete.limit";
        walk.failed(shape(PICKER, text))
    }

    /// What the groups give. Without the right to see it, names must do.
    async fn applications(&self) -> Result<Applications, ReadError> {
        let roles: Vec<Value> = if_permitted(self.0.read(&Request::get(ROLES, &[]).lane(Lane::Bulk)).await)?;
        Ok(Applications::of(&roles, &self.0.site))
    }
}

/// The known names that a question may exclude, and whether there was room for all of them.
fn with_room<'a>(found: &'a BTreeSet<String>, query: &str) -> (Vec<&'a String>, bool) {
    let mut room = EXCLUDED_MAX;
    let (mut excluded, mut all) = (Vec::new(), true);
    for name in found.iter().filter(|name| name.to_ascii_lowercase().contains(query)) {
        // Every byte that is no letter may take three.
        let plain = name.bytes().filter(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte)).count();
        let size = "&exclude=".len() + plain + 3 * (name.len() - plain);
        match room.checked_sub(size) {
            Some(left) => {
                room = left;
                excluded.push(name);
            }
            None => all = false,
        }
    }
    (excluded, all)
}

/// A group of that name.
fn group(name: &str, applications: &Applications) -> Option<Group> {
    let grants_admin = says_administrators(name);
    let mut group = Group { grants_admin, ..Group::new(GroupId::new(name).ok()?, name) };
    applications.tell(&mut group);
    Some(group)
}

fn user(row: &Value) -> Option<User> {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    Some(User {
        display_name: text("displayName").map(str::to_owned),
        state: if row.get("active")?.as_bool()? { UserState::Active } else { UserState::Deactivated },
        ..person(text("key")?, text("name")?, text("emailAddress"))?
    })
}

impl Source for Jira {
    fn client(&self) -> &Client {
        &self.0.client
    }

    fn parallel(&self) -> usize {
        self.0.parallel
    }

    /// Everybody, by the stream of pages: searching finds no more than a hundred since version 10.
    async fn users(&self, progress: &dyn Progress) -> Walk<User> {
        let query = [("maxResults", USERS_PAGE.to_owned())];
        let list = List { template: USERS, values: &[], query: &query, lane: Lane::Bulk, paging: Paging::JiraCursor };
        let walk = self.0.walk(&list, user, |done, all| progress.step(Stage::Users, done, all)).await;
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
        let (names, applications) = tokio::join!(self.names(progress), self.applications());
        let applications = match applications {
            Ok(applications) => applications,
            Err(error) => return Walk::begun(names.began_at).failed(error),
        };
        let Walk { rows, complete, error, began_at } = names;
        let rows = rows.iter().filter_map(|name| group(name, &applications)).map(Listed::from).collect();
        Walk { rows, complete, error, began_at }
    }

    async fn members(&self, group: &GroupId, lane: Lane) -> Walk<AccountId> {
        let query = [
            ("groupname", group.to_string()),
            ("includeInactiveUsers", "true".to_owned()),
            ("maxResults", MEMBERS_PAGE.to_owned()),
        ];
        let list = List { template: MEMBERS, values: &[], query: &query, lane, paging: Paging::JiraIndex };
        self.0.walk(&list, |row| user(row).map(|user| user.id), |_, _| ()).await
    }

    /// A group is known by having members, if none: no other resource names one group.
    async fn group(&self, id: &GroupId, lane: Lane) -> Result<Option<Group>, ReadError> {
        let request = Request::get(MEMBERS, &[]).query("groupname", id.as_str()).query("maxResults", "1").lane(lane);
        let found: Option<Value> = self.0.find(&request).await?;
        if found.is_none() {
            return Ok(None);
        }
        Ok(group(id.as_str(), &self.applications().await?))
    }

    async fn user(&self, id: &AccountId, lane: Lane) -> Result<Option<User>, ReadError> {
        let request = Request::get(USER, &[]).query("username", user_name(id)).lane(lane);
        let found: Option<Value> = self.0.find(&request).await?;
        let found = found.map(|row| user(&row).ok_or_else(|| shape(USER, "a user is of another shape"))).transpose()?;
        // Somebody else may have the name by now.
        Ok(found.filter(|user| user.id == *id))
    }

    fn may_be_empty(&self) -> bool {
        false
    }
}

impl DcSource for Jira {
    async fn find(&self, email: &Email) -> Result<Option<User>, ReadError> {
        let request = Request::get(FIND, &[])
            .query("username", email.as_written())
            .query("includeInactive", "true")
            .query("maxResults", "100");
        let rows: Vec<Value> = self.0.read(&request).await?;
        let mut found = rows.iter().filter_map(user).filter(|user| user.email.as_ref() == Some(email));
        let first = found.next();
        Ok(first.filter(|_| found.next().is_none()))
    }

    async fn groups_of(&self, id: &AccountId, lane: Lane) -> Result<Option<Vec<GroupId>>, ReadError> {
        let request = Request::get(USER, &[]).query("username", user_name(id)).query("expand", "groups").lane(lane);
        let found: Option<Value> = self.0.find(&request).await?;
        let Some(row) = found.filter(|row| user(row).is_some_and(|user| user.id == *id)) else { return Ok(None) };
        let items = row.pointer("/groups/items").and_then(Value::as_array);
        let items = items.ok_or_else(|| shape(USER, "the user's groups are missing"))?;
        let names = items.iter().filter_map(|item| item.get("name")?.as_str());
        Ok(Some(names.filter_map(|name| GroupId::new(name).ok()).collect()))
    }

    async fn may_change(&self) -> Result<(), ReadError> {
        let read = self.0.read::<Value>(&Request::get(ROLES, &[])).await;
        lacks_if_refused(read, ROLES, "the global permission \"Administer Jira\"")
    }

    async fn myself(&self) -> Result<Vec<AccountId>, ReadError> {
        let row: Value = self.0.read(&Request::get(MYSELF, &[]).lane(Lane::Bulk)).await?;
        let me = user(&row).ok_or_else(|| shape(MYSELF, "the answer is no user"))?;
        Ok(vec![me.id])
    }
}
