//! Reads that are not what they seem never remove anybody.

use anyhow::Result;
use harness::eventually;
use scenarios::{Company, World};
use serde_json::{Value, json};
use twin::engine::fault::FaultKind;

use crate::WITHIN;

/// One group that takes two pages of 200, and small ones.
fn company() -> Company {
    Company::of(230).group("all", 0..230).group("readers", 2..9).group("writers", [1, 3]).with_nested("readers")
}

#[tokio::test(flavor = "multi_thread")]
async fn i02_pages_that_lack_something_remove_nobody() -> Result<()> {
    let world = World::of(&company()).await?;
    world.until_in_sync(WITHIN).await?;
    let before = world.sequence();
    let fail = FaultKind::Fail { status: 503, after: false, plain: false };
    let faults: [(&str, &str, Option<u32>, FaultKind); 8] = [
        ("google.directory", "members.list", None, FaultKind::EmptyPage { keep_next: false }),
        ("google.directory", "members.list", Some(2), fail.clone()),
        ("google.directory", "members.list", Some(1), FaultKind::Truncate),
        ("google.directory", "members.list", None, FaultKind::Shrink { shown_percent: 40 }),
        ("google.directory", "groups.list", None, FaultKind::EmptyPage { keep_next: false }),
        ("google.directory", "users.list", None, FaultKind::EmptyPage { keep_next: false }),
        ("google.directory", "groups.list", None, fail),
        ("google.directory", "users.list", None, FaultKind::Shrink { shown_percent: 40 }),
    ];
    for (family, operation, page, kind) in faults {
        let shown = format!("{kind:?} on {operation}");
        let id = world.fault(family, operation, kind, |fault| fault.page = page);
        world.sync(None).await?;
        let faults = &world.twin.twin.engine.faults;
        eventually(WITHIN, &format!("{shown} to be met"), async || {
            Ok(faults.all().iter().any(|fault| fault.id == id && fault.hits > 0).then_some(()))
        })
        .await?;
        world.until_decided().await?;
        world.no_faults();
        world.sweep().await?;
        world.until_decided().await?;
        assert_eq!(world.removals(before), 0, "{shown}");
        assert_eq!(world.difference(), Vec::<String>::new(), "{shown}");
    }
    world.until_in_sync(WITHIN).await?;
    assert_eq!(world.effects(before), [], "what was sound all the time needed nothing");
    Ok(())
}

/// I2, I3: what really went from the source in one blow waits for a person, every removal of it.
#[tokio::test(flavor = "multi_thread")]
async fn i03_a_source_that_shrank_holds_every_removal_and_lets_additions_pass() -> Result<()> {
    let world = World::of(&company()).await?;
    world.until_in_sync(WITHIN).await?;
    let before = world.sequence();
    let gone = |n| json!({ "op": "member_removed", "group": "grp_all", "id": Company::id(n) });
    let mut changes: Vec<Value> = (0..90).map(gone).collect();
    changes.push(json!({ "op": "member_removed", "group": "grp_readers", "id": Company::id(2) }));
    changes.push(json!({ "op": "member_added", "group": "grp_writers", "id": Company::id(40), "type": "USER", "role": "MEMBER" }));
    world.at_google(Value::Array(changes))?;
    world.sync(None).await?;
    let added = || world.found()["writers"].contains(&Company::email(40));
    eventually(WITHIN, "the addition to pass", async || Ok(added().then_some(()))).await?;
    eventually(WITHIN, "the removals to be held", async || {
        let removals: u64 = world.held().await?.iter().filter_map(|case| case["removals"].as_u64()).sum();
        anyhow::ensure!(removals >= 92, "{removals} removals are held");
        Ok(Some(()))
    })
    .await?;
    world.until_decided().await?;
    // The next sweep finds nothing lost since the one before; that releases nothing.
    world.sweep().await?;
    world.until_decided().await?;
    assert_eq!(world.removals(before), 0, "held is held, for every group");
    let held = world.held().await?;
    assert!(held.iter().all(|case| case["held"].to_string().contains("source-shrink")), "{held:?}");
    // A person looks and releases; then, and only then, it happens.
    let digests: Vec<&Value> = held.iter().map(|case| &case["digest"]).collect();
    world
        .post("cases/verdict", &json!({ "digests": digests, "verdict": "approve", "reason": "a reorganisation" }))
        .await?;
    world.until_equal(WITHIN).await
}
