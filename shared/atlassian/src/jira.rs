//! Groups and users of a Jira Cloud site, API v3 (reference/atlassian-cloud.md §4).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use model::{
    AccountId, Answer as FactAnswer, Disposition, Email, Fact, Group, GroupId, Lane, MembersRead, Reading, Span, User,
    UserState,
};
use outbound::{
    Allowance, Answer, Budget, Client, ClientConfig, Clock, Credential, Limit, Progress, ReadDirectory, ReadError,
    Request, Scope, Secret, Stage,
};
use serde::Deserialize;
use serde_json::Value;

use crate::error::{if_permitted, is_good, lacks, read_error, shape};
use crate::gather::{self, Listed, Source, Walk, members_alone, twice};
use crate::roles::Applications;

const USERS: &str = "/rest/api/3/users/search";
const GROUPS: &str = "/rest/api/3/group/bulk";
const MEMBERS: &str = "/rest/api/3/group/member";
const USER: &str = "/rest/api/3/user";
const GROUPS_OF: &str = "/rest/api/3/user/groups";
const FIND: &str = "/rest/api/3/user/search";
const MYSELF: &str = "/rest/api/3/myself";
const ROLES: &str = "/rest/api/3/applicationrole";
const PERMISSIONS: &str = "/rest/api/3/mypermissions";

/// The kinds of access that make administrators: of the site, and of a product.
const ADMINISTRATE: [&str; 2] = ["site-admin", "admin"];

/// Largest page of users.
const USERS_PAGE: usize = 1_000;
/// Page of groups.
const GROUPS_PAGE: usize = 50;
/// Largest page of members.
const MEMBERS_PAGE: usize = 50;
/// 250,000 groups are 5,000 pages; what goes on longer goes round in circles.
const PAGES_MAX: usize = 50_000;

/// How a site is reached.
pub struct JiraConfig {
    /// The site, or `scheme://host:port` of a twin, a gateway or a proxy.
    pub base_url: String,
    /// Where people find it.
    pub site: String,
    /// Whose API token it is.
    pub email: String,
    /// The API token.
    pub api_token: Secret,
    /// What the calls spend from; see [`documented_limit`].
    pub budget: Arc<Budget>,
    /// What times the readings bear.
    pub clock: Clock,
    /// Longest time for one call.
    pub timeout: Duration,
    /// How many groups are walked at once.
    pub parallel: usize,
}

/// Reads one site.
#[derive(Clone, Debug)]
pub struct JiraReader {
    client: Client,
    /// Where people find it.
    site: String,
    parallel: usize,
    /// Portal-only customers count as its people.
    with_customers: bool,
}

/// The burst limit that binds API tokens: 100 reads a second and endpoint (reference/atlassian-cloud.md §9).
pub fn documented_limit() -> Limit {
    Limit::Declared(vec![Allowance { calls: 100, per: Span::from_secs(1) }])
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireUser {
    account_id: AccountId,
    #[serde(default)]
    email_address: Option<String>,
    #[serde(default)]
    display_name: Option<String>,
    /// `atlassian`, `app` or `customer`.
    #[serde(default)]
    account_type: Option<String>,
    active: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireGroup {
    group_id: GroupId,
    name: String,
}

/// A page of `values`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    values: Vec<Value>,
    #[serde(default)]
    is_last: Option<bool>,
    #[serde(default)]
    total: Option<u64>,
}

impl JiraReader {
    /// A reader. Asks nothing yet.
    ///
    /// # Errors
    /// When an address cannot be used.
    pub fn connect(config: JiraConfig) -> Result<Self, ReadError> {
        let credential = Credential::Basic { user: config.email, secret: config.api_token };
        let mut client = ClientConfig::new("jira", &config.base_url, credential, config.budget, config.clock);
        client.timeout = config.timeout;
        let client = Client::new(client).map_err(|error| ReadError {
            disposition: Disposition::Halt,
            message: error.to_string(),
            code: "configuration".to_owned(),
        })?;
        Ok(Self { client, site: config.site, parallel: config.parallel.max(1), with_customers: false })
    }

    /// Asks who we are, and whether we may change groups. Says what was found.
    ///
    /// # Errors
    /// When the token is refused, or its owner does not administer the site: names the right.
    pub async fn probe(&self) -> Result<&'static str, ReadError> {
        self.myself().await.map_err(ReadError::about_us_if_refused)?;
        let mine: Value = self.read(&Request::get(PERMISSIONS, &[]).query("permissions", "ADMINISTER")).await?;
        match mine.pointer("/permissions/ADMINISTER/havePermission").and_then(Value::as_bool) {
            Some(true) => Ok("users and groups can be read and changed"),
            Some(false) => Err(lacks(PERMISSIONS, "the global permission \"Administer Jira\"")),
            None => Err(shape(PERMISSIONS, "the answer does not say whether we administer the site")),
        }
    }

    /// The same, which knows portal-only customers of a service desk, too. To groups they are nobody: they can be in none
    /// (reference/atlassian-cloud.md §6), and one who has the address of a person is not the account of that person.
    #[must_use]
    pub(crate) fn with_customers(self) -> Self {
        Self { with_customers: true, ..self }
    }

    /// One of its people, of a row; `None`: somebody whom its groups do not know.
    fn person(&self, row: WireUser) -> Option<User> {
        let is_customer = row.account_type.as_deref() == Some("customer");
        (self.with_customers || !is_customer).then(|| row.user())
    }

    /// What the calls spend from.
    pub fn budget(&self) -> &Arc<Budget> {
        self.client.budget()
    }

    /// Where people find it.
    pub(crate) fn site(&self) -> &str {
        &self.site
    }

    /// Walks pages by index until the last, which says so or is counted.
    async fn pages<T>(
        &self,
        template: &'static str,
        query: &[(&'static str, String)],
        lane: Lane,
        read: impl Fn(Value) -> Option<T>,
        progress: impl Fn(u64, Option<u64>),
    ) -> Walk<T> {
        let mut walk = Walk::begun(self.client.now());
        let (mut start, mut unreadable) = (0, 0);
        for _ in 0..PAGES_MAX {
            let mut request = Request::get(template, &[]).query("startAt", start.to_string()).lane(lane);
            for (name, value) in query {
                request = request.query(name, value.clone());
            }
            let page: Page = match self.read(&request).await {
                Ok(page) => page,
                Err(error) => return walk.failed(error),
            };
            let came = page.values.len();
            for row in page.values {
                match read(row) {
                    Some(row) => walk.rows.push(row),
                    None => unreadable += 1,
                }
            }
            start += came;
            progress(walk.rows.len() as u64, page.total);
            let last = match (page.is_last, page.total) {
                (Some(last), _) => last,
                (None, Some(total)) => start as u64 >= total,
                (None, None) => came == 0,
            };
            let missing = page.total.is_some_and(|total| (start as u64) < total);
            if last && missing {
                return walk.failed(shape(template, "the site counts more rows than it lists"));
            }
            if last {
                return walk.ended(template, unreadable);
            }
            if came == 0 {
                return walk.failed(shape(template, "a page is empty and not the last"));
            }
        }
        walk.failed(shape(template, "the list does not end"))
    }

    pub(crate) async fn read<T: serde::de::DeserializeOwned>(&self, request: &Request) -> Result<T, ReadError> {
        let answer = self.client.read(request).await?;
        good(request.template(), &answer)
    }

    /// Groups that give a product of this site by default (reference/atlassian-cloud.md §7).
    ///
    /// # Errors
    /// When the site does not tell: what it does not tell is not "none".
    pub(crate) async fn applications(&self, lane: Lane) -> Result<Applications, ReadError> {
        let roles: Vec<Value> = self.read(&Request::get(ROLES, &[]).lane(lane)).await?;
        Ok(Applications::of(&roles, &self.site))
    }

    /// Groups that make administrators of the site or of a product on it (reference/atlassian-cloud.md §7), all or one.
    ///
    /// # Errors
    /// When the site does not tell: what it does not tell is not "none".
    async fn administrators(&self, one: Option<&GroupId>, lane: Lane) -> Result<BTreeSet<GroupId>, ReadError> {
        let mut found = BTreeSet::new();
        for kind in ADMINISTRATE {
            let mut query = vec![("accessType", kind.to_owned()), ("maxResults", GROUPS_PAGE.to_string())];
            query.extend(one.map(|id| ("groupId", id.to_string())));
            let read = |row| serde_json::from_value::<WireGroup>(row).ok().map(|group| group.group_id);
            let walk = self.pages(GROUPS, &query, lane, read, |_, _| ()).await;
            if let Some(error) = walk.error {
                return Err(error);
            }
            found.extend(walk.rows);
        }
        Ok(found)
    }

    /// The groups of an account; `None`: there is no such account.
    async fn groups_of_account(&self, user: &AccountId, lane: Lane) -> Result<Option<Vec<GroupId>>, ReadError> {
        let request = Request::get(GROUPS_OF, &[]).query("accountId", user.as_str()).lane(lane);
        let answer = self.client.read(&request).await?;
        if answer.status.as_u16() == 404 {
            return Ok(None);
        }
        let groups = good::<Vec<WireGroup>>(GROUPS_OF, &answer)?;
        Ok(Some(groups.into_iter().map(|group| group.group_id).collect()))
    }

    async fn myself(&self) -> Result<AccountId, ReadError> {
        let user: WireUser = self.read(&Request::get(MYSELF, &[]).lane(Lane::Bulk)).await?;
        Ok(user.account_id)
    }
}

fn good<T: serde::de::DeserializeOwned>(template: &str, answer: &Answer) -> Result<T, ReadError> {
    if is_good(answer) {
        return answer.json().map_err(|text| shape(template, &text));
    }
    Err(read_error(template, answer))
}

impl Source for JiraReader {
    fn client(&self) -> &Client {
        &self.client
    }

    fn parallel(&self) -> usize {
        self.parallel
    }

    /// All users, inactive ones too. Pages may be short: only an empty one ends the list.
    async fn users(&self, progress: &dyn Progress) -> Walk<User> {
        let mut walk: Walk<User> = Walk::begun(self.client.now());
        let mut start = 0;
        for _ in 0..PAGES_MAX {
            let request = Request::get(USERS, &[])
                .query("startAt", start.to_string())
                .query("maxResults", USERS_PAGE.to_string())
                .lane(Lane::Bulk);
            let rows: Vec<Value> = match self.read(&request).await {
                Ok(rows) => rows,
                Err(error) => return walk.failed(error),
            };
            if rows.is_empty() {
                break;
            }
            start += rows.len();
            for row in rows {
                match serde_json::from_value(row) {
                    Ok(row) => walk.rows.extend(self.person(row)),
                    Err(_) => return walk.failed(shape(USERS, "a user is of another shape than documented")),
                }
            }
            progress.step(Stage::Users, walk.rows.len() as u64, None);
        }
        // Without the right to browse users the list is empty or short, and the status 200 (failure mode 22).
        match self.myself().await {
            Ok(me) if walk.rows.iter().any(|user| user.id == me) => walk.ended(USERS, 0),
            Ok(_) => walk.failed(ReadError {
                disposition: Disposition::Halt,
                message: format!(
                    "GET {USERS}: the list lacks our own account: give it the right to browse users and groups"
                ),
                code: "canary".to_owned(),
            }),
            Err(error) => walk.failed(error),
        }
    }

    async fn groups(&self, progress: &dyn Progress) -> Walk<Listed> {
        // Without the right to see the roles, names must do; trouble must not look like that.
        let applications = match if_permitted(self.applications(Lane::Bulk).await) {
            Ok(applications) => applications,
            Err(error) => return Walk::begun(self.client.now()).failed(error),
        };
        let read = |row| group(row).map(Listed::from);
        let step = |done, all| progress.step(Stage::Groups, done, all);
        let mut walk = self.pages(GROUPS, &[("maxResults", GROUPS_PAGE.to_string())], Lane::Bulk, read, step).await;
        walk.rows.iter_mut().for_each(|listed| applications.tell(&mut listed.group));
        // Also of a listing that broke off: a row is told with what protects it, or not at all.
        match self.administrators(None, Lane::Bulk).await {
            Ok(found) => walk.rows.iter_mut().for_each(|listed| administrates(&mut listed.group, Some(&found))),
            Err(error) if error.may_pass() || error.is_about_us() => return walk.untold(error),
            Err(error) => progress.trouble(&error),
        }
        walk
    }

    /// Inactive members are left out unless they are asked for: a sync that does not ask adds them for ever.
    async fn members(&self, group: &GroupId, lane: Lane) -> Walk<AccountId> {
        let query = [
            ("groupId", group.to_string()),
            ("includeInactiveUsers", "true".to_owned()),
            ("maxResults", MEMBERS_PAGE.to_string()),
        ];
        self.pages(MEMBERS, &query, lane, |row| user(row).map(|user| user.id), |_, _| ()).await
    }

    async fn group(&self, id: &GroupId, lane: Lane) -> Result<Option<Group>, ReadError> {
        let query = [("groupId", id.to_string())];
        let walk = self.pages(GROUPS, &query, lane, Some, |_, _| ()).await;
        if let Some(error) = walk.error.filter(|error| error.code != "404") {
            return Err(error);
        }
        let is_it = |row: &Value| row.get("groupId").and_then(Value::as_str) == Some(id.as_str());
        let Some(row) = walk.rows.into_iter().find(is_it) else { return Ok(None) };
        group(row).map(Some).ok_or_else(|| shape(GROUPS, "a group is of another shape than documented"))
    }

    async fn with_roles(&self, mut groups: Vec<Group>, lane: Lane) -> Result<Vec<Group>, ReadError> {
        let one = match groups.as_slice() {
            [] => return Ok(groups),
            [one] => Some(one.id.clone()),
            _ => None,
        };
        let applications = if_permitted(self.applications(lane).await)?;
        let found = if_permitted(self.administrators(one.as_ref(), lane).await.map(Some))?;
        for group in &mut groups {
            applications.tell(group);
            administrates(group, found.as_ref());
        }
        Ok(groups)
    }

    async fn user(&self, id: &AccountId, lane: Lane) -> Result<Option<User>, ReadError> {
        let request = Request::get(USER, &[]).query("accountId", id.as_str()).lane(lane);
        let answer = self.client.read(&request).await?;
        if answer.status.as_u16() == 404 {
            return Ok(None);
        }
        good::<WireUser>(USER, &answer).map(|row| self.person(row))
    }

    fn may_be_empty(&self) -> bool {
        false
    }
}

impl ReadDirectory for JiraReader {
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

    /// Active people whose address the site shows us.
    async fn find_person(&self, email: &Email) -> Result<Option<User>, ReadError> {
        let request = Request::get(FIND, &[]).query("query", email.as_written());
        let rows: Vec<WireUser> = self.read(&request).await?;
        let found = rows.into_iter().filter_map(|row| self.person(row));
        let mut found = found.filter(|user| user.email.as_ref() == Some(email));
        let first = found.next();
        Ok(first.filter(|_| found.next().is_none()))
    }

    async fn verify(&self, fact: &Fact) -> Result<FactAnswer, ReadError> {
        let holds = match fact {
            Fact::Member { group, user, .. } => {
                self.groups_of_account(user, Lane::Urgent).await?.is_some_and(|groups| groups.contains(group))
            }
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
        let groups = self.groups_of_account(user, Lane::Normal).await?;
        Ok(groups.unwrap_or_default())
    }

    async fn who_am_i(&self) -> Result<Vec<AccountId>, ReadError> {
        Ok(vec![self.myself().await?])
    }
}

impl WireUser {
    fn user(self) -> User {
        User {
            display_name: self.display_name,
            state: if self.active { UserState::Active } else { UserState::Deactivated },
            ..User::new(self.account_id, self.email_address.and_then(|text| Email::new(text).ok()))
        }
    }
}

fn user(row: Value) -> Option<User> {
    serde_json::from_value::<WireUser>(row).ok().map(WireUser::user)
}

fn group(row: Value) -> Option<Group> {
    let row: WireGroup = serde_json::from_value(row).ok()?;
    Some(Group::new(row.group_id, row.name))
}

/// Writes into a group whether it makes administrators. Without the right to see which do, its name must speak.
pub(crate) fn administrates(group: &mut Group, found: Option<&BTreeSet<GroupId>>) {
    group.grants_admin = found.is_some_and(|found| found.contains(&group.id));
    group.roles_known = found.is_some();
}
