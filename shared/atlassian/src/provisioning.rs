//! User provisioning: the SCIM directory of an identity provider (reference/atlassian-cloud.md §3).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::{
    AccountId, Answer as FactAnswer, Disposition, Email, Fact, Group, GroupId, Lane, MembersRead, Reading, User,
    UserState,
};
use outbound::{
    Budget, Client, ClientConfig, Clock, Credential, Progress, ReadDirectory, ReadError, Request, Scope, Secret, Stage,
};
use scim::ListResponse;
use serde_json::Value;

use crate::error::{is_good, read_error, shape};
use crate::gather::{self, Listed, Source, Walk, members_read, twice};
use crate::names::says_default_access;

const USERS: &str = "/scim/directory/{directoryId}/Users";
const GROUPS: &str = "/scim/directory/{directoryId}/Groups";
const GET_USER: &str = "/scim/directory/{directoryId}/Users/{id}";
const GET_GROUP: &str = "/scim/directory/{directoryId}/Groups/{id}";

/// Users per page. The cap is not documented: a smaller page that comes back is as good.
const USERS_PAGE: usize = 1_000;
/// Groups per page: each comes with all its members.
const GROUPS_PAGE: usize = 100;
/// How often a walk begins anew when the directory changed under it.
const RESTARTS_MAX: u32 = 2;

/// How a provisioning directory is reached.
pub struct ScimConfig {
    /// `scheme://host:port` of a twin, a gateway or a proxy; `None`: Atlassian.
    pub endpoint: Option<String>,
    /// Id of the directory.
    pub directory_id: String,
    /// The directory's key.
    pub token: Secret,
    /// What the calls spend from.
    pub budget: Arc<Budget>,
    /// What times the readings bear.
    pub clock: Clock,
    /// Longest time for one call.
    pub timeout: Duration,
    /// How many groups are walked at once.
    pub parallel: usize,
}

/// Reads one provisioning directory.
#[derive(Clone, Debug)]
pub struct ScimReader {
    client: Client,
    directory: String,
    parallel: usize,
    /// Somebody was listed once: an empty list is from then on not believed (failure mode 64). A directory that was
    /// really emptied is read again by a process that starts anew.
    peopled: Arc<AtomicBool>,
}

impl ScimReader {
    /// A reader. Asks nothing yet.
    ///
    /// # Errors
    /// When an address cannot be used.
    pub fn connect(config: ScimConfig) -> Result<Self, ReadError> {
        let base = config.endpoint.as_deref().unwrap_or(crate::API_BASE);
        let credential = Credential::Bearer(config.token);
        let mut client = ClientConfig::new("atlassian-scim", base, credential, config.budget, config.clock);
        client.timeout = config.timeout;
        let client = Client::new(client).map_err(|error| ReadError {
            disposition: Disposition::Halt,
            message: error.to_string(),
            code: "configuration".to_owned(),
        })?;
        let peopled = Arc::new(AtomicBool::new(false));
        Ok(Self { client, directory: config.directory_id, parallel: config.parallel.max(1), peopled })
    }

    /// What tells this directory from every other: its id.
    pub fn identity(&self) -> String {
        self.directory.clone()
    }

    /// What the calls spend from.
    pub fn budget(&self) -> &Arc<Budget> {
        self.client.budget()
    }

    /// Lists one user and one group: whether the key is accepted, and is this directory's. Says what was read.
    ///
    /// # Errors
    /// When the vendor refuses one of them.
    pub async fn probe(&self) -> Result<&'static str, ReadError> {
        self.page(USERS, 1, 1, None).await.map_err(ReadError::about_us_if_refused)?;
        self.page(GROUPS, 1, 1, None).await.map_err(ReadError::about_us_if_refused)?;
        Ok("users and groups can be read")
    }

    /// Walks a listing by index. Rows shift when the directory changes meanwhile: a total that changes begins the walk
    /// anew, and what was seen must be as many as the directory counts.
    async fn list<T>(
        &self,
        template: &'static str,
        page_size: usize,
        filter: Option<String>,
        read: impl Fn(Value) -> Option<(String, T)>,
        progress: impl Fn(u64, u64),
    ) -> Walk<T> {
        let mut restarts = 0;
        'anew: loop {
            let mut walk = Walk::begun(self.client.now());
            let mut rows = std::collections::BTreeMap::new();
            let (mut start, mut total, mut unreadable) = (1_usize, None, 0);
            loop {
                let page = match self.page(template, page_size, start, filter.as_deref()).await {
                    Ok(page) => page,
                    Err(error) => {
                        walk.rows = rows.into_values().collect();
                        return walk.failed(error);
                    }
                };
                let came = page.resources.len();
                for row in page.resources {
                    match read(row) {
                        Some((id, row)) => drop(rows.insert(id, row)),
                        None => unreadable += 1,
                    }
                }
                progress(rows.len() as u64, page.total_results);
                start += came;
                let all = start as u64 > page.total_results;
                let moved = total.is_some_and(|before| before != page.total_results);
                total = Some(page.total_results);
                let short = (all || came == 0) && (rows.len() as u64 + unreadable as u64) < page.total_results;
                if (moved || short) && restarts < RESTARTS_MAX {
                    restarts += 1;
                    continue 'anew;
                }
                if moved || short {
                    walk.rows = rows.into_values().collect();
                    return walk.failed(shape(template, "the directory counts other rows than it lists"));
                }
                if all {
                    walk.rows = rows.into_values().collect();
                    return walk.ended(template, unreadable);
                }
            }
        }
    }

    async fn page(
        &self,
        template: &'static str,
        page_size: usize,
        start: usize,
        filter: Option<&str>,
    ) -> Result<ListResponse, ReadError> {
        let mut request = Request::get(template, &[&self.directory])
            .query("startIndex", start.to_string())
            .query("count", page_size.to_string())
            .lane(Lane::Bulk);
        if let Some(filter) = filter {
            request = request.query("filter", filter);
        }
        let answer = self.client.read(&request).await?;
        if !is_good(&answer) {
            return Err(refused(template, &answer));
        }
        let body = answer.json().map_err(|text| shape(template, &text))?;
        ListResponse::read(body).map_err(|_| shape(template, "the answer is no page of a list"))
    }

    async fn get<T>(
        &self,
        template: &'static str,
        id: &str,
        lane: Lane,
        read: impl Fn(Value) -> Option<(String, T)>,
    ) -> Result<Option<T>, ReadError> {
        let request = Request::get(template, &[&self.directory, id]).lane(lane);
        let answer = self.client.read(&request).await?;
        if is_good(&answer) {
            let body = answer.json().map_err(|text| shape(template, &text))?;
            let (_, found) = read(body).ok_or_else(|| shape(template, "the answer is of another shape"))?;
            return Ok(Some(found));
        }
        if answer.status.as_u16() == 404 { Ok(None) } else { Err(refused(template, &answer)) }
    }
}

impl Source for ScimReader {
    fn client(&self) -> &Client {
        &self.client
    }

    fn parallel(&self) -> usize {
        self.parallel
    }

    async fn users(&self, progress: &dyn Progress) -> Walk<User> {
        let step = |done, all| progress.step(Stage::Users, done, Some(all));
        let walk = self.list(USERS, USERS_PAGE, None, user, step).await;
        if !walk.rows.is_empty() {
            self.peopled.store(true, Ordering::Relaxed);
        }
        walk
    }

    /// Groups come with their members: no walk of its own is needed, unless the listing does not speak of members.
    async fn groups(&self, progress: &dyn Progress) -> Walk<Listed> {
        let walk =
            self.list(GROUPS, GROUPS_PAGE, None, group, |done, all| progress.step(Stage::Groups, done, Some(all)));
        let walk = walk.await;
        let (complete, began_at) = (walk.complete, walk.began_at);
        let rows = walk.rows.into_iter().map(|found| {
            let members = found.members.map(|members| members.walk(began_at));
            Listed { group: found.group, members }
        });
        Walk { rows: rows.collect(), complete, error: walk.error, began_at }
    }

    async fn members(&self, id: &GroupId, lane: Lane) -> Walk<AccountId> {
        let walk = Walk::begun(self.client.now());
        let began_at = walk.began_at;
        match self.get(GET_GROUP, id.as_str(), lane, group).await {
            // A group by itself without members is an empty one (RFC 7643 §2.5: unassigned is absent).
            Ok(Some(found)) => found.members.unwrap_or_default().walk(began_at),
            Ok(None) => walk.failed(ReadError {
                disposition: Disposition::Reject(model::Rejection::UnknownGroup),
                message: format!("GET {GET_GROUP}: the group is not found"),
                code: "404".to_owned(),
            }),
            Err(error) => walk.failed(error),
        }
    }

    async fn group(&self, id: &GroupId, lane: Lane) -> Result<Option<Group>, ReadError> {
        Ok(self.get(GET_GROUP, id.as_str(), lane, group).await?.map(|found| found.group))
    }

    async fn user(&self, id: &AccountId, lane: Lane) -> Result<Option<User>, ReadError> {
        self.get(GET_USER, id.as_str(), lane, user).await
    }

    fn may_be_empty(&self) -> bool {
        // A directory begins empty.
        !self.peopled.load(Ordering::Relaxed)
    }
}

impl ReadDirectory for ScimReader {
    async fn sweep(&self, scope: &Scope, progress: &dyn Progress) -> Result<Reading, ReadError> {
        gather::sweep(self, scope, progress).await
    }

    async fn read_members(&self, group: &GroupId) -> Result<MembersRead, ReadError> {
        let walk = self.members(group, Lane::Normal).await;
        match walk.error {
            Some(error) => Err(error),
            None => Ok(members_read(group, walk)),
        }
    }

    async fn read_group(&self, group: &GroupId) -> Result<Option<Group>, ReadError> {
        twice(|| self.group(group, Lane::Normal)).await
    }

    async fn read_user(&self, user: &AccountId) -> Result<Option<User>, ReadError> {
        twice(|| self.user(user, Lane::Normal)).await
    }

    async fn find_person(&self, email: &Email) -> Result<Option<User>, ReadError> {
        let filter = scim::eq("userName", email.as_written());
        let walk = self.list(USERS, USERS_PAGE, Some(filter), user, |_, _| ()).await;
        match (walk.error, walk.rows.as_slice()) {
            (Some(error), _) => Err(error),
            (None, [one]) => Ok(Some(one.clone())),
            (None, _) => Ok(None),
        }
    }

    async fn verify(&self, fact: &Fact) -> Result<FactAnswer, ReadError> {
        let holds = match fact {
            Fact::Member { group, user, .. } => {
                let walk = self.members(group, Lane::Urgent).await;
                match walk.error {
                    Some(error) if error.code != "404" => return Err(error),
                    _ => walk.rows.contains(user),
                }
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

    async fn groups_of(&self, _user: &AccountId) -> Result<Vec<GroupId>, ReadError> {
        // A user's resource does not name groups, and no filter finds them.
        Ok(Vec::new())
    }

    async fn who_am_i(&self) -> Result<Vec<AccountId>, ReadError> {
        // A directory's key belongs to nobody.
        Ok(Vec::new())
    }
}

/// A refusal here is about the directory's key or subscription, whatever was asked.
fn refused(template: &str, answer: &outbound::Answer) -> ReadError {
    let mut error = read_error(template, answer);
    if matches!(answer.status.as_u16(), 403 | 404) {
        error.disposition = Disposition::Halt;
        error.message.push_str("; the directory needs its own key and a subscription that includes provisioning");
    }
    error
}

/// A group with what its resource says of members.
struct Found {
    group: Group,
    members: Option<Members>,
}

#[derive(Default)]
struct Members {
    ids: Vec<AccountId>,
    unreadable: usize,
}

impl Members {
    fn walk(self, began_at: model::Time) -> Walk<AccountId> {
        let mut walk = Walk::begun(began_at);
        walk.rows = self.ids;
        walk.ended(GET_GROUP, self.unreadable)
    }
}

fn user(row: Value) -> Option<(String, User)> {
    let read = scim::User::read(row).ok()?;
    let id = AccountId::new(&read.id).ok()?;
    let account = read.extension(scim::ATLASSIAN_EXTERNAL, "atlassianAccountId");
    let account = account.and_then(|text| AccountId::new(text).ok());
    let email = read.email().or(Some(read.user_name.as_str())).and_then(|text| Email::new(text).ok());
    let mut attributes = std::collections::BTreeMap::new();
    // Those two stand in the extension or beside it, as they were written (§3.3).
    for attribute in ["department", "organization", "nickName", "preferredLanguage", "timezone"] {
        let beside = || read.rest.get(attribute).and_then(Value::as_str);
        if let Some(text) = read.extension(scim::ENTERPRISE_USER, attribute).or_else(beside) {
            attributes.insert(attribute.to_owned(), text.to_owned());
        }
    }
    attributes.insert("userName".to_owned(), read.user_name);
    attributes.extend(read.title.map(|text| ("title".to_owned(), text)));
    let name = read.name.unwrap_or_default();
    let user = User {
        external_id: read.external_id,
        account,
        display_name: read.display_name.or(name.formatted),
        given_name: name.given_name,
        family_name: name.family_name,
        // Absent means active (RFC 7643 leaves it to the server, and Atlassian always says it).
        state: if read.active.unwrap_or(true) { UserState::Active } else { UserState::Deactivated },
        attributes,
        ..User::new(id, email)
    };
    Some((read.id, user))
}

/// To its own directory a group is an ordinary one; to everybody else it is the identity provider's.
fn group(row: Value) -> Option<(String, Found)> {
    let read = scim::Group::read(row).ok()?;
    let id = GroupId::new(&read.id).ok()?;
    let members = read.members.map(|members| {
        let all = members.len();
        let ids: Vec<_> = members.iter().filter_map(|member| AccountId::new(&member.value).ok()).collect();
        Members { unreadable: all - ids.len(), ids }
    });
    let group = Group { default_access: says_default_access(&read.display_name), ..Group::new(id, read.display_name) };
    Some((read.id, Found { group, members }))
}
