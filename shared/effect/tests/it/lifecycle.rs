//! People of an organization: invited, kept out, let in again.

use model::{AccountChange, AccountId, CommandBody, Lane, Rejection, StepResult};
use serde_json::json;
use twin::engine::fault::FaultKind;

use crate::world::{World, email, run};

const OUTSIDER: &str = "eve@elsewhere.example.net";

impl World {
    fn change(&self, account: Option<&str>, change: AccountChange) -> effect::Job {
        let body = CommandBody::Account {
            account: account.map(|id| AccountId::new(id).unwrap()),
            person: AccountId::new("google-1").unwrap(),
            change,
            generation: 1,
        };
        self.job(Lane::Urgent, body)
    }

    /// The account's own state, and how it stands in the organization.
    fn standing(&self, address: &str) -> (String, String) {
        let dump = self.dump();
        let accounts = dump["accounts"].as_array().unwrap();
        let account = accounts.iter().find(|it| it["email"] == address).unwrap();
        let word = |value: &serde_json::Value| value.as_str().unwrap_or("none").to_owned();
        (word(&account["status"]), word(&dump["organizations"]["org-1"]["people"][address]))
    }

    fn id_of(&self, address: &str) -> String {
        let world = self.twin.twin.world();
        let accounts = world.atlassian.accounts();
        accounts.get(accounts.with_email(address)[0]).unwrap().id.clone()
    }
}

fn create(address: &str) -> AccountChange {
    AccountChange::Create { attributes: [("emails[primary].value".to_owned(), address.to_owned())].into() }
}

/// Somebody of a claimed domain is disabled, anybody else suspended; each step repeats to nothing.
#[tokio::test]
async fn p4_03_who_leaves_is_kept_out_and_who_comes_back_is_let_in() {
    let world = World::start().await;
    world.edit(json!({ "op": "account", "email": OUTSIDER }));
    let org = world.org();
    let rows = [(email(0), "inactive", "active"), (OUTSIDER.to_owned(), "active", "suspended")];
    for (address, account, membership) in rows {
        let id = world.id_of(&address);
        let out = world.change(Some(&id), AccountChange::Deactivate);
        assert_eq!(run(&org, &out).await.outcome.result, StepResult::Done, "{address}");
        assert_eq!(world.standing(&address), (account.to_owned(), membership.to_owned()));
        assert_eq!(run(&org, &out).await.outcome.result, StepResult::AlreadySo, "{address}");
        let back = world.change(Some(&id), AccountChange::Restore);
        assert_eq!(run(&org, &back).await.outcome.result, StepResult::Done, "{address}");
        assert_eq!(world.standing(&address), ("active".to_owned(), "active".to_owned()));
        assert_eq!(run(&org, &back).await.outcome.result, StepResult::AlreadySo, "{address}");
    }
}

/// Whoever the policy suspends or removes loses this organization alone, managed or not; each step repeats to nothing.
#[tokio::test]
async fn p4_03_access_to_an_organization_is_suspended_or_ended() {
    let world = World::start().await;
    world.edit(json!({ "op": "account", "email": OUTSIDER }));
    // A removal is queued there; here it is done by the next call.
    world.twin.twin.world().atlassian.switches.user_removal_delay_ms = 0;
    let org = world.org();
    // The organization lists accounts of its own domains for ever.
    for (address, after) in [(email(0), "no_membership"), (OUTSIDER.to_owned(), "none")] {
        let id = world.id_of(&address);
        let (out, back) = (AccountChange::Suspend, AccountChange::Restore);
        let (out, back) = (world.change(Some(&id), out), world.change(Some(&id), back));
        assert_eq!(run(&org, &out).await.outcome.result, StepResult::Done, "{address}");
        assert_eq!(world.standing(&address), ("active".to_owned(), "suspended".to_owned()));
        assert_eq!(run(&org, &out).await.outcome.result, StepResult::AlreadySo, "{address}");
        assert_eq!(run(&org, &back).await.outcome.result, StepResult::Done, "{address}");
        let gone = world.change(Some(&id), AccountChange::Remove);
        assert_eq!(run(&org, &gone).await.outcome.result, StepResult::Done, "{address}");
        assert_eq!(world.standing(&address), ("active".to_owned(), after.to_owned()));
        assert_eq!(run(&org, &gone).await.outcome.result, StepResult::AlreadySo, "{address}");
        let unknown = StepResult::Rejected(Rejection::UnknownUser);
        assert_eq!(run(&org, &back).await.outcome.result, unknown, "{address}: nothing is left to restore");
        // An invitation whose answer is lost is made again: that the account is listed does not make it a member.
        world.org_fault("users.invite", 1, FaultKind::Reset { after: false });
        let invited = run(&org, &world.change(None, create(&address))).await.outcome;
        assert!(invited.result.holds(), "{address}: {invited:?}");
        assert_eq!(invited.account.map(|id| id.to_string()), Some(id), "the same account comes back");
        assert_eq!(world.standing(&address), ("active".to_owned(), "active".to_owned()));
    }
}

#[tokio::test]
async fn somebody_disabled_and_suspended_is_let_in_by_two_calls() {
    let world = World::start().await;
    let org = world.org();
    world.edit(json!({ "op": "account_status", "account": email(1), "status": "inactive" }));
    world.edit(json!({ "op": "standing", "account": email(1), "standing": "suspended" }));
    let back = world.change(Some(&world.id_of(&email(1))), AccountChange::Restore);
    assert!(run(&org, &back).await.outcome.result.holds());
    assert_eq!(world.standing(&email(1)), ("active".to_owned(), "active".to_owned()));
}

#[tokio::test]
async fn an_invitation_gives_the_account_and_repeats_to_the_same_one() {
    let world = World::start().await;
    let org = world.org();
    let first = run(&org, &world.change(None, create("new@example.com"))).await.outcome;
    assert_eq!(first.result, StepResult::Done);
    let again = run(&org, &world.change(None, create("new@example.com"))).await.outcome;
    assert!(again.result.holds());
    assert_eq!(again.account, first.account);
    world.org_fault("users.invite", 1, FaultKind::Reset { after: true });
    let lost = run(&org, &world.change(None, create("lost@example.com"))).await.outcome;
    assert!(lost.result.holds() && lost.account.is_some(), "{lost:?}");
}

#[tokio::test]
async fn a_renamed_person_keeps_the_account() {
    let world = World::start().await;
    let org = world.org();
    let id = world.account(2);
    let attributes = [
        ("displayName", "Ana Married"),
        ("emails[primary].value", "ana.married@example.com"),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "R&D"),
    ];
    let attributes = attributes.map(|(path, value)| (path.to_owned(), value.to_owned())).into();
    let update = world.change(Some(&id), AccountChange::Update { attributes });
    for _ in 0..2 {
        assert_eq!(run(&org, &update).await.outcome.result, StepResult::Done, "setting it again is setting it");
    }
    assert_eq!(world.id_of("ana.married@example.com"), id);
    let accounts = world.dump()["accounts"].clone();
    let named = accounts.as_array().unwrap().iter().find(|it| it["id"] == id.as_str()).unwrap().clone();
    assert_eq!(named["name"], "Ana Married");
}

#[tokio::test]
async fn an_attribute_without_a_value_is_cleared_and_the_others_stay() {
    let world = World::start().await;
    let org = world.org();
    let id = world.account(2);
    let set = |department: &str, title: &str| {
        let attributes = [("department", department), ("title", title)];
        let attributes = attributes.map(|(path, value)| (path.to_owned(), value.to_owned())).into();
        AccountChange::Update { attributes }
    };
    let known = || {
        let twin = world.twin.twin.world();
        let accounts = twin.atlassian.accounts();
        let found = accounts.find(&id).and_then(|at| accounts.get(at)).unwrap();
        (found.department.clone(), found.title.clone())
    };
    assert!(run(&org, &world.change(Some(&id), set("R&D", "Lead"))).await.outcome.result.holds());
    assert_eq!(known(), (Some("R&D".to_owned()), Some("Lead".to_owned())));
    assert!(run(&org, &world.change(Some(&id), set("", "Lead"))).await.outcome.result.holds());
    assert_eq!(known(), (None, Some("Lead".to_owned())));
}

/// The matrix of what does not go well.
#[tokio::test]
async fn every_refusal_has_its_class() {
    use AccountChange::{Deactivate, Restore};
    let world = World::start().await;
    let org = world.org();
    let (good, nobody) = (world.account(0), "712020:nobody");
    let rejected = StepResult::Rejected;
    let result = async |account: Option<&str>, change: AccountChange| {
        run(&org, &world.change(account, change)).await.outcome.result
    };
    assert_eq!(result(Some(nobody), Deactivate).await, StepResult::AlreadySo, "who is not there is not in");
    assert_eq!(result(Some(nobody), Restore).await, rejected(Rejection::UnknownUser));
    assert_eq!(result(None, create("no address")).await, rejected(Rejection::Validation));
    world.edit(json!({ "op": "account", "email": OUTSIDER }));
    let update = || AccountChange::Update { attributes: [("displayName".to_owned(), "X".to_owned())].into() };
    // The document keeps a plain `forbidden` for whoever lacks the right; of an account that is not managed here, which
    // the planner leaves alone, it says no more.
    assert_eq!(result(Some(&world.id_of(OUTSIDER)), update()).await, rejected(Rejection::Auth));
    let moved = |address: &str| AccountChange::Update {
        attributes: [("emails[primary].value".to_owned(), address.to_owned())].into(),
    };
    assert_eq!(result(Some(&good), moved("a@unclaimed.example")).await, rejected(Rejection::Ownership));
    assert_eq!(result(Some(nobody), update()).await, rejected(Rejection::UnknownUser));
    // Linked to an identity provider's directory: only that may disable it.
    world.twin.twin.world().atlassian.switches.org_paid = false;
    assert_eq!(result(None, create("x@example.com")).await, rejected(Rejection::Licence));
    let scim = world.scim();
    let attributes = [("userName", email(5)), ("emails[primary].value", email(5))];
    let attributes = attributes.map(|(path, value)| (path.to_owned(), value)).into();
    let linked = run(&scim, &world.change(None, AccountChange::Create { attributes })).await.outcome;
    assert!(linked.result.holds());
    assert_eq!(result(Some(&world.account(5)), Deactivate).await, rejected(Rejection::Ownership));
    assert_eq!(result(Some(&world.account(5)), update()).await, rejected(Rejection::Ownership));
    world.fault("atlassian.users", "*", 2, FaultKind::Throttle { retry_after: Some("1".to_owned()), shape: None });
    assert_eq!(result(Some(&good), Deactivate).await, StepResult::Done);
    world.fault("atlassian.users", "*", 1, FaultKind::Unauthorized);
    let halted = run(&org, &world.change(Some(&good), Restore)).await;
    assert!(halted.halted);
}
