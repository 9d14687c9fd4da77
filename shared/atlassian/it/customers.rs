//! Customers of a service desk and of an organization of customers.

use std::time::Duration;

use atlassian::{CustomerList, CustomersReader, JiraConfig};
use model::{Access, Answer, DirectoryId, Email, Fact, Ownership, UserState};
use outbound::{ReadDirectory, Scope, Silent};
use serde_json::json;
use twin::engine::{Fault, FaultKind};

use super::{Stage, person};

impl Stage {
    fn customers(&self, list: CustomerList) -> CustomersReader {
        let (budget, clock) = Self::budget();
        let config = JiraConfig {
            base_url: self.running.atlassian_url(),
            site: "https://acme.atlassian.net".to_owned(),
            email: self.running.twin.world().options.administrator.clone(),
            api_token: "twin-api-token".into(),
            budget,
            clock,
            timeout: Duration::from_secs(20),
            parallel: 4,
        };
        CustomersReader::connect(config, list).unwrap()
    }

    /// A desk with 120 portal-only customers and one of the staff; an organization of three.
    async fn with_customers() -> Self {
        let stage = Self::new().await;
        let mut customers: Vec<String> = (0..120).map(|n| format!("c{n:03}@partner.example.org")).collect();
        customers.push(person(5));
        let three = ["c000@partner.example.org", "c001@partner.example.org", "only@reseller.example.org"];
        stage
            .edit(json!([{ "op": "load",
                "desks": [{ "site": "acme", "key": "HELP", "name": "Help", "customers": customers }],
                "customer_organizations": [
                    { "site": "acme", "name": "Partners", "members": three },
                    { "site": "acme", "name": "Synced", "scim_managed": true }] }]))
            .await;
        stage
    }
}

fn desk() -> CustomerList {
    CustomerList::Desk("HELP".to_owned())
}

fn organization_of(name: &str) -> CustomerList {
    CustomerList::Organization { name: name.to_owned(), desk: None }
}

fn partners() -> CustomerList {
    organization_of("partners")
}

#[tokio::test]
async fn a_desk_is_one_group_of_its_customers_among_everybody_on_the_site() {
    let stage = Stage::with_customers().await;
    let reader = stage.customers(desk());
    let reading = reader.sweep(&Scope::All, &Silent).await.unwrap();
    assert!(reading.users.complete && reading.groups.complete);
    assert_eq!(reading.groups.seen.len(), 1);
    let group = &reading.groups.seen[0];
    assert_eq!((group.name.as_str(), group.ownership), ("HELP", Ownership::Local));
    let members = &reading.members[0];
    assert!(members.complete);
    assert_eq!(members.seen.len(), 121);
    let of = |email: &str| {
        let email = Email::new(email).unwrap();
        reading.users.seen.iter().find(|user| user.email.as_ref() == Some(&email)).unwrap()
    };
    assert_eq!(of("c119@partner.example.org").state, UserState::Active);
    assert_eq!(of(&person(1)).state, UserState::Deactivated);
    // Desk, ⌈121 / 50⌉ pages of customers, ⌈371 / 1000⌉ of people and the empty one after, and who we are.
    assert_eq!(reader.budget().counts().calls, 1 + 3 + 2 + 1);
}

#[tokio::test]
async fn an_organization_is_found_by_name_and_one_that_is_missing_is_no_error() {
    let stage = Stage::with_customers().await;
    let reading = stage.customers(partners()).sweep(&Scope::All, &Silent).await.unwrap();
    assert_eq!(reading.groups.seen[0].name, "Partners");
    assert_eq!(reading.members[0].seen.len(), 3);
    let synced = organization_of("Synced");
    let reading = stage.customers(synced).sweep(&Scope::All, &Silent).await.unwrap();
    assert_eq!(reading.groups.seen[0].ownership, Ownership::IdentityProvider);
    let missing = organization_of("Nobody");
    let reading = stage.customers(missing).sweep(&Scope::All, &Silent).await.unwrap();
    assert!(reading.groups.complete && reading.groups.seen.is_empty());
}

#[tokio::test]
async fn a_desk_that_is_missing_is_a_wrong_setting() {
    let stage = Stage::with_customers().await;
    let error = stage.customers(CustomerList::Desk("NONE".to_owned())).sweep(&Scope::All, &Silent).await.unwrap_err();
    assert!(error.is_about_us() && error.message.contains("no service desk"), "{error}");
}

/// Where the site does not list portal-only accounts, those of the list are known all the same.
#[tokio::test]
async fn customers_that_the_site_does_not_list_are_known_from_the_list() {
    let stage = Stage::with_customers().await;
    stage.running.twin.world().atlassian.switches.jira_lists_customers = false;
    let reader = stage.customers(partners());
    let reading = reader.sweep(&Scope::All, &Silent).await.unwrap();
    let emails: Vec<&str> = reading.users.seen.iter().filter_map(|user| Some(user.email.as_ref()?.key())).collect();
    assert!(emails.contains(&"only@reseller.example.org") && !emails.contains(&"c119@partner.example.org"));
    let only = reader.find_person(&Email::new("only@reseller.example.org").unwrap()).await.unwrap();
    assert!(only.is_some());
    let desk = stage.customers(desk());
    let found = desk.find_person(&Email::new("c119@partner.example.org").unwrap()).await.unwrap().unwrap();
    let list = desk.groups_of(&found.id).await.unwrap();
    assert_eq!(list.len(), 1);
    let fact = |user: &model::AccountId| Fact::Member {
        directory: DirectoryId::new("helpdesk").unwrap(),
        group: list[0].clone(),
        user: user.clone(),
    };
    assert_eq!(desk.verify(&fact(&found.id)).await.unwrap(), Answer::Holds);
    assert_eq!(desk.verify(&fact(&only.unwrap().id)).await.unwrap(), Answer::Gone);
}

#[tokio::test]
async fn p3_01_what_a_list_of_customers_needs_is_asked_for() {
    let stage = Stage::with_customers().await;
    assert_eq!(stage.customers(desk()).probe().await.unwrap(), "the list of customers can be read");
    let missing = stage.customers(CustomerList::Desk("NONE".to_owned())).probe().await.unwrap_err();
    assert!(missing.is_about_us() && missing.message.contains("no service desk"), "{missing}");
    let made = stage.customers(organization_of("Nobody")).probe().await.unwrap();
    assert!(made.ends_with("is yet to be made"), "{made}");
    let refused = Fault::new("atlassian.servicedesk", "servicedesk.customer.list", FaultKind::Forbidden);
    stage.running.twin.engine.faults.inject(refused);
    let refused = stage.customers(desk()).probe().await.unwrap_err();
    assert!(refused.is_about_us() && refused.message.contains("administer the service desk"), "{refused}");
}

/// Nobody in an organization that is not attached sees the portal, however equal the lists are: so the list tells
/// whether it opens one, in a pass and alone.
#[tokio::test]
async fn p3_05_an_organization_tells_whether_it_opens_the_portal_of_its_desk() {
    let stage = Stage::with_customers().await;
    let list =
        |desk: Option<&str>| CustomerList::Organization { name: "Partners".to_owned(), desk: desk.map(str::to_owned) };
    // The list as a pass tells it, as it is read alone in two ways, and what was told beside it.
    let told = async |desk: Option<&str>| {
        let noted = super::Noted::default();
        let reader = stage.customers(list(desk));
        let reading = reader.sweep(&Scope::All, &noted).await.unwrap();
        assert!(reading.is_whole(), "the list itself is read all the same");
        let group = reading.groups.seen[0].clone();
        assert_eq!(reader.read_group(&group.id).await.unwrap().as_ref(), Some(&group));
        let again = reader.reread(std::slice::from_ref(&group.id), &[]).await.unwrap();
        assert_eq!(again.groups.seen, std::slice::from_ref(&group));
        assert!(!group.access_unread);
        (group, noted.0.into_inner().unwrap())
    };
    let portal = Access::Portal { desk: "HELP".to_owned() };
    let (group, troubles) = told(Some("HELP")).await;
    assert_eq!((portal.is_given_by(&group), group.gives.len(), troubles.len()), (Some(false), 0, 0));
    assert!(stage.customers(list(Some("HELP"))).probe().await.unwrap().contains("the next run attaches it"));
    stage
        .edit(json!([{ "op": "load",
            "customer_organizations": [{ "site": "acme", "name": "Partners", "desks": ["HELP"] }] }]))
        .await;
    let (group, troubles) = told(Some("HELP")).await;
    assert_eq!((portal.is_given_by(&group), troubles.len()), (Some(true), 0));
    assert_eq!((group.roles_known, group.gives), (true, vec![portal.listed()]));
    assert_eq!(stage.customers(list(Some("HELP"))).probe().await.unwrap(), "the list of customers can be read");
    // Nobody wants one, or it cannot be read for a reason that stays: then it is not known.
    let (group, troubles) = told(None).await;
    assert_eq!((portal.is_given_by(&group), troubles.len()), (None, 0));
    let (group, troubles) = told(Some("NONE")).await;
    assert_eq!((group.roles_known, group.gives.len()), (false, 0));
    assert!(troubles.len() == 1 && troubles[0].contains("/organization"), "{troubles:?}");
}

/// Trouble that passes is told in a pass, and a read of the list alone is made again: it is not said to give nothing.
#[tokio::test]
async fn a_desk_that_does_not_answer_says_nothing_of_what_a_list_gives() {
    let stage = Stage::with_customers().await;
    let list = CustomerList::Organization { name: "Partners".to_owned(), desk: Some("HELP".to_owned()) };
    let reader = stage.customers(list);
    let down = FaultKind::Fail { status: 503, after: false, plain: true };
    stage.running.twin.engine.faults.inject(Fault::new("atlassian.servicedesk", "servicedesk.organization.list", down));
    let noted = super::Noted::default();
    let reading = reader.sweep(&Scope::All, &noted).await.unwrap();
    let group = &reading.groups.seen[0];
    assert!(!group.roles_known && !group.access_unread && group.gives.is_empty());
    assert_eq!(noted.0.into_inner().unwrap().len(), 1);
    assert!(reader.read_group(&group.id).await.unwrap_err().may_pass());
}

/// To the groups of the same site a portal-only customer is nobody: they can be in none.
#[tokio::test]
async fn customers_are_no_accounts_of_the_sites_groups() {
    let stage = Stage::with_customers().await;
    let pia = Email::new("c000@partner.example.org").unwrap();
    let customer = stage.customers(desk()).find_person(&pia).await.unwrap().unwrap();
    let jira = stage.jira();
    let reading = jira.sweep(&Scope::Nobody, &Silent).await.unwrap();
    assert!(reading.users.complete);
    assert!(reading.users.seen.iter().all(|user| user.id != customer.id));
    assert!(reading.users.seen.iter().any(|user| user.email.as_ref().is_some_and(|email| email.key() == person(5))));
    assert_eq!(jira.find_person(&pia).await.unwrap(), None);
    assert_eq!(jira.read_user(&customer.id).await.unwrap(), None);
}

#[tokio::test]
async fn i02_a_list_that_breaks_off_proves_nothing() {
    let stage = Stage::with_customers().await;
    let fault = FaultKind::Fail { status: 403, after: false, plain: false };
    let broken = Fault { page: Some(3), ..Fault::new("atlassian.servicedesk", "servicedesk.customer.list", fault) };
    stage.running.twin.engine.faults.inject(broken);
    let reader = stage.customers(desk());
    match reader.sweep(&Scope::All, &Silent).await {
        Err(error) => assert!(error.is_refusal(), "{error}"),
        Ok(reading) => assert!(!reading.members.iter().any(|members| members.complete)),
    }
}
