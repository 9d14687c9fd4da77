//! The organization API v2 (reference/atlassian-cloud.md §1).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::{
    AccountId, Answer as FactAnswer, Disposition, Email, Fact, Group, GroupId, Lane, MembersRead, Reading, User,
};
use outbound::{
    Budget, Client, ClientConfig, Clock, Credential, Progress, ReadDirectory, ReadError, Request, Scope, Secret, Stage,
};
use serde_json::{Value, json};

use crate::error::{is_good, read_error, shape};
use crate::gather::{self, Listed, Source, Walk, members_alone, twice};
use crate::jira::JiraReader;

mod given;
mod wire;

use wire::{account_id, group, user};

const SEARCH_USERS: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/users/search";
const SEARCH_GROUPS: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/groups/search";
const GET_USER: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/users/{accountId}";
const GET_GROUP: &str = "/admin/v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}";
const DIRECTORIES: &str = "/admin/v2/orgs/{orgId}/directories";

/// Largest page of a search.
const PAGE: u64 = 100;
/// 1,000,000 users are 10,000 pages; what goes on longer goes round in circles.
const PAGES_MAX: usize = 50_000;

/// How an organization is reached.
pub struct OrgConfig {
    /// `scheme://host:port` of a twin, a gateway or a proxy; `None`: Atlassian.
    pub endpoint: Option<String>,
    /// Id of the organization.
    pub org: String,
    /// Id of the directory in it.
    pub directory: String,
    /// The organization's API key.
    pub api_key: Secret,
    /// Whose key it is: the API does not tell.
    pub owner: Option<Email>,
    /// What the calls spend from.
    pub budget: Arc<Budget>,
    /// What times the readings bear.
    pub clock: Clock,
    /// Longest time for one call.
    pub timeout: Duration,
    /// How many groups are walked at once.
    pub parallel: usize,
    /// Sites that show this organization's groups: they tell which of them give a product by default.
    pub sites: Vec<JiraReader>,
}

/// Reads one directory of an organization.
#[derive(Clone, Debug)]
pub struct OrgReader {
    client: Client,
    org: String,
    directory: String,
    owner: Option<Email>,
    parallel: usize,
    sites: Vec<JiraReader>,
    /// The directory was found in the organization: a key of another organization reads somebody else's people.
    checked: Arc<AtomicBool>,
}

impl OrgReader {
    /// A reader. Asks nothing yet.
    ///
    /// # Errors
    /// When an address cannot be used.
    pub fn connect(config: OrgConfig) -> Result<Self, ReadError> {
        let base = config.endpoint.as_deref().unwrap_or(crate::API_BASE);
        let credential = Credential::Bearer(config.api_key);
        let mut client = ClientConfig::new("atlassian-org", base, credential, config.budget, config.clock);
        client.timeout = config.timeout;
        Ok(Self {
            client: Client::new(client).map_err(|error| halt(&error.to_string()))?,
            org: config.org,
            directory: config.directory,
            owner: config.owner,
            parallel: config.parallel.max(1),
            sites: config.sites,
            checked: Arc::new(AtomicBool::new(false)),
        })
    }

    /// What tells this directory from every other: organization and directory.
    pub fn identity(&self) -> String {
        format!("{}/{}", self.org, self.directory)
    }

    /// What the calls spend from.
    pub fn budget(&self) -> &Arc<Budget> {
        self.client.budget()
    }

    /// Looks for the directory, one user and one group: whether the key is accepted and may read what a sweep reads. Says
    /// what was read.
    ///
    /// # Errors
    /// When the vendor refuses one of them: names the scope that it takes.
    pub async fn probe(&self) -> Result<&'static str, ReadError> {
        self.check_directory().await.map_err(ReadError::about_us_if_refused)?;
        for (template, scope) in [(SEARCH_USERS, "read:accounts:admin"), (SEARCH_GROUPS, "read:groups:admin")] {
            let request = Request::post(template, &[&self.org, &self.directory]).json(json!({"limit": 1}));
            let answer = self.client.read(&request.lane(Lane::Normal)).await?;
            if !is_good(&answer) {
                let mut error = read_error(template, &answer).about_us_if_refused();
                if error.is_about_us() {
                    error.message = format!("{}; a key with scopes takes {scope} here", error.message);
                }
                return Err(error);
            }
        }
        self.probe_sites().await?;
        Ok("users and groups can be read")
    }

    /// Walks a search. With a cursor, every other parameter is ignored (reference/atlassian-cloud.md §1.4).
    async fn search<T>(
        &self,
        template: &'static str,
        query: Value,
        lane: Lane,
        read: impl Fn(Value) -> Option<T>,
        progress: impl Fn(u64),
    ) -> Walk<T> {
        let mut walk = Walk::begun(self.client.now());
        let (mut body, mut unreadable, mut seen) = (query, 0, std::collections::BTreeSet::new());
        for _ in 0..PAGES_MAX {
            let request = Request::post(template, &[&self.org, &self.directory]).json(body).lane(lane);
            let answer = match self.client.read(&request).await {
                Ok(answer) => answer,
                Err(error) => return walk.failed(error.into()),
            };
            if !is_good(&answer) {
                return walk.failed(read_error(template, &answer));
            }
            let page: Value = match answer.json() {
                Ok(page) => page,
                Err(text) => return walk.failed(shape(template, &text)),
            };
            let Some(rows) = page.get("data").and_then(Value::as_array) else {
                return walk.failed(shape(template, "the answer has no data"));
            };
            for row in rows {
                match read(row.clone()) {
                    Some(row) => walk.rows.push(row),
                    None => unreadable += 1,
                }
            }
            progress(walk.rows.len() as u64);
            match page.pointer("/links/next") {
                None | Some(Value::Null) => return walk.ended(template, unreadable),
                Some(Value::String(next)) if next.is_empty() => return walk.ended(template, unreadable),
                Some(Value::String(next)) if seen.insert(next.clone()) => body = json!({"cursor": next}),
                Some(_) => return walk.failed(shape(template, "a cursor came a second time, or is none")),
            }
        }
        walk.failed(shape(template, "the list does not end"))
    }

    async fn get<T>(
        &self,
        template: &'static str,
        id: &str,
        lane: Lane,
        read: impl Fn(Value) -> Option<T>,
    ) -> Result<Option<T>, ReadError> {
        let request = Request::get(template, &[&self.org, &self.directory, id]).lane(lane);
        let answer = self.client.read(&request).await?;
        if is_good(&answer) {
            let body: Value = answer.json().map_err(|text| shape(template, &text))?;
            let data = body.get("data").cloned().unwrap_or(body);
            return read(data).map(Some).ok_or_else(|| shape(template, "the answer is of another shape"));
        }
        let error = read_error(template, &answer);
        // "ADMIN-404-2" is the organization: a setting that is wrong is not a person who is gone.
        if answer.status.as_u16() == 404 && error.code != "ADMIN-404-2" { Ok(None) } else { Err(error) }
    }

    /// The directory must be one of the organization's: its id is pinned by the policy (failure mode 66).
    async fn check_directory(&self) -> Result<(), ReadError> {
        if self.directory == "-" || self.checked.load(Ordering::Relaxed) {
            return Ok(());
        }
        let request = Request::get(DIRECTORIES, &[&self.org]).query("limit", PAGE.to_string()).lane(Lane::Bulk);
        let answer = self.client.read(&request).await?;
        if !is_good(&answer) {
            return Err(read_error(DIRECTORIES, &answer));
        }
        let body: Value = answer.json().map_err(|text| shape(DIRECTORIES, &text))?;
        let rows = body.get("data").and_then(Value::as_array).into_iter().flatten();
        let mut ids = rows.filter_map(|row| row.get("directoryId").and_then(Value::as_str));
        if !ids.any(|id| id == self.directory) {
            return Err(halt(
                "the organization has no directory with the id in the policy file: check org and directory",
            ));
        }
        self.checked.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn is_member(&self, group: &GroupId, user: &AccountId) -> Result<bool, ReadError> {
        let query = json!({"groupIds": [group.as_str()], "accountIds": [user.as_str()], "limit": 10});
        let walk = self.search(SEARCH_USERS, query, Lane::Urgent, account_id, |_| ()).await;
        match walk.error {
            Some(error) => Err(error),
            None => Ok(walk.rows.contains(user)),
        }
    }
}

impl Source for OrgReader {
    fn client(&self) -> &Client {
        &self.client
    }

    fn parallel(&self) -> usize {
        self.parallel
    }

    async fn users(&self, progress: &dyn Progress) -> Walk<User> {
        let query = json!({"limit": PAGE, "expand": ["platformRoles"]});
        let step = |done| progress.step(Stage::Users, done, None);
        self.search(SEARCH_USERS, query, Lane::Bulk, user, step).await
    }

    async fn groups(&self, progress: &dyn Progress) -> Walk<Listed> {
        let step = |done| progress.step(Stage::Groups, done, None);
        let walk = self.search(SEARCH_GROUPS, json!({"limit": PAGE}), Lane::Bulk, group, step).await;
        // What protects a group must not be lost to a listing that broke off, nor to a search that did: a row is told with
        // its roles or not at all.
        let roles = match self.roles(progress).await {
            Ok(roles) => roles,
            Err(error) => return Walk::begun(walk.began_at).failed(error),
        };
        Walk {
            rows: walk.rows.into_iter().map(|group| Listed::from(roles.tell(group))).collect(),
            complete: walk.complete,
            error: walk.error,
            began_at: walk.began_at,
        }
    }

    /// There is no list of members in v2: users are searched by group.
    async fn members(&self, group: &GroupId, lane: Lane) -> Walk<AccountId> {
        let query = json!({"groupIds": [group.as_str()], "limit": PAGE});
        self.search(SEARCH_USERS, query, lane, account_id, |_| ()).await
    }

    async fn group(&self, id: &GroupId, lane: Lane) -> Result<Option<Group>, ReadError> {
        let Some(group) = self.get(GET_GROUP, id.as_str(), lane, group).await? else { return Ok(None) };
        let mut roles = self.roles_of(id, lane).await?;
        self.ask_sites(&mut roles, lane, &outbound::Silent).await;
        Ok(Some(roles.tell(group)))
    }

    async fn user(&self, id: &AccountId, lane: Lane) -> Result<Option<User>, ReadError> {
        self.get(GET_USER, id.as_str(), lane, user).await
    }

    fn may_be_empty(&self) -> bool {
        // The owner of the key is a user.
        false
    }
}

impl ReadDirectory for OrgReader {
    async fn sweep(&self, scope: &Scope, progress: &dyn Progress) -> Result<Reading, ReadError> {
        self.check_directory().await?;
        gather::sweep(self, scope, progress).await
    }

    async fn read_members(&self, group: &GroupId) -> Result<MembersRead, ReadError> {
        members_alone(group, self.members(group, Lane::Normal).await)
    }

    async fn read_group(&self, group: &GroupId) -> Result<Option<Group>, ReadError> {
        twice(|| self.group(group, Lane::Normal)).await
    }

    async fn read_user(&self, user: &AccountId) -> Result<Option<User>, ReadError> {
        twice(|| self.user(user, Lane::Normal)).await
    }

    async fn find_person(&self, email: &Email) -> Result<Option<User>, ReadError> {
        let query = json!({"emails": [email.as_written()], "limit": 10});
        let walk = self.search(SEARCH_USERS, query, Lane::Normal, user, |_| ()).await;
        if let Some(error) = walk.error {
            return Err(error);
        }
        let mut found = walk.rows.into_iter().filter(|user| user.email.as_ref() == Some(email));
        let first = found.next();
        Ok(first.filter(|_| found.next().is_none()))
    }

    async fn verify(&self, fact: &Fact) -> Result<FactAnswer, ReadError> {
        let holds = match fact {
            Fact::Member { group, user, .. } => self.is_member(group, user).await?,
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
        let query = json!({"accountIds": [user.as_str()], "expand": ["groups"], "limit": 10});
        let groups = |row: Value| {
            let rows = row.get("groups").and_then(Value::as_array)?.iter();
            Some(rows.filter_map(|group| GroupId::new(group.get("id")?.as_str()?).ok()).collect::<Vec<_>>())
        };
        let walk = self.search(SEARCH_USERS, query, Lane::Normal, groups, |_| ()).await;
        match walk.error {
            Some(error) => Err(error),
            None => Ok(walk.rows.into_iter().flatten().collect()),
        }
    }

    async fn who_am_i(&self) -> Result<Vec<AccountId>, ReadError> {
        let Some(owner) = &self.owner else { return Ok(Vec::new()) };
        Ok(self.find_person(owner).await?.into_iter().map(|user| user.id).collect())
    }
}

fn halt(text: &str) -> ReadError {
    ReadError { disposition: Disposition::Halt, message: text.to_owned(), code: "configuration".to_owned() }
}
