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
    let additions = async || -> Result<Option<u64>> { Ok(world.get("plans").await?["plans"][0]["additions"].as_u64()) };
    let looked_at = additions().await?.unwrap_or_default();

    // Somebody joins: the plan that was looked at is not the plan of now.
    world.at_google(json!([{ "op": "member_added", "group": "grp_readers", "id": Company::id(7), "type": "USER", "role": "MEMBER" }]))?;
    // By what it says: a plan of another number may say the same.
    let planned = async || Ok(additions().await?.filter(|additions| *additions > looked_at));
    eventually(WITHIN, "the change to be planned", planned).await?;
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

/// I1: who asks to synchronize while nobody decides is told so, and what was asked is done all the same.
#[tokio::test(flavor = "multi_thread")]
async fn i01_a_request_to_synchronize_waits_for_whoever_decides() -> Result<()> {
    let mut world = by_hand().await?;
    until_planned(&world, 2).await?;
    world.reconciler.kill();
    let answer = world.post("sync", &json!({})).await?;
    assert!(answer["message"].as_str().unwrap_or_default().contains("none answered"), "{answer}");
    assert!(!world.difference().is_empty(), "nothing goes by itself");
    world.reconciler.restart()?;
    world.until_equal(WITHIN).await?;
    // The one that took it up vanishes: whoever takes over lets things go for as long as it would have.
    world.reconciler.kill();
    world.at_google(json!([{ "op": "member_added", "group": "grp_readers", "id": Company::id(7), "type": "USER", "role": "MEMBER" }]))?;
    world.reconciler.restart()?;
    world.until_equal(WITHIN).await
}

/// I3: a policy file that would stop managing much is no policy until a person says so; then it unmaps and removes nobody.
#[tokio::test(flavor = "multi_thread")]
async fn i03_a_policy_that_would_stop_managing_much_waits_for_a_person() -> Result<()> {
    let company = Company::of(9).group("one", 0..3).group("two", 3..6).group("three", 6..9);
    let world = World::of(&company).await?;
    world.until_in_sync(WITHIN).await?;
    let before = world.sequence();
    world.write_policy(&company.policy().replace("groups = [\"*\"]", "groups = [\"one@*\"]"))?;
    let held = eventually(WITHIN, "the policy to be held", async || {
        let held = world.held().await?;
        Ok(held.into_iter().find(|case| case["held"][0]["guard"] == "policy-shrink"))
    })
    .await?;
    // What it would no longer manage is managed until then, by who reads as by who decides.
    let join = |group: &str, n| json!([{ "op": "member_added", "group": format!("grp_{group}"), "id": Company::id(n), "type": "USER", "role": "MEMBER" }]);
    world.at_google(join("two", 8))?;
    world.sync(None).await?;
    world.until_equal(WITHIN).await?;
    let said =
        rollcall(&world, &["approve", held["digest"].as_str().unwrap_or_default(), "--reason", "fewer groups"]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    eventually(WITHIN, "the policy to be in force", async || {
        let loaded = "select count(*) from common.audit where verb = 'policy.loaded'";
        Ok((world.one(loaded).await? == 2).then_some(()))
    })
    .await?;
    world.at_google(join("two", 7))?;
    world.at_google(join("one", 5))?;
    world.sync(None).await?;
    let one = || world.found()["one"].contains(&Company::email(5));
    eventually(WITHIN, "the group that is still managed to follow", async || Ok(one().then_some(()))).await?;
    world.sweep().await?;
    world.until_decided().await?;
    assert!(!world.found()["two"].contains(&Company::email(7)), "what is unmapped is left alone");
    assert_eq!((world.removals(before), world.found()["three"].len()), (0, 3), "and is not removing");
    Ok(())
}
