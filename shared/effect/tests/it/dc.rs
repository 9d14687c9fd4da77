//! Data Center, row by row of reference/atlassian-dc.md §8, through the whole write path.

use std::collections::BTreeMap;

use effect::{DcProduct, Finished, Job, Runner};
use model::{AccountChange, AccountId, CommandBody, EdgeOp, GroupId, Lane, Rejection, StepResult};
use serde_json::json;
use twin::engine::fault::FaultKind;

use crate::world::{Memory, World, run};

pub(crate) const PRODUCTS: [(DcProduct, &str); 5] = [
    (DcProduct::Jira, "jira"),
    (DcProduct::Confluence, "confluence"),
    (DcProduct::Bitbucket, "bitbucket"),
    (DcProduct::Crowd, "crowd"),
    // Jira as user server: the same API at another address.
    (DcProduct::Crowd, "jira"),
];

/// In each product `ann` (in `eng` and `full`), `bob`, `cat`; `far` in `synced`, a directory that is only read; `full`
/// gives access, and the one seat is taken.
pub(crate) async fn world() -> World {
    let world = World::start().await;
    fill(&world);
    world
}

pub(crate) fn fill(world: &World) {
    for instance in ["jira", "confluence", "bitbucket", "crowd"] {
        let edit = |edit: serde_json::Value| {
            let mut edit = edit;
            edit["instance"] = json!(instance);
            world.edit_dc(edit);
        };
        edit(json!({ "op": "directory", "directory": "ldap", "writable": false }));
        for name in ["ann", "bob", "cat"] {
            let email = format!("{name}@example.com");
            edit(json!({ "op": "user", "name": name, "email": email, "display_name": format!("{name} B") }));
        }
        edit(json!({ "op": "user", "directory": "ldap", "name": "far", "email": "far@example.com" }));
        edit(json!({ "op": "group", "directory": "ldap", "name": "synced", "members": ["far"] }));
        edit(json!({ "op": "group", "name": "eng", "members": ["ann"] }));
        edit(json!({ "op": "group", "name": "full", "members": ["ann"] }));
        if instance != "crowd" {
            let key = if instance == "jira" { "jira-software" } else { instance };
            edit(json!({ "op": "application", "key": key, "groups": ["full"], "seats": 1 }));
        }
    }
}

pub(crate) fn account(name: &str) -> String {
    format!("key/{name}")
}

async fn edge(
    world: &World,
    runner: &Runner<Memory>,
    (group, name, op): (&str, &str, EdgeOp),
) -> (StepResult, Finished) {
    let job = world.edges(&GroupId::new(group).unwrap(), &[(&account(name), op)]);
    let finished = run(runner, &job).await;
    (finished.outcome.edges[0].result, finished)
}

fn members(world: &World, instance: &str, group: &str) -> Vec<String> {
    let all = world.twin.twin.world().dc.memberships(instance);
    all.get(group).into_iter().flatten().cloned().collect()
}

#[tokio::test]
async fn a_group_is_made_once_and_deleted_once() {
    for (product, instance) in PRODUCTS {
        let world = world().await;
        let runner = world.dc(product, instance, None);
        let created = run(&runner, &world.create("ops")).await.outcome;
        assert_eq!((created.result, created.group), (StepResult::Done, GroupId::new("ops").ok()), "{instance}");
        // In other letter case it is the same group.
        let (result, _) = edge(&world, &runner, ("ENG", "ann", EdgeOp::Add)).await;
        assert!(result.holds(), "{instance}: {result:?}");
        assert_eq!(members(&world, instance, "eng"), ["ann@example.com"], "{instance}");
        let group = GroupId::new("ops").unwrap();
        let delete = world.job(Lane::Normal, CommandBody::DeleteGroup { group, generation: 1 });
        assert_eq!(run(&runner, &delete).await.outcome.result, StepResult::Done, "{instance}");
        assert_eq!(run(&runner, &delete).await.outcome.result, StepResult::AlreadySo, "{instance}");
    }
}

#[tokio::test]
async fn i07_what_may_have_happened_is_repeated_or_found() {
    for (product, instance) in PRODUCTS {
        let world = world().await;
        let runner = world.dc(product, instance, None);
        world.fault("atlassian.dc.*", "group.user.add", 1, FaultKind::Reset { after: true });
        assert!(edge(&world, &runner, ("eng", "bob", EdgeOp::Add)).await.0.holds(), "{instance}");
        world.fault("atlassian.dc.*", "group.create", 1, FaultKind::Fail { status: 502, after: true, plain: true });
        let made = run(&runner, &world.create("ops")).await.outcome;
        assert!(made.result.holds() && made.group == GroupId::new("ops").ok(), "{product:?} at {instance}: {made:?}");
        assert_eq!(world.effects("group.user.add") + world.effects("group.create"), 2, "{instance}");
    }
}

#[tokio::test]
async fn one_write_per_membership_and_many_additions_in_one_where_that_can_be() {
    for (product, instance) in PRODUCTS {
        let world = world().await;
        let names: Vec<String> = (0..250).map(|n| format!("p{n:03}")).collect();
        for name in &names {
            world.edit_dc(
                json!({ "op": "user", "instance": instance, "name": name, "email": format!("{name}@example.com") }),
            );
        }
        let runner = world.dc(product, instance, None);
        let accounts: Vec<String> = names.iter().map(|name| account(name)).collect();
        let changes = |op: EdgeOp| accounts.iter().map(|id| (id.as_str(), op)).collect::<Vec<_>>();
        let eng = GroupId::new("eng").unwrap();
        let calls = || {
            let (operations, _) = world.twin.twin.engine.counters.all();
            let dc = operations.iter().filter(|(family, _)| family.starts_with("atlassian.dc"));
            dc.flat_map(|(_, it)| it.values()).map(|it| it.calls).sum::<u64>()
        };
        let done = run(&runner, &world.edges(&eng, &changes(EdgeOp::Add))).await.outcome;
        assert!(done.edges.iter().all(|edge| edge.result == StepResult::Done), "{instance}");
        assert_eq!(calls(), if product == DcProduct::Bitbucket { 3 } else { 250 }, "{product:?} at {instance}");
        run(&runner, &world.edges(&eng, &changes(EdgeOp::Remove))).await;
        let least = if product == DcProduct::Bitbucket { 253 } else { 500 };
        // Whether there are groups in the group is asked once, by those calls that began before the answer came.
        let most = if product == DcProduct::Confluence { least + 8 } else { least };
        assert!((least..=most).contains(&calls()), "{product:?} at {instance}: {}", calls());
        assert_eq!(members(&world, instance, "eng"), ["ann@example.com"], "{instance}");
    }
}

#[tokio::test]
async fn of_a_batch_that_is_refused_only_those_at_fault_are_rejected() {
    let world = world().await;
    for adds_the_known in [false, true] {
        let switches = twin::world::dc::DcSwitches { bitbucket_adds_the_known: adds_the_known, ..Default::default() };
        world.edit_dc(json!({ "op": "switches", "instance": "bitbucket", "switches": switches }));
        let runner = world.dc(DcProduct::Bitbucket, "bitbucket", None);
        let names = ["bob", "nobody", "cat", "ann"].map(account);
        let edges = names.each_ref().map(|id| (id.as_str(), EdgeOp::Add));
        let outcome = run(&runner, &world.edges(&GroupId::new("eng").unwrap(), &edges)).await.outcome;
        let results: Vec<StepResult> = outcome.edges.iter().map(|edge| edge.result).collect();
        assert_eq!(results.iter().filter(|result| result.holds()).count(), 3, "{results:?}");
        assert_eq!(results[1], StepResult::Rejected(Rejection::UnknownUser));
        assert_eq!(members(&world, "bitbucket", "eng").len(), 3);
        let remove = names.each_ref().map(|id| (id.as_str(), EdgeOp::Remove));
        run(&runner, &world.edges(&GroupId::new("eng").unwrap(), &remove)).await;
    }
}

/// Listed as a member, and removed as often as one likes: it is said once what it comes from.
#[tokio::test]
async fn who_is_in_a_group_through_another_is_held_and_not_removed_for_ever() {
    for (product, instance) in [(DcProduct::Jira, "jira"), (DcProduct::Confluence, "confluence")] {
        let world = world().await;
        let nests = json!({ "op": "directory", "instance": instance, "directory": "Internal", "nested": true });
        world.edit_dc(nests);
        world.edit_dc(json!({ "op": "group", "instance": instance, "name": "web", "members": ["bob"] }));
        world.edit_dc(
            json!({ "op": "group", "instance": instance, "name": "eng", "members": ["bob"], "children": ["web"] }),
        );
        let runner = world.dc(product, instance, None);
        let held = StepResult::Rejected(Rejection::Conflict);
        // At Jira the direct membership goes, and what is left is said when it is asked for again.
        let first = edge(&world, &runner, ("eng", "bob", EdgeOp::Remove)).await.0;
        assert_eq!(first, if product == DcProduct::Jira { StepResult::Done } else { held }, "{instance}");
        let (again, finished) = edge(&world, &runner, ("eng", "bob", EdgeOp::Remove)).await;
        assert_eq!(again, held, "{instance}");
        let told = finished.answers[0].as_ref().unwrap().text.clone();
        assert!(told.starts_with("nested-at-target: "), "{told}");
        // Who is in it directly is removed as ever, and the stranger stays one.
        assert_eq!(edge(&world, &runner, ("eng", "ann", EdgeOp::Remove)).await.0, StepResult::Done, "{instance}");
        assert!(edge(&world, &runner, ("eng", "cat", EdgeOp::Remove)).await.0.holds(), "{instance}");
    }
}

pub(crate) fn attributes(name: &str) -> BTreeMap<String, String> {
    let email = format!("{name}@example.com");
    [
        ("userName", name),
        ("emails[primary].value", &email),
        ("displayName", "Dan D"),
        ("name.givenName", "Dan"),
        ("name.familyName", "D"),
    ]
    .map(|(path, value)| (path.to_owned(), value.to_owned()))
    .into()
}

pub(crate) async fn change(
    world: &World,
    runner: &Runner<Memory>,
    account: Option<&AccountId>,
    change: AccountChange,
) -> Finished {
    run(runner, &of(world, account, change)).await
}

pub(crate) fn of(world: &World, account: Option<&AccountId>, change: AccountChange) -> Job {
    let person = AccountId::new("u000").unwrap();
    let body = CommandBody::Account { account: account.cloned(), person, change, generation: 1 };
    world.job(Lane::Normal, body)
}

pub(crate) fn user(world: &World, instance: &str, name: &str) -> (String, String, bool) {
    let world = world.twin.twin.world();
    let (_, person) = world.dc.instance(instance).unwrap().user(name).unwrap();
    (format!("{}/{}", person.key, person.name), person.email.clone(), person.active)
}

/// Whoever is signed in stays signed in when the account is taken away: at Jira and Crowd that is ended too.
#[tokio::test]
async fn i05_who_is_deactivated_is_signed_out_also_where_the_first_try_was_cut_off() {
    let cut = |operation: &str, after: bool| Some((operation.to_owned(), FaultKind::Reset { after }));
    for (product, instance) in [(DcProduct::Jira, "jira"), (DcProduct::Crowd, "crowd"), (DcProduct::Crowd, "jira")] {
        for fault in [
            None,
            cut("*session.delete", false),
            cut("*session.delete", true),
            cut("user.update", true),
            Some(("*session.delete".to_owned(), FaultKind::Fail { status: 500, after: false, plain: true })),
        ] {
            let world = world().await;
            world.edit_dc(json!({ "op": "user", "instance": instance, "name": "bob", "sessions": 2 }));
            let runner = world.dc(product, instance, None);
            let bob = AccountId::new(user(&world, instance, "bob").0).unwrap();
            let what = format!("{product:?} at {instance}, {fault:?}");
            if let Some((operation, kind)) = fault {
                world.fault("atlassian.dc.*", &operation, 1, kind);
            }
            let off = change(&world, &runner, Some(&bob), AccountChange::Deactivate).await.outcome.result;
            assert!(off.holds(), "{what}: {off:?}");
            let sessions = {
                let world = world.twin.twin.world();
                world.dc.instance(instance).unwrap().user("bob").unwrap().1.sessions
            };
            assert_eq!((user(&world, instance, "bob").2, sessions), (false, 0), "{what}");
            world.every_effect_was_admitted();
        }
        // A server without that call has no such sessions: the account is taken away all the same.
        let world = world().await;
        let runner = world.dc(product, instance, None);
        let cat = AccountId::new(user(&world, instance, "cat").0).unwrap();
        world.fault("atlassian.dc.*", "*session.delete", 9, FaultKind::Fail { status: 404, after: false, plain: true });
        let off = change(&world, &runner, Some(&cat), AccountChange::Deactivate).await.outcome.result;
        assert_eq!((off, user(&world, instance, "cat").2), (StepResult::Done, false), "{product:?} at {instance}");
    }
}

/// Crowd keeps attributes of any name; of the other products nobody would see them again.
#[tokio::test]
async fn crowd_keeps_further_attributes_beside_an_accounts_own() {
    let world = world().await;
    let runner = world.dc(DcProduct::Crowd, "crowd", None);
    let department = || {
        let world = world.twin.twin.world();
        let (_, person) = world.dc.instance("crowd").unwrap().user("dan").unwrap();
        (person.attributes.get("department").cloned(), person.display_name.clone(), person.active)
    };
    let with = |value: &str| ("department".to_owned(), value.to_owned());
    let mut new = attributes("dan");
    new.extend([with("Web")]);
    let made = change(&world, &runner, None, AccountChange::Create { attributes: new }).await.outcome;
    assert_eq!((made.result, department().0), (StepResult::Done, Some(vec!["Web".to_owned()])));
    let id = made.account.unwrap();
    let only = AccountChange::Update { attributes: [with("Ops")].into() };
    let set = change(&world, &runner, Some(&id), only).await.outcome;
    assert_eq!((set.result, set.account.as_ref()), (StepResult::Done, Some(&id)));
    let both = [with("Sales"), ("displayName".to_owned(), "Daniel D".to_owned())];
    let set = change(&world, &runner, Some(&id), AccountChange::Update { attributes: both.into() }).await.outcome;
    assert!(set.result.holds());
    assert_eq!(department(), (Some(vec!["Sales".to_owned()]), "Daniel D".to_owned(), true));
    // One that the source has no more is taken away: an empty value would be one.
    let none = AccountChange::Update { attributes: [with("")].into() };
    for _ in 0..2 {
        let cleared = change(&world, &runner, Some(&id), none.clone()).await.outcome;
        assert_eq!((cleared.result, cleared.account.as_ref()), (StepResult::Done, Some(&id)));
        assert_eq!(department().0, None);
    }
    world.every_effect_was_admitted();
}

/// Bitbucket deactivates nobody: who leaves loses each group with a global permission, and the permission of their own.
#[tokio::test]
async fn p2_11_who_leaves_bitbucket_is_let_in_by_nothing_any_more() {
    let ways_in = async || {
        let world = world().await;
        let role =
            json!({ "op": "application", "instance": "bitbucket", "key": "bitbucket", "groups": ["full", "staff"] });
        world.edit_dc(role);
        world.edit_dc(json!({ "op": "group", "instance": "bitbucket", "name": "staff", "members": ["ann", "bob"] }));
        world.edit_dc(
            json!({ "op": "granted", "instance": "bitbucket", "name": "ann", "permission": "PROJECT_CREATE" }),
        );
        world
    };
    let let_in = |world: &World| world.twin.twin.world().dc.instance("bitbucket").unwrap().permitted("LICENSED_USER");
    let world = ways_in().await;
    let runner = world.dc(DcProduct::Bitbucket, "bitbucket", None);
    let ann = AccountId::new(user(&world, "bitbucket", "ann").0).unwrap();
    let off = change(&world, &runner, Some(&ann), AccountChange::Deactivate).await.outcome.result;
    assert_eq!(off, StepResult::Done);
    assert!(!let_in(&world).contains("ann") && let_in(&world).contains("bob"));
    let eng = members(&world, "bitbucket", "eng");
    assert_eq!(eng, ["ann@example.com"], "a group that gives nothing is no matter of access");
    assert_eq!(world.effects("group.user.remove") + world.effects("permission.revoke"), 3);
    let again = change(&world, &runner, Some(&ann), AccountChange::Deactivate).await.outcome.result;
    assert_eq!(again, StepResult::AlreadySo);
    world.every_effect_was_admitted();
    // Cut off anywhere, the next finishes it.
    for (operation, skip) in [("group.user.remove", 0), ("group.user.remove", 1), ("permission.revoke", 0)] {
        let world = ways_in().await;
        let runner = world.dc(DcProduct::Bitbucket, "bitbucket", None);
        let cut = twin::engine::fault::Fault {
            times: Some(5),
            skip,
            ..twin::engine::fault::Fault::new("atlassian.dc.bitbucket", operation, FaultKind::Reset { after: true })
        };
        world.twin.twin.engine.faults.inject(cut);
        let first = change(&world, &runner, Some(&ann), AccountChange::Deactivate).await.outcome.result;
        world.twin.twin.engine.faults.clear();
        if !first.holds() {
            let again = change(&world, &runner, Some(&ann), AccountChange::Deactivate).await.outcome.result;
            assert!(again.holds(), "after {operation}: {again:?}");
        }
        assert!(!let_in(&world).contains("ann"), "after {operation}");
        assert_eq!(world.effects("group.user.remove") + world.effects("permission.revoke"), 3, "after {operation}");
    }
    // The instance's filter finds parts of names and shown names, a page at a time: whoever is meant may stand behind others.
    let world = ways_in().await;
    for number in 0..4 {
        let name = format!("aa{number}");
        let shown = format!("Joann {number}");
        world.edit_dc(
            json!({ "op": "user", "instance": "bitbucket", "name": name, "display_name": shown, "email": "" }),
        );
        world.edit_dc(json!({ "op": "granted", "instance": "bitbucket", "name": name, "permission": "LICENSED_USER" }));
    }
    let switches = twin::world::dc::DcSwitches { bitbucket_page: 2, ..Default::default() };
    world.edit_dc(json!({ "op": "switches", "instance": "bitbucket", "switches": switches }));
    let runner = world.dc(DcProduct::Bitbucket, "bitbucket", None);
    let off = change(&world, &runner, Some(&ann), AccountChange::Deactivate).await.outcome.result;
    assert_eq!(off, StepResult::Done);
    assert!(!let_in(&world).contains("ann") && let_in(&world).contains("aa3"));
    // Who administers is not taken out by a machine, and is said to be still in.
    let bot = AccountId::new(user(&world, "bitbucket", "rollcall").0).unwrap();
    let finished = change(&world, &runner, Some(&bot), AccountChange::Deactivate).await;
    assert_eq!(finished.outcome.result, StepResult::Rejected(Rejection::Conflict));
    assert!(finished.answers[0].as_ref().unwrap().text.starts_with("still let in: "));
}

pub(crate) fn atlassian_name(id: &AccountId) -> String {
    id.as_str().split_once('/').unwrap().1.to_owned()
}

#[tokio::test]
async fn i06_an_account_whose_making_was_cut_off_is_found() {
    for (product, instance) in PRODUCTS {
        let world = world().await;
        let runner = world.dc(product, instance, None);
        world.fault("atlassian.dc.*", "user.create", 1, FaultKind::Fail { status: 502, after: true, plain: true });
        let made = change(&world, &runner, None, AccountChange::Create { attributes: attributes("dan") }).await.outcome;
        assert_eq!(
            made.account.as_ref().map(AccountId::as_str),
            Some(user(&world, instance, "dan").0.as_str()),
            "{made:?}"
        );
        assert_eq!((made.result, world.effects("user.create")), (StepResult::AlreadySo, 1), "{instance}");
        world.every_effect_was_admitted();
    }
}

/// `bob` leads two projects and a component.
pub(crate) fn led(world: &World) {
    for key in ["OPS", "WEB"] {
        world.edit_dc(json!({ "op": "project", "instance": "jira", "key": key, "lead": "bob", "components": { "net": "bob", "db": null } }));
    }
}

fn leads(world: &World) -> Vec<(String, Vec<Option<String>>)> {
    let world = world.twin.twin.world();
    let projects = world.dc.instance("jira").unwrap().projects.values();
    projects.map(|it| (it.lead.clone(), it.components.iter().map(|it| it.lead.clone()).collect())).collect()
}

#[tokio::test]
async fn who_leads_projects_hands_over_before_being_deactivated() {
    let world = world().await;
    led(&world);
    let runner = world.dc(DcProduct::Jira, "jira", None);
    let bob = AccountId::new(user(&world, "jira", "bob").0).unwrap();
    let refused = change(&world, &runner, Some(&bob), AccountChange::Deactivate).await.outcome.result;
    assert_eq!(refused, StepResult::Rejected(Rejection::Conflict), "Jira deactivates nobody who leads");
    let nobody = AccountChange::HandOver { project: Some("nobody".to_owned()), component: None };
    let refused = change(&world, &runner, Some(&bob), nobody).await.outcome.result;
    assert_eq!((refused, user(&world, "jira", "bob").2), (StepResult::Rejected(Rejection::Conflict), true));
    let hand_over = AccountChange::HandOver { project: Some("ann".to_owned()), component: Some("cat".to_owned()) };
    let done = change(&world, &runner, Some(&bob), hand_over).await.outcome.result;
    assert_eq!((done, user(&world, "jira", "bob").2), (StepResult::Done, false));
    let one = ("ann".to_owned(), vec![None, Some("cat".to_owned())]);
    assert_eq!(leads(&world), [one.clone(), one]);
    // Each change was admitted by itself, so that whoever lost the lease in the middle changes nothing more.
    let attempts: std::collections::BTreeSet<_> = {
        let twin = world.twin.twin.world();
        let ours = twin
            .log
            .after(0)
            .filter(|it| ["project.update", "component.update", "user.update"].contains(&&*it.operation));
        ours.map(|it| outbound::attempt_of(&it.request_id)).collect()
    };
    assert_eq!(attempts.len(), 5, "two projects, two components and the account");
    world.every_effect_was_admitted();
}
