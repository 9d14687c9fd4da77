//! Groups and people of a Confluence Cloud site that owns its groups, API v1 (reference/atlassian-cloud.md §5).
//!
//! Confluence has no listing of everybody: people are searched, and those who are members and were not found (suspended
//! people are missing from both) are known by their id alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{
    AccountId, Answer as FactAnswer, Email, Fact, Group, GroupId, Lane, MembersRead, Ownership, Reading, User,
};
use outbound::{Budget, Client, ClientConfig, Credential, Progress, ReadDirectory, ReadError, Request, Scope, Stage};
use serde::Deserialize;
use serde_json::Value;

use crate::error::{if_permitted, is_good, lacks, read_error, shape};
use crate::gather::{self, Listed, Source, Walk, members_alone, twice};
use crate::jira::{JiraConfig, administrates};
use crate::names::says_default_access;

const GROUPS: &str = "/wiki/rest/api/group";
const GROUP: &str = "/wiki/rest/api/group/by-id";
const MEMBERS: &str = "/wiki/rest/api/group/{groupId}/membersByGroupId";
const FIND: &str = "/wiki/rest/api/search/user";
const USER: &str = "/wiki/rest/api/user";
const MEMBER_OF: &str = "/wiki/rest/api/user/memberof";
const CURRENT: &str = "/wiki/rest/api/user/current";

/// Largest page; more is refused (§5).
const PAGE: usize = 200;
/// So many pages hold ten million rows; what goes on longer goes round in circles.
const PAGES_MAX: usize = 50_000;

/// Reads one site. Its settings are those of a Jira site.
#[derive(Clone, Debug)]
pub struct ConfluenceReader {
    client: Client,
    parallel: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireUser {
    account_id: AccountId,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    display_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireGroup {
    id: GroupId,
    name: String,
    #[serde(default)]
    managed_by: Option<String>,
    #[serde(default)]
    usage_type: Option<String>,
}

/// A page of `results`.
#[derive(Deserialize)]
struct Page {
    results: Vec<Value>,
    #[serde(default, rename = "_links")]
    links: Value,
    #[serde(default, rename = "totalSize")]
    total: Option<u64>,
}

impl ConfluenceReader {
    /// A reader. Asks nothing yet.
    ///
    /// # Errors
    /// When an address cannot be used.
    pub fn connect(config: JiraConfig) -> Result<Self, ReadError> {
        let credential = Credential::Basic { user: config.email, secret: config.api_token };
        let mut client = ClientConfig::new("confluence", &config.base_url, credential, config.budget, config.clock);
        client.timeout = config.timeout;
        let client = Client::new(client).map_err(|error| ReadError {
            disposition: model::Disposition::Halt,
            message: error.to_string(),
            code: "configuration".to_owned(),
        })?;
        Ok(Self { client, parallel: config.parallel.max(1) })
    }

    /// Asks who we are, and whether we may change groups. Says what was found.
    ///
    /// # Errors
    /// When the token is refused, or its owner does not administer the site: names the right.
    pub async fn probe(&self) -> Result<&'static str, ReadError> {
        let me = self.read::<Value>(&Request::get(CURRENT, &[]).query("expand", "operations")).await;
        let me = me.map_err(ReadError::about_us_if_refused)?;
        let mine = me.get("operations").and_then(Value::as_array);
        let mine = mine.ok_or_else(|| shape(CURRENT, "the answer does not say what we may do"))?;
        let is = |row: &Value, name: &str, wanted: &str| row.get(name).and_then(Value::as_str) == Some(wanted);
        if mine.iter().any(|row| is(row, "operation", "administer") && is(row, "targetType", "application")) {
            return Ok("users and groups can be read and changed");
        }
        Err(lacks(CURRENT, "the right to administer Confluence"))
    }

    /// What the calls spend from.
    pub fn budget(&self) -> &Arc<Budget> {
        self.client.budget()
    }

    /// Walks pages until one has no next. A last page that is full or empty is not believed alone: where the API
    /// counts, the count decides, and elsewhere the page after a full one.
    async fn pages<T>(&self, first: &Request, read: impl Fn(Value) -> Option<T>, progress: impl Fn(u64)) -> Walk<T> {
        let template = first.template();
        let mut walk = Walk::begun(self.client.now());
        let (mut start, mut unreadable) = (0, 0);
        for _ in 0..PAGES_MAX {
            let request = first.clone().query("start", start.to_string()).query("limit", PAGE.to_string());
            let page: Page = match self.read(&request).await {
                Ok(page) => page,
                Err(error) => return walk.failed(error),
            };
            let came = page.results.len();
            start += came;
            for row in page.results {
                match read(row) {
                    Some(row) => walk.rows.push(row),
                    None => unreadable += 1,
                }
            }
            progress(walk.rows.len() as u64);
            if page.links.get("next").is_some_and(|next| !next.is_null()) {
                if came == 0 {
                    return walk.failed(shape(template, "a page is empty and not the last"));
                }
                continue;
            }
            if came > 0 && came < PAGE {
                return walk.ended(template, unreadable);
            }
            match self.count(first, page.total).await {
                Ok(Some(total)) if total > start as u64 => {
                    return walk.failed(shape(template, "the site counts more rows than it lists"));
                }
                Ok(None) if came > 0 => {}
                Ok(_) => return walk.ended(template, unreadable),
                Err(error) => return walk.failed(error),
            }
        }
        walk.failed(shape(template, "the list does not end"))
    }

    /// How many rows a list has; `None`: the API does not count this one.
    async fn count(&self, first: &Request, told: Option<u64>) -> Result<Option<u64>, ReadError> {
        if told.is_some() || first.template() != MEMBERS {
            return Ok(told);
        }
        let request = first.clone().query("start", "0").query("limit", "1").query("shouldReturnTotalSize", "true");
        Ok(self.read::<Page>(&request).await?.total)
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, request: &Request) -> Result<T, ReadError> {
        let answer = self.client.read(request).await?;
        if is_good(&answer) {
            return answer.json().map_err(|text| shape(request.template(), &text));
        }
        Err(read_error(request.template(), &answer))
    }

    /// The same for one thing; `None`: there is none.
    async fn read_one<T: serde::de::DeserializeOwned>(&self, request: &Request) -> Result<Option<T>, ReadError> {
        let answer = self.client.read(request).await?;
        if answer.status.as_u16() == 404 {
            return Ok(None);
        }
        if is_good(&answer) {
            return answer.json().map(Some).map_err(|text| shape(request.template(), &text));
        }
        Err(read_error(request.template(), &answer))
    }

    /// Which groups make administrators, another listing tells. One group cannot be asked for by itself.
    async fn administrators(&self, lane: Lane) -> Result<BTreeSet<GroupId>, ReadError> {
        let request = Request::get(GROUPS, &[]).query("accessType", "admin").lane(lane);
        let walk = self.pages(&request, |row| group(row).map(|group| group.id), |_| ()).await;
        walk.error.map_or_else(|| Ok(walk.rows.into_iter().collect()), Err)
    }

    async fn groups_of_account(&self, user: &AccountId, lane: Lane) -> Result<Vec<GroupId>, ReadError> {
        let request = Request::get(MEMBER_OF, &[]).query("accountId", user.as_str()).lane(lane);
        let walk = self.pages(&request, |row| group(row).map(|group| group.id), |_| ()).await;
        match walk.error {
            Some(error) if error.code == "404" => Ok(Vec::new()),
            Some(error) => Err(error),
            None => Ok(walk.rows),
        }
    }

    async fn myself(&self) -> Result<AccountId, ReadError> {
        let user: WireUser = self.read(&Request::get(CURRENT, &[]).lane(Lane::Bulk)).await?;
        Ok(user.account_id)
    }
}

impl Source for ConfluenceReader {
    fn client(&self) -> &Client {
        &self.client
    }

    fn parallel(&self) -> usize {
        self.parallel
    }

    async fn users(&self, progress: &dyn Progress) -> Walk<User> {
        let request = Request::get(FIND, &[]).query("cql", "type=user").lane(Lane::Bulk);
        let found = |row: Value| user(row.get("user").cloned()?);
        let step = |done| progress.step(Stage::Users, done, None);
        let walk = self.pages(&request, found, step).await;
        if walk.error.is_some() {
            return walk;
        }
        // Without the right to browse people the search is empty or short, and the status 200 (failure mode 22).
        match self.myself().await {
            Ok(me) if walk.rows.iter().any(|user| user.id == me) => walk,
            Ok(_) => walk.failed(ReadError {
                disposition: model::Disposition::Halt,
                message: format!("GET {FIND}: our own account is not found: give it the right to browse people"),
                code: "canary".to_owned(),
            }),
            Err(error) => walk.failed(error),
        }
    }

    async fn groups(&self, progress: &dyn Progress) -> Walk<Listed> {
        let step = |done| progress.step(Stage::Groups, done, None);
        let request = Request::get(GROUPS, &[]).lane(Lane::Bulk);
        let mut walk = self.pages(&request, |row| group(row).map(Listed::from), step).await;
        if walk.error.is_none() && walk.rows.is_empty() {
            return walk.failed(shape(GROUPS, "the site lists no group, and every site has one"));
        }
        match self.administrators(Lane::Bulk).await {
            Ok(found) => walk.rows.iter_mut().for_each(|listed| administrates(&mut listed.group, Some(&found))),
            // Without the right to see them, names must do; trouble must not look like that: a row is told with what
            // protects it, or not at all, also of a listing that broke off.
            Err(error) if error.may_pass() || error.is_about_us() => return walk.untold(error),
            Err(error) => progress.trouble(&error),
        }
        walk
    }

    async fn members(&self, group: &GroupId, lane: Lane) -> Walk<AccountId> {
        let request = Request::get(MEMBERS, &[group.as_str()]).lane(lane);
        self.pages(&request, |row| user(row).map(|user| user.id), |_| ()).await
    }

    async fn group(&self, id: &GroupId, lane: Lane) -> Result<Option<Group>, ReadError> {
        let request = Request::get(GROUP, &[]).query("id", id.as_str()).lane(lane);
        let Some(row) = self.read_one::<Value>(&request).await? else { return Ok(None) };
        group(row).map(Some).ok_or_else(|| shape(GROUP, "a group is of another shape than documented"))
    }

    async fn with_roles(&self, mut groups: Vec<Group>, lane: Lane) -> Result<Vec<Group>, ReadError> {
        if !groups.is_empty() {
            let found = if_permitted(self.administrators(lane).await.map(Some))?;
            for group in &mut groups {
                administrates(group, found.as_ref());
            }
        }
        Ok(groups)
    }

    async fn user(&self, id: &AccountId, lane: Lane) -> Result<Option<User>, ReadError> {
        let request = Request::get(USER, &[]).query("accountId", id.as_str()).lane(lane);
        Ok(self.read_one::<WireUser>(&request).await?.map(WireUser::user))
    }

    fn may_be_empty(&self) -> bool {
        // The account that reads is on the site.
        false
    }
}

impl ReadDirectory for ConfluenceReader {
    async fn sweep(&self, scope: &Scope, progress: &dyn Progress) -> Result<Reading, ReadError> {
        gather::sweep(self, scope, progress).await
    }

    async fn read_members(&self, group: &GroupId) -> Result<MembersRead, ReadError> {
        members_alone(group, self.members(group, Lane::Normal).await)
    }

    async fn read_group(&self, group: &GroupId) -> Result<Option<Group>, ReadError> {
        gather::group_alone(self, group).await
    }

    async fn read_user(&self, user: &AccountId) -> Result<Option<User>, ReadError> {
        twice(|| self.user(user, Lane::Normal)).await
    }

    /// Addresses cannot be searched: a pass over everything finds people by them.
    async fn find_person(&self, _email: &Email) -> Result<Option<User>, ReadError> {
        Ok(None)
    }

    async fn verify(&self, fact: &Fact) -> Result<FactAnswer, ReadError> {
        let holds = match fact {
            Fact::Member { group, user, .. } => self.groups_of_account(user, Lane::Urgent).await?.contains(group),
            Fact::Nested { .. } => false,
            Fact::User { user, .. } => twice(|| self.user(user, Lane::Urgent)).await?.is_some(),
            Fact::Group { group, .. } => twice(|| self.group(group, Lane::Urgent)).await?.is_some(),
        };
        Ok(if holds { FactAnswer::Holds } else { FactAnswer::Gone })
    }

    async fn reread(&self, groups: &[GroupId], users: &[AccountId]) -> Result<Reading, ReadError> {
        gather::reread(self, groups, users).await
    }

    async fn groups_of(&self, user: &AccountId) -> Result<Vec<GroupId>, ReadError> {
        self.groups_of_account(user, Lane::Normal).await
    }

    async fn who_am_i(&self) -> Result<Vec<AccountId>, ReadError> {
        Ok(vec![self.myself().await?])
    }
}

impl WireUser {
    /// An address that is hidden comes as an empty text.
    fn user(self) -> User {
        User {
            display_name: self.display_name,
            ..User::new(self.account_id, self.email.and_then(|text| Email::new(text).ok()))
        }
    }
}

fn user(row: Value) -> Option<User> {
    serde_json::from_value::<WireUser>(row).ok().map(WireUser::user)
}

/// A group; a team is its members' own.
fn group(row: Value) -> Option<Group> {
    let row: WireGroup = serde_json::from_value(row).ok()?;
    let team = row.usage_type.as_deref() == Some("TEAM_COLLABORATION");
    let ownership = match row.managed_by.as_deref() {
        _ if team => Ownership::Members,
        Some("TEAM_MEMBERS" | "OPEN") => Ownership::Members,
        Some("EXTERNAL") => Ownership::IdentityProvider,
        _ => Ownership::Local,
    };
    Some(Group { ownership, default_access: says_default_access(&row.name), ..Group::new(row.id, row.name) })
}
