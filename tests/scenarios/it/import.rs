//! The first import.

use anyhow::Result;
use harness::find;
use scenarios::{Company, Options, World, real, real_of};
use serde_json::Value;

use crate::WITHIN;

/// The real organization, or a made-up one where the data are absent.
#[tokio::test(flavor = "multi_thread")]
async fn i10_the_real_organization_fills_every_mapped_group() -> Result<()> {
    imported(real()?).await
}

/// Where the data are absent a small world stands in for them, and says so; where they must be there, nothing does.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_made_up_world_stands_in_for_absent_data_but_never_with_ci() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let absent = folder.path().join("shared");
    let failed = find::shared_at(&absent, true).map_err(|error| error.to_string());
    assert!(failed.as_ref().is_err_and(|said| said.contains("CI=true") && said.contains("absent")), "{failed:?}");
    assert!(find::shared_at(folder.path(), true)?.is_some(), "what is there is used");
    imported(real_of(find::shared_at(&absent, false)?)?).await
}

async fn imported(real: Option<(Value, String, Vec<Value>)>) -> Result<()> {
    let (snapshot, policy, least) = match real {
        Some((snapshot, policy, _)) => (snapshot, policy, 1_000),
        None => (made_up().snapshot(), made_up().policy(), 50),
    };
    let world = World::start(&snapshot, &policy, &Options::default()).await?;
    world.until_equal(WITHIN).await?;
    let memberships: usize = world.found().values().map(std::collections::BTreeSet::len).sum();
    assert!(memberships >= least, "{memberships} memberships");
    assert_eq!(world.found(), world.wanted(), "every mapped group has exactly its flattened members");
    world.until_in_sync(WITHIN).await?;
    // I10: converged means that nothing more is written.
    let before = world.sequence();
    for _ in 0..3 {
        world.sweep().await?;
    }
    world.until_in_sync(WITHIN).await?;
    assert_eq!(world.sequence(), before, "{:?}", world.effects(before));
    // I6: as many effects as there are memberships and groups; nothing was done twice.
    let groups = world.wanted().len();
    assert_eq!(world.effects(0).len(), memberships + groups);
    Ok(())
}

/// What stands in for the real organization where its data are absent.
pub(crate) fn made_up() -> Company {
    let company = Company::of(40).group("all-staff", 0..30).group("readers", 5..20);
    company.group("writers", [1, 2, 3]).with_nested("readers").group("empty", [])
}
