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

/// What is listed at Google: the operation, how the store calls that scope, and how many rows the longest list has.
const USERS: (&str, u8, usize) = ("users.list", 0, 231);
const GROUPS: (&str, u8, usize) = ("groups.list", 1, 3);
const MEMBERS: (&str, u8, usize) = ("members.list", 2, 230);

/// How the store has a read that a fault broke.
#[derive(Clone, Copy)]
enum Stored {
    /// As one that did not come to its end.
    Partial,
    /// As a whole one, with fewer rows than there are: nothing in the answers shows it, and every loss is asked for by
    /// itself.
    Short,
}

#[tokio::test(flavor = "multi_thread")]
async fn i02_pages_that_lack_something_remove_nobody() -> Result<()> {
    let world = World::of(&company()).await?;
    world.until_in_sync(WITHIN).await?;
    let before = world.sequence();
    let fail = FaultKind::Fail { status: 503, after: false, plain: false };
    let faults = [
        (MEMBERS, None, FaultKind::EmptyPage { keep_next: false }, Stored::Short),
        (MEMBERS, Some(2), fail.clone(), Stored::Partial),
        (MEMBERS, Some(1), FaultKind::Truncate, Stored::Short),
        (MEMBERS, None, FaultKind::Shrink { shown_percent: 40 }, Stored::Short),
        (GROUPS, None, FaultKind::EmptyPage { keep_next: false }, Stored::Partial),
        (USERS, None, FaultKind::EmptyPage { keep_next: false }, Stored::Partial),
        (GROUPS, None, fail, Stored::Partial),
        (USERS, None, FaultKind::Shrink { shown_percent: 40 }, Stored::Partial),
    ];
    for ((operation, scope, rows), page, kind, stored) in faults {
        let shown = format!("{kind:?} on {operation}");
        let id = world.fault("google.directory", operation, kind, |fault| fault.page = page);
        let began = world.now().await?;
        world.sync(None).await?;
        // A call is tried several times, so the fault stays until a read that it broke is committed and decided upon.
        let broken = match stored {
            Stored::Partial => "not r.complete".to_owned(),
            Stored::Short => format!("r.complete and r.rows_now < {rows}"),
        };
        let stored_as = format!(
            "select coalesce(max(r.version), 0) from directory.scope_read r join directory.directory d on d.key = r.dir
              where d.directory = 'workspace' and r.kind = {scope} and r.group_id in ('', 'grp_all')
                and r.began_at >= {began} and {broken}"
        );
        let version = eventually(WITHIN, &format!("a broken read to be committed: {shown}"), async || {
            Ok(Some(world.one(&stored_as).await?).filter(|version| *version > 0))
        })
        .await?;
        let faults = &world.twin.twin.engine.faults;
        assert!(faults.all().iter().any(|fault| fault.id == id && fault.hits > 0), "{shown}");
        let decided = "select version from plan.progress where directory = 'workspace'";
        let answered = format!("select count(*) from directory.corroboration where answer = 1 and read_at >= {began}");
        eventually(WITHIN, &format!("it to be decided upon: {shown}"), async || {
            let is_asked = matches!(stored, Stored::Partial) || world.one(&answered).await? > 0;
            Ok((is_asked && world.one(decided).await? >= version).then_some(()))
        })
        .await?;
        assert_eq!(world.removals(before), 0, "{shown}, while it lasted");
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
