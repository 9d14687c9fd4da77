//! Default access groups: filled from any groups of the same organization, only on purpose, with seats counted before.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use harness::eventually;
use scenarios::{Beginning, Company, Options, Outside, World};
use serde_json::{Value, json};
use twin::world::atlassian::SCIM_DIRECTORY;

use crate::WITHIN;

const RESOURCE: &str = "ari:cloud:jira-software::site/acme";

/// An organization with a site that shows it; one rule fills one of its groups from others. `{rule}` stands for more
/// keys, `{rest}` for more sections.
const POLICY: &str = r#"tenant = "acme"

[directory.cloud]
kind = "atlassian-org"
org = "org-1"
directory = "dir-1"
api_key = "file:secrets/org-key"
owner = "sync@acme.example"
endpoint = "{atlassian}"
lag = "0s"

[directory.jira]
kind = "jira-cloud"
site = "https://acme.atlassian.net"
email = "sync@acme.example"
api_token = "file:secrets/api-token"
org = "cloud"
endpoint = "{atlassian}"
lag = "0s"

[people]
domains = ["acme.example"]
{rest}
[[sync]]
name = "product access"
from = "cloud"
groups = ["team-*"]
except = ["team-guests"]
to = "cloud"
into = "everybody"
members = "managed"
on_conflict = "adopt"
{rule}
"#;

const ON_PURPOSE: &str = "default_access_group = true";

fn policy(rule: &str, rest: &str) -> String {
    POLICY.replace("{rule}", rule).replace("{rest}", rest)
}

/// A default access group whose name does not say so, with p09 in it; two teams, and guests.
fn by_hand() -> Vec<Value> {
    let team = |name: &str, people: std::ops::Range<usize>| {
        let members: Vec<String> = people.map(Company::email).collect();
        json!({ "op": "group", "name": name, "members": members })
    };
    let guest = json!({ "op": "member_added", "group": "team-red", "account": "eve@elsewhere.test" });
    vec![
        json!({ "op": "load", "organizations": [{ "id": "org-1", "name": "Acme", "directory": "dir-1",
            "products": [{ "resource": RESOURCE, "key": "jira-software", "name": "Jira", "site": "acme", "seats": 50 }] }] }),
        json!({ "op": "group", "name": "everybody", "default": true, "roles": [[RESOURCE, "atlassian/user"]],
            "members": [Company::email(9)] }),
        team("team-red", 0..3),
        team("team-blue", 3..6),
        team("team-guests", 7..8),
        json!({ "op": "account", "email": "eve@elsewhere.test" }),
        guest,
    ]
}

fn people(numbers: &[usize]) -> BTreeSet<String> {
    numbers.iter().map(|n| Company::email(*n)).collect()
}

fn everybody(outside: &Outside) -> BTreeSet<String> {
    outside.all_found().remove("everybody").unwrap_or_default()
}

async fn until(world: &World, wanted: BTreeSet<String>) -> Result<()> {
    eventually(WITHIN, "the default access group to be as wanted", async || {
        let found = everybody(world);
        if found == wanted {
            return Ok(Some(()));
        }
        bail!("{found:?}")
    })
    .await
}

async fn outside(rule: &str, rest: &str) -> Result<Outside> {
    Outside::start_with(&Company::of(10).snapshot(), &policy(rule, rest), "one-per-person", &by_hand()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_01_groups_of_an_organization_fill_its_default_access_group_after_approval() -> Result<()> {
    let options = Options { beginning: Beginning { edits: by_hand(), ..Beginning::default() }, ..Options::default() };
    let world = World::start(&Company::of(10).snapshot(), &policy(ON_PURPOSE, ""), &options).await?;
    let held = eventually(WITHIN, "the case to wait for approval", async || {
        Ok(world.held().await?.into_iter().find(|case| case.to_string().contains("default-access-group")))
    })
    .await?;
    assert_eq!(everybody(&world), people(&[9]), "nothing before somebody approves");
    let digest = held.get("digest").cloned().context("a case has a digest")?;
    world
        .post("cases/verdict", &json!({ "digests": [digest], "verdict": "approve", "reason": "all staff get Jira" }))
        .await?;
    let mut wanted = people(&[0, 1, 2, 3, 4, 5, 9]);
    wanted.insert("eve@elsewhere.test".to_owned());
    until(&world, wanted.clone()).await?;
    // Who leaves a team loses the product; who was in the group without us stays.
    world
        .at_atlassian(&json!([
            { "op": "member_removed", "group": "team-red", "account": Company::email(0) },
        ]))
        .await?;
    world.sync(None).await?;
    wanted.remove(&Company::email(0));
    until(&world, wanted).await
}

/// What an identity provider does by SCIM.
async fn by_scim(outside: &Outside, method: reqwest::Method, path: &str, body: &Value) -> Result<String> {
    let url = format!("{}/scim/directory/{SCIM_DIRECTORY}/{path}", outside.twin.atlassian_url());
    let request = harness::http()?.request(method, url).bearer_auth("twin-scim-key").json(body);
    let answer = request.send().await?.error_for_status()?.text().await?;
    let made: Value = serde_json::from_str(&answer).unwrap_or_default();
    Ok(made["id"].as_str().unwrap_or_default().to_owned())
}

/// SCIM cannot fill a default access group, and its own groups may not be written: they fill one through us.
#[tokio::test(flavor = "multi_thread")]
async fn p4_01_groups_that_an_identity_provider_owns_fill_a_default_access_group() -> Result<()> {
    let approval = "\n[approval]\nrequired_for = [\"guard\", \"conflict\", \"group-delete\"]\n";
    let outside = outside(ON_PURPOSE, approval).await?;
    let mut members = Vec::new();
    for n in [6, 8] {
        let address = Company::email(n);
        let person = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": address,
            "externalId": Company::id(n), "active": true, "displayName": format!("Given{n} Family{n}"),
            "name": { "givenName": format!("Given{n}"), "familyName": format!("Family{n}") },
            "emails": [{ "value": address, "primary": true }] });
        members.push(by_scim(&outside, reqwest::Method::POST, "Users", &person).await?);
    }
    let listed: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
    let group = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "team-green", "members": listed });
    let group = by_scim(&outside, reqwest::Method::POST, "Groups", &group).await?;
    assert_eq!(outside.all_found()["team-green"], people(&[6, 8]));
    let mut provided = outside.all_found();
    let applied = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    let mut wanted = people(&[0, 1, 2, 3, 4, 5, 6, 8, 9]);
    wanted.insert("eve@elsewhere.test".to_owned());
    assert_eq!(everybody(&outside), wanted);
    // The provider takes somebody out, and the product goes.
    let out = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "remove", "path": format!("members[value eq \"{}\"]", members[0]) }] });
    by_scim(&outside, reqwest::Method::PATCH, &format!("Groups/{group}"), &out).await?;
    let applied = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    wanted.remove(&Company::email(6));
    assert_eq!(everybody(&outside), wanted);
    provided.extend([("team-green".to_owned(), people(&[8])), ("everybody".to_owned(), wanted)]);
    assert_eq!(outside.all_found(), provided, "nothing but the default access group is written");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_06_a_default_access_group_is_refused_with_line_and_remedy_unless_the_rule_says_so() -> Result<()> {
    let outside = outside("", "").await?;
    let before = outside.sequence();
    let said = outside.rollcall(&["apply", "--yes"]).await?;
    let line = policy("", "").lines().position(|line| line == "[[sync]]").unwrap_or_default() + 1;
    for word in ["default-access-group", "default_access_group = true", &format!("line {line}")] {
        assert!(said.out.contains(word), "{word:?} is not in {}{}", said.out, said.err);
    }
    assert_eq!((said.code, outside.sequence()), (3, before), "nothing is changed, and somebody has to know");
    // `exact` would take the product from everybody who has it otherwise: such a file is refused.
    outside.write_policy(&policy(ON_PURPOSE, "").replace("members = \"managed\"", "members = \"exact\""))?;
    let exact = outside.rollcall(&["plan"]).await?;
    assert_eq!(exact.code, 64, "{}", exact.err);
    assert!(exact.err.contains("managed") && exact.err.contains("policy.toml:"), "{}", exact.err);
    // On purpose, and after somebody said so, it is filled.
    outside.write_policy(&policy(ON_PURPOSE, ""))?;
    let held = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(held.code, 3, "{}{}", held.out, held.err);
    let override_it = ["apply", "--yes", "--override", "default-access-group", "--reason", "meant"];
    let applied = outside.rollcall(&override_it).await?;
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    assert_eq!(everybody(&outside).len(), 8);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_02_selection_by_group_domain_and_person_with_filters_that_exclude() -> Result<()> {
    let approval = "\n[approval]\nrequired_for = [\"guard\", \"conflict\", \"group-delete\"]\n";
    let only = format!("{ON_PURPOSE}\npeople = [\"*@acme.example\"]\nexcept_people = [\"p01@*\"]");
    let outside = outside(&only, approval).await?;
    let applied = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    assert_eq!(everybody(&outside), people(&[0, 2, 3, 4, 5, 9]), "neither guests nor Eve nor p01");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_are_counted_before_anybody_is_let_in() -> Result<()> {
    let rest = "\n[approval]\nrequired_for = [\"guard\", \"conflict\", \"group-delete\"]\n\
        \n[guard]\nseat_limit = { jira-software = 3 }\n";
    let outside = outside(ON_PURPOSE, rest).await?;
    let held = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(held.code, 3, "{}{}", held.out, held.err);
    assert!(held.out.contains("seats"), "{}", held.out);
    assert_eq!(everybody(&outside), people(&[9]));
    Ok(())
}
