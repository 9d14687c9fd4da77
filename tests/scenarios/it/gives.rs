//! What groups give: a product at an organization, given to a group after a person's word, and to no other.

use anyhow::{Context as _, Result, bail};
use harness::eventually;
use scenarios::{Beginning, Company, Options, Outside, World};
use serde_json::{Value, json};

use crate::WITHIN;

const RESOURCE: &str = "ari:cloud:jira-software::site/acme";
const GIVES: &str = "gives = [{ product = \"jira-software\", site = \"https://acme.atlassian.net\" }]\n";

fn company() -> Company {
    Company::of(8).group("eng", 0..4).group("ops", 4..6)
}

/// An organization with Jira, that no group gives yet.
fn jira() -> Vec<Value> {
    vec![json!({ "op": "load", "organizations": [{ "id": "org-1", "name": "Acme", "directory": "dir-1",
        "products": [{ "resource": RESOURCE, "key": "jira-software", "name": "Jira", "site": "acme", "seats": 50 }] }] })]
}

/// The roles that a group has at the organization.
fn roles(outside: &Outside, group: &str) -> Value {
    let world = outside.twin.twin.world().atlassian.dump();
    world.pointer(&format!("/organizations/org-1/groups/{group}/roles")).cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn i04_a_group_is_given_a_product_after_a_persons_word_and_no_other_group_is() -> Result<()> {
    let company = company();
    let options = Options { beginning: Beginning { edits: jira(), ..Beginning::default() }, ..Options::default() };
    let world = World::start(&company.snapshot(), &(company.policy() + GIVES), &options).await?;
    let held = eventually(WITHIN, "both groups to wait for a person", async || {
        let held = world.held().await?;
        if held.len() == 2 && held.iter().all(|case| case["kind"] == "access") {
            return Ok(Some(held));
        }
        bail!("{held:?}")
    })
    .await?;
    // Nothing of that keeps anybody from being a member.
    world.until_equal(WITHIN).await?;
    assert_eq!(
        (roles(&world, "eng"), roles(&world, "ops")),
        (json!({}), json!({})),
        "nothing before somebody approves"
    );
    let of_eng = held.iter().find(|case| case["group_name"] == "eng" || case.to_string().contains("\"eng\""));
    let digest = of_eng.and_then(|case| case["digest"].as_str()).context("a case has a digest")?;
    let said = world.ask(&["approve", digest, "--reason", "engineers get Jira"]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    eventually(WITHIN, "the group to give Jira", async || {
        let found = roles(&world, "eng");
        if found == json!({ RESOURCE: ["atlassian/user"] }) {
            return Ok(Some(()));
        }
        bail!("{found}")
    })
    .await?;
    assert_eq!(roles(&world, "ops"), json!({}));
    // The other one is nobody's wish: the rule is, so it waits on, and the target is not in sync.
    let digest = eventually(WITHIN, "the other one alone to wait", async || {
        let held = world.held().await?;
        Ok(if let [case] = &held[..] { case["digest"].as_str().map(str::to_owned) } else { None })
    })
    .await?;
    let said = world.ask(&["approve", &digest, "--reason", "operators too"]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    world.until_in_sync(WITHIN).await?;
    assert_eq!(roles(&world, "ops"), json!({ RESOURCE: ["atlassian/user"] }));
    // It is still so, and nothing is asked for, once everything was read again.
    world.sweep().await?;
    world.until_decided().await?;
    world.until_in_sync(WITHIN).await?;
    assert!(world.held().await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i04_one_run_gives_a_product_with_an_override_and_a_reason_and_not_with_yes() -> Result<()> {
    let company = company();
    let outside = Outside::start_with(&company.snapshot(), &company.policy(), "one-per-person", &jira()).await?;
    let applied = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    outside.write_policy(&(company.policy() + GIVES))?;
    let plan = outside.rollcall(&["plan", "--full"]).await?;
    for part in [
        "what group eng gives",
        "+ access      eng  jira-software on https://acme.atlassian.net as atlassian/user",
        "2 accesses to give",
    ] {
        assert!(plan.out.contains(part), "{part:?} is not in {}{}", plan.out, plan.err);
    }
    let held = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!((held.code, roles(&outside, "eng")), (3, json!({})), "{}{}", held.out, held.err);
    let override_it = ["apply", "--yes", "--override", "default-access-group", "--reason", "meant"];
    let applied = outside.rollcall(&override_it).await?;
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    assert_eq!(roles(&outside, "eng"), json!({ RESOURCE: ["atlassian/user"] }));
    let plan = outside.rollcall(&["plan", "--detailed-exitcode"]).await?;
    assert_eq!(plan.code, 0, "{}{}", plan.out, plan.err);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_the_organization_has_not_is_a_letter_that_says_so_and_holds_nobody_back() -> Result<()> {
    let company = company();
    let wrong = GIVES.replace("jira-software", "jira-sofware");
    let approval = "\n[approval]\nrequired_for = [\"guard\", \"conflict\", \"group-delete\"]\n";
    let policy = company.with_sections(approval);
    let options = Options { beginning: Beginning { edits: jira(), ..Beginning::default() }, ..Options::default() };
    let world = World::start(&policy.snapshot(), &(policy.policy() + &wrong), &options).await?;
    let letters = eventually(WITHIN, "a letter for each group", async || {
        let letters = world.get("dead-letters?state=open").await?;
        let letters = letters["letters"].as_array().cloned().unwrap_or_default();
        if letters.len() == 2 { Ok(Some(letters)) } else { bail!("{letters:?}") }
    })
    .await?;
    for letter in &letters {
        assert_eq!((&letter["fault"], &letter["class"]), (&json!("access"), &json!("validation")), "{letter}");
        assert!(letter.to_string().contains("jira-sofware"), "{letter}");
    }
    world.until_equal(WITHIN).await?;
    // Corrected, the letters are moot, and the product is given.
    world.write_policy(&(policy.policy() + GIVES))?;
    eventually(WITHIN, "the corrected product to be given", async || {
        let found = (roles(&world, "eng"), roles(&world, "ops"));
        let wanted = json!({ RESOURCE: ["atlassian/user"] });
        if found == (wanted.clone(), wanted) { Ok(Some(())) } else { bail!("{found:?}") }
    })
    .await
}
