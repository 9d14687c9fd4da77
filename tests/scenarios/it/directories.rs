//! Directories that come and go in the policy file, while the services run.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use harness::eventually;
use scenarios::{Beginning, Company, Members, Options, World};
use serde_json::{Value, json};
use twin::world::atlassian::BaseKey;

use crate::WITHIN;

/// A site beside the organization, and a rule that fills it.
const SITE: &str = r#"
[directory.emea]
kind = "jira-cloud"
site = "https://emea.atlassian.net"
email = "sync@acme.example"
api_token = "file:secrets/SECRET"
endpoint = "{atlassian}"
lag = "0s"

[[sync]]
name = "the same in the region"
from = "workspace"
groups = ["*"]
to = "emea"
rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]
"#;

fn member(op: &str, group: &str, n: usize) -> Value {
    json!([{ "op": op, "group": format!("grp_{group}"), "id": Company::id(n), "type": "USER", "role": "MEMBER" }])
}

/// A site where everybody has an account.
fn beginning(people: usize) -> Beginning {
    let emails = (0..people).map(Company::email).chain(["sync@acme.example".to_owned()]);
    let accounts: Vec<Value> = emails.map(|email| json!({ "email": email, "site": "emea" })).collect();
    let site = json!({ "name": "emea", "cloud_id": "cloud-emea" });
    Beginning {
        edits: vec![json!({ "op": "load", "sites": [site], "accounts": accounts })],
        sites: vec!["emea".to_owned()],
        ..Beginning::default()
    }
}

/// What the groups of the site hold that are wanted there.
fn at_site(world: &World) -> Members {
    let wanted = world.wanted();
    let lower = |emails: Vec<String>| emails.iter().map(|email| email.to_ascii_lowercase()).collect::<BTreeSet<_>>();
    let held = world.twin.twin.world().atlassian.memberships(&BaseKey::Site("emea".to_owned()));
    held.into_iter().filter(|(name, _)| wanted.contains_key(name)).map(|(name, who)| (name, lower(who))).collect()
}

async fn until_site_equal(world: &World, what: &str) -> Result<()> {
    eventually(WITHIN, what, async || {
        let (wanted, found) = (world.wanted(), at_site(world));
        if wanted == found { Ok(Some(())) } else { bail!("wanted {wanted:?}, found {found:?}") }
    })
    .await
}

/// Calls that the site had so far, reads and writes.
fn calls(world: &World) -> u64 {
    let (families, _) = world.twin.twin.engine.counters.all();
    families.get("atlassian.jira").map_or(0, |operations| operations.values().map(|figures| figures.calls).sum())
}

/// How many leases on the site somebody holds.
const LEASES: &str =
    "select count(*) from common.lease where name like '%/acme/emea' and expires_at > clock_timestamp()";

async fn until_leases(world: &World, wanted: i64) -> Result<()> {
    eventually(WITHIN, &format!("{wanted} leases on the site"), async || {
        let held = world.one(LEASES).await?;
        if held == wanted { Ok(Some(())) } else { bail!("{held} are held") }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_comes_goes_and_comes_back_while_everything_runs() -> Result<()> {
    let company = Company::of(14).group("staff", 0..8).group("readers", 3..9);
    let mut options = Options { beginning: beginning(14), ..Options::default() };
    options.watcher[0].push_str(",emea=100000/1");
    options.writer[0].push_str(",emea=100000/1");
    let (one, two) = (company.policy(), company.policy() + &SITE.replace("SECRET", "emea-token"));
    let mut world = World::start(&company.snapshot(), &one, &options).await?;
    world.until_in_sync(WITHIN).await?;
    ensure!(calls(&world) == 0 && world.one(LEASES).await? == 0, "nobody named the site");

    // The file gains a target, whose secret is not there yet: everything else goes on.
    world.write_policy(&two.replace("emea-token", "later"))?;
    world.watcher.wait_line("E0104", WITHIN).await?;
    world.writer.wait_line("E0104", WITHIN).await?;
    world.at_google(member("member_added", "readers", 9))?;
    world.sync(None).await?;
    world.until_equal(WITHIN).await?;
    let status = world.get("status").await?;
    ensure!(status["tenants"][0]["in_sync"] == false && calls(&world) == 0, "{status}");
    std::fs::write(world.folder.path().join("secrets/later"), "twin-emea-token")?;
    until_site_equal(&world, "the new target to be filled").await?;
    world.until_in_sync(WITHIN).await?;
    until_leases(&world, 2).await?;

    // It is taken out: half of all groups would no longer be managed, so that waits for a person, and it is filled on.
    world.write_policy(&one)?;
    let waiting = eventually(WITHIN, "the policy to wait for a person", async || {
        let held = world.held().await?;
        Ok(held.into_iter().find(|case| case.to_string().contains("policy-shrink")))
    })
    .await?;
    world.at_google(member("member_removed", "staff", 2))?;
    world.sync(None).await?;
    until_site_equal(&world, "the target to be filled while its end waits for a person").await?;
    let verdict = json!({ "digests": [waiting["digest"]], "verdict": "approve", "reason": "the region is closed" });
    world.post("cases/verdict", &verdict).await?;
    until_leases(&world, 0).await?;

    // Let go: nobody reads or writes it any more, and everything else goes on.
    let (before, held) = (calls(&world), at_site(&world));
    world.at_google(member("member_added", "staff", 10))?;
    world.sync(None).await?;
    world.until_equal(WITHIN).await?;
    world.until_in_sync(WITHIN).await?;
    ensure!((calls(&world), at_site(&world)) == (before, held), "the site was let go");
    let status = world.get("status").await?;
    ensure!(!status.to_string().contains("emea"), "{status}");
    for (service, loops) in [(&world.health[0], "sweep acme/emea"), (&world.health[2], "write acme/emea")] {
        let shown = harness::http()?.get(format!("{service}/loops")).send().await?.text().await?;
        ensure!(!shown.contains(loops) && shown.contains("acme/cloud"), "{shown}");
    }

    // It comes back: what happened meanwhile is made up for, on both sides.
    world
        .at_atlassian(
            &json!([{ "op": "member_removed", "site": "emea", "group": "readers", "account": Company::email(4) }]),
        )
        .await?;
    world.write_policy(&two)?;
    until_site_equal(&world, "the target to be filled again").await?;
    world.until_in_sync(WITHIN).await?;
    until_leases(&world, 2).await?;
    for service in [&mut world.watcher, &mut world.reconciler, &mut world.writer] {
        service.check_running()?;
    }
    Ok(())
}
