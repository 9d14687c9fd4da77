//! One policy file, one run, every product: an organization in the Cloud, two Jira sites, a service desk and three
//! instances of Data Center come to hold the same people; and one that is down stops none of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use harness::eventually;
use scenarios::{Beginning, Company, Members, Options, World, real};
use serde_json::{Value, json};
use twin::engine::fault::FaultKind;
use twin::world::atlassian::BaseKey;

/// Ten thousand calls are made by processes that were built to be debugged.
const WITHIN: Duration = Duration::from_mins(4);

const SITES: [&str; 2] = ["emea", "apac"];
const INSTANCES: [&str; 3] = ["jira", "confluence", "bitbucket"];
/// The one list of people that has no groups: who is wanted in it is everybody who is in any group.
const DESK: &str = "helpdesk";
const TARGETS: [&str; 7] = ["cloud", "emea", "apac", "jira-dc", "confluence-dc", "bitbucket-dc", DESK];

const CLOUD: &str = r#"
[directory.workspace]
kind = "google-workspace"
service_account = "file:secrets/google.json"
subject = "sync@{domain}"
endpoint = "{google}"
lag = "0s"

[directory.cloud]
kind = "atlassian-org"
org = "org-1"
directory = "dir-1"
api_key = "file:secrets/org-key"
owner = "sync@{domain}"
endpoint = "{atlassian}"
lag = "0s"

[directory.helpdesk]
kind = "jsm-customers"
site = "https://acme.atlassian.net"
email = "sync@{domain}"
api_token = "file:secrets/api-token"
desk = "HELP"
endpoint = "{atlassian}"
lag = "0s"

[people]
match = ["link", "external-id", "email", "alias"]
domains = ["{domain}"]

[[sync]]
name = "every group everywhere"
from = "workspace"
groups = ["*"]
to = ["cloud", "emea", "apac", "jira-dc", "confluence-dc", "bitbucket-dc"]
rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]
external = "match"

[[sync]]
name = "everybody may ask for help"
from = "workspace"
groups = ["*"]
to = "helpdesk"
on_conflict = "adopt"
external = "match"
"#;

fn policy(domain: &str) -> String {
    let site = |site: &&str| {
        format!(
            "\n[directory.{site}]\nkind = \"jira-cloud\"\nsite = \"https://{site}.atlassian.net\"\n\
             email = \"sync@{domain}\"\napi_token = \"file:secrets/{site}-token\"\nendpoint = \"{{atlassian}}\"\n\
             lag = \"0s\"\n"
        )
    };
    let instance = |product: &&str| {
        format!(
            "\n[directory.{product}-dc]\nkind = \"{product}-dc\"\nurl = \"https://{product}.example.com/dc/{product}\"\n\
             endpoint = \"{{atlassian}}\"\ntoken = \"file:secrets/{product}-token\"\nlag = \"0s\"\n"
        )
    };
    let directories: String = SITES.iter().map(site).chain(INSTANCES.iter().map(instance)).collect();
    format!("tenant = \"everywhere\"\n{}{directories}", CLOUD.replace("{domain}", domain))
}

/// Everybody of the snapshot and the administrator have an account on each site and at each instance. Confluence shows
/// the addresses of those only who take a seat, so everybody does.
fn beginning(snapshot: &Value, domain: &str) -> Beginning {
    let users = snapshot["users"].as_array().into_iter().flatten().filter_map(|user| user["email"].as_str());
    let emails: BTreeSet<String> = users.map(str::to_ascii_lowercase).chain([format!("sync@{domain}")]).collect();
    let sites: Vec<Value> =
        SITES.iter().map(|site| json!({ "name": site, "cloud_id": format!("cloud-{site}") })).collect();
    let account = |site: &&str| emails.iter().map(|email| json!({ "email": email, "site": site })).collect::<Vec<_>>();
    let accounts: Vec<Value> = SITES.iter().flat_map(account).collect();
    let desk = json!({ "site": "acme", "key": "HELP", "name": "Help" });
    let people = |instance: &&str| json!({ "op": "people", "instance": instance, "whole_address": true });
    let mut dc: Vec<Value> = INSTANCES.iter().map(people).collect();
    dc.push(json!({ "op": "group", "instance": "confluence", "name": "seated", "members": emails }));
    dc.push(json!({ "op": "application", "instance": "confluence", "key": "confluence", "groups": ["seated"] }));
    Beginning {
        edits: vec![json!({ "op": "load", "sites": sites, "accounts": accounts, "desks": [desk] })],
        dc,
        sites: SITES.iter().map(|site| (*site).to_owned()).collect(),
        ..Beginning::default()
    }
}

async fn start(snapshot: &Value, domain: &str) -> Result<World> {
    let unlimited = TARGETS.map(|target| format!("{target}=100000/1")).join(",");
    let mut options = Options { beginning: beginning(snapshot, domain), ..Options::default() };
    options.watcher[0] = format!("--read-limit=workspace=100000/1,{unlimited}");
    options.writer[0] = format!("--limit={unlimited}");
    World::start(snapshot, &policy(domain), &options).await
}

/// The members of each group of a target, in the twin's world.
fn found(world: &World, target: &str) -> Members {
    let lower = |emails: Vec<String>| emails.iter().map(|email| email.to_ascii_lowercase()).collect();
    let played = world.twin.twin.world();
    if let Some(instance) = target.strip_suffix("-dc") {
        return played.dc.memberships(instance);
    }
    if SITES.contains(&target) {
        let site = played.atlassian.memberships(&BaseKey::Site(target.to_owned()));
        return site.into_iter().map(|(name, emails)| (name.to_ascii_lowercase(), lower(emails))).collect();
    }
    if target == DESK {
        let customers = played.atlassian.desk("acme", "HELP").map(|desk| desk.customers.clone()).unwrap_or_default();
        let accounts = played.atlassian.accounts();
        let emails = customers.into_iter().filter_map(|index| accounts.get(index)).map(|account| account.email.clone());
        return Members::from([(DESK.to_owned(), lower(emails.collect()))]);
    }
    drop(played);
    world.all_found()
}

/// What each group of a target should hold, of what all groups should.
fn wanted(groups: &Members, target: &str) -> Members {
    if target == DESK {
        return Members::from([(DESK.to_owned(), groups.values().flatten().cloned().collect())]);
    }
    groups.clone()
}

/// What differs, over the mapped groups.
fn difference(world: &World, groups: &Members, target: &str) -> Vec<String> {
    let found = found(world, target);
    let mut lines = Vec::new();
    for (name, people) in wanted(groups, target) {
        match found.get(&name) {
            None => lines.push(format!("{target} lacks {name}")),
            Some(there) => {
                lines
                    .extend(people.symmetric_difference(there).map(|who| format!("{target}: {name} differs in {who}")));
            }
        }
    }
    lines
}

/// Waits until these targets hold what they should; `look`: asks for a look again and again, since of people outside
/// only a second look tells that they are gone.
async fn until_equal(world: &World, targets: &[&str], what: &str, look: bool) -> Result<()> {
    let groups = world.wanted();
    let mut looks = 0;
    eventually(WITHIN, what, async || {
        // The first that differs is enough: the worlds are large, and whoever looks stands in the way.
        let differing = targets.iter().map(|target| difference(world, &groups, target)).find(|lines| !lines.is_empty());
        let Some(lines) = differing else { return Ok(Some(())) };
        looks += 1;
        if look && looks % 40 == 0 {
            world.sync(None).await?;
        }
        anyhow::bail!("{} differences: {:?}", lines.len(), lines.iter().take(6).collect::<Vec<_>>())
    })
    .await
    .with_context(|| format!("the writer printed last:\n{}", world.writer.lines().tail(12)))
}

/// What the operators' API says of each target: `in-sync`, `drifted`, `unknown`.
async fn said(world: &World) -> Result<BTreeMap<String, String>> {
    let status = world.get("status").await?;
    let targets = status.pointer("/tenants/0/targets").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(targets.iter().map(|target| (text(&target["target"]), text(&target["sync"]))).collect())
}

/// Waits until these targets are said to be in sync. `down` is never said to be.
async fn until_in_sync(world: &World, targets: &[&str], down: Option<&str>) -> Result<()> {
    eventually(WITHIN, "the targets to be said to be in sync", async || {
        let said = said(world).await?;
        if let Some(down) = down {
            assert_ne!(said.get(down).map(String::as_str), Some("in-sync"), "{down} cannot be reached");
        }
        let all = targets.iter().all(|target| said.get(*target).is_some_and(|sync| sync == "in-sync"));
        if all { Ok(Some(())) } else { anyhow::bail!("{said:?}") }
    })
    .await
}

fn others(down: &str) -> Vec<&'static str> {
    TARGETS.into_iter().filter(|target| *target != down).collect()
}

/// Takes a product away while these changes are made at Google: all others have them, it alone does not and is not said
/// to be in sync; then it is back and has them too.
async fn goes_on_without(world: &World, product: &str, fault: FaultKind, changes: Value) -> Result<()> {
    let down = format!("{product}-dc");
    world.fault(&format!("atlassian.dc.{product}"), "*", fault, |_| {});
    world.at_google(changes)?;
    world.sync(None).await?;
    until_equal(world, &others(&down), &format!("all others to go on without {down}"), true).await?;
    ensure!(!difference(world, &world.wanted(), &down).is_empty(), "nothing can be written to what is down");
    until_in_sync(world, &others(&down), Some(&down)).await?;
    world.no_faults();
    world.sync(None).await?;
    until_equal(world, &TARGETS, &format!("{down} to be filled when it is back"), true).await?;
    until_in_sync(world, &TARGETS, None).await
}

/// A new group of these people, and one more in it or one less.
fn team(op: &str, people: &[&str]) -> Vec<Value> {
    let member = |id: &&str| json!({ "op": op, "group": "grp_everywhere", "id": id, "type": "USER", "role": "MEMBER" });
    people.iter().map(member).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn i10_the_real_organization_converges_in_every_product_from_one_policy_file_in_one_run() -> Result<()> {
    let (snapshot, domain, least) = match real()? {
        Some((snapshot, _, _)) => (snapshot, "example.com", 1_000),
        None => (crate::import::made_up().snapshot(), "acme.example", 50),
    };
    let world = start(&snapshot, domain).await?;
    until_equal(&world, &TARGETS, "every product to hold what the groups at Google do", false).await?;
    let groups = world.wanted();
    let memberships = |target: &str| wanted(&groups, target).values().map(BTreeSet::len).sum::<usize>();
    assert!(memberships("cloud") >= least, "{}", memberships("cloud"));
    until_in_sync(&world, &TARGETS, None).await?;
    // Each membership was made once at each, whatever the others did meanwhile.
    let effects = world.effects(0);
    let added = effects.iter().filter(|(_, key, there)| key.contains("/member/") && *there).count();
    assert_eq!(added, TARGETS.iter().map(|target| memberships(target)).sum::<usize>());
    assert!(effects.iter().all(|(_, _, there)| *there), "nothing was taken away");

    let people: Vec<&str> =
        snapshot["users"].as_array().into_iter().flatten().filter_map(|user| user["id"].as_str()).take(6).collect();
    let mut changes =
        vec![json!({ "op": "group_created", "id": "grp_everywhere", "email": format!("everywhere@{domain}"),
        "name": "everywhere", "description": "", "external": false })];
    changes.extend(team("member_added", &people[..5]));
    let trouble = FaultKind::Fail { status: 503, after: false, plain: true };
    goes_on_without(&world, "confluence", trouble, Value::Array(changes)).await?;
    let mut changes = team("member_added", &people[5..]);
    changes.extend(team("member_removed", &people[..1]));
    goes_on_without(&world, "bitbucket", FaultKind::Reset { after: false }, Value::Array(changes)).await
}

/// What is down from the very beginning is filled when it comes, and was never said to be in sync.
#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_is_down_from_the_beginning_stops_none_of_the_others() -> Result<()> {
    let company = Company::of(10).group("staff", 0..8).group("readers", 2..5).group("writers", [7]);
    let snapshot = company.with_nested("readers").snapshot();
    let mut options = Options { beginning: beginning(&snapshot, "acme.example"), ..Options::default() };
    options.beginning.faults = vec![json!({ "kind": "fail", "status": 503, "family": "atlassian.dc.jira" })];
    options.watcher = vec!["--read-timeout=5".to_owned()];
    let world = World::start(&snapshot, &policy("acme.example"), &options).await?;
    until_equal(&world, &others("jira-dc"), "all others to be filled", false).await?;
    until_in_sync(&world, &others("jira-dc"), Some("jira-dc")).await?;
    let untouched = found(&world, "jira-dc");
    ensure!(!untouched.contains_key("staff"), "nothing can be written to what is down: {untouched:?}");
    world.no_faults();
    world.sync(None).await?;
    until_equal(&world, &TARGETS, "the last one to be filled when it is back", false).await?;
    until_in_sync(&world, &TARGETS, None).await
}
