//! What a group is to give: a product of an organization, the portal of a service desk.

use model::{EdgeOp, GroupId, Rejection, StepResult};
use serde_json::{Value, json};
use twin::engine::fault::FaultKind;
use twin::world::{Cause, atlassian::Act};

use effect::{DcProduct, ListKind};

use crate::dc;
use crate::world::{SITE, World, portal, product, run};

const ROLE: &str = "atlassian/user";
const REFUSED: StepResult = StepResult::Rejected(Rejection::Validation);

/// The organization has these products on the site, each with an id of its own.
fn with_products(world: &World, products: &[(&str, &str)]) {
    let product =
        |(resource, key): &(&str, &str)| json!({ "resource": resource, "key": key, "name": key, "site": SITE });
    let products: Vec<Value> = products.iter().map(product).collect();
    world.edit(json!({ "op": "load", "organizations": [
        { "id": "org-1", "name": "Acme", "directory": "dir-1", "products": products }] }));
}

/// What the group gives, as the world has it.
fn roles(world: &World, group: &str) -> Value {
    world.dump().pointer(&format!("/organizations/org-1/groups/{group}/roles")).cloned().unwrap_or_default()
}

fn organization_of(world: &World, name: &str) -> GroupId {
    let dump = world.dump();
    let id = dump.pointer(&format!("/customer_organizations/{name}/id")).and_then(Value::as_str);
    GroupId::new(id.unwrap()).unwrap()
}

fn attached(world: &World) -> Vec<Value> {
    world.dump()["desks"]["HELP"]["organizations"].as_array().cloned().unwrap()
}

#[tokio::test]
async fn a_group_is_made_to_give_a_product_once_and_the_products_are_read_once() {
    let world = World::start().await;
    with_products(&world, &[("ari:jira", "jira-software"), ("ari:wiki", "confluence")]);
    let org = world.org();
    let group = world.group(&org, "eng").await;
    let jira = product("jira-software", ROLE);
    assert_eq!(run(&org, &world.grant(&group, &jira)).await.outcome.result, StepResult::Done);
    assert_eq!(roles(&world, "eng"), json!({ "ari:jira": [ROLE] }));
    assert!(run(&org, &world.grant(&group, &jira)).await.outcome.result.holds());
    assert_eq!(run(&org, &world.grant(&group, &product("Confluence", ROLE))).await.outcome.result, StepResult::Done);
    assert_eq!(roles(&world, "eng"), json!({ "ari:jira": [ROLE], "ari:wiki": [ROLE] }));
    assert_eq!((world.effects("groups.roles.assign"), world.calls("atlassian.org", "workspaces.query")), (2, 1));
    world.every_effect_was_admitted();
}

#[tokio::test]
async fn a_product_that_is_not_there_is_told_with_what_is_and_is_asked_for_again() {
    let world = World::start().await;
    with_products(&world, &[("ari:wiki", "confluence")]);
    let org = world.org();
    let group = world.group(&org, "eng").await;
    let jira = product("jira-software", ROLE);
    let finished = run(&org, &world.grant(&group, &jira)).await;
    let told = finished.answers[0].as_ref().unwrap().text.clone();
    assert_eq!(finished.outcome.result, REFUSED);
    assert!(told.contains("jira-software on https://own.atlassian.net") && told.contains("confluence"), "{told}");
    assert_eq!(world.calls("atlassian.org", "groups.roles.assign"), 0);
    with_products(&world, &[("ari:wiki", "confluence"), ("ari:jira", "jira-software")]);
    assert_eq!(run(&org, &world.grant(&group, &jira)).await.outcome.result, StepResult::Done);
    world.every_effect_was_admitted();
}

/// A product that was taken away and bought again is another one: what is remembered is not believed against a refusal.
#[tokio::test]
async fn a_product_that_came_back_as_another_is_found() {
    let world = World::start().await;
    let org = world.org();
    for resource in ["ari:jira", "ari:jira-2"] {
        let nothing = json!({ "format": "orgdir-snapshot/1", "users": [], "groups": [] });
        world.twin.twin.load(nothing.to_string().as_bytes()).unwrap();
        with_products(&world, &[(resource, "jira-software")]);
        let group = world.group(&org, "eng").await;
        let outcome = run(&org, &world.grant(&group, &product("jira-software", ROLE))).await.outcome;
        assert_eq!((outcome.result, roles(&world, "eng")), (StepResult::Done, json!({ resource: [ROLE] })));
    }
    assert_eq!(world.calls("atlassian.org", "workspaces.query"), 2);
}

/// Whoever asks for it: a policy that was let through, or a command that nobody should have made.
#[tokio::test]
async fn no_group_is_made_to_make_administrators_and_nothing_is_called_for_it() {
    let world = World::start().await;
    with_products(&world, &[("ari:jira", "jira-software")]);
    let org = world.org();
    let group = world.group(&org, "eng").await;
    for role in ["atlassian/admin", "atlassian/user-access-admin", "org-admin", "atlassian/site-admin"] {
        let finished = run(&org, &world.grant(&group, &product("jira-software", role))).await;
        assert_eq!(finished.outcome.result, REFUSED, "{role}");
        assert!(finished.answers[0].as_ref().unwrap().text.contains("administrators"), "{role}");
    }
    let calls = |operation| world.calls("atlassian.org", operation);
    assert_eq!((calls("groups.roles.assign"), calls("workspaces.query")), (0, 0));
    assert_eq!(roles(&world, "eng"), json!({}));
}

#[tokio::test]
async fn i06_a_role_whose_answer_was_lost_is_given_again_and_counts_once() {
    let world = World::start().await;
    with_products(&world, &[("ari:jira", "jira-software")]);
    let org = world.org();
    let group = world.group(&org, "eng").await;
    world.org_fault("groups.roles.assign", 1, FaultKind::Reset { after: true });
    world.org_fault("workspaces.query", 1, FaultKind::Fail { status: 503, after: false, plain: true });
    let outcome = run(&org, &world.grant(&group, &product("jira-software", ROLE))).await.outcome;
    assert!(outcome.result.holds(), "{outcome:?}");
    assert_eq!(world.effects("groups.roles.assign"), 1);
    // After a crash it is simply given again, and what begins too late is nobody's to say.
    let mut job = world.grant(&group, &product("jira-software", ROLE));
    job.begun_before = true;
    assert!(run(&org, &job).await.outcome.result.holds());
    job.since = job.since.minus(model::Span::from_secs(300));
    assert_eq!(run(&org, &job).await.outcome.result, StepResult::Unknown);
    assert_eq!(world.effects("groups.roles.assign"), 1);
    world.every_effect_was_admitted();
}

/// Without that nobody in it sees a portal. It is a step of its own: who is put in attaches nothing.
#[tokio::test]
async fn p3_05_an_organization_of_customers_is_attached_to_a_desk_by_that_alone() {
    let world = World::start().await;
    let runner = world.customers(ListKind::Organization);
    let organization = organization_of(&world, "Partners");
    let account = world.account(0);
    run(&runner, &world.edges(&organization, &[(&account, EdgeOp::Add)])).await;
    assert_eq!(attached(&world).len(), 0);
    assert_eq!(run(&runner, &world.grant(&organization, &portal("HELP"))).await.outcome.result, StepResult::Done);
    assert_eq!(attached(&world), [json!(organization)]);
    assert!(run(&runner, &world.grant(&organization, &portal("HELP"))).await.outcome.result.holds());
    assert_eq!((attached(&world).len(), world.effects("servicedesk.organization.add")), (1, 1));
    // Detached by hand, and wanted again: nothing is remembered of it.
    {
        let mut twin = world.twin.twin.world();
        let twin::world::World { atlassian, log, .. } = &mut *twin;
        let act = &mut Act { cause: &Cause::default(), log };
        atlassian.set_desk_organization((SITE, "HELP"), organization.as_str(), false, act).unwrap();
    }
    run(&runner, &world.edges(&organization, &[(&account, EdgeOp::Remove)])).await;
    assert_eq!(attached(&world).len(), 0);
    world.fault("atlassian.servicedesk", "servicedesk.organization.add", 1, FaultKind::Reset { after: true });
    assert!(run(&runner, &world.grant(&organization, &portal("HELP"))).await.outcome.result.holds());
    assert_eq!((attached(&world).len(), world.effects("servicedesk.organization.add")), (1, 2));
    world.every_effect_was_admitted();
}

/// A desk that is missing is a wrong setting, and an organization that is missing is gone: the words are the same.
#[tokio::test]
async fn what_is_missing_for_a_portal_is_told_apart() {
    let world = World::start().await;
    let runner = world.customers(ListKind::Organization);
    let organization = organization_of(&world, "Partners");
    let lost = run(&runner, &world.grant(&organization, &portal("NONE"))).await;
    assert_eq!(lost.outcome.result, REFUSED);
    assert!(lost.answers[0].as_ref().unwrap().text.contains("could not be attached to the desk NONE"));
    let gone = run(&runner, &world.grant(&GroupId::new("99").unwrap(), &portal("HELP"))).await;
    assert_eq!(gone.outcome.result, StepResult::Rejected(Rejection::UnknownGroup));
    world.fault("atlassian.servicedesk", "servicedesk.organization.add", 1, FaultKind::Forbidden);
    let forbidden = run(&runner, &world.grant(&organization, &portal("HELP"))).await.outcome.result;
    assert_eq!(forbidden, StepResult::Rejected(Rejection::Auth));
    assert_eq!(attached(&world).len(), 0);
}

#[tokio::test]
async fn what_cannot_be_given_at_a_place_is_refused_there_without_a_call() {
    let world = World::start().await;
    dc::fill(&world);
    let group = GroupId::new("g").unwrap();
    let jira = product("jira-software", ROLE);
    let places = [
        (world.org(), portal("HELP")),
        (world.customers(ListKind::Organization), jira.clone()),
        (world.customers(ListKind::Desk), portal("HELP")),
        (world.scim(), jira.clone()),
        (world.jira(), jira.clone()),
        (world.confluence(), jira.clone()),
        (world.dc(DcProduct::Jira, "jira", None), jira.clone()),
        (world.dc(DcProduct::Crowd, "crowd", None), jira),
    ];
    let asked = || -> u64 {
        let (families, _) = world.twin.twin.engine.counters.all();
        families.values().flat_map(|all| all.values()).map(|figures| figures.calls).sum()
    };
    let before = asked();
    for (runner, access) in places {
        let finished = run(&runner, &world.grant(&group, &access)).await;
        let told = finished.answers[0].clone().unwrap();
        assert_eq!((finished.outcome.result, told.status), (REFUSED, None), "{:?}", runner.target());
        assert!(!told.text.is_empty());
    }
    assert_eq!(asked(), before);
}
