//! People join, move and leave, while the services run.

use anyhow::Result;
use harness::Deadline;
use scenarios::{Company, Options, World};
use serde_json::{Value, json};

use crate::WITHIN;

fn member(op: &str, group: &str, person: &str) -> Value {
    json!({ "op": op, "group": format!("grp_{group}"), "id": person, "type": "USER", "role": "MEMBER" })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_joins_moves_and_leaves() -> Result<()> {
    let company = Company::of(20).group("backend", 0..6).group("design", 6..12);
    let company = company.group("everybody", [15]).with_nested("backend").with_nested("design");
    let world = World::of(&company).await?;
    world.until_in_sync(WITHIN).await?;
    let (id, email) = ("usr_0900", "ana@acme.example");
    let steps = [
        json!([
            { "op": "user_created", "id": id, "email": email, "given_name": "Ana", "family_name": "Joiner", "external": false },
            member("member_added", "backend", id),
        ]),
        json!([member("member_removed", "backend", id), member("member_added", "design", id)]),
        json!([{ "op": "user_suspended", "id": id, "suspended": true }]),
        json!([{ "op": "user_suspended", "id": id, "suspended": false }]),
        json!([{ "op": "user_deleted", "id": id }]),
    ];
    let expected: [&[&str]; 5] =
        [&["backend", "everybody"], &["design", "everybody"], &[], &["design", "everybody"], &[]];
    for (step, expected) in steps.into_iter().zip(expected) {
        let shown = step.to_string();
        world.at_google(step)?;
        world.sync(Some(email)).await?;
        // A person who is in no mirror yet is found at both sides by the address; groups that changed, by theirs.
        world.sync(None).await?;
        world.until_equal(WITHIN).await.map_err(|error| error.context(shown))?;
        let found = world.found();
        let groups: Vec<&str> =
            found.iter().filter(|(_, people)| people.contains(email)).map(|(name, _)| name.as_str()).collect();
        assert_eq!(groups, expected);
    }
    world.until_in_sync(WITHIN).await
}

/// What the policy says about sweeping holds from when it is in force, not from the next start.
#[tokio::test(flavor = "multi_thread")]
async fn another_rhythm_of_sweeps_is_taken_over_while_running() -> Result<()> {
    let company = Company::of(12).group("staff", 0..8).group("readers", 2..6);
    let world = World::of(&company).await?;
    world.until_in_sync(WITHIN).await?;
    let swept = world.twin.twin.engine.counters.all().0["google.directory"]["users.list"].calls;
    world.write_policy(&company.policy().replace("lag = \"0s\"", "lag = \"0s\"\nsweep_every = \"2s\""))?;
    world.at_google(json!([member("member_added", "readers", &Company::id(9))]))?;
    // Nobody asks: the sweep alone can find it.
    world.until_equal(WITHIN).await?;
    assert!(world.twin.twin.engine.counters.all().0["google.directory"]["users.list"].calls > swept);
    world.until_in_sync(WITHIN).await
}

/// I1: a change that nobody told us about is found by looking.
#[tokio::test(flavor = "multi_thread")]
async fn i01_a_change_without_a_hint_is_found_by_the_sweep() -> Result<()> {
    let company = Company::of(12).group("staff", 0..8).group("readers", 2..6);
    let policy = company.policy().replace("lag = \"0s\"", "lag = \"0s\"\nsweep_every = \"2s\"");
    let world = World::start(&company.snapshot(), &policy, &Options::default()).await?;
    world.until_equal(WITHIN).await?;
    world.at_google(json!([
        member("member_added", "readers", &Company::id(9)),
        member("member_removed", "staff", &Company::id(1))
    ]))?;
    world.until_equal(WITHIN).await?;
    // Drift: what was changed by hand at the target is repaired.
    world
        .at_atlassian(&json!([
            { "op": "member_removed", "group": "staff", "account": Company::email(0) },
            { "op": "member_added", "group": "readers", "account": Company::email(11) },
        ]))
        .await?;
    world.until_equal(WITHIN).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_does_not_wait_behind_a_throttled_import() -> Result<()> {
    let company = Company::of(130).group("staff", 0..4).group("keys", 0..3);
    let mut options = Options::default();
    options.writer[0] = "--limit=cloud=8/1".to_owned();
    let world = World::start(&company.snapshot(), &company.policy(), &options).await?;
    world.until_equal(WITHIN).await?;
    let mut import = vec![json!({ "op": "group_created", "id": "grp_big", "email": "big@acme.example", "name": "big",
        "description": "", "external": false })];
    import.extend((0..130).map(|n| member("member_added", "big", &Company::id(n))));
    world.at_google(Value::Array(import))?;
    world.sync(None).await?;
    let big = || world.found().get("big").map_or(0, std::collections::BTreeSet::len);
    harness::eventually(WITHIN, "the import to be under way", async || Ok((big() >= 10).then_some(()))).await?;
    world.at_google(json!([{ "op": "user_suspended", "id": Company::id(0), "suspended": true }]))?;
    world.sync(Some(&Company::email(0))).await?;
    let left = || {
        let found = world.found();
        ["staff", "keys"].iter().all(|name| !found[*name].contains(&Company::email(0)))
    };
    let deadline = Deadline::after(WITHIN);
    harness::eventually(WITHIN, "the leaver to be out", async || Ok(left().then_some(()))).await?;
    let there = big();
    eprintln!("the leaver was out after {:?}, with {there} of 129 imported", WITHIN.saturating_sub(deadline.left()));
    assert!(there < 110, "{there} of 129 were imported before the leaver was out");
    world.until_equal(WITHIN).await
}
