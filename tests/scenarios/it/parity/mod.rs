//! What the systems of the brief do, row by row: a test bears the id of the row that it proves (`p2_05_…`), and
//! `tests/scenarios/PARITY.md` lists them.

mod automations;
mod cloud;
mod data_center;
mod groups;
mod instances;
mod jira;
mod provisioning;
mod script;
mod set_up;
mod sign_in;
mod trust;

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use scenarios::{Company, Outside, WIDE};
use serde_json::{Value, json};
use twin::world::atlassian::SCIM_DIRECTORY;

/// A provisioning directory beside the organization, with an entry that fills it.
fn provisioned(company: &Company, entry: &str) -> String {
    let sections = format!(
        "{WIDE}\n[directory.cloud-idp]\nkind = \"atlassian-scim\"\ndirectory_id = \"{SCIM_DIRECTORY}\"\n\
         token = \"file:secrets/scim-key\"\nendpoint = \"{{atlassian}}\"\nlag = \"0s\"\n\n[[people.provision]]\n\
         name = \"staff\"\nfrom = \"workspace\"\nto = \"cloud-idp\"\n{entry}\n"
    );
    company.clone().with_sections(&sections).policy().replace("to = [\"cloud\"]", "to = [\"cloud-idp\"]")
}

/// A world whose people are provisioned.
async fn with_people(company: &Company, entry: &str) -> Result<Outside> {
    let outside = Outside::start(&company.snapshot(), &provisioned(company, entry)).await?;
    std::fs::write(outside.folder.path().join("secrets/scim-key"), "twin-scim-key")?;
    Ok(outside)
}

/// Applies until the plan has nothing to do.
async fn settle(outside: &Outside) -> Result<()> {
    for _ in 0..5 {
        let applied = outside.rollcall(&["apply", "--yes"]).await?;
        if applied.code != 0 {
            bail!("apply ended with {}: {}{}", applied.code, applied.out, applied.err);
        }
        if outside.rollcall(&["plan", "--detailed-exitcode"]).await?.code == 0 {
            return Ok(());
        }
    }
    bail!("there is still something to do: {}", outside.rollcall(&["plan", "--full"]).await?.out)
}

/// What the plan would do, as JSON.
async fn planned(outside: &Outside) -> Result<Value> {
    let said = outside.rollcall(&["plan", "--output", "json"]).await?;
    if said.code != 0 {
        bail!("plan ended with {}: {}", said.code, said.err);
    }
    Ok(serde_json::from_str(&said.out)?)
}

/// The steps of a plan at its only target.
fn steps(plan: &Value) -> Vec<Value> {
    let targets = plan["targets"].as_array().into_iter().flatten();
    targets.flat_map(|target| target["steps"].as_array().into_iter().flatten().cloned()).collect()
}

/// A person of the provisioning directory: user name, address, name to show, whether active.
fn record(outside: &Outside, external_id: &str) -> Option<(String, String, String, bool)> {
    let world = outside.twin.twin.world();
    let directory = world.atlassian.scim_directory(SCIM_DIRECTORY)?;
    let user = directory.users_with_external_id(external_id).next()?;
    let shown = user.attributes.get("displayName").and_then(Value::as_str).unwrap_or_default().to_owned();
    Some((user.user_name().to_owned(), user.email(), shown, user.active()))
}

/// Who is in a group at Atlassian.
fn in_group(outside: &Outside, name: &str) -> BTreeSet<String> {
    outside.all_found().remove(name).unwrap_or_default()
}

/// Addresses of made-up people.
fn people(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
    numbers.into_iter().map(Company::email).collect()
}

fn member(op: &str, group: &str, person: usize) -> Value {
    let mut change = json!({ "op": op, "group": format!("grp_{group}"), "id": Company::id(person) });
    if op == "member_added" {
        change["type"] = json!("USER");
        change["role"] = json!("MEMBER");
    }
    change
}
