//! Several tenants in one installation: the same services, database and bus, and nothing in common.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use futures_util::StreamExt as _;
use harness::eventually;
use scenarios::{Company, Options, Outside, World};
use serde_json::{Value, json};
use twin::engine::fault::FaultKind;

use crate::WITHIN;

/// Ids of people, groups and directories are the same at both: what is mixed up shows.
fn company(members: std::ops::Range<usize>) -> Company {
    Company::of(8).group("eng", members.clone()).group("ops", members)
}

async fn tenant(world: &World, name: &str) -> Result<Value> {
    let status = world.get(&format!("status?tenant={name}")).await?;
    Ok(status.pointer("/tenants/0").cloned().unwrap_or_default())
}

async fn until(world: &World, name: &str, sync: &str) -> Result<()> {
    eventually(WITHIN, &format!("{name} to be {sync}"), async || {
        let status = tenant(world, name).await?;
        if status["tenant"] == name && status["sync"] == sync {
            return Ok(Some(()));
        }
        bail!("{}: {}", status["sync"], status["why_not"])
    })
    .await
}

/// Rows of a tenant: versions of its directories, its commands, plans and audit entries.
async fn rows(world: &World, name: &str) -> Result<Vec<i64>> {
    let mut rows = Vec::new();
    for query in [
        "select coalesce(sum(version), 0)::bigint from directory.directory where tenant = $",
        "select count(*)::bigint from plan.command where tenant = $",
        "select coalesce(max(number), 0)::bigint from plan.plan where tenant = $",
        "select count(*)::bigint from common.audit where tenant = $",
    ] {
        rows.push(world.one(&query.replace('$', &format!("'{name}'"))).await?);
    }
    Ok(rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tenants_of_one_installation_touch_nothing_of_each_other() -> Result<()> {
    let (acme, globex) = (company(0..3), company(4..8));
    let theirs = globex.policy().replace("tenant = \"acme\"", "tenant = \"globex\"");
    let other = Outside::start(&globex.snapshot(), &theirs).await?;
    let options = Options { tenants: vec![other.policy()], ..Options::default() };
    let world = World::start(&acme.snapshot(), &acme.policy(), &options).await?;
    until(&world, "acme", "in-sync").await?;
    until(&world, "globex", "in-sync").await?;
    assert_eq!((world.difference(), other.difference()), (Vec::new(), Vec::new()));
    assert_ne!(world.found(), other.found());
    assert!(world.get("cases").await.is_err(), "which tenant is meant must be said where there are several");
    // A change of the one is a message, a row and a call of the one.
    let before = (rows(&world, "globex").await?, other.sequence());
    let nats = world.nats.connect().await?;
    let mut heard = nats.subscribe("rollcall.v1.>").await?;
    nats.flush().await?;
    world.at_google(json!([{ "op": "member_added", "group": "grp_eng", "id": Company::id(6), "type": "USER",
        "role": "MEMBER" }]))?;
    world.post("sync?tenant=acme", &json!({ "person": "eng@acme.example" })).await?;
    world.until_equal(WITHIN).await?;
    until(&world, "acme", "in-sync").await?;
    nats.flush().await?;
    drop(nats);
    heard.unsubscribe().await?;
    let mut subjects = BTreeSet::new();
    while let Some(message) = heard.next().await {
        // Who answers a request names nobody.
        if message.subject.starts_with("rollcall.v1.") {
            subjects.insert(message.subject.to_string());
        }
    }
    assert!(subjects.iter().any(|subject| subject.starts_with("rollcall.v1.command.acme.")), "{subjects:?}");
    let of_globex: Vec<&String> = subjects.iter().filter(|subject| subject.contains("globex")).collect();
    assert_eq!(of_globex, Vec::<&String>::new());
    assert_eq!((rows(&world, "globex").await?, other.sequence()), before);
    // Leases are by tenant, and each has its own.
    for name in ["acme", "globex"] {
        let leases = tenant(&world, name).await?["leases"].as_array().cloned().unwrap_or_default();
        let names: Vec<&str> = leases.iter().filter_map(|lease| lease["name"].as_str()).collect();
        let own = [format!("reconciler/{name}"), format!("watcher/{name}/workspace"), format!("writer/{name}/cloud")];
        assert!(own.iter().all(|lease| names.contains(&lease.as_str())), "{names:?}");
        assert!(names.iter().all(|lease| lease.split('/').nth(1) == Some(name)), "{names:?}");
    }
    // What ails the one, and what people decide about it, is the one's alone.
    world.post("pause?tenant=globex", &json!({ "reason": "theirs" })).await?;
    other.fault("google.directory", "*", FaultKind::Unauthorized, |_| {});
    world.post("sync?tenant=globex", &json!({})).await?;
    other.at_atlassian(&json!([{ "op": "member_removed", "group": "eng", "account": Company::email(5) }])).await?;
    world.at_google(json!([{ "op": "member_removed", "group": "grp_ops", "id": Company::id(0) }]))?;
    world.post("sync?tenant=acme", &json!({})).await?;
    world.until_equal(WITHIN).await?;
    until(&world, "acme", "in-sync").await?;
    assert_eq!(tenant(&world, "acme").await?["targets"][0]["paused"], Value::Null);
    assert_eq!(tenant(&world, "globex").await?["targets"][0]["paused"], json!("every target is paused"));
    until(&world, "globex", "unknown").await
}
