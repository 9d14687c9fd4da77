//! A slice of the real organization's history, while the services run; where the data are absent, the whole of a small
//! made-up one.

use anyhow::Result;
use harness::find;
use scenarios::{Company, Options, WIDE, World, real, real_of};
use serde_json::{Value, json};

use crate::WITHIN;

/// So many lines of the real history.
const LINES: usize = 60;
/// What stands in for it: kept in the repository, in the same format.
const MADE_UP: &str = include_str!("../made-up/history.jsonl");

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_of_the_real_history_ends_equal() -> Result<()> {
    replayed(real()?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_made_up_history_stands_in_for_absent_data_and_ends_equal() -> Result<()> {
    let folder = tempfile::tempdir()?;
    replayed(real_of(find::shared_at(&folder.path().join("shared"), false)?)?).await
}

async fn replayed(real: Option<(Value, String, Vec<Value>)>) -> Result<()> {
    let (policy, history, least) = if let Some((_, policy, history)) = real {
        (policy, history, 500)
    } else {
        let history = MADE_UP.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        (Company::of(0).policy(), history, 80)
    };
    let empty = json!({ "format": "orgdir-snapshot/1", "users": [], "groups": [] });
    let world = World::start(&empty, &(policy + WIDE), &Options::default()).await?;
    let mut changes = 0;
    for line in history.into_iter().take(LINES) {
        let of_line = line.get("changes").cloned().unwrap_or_default();
        changes += of_line.as_array().map_or(0, Vec::len);
        world.at_google(of_line)?;
        world.sync(None).await?;
    }
    assert!(changes > least, "{changes} changes");
    // The last request may have met a sweep that had begun before the last change.
    world.sweep().await?;
    world.until_equal(WITHIN).await?;
    world.until_in_sync(WITHIN).await?;
    let held: Vec<Value> = world.held().await?;
    assert!(held.is_empty(), "{held:?}");
    Ok(())
}
