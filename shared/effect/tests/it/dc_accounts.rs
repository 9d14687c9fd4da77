//! Accounts at Data Center: made, changed, taken away, given back.

use std::collections::BTreeMap;

use effect::{DcProduct, Runner};
use model::{AccountChange, AccountId, Outcome, Rejection, StepResult};

use crate::dc::{self, PRODUCTS, atlassian_name, attributes, of, user, world};
use crate::world::{Memory, World, run};

#[tokio::test]
async fn accounts_are_made_changed_taken_away_and_given_back() {
    for (product, instance) in PRODUCTS {
        let world = world().await;
        let runner = world.dc(product, instance, None);
        let at = Place { world: &world, runner, product, instance };
        let id = made_once(&at).await;
        names_and_addresses_that_are_taken(&at).await;
        let id = changed_and_renamed(&at, id).await;
        taken_away_and_given_back(&at, &id).await;
    }
}

/// One product, and what to say of it when something fails there.
struct Place<'world> {
    world: &'world World,
    runner: Runner<Memory>,
    product: DcProduct,
    instance: &'static str,
}

impl Place<'_> {
    async fn change(&self, account: Option<&AccountId>, change: AccountChange) -> Outcome {
        dc::change(self.world, &self.runner, account, change).await.outcome
    }

    fn user(&self, name: &str) -> (String, String, bool) {
        user(self.world, self.instance, name)
    }

    fn what(&self) -> String {
        format!("{:?} at {}", self.product, self.instance)
    }
}

/// `dan` is made; made again, he is found by name and address. Confluence tells no address, so only what an attempt of ours
/// may have made is found there, by the name to show.
async fn made_once(at: &Place<'_>) -> AccountId {
    let what = at.what();
    let create = || AccountChange::Create { attributes: attributes("dan") };
    let made = at.change(None, create()).await;
    let (id, email, _) = at.user("dan");
    let id = AccountId::new(id).unwrap();
    assert_eq!((made.result, made.account.as_ref()), (StepResult::Done, Some(&id)), "{what}");
    assert_eq!(email, "dan@example.com", "{what}");
    let mut again = at.change(None, create()).await;
    if at.product == DcProduct::Confluence {
        assert_eq!(again.result, StepResult::Rejected(Rejection::Conflict), "{what}");
        let mut job = of(at.world, None, create());
        job.begun_before = true;
        again = run(&at.runner, &job).await.outcome;
    }
    assert_eq!((again.result, again.account.as_ref()), (StepResult::AlreadySo, Some(&id)), "{what}");
    id
}

/// For another person the name is taken, though they are called the same.
async fn names_and_addresses_that_are_taken(at: &Place<'_>) {
    for (name, email) in [("dan", "dan.two@example.com"), ("ann", "ann.two@example.com")] {
        let mut namesake = attributes(name);
        namesake.insert("emails[primary].value".to_owned(), email.to_owned());
        let taken = at.change(None, AccountChange::Create { attributes: namesake }).await;
        let refused = (StepResult::Rejected(Rejection::Conflict), None);
        assert_eq!((taken.result, taken.account), refused, "{name} at {}", at.what());
    }
}

/// A rename keeps the key, and the answer names the account as it is known from now on.
async fn changed_and_renamed(at: &Place<'_>, id: AccountId) -> AccountId {
    let what = at.what();
    let mut new = BTreeMap::from([("emails[primary].value".to_owned(), "daniel@example.com".to_owned())]);
    let update = |attributes: &BTreeMap<_, _>| AccountChange::Update { attributes: attributes.clone() };
    assert!(at.change(Some(&id), update(&new)).await.result.holds(), "{what}");
    assert_eq!(at.user("dan").1, "daniel@example.com", "{what}");
    let nobody = AccountId::new("1/nobody").unwrap();
    let lost = at.change(Some(&nobody), update(&new)).await;
    assert_eq!(lost.result, StepResult::Rejected(Rejection::UnknownUser), "{what}");
    new.insert("userName".to_owned(), "daniel".to_owned());
    let renamed = at.change(Some(&id), update(&new)).await;
    if at.product == DcProduct::Confluence {
        assert_eq!(renamed.result, StepResult::Rejected(Rejection::Validation), "{what}");
        return id;
    }
    let known = AccountId::new(at.user("daniel").0).unwrap();
    assert_eq!(renamed.account.as_ref(), Some(&known), "{what}");
    known
}

async fn taken_away_and_given_back(at: &Place<'_>, id: &AccountId) {
    let what = at.what();
    let name = atlassian_name(id);
    let off = at.change(Some(id), AccountChange::Deactivate).await.result;
    if at.product == DcProduct::Bitbucket {
        assert_eq!(off, StepResult::AlreadySo, "nothing lets in who is new: {what}");
        let back = at.change(Some(id), AccountChange::Restore).await.result;
        assert_eq!((back, at.user(&name).2), (StepResult::AlreadySo, true), "{what}");
        return;
    }
    assert_eq!((off, at.user(&name).2), (StepResult::Done, false), "{what}");
    assert!(at.change(Some(id), AccountChange::Deactivate).await.result.holds(), "{what}");
    assert!(at.change(Some(id), AccountChange::Restore).await.result.holds(), "{what}");
    assert!(at.user(&name).2, "{what}");
}
