//! A slice of the real organization's history, while the services run.

use anyhow::Result;
use scenarios::{Options, WIDE, World, real};
use serde_json::{Value, json};

use crate::WITHIN;

const LINES: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_of_the_real_history_ends_equal() -> Result<()> {
    let Some((_, policy, history)) = real()? else { return Ok(()) };
    let empty = json!({ "format": "orgdir-snapshot/1", "users": [], "groups": [] });
    let world = World::start(&empty, &(policy + WIDE), &Options::default()).await?;
    let mut changes = 0;
    for line in history.into_iter().take(LINES) {
        let of_line = line.get("changes").cloned().unwrap_or_default();
        changes += of_line.as_array().map_or(0, Vec::len);
        world.at_google(of_line)?;
        world.sync(None).await?;
    }
    assert!(changes > 500, "{changes} changes");
    // The last request may have met a sweep that had begun before the last change.
    world.sweep().await?;
    world.until_equal(WITHIN).await?;
    world.until_in_sync(WITHIN).await?;
    let held: Vec<Value> = world.held().await?;
    assert!(held.is_empty(), "{held:?}");
    Ok(())
}
