//! `plan` and `apply` against running services.

use std::time::Duration;

use anyhow::Result;
use harness::eventually;
use scenarios::{Company, Said, World};
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_mins(2);

/// A deployment that lets nothing go by itself, and looks every second.
async fn by_hand() -> Result<World> {
    let company =
        Company::of(20).group("staff", 0..20).group("readers", [1, 3]).with_sections("[schedule]\nmode = \"manual\"\n");
    let policy = company.policy().replace("lag = \"0s\"", "lag = \"0s\"\nsweep_every = \"1s\"");
    World::start(&company.snapshot(), &policy, &scenarios::Options::default()).await
}

async fn rollcall(world: &World, arguments: &[&str]) -> Result<Said> {
    let token = world.folder.path().join("token");
    let token = token.display().to_string();
    let mut all = arguments.to_vec();
    all.extend(["--server", &world.api, "--token-file", &token]);
    world.rollcall(&all).await
}

/// Waits until the newest plan has this many cases.
async fn until_planned(world: &World, cases: u64) -> Result<()> {
    eventually(WITHIN, &format!("a plan of {cases} cases"), async || {
        let plans = world.get("plans").await?;
        Ok((plans["plans"][0]["cases"].as_u64() == Some(cases)).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_of_running_services_goes_exactly_or_is_refused_as_stale() -> Result<()> {
    let world = by_hand().await?;
    until_planned(&world, 2).await?;
    let file = world.folder.path().join("plan.json").display().to_string();
    let said = rollcall(&world, &["plan", "--detailed-exitcode", "--out", &file]).await?;
    assert_eq!(said.code, 2, "{}{}", said.out, said.err);
    assert!(!world.difference().is_empty(), "nothing goes by itself");
    let before = world.sequence();
    let saved: Value = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
    let looked_at = saved["plan"]["number"].as_u64().unwrap_or_default();

    // Somebody joins: the plan that was looked at is not the plan of now.
    world.at_google(json!([{ "op": "member_added", "group": "grp_readers", "id": Company::id(7), "type": "USER", "role": "MEMBER" }]))?;
    eventually(WITHIN, "the change to be planned", async || {
        Ok(world.get("plans").await?["plans"][0]["number"].as_u64().filter(|number| *number > looked_at))
    })
    .await?;
    let said = rollcall(&world, &["apply", &file, "--yes"]).await?;
    assert!(said.code == 3 && said.err.contains("stale"), "{}{}", said.out, said.err);
    assert_eq!(world.effects(before), [], "nothing of a stale plan is applied");

    let said = rollcall(&world, &["plan", "--out", &file]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let said = rollcall(&world, &["apply", &file, "--yes", "--output", "json"]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let document: Value = serde_json::from_str(&said.out)?;
    assert_eq!((document["schema"].as_str(), document["cases"].as_u64()), (Some("rollcall.applied/1"), Some(2)));
    world.until_equal(WITHIN).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guard_holds_goes_with_an_override_and_a_reason_and_not_with_yes() -> Result<()> {
    let world = by_hand().await?;
    until_planned(&world, 2).await?;
    let said = rollcall(&world, &["apply", "--yes"]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    world.until_equal(WITHIN).await?;
    until_planned(&world, 0).await?;

    let gone = |n| json!({ "op": "member_removed", "group": "grp_staff", "id": Company::id(n) });
    world.at_google(Value::Array((0..9).map(gone).collect()))?;
    until_planned(&world, 1).await?;
    let before = world.sequence();
    let said = rollcall(&world, &["apply", "--yes"]).await?;
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    assert!(said.out.contains("1 case held"), "{}", said.out);
    let said = rollcall(&world, &["apply", "--yes", "--override", "seats", "--reason", "try"]).await?;
    assert_eq!(said.code, 3, "another guard's name opens nothing: {}{}", said.out, said.err);
    assert_eq!(world.removals(before), 0);
    let mut arguments = vec!["apply", "--yes", "--reason", "a reorganisation"];
    for guard in ["per-group-removals", "source-shrink"] {
        arguments.extend(["--override", guard]);
    }
    let said = rollcall(&world, &arguments).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    world.until_equal(WITHIN).await?;
    let approved = "select count(*)::bigint from common.audit where verb = 'case.approved' and actor = 'kim'";
    assert_eq!(world.one(approved).await?, 1);
    Ok(())
}
