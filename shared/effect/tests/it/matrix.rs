//! The idempotency matrix, of every API in one table: what a repetition, a refusal or a fault comes to through the whole
//! write path (reference/atlassian-cloud.md §12, atlassian-dc.md §8). A cell that there is none of says why.

mod giving;
mod leaving;

use std::collections::BTreeMap;

use effect::{DcProduct, ListKind, Runner};
use model::{AccountChange, AccountId, CommandBody, EdgeOp, GroupId, Lane, Rejection, StepResult};
use serde_json::{Value, json};
use twin::engine::fault::FaultKind;

use crate::dc;
use crate::world::{Memory, SITE, World, email, run};

/// The columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    Organization,
    Scim,
    JiraCloud,
    ConfluenceCloud,
    Desk,
    Customers,
    JiraDc,
    ConfluenceDc,
    BitbucketDc,
    Crowd,
    /// Jira as user server: Crowd's API at Jira's address.
    CrowdAtJira,
}

const APIS: [Api; 11] = [
    Api::Organization,
    Api::Scim,
    Api::JiraCloud,
    Api::ConfluenceCloud,
    Api::Desk,
    Api::Customers,
    Api::JiraDc,
    Api::ConfluenceDc,
    Api::BitbucketDc,
    Api::Crowd,
    Api::CrowdAtJira,
];

/// The rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    AddAgain,
    RemoveStranger,
    CreateWhatExists,
    /// The person has the account that is to be made, or is a member already.
    CreateWhoIsThere,
    /// The user name is somebody else's.
    CreateWhoseNameIsTaken,
    AddUnknownUser,
    RemoveUnknownUser,
    AddToUnknownGroup,
    RemoveFromUnknownGroup,
    OwnedByAnother,
    DefaultGroup,
    SeatLimit,
    Throttled,
    BadCredential,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Is(StepResult),
    Halts,
    /// Not applicable, because …
    Not(&'static str),
}

use Cell::{Halts, Is, Not};

const DONE: Cell = Is(StepResult::Done);
const SO: Cell = Is(StepResult::AlreadySo);
const OWNED: Cell = Is(StepResult::Rejected(Rejection::Ownership));
const SEATS: Cell = Is(StepResult::Rejected(Rejection::Licence));
const TAKEN: Cell = Is(StepResult::Rejected(Rejection::Conflict));
const NOBODY: Cell = Is(StepResult::Rejected(Rejection::UnknownUser));
const NO_GROUP: Cell = Is(StepResult::Rejected(Rejection::UnknownGroup));
const BY_PEOPLE: Cell = Not("a service desk is made by people, and no API makes one");
const ALL_OWN: Cell = Not("a provisioning directory has no groups but its own");
const DESKS_OWN: Cell = Not("no identity provider fills the customers of a desk");
const NO_PRODUCT: Cell = Not("a list of customers gives no product");
const FREE: Cell = Not("customers take no seat");
const NO_ACCOUNTS: Cell = Not("a site makes no accounts: the organization does");
const NO_NAMES: Cell = Not("who is invited has an address and no user name, which nobody else can have");
const TELLS_NO_ADDRESS: Cell = Not("Confluence tells no address, by which the person would be known");
const CROWD_GIVES: Cell = Not("no group of Crowd gives a product by itself: the products that read from it decide");

/// Where nothing tells a repetition from a change (the API is documented as idempotent), what was so already is done.
const MATRIX: [(Case, [Cell; 11]); 14] = [
    (Case::AddAgain, [SO, DONE, SO, DONE, DONE, DONE, SO, DONE, DONE, SO, SO]),
    (Case::RemoveStranger, [SO, DONE, SO, DONE, DONE, DONE, SO, DONE, SO, SO, SO]),
    (Case::CreateWhatExists, [TAKEN, TAKEN, TAKEN, TAKEN, BY_PEOPLE, TAKEN, TAKEN, TAKEN, TAKEN, TAKEN, TAKEN]),
    (Case::CreateWhoIsThere, [DONE, SO, NO_ACCOUNTS, NO_ACCOUNTS, SO, SO, SO, TELLS_NO_ADDRESS, SO, SO, SO]),
    (
        Case::CreateWhoseNameIsTaken,
        [NO_NAMES, TAKEN, NO_ACCOUNTS, NO_ACCOUNTS, NO_NAMES, NO_NAMES, TAKEN, TAKEN, TAKEN, TAKEN, TAKEN],
    ),
    (Case::AddUnknownUser, [NOBODY; 11]),
    // Who does not exist is no member.
    (Case::RemoveUnknownUser, [SO; 11]),
    (Case::AddToUnknownGroup, [NO_GROUP; 11]),
    (Case::RemoveFromUnknownGroup, [NO_GROUP; 11]),
    // An identity provider, a team, or a directory that is only read.
    (Case::OwnedByAnother, [OWNED, ALL_OWN, OWNED, OWNED, DESKS_OWN, OWNED, OWNED, OWNED, OWNED, OWNED, OWNED]),
    // Members come and go like everywhere; provisioning cannot have one, so its name is taken.
    (Case::DefaultGroup, [DONE, TAKEN, DONE, DONE, NO_PRODUCT, NO_PRODUCT, DONE, DONE, DONE, CROWD_GIVES, DONE]),
    (Case::SeatLimit, [SEATS, SEATS, SEATS, SEATS, FREE, FREE, SEATS, SEATS, SEATS, SEATS, SEATS]),
    (Case::Throttled, [DONE; 11]),
    (Case::BadCredential, [Halts; 11]),
];

/// One API, and what there is of everything that the cases need.
struct Door {
    runner: Runner<Memory>,
    refused: Runner<Memory>,
    /// Its calls, for faults.
    family: &'static str,
    /// The instance of Data Center, where it is one.
    instance: Option<&'static str>,
    /// A group's name and id, of which `member` is one and `stranger` is none.
    name: &'static str,
    group: GroupId,
    member: String,
    stranger: String,
    nobody: &'static str,
    missing: &'static str,
    anothers: Option<GroupId>,
    default: Option<GroupId>,
    full: Option<GroupId>,
    /// Who the member is: the person at the source, and what they are made of.
    person: &'static str,
    made_of: Attributes,
}

type Attributes = BTreeMap<String, String>;

/// What a person of this user name and address is made of.
fn attributes(name: &str, email: &str, shown: &str) -> Attributes {
    let all = [("userName", name), ("emails[primary].value", email), ("displayName", shown)];
    all.map(|(path, value)| (path.to_owned(), value.to_owned())).into()
}

const PRODUCT: &str = "ari:cloud:jira-software::site/full";
const GONE: &str = "11111111-2222-4333-8444-555555555555";

/// A group of the organization or of the site by its name.
fn id_in(world: &World, place: &str, name: &str) -> GroupId {
    let dump = world.dump();
    let id = dump.pointer(&format!("/{place}/groups/{name}/id")).and_then(Value::as_str);
    GroupId::new(id.unwrap()).unwrap()
}

/// A default group, one whose product has no seat left, and one that is somebody else's.
fn prepare(world: &World, site: Option<&str>) {
    let product = json!({ "resource": PRODUCT, "key": "jira-software", "name": "Jira", "site": SITE, "seats": 0 });
    let load = match site {
        Some(site) => json!({ "op": "load", "sites": [{ "name": site, "cloud_id": "c-1", "products": [product] }] }),
        None => json!({ "op": "load", "organizations": [
            { "id": "org-1", "name": "Acme", "directory": "dir-1", "products": [product] }] }),
    };
    world.edit(load);
    for group in [
        json!({ "op": "group", "name": "jira-users", "default": true }),
        json!({ "op": "group", "name": "full", "roles": [[PRODUCT, "atlassian/user"]] }),
        json!({ "op": "group", "name": "anothers", "team": true }),
    ] {
        let mut group = group;
        group["site"] = json!(site);
        world.edit(group);
    }
}

async fn open(world: &World, api: Api) -> Door {
    match api {
        Api::Organization => organization(world).await,
        Api::Scim => scim(world).await,
        Api::JiraCloud => site(world, "atlassian.jira", world.jira(), world.jira_as("no")).await,
        Api::ConfluenceCloud => {
            site(world, "atlassian.confluence", world.confluence(), world.confluence_as("no")).await
        }
        Api::Desk => list(world, ListKind::Desk, "/desks/HELP/id").await,
        Api::Customers => list(world, ListKind::Organization, "/customer_organizations/Partners/id").await,
        Api::JiraDc => instance(world, DcProduct::Jira, "jira"),
        Api::ConfluenceDc => instance(world, DcProduct::Confluence, "confluence"),
        Api::BitbucketDc => instance(world, DcProduct::Bitbucket, "bitbucket"),
        Api::Crowd => instance(world, DcProduct::Crowd, "crowd"),
        Api::CrowdAtJira => instance(world, DcProduct::Crowd, "jira"),
    }
}

/// The group `eng` with its first member.
async fn engineers(world: &World, runner: &Runner<Memory>, member: &str) -> GroupId {
    let group = world.group(runner, "eng").await;
    run(runner, &world.edges(&group, &[(member, EdgeOp::Add)])).await;
    group
}

async fn organization(world: &World) -> Door {
    prepare(world, None);
    world.group(&world.scim(), "synced").await;
    let runner = world.org();
    let (member, stranger) = (world.account(0), world.account(1));
    let of = |name| Some(id_in(world, "organizations/org-1", name));
    Door {
        group: engineers(world, &runner, &member).await,
        refused: world.org_as("no"),
        family: "atlassian.org",
        name: "eng",
        member,
        stranger,
        nobody: "nobody:here",
        missing: GONE,
        anothers: of("synced"),
        default: of("jira-users"),
        full: of("full"),
        instance: None,
        person: "u000",
        made_of: attributes(&email(0), &email(0), "Somebody"),
        runner,
    }
}

async fn scim(world: &World) -> Door {
    let runner = world.scim();
    world.group(&runner, "full").await;
    let scim_id = |name: &str| {
        let twin = world.twin.twin.world();
        let directory = twin.atlassian.scim_directory(twin::world::atlassian::SCIM_DIRECTORY).unwrap();
        GroupId::new(directory.group_named(name).unwrap().id.clone()).unwrap()
    };
    let full = scim_id("full");
    prepare(world, None);
    world.twin.twin.world().atlassian.switches.scim_accepts_without_seat = false;
    let mut people = Vec::new();
    for n in 0..2 {
        let attributes = attributes(&email(n), &email(n), "Somebody");
        let change = AccountChange::Create { attributes };
        let person = AccountId::new(format!("u{n:03}")).unwrap();
        let body = CommandBody::Account { account: None, person, change, generation: 1 };
        let made = run(&runner, &world.job(Lane::Normal, body)).await.outcome.account.unwrap();
        people.push(made.to_string());
    }
    Door {
        group: engineers(world, &runner, &people[0]).await,
        refused: world.scim_as("no"),
        family: "atlassian.scim",
        name: "eng",
        member: people[0].clone(),
        stranger: people[1].clone(),
        nobody: "no-such-record",
        missing: GONE,
        anothers: None,
        default: None,
        full: Some(full),
        instance: None,
        person: "u000",
        made_of: attributes(&email(0), &email(0), "Somebody"),
        runner,
    }
}

async fn site(world: &World, family: &'static str, runner: Runner<Memory>, refused: Runner<Memory>) -> Door {
    prepare(world, Some(SITE));
    world.edit(json!({ "op": "account", "email": "sync@example.com", "site": SITE }));
    let (member, stranger) = (world.account(0), world.account(1));
    let of = |name| Some(id_in(world, &format!("sites/{SITE}"), name));
    Door {
        group: engineers(world, &runner, &member).await,
        refused,
        family,
        name: "eng",
        member,
        stranger,
        nobody: "nobody:here",
        missing: GONE,
        anothers: of("anothers"),
        default: of("jira-users"),
        full: of("full"),
        instance: None,
        person: "u000",
        made_of: attributes(&email(0), &email(0), "Somebody"),
        runner,
    }
}

async fn list(world: &World, kind: ListKind, id: &str) -> Door {
    let dump = world.dump();
    let at = |place: &str| GroupId::new(dump.pointer(place).and_then(Value::as_str).unwrap()).unwrap();
    let (runner, group) = (world.customers(kind), at(id));
    let (member, stranger) = (world.account(0), world.account(1));
    run(&runner, &world.edges(&group, &[(&member, EdgeOp::Add)])).await;
    Door {
        refused: world.customers_as(kind, "no"),
        family: "atlassian.servicedesk",
        name: "Partners",
        group,
        member,
        stranger,
        nobody: "712020:nobody",
        missing: "99",
        anothers: Some(at("/customer_organizations/Synced/id")),
        default: None,
        full: None,
        instance: None,
        person: "u000",
        made_of: attributes(&email(0), &email(0), "Somebody"),
        runner,
    }
}

fn instance(world: &World, product: DcProduct, instance: &'static str) -> Door {
    dc::fill(world);
    world.edit_dc(json!({ "op": "group", "instance": instance, "name": "everyone" }));
    let defaults = json!({ "op": "application", "instance": instance, "key": "extra", "groups": ["everyone"],
        "default_groups": ["everyone"] });
    world.edit_dc(defaults);
    if instance == "crowd" {
        // Crowd counts its users; how it would say that there are too many is not documented (§8).
        world.edit_dc(
            json!({ "op": "application", "instance": instance, "key": "crowd", "groups": ["full"], "seats": 1 }),
        );
    }
    let group = |name: &str| GroupId::new(name).unwrap();
    Door {
        runner: world.dc(product, instance, None),
        refused: world.dc(product, instance, Some("no")),
        family: "atlassian.dc.*",
        name: "eng",
        group: group("eng"),
        member: dc::account("ann"),
        stranger: dc::account("bob"),
        nobody: "key/nobody",
        missing: "none",
        anothers: Some(group("synced")),
        default: Some(group("everyone")),
        full: Some(group("full")),
        instance: Some(instance),
        person: "u-ann",
        made_of: attributes("ann", "ann@example.com", "ann B"),
    }
}

impl Door {
    async fn edge(&self, world: &World, group: &GroupId, account: &str, op: EdgeOp) -> Cell {
        self.edge_by(&self.runner, world, group, account, op).await
    }

    async fn edge_by(
        &self,
        runner: &Runner<Memory>,
        world: &World,
        group: &GroupId,
        account: &str,
        op: EdgeOp,
    ) -> Cell {
        let finished = run(runner, &world.edges(group, &[(account, op)])).await;
        let result = finished.outcome.edges[0].result;
        let told = format!("{:?}", finished.answers);
        assert!(!told.contains("@example.com") && !told.contains("nobody "), "i11: {told}");
        if finished.halted {
            assert_eq!(result, StepResult::NotTried, "what is halted was not done");
            return Halts;
        }
        Is(result)
    }

    /// An account for the member, or for somebody else who is to have the same user name.
    async fn account(&self, world: &World, is_other: bool) -> Cell {
        let mut attributes = self.made_of.clone();
        if is_other && self.family.starts_with("atlassian.dc") {
            attributes.insert("emails[primary].value".to_owned(), "another@example.com".to_owned());
            attributes.insert("displayName".to_owned(), "Another One".to_owned());
        }
        let person = AccountId::new(if is_other { "u999" } else { self.person }).unwrap();
        let change = AccountChange::Create { attributes };
        let body = CommandBody::Account { account: None, person, change, generation: 1 };
        let outcome = run(&self.runner, &world.job(Lane::Normal, body)).await.outcome;
        let named = outcome.account.as_ref().map(AccountId::as_str);
        let expected = if is_other { None } else { Some(self.member_named(world)) };
        assert_eq!(named, expected.as_deref(), "{}", self.family);
        Is(outcome.result)
    }

    /// The member's id as the product itself tells it.
    fn member_named(&self, world: &World) -> String {
        let Some((_, name)) = self.member.split_once("key/") else { return self.member.clone() };
        let twin = world.twin.twin.world();
        let product = self.instance.and_then(|instance| twin.dc.instance(instance)).unwrap();
        let person = product.user(name).unwrap().1;
        format!("{}/{}", person.key, person.name)
    }

    async fn creation(&self, world: &World, name: &str) -> Cell {
        let outcome = run(&self.runner, &world.create(name)).await.outcome;
        assert_eq!(outcome.group, None, "what exists is not ours");
        Is(outcome.result)
    }

    /// What a case comes to here.
    async fn shown(&self, world: &World, case: Case) -> Cell {
        use EdgeOp::{Add, Remove};
        let missing = GroupId::new(self.missing).unwrap();
        let add = async |group: &Option<GroupId>| {
            let group = group.as_ref().unwrap();
            self.edge(world, group, &self.stranger, Add).await
        };
        match case {
            Case::AddAgain => self.edge(world, &self.group, &self.member, Add).await,
            Case::RemoveStranger => self.edge(world, &self.group, &self.stranger, Remove).await,
            Case::CreateWhatExists => self.creation(world, self.name).await,
            Case::CreateWhoIsThere => self.account(world, false).await,
            Case::CreateWhoseNameIsTaken => self.account(world, true).await,
            Case::AddUnknownUser => self.edge(world, &self.group, self.nobody, Add).await,
            Case::RemoveUnknownUser => self.edge(world, &self.group, self.nobody, Remove).await,
            Case::AddToUnknownGroup => self.edge(world, &missing, &self.stranger, Add).await,
            Case::RemoveFromUnknownGroup => self.edge(world, &missing, &self.stranger, Remove).await,
            Case::OwnedByAnother => add(&self.anothers).await,
            // A provisioning directory has none, and cannot get one.
            Case::DefaultGroup if self.default.is_none() => self.creation(world, "jira-users").await,
            Case::DefaultGroup => add(&self.default).await,
            Case::SeatLimit => add(&self.full).await,
            Case::Throttled => {
                let throttle = FaultKind::Throttle { retry_after: Some("0".to_owned()), shape: None };
                world.fault(self.family, "*", 2, throttle);
                self.edge(world, &self.group, &self.stranger, Add).await
            }
            Case::BadCredential => self.edge_by(&self.refused, world, &self.group, &self.member, Remove).await,
        }
    }
}

/// Holds every cell of a table against what its API comes to, row after row in one world.
async fn hold<Row: Copy + std::fmt::Debug>(
    table: &[(Row, [Cell; 11])],
    comes_to: impl AsyncFn(&Door, &World, Row) -> Cell,
) {
    let mut wrong = Vec::new();
    for (column, api) in APIS.into_iter().enumerate() {
        let world = World::start().await;
        let door = open(&world, api).await;
        for (row, cells) in table {
            match cells[column] {
                Not(because) => assert!(!because.is_empty()),
                expected => {
                    let shown = comes_to(&door, &world, *row).await;
                    if shown != expected {
                        wrong.push(format!("{api:?}, {row:?}: {shown:?} and not {expected:?}"));
                    }
                }
            }
        }
        world.every_effect_was_admitted();
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn every_cell_of_the_idempotency_matrix_is_as_the_table_says() {
    hold(&MATRIX, async |door, world, case| door.shown(world, case).await).await;
}

/// 403 says two things: this group is somebody else's, or we may no more. The first costs one group, the second stops the
/// target with one message; which it is, the state tells and not the words.
#[tokio::test]
async fn a_credential_that_lost_its_rights_stops_the_target_and_is_no_question_of_ownership() {
    for api in [Api::JiraCloud, Api::ConfluenceCloud, Api::Scim] {
        let world = World::start().await;
        let door = open(&world, api).await;
        // Refused for a reason of its own: one membership, and nothing more is concluded.
        world.fault(door.family, "group.user.add", 1, FaultKind::Forbidden);
        world.fault(door.family, "Groups.patch", 1, FaultKind::Forbidden);
        let once = door.edge(&world, &door.group, &door.stranger, EdgeOp::Add).await;
        assert_eq!(once, Is(StepResult::Rejected(Rejection::Auth)), "{api:?}");
        world.twin.twin.engine.faults.clear();
        world.twin.twin.world().atlassian.switches.site_administrators = false;
        world.edit(json!({ "op": "guard", "organization": "org-1", "guard": false }));
        assert_eq!(door.edge(&world, &door.group, &door.stranger, EdgeOp::Add).await, Halts, "{api:?}");
        if let Some(group) = &door.anothers {
            assert_eq!(door.edge(&world, group, &door.stranger, EdgeOp::Add).await, OWNED, "{api:?}");
        }
    }
}
