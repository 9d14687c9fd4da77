//! 2.08: whoever signs in has at once what the source says.

use std::time::Duration;

use anyhow::{Result, bail};
use harness::eventually;
use scenarios::{Company, World};
use serde_json::json;

use super::{in_group, member, people};
use crate::WITHIN;

/// Sweeps are hours apart, and a page that opens is looked at again within seconds.
const SECONDS: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn p2_08_whoever_signs_in_is_synced_within_seconds() -> Result<()> {
    let company = Company::of(6).group("eng", 0..2).group("ops", 2..4);
    let world = World::of(&company).await?;
    world.until_in_sync(WITHIN).await?;
    let until = async |name: &str, wanted: &[usize]| {
        let wanted = people(wanted.iter().copied());
        eventually(SECONDS, &format!("{name} to be as the source says"), async || {
            let found = in_group(&world, name);
            if found == wanted { Ok(Some(())) } else { bail!("{found:?}") }
        })
        .await
    };
    // A joiner has access when the page opens, and somebody who moved has the other.
    world.at_google(json!([member("member_added", "eng", 4), member("member_removed", "ops", 3)]))?;
    let said = world.post("hints/sign-in", &json!({ "person": Company::email(4) })).await?;
    assert_eq!(said["message"], "heard");
    until("eng", &[0, 1, 4]).await?;
    assert_eq!(in_group(&world, "ops"), people([2, 3]), "one person, and nobody else");
    world.post("hints/sign-in", &json!({ "person": Company::email(3).to_uppercase() })).await?;
    until("ops", &[2]).await?;
    // Who is suspended at the source and still tries is out.
    world.at_google(json!([{ "op": "user_suspended", "id": Company::id(0), "suspended": true }]))?;
    world.post("hints/sign-in", &json!({ "person": Company::email(0) })).await?;
    until("eng", &[1, 4]).await?;
    // A hint is no fact: about nobody, or about somebody of whom nothing is new, it changes nothing.
    let sequence = world.sequence();
    for person in ["nobody@acme.example", "mallory@elsewhere.test", Company::email(1).as_str()] {
        let said = world.post("hints/sign-in", &json!({ "person": person })).await?;
        assert_eq!(said["message"], "heard", "the same words whoever it is");
    }
    let open = "select count(*)::bigint from directory.wish where done_at is null";
    eventually(SECONDS, "every hint to be read", async || Ok((world.one(open).await? == 0).then_some(()))).await?;
    world.until_decided().await?;
    assert_eq!(world.effects(sequence), Vec::new());
    Ok(())
}
