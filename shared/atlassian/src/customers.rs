//! Customers of Jira Service Management: those of one service desk, or of one organization of customers
//! (reference/atlassian-cloud.md §6).
//!
//! Such a directory has one group: the list itself. Its people are everybody on the site, with an Atlassian account or a
//! portal-only one, and whoever the list names; so a person is found by address before an account is made.

use std::collections::BTreeMap;

use model::{
    Access, AccountId, Answer as FactAnswer, Disposition, Email, Fact, Group, GroupId, Lane, MembersRead, Ownership,
    Reading, User, UserState,
};
use outbound::{Client, Progress, ReadDirectory, ReadError, Request, Scope, Stage};
use serde::Deserialize;
use serde_json::Value;

use crate::error::{if_permitted, is_good, lacks_if_refused, read_error, shape};
use crate::gather::{self, Listed, Source, Walk, members_alone, twice};
use crate::jira::{JiraConfig, JiraReader};

const DESK: &str = "/rest/servicedeskapi/servicedesk/{serviceDeskId}";
const DESK_CUSTOMERS: &str = "/rest/servicedeskapi/servicedesk/{serviceDeskId}/customer";
const DESK_ORGANIZATIONS: &str = "/rest/servicedeskapi/servicedesk/{serviceDeskId}/organization";
const ORGANIZATIONS: &str = "/rest/servicedeskapi/organization";
const ORGANIZATION_USERS: &str = "/rest/servicedeskapi/organization/{organizationId}/user";

/// The largest page that is asked for; the site may give fewer (§6).
const PAGE: usize = 100;
/// So many pages hold a million people; what goes on longer goes round in circles.
const PAGES_MAX: usize = 50_000;

/// What is said of a list that opens no portal yet, and is to.
const CLOSED: &str = "the list of customers can be read; no portal is open to it before it is attached to its desk: the \
                      next run attaches it";

/// What experimental operations want (§6).
pub const OPT_IN: (&str, &str) = ("X-ExperimentalApi", "opt-in");

/// Which list of customers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustomerList {
    /// Those of the desk of the project with this key.
    Desk(String),
    /// Those of an organization of customers.
    Organization {
        /// Its name.
        name: String,
        /// The project key of the desk that it is to be attached to.
        desk: Option<String>,
    },
}

/// Reads one list of customers and the people of its site.
#[derive(Clone, Debug)]
pub struct CustomersReader {
    jira: JiraReader,
    list: CustomerList,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCustomer {
    account_id: AccountId,
    #[serde(default)]
    email_address: Option<String>,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default = "yes")]
    active: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDesk {
    id: GroupId,
    project_key: String,
    #[serde(default)]
    project_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireOrganization {
    id: GroupId,
    name: String,
    #[serde(default)]
    scim_managed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    values: Vec<Value>,
    is_last_page: bool,
}

fn yes() -> bool {
    true
}

impl CustomersReader {
    /// A reader. Asks nothing yet.
    ///
    /// # Errors
    /// When an address cannot be used.
    pub fn connect(config: JiraConfig, list: CustomerList) -> Result<Self, ReadError> {
        Ok(Self { jira: JiraReader::connect(config)?.with_customers(), list })
    }

    /// Looks for the list and a page of its people: only who may change them is shown them. Says what was found.
    ///
    /// # Errors
    /// When the token is refused, or the desk is not there.
    pub async fn probe(&self) -> Result<&'static str, ReadError> {
        self.jira.who_am_i().await.map_err(ReadError::about_us_if_refused)?;
        let Some(list) = self.list(Lane::Normal).await.map_err(ReadError::about_us_if_refused)? else {
            return Ok("the account can be read; the organization of customers is yet to be made");
        };
        let request = self.people_of(&list.id, Lane::Normal).query("limit", "1");
        let read = self.jira.read::<Page>(&request).await;
        lacks_if_refused(read, request.template(), "the right to administer the service desk")?;
        match self.attached(&list.id, Lane::Normal).await? {
            Some((_, false)) => Ok(CLOSED),
            Some((_, true)) | None => Ok("the list of customers can be read"),
        }
    }

    /// What the calls spend from.
    pub fn budget(&self) -> &std::sync::Arc<outbound::Budget> {
        self.jira.budget()
    }

    /// Walks pages until one says that it is the last.
    async fn pages<T>(&self, first: &Request, read: impl Fn(Value) -> Option<T>) -> Walk<T> {
        let template = first.template();
        let mut walk = Walk::begun(self.jira.client().now());
        let (mut start, mut unreadable) = (0, 0);
        for _ in 0..PAGES_MAX {
            let request = first.clone().query("start", start.to_string()).query("limit", PAGE.to_string());
            let page: Page = match self.jira.read(&request).await {
                Ok(page) => page,
                Err(error) => return walk.failed(error),
            };
            start += page.values.len();
            let came = !page.values.is_empty();
            for row in page.values {
                match read(row) {
                    Some(row) => walk.rows.push(row),
                    None => unreadable += 1,
                }
            }
            if page.is_last_page {
                return walk.ended(template, unreadable);
            }
            if !came {
                return walk.failed(shape(template, "a page is empty and not the last"));
            }
        }
        walk.failed(shape(template, "the list does not end"))
    }

    /// The people of the list with this id, with what is shown of them.
    async fn people(&self, list: &GroupId, lane: Lane) -> Walk<User> {
        self.pages(&self.people_of(list, lane), customer).await
    }

    fn people_of(&self, list: &GroupId, lane: Lane) -> Request {
        let template = match self.list {
            CustomerList::Desk(_) => DESK_CUSTOMERS,
            CustomerList::Organization { .. } => ORGANIZATION_USERS,
        };
        Request::get(template, &[list.as_str()]).header(OPT_IN.0, OPT_IN.1).lane(lane)
    }

    /// The portal that the organization is to open, and whether it does: whether it is attached to the desk; `None`:
    /// nobody wants that.
    async fn attached(&self, list: &GroupId, lane: Lane) -> Result<Option<(Access, bool)>, ReadError> {
        let CustomerList::Organization { desk: Some(desk), .. } = &self.list else { return Ok(None) };
        let request = Request::get(DESK_ORGANIZATIONS, &[desk]).header(OPT_IN.0, OPT_IN.1).lane(lane);
        let walk = self.pages(&request, organization).await;
        let attached = walk.rows.iter().any(|group| group.id == *list);
        match walk.error {
            Some(error) if !attached => Err(error),
            _ => Ok(Some((Access::Portal { desk: desk.clone() }, attached))),
        }
    }

    /// The list itself; `None`: there is no organization of the name. A desk that is not there is a wrong setting.
    async fn list(&self, lane: Lane) -> Result<Option<Group>, ReadError> {
        let name = match &self.list {
            CustomerList::Desk(key) => {
                let request = Request::get(DESK, &[key]).lane(lane);
                let answer = self.jira.client().read(&request).await?;
                if answer.status.as_u16() == 404 {
                    return Err(no_desk(key));
                }
                if !is_good(&answer) {
                    return Err(read_error(DESK, &answer));
                }
                let desk: WireDesk = answer.json().map_err(|text| shape(DESK, &text))?;
                return Ok(Some(Group { description: desk.project_name, ..Group::new(desk.id, desk.project_key) }));
            }
            CustomerList::Organization { name, .. } => name,
        };
        let walk = self.pages(&Request::get(ORGANIZATIONS, &[]).lane(lane), organization).await;
        let found = walk.rows.into_iter().find(|group| group.name.eq_ignore_ascii_case(name));
        match (found, walk.error) {
            (Some(group), _) => Ok(Some(group)),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }
}

/// One pass: the list is read once, and tells both who there is and who is in it.
struct Pass<'a> {
    reader: &'a CustomersReader,
    list: Option<(Group, Walk<User>)>,
}

impl<'a> Pass<'a> {
    const fn without_list(reader: &'a CustomersReader) -> Self {
        Self { reader, list: None }
    }
}

impl Source for Pass<'_> {
    fn client(&self) -> &Client {
        self.reader.jira.client()
    }

    fn parallel(&self) -> usize {
        self.reader.jira.parallel()
    }

    /// Everybody on the site, and whoever the list names beyond those: a site may not list portal-only accounts.
    async fn users(&self, progress: &dyn Progress) -> Walk<User> {
        let mut walk = self.reader.jira.users(progress).await;
        let Some((_, people)) = &self.list else { return walk };
        let mut by_id: BTreeMap<AccountId, User> = walk.rows.into_iter().map(|user| (user.id.clone(), user)).collect();
        for user in &people.rows {
            // Both show what the person lets them show.
            let known = by_id.entry(user.id.clone()).or_insert_with(|| user.clone());
            known.email = known.email.take().or_else(|| user.email.clone());
        }
        walk.rows = by_id.into_values().collect();
        progress.step(Stage::Users, walk.rows.len() as u64, None);
        match &people.error {
            Some(error) if walk.error.is_none() => walk.failed(error.clone()),
            _ => walk,
        }
    }

    async fn groups(&self, progress: &dyn Progress) -> Walk<Listed> {
        let mut walk = Walk::begun(self.client().now());
        if let Some((group, people)) = &self.list {
            walk.rows.push(Listed { group: group.clone(), members: Some(ids(people.clone())) });
            progress.step(Stage::Groups, 1, Some(1));
        }
        walk.ended(ORGANIZATIONS, 0)
    }

    async fn members(&self, group: &GroupId, lane: Lane) -> Walk<AccountId> {
        ids(self.reader.people(group, lane).await)
    }

    async fn group(&self, id: &GroupId, lane: Lane) -> Result<Option<Group>, ReadError> {
        Ok(self.reader.list(lane).await?.filter(|group| group.id == *id))
    }

    async fn with_roles(&self, mut groups: Vec<Group>, lane: Lane) -> Result<Vec<Group>, ReadError> {
        for group in &mut groups {
            tell(group, if_permitted(self.reader.attached(&group.id, lane).await)?);
        }
        Ok(groups)
    }

    async fn user(&self, id: &AccountId, lane: Lane) -> Result<Option<User>, ReadError> {
        self.reader.jira.user(id, lane).await
    }

    fn may_be_empty(&self) -> bool {
        // The account that reads is on the site.
        false
    }
}

fn ids(walk: Walk<User>) -> Walk<AccountId> {
    Walk {
        rows: walk.rows.into_iter().map(|user| user.id).collect(),
        complete: walk.complete,
        error: walk.error,
        began_at: walk.began_at,
    }
}

impl ReadDirectory for CustomersReader {
    async fn sweep(&self, scope: &Scope, progress: &dyn Progress) -> Result<Reading, ReadError> {
        let list = match self.list(Lane::Bulk).await? {
            Some(mut group) => {
                let (people, attached) =
                    tokio::join!(self.people(&group.id, Lane::Bulk), self.attached(&group.id, Lane::Bulk));
                match attached {
                    Ok(portal) => tell(&mut group, portal),
                    // Whether whoever is in it sees a portal is not known then, however equal the lists are.
                    Err(error) => progress.trouble(&error),
                }
                Some((group, people))
            }
            None => None,
        };
        gather::sweep(&Pass { reader: self, list }, scope, progress).await
    }

    async fn read_members(&self, group: &GroupId) -> Result<MembersRead, ReadError> {
        members_alone(group, ids(self.people(group, Lane::Normal).await))
    }

    async fn read_group(&self, group: &GroupId) -> Result<Option<Group>, ReadError> {
        gather::group_alone(&Pass::without_list(self), group).await
    }

    async fn read_user(&self, user: &AccountId) -> Result<Option<User>, ReadError> {
        self.jira.read_user(user).await
    }

    /// Among the people of the site, then among those of the list.
    async fn find_person(&self, email: &Email) -> Result<Option<User>, ReadError> {
        if let Some(found) = self.jira.find_person(email).await? {
            return Ok(Some(found));
        }
        let Some(list) = self.list(Lane::Normal).await? else { return Ok(None) };
        if matches!(self.list, CustomerList::Organization { .. }) {
            return only(self.people(&list.id, Lane::Normal).await, email);
        }
        let request = Request::get(DESK_CUSTOMERS, &[list.id.as_str()]).header(OPT_IN.0, OPT_IN.1);
        only(self.pages(&request.query("query", email.as_written()), customer).await, email)
    }

    async fn verify(&self, fact: &Fact) -> Result<FactAnswer, ReadError> {
        let pass = Pass::without_list(self);
        let holds = match fact {
            Fact::Member { group, user, .. } => {
                let walk = self.people(group, Lane::Urgent).await;
                match walk.error {
                    Some(error) => return Err(error),
                    None => walk.rows.iter().any(|member| member.id == *user),
                }
            }
            Fact::Nested { .. } => false,
            Fact::User { user, .. } => twice(|| pass.user(user, Lane::Urgent)).await?.is_some(),
            Fact::Group { group, .. } => twice(|| pass.group(group, Lane::Urgent)).await?.is_some(),
        };
        Ok(if holds { FactAnswer::Holds } else { FactAnswer::Gone })
    }

    async fn reread(&self, groups: &[GroupId], users: &[AccountId]) -> Result<Reading, ReadError> {
        gather::reread(&Pass::without_list(self), groups, users).await
    }

    /// The list, if the person is in it.
    async fn groups_of(&self, user: &AccountId) -> Result<Vec<GroupId>, ReadError> {
        let Some(list) = self.list(Lane::Normal).await? else { return Ok(Vec::new()) };
        let walk = self.people(&list.id, Lane::Normal).await;
        match walk.error {
            Some(error) => Err(error),
            None => Ok(walk.rows.iter().any(|member| member.id == *user).then_some(list.id).into_iter().collect()),
        }
    }

    async fn who_am_i(&self) -> Result<Vec<AccountId>, ReadError> {
        self.jira.who_am_i().await
    }
}

/// Writes into the list whether it opens the portal that it is to open. Where that is not known, nothing is said of what it
/// gives; and a list that nobody wants a portal of gives nothing to speak of.
fn tell(list: &mut Group, portal: Option<(Access, bool)>) {
    let Some((access, is_open)) = portal else { return };
    list.roles_known = true;
    list.gives = is_open.then(|| access.listed()).into_iter().collect();
}

/// The one person with this address.
fn only(walk: Walk<User>, email: &Email) -> Result<Option<User>, ReadError> {
    if let Some(error) = walk.error {
        return Err(error);
    }
    let mut found = walk.rows.into_iter().filter(|user| user.email.as_ref() == Some(email));
    let first = found.next();
    Ok(first.filter(|_| found.next().is_none()))
}

fn customer(row: Value) -> Option<User> {
    let row: WireCustomer = serde_json::from_value(row).ok()?;
    Some(User {
        display_name: row.display_name,
        state: if row.active { UserState::Active } else { UserState::Deactivated },
        ..User::new(row.account_id, row.email_address.and_then(|text| Email::new(text).ok()))
    })
}

fn organization(row: Value) -> Option<Group> {
    let row: WireOrganization = serde_json::from_value(row).ok()?;
    let ownership = if row.scim_managed { Ownership::IdentityProvider } else { Ownership::Local };
    Some(Group { ownership, ..Group::new(row.id, row.name) })
}

fn no_desk(key: &str) -> ReadError {
    ReadError {
        disposition: Disposition::Halt,
        message: format!(
            "GET {DESK}: the site has no service desk with the project key \"{key}\": correct `desk`, or give the \
             account the right to administer it"
        ),
        code: "configuration".to_owned(),
    }
}
