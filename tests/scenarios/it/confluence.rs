//! Confluence in the Cloud, on a site that owns its groups: filled from Google by the services and by hand, kept so.

use anyhow::Result;
use harness::eventually;
use scenarios::{Beginning, Company, Members, Options, Outside, World};
use serde_json::{Value, json};
use twin::world::atlassian::BaseKey;

use crate::WITHIN;

const SITE: &str = "wiki";

fn company() -> Company {
    Company::of(14).group("staff", 0..10).group("writers", [11]).group("readers", 2..6).with_nested("writers")
}

fn policy() -> String {
    let wiki = format!(
        "\n[directory.{SITE}]\nkind = \"confluence-cloud\"\nsite = \"https://{SITE}.atlassian.net\"\n\
         email = \"sync@acme.example\"\napi_token = \"file:secrets/{SITE}-token\"\nendpoint = \"{{atlassian}}\"\n\
         lag = \"0s\"\n"
    );
    company().with_sections(&wiki).policy().replace("to = [\"cloud\"]", "to = [\"wiki\"]")
}

/// A site of its own with everybody on it, and a group that is nobody's business.
fn beginning() -> Beginning {
    let emails = (0..14).map(Company::email).chain(["sync@acme.example".to_owned()]);
    let accounts: Vec<Value> = emails.map(|email| json!({ "email": email, "site": SITE })).collect();
    let sites = json!([{ "name": SITE, "cloud_id": "cloud-wiki" }]);
    Beginning {
        edits: vec![
            json!({ "op": "load", "sites": sites, "accounts": accounts }),
            json!({ "op": "group", "site": SITE, "name": "confluence-users", "members": [Company::email(13)] }),
        ],
        sites: vec![SITE.to_owned()],
        ..Beginning::default()
    }
}

fn found(outside: &Outside) -> Members {
    let groups = outside.twin.twin.world().atlassian.memberships(&BaseKey::Site(SITE.to_owned()));
    groups.into_iter().map(|(name, emails)| (name, emails.into_iter().collect())).collect()
}

async fn until_equal(world: &World, what: &str) -> Result<()> {
    eventually(WITHIN, what, async || {
        let (wanted, mut found) = (world.wanted(), found(world));
        let others = found.remove("confluence-users");
        assert_eq!(others, Some([Company::email(13)].into()), "no rule names it");
        anyhow::ensure!(wanted == found, "wanted {wanted:?}, found {found:?}");
        Ok(Some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn confluence_in_the_cloud_is_filled_kept_so_and_a_leaver_is_out() -> Result<()> {
    let mut options = Options { beginning: beginning(), ..Options::default() };
    options.watcher[0] = "--read-limit=workspace=100000/1,wiki=100000/1".to_owned();
    options.writer[0] = "--limit=wiki=100000/1".to_owned();
    let world = World::start(&company().snapshot(), &policy(), &options).await?;
    until_equal(&world, "the site to be filled").await?;
    let memberships: usize = world.wanted().values().map(std::collections::BTreeSet::len).sum();
    assert_eq!(world.effects(0).len(), memberships + world.wanted().len(), "one call for each group and membership");
    world.at_google(json!([
        { "op": "member_added", "group": "grp_writers", "id": Company::id(12), "type": "USER", "role": "MEMBER" },
        { "op": "user_suspended", "id": Company::id(3), "suspended": true },
    ]))?;
    // And what somebody does by hand is undone.
    world
        .at_atlassian(&json!([{ "op": "member_added", "site": SITE, "group": "staff", "account": Company::email(13) }]))
        .await?;
    world.sync(None).await?;
    until_equal(&world, "joiner, leaver and drift to be settled").await?;
    world.until_decided().await?;
    eventually(WITHIN, "the site to be said to be in sync", async || {
        let status = world.get("status").await?;
        Ok((status.pointer("/tenants/0/in_sync") == Some(&json!(true))).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn by_hand_a_whole_run_fills_confluence_in_the_cloud_and_leaves_nothing_to_plan() -> Result<()> {
    let outside = Outside::begin(&company().snapshot(), &policy(), &beginning()).await?;
    let doctor = outside.rollcall(&["doctor"]).await?;
    assert_eq!(doctor.code, 0, "{}{}", doctor.out, doctor.err);
    let applied = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    let mut there = found(&outside);
    there.remove("confluence-users");
    assert_eq!(there, outside.wanted());
    let nothing = outside.rollcall(&["plan", "--detailed-exitcode"]).await?;
    assert_eq!(nothing.code, 0, "{}{}", nothing.out, nothing.err);
    Ok(())
}
