//! User provisioning: accounts, groups, members in batches.

use std::collections::BTreeMap;

use effect::Finished;
use model::{AccountChange, AccountId, CommandBody, EdgeOp, Lane, Rejection, StepResult};
use twin::engine::fault::FaultKind;
use twin::world::atlassian::SCIM_DIRECTORY;

use crate::world::{World, email, run};

const SCIM: &str = "atlassian.scim";

fn attributes(n: usize) -> BTreeMap<String, String> {
    [
        ("userName", email(n)),
        ("emails[primary].value", email(n)),
        ("displayName", format!("P {n}")),
        ("name.familyName", "Q".to_owned()),
    ]
    .map(|(path, value)| (path.to_owned(), value))
    .into()
}

async fn change(world: &World, person: &str, account: Option<&AccountId>, change: AccountChange) -> Finished {
    let body = CommandBody::Account {
        account: account.cloned(),
        person: AccountId::new(person).unwrap(),
        change,
        generation: 1,
    };
    run(&world.scim(), &world.job(Lane::Normal, body)).await
}

async fn create(world: &World, n: usize) -> AccountId {
    let made = change(world, &format!("u{n:03}"), None, AccountChange::Create { attributes: attributes(n) }).await;
    assert!(made.outcome.result.holds(), "{made:?}");
    assert_eq!(made.outcome.behind.unwrap().as_str(), world.account(n), "the bridge to the Atlassian account");
    made.outcome.account.unwrap()
}

/// External id, display name and whether active, of a record.
fn record(world: &World, id: &AccountId) -> (String, String, bool) {
    let twin = world.twin.twin.world();
    let directory = twin.atlassian.scim_directory(SCIM_DIRECTORY).unwrap();
    let (_, user) = directory.user(id.as_str()).unwrap();
    let name = user.attributes.get("displayName").and_then(|name| name.as_str()).unwrap_or_default();
    (user.external_id().to_owned(), name.to_owned(), user.active())
}

#[tokio::test]
async fn an_account_is_made_changed_deactivated_and_restored() {
    let world = World::start().await;
    let id = create(&world, 0).await;
    assert_eq!(record(&world, &id), ("u000".to_owned(), "P 0".to_owned(), true));
    let renamed = AccountChange::Update { attributes: BTreeMap::from([("displayName".to_owned(), "Ana".to_owned())]) };
    assert_eq!(change(&world, "u000", Some(&id), renamed).await.outcome.result, StepResult::Done);
    assert_eq!(change(&world, "u000", Some(&id), AccountChange::Deactivate).await.outcome.result, StepResult::Done);
    assert_eq!(record(&world, &id), ("u000".to_owned(), "Ana".to_owned(), false));
    assert_eq!(change(&world, "u000", Some(&id), AccountChange::Restore).await.outcome.result, StepResult::Done);
    assert!(record(&world, &id).2);
    let nobody = AccountId::new("no-such-record").unwrap();
    let lost = change(&world, "u001", Some(&nobody), AccountChange::Deactivate).await;
    assert_eq!(lost.outcome.result, StepResult::Rejected(Rejection::UnknownUser));
}

#[tokio::test]
async fn an_attribute_without_a_value_is_taken_away() {
    const DEPARTMENT: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
    let world = World::start().await;
    let id = create(&world, 0).await;
    let set =
        |path: &str, value: &str| AccountChange::Update { attributes: [(path.to_owned(), value.to_owned())].into() };
    for path in ["title", DEPARTMENT] {
        for value in ["Lead", "Ops", ""] {
            let done = change(&world, "u000", Some(&id), set(path, value)).await.outcome.result;
            assert_eq!(done, StepResult::Done, "{path} {value}");
            let twin = world.twin.twin.world();
            let (_, user) = twin.atlassian.scim_directory(SCIM_DIRECTORY).unwrap().user(id.as_str()).unwrap();
            let text = serde_json::to_string(&user.attributes).unwrap();
            let told: Vec<&str> = ["Lead", "Ops"].into_iter().filter(|it| text.contains(it)).collect();
            let expected: Vec<&str> = [value].into_iter().filter(|it| !it.is_empty()).collect();
            assert_eq!(told, expected, "{path} {value}: {text}");
        }
    }
}

#[tokio::test]
async fn i06_an_account_whose_creation_was_cut_off_is_found_by_its_external_id() {
    let world = World::start().await;
    world.lag(SCIM, 700);
    for (n, fault) in [FaultKind::Reset { after: true }, FaultKind::Fail { status: 500, after: true, plain: false }]
        .into_iter()
        .enumerate()
    {
        world.fault(SCIM, "Users.create", 1, fault);
        create(&world, n).await;
    }
    assert_eq!(world.effects("Users.create"), 2, "each record once");
    world.every_effect_was_admitted();
}

#[tokio::test]
async fn an_address_that_is_taken_by_somebody_else_is_a_conflict() {
    let world = World::start().await;
    create(&world, 0).await;
    let other = change(&world, "u001", None, AccountChange::Create { attributes: attributes(0) }).await;
    assert_eq!(other.outcome.result, StepResult::Rejected(Rejection::Conflict));
}

#[tokio::test]
async fn i06_a_deactivation_whose_answer_was_lost_is_read_and_not_guessed() {
    let world = World::start().await;
    let id = create(&world, 0).await;
    world.fault(SCIM, "Users.patch", 1, FaultKind::Reset { after: true });
    let done = change(&world, "u000", Some(&id), AccountChange::Deactivate).await;
    assert!(done.outcome.result.holds(), "{done:?}");
    assert!(!record(&world, &id).2);
}

#[tokio::test]
async fn members_go_in_batches_and_one_bad_id_costs_only_itself() {
    let world = World::start().await;
    let scim = world.scim();
    let group = world.group(&scim, "synced").await;
    let mut ids = Vec::new();
    for n in 0..130 {
        ids.push(create(&world, n).await);
    }
    let mut changes: Vec<(&str, EdgeOp)> = ids.iter().map(|id| (id.as_str(), EdgeOp::Add)).collect();
    let before = world.ledger.admitted.lock().unwrap().len();
    let done = run(&scim, &world.edges(&group, &changes)).await.outcome;
    assert!(done.edges.iter().all(|edge| edge.result == StepResult::Done));
    assert_eq!(world.ledger.admitted.lock().unwrap().len() - before, 2, "130 members are two calls");
    assert_eq!(world.members("synced").len(), 130);

    // Two of them do not exist: everybody else still goes.
    let again: Vec<_> = ids.iter().take(60).map(|id| (id.as_str(), EdgeOp::Remove)).collect();
    run(&scim, &world.edges(&group, &again)).await;
    assert_eq!(world.members("synced").len(), 70);
    changes.truncate(60);
    changes[17].0 = "no-such-record";
    changes[44].0 = "another-one";
    let mixed = run(&scim, &world.edges(&group, &changes)).await;
    let rejected: Vec<_> = mixed
        .outcome
        .edges
        .iter()
        .filter(|edge| edge.result == StepResult::Rejected(Rejection::UnknownUser))
        .map(|edge| edge.account.as_str())
        .collect();
    assert_eq!(rejected, ["no-such-record", "another-one"], "{:?}", mixed.outcome);
    assert_eq!(mixed.outcome.edges.iter().filter(|edge| edge.result.holds()).count(), 58);
    assert_eq!(world.members("synced").len(), 128);
    world.every_effect_was_admitted();
}

#[tokio::test]
async fn what_is_so_already_is_so_whatever_the_vendor_answers() {
    let world = World::start().await;
    let scim = world.scim();
    let group = world.group(&scim, "synced").await;
    let (first, second) = (create(&world, 0).await, create(&world, 1).await);
    run(&scim, &world.edges(&group, &[(first.as_str(), EdgeOp::Add)])).await;
    for status in [200, 400, 409] {
        {
            let mut twin = world.twin.twin.world();
            twin.atlassian.switches.scim_add_existing_status = status;
            twin.atlassian.switches.scim_remove_non_member_status = status;
        }
        let job = world.edges(&group, &[(first.as_str(), EdgeOp::Add), (second.as_str(), EdgeOp::Remove)]);
        let outcome = run(&scim, &job).await.outcome;
        assert!(outcome.edges.iter().all(|edge| edge.result.holds()), "{status}: {outcome:?}");
    }
    assert_eq!(world.members("synced"), [email(0)]);
}
