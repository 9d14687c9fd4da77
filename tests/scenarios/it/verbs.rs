//! Verbs of the command line as people type them: what they print, and how they end.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use harness::{Service, eventually, find};
use scenarios::{Company, Outside, World};
use serde_json::{Value, json};

use crate::WITHIN;

async fn outside() -> Result<Outside> {
    let company = Company::of(4).group("staff", 0..3);
    Outside::start(&company.snapshot(), &company.policy()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_can_be_loaded_and_complete_our_verbs() -> Result<()> {
    let outside = outside().await?;
    for (shell, word) in [("bash", "complete "), ("zsh", "#compdef rollcall"), ("fish", "complete -c rollcall")] {
        let said = outside.rollcall(&["completions", shell]).await?;
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{shell}");
        for word in [word, "dead-letters", "redrive"] {
            assert!(said.out.contains(word), "{word:?} is not in the completions for {shell}");
        }
        std::fs::write(outside.folder.path().join(format!("rollcall.{shell}")), &said.out)?;
    }
    // A shell reads them, and asks them what may follow `rollcall dead`.
    let script = "set -e; bash -n rollcall.bash; source ./rollcall.bash; complete -p rollcall\n\
        COMP_WORDS=(rollcall dead); COMP_CWORD=1; _rollcall rollcall dead rollcall; echo \"offers ${COMPREPLY[*]}\"";
    let output = Command::new("bash").args(["--norc", "-c", script]).current_dir(outside.folder.path()).output()?;
    let (printed, told) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    assert!(output.status.success() && printed.contains("offers dead-letters\n"), "{printed}{told}");
    let said = outside.rollcall(&["completions", "sh"]).await?;
    assert!(said.code == 64 && said.err.contains("bash"), "{}{}", said.out, said.err);
    Ok(())
}

/// A Python that has the validator, which this project did not write.
fn validator() -> Option<PathBuf> {
    let has_it = |python: &PathBuf| {
        let output = Command::new(python).args(["-c", "import jsonschema, tomllib"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    [find::repository().join(".dev/venv/bin/python"), PathBuf::from("python3")].into_iter().find(has_it)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_of_the_policy_takes_the_annotated_policy_and_refuses_a_wrong_one() -> Result<()> {
    let outside = outside().await?;
    let said = outside.rollcall(&["policy", "schema"]).await?;
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let schema: Value = serde_json::from_str(&said.out)?;
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["required"], json!(["tenant", "directory"]));
    let Some(python) = validator() else {
        anyhow::ensure!(!find::ci(), "no Python here has `jsonschema`: run ./dev setup");
        eprintln!("no Python here has `jsonschema`: the schema is not held against a policy");
        return Ok(());
    };
    let file = outside.folder.path().join("schema.json");
    std::fs::write(&file, &said.out)?;
    let program = "import json, sys, tomllib, jsonschema\n\
        schema = json.load(open(sys.argv[1])); jsonschema.Draft202012Validator.check_schema(schema)\n\
        policy = tomllib.load(open(sys.argv[2], 'rb'))\n\
        wrong = sorted(str(e.message) for e in jsonschema.Draft202012Validator(schema).iter_errors(policy))\n\
        print('\\n'.join(wrong) if wrong else 'accepted')";
    let judged = |policy: PathBuf| -> Result<String> {
        let output = Command::new(&python).args(["-c", program]).arg(&file).arg(policy).output()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    assert_eq!(judged(find::repository().join("deploy/config/policy.toml"))?, "accepted\n");
    assert_eq!(judged(outside.policy())?, "accepted\n");
    let wrong = std::fs::read_to_string(outside.policy())?.replace("[[sync]]", "[[sync]]\nmembrs = \"exact\"");
    outside.write_policy(&wrong)?;
    let refused = judged(outside.policy())?;
    assert!(refused.contains("membrs"), "{refused}");
    Ok(())
}

/// A twin of its own is all that `plan` and `apply` need: its world, its secrets, its addresses.
#[tokio::test(flavor = "multi_thread")]
async fn a_twin_serves_the_world_of_a_file_to_plan_and_apply() -> Result<()> {
    let outside = outside().await?;
    let before = outside.sequence();
    let company = Company::of(12).group("readers", 2..6).group("writers", [7]).with_nested("readers");
    let file = outside.folder.path().join("world.json");
    std::fs::write(&file, company.snapshot().to_string())?;
    let secrets = outside.folder.path().join("secrets");
    let arguments = [
        "twin".to_owned(),
        format!("--world={}", file.display()),
        format!("--secrets={}", secrets.display()),
        "--google=127.0.0.1:0".to_owned(),
        "--atlassian=127.0.0.1:0".to_owned(),
        "--administrator=sync@acme.example".to_owned(),
    ];
    let mut twin = Service::spawn("rollcall", arguments)?;
    let line = twin.wait_line("the operator's endpoint at", WITHIN).await?;
    let addresses: Vec<&str> = line.split([' ', ',']).filter(|word| word.starts_with("http://")).collect();
    let [google, atlassian, admin] = addresses[..] else { anyhow::bail!("not three addresses: {line}") };
    // It says so before; the secrets are there when it says that they are.
    twin.wait_line("The secrets of a policy for this twin are in", WITHIN).await?;
    let world = async || -> Result<Value> {
        Ok(harness::http()?.get(format!("{admin}/world")).send().await?.error_for_status()?.json().await?)
    };
    let loaded = world().await?;
    let groups = loaded["google"]["groups"].as_array().context("groups")?;
    assert_eq!(
        (groups.len(), loaded["google"]["users"].as_array().map(Vec::len)),
        (2, Some(12 + 1)),
        "with the administrator"
    );
    outside.write_policy(&company.policy().replace("{google}", google).replace("{atlassian}", atlassian))?;
    let said = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let said = outside.rollcall(&["plan", "--detailed-exitcode"]).await?;
    assert_eq!(said.code, 0, "nothing is left: {}{}", said.out, said.err);
    let organization = &world().await?["atlassian"]["organizations"]["org-1"];
    let members = |group: &str| organization["groups"][group]["members"].as_array().map(Vec::len);
    assert_eq!((members("readers"), members("writers")), (Some(4), Some(5)), "{organization}");
    assert_eq!(outside.sequence(), before, "the other twin was asked nothing");
    assert_eq!(twin.stop().await?.code(), Some(0));
    let said =
        outside.rollcall(&["twin", "--world", "none.json", "--google=127.0.0.1:0", "--atlassian=127.0.0.1:0"]).await?;
    assert!(said.code == 64 && said.err.contains("error[E0128]") && said.err.contains("none.json"), "{}", said.err);
    Ok(())
}

/// The open letters as `dead-letters list` tells them.
async fn listed(world: &World) -> Result<Vec<Value>> {
    let said = world.ask(&["dead-letters", "list", "--output", "json"]).await?;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let document: Value = serde_json::from_str(&said.out)?;
    assert_eq!(document["schema"], "rollcall.dead-letters/1");
    Ok(document["letters"].as_array().cloned().unwrap_or_default())
}

/// This person joins this group and cannot be let in, because the account was closed; gives the letter's number.
async fn poisoned(world: &World, person: usize, group: &str) -> Result<String> {
    let known: Vec<Value> = listed(world).await?.into_iter().map(|letter| letter["id"].clone()).collect();
    let closed = json!([{ "op": "account_status", "account": Company::email(person), "status": "closed" }]);
    world.at_atlassian(&closed).await?;
    let join = json!([{ "op": "member_added", "group": format!("grp_{group}"), "id": Company::id(person), "type": "USER", "role": "MEMBER" }]);
    world.at_google(join)?;
    world.sync(Some(&format!("{group}@acme.example"))).await?;
    let letter = eventually(WITHIN, "the letter", async || {
        Ok(listed(world).await?.into_iter().find(|letter| !known.contains(&letter["id"])))
    })
    .await?;
    Ok(number(&letter))
}

/// A letter's number, which is text in the JSON of protocol buffers.
fn number(letter: &Value) -> String {
    letter["id"].as_str().map_or_else(|| letter["id"].to_string(), str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_shown_given_up_and_tried_again_by_their_numbers() -> Result<()> {
    let world = World::of(&Company::of(10).group("one", 4..6).group("two", 4..8)).await?;
    world.until_in_sync(WITHIN).await?;
    let nothing = world.ask(&["dead-letters"]).await?;
    assert_eq!((nothing.code, nothing.out.as_str()), (0, "No dead letters.\n"), "{}", nothing.err);

    let first = poisoned(&world, 0, "one").await?;
    let said = world.ask(&["dead-letters", "list"]).await?;
    for word in ["WHAT TO DO", "cloud", "open", "person", "then redrive"] {
        assert!(said.code == 0 && said.out.contains(word), "{word:?}: {}{}", said.out, said.err);
    }
    let said = world.ask(&["dead-letters", "show", &first]).await?;
    for word in ["ANSWER (REDACTED)", "memberships", "trace "] {
        assert!(said.code == 0 && said.out.contains(word), "{word:?}: {}{}", said.out, said.err);
    }
    let said = world.ask(&["dead-letters", "show", &first, "--output", "json"]).await?;
    let shown: Value = serde_json::from_str(&said.out)?;
    let attempts = shown["attempts"].as_array().map_or(0, Vec::len);
    assert!(shown["schema"] == "rollcall.dead-letter/1" && attempts > 0, "{shown}");
    let said = world.ask(&["dead-letters", "show", "999999"]).await?;
    assert!(said.code == 64 && said.err.contains("error[E0315]"), "{}", said.err);

    // Tried again by its number, after its cause was removed.
    let mended = json!([{ "op": "account_status", "account": Company::email(0), "status": "active" }]);
    world.at_atlassian(&mended).await?;
    let said = world.ask(&["redrive", &first, "--output", "json"]).await?;
    let document: Value = serde_json::from_str(&said.out)?;
    assert_eq!((said.code, &document["schema"]), (0, &json!("rollcall.dead-letter-action/1")), "{document}");
    eventually(WITHIN, "the person to be let in", async || {
        Ok(world.found()["one"].contains(&Company::email(0)).then_some(()))
    })
    .await?;
    eventually(WITHIN, "its letter to be closed", async || {
        let open = listed(&world).await?;
        anyhow::ensure!(open.iter().all(|letter| number(letter) != first), "{open:?}");
        Ok(Some(()))
    })
    .await?;

    // Given up, with a reason. What is wanted all the same is met again, as a letter of another number.
    let second = poisoned(&world, 1, "two").await?;
    assert_ne!(first, second);
    let said = world.ask(&["dead-letters", "discard", &second]).await?;
    assert!(said.code == 64 && said.err.contains("--reason"), "{}", said.err);
    let discard = ["dead-letters", "discard", &second, "--reason", "they have left"];
    let said = world.ask(&discard).await?;
    assert!(said.code == 0 && said.out.starts_with("1 letter given up; 0 closed already"), "{}{}", said.out, said.err);
    eventually(WITHIN, "the letter to be closed", async || {
        Ok(listed(&world).await?.iter().all(|letter| number(letter) != second).then_some(()))
    })
    .await?;
    let said = world.ask(&discard).await?;
    assert!(said.code == 0 && said.out.starts_with("0 letters given up; 1 closed already"), "{}{}", said.out, said.err);
    let recorded = "select count(*)::bigint from common.audit where actor = 'kim' and verb = 'dead-letter.discard' \
                    and cause like '%they have left%'";
    assert_eq!(world.one(recorded).await?, 1);
    Ok(())
}
