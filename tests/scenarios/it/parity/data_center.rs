//! 2: what the Data Center app does, as far as it is the same for every target: sign-in at the source, people, defaults,
//! what is seen afterwards.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use harness::eventually;
use scenarios::{Company, Options, Outside, WIDE, World};
use serde_json::{Value, json};
use twin::engine::credentials::{Grant, OauthClient};
use twin::engine::fault::FaultKind;
use twin::world::atlassian::SCIM_DIRECTORY;

use super::{in_group, member, people, record, settle, with_people};
use crate::WITHIN;

fn staff() -> Company {
    Company::of(6).group("staff", 0..5)
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_04_an_oauth_web_client_reads_google() -> Result<()> {
    let company = staff();
    let policy = company.policy().replace(
        "service_account = \"file:secrets/google.json\"\nsubject = \"sync@acme.example\"",
        "oauth = { client_id = \"web-1\", client_secret = \"file:secrets/web-secret\", refresh_token = \"file:secrets/refresh\" }",
    );
    let outside = Outside::start(&company.snapshot(), &policy).await?;
    let scope = |name: &str| format!("https://www.googleapis.com/auth/admin.directory.{name}.readonly");
    let scopes: BTreeSet<String> = ["user", "group", "group.member", "user.alias"].map(scope).into();
    let grant = Grant { subject: "sync@acme.example".to_owned(), scopes };
    let client = OauthClient {
        client_id: "web-1".to_owned(),
        client_secret: "web-secret".to_owned(),
        refresh_tokens: BTreeMap::from([("1//refresh".to_owned(), grant)]),
        codes: BTreeMap::new(),
    };
    outside.twin.twin.engine.credentials().oauth_clients.insert("web-1".to_owned(), client);
    for (name, text) in [("web-secret", "web-secret"), ("refresh", "1//refresh")] {
        std::fs::write(outside.folder.path().join("secrets").join(name), text)?;
    }
    settle(&outside).await?;
    assert_eq!(outside.difference(), Vec::<String>::new());
    outside.tell("credentials/revoke", &json!({ "refresh_token": "1//refresh", "access_tokens": true })).await?;
    let revoked = outside.rollcall(&["plan"]).await?;
    assert_eq!(revoked.code, 1, "{}", revoked.err);
    assert!(revoked.err.contains("workspace") && !revoked.err.contains("1//refresh"), "{}", revoked.err);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_07_it_runs_by_hand_whole_and_for_one() -> Result<()> {
    let manual = staff().with_sections("\n[schedule]\nmode = \"manual\"\n");
    let world = World::start(&manual.snapshot(), &manual.policy(), &Options::default()).await?;
    world.sweep().await?;
    world.until_decided().await?;
    world.sync(None).await?;
    world.until_equal(WITHIN).await?;
    // Nothing new goes by itself: what is seen waits for somebody's word.
    world.at_google(json!([member("member_added", "staff", 5)]))?;
    world.sync(Some("staff@acme.example")).await?;
    world.until_equal(WITHIN).await?;
    // One person: of two who left, only the one who was named is taken out, until everybody is looked at.
    let leaves = |n: usize| json!({ "op": "user_suspended", "id": Company::id(n), "suspended": true });
    world.at_google(json!([leaves(1), leaves(2)]))?;
    world.sync(Some(&Company::email(1))).await?;
    eventually(WITHIN, "the named person to be out", async || {
        Ok((!in_group(&world, "staff").contains(&Company::email(1))).then_some(()))
    })
    .await?;
    assert_eq!(in_group(&world, "staff"), people([0, 2, 3, 4, 5]), "nobody else was looked at");
    world.sync(None).await?;
    world.until_equal(WITHIN).await?;
    assert_eq!(in_group(&world, "staff"), people([0, 3, 4, 5]));
    Ok(())
}

/// A world in which both sides are read every three seconds, and nobody asks for anything.
async fn read_by_itself(schedule: &str) -> Result<World> {
    let company = staff().with_sections(schedule);
    let policy = company.policy().replace("lag = \"0s\"", "lag = \"0s\"\nsweep_every = \"3s\"");
    World::start(&company.snapshot(), &policy, &Options::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_06_it_runs_by_interval() -> Result<()> {
    let world = read_by_itself("").await?;
    world.until_equal(WITHIN).await?;
    world.at_google(json!([member("member_added", "staff", 5), member("member_removed", "staff", 0)]))?;
    world.until_equal(WITHIN).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_06_it_runs_by_cron_and_not_before_it_strikes() -> Result<()> {
    // It strikes on the last day of February of a leap year.
    let schedule = "\n[schedule]\ncron = \"0 0 29 2 *\"\n";
    let world = read_by_itself(schedule).await?;
    for _ in 0..2 {
        world.until_read_since(world.now().await?).await?;
        world.until_decided().await?;
    }
    let planned = async || Ok(world.get("plans").await?["plans"][0]["additions"].as_u64().filter(|count| *count > 0));
    eventually(WITHIN, "what is to be done to be planned", planned).await?;
    world.until_read_since(world.now().await?).await?;
    world.until_decided().await?;
    assert_eq!(world.effects(0), [], "sent although the schedule has not struck");

    // What was found goes once it strikes: groups, and who is in them.
    let every_minute = std::fs::read_to_string(world.policy())?.replace("0 0 29 2 *", "* * * * *");
    world.write_policy(&every_minute)?;
    world.until_equal(WITHIN).await
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_09_p3_03_users_come_with_their_groups() -> Result<()> {
    let outside = with_people(&staff().group("readers", 1..3), "").await?;
    settle(&outside).await?;
    for n in 0..6 {
        let (name, email, shown, active) = record(&outside, &Company::id(n)).unwrap_or_default();
        assert_eq!((name, email, active), (Company::email(n), Company::email(n), true));
        assert_eq!(shown, format!("Given{n} Family{n}"));
    }
    assert_eq!((in_group(&outside, "staff"), in_group(&outside, "readers")), (people(0..5), people(1..3)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_10_users_are_updated_and_keep_their_account() -> Result<()> {
    let outside = with_people(&staff(), "").await?;
    settle(&outside).await?;
    let renamed = json!({ "given_name": "Joan", "email": "joan@acme.example" });
    outside.at_google(json!([{ "op": "user_renamed", "id": Company::id(2), "set": renamed }]))?;
    settle(&outside).await?;
    let (name, email, shown, _) = record(&outside, &Company::id(2)).unwrap_or_default();
    assert_eq!((name.as_str(), email.as_str()), ("joan@acme.example", "joan@acme.example"));
    assert_eq!(shown, "Joan Family2");
    let world = outside.twin.twin.world();
    let count = world.atlassian.scim_directory(SCIM_DIRECTORY).map_or(0, |directory| directory.users().count());
    drop(world);
    assert_eq!(count, 7, "nobody was made anew");
    assert_eq!(in_group(&outside, "staff").len(), 5);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_11_users_are_disabled_and_enabled_by_their_state_at_the_source() -> Result<()> {
    let entry = "on_leave = { suspended = \"deactivate\", archived = \"keep\", deleted = \"deactivate\" }";
    let outside = with_people(&staff(), entry).await?;
    settle(&outside).await?;
    let active = |n: usize| record(&outside, &Company::id(n)).map(|(_, _, _, active)| active);
    let change = |op: &str, n: usize, on: bool| {
        let field = if op == "user_archived" { "archived" } else { "suspended" };
        json!([{ "op": op, "id": Company::id(n), field: on }])
    };
    outside.at_google(change("user_suspended", 0, true))?;
    outside.at_google(change("user_archived", 1, true))?;
    outside.at_google(json!([{ "op": "user_deleted", "id": Company::id(2) }]))?;
    settle(&outside).await?;
    assert_eq!((active(0), active(1), active(2)), (Some(false), Some(true), Some(false)));
    assert_eq!(in_group(&outside, "staff"), people([3, 4]), "memberships go in every state");
    outside.at_google(change("user_suspended", 0, false))?;
    outside.at_google(change("user_archived", 1, false))?;
    settle(&outside).await?;
    assert_eq!((active(0), in_group(&outside, "staff")), (Some(true), people([0, 1, 3, 4])));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_12_the_directory_at_the_target_is_chosen() -> Result<()> {
    let outside = with_people(&staff(), "").await?;
    // Another directory of the same organization, with a key of its own.
    outside
        .at_atlassian(&json!([{ "op": "load", "scim_directories": [{ "id": "scim-2", "organization": "org-1" }] }]))
        .await?;
    let policy = std::fs::read_to_string(outside.policy())?.replace(SCIM_DIRECTORY, "scim-2");
    outside.write_policy(&policy)?;
    let refused = outside.rollcall(&["plan"]).await?;
    assert_eq!(refused.code, 1, "a key opens its own directory only: {}", refused.out);
    let secrets = json!([{ "kind": "scim", "realm": "scim-2", "secret": "second-key" }]);
    outside.tell("credentials", &json!({ "secrets": secrets })).await?;
    std::fs::write(outside.folder.path().join("secrets/scim-key"), "second-key")?;
    settle(&outside).await?;
    let world = outside.twin.twin.world();
    let count = |id: &str| world.atlassian.scim_directory(id).map_or(0, |directory| directory.users().count());
    assert_eq!((count(SCIM_DIRECTORY), count("scim-2")), (0, 7), "six people and the administrator");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_12_a_choice_that_no_call_can_make_is_told_with_line_and_remedy() -> Result<()> {
    let company = staff();
    let instance = "\n[directory.jira-dc]\nkind = \"jira-dc\"\nurl = \"https://jira.acme.example\"\n\
        token = \"file:secrets/jira-token\"\nuser_directory = \"Internal\"\nendpoint = \"{atlassian}\"\n";
    let policy = company.clone().with_sections(instance).policy();
    let outside = Outside::start(&company.snapshot(), &policy).await?;
    let said = outside.rollcall(&["policy", "check"]).await?;
    let line = policy.lines().position(|line| line.starts_with("user_directory")).unwrap_or_default() + 1;
    assert_eq!(said.code, 0, "{}", said.err);
    for word in [format!("policy.toml:{line}:"), "`user_directory` has no effect".to_owned(), "crowd".to_owned()] {
        assert!(said.err.contains(&word), "{word:?} is not in {}", said.err);
    }
    outside.write_policy(&policy.replace("user_directory = \"Internal\"\n", ""))?;
    let said = outside.rollcall(&["policy", "check"]).await?;
    assert!(said.code == 0 && !said.err.contains("user_directory"), "{}", said.err);
    Ok(())
}

/// Bitbucket lists its directories: whether the one that is named is the one that is written can be looked up.
#[tokio::test(flavor = "multi_thread")]
async fn p2_12_doctor_says_whether_users_are_made_in_the_directory_that_is_named() -> Result<()> {
    let company = staff();
    let instance = "\n[directory.git]\nkind = \"bitbucket-dc\"\nurl = \"{atlassian}/dc/bitbucket\"\n\
        token = \"file:secrets/git-token\"\nuser_directory = \"Internal\"\n";
    let policy = company.clone().with_sections(instance).policy().replace("to = [\"cloud\"]", "to = [\"git\"]");
    let outside = Outside::start(&company.snapshot(), &policy).await?;
    std::fs::write(outside.folder.path().join("secrets/git-token"), "twin-bitbucket-token")?;
    let other = json!({ "op": "directory", "instance": "bitbucket", "directory": "Second" });
    outside.tell("dc", &other).await?;
    let well = outside.rollcall(&["doctor"]).await?;
    assert_eq!(well.code, 0, "{}{}", well.out, well.err);
    for (named, told) in [("Second", "users are made in \"Internal\""), ("Third", "no active user directory \"Third\"")]
    {
        outside.write_policy(&policy.replace("\"Internal\"", &format!("\"{named}\"")))?;
        let said = outside.rollcall(&["doctor"]).await?;
        assert!(said.code != 0 && said.out.contains(told), "{}{}", said.out, said.err);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_15_p2_16_new_users_and_all_users_get_into_their_default_groups() -> Result<()> {
    let entry = "default_groups = { new = [\"welcome\"], all = [\"everyone\"] }";
    let outside = with_people(&staff(), entry).await?;
    settle(&outside).await?;
    assert_eq!(in_group(&outside, "everyone").intersection(&people(0..6)).count(), 6);
    assert_eq!(in_group(&outside, "welcome").intersection(&people(0..6)).count(), 6);
    // Who joins later is new; who leaves is out of the group for all.
    let joiner = json!({ "op": "user_created", "id": "usr_new", "email": "new@acme.example", "given_name": "N", "family_name": "W" });
    outside.at_google(json!([joiner, { "op": "user_suspended", "id": Company::id(5), "suspended": true }]))?;
    settle(&outside).await?;
    let (all, new) = (in_group(&outside, "everyone"), in_group(&outside, "welcome"));
    assert!(all.contains("new@acme.example") && new.contains("new@acme.example"), "{all:?} {new:?}");
    assert!(!all.contains(&Company::email(5)), "{all:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_21_p3_08_several_identity_providers_fill_one_target() -> Result<()> {
    let (ours, theirs) = (staff(), Company::of(9).group("staff", 6..9).group("lab", 7..9));
    let second = Outside::start(&theirs.snapshot(), &theirs.policy()).await?;
    let other = "\n[directory.subsidiary]\nkind = \"google-workspace\"\nservice_account = \"file:secrets/other.json\"\n\
                 subject = \"sync@acme.example\"\nendpoint = \"{second}\"\nlag = \"0s\"\n";
    let rules = "\n[[sync]]\nname = \"staff of both\"\nfrom = [\"workspace\", \"subsidiary\"]\ngroups = [\"staff@acme.example\"]\n\
                 to = \"cloud\"\ninto = \"all-staff\"\n\n[[sync]]\nname = \"their lab\"\nfrom = \"subsidiary\"\n\
                 groups = [\"lab@acme.example\"]\nto = \"cloud\"\ninto = \"lab\"\n";
    let policy = ours.clone().with_sections(other).policy();
    let policy = policy.split("\n[[sync]]").next().unwrap_or_default().to_owned() + WIDE + rules;
    let all = Company::of(9);
    let outside = Outside::start(&merged(&ours, &all), &policy.replace("{second}", &second.twin.google_url())).await?;
    let key = second.twin.service_account_key().to_string();
    std::fs::write(outside.folder.path().join("secrets/other.json"), key)?;
    settle(&outside).await?;
    assert_eq!(in_group(&outside, "all-staff"), people((0..5).chain(6..9)));
    assert_eq!(in_group(&outside, "lab"), people(7..9));
    second.at_google(json!([member("member_removed", "staff", 8)]))?;
    settle(&outside).await?;
    assert_eq!(in_group(&outside, "all-staff"), people((0..5).chain(6..8)));
    Ok(())
}

/// The groups of the one with the people of the other, so that everybody has an account.
fn merged(groups: &Company, people: &Company) -> Value {
    let mut snapshot = groups.snapshot();
    snapshot["users"] = people.snapshot()["users"].clone();
    snapshot
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_22_a_run_shows_whom_it_made_and_changed() -> Result<()> {
    let outside = with_people(&staff(), "").await?;
    let first = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(first.code, 0, "{}", first.err);
    assert_eq!(first.out.matches("  create  ").count(), 7, "six people and the administrator: {}", first.out);
    settle(&outside).await?;
    outside.at_google(json!([{ "op": "user_renamed", "id": Company::id(1), "set": { "given_name": "Kim" } }]))?;
    let second = outside.rollcall(&["apply", "--yes", "--output", "json"]).await?;
    let said: Value = serde_json::from_str(&second.out)?;
    let steps = super::steps(&said["plan"]);
    assert_eq!(steps.len(), 1, "{steps:?}");
    assert_eq!((&steps[0]["change"]["change"], &steps[0]["person"]), (&json!("update"), &json!(Company::id(1))));
    assert_eq!(said["holds"], 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_23_what_went_wrong_can_be_looked_up_call_by_call() -> Result<()> {
    let company = staff();
    let outside = Outside::start(&company.snapshot(), &company.policy()).await?;
    let refusal = FaultKind::Fail { status: 409, after: false, plain: true };
    outside.fault("atlassian.org", "groups.create", refusal, |_| {});
    let applied = outside.rollcall(&["apply", "--yes", "--journal", "journal"]).await?;
    assert_ne!(applied.code, 0);
    let ledger = std::fs::read_to_string(outside.folder.path().join("journal/ledger.ndjson"))?;
    let lines: Vec<Value> = ledger.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["line"].as_str()).collect();
    assert!(kinds.starts_with(&["begun", "attempt", "answer"]) && kinds.contains(&"outcome"), "{kinds:?}");
    let answer = lines.iter().find(|line| line["line"] == "answer").cloned().unwrap_or_default();
    assert_eq!(answer["status"], 409, "{ledger}");
    // And why somebody is not in a group is told in words.
    let explained = outside.rollcall(&["explain", &Company::email(0), "--group", "staff"]).await?;
    assert!(explained.out.contains("staff"), "{}{}", explained.out, explained.err);
    Ok(())
}
