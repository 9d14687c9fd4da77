//! Customer sync: a group at Google opens a portal, and leaving it takes the portal away and nothing else.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use harness::eventually;
use scenarios::{Beginning, Options, Outside, World};
use serde_json::{Value, json};
use twin::world::atlassian::BaseKey;

use crate::WITHIN;

/// Two groups fill a desk; one of them fills an organization of customers too.
const POLICY: &str = r#"tenant = "acme"

[directory.workspace]
kind = "google-workspace"
service_account = "file:secrets/google.json"
subject = "sync@acme.example"
endpoint = "{google}"
lag = "0s"

[directory.helpdesk]
kind = "jsm-customers"
site = "https://acme.atlassian.net"
email = "sync@acme.example"
api_token = "file:secrets/api-token"
desk = "HELP"
endpoint = "{atlassian}"
lag = "0s"

[directory.partners]
kind = "jsm-customers"
site = "https://acme.atlassian.net"
email = "sync@acme.example"
api_token = "file:secrets/api-token"
customer_organization = "Partners"
desk = "OTHER"
endpoint = "{atlassian}"
lag = "0s"

[people]
domains = ["acme.example"]

[[sync]]
name = "portal"
from = "workspace"
groups = ["customers@acme.example", "partners@acme.example"]
to = "helpdesk"
on_conflict = "adopt"

[[sync]]
name = "partners"
from = "workspace"
groups = ["partners@acme.example"]
to = "partners"
"#;

const PIA: &str = "pia@partner.test";
const STAFF: &str = "ann@acme.example";

/// Ann and Bob of the company; Pia of a partner. `customers` holds Ann and Bob, `partners` Pia.
fn snapshot() -> Value {
    let person = |id: &str, email: &str, external: bool| json!({ "id": id, "email": email, "given_name": id, "family_name": "Test", "external": external });
    let group = |id: &str, members: &[&str]| {
        let members: Vec<Value> =
            members.iter().map(|id| json!({ "id": id, "type": "USER", "role": "MEMBER" })).collect();
        json!({ "id": format!("grp_{id}"), "email": format!("{id}@acme.example"), "name": id, "description": "",
            "external": false, "members": members })
    };
    json!({ "format": "orgdir-snapshot/1",
        "users": [person("ann", STAFF, false), person("bob", "bob@acme.example", false), person("pia", PIA, true)],
        "groups": [group("customers", &["ann", "bob"]), group("partners", &["pia"])] })
}

/// Ann has an account and is in a group of the site; a desk is there, and another one with customers of its own.
fn by_hand() -> Vec<Value> {
    vec![
        json!({ "op": "account", "email": STAFF, "name": "Ann" }),
        json!({ "op": "group", "name": "engineers", "members": [STAFF] }),
        json!({ "op": "load", "desks": [
            { "site": "acme", "key": "HELP", "name": "Help" },
            { "site": "acme", "key": "OTHER", "name": "Other", "customers": [STAFF] }] }),
    ]
}

/// Nobody but the administrator and Ann has an account.
fn options() -> Options {
    let beginning = Beginning { accounts: "none", edits: by_hand(), ..Beginning::default() };
    Options { beginning, ..Options::default() }
}

/// The addresses at a place of the twin's world.
fn addresses(outside: &Outside, place: &str) -> BTreeSet<String> {
    let world = outside.twin.twin.world().atlassian.dump();
    let list = world.pointer(place).and_then(Value::as_array).cloned().unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn set(emails: &[&str]) -> BTreeSet<String> {
    emails.iter().map(|email| (*email).to_owned()).collect()
}

async fn until(world: &World, desk: &[&str], partners: &[&str]) -> Result<()> {
    eventually(WITHIN, "the lists of customers to be as wanted", async || {
        let found =
            (addresses(world, "/desks/HELP/customers"), addresses(world, "/customer_organizations/Partners/members"));
        if found == (set(desk), set(partners)) {
            return Ok(Some(()));
        }
        bail!("{found:?}")
    })
    .await
}

/// Waits until `Partners` is attached to its desk, whose portal its people see then, and says so of no other.
async fn until_attached(world: &World) -> Result<()> {
    eventually(WITHIN, "the organization of customers to be attached to its desk", async || {
        let dump = world.twin.twin.world().atlassian.dump();
        let partners = dump.pointer("/customer_organizations/Partners/id").cloned();
        let at = |desk: &str| dump.pointer(&format!("/desks/{desk}/organizations")).cloned().unwrap_or_default();
        let found = (at("OTHER"), at("HELP"));
        if found == (json!([partners]), json!([])) {
            return Ok(Some(()));
        }
        bail!("{found:?}")
    })
    .await
}

/// Waits until the services say that everything is in sync.
async fn until_in_sync(world: &World) -> Result<()> {
    eventually(WITHIN, "the services to say that all is in sync", async || {
        let status = world.get("status").await?;
        if status["tenants"][0]["in_sync"] == json!(true) {
            return Ok(Some(()));
        }
        bail!("{}", status["tenants"][0]["why_not"])
    })
    .await
}

/// Kinds of the accounts with an address, for a portal-only one is told by its id.
fn portal_only(outside: &Outside, email: &str) -> Vec<bool> {
    let world = outside.twin.twin.world();
    let accounts = world.atlassian.accounts();
    let of = accounts.with_email(email).iter().filter_map(|index| accounts.get(*index));
    of.map(|account| account.id.starts_with("qm:")).collect()
}

fn member(op: &str, group: &str, person: &str) -> Value {
    json!({ "op": op, "group": format!("grp_{group}"), "id": person, "type": "USER", "role": "MEMBER" })
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_05_a_group_opens_the_portal_and_who_has_no_account_gets_one() -> Result<()> {
    let options = options();
    let world = World::start(&snapshot(), POLICY, &options).await?;
    until(&world, &["ann@acme.example", "bob@acme.example", PIA], &[PIA]).await?;
    assert_eq!(portal_only(&world, STAFF), [false], "who has an account keeps it");
    until_attached(&world).await?;
    assert_eq!(portal_only(&world, PIA), [true], "one account for both lists");
    assert_eq!(portal_only(&world, "bob@acme.example"), [true]);
    // A newcomer of the partner, while everything runs.
    world.at_google(json!([
        { "op": "user_created", "id": "rob", "email": "rob@partner.test", "external": true },
        member("member_added", "partners", "rob"),
    ]))?;
    world.sync(None).await?;
    let all = ["ann@acme.example", "bob@acme.example", PIA, "rob@partner.test"];
    until(&world, &all, &[PIA, "rob@partner.test"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_06_leaving_the_group_takes_the_portal_away_and_nothing_else() -> Result<()> {
    let options = options();
    let world = World::start(&snapshot(), POLICY, &options).await?;
    until(&world, &["ann@acme.example", "bob@acme.example", PIA], &[PIA]).await?;
    let before = world.sequence();
    world.at_google(json!([
        member("member_removed", "customers", "ann"),
        member("member_removed", "partners", "pia")
    ]))?;
    // Of somebody of another domain only a second read of the whole group tells: two sweeps.
    for _ in 0..2 {
        world.sync(None).await?;
        world.until_decided().await?;
    }
    eventually(WITHIN, "Pia and Ann to be out of the portal", async || {
        world.sync(None).await?;
        let desk = addresses(&world, "/desks/HELP/customers");
        Ok((desk == set(&["bob@acme.example"])).then_some(()))
    })
    .await?;
    until(&world, &["bob@acme.example"], &[]).await?;
    let effects = world.effects(before);
    assert!(effects.iter().all(|(_, key, _)| key.contains("customers/")), "nothing else changed: {effects:?}");
    assert_eq!(addresses(&world, "/desks/OTHER/customers"), set(&[STAFF]));
    assert_eq!(world.all_found()["engineers"], set(&[STAFF]));
    let accounts = world.twin.twin.world().atlassian.dump()["accounts"].clone();
    let active = accounts.as_array().is_some_and(|all| all.iter().all(|account| account["status"] == "active"));
    assert!(active, "accounts stay as they are: {accounts}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_05_one_run_without_a_server_opens_the_portal() -> Result<()> {
    let outside = Outside::start_with(&snapshot(), POLICY, "none", &by_hand()).await?;
    let applied = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    let everybody = set(&["ann@acme.example", "bob@acme.example", PIA]);
    assert_eq!(addresses(&outside, "/desks/HELP/customers"), everybody, "{}", applied.out);
    let plan = outside.rollcall(&["plan", "--detailed-exitcode"]).await?;
    assert_eq!(plan.code, 0, "{}{}", plan.out, plan.err);
    assert_eq!(addresses(&outside, "/customer_organizations/Partners/members"), set(&[PIA]));
    Ok(())
}

/// Everybody is in it already, and it is attached to no desk: that is a difference like any other.
#[tokio::test(flavor = "multi_thread")]
async fn p3_05_an_organization_that_is_equal_already_is_attached_to_its_desk() -> Result<()> {
    let mut edits = by_hand();
    edits.push(
        json!({ "op": "load", "customer_organizations": [{ "site": "acme", "name": "Partners", "members": [PIA] }] }),
    );
    let beginning = Beginning { accounts: "none", edits, ..Beginning::default() };
    let world = World::start(&snapshot(), POLICY, &Options { beginning, ..Options::default() }).await?;
    until_attached(&world).await?;
    until_in_sync(&world).await?;
    // Somebody detaches it. Nobody joins or leaves, and it is attached again.
    let id = world.twin.twin.world().atlassian.dump()["customer_organizations"]["Partners"]["id"].clone();
    let id: u64 = id.as_str().unwrap_or_default().parse()?;
    let place = "rest/servicedeskapi/servicedesk/OTHER/organization";
    let request = harness::http()?.delete(format!("{}/{place}", world.twin.atlassian_url()));
    let request = request.basic_auth("sync@acme.example", Some("twin-api-token")).header("X-ExperimentalApi", "opt-in");
    request.json(&json!({ "organizationId": id })).send().await?.error_for_status()?;
    let desk = || world.twin.twin.world().atlassian.dump()["desks"]["OTHER"]["organizations"].clone();
    assert_eq!(desk(), json!([]));
    world.sync(None).await?;
    until_attached(&world).await?;
    until_in_sync(&world).await
}

/// A site with a desk and with groups of its own, which are filled too: a portal-only customer is no account that could be
/// put into those, and nothing waits for it there.
#[tokio::test(flavor = "multi_thread")]
async fn p3_05_a_portal_only_customer_is_nobody_to_the_groups_of_the_same_site() -> Result<()> {
    let site = "[directory.site]\nkind = \"jira-cloud\"\nsite = \"https://acme.atlassian.net\"\nemail = \"sync@acme.example\"\n\
        api_token = \"file:secrets/api-token\"\nendpoint = \"{atlassian}\"\nlag = \"0s\"\n\n[people]";
    let rule = "\n[[sync]]\nname = \"groups\"\nfrom = \"workspace\"\n\
        groups = [\"customers@acme.example\", \"partners@acme.example\"]\nto = \"site\"\nexternal = \"match\"\n\
        rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]\n";
    let policy = format!("{}{rule}", POLICY.replace("[people]", site)).replace("acme.atlassian", "emea.atlassian");
    let policy = policy.replace("secrets/api-token", "secrets/emea-token");
    let people = [STAFF, "bob@acme.example", "sync@acme.example"];
    let accounts = people.map(|email| json!({ "email": email, "site": "emea" }));
    let desk = |key: &str| json!({ "site": "emea", "key": key, "name": key });
    let emea = json!({ "op": "load", "sites": [{ "name": "emea", "cloud_id": "cloud-emea" }], "accounts": accounts,
        "desks": [desk("HELP"), desk("OTHER")] });
    let beginning =
        Beginning { accounts: "none", edits: vec![emea], sites: vec!["emea".to_owned()], ..Beginning::default() };
    let outside = Outside::begin(&snapshot(), &policy, &beginning).await?;
    // The second run reads the account that the first one made.
    for run in ["first", "second"] {
        let applied = outside.rollcall(&["apply", "--yes"]).await?;
        assert_eq!(applied.code, 0, "{run}: {}{}", applied.out, applied.err);
    }
    assert_eq!(portal_only(&outside, PIA), [true]);
    assert!(addresses(&outside, "/desks/HELP/customers").contains(PIA));
    let groups = outside.twin.twin.world().atlassian.memberships(&BaseKey::Site("emea".to_owned()));
    let of = |name: &str| groups.get(name).map(|emails| emails.iter().cloned().collect::<BTreeSet<_>>());
    assert_eq!(of("customers"), Some(set(&[STAFF, "bob@acme.example"])));
    assert_eq!(of("partners").unwrap_or_default(), set(&[]));
    let plan = outside.rollcall(&["plan", "--detailed-exitcode"]).await?;
    assert_eq!(plan.code, 0, "{}{}", plan.out, plan.err);
    Ok(())
}

/// Somebody on the site hides the address: whose it is only they or an administrator can show. That is one dead letter,
/// nobody gets a second account, and it is over when the address shows.
#[tokio::test(flavor = "multi_thread")]
async fn p3_05_who_hides_the_address_on_the_site_waits_alone_until_it_shows() -> Result<()> {
    let mut options = options();
    options.beginning.edits.push(json!({ "op": "email", "account": STAFF, "hidden": true }));
    let world = World::start(&snapshot(), POLICY, &options).await?;
    until(&world, &["bob@acme.example", PIA], &[PIA]).await?;
    let letters = async || -> Result<Value> {
        Ok(world.get("status").await?.pointer("/tenants/0/dead_letters").cloned().unwrap_or_default())
    };
    eventually(WITHIN, "one dead letter", async || Ok((letters().await? == json!(1)).then_some(()))).await?;
    assert_eq!(portal_only(&world, STAFF), [false], "no second account");
    world.at_atlassian(&json!([{ "op": "email", "account": STAFF, "hidden": false }])).await?;
    world.sync(None).await?;
    until(&world, &[STAFF, "bob@acme.example", PIA], &[PIA]).await?;
    eventually(WITHIN, "no dead letter", async || Ok((letters().await? == json!(0)).then_some(()))).await
}
