//! `plan` and `apply` in one process, without a server.

use anyhow::Result;
use scenarios::{Company, Outside, Said};
use serde_json::{Value, json};
use twin::engine::fault::FaultKind;

fn company() -> Company {
    Company::of(12).group("staff", 0..10).group("readers", 2..6).group("writers", [7]).with_nested("readers")
}

async fn outside(company: &Company) -> Result<Outside> {
    Outside::start(&company.snapshot(), &company.policy()).await
}

const PLAN: [&str; 4] = ["plan", "--detailed-exitcode", "--output", "json"];

/// The plan's canonical part: number and time stand outside it.
fn canonical(said: &Said) -> Result<Value> {
    let mut plan: Value = serde_json::from_str(&said.out)?;
    assert_eq!(plan["schema"], "rollcall.plan/1");
    for outside in ["number", "made_at"] {
        plan.as_object_mut().map(|fields| fields.remove(outside));
    }
    Ok(plan)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_the_same_twice_and_empty_after_it_was_applied() -> Result<()> {
    let outside = outside(&company()).await?;
    let before = outside.sequence();
    let (first, second) = (outside.rollcall(&PLAN).await?, outside.rollcall(&PLAN).await?);
    assert_eq!((first.code, second.code), (2, 2), "{}", first.err);
    assert_eq!(canonical(&first)?, canonical(&second)?);
    assert_eq!(outside.sequence(), before, "a plan changes nothing");
    let applied = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    assert_eq!(outside.difference(), Vec::<String>::new());
    let after = outside.sequence();
    assert_eq!(outside.effects(0).len(), 3 + 10 + 4 + 5, "one call for each group and membership");
    let nothing = outside.rollcall(&PLAN).await?;
    assert_eq!((nothing.code, outside.sequence()), (0, after), "{}", nothing.out);
    // Without the question answered nothing is applied, and without changes there is no question.
    assert_eq!(outside.rollcall(&["apply"]).await?.code, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_applies_exactly_or_is_refused_as_stale() -> Result<()> {
    let outside = outside(&company()).await?;
    let saved = outside.rollcall(&["plan", "--out", "first.plan"]).await?;
    assert_eq!(saved.code, 0, "{}", saved.err);
    outside.at_google(json!([{ "op": "member_added", "group": "grp_staff", "id": Company::id(11), "type": "USER", "role": "MEMBER" }]))?;
    let before = outside.sequence();
    let stale = outside.rollcall(&["apply", "first.plan", "--yes"]).await?;
    assert_eq!(stale.code, 3, "{}{}", stale.out, stale.err);
    assert!(stale.err.contains("stale"), "{}", stale.err);
    assert_eq!(outside.sequence(), before, "nothing of a stale plan is applied");
    outside.rollcall(&["plan", "--out", "second.plan"]).await?;
    let applied = outside.rollcall(&["apply", "second.plan", "--yes"]).await?;
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    assert_eq!(outside.difference(), Vec::<String>::new());
    // What it shows still is as it was, and is not all any more of the group that it names.
    outside.at_google(json!([{ "op": "member_added", "group": "grp_staff", "id": Company::id(10), "type": "USER", "role": "MEMBER" }]))?;
    outside.rollcall(&["plan", "--out", "third.plan"]).await?;
    outside.at_google(json!([{ "op": "member_removed", "group": "grp_staff", "id": Company::id(11) }]))?;
    let before = outside.sequence();
    let stale = outside.rollcall(&["apply", "third.plan", "--yes"]).await?;
    assert_eq!((stale.code, outside.sequence()), (3, before), "{}{}", stale.out, stale.err);
    assert!(stale.err.contains("more is to be changed now at 1 of"), "{}", stale.err);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i04_protected_groups_and_people_and_our_own_account_are_never_in_a_plan() -> Result<()> {
    let guard =
        "\n[guard]\nprotected_people = [\"p00@acme.example\"]\nprotected_groups = [\"org-admins\", \"*-vault-*\"]\n";
    let company = company().group("org-admins", 0..5).group("the-vault-keys", 0..5).with_sections(guard);
    let outside = outside(&company).await?;
    // The owner of our credentials is in a mapped group at Google, and by hand in another one at Atlassian.
    outside.at_google(json!([{ "op": "member_added", "group": "grp_staff", "id": "sync@acme.example", "type": "USER", "role": "MEMBER" }]))?;
    outside
        .at_atlassian(&json!([
            { "op": "group", "name": "org-admins", "members": ["p09@acme.example"] },
            { "op": "group", "name": "readers", "members": ["sync@acme.example", "p00@acme.example"] },
        ]))
        .await?;
    let before = (outside.sequence(), outside.all_found());
    let said = outside
        .rollcall(&["apply", "--yes", "--output", "json", "--override", "conflict", "--reason", "checked"])
        .await?;
    let plan: Value = serde_json::from_str(&said.out)?;
    let untouchable: Vec<String> = {
        let world = outside.twin.twin.world();
        let accounts = world.atlassian.accounts();
        let ids = |email: &str| accounts.with_email(email).to_vec();
        let both = ids("sync@acme.example").into_iter().chain(ids("p00@acme.example"));
        both.filter_map(|index| accounts.get(index)).map(|account| account.id.clone()).collect()
    };
    assert_eq!(untouchable.len(), 2);
    let steps = plan["plan"]["targets"][0]["steps"].to_string();
    for word in untouchable.iter().map(String::as_str).chain(["org-admins", "the-vault-keys"]) {
        assert!(!steps.contains(word), "{word} is in {steps}");
        let touched: Vec<_> = outside.effects(before.0).into_iter().filter(|(_, key, _)| key.contains(word)).collect();
        assert!(touched.is_empty(), "{touched:?}");
    }
    let found = outside.all_found();
    assert_eq!(found.get("org-admins"), before.1.get("org-admins"));
    assert!(!found.contains_key("the-vault-keys"));
    assert_eq!(found["readers"].len(), 4 + 2, "the two that we may not touch stay");
    assert_eq!(found["staff"].len(), 9, "p00 and our own account are not let in");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_was_there_is_held_at_first_contact_until_somebody_overrides() -> Result<()> {
    let outside = outside(&company()).await?;
    outside.at_atlassian(&json!([{ "op": "group", "name": "readers", "members": ["p09@acme.example"] }])).await?;
    let held = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(held.code, 3, "{}{}", held.out, held.err);
    assert_eq!(outside.found()["readers"].iter().collect::<Vec<_>>(), ["p09@acme.example"]);
    assert_eq!(outside.found()["staff"].len(), 10, "the rest is applied");
    let nameless = outside.rollcall(&["apply", "--yes", "--override", "conflict"]).await?;
    assert_eq!(nameless.code, 64, "no override without a reason");
    let released = outside.rollcall(&["apply", "--yes", "--override", "conflict", "--reason", "looked at it"]).await?;
    assert_eq!(released.code, 0, "{}{}", released.out, released.err);
    assert_eq!(outside.difference(), Vec::<String>::new());
    Ok(())
}

/// What a target refuses for good is told with what to do, and nothing else waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn an_apply_of_which_a_target_refuses_a_part_does_the_rest_and_ends_with_4() -> Result<()> {
    let outside = outside(&company()).await?;
    let refuse = || {
        let wrong = FaultKind::Fail { status: 400, after: false, plain: false };
        outside.fault("atlassian.org", "memberships.add", wrong, |fault| fault.times = Some(1));
    };
    refuse();
    let said = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(said.code, 4, "{}{}", said.out, said.err);
    assert!(said.out.contains("; 1 refused by a target") && said.out.contains("[validation]"), "{}", said.out);
    assert_eq!(outside.difference().len(), 1, "everything else is applied: {:?}", outside.difference());
    // In the words of programs, for what is left.
    outside.no_faults();
    refuse();
    let said = outside.rollcall(&["apply", "--yes", "--output", "json"]).await?;
    let document: Value = serde_json::from_str(&said.out)?;
    let refused = document["rejected"].as_array().cloned().unwrap_or_default();
    assert_eq!((said.code, document["holds"].as_u64(), refused.len()), (4, Some(0), 1), "{document}");
    assert_eq!((&refused[0]["target"], &refused[0]["class"]), (&json!("cloud"), &json!("validation")), "{document}");
    outside.no_faults();
    let said = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(outside.difference(), Vec::<String>::new());
    Ok(())
}
