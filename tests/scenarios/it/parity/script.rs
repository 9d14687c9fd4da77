//! 1: what the script does.

use anyhow::Result;
use scenarios::{Company, Outside};
use serde_json::{Value, json};
use twin::engine::fault::FaultKind;

use super::{in_group, member, people, planned, settle, steps};

async fn start(company: &Company) -> Result<Outside> {
    Outside::start(&company.snapshot(), &company.policy()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_01_every_source_group_is_listed_over_all_pages() -> Result<()> {
    // Google gives at most 200 groups a page.
    let company = (0..430).fold(Company::of(3), |company, n| company.group(&format!("g{n:03}"), [n % 3]));
    let outside = start(&company).await?;
    let plan = planned(&outside).await?;
    let made: Vec<String> = steps(&plan)
        .iter()
        .filter(|step| step["step"] == "create-group")
        .map(|step| step["name"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(made.len(), 430, "{made:?}");
    assert!((0..430).all(|n| made.contains(&format!("g{n:03}"))));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_02_p1_03_missing_groups_are_made_and_both_sides_become_equal() -> Result<()> {
    let outside = start(&Company::of(8).group("staff", 0..6).group("empty", [])).await?;
    assert!(!outside.all_found().contains_key("staff"), "it is not there before");
    settle(&outside).await?;
    assert_eq!(in_group(&outside, "staff"), people(0..6));
    assert!(outside.all_found().contains_key("empty"), "a group without members is a group");
    outside.at_google(json!([member("member_added", "staff", 7), member("member_removed", "staff", 0)]))?;
    assert_eq!(outside.difference().len(), 2);
    settle(&outside).await?;
    assert_eq!(outside.difference(), Vec::<String>::new());
    assert_eq!(in_group(&outside, "staff"), people([1, 2, 3, 4, 5, 7]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_04_keys_stay_out_of_output_and_are_replaced_in_their_files() -> Result<()> {
    let outside = start(&Company::of(4).group("staff", 0..3)).await?;
    let key = outside.folder.path().join("secrets/org-key");
    std::fs::write(&key, "an-old-key-4711")?;
    let refused = outside.rollcall(&["plan"]).await?;
    assert_eq!(refused.code, 1);
    std::fs::write(&key, "twin-org-key")?;
    let applied = outside.rollcall(&["apply", "--yes", "--output", "json"]).await?;
    assert_eq!(applied.code, 0, "the same program, another file: {}", applied.err);
    for said in [refused, applied] {
        for secret in ["an-old-key-4711", "twin-org-key", "PRIVATE KEY"] {
            assert!(!said.out.contains(secret) && !said.err.contains(secret), "{secret}");
        }
    }
    // A key in the policy itself is refused, and not shown.
    let text = std::fs::read_to_string(outside.policy())?;
    outside.write_policy(&text.replace("file:secrets/org-key", "ATATT-literal-key"))?;
    let literal = outside.rollcall(&["policy", "check"]).await?;
    assert_eq!(literal.code, 64);
    assert!(literal.err.contains("E0206") && !literal.err.contains("ATATT"), "{}", literal.err);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_06_one_bad_group_is_told_and_does_not_stop_the_rest() -> Result<()> {
    let outside = start(&Company::of(8).group("staff", 0..6).group("poisoned", 0..3).group("readers", 2..5)).await?;
    settle(&outside).await?;
    let id = outside.twin.twin.world().atlassian.dump()["organizations"]["org-1"]["groups"]["poisoned"]["id"].clone();
    let id = id.as_str().unwrap_or_default().to_owned();
    outside.fault("atlassian.org", "memberships.*", FaultKind::NotFound, |fault| fault.target.clone_from(&id));
    let joins = ["poisoned", "readers", "staff"].map(|group| member("member_added", group, 7));
    outside.at_google(json!(joins))?;
    let applied = outside.rollcall(&["apply", "--yes"]).await?;
    assert_ne!(applied.code, 0, "{}{}", applied.out, applied.err);
    assert!(applied.out.contains(&id), "the bad one is named: {}", applied.out);
    let found = ["staff", "readers", "poisoned"].map(|group| in_group(&outside, group).contains("p07@acme.example"));
    assert_eq!(found, [true, true, false]);
    outside.no_faults();
    settle(&outside).await?;
    assert_eq!(outside.difference(), Vec::<String>::new(), "and it heals by itself");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_07_audits_say_who_changed_what_when_and_why() -> Result<()> {
    let outside = start(&Company::of(8).group("staff", 0..6)).await?;
    outside.at_atlassian(&json!([{ "op": "group", "name": "staff", "members": ["p07@acme.example"] }])).await?;
    let arguments = ["apply", "--yes", "--override", "conflict", "--reason", "ticket 4711", "--journal", "journal"];
    assert_eq!(outside.rollcall(&arguments).await?.code, 0);
    let read = |name: &str| -> Result<Vec<Value>> {
        let text = std::fs::read_to_string(outside.folder.path().join("journal").join(name))?;
        Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
    };
    let audit = read("audit.ndjson")?;
    let verbs: Vec<&str> = audit.iter().filter_map(|line| line["verb"].as_str()).collect();
    assert_eq!(verbs[..2], ["override", "apply"]);
    assert_eq!(verbs.last(), Some(&"applied"));
    // Between them stands one line for each change at Atlassian.
    assert_eq!(verbs.len(), 3 + outside.effects(0).len(), "{verbs:?}");
    assert!(audit.iter().all(|line| !line["actor"].as_str().unwrap_or_default().is_empty() && line["at"].is_string()));
    assert_eq!(audit[0]["detail"]["reason"], "ticket 4711");
    assert!(audit.iter().skip(1).all(|line| line["before"] != audit[0]["before"]), "each line holds the one before");
    // Every effect at Atlassian has its attempt before it, and its outcome.
    let ledger = read("ledger.ndjson")?;
    let attempts = ledger.iter().filter(|line| line["line"] == "attempt").count();
    assert_eq!(attempts, outside.effects(0).len(), "one attempt for each change");
    Ok(())
}
