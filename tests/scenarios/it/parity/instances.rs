//! 2: people of Data Center itself, at each of its four products: made with their groups, kept up to date, taken away and
//! given back, in their default groups.
//!
//! Bitbucket deactivates nobody (reference/atlassian-dc.md §0.4): who leaves loses every group that lets people in, those
//! that no rule fills too, and a permission of their own.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use scenarios::{Company, Outside, WIDE};
use serde_json::{Value, json};

use super::{people, settle};

/// An instance whose people are made by an entry, named by what stands before the `@`.
async fn instance(product: &str, entry: &str) -> Result<Outside> {
    let company = Company::of(6).group("staff", 0..5);
    let (kind, credential) = match product {
        "crowd" => ("crowd".to_owned(), "application = \"rollcall\"\npassword".to_owned()),
        product => (format!("{product}-dc"), "token".to_owned()),
    };
    let sections = format!(
        "username = [{{ pattern = '(.*)@.*', replace = '$1' }}]\n{WIDE}\n[directory.there]\nkind = \"{kind}\"\n\
         url = \"{{atlassian}}/dc/{product}\"\n{credential} = \"file:secrets/there\"\nlag = \"0s\"\n\n[[people.provision]]\n\
         name = \"staff\"\nfrom = \"workspace\"\nto = \"there\"\nexcept_people = [\"sync@*\"]\n{entry}\n"
    );
    let policy = company.clone().with_sections(&sections).policy().replace("to = [\"cloud\"]", "to = [\"there\"]");
    let outside = Outside::start(&company.snapshot(), &policy).await?;
    let secret = if product == "crowd" { "application" } else { "token" };
    std::fs::write(outside.folder.path().join("secrets/there"), format!("twin-{product}-{secret}"))?;
    if product == "confluence" {
        // It tells the addresses of those who take a seat.
        outside
            .tell(
                "dc",
                &json!({ "op": "application", "instance": product, "key": "confluence", "groups": ["everyone"] }),
            )
            .await?;
    }
    if product == "bitbucket" {
        let lets_in =
            json!({ "op": "application", "instance": product, "key": product, "groups": ["everyone", "by-hand"] });
        outside.tell("dc", &lets_in).await?;
    }
    Ok(outside)
}

/// Everybody there by user name: address, name to show, whether active.
fn users(outside: &Outside, product: &str) -> serde_json::Map<String, Value> {
    let dump = outside.twin.twin.world().dc.dump();
    let directories = dump[product]["directories"].as_array().cloned().unwrap_or_default();
    directories.iter().filter_map(|it| it["users"].as_object().cloned()).flatten().collect()
}

/// Whether somebody can sign in: at Bitbucket, whether a permission lets them in.
fn works(outside: &Outside, product: &str, name: &str) -> bool {
    if product != "bitbucket" {
        return users(outside, product).get(name).is_some_and(|user| user["active"] == true);
    }
    let world = outside.twin.twin.world();
    world.dc.instance(product).is_some_and(|instance| instance.permitted("LICENSED_USER").contains(name))
}

fn group(outside: &Outside, product: &str, name: &str) -> BTreeSet<String> {
    outside.twin.twin.world().dc.memberships(product).remove(name).unwrap_or_default()
}

async fn story(product: &str) -> Result<()> {
    let ways = "{ suspended = \"deactivate\", archived = \"keep\", deleted = \"deactivate\" }";
    let entry = format!("on_leave = {ways}\ndefault_groups = {{ new = [\"welcome\"], all = [\"everyone\"] }}");
    let outside = instance(product, &entry).await?;
    let user = |name: &str| users(&outside, product).get(name).cloned().unwrap_or_default();
    let active = |n: usize| works(&outside, product, &format!("p{n:02}"));
    // 2.09, 2.15, 2.16: made with their groups, and in those that everybody gets.
    settle(&outside).await?;
    for n in 0..6 {
        let made = user(&format!("p{n:02}"));
        ensure!(
            made["email"] == Company::email(n) && made["name"] == format!("Given{n} Family{n}"),
            "{product}: {made}"
        );
        ensure!(active(n), "{product}: {n} is not active");
    }
    if product == "bitbucket" {
        // By hand they are let in by more than a rule gives.
        let by_hand = json!([
            { "op": "group", "instance": product, "name": "by-hand", "members": ["p00", "p01"] },
            { "op": "granted", "instance": product, "name": "p02", "permission": "LICENSED_USER" },
        ]);
        outside.tell("dc", &by_hand).await?;
    }
    let all = |name: &str| group(&outside, product, name);
    ensure!(all("staff") == people(0..5) && all("everyone") == people(0..6) && all("welcome") == people(0..6));
    // 2.10: another name and another address, and the same account.
    let before = users(&outside, product).len();
    let renamed = json!({ "given_name": "Joan", "email": "joan@acme.example" });
    outside.at_google(json!([{ "op": "user_renamed", "id": Company::id(3), "set": renamed }]))?;
    settle(&outside).await?;
    let joan = user("p03");
    ensure!(joan["email"] == "joan@acme.example" && joan["name"] == "Joan Family3", "{product}: {joan}");
    ensure!(users(&outside, product).len() == before, "{product}: somebody was made anew");
    // 2.11: each state takes its way, and memberships go in every state.
    let change = |op: &str, field: &str, n: usize, on: bool| json!({ "op": op, "id": Company::id(n), field: on });
    outside.at_google(json!([
        change("user_suspended", "suspended", 0, true),
        change("user_archived", "archived", 1, true),
        { "op": "user_deleted", "id": Company::id(2) },
    ]))?;
    settle(&outside).await?;
    let gone = (active(0), active(1), active(2));
    ensure!(gone == (false, true, false), "{product}: {gone:?}");
    let mut left = people([4]);
    left.insert("joan@acme.example".to_owned());
    ensure!(all("staff") == left, "{product}: {:?}", all("staff"));
    outside.at_google(json!([
        change("user_suspended", "suspended", 0, false),
        change("user_archived", "archived", 1, false),
    ]))?;
    settle(&outside).await?;
    left.extend(people([0, 1]));
    ensure!(active(0) && all("staff") == left, "{product}: {:?}", all("staff"));
    // 2.15, 2.16: who joins later is new; who left is out of the group for all.
    let joiner = json!({ "op": "user_created", "id": "usr_new", "email": "new@acme.example", "given_name": "N", "family_name": "W" });
    outside.at_google(json!([joiner]))?;
    settle(&outside).await?;
    ensure!(all("everyone").contains("new@acme.example") && all("welcome").contains("new@acme.example"), "{product}");
    ensure!(!all("everyone").contains(&Company::email(2)), "{product}: {:?}", all("everyone"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_09_p2_10_p2_11_p2_15_p2_16_people_of_jira_data_center() -> Result<()> {
    story("jira").await
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_09_p2_10_p2_11_p2_15_p2_16_people_of_confluence_data_center() -> Result<()> {
    story("confluence").await
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_09_p2_10_p2_11_p2_15_p2_16_people_of_bitbucket_data_center_who_are_locked_out() -> Result<()> {
    story("bitbucket").await
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_09_p2_10_p2_11_p2_15_p2_16_people_of_crowd() -> Result<()> {
    story("crowd").await
}
