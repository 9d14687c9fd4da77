//! 5: what Atlassian's own provisioning does: conflicts compared, reviewed, synced one by one or all at once; status; proof.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use harness::eventually;
use scenarios::{Beginning, Company, Options, WIDE, World};
use serde_json::{Value, json};

use super::{in_group, member, people, record, settle, with_people};
use crate::WITHIN;

const JIRA: &str = "ari:cloud:jira-software::site/acme";

/// An organization with Jira, and these groups made by hand there before anybody looks; the first gives Jira.
fn by_hand(groups: &[(&str, &[usize])]) -> Vec<Value> {
    let product = json!({ "resource": JIRA, "key": "jira-software", "name": "Jira", "site": "acme", "seats": 500 });
    let mut edits = vec![json!({ "op": "load", "organizations": [
        { "id": "org-1", "name": "Acme", "directory": "dir-1", "products": [product] }] })];
    for (at, (name, members)) in groups.iter().enumerate() {
        let members: Vec<String> = members.iter().map(|n| Company::email(*n)).collect();
        let roles = if at == 0 { json!([[JIRA, "atlassian/user"]]) } else { json!([]) };
        edits.push(json!({ "op": "group", "name": name, "members": members, "roles": roles }));
    }
    edits
}

async fn world(company: &Company, groups: &[(&str, &[usize])]) -> Result<World> {
    let beginning = Beginning { edits: by_hand(groups), ..Beginning::default() };
    let options = Options { beginning, ..Options::default() };
    World::start(&company.snapshot(), &company.policy(), &options).await
}

/// Waits until so many groups are in conflict; gives them as the operators' API has them.
async fn conflicts(world: &World, count: usize) -> Result<Vec<Value>> {
    eventually(WITHIN, &format!("{count} groups to be in conflict"), async || {
        let list = world.get("conflicts").await?;
        let list = list["conflicts"].as_array().cloned().unwrap_or_default();
        let waiting = list.iter().filter(|conflict| conflict["state"] == "waiting").count();
        if waiting == count {
            return Ok(Some(list));
        }
        bail!("{waiting}: {list:?}")
    })
    .await
}

async fn status(world: &World) -> Result<Value> {
    Ok(world.get("status").await?.pointer("/tenants/0").cloned().unwrap_or_default())
}

async fn until_group(world: &World, name: &str, wanted: impl IntoIterator<Item = usize>) -> Result<()> {
    let wanted = people(wanted);
    eventually(WITHIN, &format!("{name} to be as wanted"), async || {
        let found = in_group(world, name);
        if found == wanted {
            return Ok(Some(()));
        }
        bail!("{found:?}")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_01_p5_02_groups_in_conflict_are_counted_and_shown_with_product_site_and_people() -> Result<()> {
    let company = Company::of(8).group("eng", 0..4).group("ops", 2..5).group("new", 0..2);
    let world = world(&company, &[("eng", &[0, 1, 6]), ("ops", &[7]), ("theirs", &[5])]).await?;
    let list = conflicts(&world, 2).await?;
    let tenant = status(&world).await?;
    assert_eq!((&tenant["conflicts"], &tenant["targets"][0]["conflicts"]), (&json!(2), &json!(2)), "{tenant}");
    assert_eq!(tenant["in_sync"], json!(false));
    let eng = list.iter().find(|conflict| conflict["name"] == "eng").context("eng is in conflict")?;
    assert_eq!((&eng["target"], &eng["additions"], &eng["removals"]), (&json!("cloud"), &json!(2), &json!(1)));
    assert_eq!(eng["gives"], json!([{ "product": "jira-software", "site": "https://acme.atlassian.net" }]));
    let ops = list.iter().find(|conflict| conflict["name"] == "ops").context("ops is in conflict")?;
    assert_eq!((&ops["gives"], &ops["additions"], &ops["removals"]), (&json!([]), &json!(3), &json!(1)));
    // The same for people at a terminal; person by person on request.
    let table = world.ask(&["review", "--conflicts"]).await?;
    for part in ["eng", "jira-software", "https://acme.atlassian.net", "-1 +2", "2 groups in conflict"] {
        assert!(table.out.contains(part), "{part:?} is not in {}{}", table.out, table.err);
    }
    assert!(!table.out.contains("theirs"), "what no rule names is no conflict: {}", table.out);
    let detail = world.ask(&["review", "cloud/eng", "--output", "json"]).await?;
    let detail: Value = serde_json::from_str(&detail.out).with_context(|| detail.err.clone())?;
    let of = |op: &str| -> std::collections::BTreeSet<String> {
        let changes = detail["changes"].as_array().into_iter().flatten().filter(|change| change["op"] == op);
        changes.filter_map(|change| change["email"].as_str().map(str::to_ascii_lowercase)).collect()
    };
    assert_eq!((of("remove"), of("add"), &detail["unchanged"]), (people([6]), people([2, 3]), &json!(2)), "{detail}");
    // And without a server, in the plan of one run.
    let plan = world.rollcall(&["plan", "--full", "--journal", "apart"]).await?;
    for part in
        ["2 groups in conflict", "gives jira-software (https://acme.atlassian.net); 1 would be removed, 2 added"]
    {
        assert!(plan.out.contains(part), "{part:?} is not in {}{}", plan.out, plan.err);
    }
    // Nothing of a group in conflict moves, and nothing waits with it.
    until_group(&world, "new", 0..2).await?;
    assert_eq!((in_group(&world, "eng"), in_group(&world, "ops")), (people([0, 1, 6]), people([7])));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_03_p5_05_one_group_is_synced_after_review_and_one_is_kept_as_the_target_has_it() -> Result<()> {
    let company = Company::of(8).group("eng", 0..4).group("ops", 2..5).group("lab", 5..8);
    let world = world(&company, &[("eng", &[0, 6]), ("ops", &[7]), ("lab", &[0])]).await?;
    conflicts(&world, 3).await?;
    let said = world.ask(&["approve", "cloud/eng", "--reason", "reviewed"]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    until_group(&world, "eng", 0..4).await?;
    assert_eq!((in_group(&world, "ops"), in_group(&world, "lab")), (people([7]), people([0])), "one, and no other");
    let said = world.ask(&["reject", "cloud/ops", "--reason", "theirs"]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    conflicts(&world, 1).await?;
    // It stays the target's, whatever changes at either side.
    world.at_google(json!([member("member_added", "ops", 6)]))?;
    world.at_atlassian(&json!([{ "op": "member_added", "group": "ops", "account": Company::email(1) }])).await?;
    world.sweep().await?;
    world.until_decided().await?;
    let list = conflicts(&world, 1).await?;
    let kept = list.iter().find(|conflict| conflict["name"] == "ops").context("ops is listed")?;
    assert_eq!(kept["state"], "keep-apart");
    assert_eq!(in_group(&world, "ops"), people([1, 7]));
    // What was decided for good is no drift; and it can be taken back.
    let said = world.ask(&["approve", "cloud/lab", "--reason", "reviewed"]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    until_group(&world, "lab", 5..8).await?;
    eventually(WITHIN, "the rest to be in sync", async || {
        let tenant = status(&world).await?;
        if tenant["in_sync"] == json!(true) { Ok(Some(())) } else { bail!("{}", tenant["why_not"]) }
    })
    .await?;
    let said = world.ask(&["approve", "cloud/ops", "--reason", "ours after all"]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    until_group(&world, "ops", [2, 3, 4, 6]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_04_all_groups_in_conflict_are_synced_at_once() -> Result<()> {
    const GROUPS: usize = 45;
    let names: Vec<String> = (0..GROUPS).map(|n| format!("g{n:02}")).collect();
    let company = names.iter().fold(Company::of(6), |company, name| company.group(name, 0..3));
    let theirs: Vec<(&str, &[usize])> = names.iter().map(|name| (name.as_str(), [4, 5].as_slice())).collect();
    let world = world(&company, &theirs).await?;
    conflicts(&world, GROUPS).await?;
    let said = world.ask(&["approve", "--conflicts", "--reason", "all reviewed"]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(said.out.matches(" approved: ").count(), GROUPS, "not by twenty: {}", said.out);
    world.until_equal(WITHIN).await?;
    conflicts(&world, 0).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_07_status_tells_users_groups_last_and_next_sync_and_syncs_now() -> Result<()> {
    let company = Company::of(7).group("eng", 0..4).group("ops", 2..5);
    let world = World::of(&company).await?;
    world.until_in_sync(WITHIN).await?;
    // A watcher writes when it reads next after what it has read, and a decision may be quicker.
    let first = eventually(WITHIN, "both directories to say when they are read next", async || {
        let status = status(&world).await?;
        let said =
            status["directories"].as_array().is_some_and(|rows| rows.iter().all(|row| row["next_read_at"].is_string()));
        Ok(said.then_some(status))
    })
    .await?;
    let source = first["directories"].as_array().into_iter().flatten().find(|row| row["directory"] == "workspace");
    let source = source.context("the source is a directory")?;
    // Everybody and the administrator.
    assert_eq!((&source["users"], &source["groups"], &source["memberships"]), (&json!(8), &json!(2), &json!(7)));
    let read_at = |status: &Value| status["last_sync_at"].as_str().map(str::to_owned);
    let (last, next) =
        (read_at(&first).context("there was a sync")?, first["next_sync_at"].as_str().unwrap_or_default());
    assert!(next > last.as_str(), "six hours later: {last} {next}");
    assert_eq!(first["schedule"], "continuous");
    let said = world.ask(&["status"]).await?;
    for part in [format!("last sync {last}"), format!("next {next}"), "now: rollcall sync".to_owned()] {
        assert!(said.out.contains(&part), "{part:?} is not in {}", said.out);
    }
    // Now, by hand.
    assert_eq!(world.ask(&["sync"]).await?.code, 0);
    eventually(WITHIN, "a later sync", async || {
        let again = status(&world).await?;
        Ok((read_at(&again) > Some(last.clone()) && again["next_sync_at"].as_str() > Some(next)).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_08_syncing_is_stopped_without_taking_access_away() -> Result<()> {
    let company = Company::of(7).group("eng", 0..4).group("ops", 2..5).with_sections(WIDE);
    let world = World::of(&company).await?;
    world.until_in_sync(WITHIN).await?;
    let before = world.found();
    // For a while: a pause. What happens at the source waits.
    let said = world.ask(&["pause", "cloud", "--reason", "we move"]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let sequence = world.sequence();
    world.at_google(json!([member("member_removed", "eng", 0), { "op": "group_deleted", "id": "grp_ops" }]))?;
    world.sweep().await?;
    world.until_decided().await?;
    assert_eq!((world.effects(sequence), in_group(&world, "eng")), (Vec::new(), people(0..4)));
    let said = world.ask(&["status"]).await?;
    assert!(said.out.contains("PAUSED"), "{}", said.out);
    // For good: no rule fills the target any more. That so much is no longer managed waits for a person.
    let rest = "\n[[sync]]\nname = \"nothing\"\nfrom = \"workspace\"\ngroups = [\"nobody-*\"]\nto = \"cloud\"\n";
    let text = company.policy();
    world.write_policy(&(text.split("\n[[sync]]").next().unwrap_or_default().to_owned() + rest))?;
    let held = eventually(WITHIN, "the new policy to be held", async || {
        Ok(world.held().await?.into_iter().find(|case| case["kind"] == "policy"))
    })
    .await?;
    let digest = held["digest"].as_str().context("a case has a digest")?;
    let said = world.ask(&["approve", digest, "--reason", "we leave"]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    eventually(WITHIN, "the new policy to be in force", async || {
        let cases = world.get("cases?state=all").await?;
        let cases = cases["cases"].as_array().cloned().unwrap_or_default();
        Ok(cases.iter().all(|case| case["kind"] != "policy").then_some(()))
    })
    .await?;
    world.until_decided().await?;
    assert_eq!(world.ask(&["resume", "cloud", "--reason", "we moved"]).await?.code, 0);
    world.sweep().await?;
    world.until_decided().await?;
    assert_eq!((world.effects(sequence), world.all_found().get("eng")), (Vec::new(), before.get("eng")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_09_all_users_are_provisioned_or_those_of_selected_groups() -> Result<()> {
    let company = Company::of(8).group("eng", 0..3).group("club", 3..5);
    let outside = with_people(&company, "who = \"members\"").await?;
    let selected = std::fs::read_to_string(outside.policy())?.replace("groups = [\"*\"]", "groups = [\"eng@*\"]");
    outside.write_policy(&selected)?;
    settle(&outside).await?;
    let there = |n: usize| record(&outside, &Company::id(n)).is_some_and(|(_, _, _, active)| active);
    assert_eq!((0..8).filter(|n| there(*n)).collect::<Vec<_>>(), [0, 1, 2], "of the selected group");
    outside.at_google(json!([member("member_added", "eng", 6), member("member_removed", "eng", 0)]))?;
    settle(&outside).await?;
    assert_eq!((0..8).filter(|n| there(*n)).collect::<Vec<_>>(), [0, 1, 2, 6], "who leaves keeps the account");
    assert_eq!(in_group(&outside, "eng"), people([1, 2, 6]), "and not the membership");
    outside.write_policy(&selected.replace("who = \"members\"", "who = \"all\""))?;
    settle(&outside).await?;
    assert_eq!((0..8).filter(|n| there(*n)).count(), 8);
    // Members of nothing are nobody.
    outside.write_policy(&selected.replace("to = [\"cloud-idp\"]", "to = [\"cloud\"]"))?;
    let refused = outside.rollcall(&["policy", "check"]).await?;
    assert_eq!(refused.code, 64, "{}", refused.err);
    assert!(refused.err.contains("`who`") && refused.err.contains("policy.toml:"), "{}", refused.err);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_10_both_sides_are_proved_equal_and_nothing_is_said_that_is_not_known() -> Result<()> {
    let company = Company::of(7).group("eng", 0..4).group("ops", 2..5);
    let mut world = World::of(&company).await?;
    world.until_in_sync(WITHIN).await?;
    let digests = |status: &Value| {
        let of = |key: &str| status["targets"][0][key].as_str().unwrap_or_default().to_owned();
        (of("wanted_digest"), of("observed_digest"))
    };
    let equal = status(&world).await?;
    let (wanted, observed) = digests(&equal);
    assert!(wanted.len() == 64 && wanted == observed && equal["targets"][0]["as_of"].is_string(), "{equal}");
    let said = world.ask(&["status", "--check"]).await?;
    assert_eq!(said.code, 0, "{}", said.out);
    assert!(said.out.contains(&format!("{} on both sides", wanted.get(..12).unwrap_or_default())), "{}", said.out);
    // One membership more at the target, and nobody who may repair it: the digests differ, and say so.
    world.post("pause", &json!({ "reason": "look" })).await?;
    world.at_atlassian(&json!([{ "op": "member_added", "group": "eng", "account": Company::email(6) }])).await?;
    world.sync(None).await?;
    let drifted = eventually(WITHIN, "the difference to be seen", async || {
        let status = status(&world).await?;
        Ok((status["targets"][0]["sync"] == "drifted").then_some(status))
    })
    .await?;
    let (still, other) = digests(&drifted);
    assert!(still == wanted && other != wanted && drifted["in_sync"] == json!(false), "{drifted}");
    world.post("resume", &json!({ "reason": "looked" })).await?;
    world.until_in_sync(WITHIN).await?;
    assert_eq!(digests(&status(&world).await?), (wanted.clone(), wanted));
    // Nobody is there who would notice a difference: what was equal is not said to be.
    world.reconciler.kill();
    eventually(Duration::from_secs(30), "it to be unknown", async || {
        Ok((status(&world).await?["sync"] == "unknown").then_some(()))
    })
    .await?;
    let said = world.ask(&["status", "--check"]).await?;
    assert_eq!(said.code, 1, "{}", said.out);
    assert!(said.out.contains("unknown") && !said.out.contains("on both sides"), "{}", said.out);
    Ok(())
}
