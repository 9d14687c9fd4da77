//! Lists of customers: many in one call, and accounts that are made.

use effect::{ListKind, Runner};
use model::{AccountChange, AccountId, CommandBody, EdgeOp, GroupId, Lane, Rejection, StepResult};
use serde_json::Value;
use twin::engine::fault::FaultKind;

use crate::world::{Memory, World, email, run};

const FAMILY: &str = "atlassian.servicedesk";

/// Both kinds of list with the id of one that is there.
fn lists(world: &World) -> [(ListKind, Runner<Memory>, GroupId); 2] {
    let dump = world.dump();
    let id = |place: &str| GroupId::new(dump.pointer(place).and_then(Value::as_str).unwrap()).unwrap();
    [
        (ListKind::Desk, world.customers(ListKind::Desk), id("/desks/HELP/id")),
        (ListKind::Organization, world.customers(ListKind::Organization), id("/customer_organizations/Partners/id")),
    ]
}

fn people(world: &World, kind: ListKind) -> Vec<String> {
    let place = match kind {
        ListKind::Desk => "/desks/HELP/customers",
        ListKind::Organization => "/customer_organizations/Partners/members",
    };
    let dump = world.dump();
    let list = dump.pointer(place).and_then(Value::as_array).cloned().unwrap();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn create(world: &World, address: &str) -> effect::Job {
    let attributes = [("emails[primary].value", address), ("displayName", "Somebody")];
    let attributes = attributes.map(|(path, value)| (path.to_owned(), value.to_owned())).into();
    let body = CommandBody::Account {
        account: None,
        person: AccountId::new("google-1").unwrap(),
        change: AccountChange::Create { attributes },
        generation: 1,
    };
    world.job(Lane::Normal, body)
}

#[tokio::test]
async fn hundreds_go_in_calls_of_fifty_and_one_unknown_among_them_stops_nobody_else() {
    let world = World::start().await;
    let accounts: Vec<String> = (0..20).map(|n| world.account(n)).collect();
    for (kind, runner, list) in lists(&world) {
        let mut changes: Vec<(&str, EdgeOp)> = accounts.iter().map(|it| (it.as_str(), EdgeOp::Add)).collect();
        changes.insert(7, ("712020:nobody", EdgeOp::Add));
        let outcome = run(&runner, &world.edges(&list, &changes)).await.outcome;
        let refused: Vec<StepResult> =
            outcome.edges.iter().map(|edge| edge.result).filter(|result| !result.holds()).collect();
        assert_eq!(refused, [StepResult::Rejected(Rejection::UnknownUser)], "{kind:?}");
        assert_eq!(people(&world, kind).len(), 20, "{kind:?}");
        let before = world.ledger.admitted.lock().unwrap().len();
        let half: Vec<(&str, EdgeOp)> = accounts.iter().map(|it| (it.as_str(), EdgeOp::Remove)).collect();
        let outcome = run(&runner, &world.edges(&list, &half)).await.outcome;
        assert!(outcome.edges.iter().all(|edge| edge.result == StepResult::Done));
        assert_eq!(world.ledger.admitted.lock().unwrap().len(), before + 1, "{kind:?}: one call for all of them");
        assert!(people(&world, kind).is_empty());
    }
}

#[tokio::test]
async fn an_organization_of_customers_is_made_once_and_one_that_exists_is_not_ours() {
    let world = World::start().await;
    let runner = world.customers(ListKind::Organization);
    let made = run(&runner, &world.create("Resellers")).await.outcome;
    assert_eq!(made.result, StepResult::Done);
    let group = made.group.unwrap();
    // The API would answer 201 with the existing one.
    let again = run(&runner, &world.create("RESELLERS")).await.outcome;
    assert_eq!((again.result, again.group), (StepResult::Rejected(Rejection::Conflict), None));
    world.fault(FAMILY, "organization.create", 1, FaultKind::Fail { status: 502, after: true, plain: true });
    let cut_off = run(&runner, &world.create("Agents")).await.outcome;
    assert!(cut_off.result.holds() && cut_off.group.is_some(), "{cut_off:?}");
    assert_eq!(world.effects("organization.create"), 2);
    let delete = world.job(Lane::Normal, CommandBody::DeleteGroup { group: group.clone(), generation: 1 });
    assert_eq!(run(&runner, &delete).await.outcome.result, StepResult::Done);
    assert_eq!(run(&runner, &delete).await.outcome.result, StepResult::AlreadySo);
    // A desk is made and deleted by people.
    let desk = world.customers(ListKind::Desk);
    for job in [world.create("NEW"), delete] {
        let outcome = run(&desk, &job).await.outcome;
        assert_eq!(outcome.result, StepResult::Rejected(Rejection::Validation));
    }
}

#[tokio::test]
async fn p3_05_a_portal_only_account_is_made_once_and_one_of_the_address_is_found() {
    let world = World::start().await;
    let runner = world.customers(ListKind::Desk);
    let made = run(&runner, &create(&world, "pia@partner.example.org")).await.outcome;
    assert_eq!(made.result, StepResult::Done);
    let account = made.account.unwrap();
    let rows = [
        ("who is a customer already", "pia@partner.example.org", Some(account)),
        ("who has an account on the site", &*email(3), Some(AccountId::new(world.account(3)).unwrap())),
    ];
    for (what, address, expected) in rows {
        let outcome = run(&runner, &create(&world, address)).await.outcome;
        assert_eq!((outcome.result, outcome.account), (StepResult::AlreadySo, expected), "{what}");
    }
    let broken = run(&runner, &create(&world, "no address")).await.outcome;
    assert_eq!(broken.result, StepResult::Rejected(Rejection::Validation));
    // The answer is lost after the effect: found by the address, and not made twice.
    world.fault(FAMILY, "customer.create", 1, FaultKind::Reset { after: true });
    let lost = run(&runner, &create(&world, "rob@partner.example.org")).await.outcome;
    assert!(lost.result.holds() && lost.account.is_some(), "{lost:?}");
    assert_eq!(world.effects("customer.create"), 2);
    // An account of the address that the site hides from us is found where the site finds it by the whole address; else
    // it is a conflict, and nobody's guess.
    world.twin.twin.world().atlassian.switches.jira_hides_emails = true;
    world.twin.twin.world().atlassian.switches.jira_finds_hidden_emails = true;
    let found = run(&runner, &create(&world, &email(5))).await.outcome;
    assert_eq!((found.result, found.account), (StepResult::AlreadySo, AccountId::new(world.account(5)).ok()));
    world.twin.twin.world().atlassian.switches.jira_finds_hidden_emails = false;
    let hidden = run(&runner, &create(&world, &email(4))).await.outcome;
    assert_eq!(hidden.result, StepResult::Rejected(Rejection::Conflict));
}

#[tokio::test]
async fn throttling_is_waited_out_and_refused_credentials_stop_the_target() {
    let world = World::start().await;
    let good = world.account(0);
    for (kind, runner, list) in lists(&world) {
        let add = world.edges(&list, &[(&good, EdgeOp::Add)]);
        world.fault(FAMILY, "*", 1, FaultKind::Throttle { retry_after: Some("1".to_owned()), shape: None });
        let finished = run(&runner, &add).await;
        assert_eq!((finished.outcome.edges[0].result, finished.halted), (StepResult::Done, false), "{kind:?}");
        world.fault(FAMILY, "*", 1, FaultKind::Unauthorized);
        let finished = run(&runner, &add).await;
        assert_eq!((finished.outcome.edges[0].result, finished.halted), (StepResult::NotTried, true), "{kind:?}");
        world.fault(FAMILY, "*", 1, FaultKind::Forbidden);
        let finished = run(&runner, &add).await;
        assert_eq!(finished.outcome.edges[0].result, StepResult::Rejected(Rejection::Auth), "{kind:?}");
    }
}
