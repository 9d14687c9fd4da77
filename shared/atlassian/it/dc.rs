//! Reading Data Center of the twin: what a sweep says, what it costs, and what it says when things go wrong.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use atlassian::dc::{self, DcConfig, DcReader};
use model::{
    AccountId, Answer, DirectoryId, DirectoryKind, Disposition, Email, Fact, Group, GroupId, MemberKind, Reading,
    UserState,
};
use outbound::{Allowance, Budget, Clock, Credential, Limit, PacerConfig, ReadDirectory, Scope, Silent};
use serde_json::{Value, json};
use twin::engine::{Fault, FaultKind};
use twin::{Running, Twin};

const KINDS: [(DirectoryKind, &str); 4] = [
    (DirectoryKind::JiraDc, "jira"),
    (DirectoryKind::ConfluenceDc, "confluence"),
    (DirectoryKind::BitbucketDc, "bitbucket"),
    (DirectoryKind::Crowd, "crowd"),
];

struct Stage {
    running: Running,
}

impl Stage {
    /// In each product 120 people who all have access; `eng` holds the first two, of whom the second is deactivated where
    /// that can be; `crowd of people` holds everybody.
    async fn new() -> Self {
        let config = twin::Config { quotas: false, ..twin::Config::default() };
        let stage = Self { running: Twin::start(config).await.unwrap() };
        for (_, instance) in KINDS {
            let names: Vec<String> = (0..120).map(person).collect();
            for (number, name) in names.iter().enumerate() {
                stage.edit(
                    json!({ "op": "user", "instance": instance, "name": name, "email": format!("{name}@example.com"),
                    "display_name": format!("Person {number}"), "active": number != 1 || instance == "bitbucket" }),
                );
            }
            stage.edit(json!({ "op": "group", "instance": instance, "name": "crowd of people", "members": names }));
            stage
                .edit(json!({ "op": "group", "instance": instance, "name": "eng", "members": [person(0), person(1)] }));
            let key = if instance == "jira" { "jira-software" } else { instance };
            stage.edit(json!({ "op": "application", "instance": instance, "key": key,
                "groups": ["crowd of people"], "default_groups": ["crowd of people"] }));
        }
        stage
    }

    fn edit(&self, edit: Value) {
        let edit = serde_json::from_value(edit).unwrap();
        self.running.twin.world().edit_dc(edit, &twin::world::Cause::default()).unwrap();
    }

    fn fault(&self, operation: &str, kind: FaultKind) {
        self.running.twin.engine.faults.inject(Fault::new("atlassian.dc.*", operation, kind));
    }

    fn heal(&self) {
        self.running.twin.engine.faults.clear();
    }

    fn reader(&self, kind: DirectoryKind, instance: &str) -> DcReader {
        let credential = if kind == DirectoryKind::Crowd {
            let secret = format!("twin-{instance}-application").into();
            Credential::Basic { user: "rollcall".to_owned(), secret }
        } else {
            Credential::Bearer(format!("twin-{instance}-token").into())
        };
        self.reader_with(kind, instance, credential)
    }

    fn reader_with(&self, kind: DirectoryKind, instance: &str, credential: Credential) -> DcReader {
        let clock = Clock::real();
        let limits = vec![Allowance { calls: 1_000_000, per: model::Span::from_secs(1) }];
        let config = PacerConfig { limit: Limit::Declared(limits), share_percent: 100, concurrency: 8 };
        DcReader::connect(DcConfig {
            kind,
            base_url: format!("{}/dc/{instance}", self.running.atlassian_url()),
            site: format!("https://{instance}.acme.example"),
            attributes: ["department".to_owned()].into(),
            user_directory: None,
            credential,
            budget: Budget::new("test", &config, clock.clone()),
            clock,
            timeout: Duration::from_secs(30),
            parallel: 8,
        })
        .unwrap()
    }

    /// Calls since the last time, by operation.
    fn calls(&self) -> BTreeMap<String, u64> {
        let (operations, _) = self.running.twin.engine.counters.all();
        self.running.twin.engine.counters.clear();
        let all = operations.into_iter().filter(|(family, _)| family.starts_with("atlassian.dc"));
        all.flat_map(|(_, it)| it).map(|(operation, figures)| (operation, figures.calls)).collect()
    }
}

fn person(number: usize) -> String {
    format!("p{number:03}")
}

fn names(reading: &Reading, group: &str) -> BTreeSet<String> {
    let read = reading.members.iter().find(|read| read.group.as_str() == group).unwrap();
    read.seen.iter().map(|member| dc::user_name(&AccountId::new(member.kind.id()).unwrap()).to_owned()).collect()
}

fn id_of(reading: &Reading, name: &str) -> AccountId {
    reading.users.seen.iter().find(|user| dc::user_name(&user.id) == name).unwrap().id.clone()
}

#[tokio::test]
async fn a_sweep_sees_everybody_with_state_and_address_and_every_member() {
    let stage = Stage::new().await;
    for (kind, instance) in KINDS {
        let reader = stage.reader(kind, instance);
        let reading = reader.sweep(&Scope::All, &Silent).await.unwrap();
        assert!(reading.is_whole(), "{instance}: {:?}", reading.members);
        assert_eq!(reading.users.seen.len(), 121, "{instance}");
        let groups: BTreeSet<&str> = reading.groups.seen.iter().map(|group| group.name.as_str()).collect();
        assert!(groups.contains("eng") && groups.len() == 3, "{instance}: {groups:?}");
        assert_eq!(names(&reading, "eng"), [person(0), person(1)].into(), "{instance}");
        assert_eq!(names(&reading, "crowd of people").len(), 120, "{instance}");
        let user = |name: &str| reading.users.seen.iter().find(|user| dc::user_name(&user.id) == name).unwrap();
        assert_eq!(user("p000").email, Email::new("p000@example.com").ok(), "{instance}");
        let expected = if instance == "bitbucket" { UserState::Active } else { UserState::Deactivated };
        assert_eq!(user("p001").state, expected, "{instance}");
        let admins = reading.groups.seen.iter().find(|group| group.name.ends_with("-administrators")).unwrap();
        assert!(admins.grants_admin, "{instance}");
        let narrow = reader.sweep(&Scope::of(|group: &Group| group.name == "eng"), &Silent).await.unwrap();
        assert_eq!(narrow.members.len(), 1, "{instance}");
    }
}

#[tokio::test]
async fn what_groups_give_and_how_many_seats_are_left_is_told() {
    let stage = Stage::new().await;
    for (kind, instance, product) in [
        (DirectoryKind::JiraDc, "jira", "jira-software"),
        (DirectoryKind::ConfluenceDc, "confluence", "confluence"),
        (DirectoryKind::BitbucketDc, "bitbucket", "bitbucket"),
    ] {
        let role = json!({
            "op": "application", "instance": instance, "key": product, "groups": ["eng"], "default_groups": ["eng"],
            "seats": 10,
        });
        stage.edit(role);
        let reading = stage.reader(kind, instance).sweep(&Scope::Nobody, &Silent).await.unwrap();
        let group = |name: &str| reading.groups.seen.iter().find(|group| group.name == name).unwrap();
        let gives = &group("eng").gives;
        assert_eq!(gives.len(), 1, "{instance}");
        let site = format!("https://{instance}.acme.example");
        assert_eq!((gives[0].product.as_str(), &gives[0].site), (product, &site));
        assert!(group("crowd of people").gives.is_empty(), "{instance}");
        // Confluence tells of its seats by refusing alone. The second member is not active, where a product knows that.
        let left = match instance {
            "jira" => Some(9),
            "bitbucket" => Some(8),
            _ => None,
        };
        assert_eq!(gives[0].seats.map(|seats| (seats.total, seats.left)), left.map(|left| (10, left)), "{instance}");
    }
}

#[tokio::test]
async fn bitbucket_tells_whom_something_lets_in_and_who_administers() {
    let stage = Stage::new().await;
    let application = json!({ "op": "application", "instance": "bitbucket", "key": "bitbucket", "groups": ["eng"] });
    stage.edit(application);
    stage.edit(json!({ "op": "granted", "instance": "bitbucket", "name": "p007", "permission": "LICENSED_USER" }));
    let reader = stage.reader(DirectoryKind::BitbucketDc, "bitbucket");
    let reading = reader.sweep(&Scope::Nobody, &Silent).await.unwrap();
    let let_in: BTreeSet<&str> =
        reading.users.seen.iter().filter(|user| user.is_let_in()).map(|user| dc::user_name(&user.id)).collect();
    assert_eq!(let_in, ["p000", "p001", "p007", "rollcall"].into());
    let admins: Vec<&str> =
        reading.users.seen.iter().filter(|user| user.admin).map(|user| dc::user_name(&user.id)).collect();
    assert_eq!(admins, ["rollcall"]);
    for (name, is_in) in [("p007", true), ("p008", false)] {
        let one = reader.read_user(&id_of(&reading, name)).await.unwrap().unwrap();
        assert_eq!(one.is_let_in(), is_in, "{name}");
    }
}

#[tokio::test]
async fn of_crowds_attributes_those_are_told_that_were_asked_for() {
    let stage = Stage::new().await;
    let reader = stage.reader(DirectoryKind::Crowd, "crowd");
    let attributes = json!({ "department": ["Web"], "lastActive": ["1764000000000"] });
    stage.edit(json!({ "op": "user", "instance": "crowd", "name": "p003", "attributes": attributes }));
    let told =
        |user: &model::User| (user.attributes.get("department").cloned(), user.attributes.contains_key("lastActive"));
    let reading = reader.sweep(&Scope::Nobody, &Silent).await.unwrap();
    let id = id_of(&reading, "p003");
    let user = reading.users.seen.iter().find(|user| user.id == id).unwrap();
    let email = user.email.clone().unwrap();
    let (one, found) = (reader.read_user(&id).await.unwrap(), reader.find_person(&email).await.unwrap());
    for user in [user, &one.unwrap(), &found.unwrap()] {
        assert_eq!(told(user), (Some("Web".to_owned()), false));
    }
}

#[tokio::test]
async fn one_fact_is_read_by_itself_and_what_is_gone_is_gone() {
    let stage = Stage::new().await;
    for (kind, instance) in KINDS {
        let reader = stage.reader(kind, instance);
        let reading = reader.sweep(&Scope::Nobody, &Silent).await.unwrap();
        let (first, third) = (id_of(&reading, "p000"), id_of(&reading, "p002"));
        let (eng, none) = (GroupId::new("eng").unwrap(), GroupId::new("none").unwrap());
        let found = reader.find_person(&Email::new("p002@example.com").unwrap()).await.unwrap();
        assert_eq!(found.map(|user| user.id), Some(third.clone()), "{instance}");
        assert!(reader.groups_of(&first).await.unwrap().contains(&eng), "{instance}");
        assert_eq!(reader.read_members(&eng).await.unwrap().seen.len(), 2, "{instance}");
        assert!(reader.read_group(&eng).await.unwrap().is_some(), "{instance}");
        assert_eq!(reader.read_group(&none).await.unwrap(), None, "{instance}");
        assert_eq!(reader.read_members(&none).await.unwrap_err().code, "404", "{instance}");
        let directory = DirectoryId::new("dc").unwrap();
        let member = |group: &GroupId, user: &AccountId| Fact::Member {
            directory: directory.clone(),
            group: group.clone(),
            user: user.clone(),
        };
        for (fact, answer) in [
            (member(&eng, &first), Answer::Holds),
            (member(&eng, &third), Answer::Gone),
            (member(&none, &first), Answer::Gone),
            (Fact::User { directory: directory.clone(), user: third.clone() }, Answer::Holds),
            (Fact::Group { directory: directory.clone(), group: none.clone() }, Answer::Gone),
        ] {
            assert_eq!(reader.verify(&fact).await.unwrap(), answer, "{instance}: {fact:?}");
        }
        // Somebody else gets the name: that is another person.
        stage.edit(json!({ "op": "user_removed", "instance": instance, "name": "p002" }));
        stage.edit(json!({ "op": "user", "instance": instance, "name": "p002", "email": "other@example.com" }));
        assert_eq!(reader.read_user(&third).await.unwrap(), None, "{instance}");
        let again = reader.reread(&[eng.clone(), none.clone()], &[first.clone(), third.clone()]).await.unwrap();
        assert_eq!((again.groups.gone, again.users.gone), (vec![none], vec![third]), "{instance}");
        assert!(again.members.len() == 1 && again.members[0].complete, "{instance}");
        let me = reader.who_am_i().await.unwrap();
        assert_eq!(
            me.iter().map(dc::user_name).collect::<Vec<_>>(),
            if instance == "crowd" { vec![] } else { vec!["rollcall"] }
        );
    }
}

#[tokio::test]
async fn what_was_not_read_to_its_end_is_incomplete() {
    let stage = Stage::new().await;
    for (kind, instance) in KINDS {
        let reader = stage.reader(kind, instance);
        let lists = match instance {
            "crowd" => ("search", "group.membership"),
            _ => ("user.list", "group.member"),
        };
        for fault in
            [FaultKind::Shrink { shown_percent: 50 }, FaultKind::Fail { status: 400, after: false, plain: false }]
        {
            if instance == "crowd" && matches!(fault, FaultKind::Shrink { .. }) {
                // No canary there: an application is nobody; a membership of somebody who is not listed tells.
                continue;
            }
            stage.fault(lists.0, fault.clone());
            if let Ok(reading) = reader.sweep(&Scope::Nobody, &Silent).await {
                let canary = !reading.users.seen.iter().any(|user| dc::user_name(&user.id) == "rollcall");
                let shrink = matches!(fault, FaultKind::Shrink { .. });
                assert!(!reading.users.complete || (shrink && !canary), "{instance} {fault:?}");
            }
            stage.heal();
        }
        stage.fault(lists.1, FaultKind::Fail { status: 400, after: false, plain: false });
        let reading = reader.sweep(&Scope::All, &Silent).await.unwrap();
        assert!(reading.members.iter().all(|read| !read.complete), "{instance}");
        stage.heal();
    }
    // A page that leads to itself, and one that is cut off.
    for (kind, instance, fault) in [
        (DirectoryKind::ConfluenceDc, "confluence", FaultKind::Truncate),
        (DirectoryKind::JiraDc, "jira", FaultKind::Truncate),
        (DirectoryKind::BitbucketDc, "bitbucket", FaultKind::RepeatPage),
    ] {
        stage.running.twin.world().dc.instance_mut(instance).unwrap().switches.confluence_page = 50;
        stage.running.twin.world().dc.instance_mut(instance).unwrap().switches.bitbucket_page = 50;
        let reader = stage.reader(kind, instance);
        stage.fault("group.member", fault);
        let read = reader.read_members(&GroupId::new("crowd of people").unwrap()).await;
        assert!(read.is_err_and(|error| error.code == "shape") || read_is_partial(&reader).await, "{instance}");
        stage.heal();
    }
}

/// What makes administrators is read beside the lists; where that read is in trouble nothing is said of groups at all,
/// and one group by itself is told the same as by the sweep.
#[tokio::test]
async fn i04_what_makes_administrators_is_never_lost_to_trouble() {
    let stage = Stage::new().await;
    for (kind, instance, operation) in [
        (DirectoryKind::ConfluenceDc, "confluence", "permissions.list"),
        (DirectoryKind::BitbucketDc, "bitbucket", "permissions.groups"),
    ] {
        stage.running.twin.world().dc.instance_mut(instance).unwrap().admin_groups.insert("eng".to_owned());
        let reader = stage.reader(kind, instance);
        let eng = reader.read_group(&GroupId::new("eng").unwrap()).await.unwrap().unwrap();
        assert!(eng.grants_admin, "{instance}");
        let swept = reader.sweep(&Scope::Nobody, &Silent).await.unwrap();
        assert!(swept.groups.seen.contains(&eng), "{instance}");
        stage.fault(operation, FaultKind::Fail { status: 503, after: false, plain: true });
        let swept = reader.sweep(&Scope::Nobody, &Silent).await.unwrap();
        assert!(!swept.groups.complete && swept.groups.seen.is_empty(), "{instance}");
        stage.heal();
        // Who may not see it goes by the vendor's own names.
        stage.fault(operation, FaultKind::Fail { status: 403, after: false, plain: false });
        let swept = reader.sweep(&Scope::Nobody, &Silent).await.unwrap();
        let admins = swept.groups.seen.iter().find(|group| group.name.ends_with("-administrators")).unwrap();
        assert!(swept.groups.complete && admins.grants_admin, "{instance}");
        stage.heal();
    }
}

async fn read_is_partial(reader: &DcReader) -> bool {
    reader.read_members(&GroupId::new("crowd of people").unwrap()).await.is_ok_and(|read| !read.complete)
}

#[tokio::test]
async fn credentials_that_are_refused_halt_and_say_nothing_is_gone() {
    let stage = Stage::new().await;
    for (kind, instance) in KINDS {
        let bad = match kind {
            DirectoryKind::Crowd => Credential::Basic { user: "rollcall".to_owned(), secret: "no".into() },
            _ => Credential::Bearer("no".into()),
        };
        let reader = stage.reader_with(kind, instance, bad);
        assert!(reader.sweep(&Scope::All, &Silent).await.unwrap_err().is_about_us(), "{instance}");
        assert!(reader.who_am_i().await.unwrap_err().is_about_us(), "{instance}");
        let user = AccountId::new("1/p000").unwrap();
        assert!(reader.read_user(&user).await.unwrap_err().is_about_us(), "{instance}");
    }
    // From an address that is not on the application's list.
    stage.running.twin.world().dc.instance_mut("crowd").unwrap().switches.crowd_address_refused = true;
    let reader = stage.reader(DirectoryKind::Crowd, "crowd");
    let refused = reader.sweep(&Scope::All, &Silent).await.unwrap_err();
    assert_eq!(refused.disposition, Disposition::Halt, "{refused}");
}

/// Credentials that may only read are told at set-up, and not by the first change.
#[tokio::test]
async fn p3_01_credentials_that_may_change_nothing_are_told() {
    let stage = Stage::new().await;
    for (kind, instance) in KINDS {
        let well = stage.reader(kind, instance).probe().await;
        assert_eq!(well.unwrap(), "users and groups can be read and changed", "{instance}");
        if kind == DirectoryKind::Crowd {
            continue;
        }
        let token = format!("ordinary-{instance}-token");
        let secret = json!({ "kind": "dc-token", "realm": instance, "principal": person(0), "secret": token });
        stage.running.twin.engine.credentials().secrets.push(serde_json::from_value(secret).unwrap());
        let reader = stage.reader_with(kind, instance, Credential::Bearer(token.into()));
        assert_eq!(reader.who_am_i().await.unwrap().len(), 1, "{instance}");
        let refused = reader.probe().await.unwrap_err();
        assert!(
            refused.is_about_us() && refused.message.contains("may not change groups here: give it the "),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_bucket_that_is_told_is_kept_to() {
    let stage = Stage::new().await;
    let limit = twin::engine::Limit { per_minute: 60_000.0, burst: 200.0 };
    stage.running.twin.engine.quota.enable(true);
    stage.running.twin.engine.quota.set("atlassian.dc.jira", Some(limit));
    let reader = stage.reader(DirectoryKind::JiraDc, "jira");
    let budget = reader.budget().clone();
    for _ in 0..20 {
        reader.who_am_i().await.unwrap();
    }
    assert_eq!(budget.counts().throttled, 0);
    stage.fault("myself.get", FaultKind::Throttle { retry_after: Some("0".to_owned()), shape: None });
    let error = reader.who_am_i().await.unwrap_err();
    assert!(matches!(error.disposition, Disposition::Throttled { .. }), "{error}");
}

#[tokio::test]
async fn crowd_reads_a_hundred_thousand_memberships_in_twenty_calls() {
    let config = twin::Config { quotas: false, ..twin::Config::default() };
    let stage = Stage { running: Twin::start(config).await.unwrap() };
    for number in 0..10_000 {
        stage.edit(json!({ "op": "user", "instance": "crowd", "name": format!("u{number}"), "email": format!("u{number}@example.com") }));
    }
    for number in 0..1_000_usize {
        let members: Vec<String> = (0..100).map(|place| format!("u{}", (number * 37 + place * 91) % 10_000)).collect();
        stage.edit(json!({ "op": "group", "instance": "crowd", "name": format!("g{number}"), "members": members }));
    }
    stage.edit(json!({ "op": "directory", "instance": "crowd", "directory": "Internal", "nested": true }));
    stage.edit(json!({ "op": "group", "instance": "crowd", "name": "g0", "children": ["g1"] }));
    let reader = stage.reader(DirectoryKind::Crowd, "crowd");
    stage.calls();
    let reading = reader.sweep(&Scope::All, &Silent).await.unwrap();
    let calls = stage.calls();
    let memberships: usize = reading.members.iter().map(|read| read.seen.len()).sum();
    assert!(reading.is_whole() && memberships > 99_000, "{memberships}");
    assert!(calls.values().sum::<u64>() <= 20, "{calls:?}");
    let nested = reading.members.iter().find(|read| read.group.as_str() == "g0").unwrap();
    assert!(nested.seen.iter().any(|it| it.kind == MemberKind::Group(GroupId::new("g1").unwrap())));
    let walked = reader.read_members(&nested.group).await.unwrap();
    assert_eq!(walked.seen, nested.seen, "a walk of its own says the same");
}

#[tokio::test]
async fn jiras_groups_are_all_found_through_a_type_ahead_of_twenty() {
    let stage = Stage::new().await;
    for number in 0..300 {
        let name = format!("{}-team-{number:03}", ["emea", "apac", "amer"][number % 3]);
        stage.edit(json!({ "op": "group", "instance": "jira", "name": name }));
    }
    let reader = stage.reader(DirectoryKind::JiraDc, "jira");
    stage.calls();
    let reading = reader.sweep(&Scope::Nobody, &Silent).await.unwrap();
    assert!(reading.groups.complete && reading.groups.seen.len() == 303, "{}", reading.groups.seen.len());
    let calls = stage.calls();
    assert!(calls["groups.picker"] < 60, "{calls:?}");
    stage.running.twin.world().dc.instance_mut("jira").unwrap().switches.jira_picker_limit = 1_000;
    reader.sweep(&Scope::Nobody, &Silent).await.unwrap();
    assert_eq!(stage.calls()["groups.picker"], 1, "an instance that shows all is asked once");
    // Names that nothing can be asked of more closely: the list is not complete, and nothing is taken for gone.
    stage.running.twin.world().dc.instance_mut("jira").unwrap().switches.jira_picker_limit = 1;
    for name in ["äöü", "äöß"] {
        stage.edit(json!({ "op": "group", "instance": "jira", "name": name }));
    }
    let reading = reader.sweep(&Scope::Nobody, &Silent).await.unwrap();
    assert!(!reading.groups.complete);
}

/// At each door the products' own groups of default access are known by name: Crowd's is that of Jira, too.
#[tokio::test]
async fn i04_groups_of_default_access_are_known_at_every_door() {
    let stage = Stage::new().await;
    let rows = [
        (DirectoryKind::Crowd, "crowd", "jira-software-users"),
        (DirectoryKind::Crowd, "jira", "jira-servicedesk-users"),
        (DirectoryKind::BitbucketDc, "bitbucket", "stash-users"),
    ];
    for (kind, instance, name) in rows {
        stage.edit(json!({ "op": "group", "instance": instance, "name": name }));
        let reader = stage.reader(kind, instance);
        let reading = reader.sweep(&Scope::Nobody, &Silent).await.unwrap();
        let default = |name: &str| reading.groups.seen.iter().find(|it| it.name == name).unwrap().default_access;
        assert!(default(name) && !default("eng"), "{instance}");
        let alone = reader.read_group(&GroupId::new(name).unwrap()).await.unwrap().unwrap();
        assert!(alone.default_access, "{instance}");
    }
}

#[tokio::test]
async fn what_a_person_leads_is_found() {
    let stage = Stage::new().await;
    for number in 0..60 {
        let lead = person(number % 3);
        let components = json!({ "net": person(0), "web": Value::Null, "db": person(2) });
        stage.edit(json!({ "op": "project", "instance": "jira", "key": format!("P{number:02}"), "lead": lead, "components": components }));
    }
    let reader = stage.reader(DirectoryKind::JiraDc, "jira");
    let reading = reader.sweep(&Scope::Nobody, &Silent).await.unwrap();
    let leads = reader.leads(&id_of(&reading, "p000")).await.unwrap();
    assert_eq!((leads.projects.len(), leads.components.len()), (20, 60));
    assert_eq!(reader.leads(&id_of(&reading, "p003")).await.unwrap(), dc::Leads::default());
}
