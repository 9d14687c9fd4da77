//! Data Center through the whole of it: filled from Google, a leaver is out, and a product that is down stops no other.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use harness::eventually;
use scenarios::{Company, Options, WIDE, World};
use serde_json::{Value, json};
use twin::engine::fault::FaultKind;

use crate::WITHIN;

/// One product and Crowd, filled by one rule.
pub(crate) fn policy(product: &str) -> String {
    let head = r#"tenant = "acme"

[directory.workspace]
kind = "google-workspace"
service_account = "file:secrets/google.json"
subject = "sync@acme.example"
endpoint = "{google}"
lag = "0s"

[directory.crowd]
kind = "crowd"
url = "https://crowd.acme.example/dc/crowd"
endpoint = "{atlassian}"
application = "rollcall"
password = "file:secrets/crowd-password"
lag = "0s"
"#;
    let own = format!(
        "\n[directory.own]\nkind = \"{product}-dc\"\nurl = \"https://{product}.acme.example/dc/{product}\"\n\
         endpoint = \"{{atlassian}}\"\ntoken = \"file:secrets/{product}-token\"\nlag = \"0s\"\n"
    );
    let rule = r#"
[people]
domains = ["acme.example"]

[[sync]]
name = "teams"
from = "workspace"
groups = ["*"]
to = ["own", "crowd"]
rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]
"#;
    format!("{head}{own}{WIDE}{rule}")
}

/// Services with the vendors' limits unknown, as it is where nobody told them.
fn options() -> Options {
    Options {
        watcher: vec!["--read-timeout=5".to_owned()],
        writer: vec!["--call-timeout=2".to_owned()],
        ..Options::default()
    }
}

/// What differs at an instance from what should be there, over the mapped groups.
fn difference(world: &World, instance: &str) -> Vec<String> {
    let found: BTreeMap<String, BTreeSet<String>> = world.twin.twin.world().dc.memberships(instance);
    let none = BTreeSet::new();
    let mut lines = Vec::new();
    for (name, people) in world.wanted() {
        let Some(there) = found.get(&name) else {
            lines.push(format!("{instance} lacks {name}"));
            continue;
        };
        let differs = people.symmetric_difference(if there.is_empty() { &none } else { there });
        lines.extend(differs.map(|who| format!("{instance}: {name} differs in {who}")));
    }
    lines
}

async fn until_equal(world: &World, instances: &[&str], why: &str) -> Result<()> {
    eventually(WITHIN, why, async || {
        let lines: Vec<String> = instances.iter().flat_map(|instance| difference(world, instance)).collect();
        anyhow::ensure!(
            lines.is_empty(),
            "{} differences: {:?}",
            lines.len(),
            lines.iter().take(6).collect::<Vec<_>>()
        );
        Ok(Some(()))
    })
    .await
}

/// Everybody has an account, named by what stands before the `@`; at Confluence everybody takes a seat, since nobody
/// else's address is shown.
async fn people(world: &World, instance: &str, count: usize) -> Result<()> {
    let names: Vec<String> = (0..count).map(|n| format!("p{n:02}")).collect();
    let mut edits = vec![json!({ "op": "people", "instance": instance })];
    if instance == "confluence" {
        edits.push(json!({ "op": "group", "instance": instance, "name": "seated", "members": names }));
        edits.push(json!({ "op": "application", "instance": instance, "key": "confluence", "groups": ["seated"] }));
    }
    world.tell("dc", &Value::Array(edits)).await
}

fn joins(group: &str, n: usize) -> Value {
    json!({ "op": "member_added", "group": format!("grp_{group}"), "id": Company::id(n), "type": "USER", "role": "MEMBER" })
}

async fn story(product: &str) -> Result<()> {
    let company =
        Company::of(14).group("staff", 0..10).group("readers", 2..6).group("writers", [7]).with_nested("readers");
    let world = World::start(&company.snapshot(), &policy(product), &options()).await?;
    for instance in [product, "crowd"] {
        people(&world, instance, 14).await?;
    }
    let before = world.sequence();
    world.sync(None).await?;
    until_equal(&world, &[product, "crowd"], "both to be filled").await?;
    // Each group once and each membership once, at either.
    let memberships: usize = world.wanted().values().map(BTreeSet::len).sum();
    let effects = world.effects(before);
    let added = effects.iter().filter(|(_, key, there)| key.contains("/member/") && *there).count();
    assert_eq!(added, 2 * memberships, "{effects:?}");
    // A leaver is out of both.
    world.at_google(json!([{ "op": "user_suspended", "id": Company::id(3), "suspended": true }]))?;
    world.sync(Some(&Company::email(3))).await?;
    until_equal(&world, &[product, "crowd"], "the leaver to be out").await?;
    // The product is down; Crowd goes on.
    world.fault(
        &format!("atlassian.dc.{product}"),
        "*",
        FaultKind::Fail { status: 503, after: false, plain: true },
        |_| {},
    );
    world.at_google(json!([joins("readers", 11), joins("writers", 12)]))?;
    world.sync(None).await?;
    until_equal(&world, &["crowd"], "Crowd to be filled while the product is down").await?;
    assert!(!difference(&world, product).is_empty(), "nothing was written to what is down");
    world.no_faults();
    world.sync(None).await?;
    until_equal(&world, &[product, "crowd"], "the product to be filled when it is back").await
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_01_jira_data_center_and_crowd_are_filled_and_stop_each_other_never() -> Result<()> {
    story("jira").await
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_02_confluence_data_center_is_filled_and_a_leaver_is_out() -> Result<()> {
    story("confluence").await
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_03_bitbucket_data_center_is_filled_and_a_leaver_is_out() -> Result<()> {
    story("bitbucket").await
}

/// One run without a server: `doctor` looks, `plan` shows, `apply` writes, and nothing is left to plan.
#[tokio::test(flavor = "multi_thread")]
async fn p2_07_by_hand_a_whole_run_fills_data_center_and_leaves_nothing_to_plan() -> Result<()> {
    let company = Company::of(8).group("staff", 0..6);
    let outside = scenarios::Outside::start(&company.snapshot(), &policy("bitbucket")).await?;
    let edits = ["bitbucket", "crowd"].map(|instance| json!({ "op": "people", "instance": instance }));
    outside.tell("dc", &json!(edits)).await?;
    let doctor = outside.rollcall(&["doctor"]).await?;
    assert_eq!(doctor.code, 0, "{}{}", doctor.out, doctor.err);
    let applied = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    for instance in ["bitbucket", "crowd"] {
        let found = outside.twin.twin.world().dc.memberships(instance);
        assert_eq!(found.get("staff"), outside.wanted().get("staff"), "{instance}");
    }
    let nothing = outside.rollcall(&["plan", "--detailed-exitcode"]).await?;
    assert_eq!(nothing.code, 0, "{}{}", nothing.out, nothing.err);
    std::fs::write(outside.folder.path().join("secrets/bitbucket-token"), "wrong")?;
    let doctor = outside.rollcall(&["doctor"]).await?;
    assert!(doctor.code == 1 && doctor.out.contains("FAILED"), "{}{}", doctor.out, doctor.err);
    Ok(())
}

/// People are made at Jira; one of them comes to lead a project and a component, and leaves: the fallback takes over both,
/// then the account is deactivated. One that leads nothing is simply deactivated.
#[tokio::test(flavor = "multi_thread")]
async fn p2_13_p2_14_a_leaver_who_leads_is_replaced_before_being_deactivated() -> Result<()> {
    let company = Company::of(6).group("staff", 0..6);
    let people = "\n[[people.provision]]\nfrom = \"workspace\"\nto = \"own\"\ncreate = true\nupdate = true\n\
        lead_fallback = { project = \"p00\", component = \"p01\" }\n";
    let names = "domains = [\"acme.example\"]\nusername = [{ pattern = '(.*)@.*', replace = '$1' }]\n";
    let policy = policy("jira").replace("to = [\"own\", \"crowd\"]", "to = [\"own\"]");
    let policy = policy.replace("domains = [\"acme.example\"]\n", names) + people;
    let world = World::start(&company.snapshot(), &policy, &options()).await?;
    until_equal(&world, &["jira"], "everybody to be made and let in").await?;
    let user = |name: &str| {
        let world = world.twin.twin.world();
        let found = world.dc.instance("jira").and_then(|it| it.user(name)).map(|(_, it)| it.clone());
        found.ok_or_else(|| anyhow::anyhow!("{name} is not there"))
    };
    assert_eq!((user("p03")?.email, user("p03")?.active), (Company::email(3), true));
    let project =
        json!({ "op": "project", "instance": "jira", "key": "OPS", "lead": "p03", "components": { "net": "p03" } });
    world.tell("dc", &project).await?;
    let before = world.sequence();
    world.at_google(json!([
        { "op": "user_suspended", "id": Company::id(3), "suspended": true },
        { "op": "user_suspended", "id": Company::id(4), "suspended": true },
    ]))?;
    world.sync(None).await?;
    eventually(WITHIN, "both to be deactivated", async || {
        Ok((!user("p03")?.active && !user("p04")?.active).then_some(()))
    })
    .await?;
    let leads: Vec<String> = {
        let world = world.twin.twin.world();
        let instance = world.dc.instance("jira").ok_or_else(|| anyhow::anyhow!("no instance"))?;
        let led = |it: &twin::world::dc::Project| {
            [Some(it.lead.clone()), it.components.first().and_then(|it| it.lead.clone())]
        };
        instance.projects.values().flat_map(led).flatten().collect()
    };
    assert_eq!(leads, ["p00", "p01"]);
    // The lead is replaced once each, and before the account is touched.
    let effects = world.effects(before);
    let place = |operation: &str| effects.iter().position(|(it, key, _)| it == operation && !key.contains("/user/p04"));
    assert!(place("project.update") < place("user.update") && place("component.update") < place("user.update"));
    assert_eq!(effects.iter().filter(|(it, ..)| it == "project.update" || it == "component.update").count(), 2);
    until_equal(&world, &["jira"], "the leavers to be out").await
}
