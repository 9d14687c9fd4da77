//! Reading the twin of Atlassian: what a sweep says, what it costs, and what it says when things go wrong.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod customers;
mod protected;
mod sites;

use std::collections::BTreeMap;
use std::time::Duration;

use atlassian::{JiraConfig, JiraReader, OrgConfig, OrgReader, ScimConfig, ScimReader};
use model::{AccountId, Answer, DirectoryId, Email, Fact, Group, GroupId, Ownership, Reading, User, UserState};
use outbound::{Budget, Clock, ReadDirectory, Scope, Silent};
use serde_json::{Value, json};
use twin::engine::{Fault, FaultKind};
use twin::world::atlassian::{DIRECTORY, ORGANIZATION, SCIM_DIRECTORY};
use twin::{Running, Twin};

const PEOPLE: usize = 250;
const PRODUCT: &str = "ari:cloud:jira-software::site/acme";

fn person(number: usize) -> String {
    format!("p{number:03}@example.com")
}

struct Stage {
    running: Running,
    http: reqwest::Client,
}

impl Stage {
    /// 250 people with accounts, a crowded group, a small one, an administrators' and one of an identity provider.
    async fn new() -> Self {
        let config = twin::Config { quotas: false, ..twin::Config::default() };
        let running = Twin::start(config).await.unwrap();
        let users: Vec<Value> =
            (0..PEOPLE).map(|number| json!({"id": format!("g{number}"), "email": person(number)})).collect();
        let world = json!({"format": "orgdir-snapshot/1", "users": users, "groups": []});
        running.twin.load(world.to_string().as_bytes()).unwrap();
        let http = reqwest::Client::builder().tls_backend_preconfigured(outbound::tls_config().unwrap());
        let stage = Self { running, http: http.build().unwrap() };
        let crowd: Vec<String> = (0..PEOPLE).map(person).collect();
        stage
            .edit(json!([
                {"op": "group", "name": "crowd", "members": crowd},
                {"op": "group", "name": "eng", "description": "Engineers", "members": [person(0), person(1)]},
                {"op": "group", "name": "jira-admins-acme", "admin": true, "members": [person(2)]},
                {"op": "load", "organizations": [{"id": ORGANIZATION, "name": "Acme", "directory": DIRECTORY, "products": [
                    {"resource": PRODUCT, "key": "jira-software", "name": "Jira", "site": "acme"}]}]},
                {"op": "group", "name": "jira-users-acme", "default": true, "roles": [[PRODUCT, "atlassian/user"]]},
                {"op": "group", "name": "everybody", "default": true, "roles": [[PRODUCT, "atlassian/user"]]},
                {"op": "group", "name": "helpers", "roles": [[PRODUCT, "atlassian/admin"]]},
                {"op": "account_status", "account": person(1), "status": "inactive"},
            ]))
            .await;
        stage
    }

    async fn edit(&self, changes: Value) {
        let url = format!("{}/_twin/atlassian", self.running.atlassian_url());
        let body = json!({"changes": changes}).to_string();
        let answer = self.http.post(url).header("content-type", "application/json").body(body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{text}");
    }

    fn budget() -> (std::sync::Arc<Budget>, Clock) {
        let clock = Clock::real();
        (Budget::learned("test", 100, 8, clock.clone()), clock)
    }

    fn org(&self) -> OrgReader {
        self.org_at(DIRECTORY, "twin-org-key")
    }

    fn org_at(&self, directory: &str, key: &str) -> OrgReader {
        OrgReader::connect(self.org_config(directory, key)).unwrap()
    }

    fn org_config(&self, directory: &str, key: &str) -> OrgConfig {
        let (budget, clock) = Self::budget();
        OrgConfig {
            endpoint: Some(self.running.atlassian_url()),
            org: ORGANIZATION.to_owned(),
            directory: directory.to_owned(),
            api_key: key.into(),
            owner: Some(Email::new(person(3)).unwrap()),
            budget,
            clock,
            timeout: Duration::from_secs(20),
            parallel: 4,
            sites: Vec::new(),
        }
    }

    fn scim(&self) -> ScimReader {
        let (budget, clock) = Self::budget();
        ScimReader::connect(ScimConfig {
            endpoint: Some(self.running.atlassian_url()),
            directory_id: SCIM_DIRECTORY.to_owned(),
            token: "twin-scim-key".into(),
            budget,
            clock,
            timeout: Duration::from_secs(20),
            parallel: 4,
        })
        .unwrap()
    }

    fn jira(&self) -> JiraReader {
        let (budget, clock) = Self::budget();
        JiraReader::connect(JiraConfig {
            base_url: self.running.atlassian_url(),
            site: "https://acme.atlassian.net".to_owned(),
            email: self.running.twin.world().options.administrator.clone(),
            api_token: "twin-api-token".into(),
            budget,
            clock,
            timeout: Duration::from_secs(20),
            parallel: 4,
        })
        .unwrap()
    }

    /// Makes people and groups through the provisioning API itself.
    async fn provision(&self, people: usize) {
        let base = format!("{}/scim/directory/{SCIM_DIRECTORY}", self.running.atlassian_url());
        let post = async |path: &str, body: Value| -> Value {
            let request = self.http.post(format!("{base}/{path}")).bearer_auth("twin-scim-key");
            let answer = request.header("content-type", "application/scim+json").body(body.to_string()).send().await;
            serde_json::from_str(&answer.unwrap().text().await.unwrap()).unwrap()
        };
        let mut members = Vec::new();
        for number in 0..people {
            let email = person(number);
            let body = json!({
                "schemas": [scim::CORE_USER], "userName": email, "externalId": format!("g{number}"),
                "emails": [{"value": email, "primary": true}], "active": number != 1,
            });
            members.push(json!({"value": post("Users", body).await["id"]}));
        }
        let body = json!({"schemas": [scim::CORE_GROUP], "displayName": "from-idp", "members": members});
        post("Groups", body).await;
        let body = json!({"schemas": [scim::CORE_GROUP], "displayName": "empty-idp", "members": []});
        post("Groups", body).await;
    }

    fn break_it(&self, family: &str, operation: &str, kind: FaultKind) {
        self.running.twin.engine.faults.inject(Fault::new(family, operation, kind));
    }

    fn count(&self, family: &str) -> BTreeMap<String, u64> {
        let (families, _) = self.running.twin.engine.counters.all();
        let operations = families.get(family).cloned().unwrap_or_default();
        operations.into_iter().map(|(name, figures)| (name, figures.calls)).collect()
    }
}

fn named<'a>(reading: &'a Reading, name: &str) -> &'a Group {
    reading.groups.seen.iter().find(|group| group.name == name).unwrap()
}

fn addressed<'a>(reading: &'a Reading, email: &str) -> &'a User {
    let email = Email::new(email).unwrap();
    reading.users.seen.iter().find(|user| user.email.as_ref() == Some(&email)).unwrap()
}

fn members(reading: &Reading, group: &GroupId) -> Option<(usize, bool)> {
    reading.members.iter().find(|read| read.group == *group).map(|read| (read.seen.len(), read.complete))
}

async fn whole(reader: &impl ReadDirectory) -> Reading {
    let reading = reader.sweep(&Scope::All, &Silent).await.unwrap();
    assert!(reading.is_whole());
    reading
}

fn directory() -> DirectoryId {
    DirectoryId::new("cloud").unwrap()
}

async fn answers(reader: &impl ReadDirectory, group: &GroupId, inside: &AccountId, outside: &AccountId) {
    let verify = async |fact: Fact| reader.verify(&fact).await.unwrap();
    let member = |user: &AccountId| Fact::Member { directory: directory(), group: group.clone(), user: user.clone() };
    assert_eq!(verify(member(inside)).await, Answer::Holds);
    assert_eq!(verify(member(outside)).await, Answer::Gone);
    let gone = AccountId::new("00000000-0000-4000-8000-00000000dead").unwrap();
    let user = |user: &AccountId| Fact::User { directory: directory(), user: user.clone() };
    assert_eq!(verify(user(inside)).await, Answer::Holds);
    assert_eq!(verify(user(&gone)).await, Answer::Gone);
    let fact = |group: &GroupId| Fact::Group { directory: directory(), group: group.clone() };
    assert_eq!(verify(fact(group)).await, Answer::Holds);
    assert_eq!(verify(fact(&GroupId::new("00000000-0000-4000-8000-00000000beef").unwrap())).await, Answer::Gone);
}

#[tokio::test]
async fn an_organization_is_read_with_the_least_calls() {
    let stage = Stage::new().await;
    stage.provision(2).await;
    let reader = stage.org();
    stage.running.twin.engine.counters.clear();
    let scope = Scope::of(|group| group.name == "crowd" || group.name == "eng");
    let reading = reader.sweep(&scope, &Silent).await.unwrap();
    assert!(reading.is_whole());
    let (crowd, eng) = (named(&reading, "crowd"), named(&reading, "eng"));
    assert_eq!(members(&reading, &crowd.id), Some((PEOPLE, true)));
    assert_eq!(members(&reading, &eng.id), Some((2, true)), "deactivated accounts are members, too");
    assert_eq!(reading.members.len(), 2, "only the groups in scope are walked");
    let users = reading.users.seen.len().div_ceil(100) as u64;
    let calls = stage.count("atlassian.org");
    assert_eq!(calls["users.search"], users + 3 + 1, "{calls:?}");
    // The listing, one search each for what makes administrators and what gives products; since some groups do, the
    // list of products, and one search for the only one there is.
    assert_eq!((calls["groups.search"], calls["workspaces.query"]), (4, 1), "{calls:?}");
    assert_eq!(calls.values().sum::<u64>(), users + 3 + 1 + 4 + 1 + 1, "{calls:?}");
    stage.running.twin.engine.counters.clear();
    reader.sweep(&scope, &Silent).await.unwrap();
    let again = stage.count("atlassian.org");
    assert_eq!(again.values().sum::<u64>(), users + 3 + 1 + 4 + 1, "the directory is looked for once: {again:?}");

    assert_eq!(eng.description, "Engineers");
    assert_eq!((eng.ownership, eng.grants_admin, eng.default_access), (Ownership::Local, false, false));
    // A name is no role.
    assert!(!named(&reading, "jira-admins-acme").grants_admin && named(&reading, "jira-admins-acme").roles_known);
    assert!(named(&reading, "helpers").grants_admin);
    assert!(named(&reading, "jira-users-acme").default_access);
    assert!(named(&reading, "eng").gives.is_empty());
    let given = named(&reading, "jira-users-acme").gives.clone();
    assert!(given.len() == 1 && given[0].product.starts_with("jira"), "{given:?}");
    assert!(given[0].site.starts_with("https://"), "{given:?}");
    assert!(!named(&reading, "everybody").default_access, "that it is a default one, only a site tells");
    assert_eq!(named(&reading, "from-idp").ownership, Ownership::IdentityProvider);
    assert_eq!(addressed(&reading, &person(1)).state, UserState::Deactivated);
    let (inside, outside) = (addressed(&reading, &person(0)), addressed(&reading, &person(9)));
    answers(&reader, &eng.id, &inside.id, &outside.id).await;
    assert_eq!(reader.who_am_i().await.unwrap(), [addressed(&reading, &person(3)).id.clone()]);
}

#[tokio::test]
async fn default_access_groups_are_found_through_the_sites_application_roles() {
    let stage = Stage::new().await;
    let mut reader = stage.org_config(DIRECTORY, "twin-org-key");
    reader.sites = vec![stage.jira()];
    let reader = OrgReader::connect(reader).unwrap();
    let reading = reader.sweep(&Scope::Nobody, &Silent).await.unwrap();
    assert!(named(&reading, "everybody").default_access && named(&reading, "jira-users-acme").default_access);
    assert!(!named(&reading, "eng").default_access);
    let one = reader.read_group(&named(&reading, "everybody").id).await.unwrap().unwrap();
    assert!(one.default_access && one.roles_known);
    let helpers = reader.read_group(&named(&reading, "helpers").id).await.unwrap().unwrap();
    assert!(helpers.grants_admin);
}

/// What a pass told of its troubles.
#[derive(Default)]
struct Noted(std::sync::Mutex<Vec<String>>);

impl outbound::Progress for Noted {
    fn step(&self, _stage: outbound::Stage, _done: u64, _of: Option<u64>) {}

    fn trouble(&self, error: &outbound::ReadError) {
        self.0.lock().unwrap().push(format!("{} {error}", error.code));
    }
}

#[tokio::test]
async fn a_site_that_does_not_tell_is_named_and_leaves_its_groups_in_doubt() {
    let stage = Stage::new().await;
    let mut config = stage.org_config(DIRECTORY, "twin-org-key");
    config.sites = vec![stage.jira()];
    let reader = OrgReader::connect(config).unwrap();
    for kind in [FaultKind::Forbidden, FaultKind::Fail { status: 503, after: false, plain: true }] {
        let fault = Fault { times: Some(50), ..Fault::new("atlassian.jira", "applicationrole.list", kind) };
        stage.running.twin.engine.faults.inject(fault);
        let noted = Noted::default();
        let reading = reader.sweep(&Scope::Nobody, &noted).await.unwrap();
        assert!(reading.groups.complete, "the organization was read");
        let told = noted.0.into_inner().unwrap();
        assert!(told.len() == 1 && told[0].starts_with("E0144 https://acme.atlassian.net "), "{told:?}");
        assert!(named(&reading, "jira-users-acme").access_unread && !named(&reading, "eng").access_unread);
        let one = reader.read_group(&named(&reading, "jira-users-acme").id).await.unwrap().unwrap();
        assert!(one.access_unread, "a group by itself is read all the same");
        stage.running.twin.engine.faults.clear();
    }
    let reading = reader.sweep(&Scope::Nobody, &Silent).await.unwrap();
    assert!(!named(&reading, "jira-users-acme").access_unread);
}

#[tokio::test]
async fn where_roles_may_not_be_read_names_speak() {
    let stage = Stage::new().await;
    let forbidden = Fault { skip: 1, ..Fault::new("atlassian.org", "groups.search", FaultKind::Forbidden) };
    stage.running.twin.engine.faults.inject(forbidden);
    let reading = stage.org().sweep(&Scope::Nobody, &Silent).await.unwrap();
    assert!(reading.groups.complete, "the listing itself came whole");
    let users = named(&reading, "jira-users-acme");
    assert!(users.default_access && !users.roles_known);
}

#[tokio::test]
async fn a_key_of_somewhere_else_is_said_in_words_that_help() {
    let stage = Stage::new().await;
    let said = async |reader: OrgReader| reader.sweep(&Scope::All, &Silent).await.unwrap_err();
    let error = said(stage.org_at("dir-9", "twin-org-key")).await;
    assert!(error.is_about_us() && error.message.contains("check org and directory"), "{error}");
    let error = said(stage.org_at(DIRECTORY, "expired")).await;
    assert!(error.is_about_us() && error.message.contains("renew"), "{error}");
    assert!(!format!("{error:?}").contains("expired"));
}

#[tokio::test]
async fn a_provisioning_directory_tells_members_with_its_groups() {
    let stage = Stage::new().await;
    stage.provision(3).await;
    stage.running.twin.engine.counters.clear();
    let reader = stage.scim();
    let reading = whole(&reader).await;
    let calls = stage.count("atlassian.scim");
    assert_eq!((calls["Users.list"], calls["Groups.list"], calls.values().sum::<u64>()), (1, 1, 2), "{calls:?}");
    let group = named(&reading, "from-idp");
    assert_eq!(group.ownership, Ownership::Local, "to its own directory a group is an ordinary one");
    assert_eq!(members(&reading, &group.id), Some((3, true)));
    assert_eq!(members(&reading, &named(&reading, "empty-idp").id), Some((0, true)));
    let (ana, bo) = (addressed(&reading, &person(0)), addressed(&reading, &person(1)));
    assert_eq!((ana.external_id.as_deref(), ana.state), (Some("g0"), UserState::Active));
    assert!(ana.account.is_some(), "the account behind the user is known");
    assert_eq!(bo.state, UserState::Deactivated);
    let stranger = AccountId::new("00000000-0000-4000-8000-000000000000").unwrap();
    answers(&reader, &group.id, &ana.id, &stranger).await;
    let found = reader.find_person(&Email::new(person(2)).unwrap()).await.unwrap().unwrap();
    assert_eq!(found.external_id.as_deref(), Some("g2"));
    assert!(reader.find_person(&Email::new("x\"y@example.com").unwrap()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_site_is_read_with_its_inactive_members() {
    let stage = Stage::new().await;
    let reader = stage.jira();
    let reading = whole(&reader).await;
    let (crowd, eng) = (named(&reading, "crowd"), named(&reading, "eng"));
    assert_eq!(members(&reading, &crowd.id), Some((PEOPLE, true)));
    assert_eq!(members(&reading, &eng.id), Some((2, true)));
    assert!(named(&reading, "jira-users-acme").default_access);
    let calls = stage.count("atlassian.jira");
    assert_eq!(calls.values().max(), Some(&(5 + 1 + 1 + 1 + extra_members(&reading))), "one walk a group: {calls:?}");
    assert_eq!(calls.get("group.bulk"), Some(&3), "all groups, and twice those that make administrators: {calls:?}");
    let (inside, outside) = (addressed(&reading, &person(0)), addressed(&reading, &person(9)));
    answers(&reader, &eng.id, &inside.id, &outside.id).await;
    assert_eq!(reader.who_am_i().await.unwrap().len(), 1);
}

/// Walks of the groups that the world begins with.
fn extra_members(reading: &Reading) -> u64 {
    reading.groups.seen.len() as u64 - 4
}

#[tokio::test]
async fn i02_trouble_in_the_middle_of_a_walk_never_looks_like_an_absence() {
    let faults = [
        FaultKind::Fail { status: 400, after: false, plain: false },
        FaultKind::Truncate,
        FaultKind::RepeatPage,
        FaultKind::EmptyPage { keep_next: false },
        FaultKind::Forbidden,
        FaultKind::Unauthorized,
    ];
    for kind in faults {
        let stage = Stage::new().await;
        let crowd = named(&whole(&stage.jira()).await, "crowd").id.clone();
        stage.break_it("atlassian.jira", "*", kind.clone());
        if let Ok(reading) = stage.jira().sweep(&Scope::All, &Silent).await {
            assert!(!reading.users.complete || reading.users.seen.len() >= PEOPLE, "Jira, {kind:?}");
            assert!(!reading.groups.complete || reading.groups.seen.len() >= 4, "Jira, {kind:?}");
            assert!(members(&reading, &crowd).is_none_or(|(seen, complete)| !complete || seen == PEOPLE), "{kind:?}");
        }

        stage.provision(3).await;
        let scim = stage.scim();
        let group = named(&whole(&scim).await, "from-idp").id.clone();
        stage.break_it("atlassian.scim", "*", kind.clone());
        if let Ok(reading) = scim.sweep(&Scope::All, &Silent).await {
            assert!(!reading.users.complete || reading.users.seen.len() == 3, "SCIM, {kind:?}");
            assert!(!reading.groups.complete || reading.groups.seen.len() == 2, "SCIM, {kind:?}");
            assert!(members(&reading, &group).is_none_or(|(seen, complete)| !complete || seen == 3), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn i02_a_walk_that_ends_early_keeps_what_it_did_not_see() {
    for kind in [FaultKind::Fail { status: 400, after: false, plain: false }, FaultKind::RepeatPage] {
        let stage = Stage::new().await;
        let reader = stage.org();
        // The second page of every walk of people: of the list, and of the crowd.
        let fault = Fault { page: Some(2), ..Fault::new("atlassian.org", "users.search", kind.clone()) };
        stage.running.twin.engine.faults.inject(fault);
        let reading = reader.sweep(&Scope::All, &Silent).await.unwrap();
        assert!(!reading.users.complete, "{kind:?}");
        let (_, complete) = members(&reading, &named(&reading, "crowd").id).unwrap();
        assert!(!complete, "{kind:?}");
        assert_eq!(members(&reading, &named(&reading, "eng").id), Some((2, true)), "others are read: {kind:?}");
    }
}

#[tokio::test]
async fn a_targeted_read_sees_what_changed_and_what_is_gone() {
    let stage = Stage::new().await;
    let reader = stage.org();
    let before = whole(&reader).await;
    let (eng, crowd) = (named(&before, "eng").id.clone(), named(&before, "crowd").id.clone());
    stage
        .edit(json!([
            {"op": "member_removed", "group": "eng", "account": person(0)},
            {"op": "group_deleted", "group": "crowd"},
        ]))
        .await;
    let reading =
        reader.reread(&[eng.clone(), crowd.clone()], &[addressed(&before, &person(0)).id.clone()]).await.unwrap();
    assert_eq!(reading.groups.gone, [crowd]);
    assert_eq!(members(&reading, &eng), Some((1, true)));
    assert_eq!(reading.users.seen.len(), 1);
    assert!(!reading.users.complete && !reading.groups.complete, "nothing else was looked at");
}
