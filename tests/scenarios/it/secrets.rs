//! I11: what nobody may see is in no log, no answer, no metric and no row outside the mirror.

use anyhow::{Context as _, Result};
use harness::eventually;
use scenarios::{Company, World};
use serde_json::{Value, json};
use twin::engine::fault::FaultKind;
use twin::google::key;

use crate::WITHIN;

/// Rows of everything but the mirror itself, whose business people are; its outbox is on the bus, and so looked at.
const TABLES: &str = "select format('%I.%I', table_schema, table_name) from information_schema.tables \
    where table_type = 'BASE TABLE' and (table_schema in ('plan', 'effect', 'console', 'common') \
    or (table_schema, table_name) = ('directory', 'outbox')) order by 1";

#[tokio::test(flavor = "multi_thread")]
async fn i11_secrets_and_people_are_in_no_log_no_metric_and_no_row_outside_the_mirror() -> Result<()> {
    let world = World::of(&Company::of(12).group("staff", 0..8).group("readers", 3..9)).await?;
    world.until_in_sync(WITHIN).await?;
    // Things go wrong, so that there is something to say: reads, refusals, a poisoned group, a leaver.
    for (family, kind) in [
        ("google.directory", FaultKind::Fail { status: 503, after: false, plain: true }),
        ("google.directory", FaultKind::Html { after: false }),
        ("atlassian.org", FaultKind::Reset { after: true }),
        ("atlassian.org", FaultKind::Fail { status: 400, after: false, plain: false }),
    ] {
        world.fault(family, "*", kind, |fault| fault.times = Some(3));
        world
            .at_google(json!([{ "op": "user_suspended", "id": Company::id(5), "suspended": true },
            { "op": "member_added", "group": "grp_readers", "id": Company::id(11), "type": "USER", "role": "MEMBER" }]))
            .or_else(|_| {
                world.at_google(json!([{ "op": "member_removed", "group": "grp_readers", "id": Company::id(11) }]))
            })?;
        world.sync(Some(&Company::email(5))).await?;
        world.sync(None).await?;
        eventually(WITHIN, "the fault to be met", async || {
            Ok(world.twin.twin.engine.faults.all().iter().any(|fault| fault.hits > 0).then_some(()))
        })
        .await?;
    }
    world.no_faults();
    world.sweep().await?;
    world.until_decided().await?;
    let key = world.twin.service_account_key();
    let key = key["private_key"].as_str().unwrap_or_default().lines().nth(1).unwrap_or_default().to_owned();
    assert!(key.len() > 40);
    let mut canaries = vec![
        "twin-org-key".to_owned(),
        "operator-token-kim".to_owned(),
        key,
        "Given5".to_owned(),
        "Family3".to_owned(),
    ];
    canaries.extend((0..12).map(Company::email));
    let mut seen: Vec<(String, String)> = world.logs().into_iter().map(|line| ("log".to_owned(), line)).collect();
    for address in &world.health {
        for page in ["metrics", "readyz"] {
            let text = harness::http()?.get(format!("{address}/{page}")).send().await?.text().await?;
            assert!(!text.is_empty());
            seen.push((format!("{address}/{page}"), text));
        }
    }
    let sql = world.sql().await?;
    let mut rows_seen = 0;
    for table in sql.query(TABLES, &[]).await? {
        let table: String = table.get(0);
        for row in sql.query(&format!("select t::text from {table} t"), &[]).await? {
            rows_seen += 1;
            seen.push((table.clone(), row.get(0)));
        }
    }
    assert!(rows_seen > 50, "{rows_seen} rows");
    for canary in canaries {
        // Bytes are shown in hexadecimal.
        let bytes: String = canary
            .bytes()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|digit| char::from_digit(digit.into(), 16))
            .collect();
        for (place, text) in &seen {
            assert!(!text.contains(&canary) && !text.contains(&bytes), "{canary} is in {place}: {text}");
        }
    }
    Ok(())
}

/// Parity 1.04: a key that is replaced at Atlassian and in its file is taken over by whoever reads and whoever writes,
/// without a restart; until then everything waits, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn p1_04_a_secret_that_is_replaced_is_taken_over_while_running() -> Result<()> {
    let mut world = World::of(&Company::of(12).group("staff", 0..8)).await?;
    world.until_in_sync(WITHIN).await?;
    let before = world.sequence();
    let key = |secret: &str| {
        for known in
            world.twin.twin.engine.credentials().secrets.iter_mut().filter(|it| it.secret.starts_with("twin-org-key"))
        {
            secret.clone_into(&mut known.secret);
        }
    };
    key("twin-org-key-2");
    world.at_google(
        json!([{ "op": "member_added", "group": "grp_staff", "id": Company::id(9), "type": "USER", "role": "MEMBER" }]),
    )?;
    world.sync(None).await?;
    eventually(WITHIN, "the old key to be refused", async || {
        let refused = |line: &String| line.contains("rollcall.target.halted");
        Ok(world.logs().iter().any(refused).then_some(()))
    })
    .await?;
    assert_eq!(world.effects(before).iter().filter(|(operation, ..)| operation.contains("memberships")).count(), 0);
    std::fs::write(world.folder.path().join("secrets").join("org-key"), "twin-org-key-2\n")?;
    world.until_equal(WITHIN).await?;
    world.sync(None).await?;
    world.until_in_sync(WITHIN).await?;
    for service in [&mut world.watcher, &mut world.writer] {
        service.check_running()?;
    }
    Ok(())
}

/// Parity 1.04: the key file of the service account is replaced while everything runs. While it is wrong the source is
/// blind, with a code of the runbook, and nobody is let in or out; then everything is made up for, without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn p1_04_i02_a_key_file_that_is_replaced_is_taken_over_and_while_it_is_wrong_nothing_is_decided() -> Result<()> {
    let mut world = World::of(&Company::of(12).group("staff", 0..8)).await?;
    world.until_in_sync(WITHIN).await?;
    let (email, id) = ("second@twin.iam.gserviceaccount.com", "100000000000000000002");
    {
        let mut credentials = world.twin.twin.engine.credentials();
        credentials.service_accounts.clear();
        credentials.access_tokens.clear();
        let account = key::service_account(email, id, key::default_scopes());
        credentials.service_accounts.insert(email.to_owned(), account);
    }
    let before = world.sequence();
    world.at_google(json!([
        { "op": "member_added", "group": "grp_staff", "id": Company::id(9), "type": "USER", "role": "MEMBER" },
        { "op": "member_removed", "group": "grp_staff", "id": Company::id(3) },
    ]))?;
    world.sync(None).await?;
    let blind = async || {
        eventually(WITHIN, "the source to be blind", async || {
            let status = world.get("status").await?;
            let all = status.pointer("/tenants/0/directories").and_then(Value::as_array).cloned().unwrap_or_default();
            let blind = all.iter().any(|of| of["directory"] == "workspace" && of["blind"] == true);
            Ok((blind && status["tenants"][0]["sync"] == "unknown").then_some(()))
        })
        .await
    };
    blind().await?;
    world.watcher.lines().find("E0118").context("the code that the runbook explains")?;
    // The wrong file is no better, and says so.
    let file = world.folder.path().join("secrets").join("google.json");
    std::fs::write(&file, "half a ke")?;
    world.sync(None).await?;
    eventually(WITHIN, "the wrong file to be named", async || Ok(world.watcher.lines().find("key file is not one")))
        .await?;
    blind().await?;
    // A whole turn over the blind source: nothing comes of it.
    world.until_decided().await?;
    assert_eq!(world.effects(before), [], "decided from a source that cannot be read");
    let right = key::key_file(email, id, &format!("{}/token", world.twin.google_url()));
    std::fs::write(&file, right.to_string())?;
    world.sync(None).await?;
    world.until_equal(WITHIN).await?;
    world.until_in_sync(WITHIN).await?;
    world.watcher.check_running()
}
