//! 2 and 3: what is checked before anything is written: the tokens of sites, and where accounts come to be.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use scenarios::{Beginning, Company, Outside};
use serde_json::{Value, json};

fn staff() -> Company {
    Company::of(6).group("staff", 0..5)
}

/// A Jira and a Confluence that own their groups, on a site of their own.
fn sites() -> (String, Beginning) {
    let site = |kind: &str| {
        format!(
            "\n[directory.{kind}]\nkind = \"{kind}-cloud\"\nsite = \"https://emea.atlassian.net\"\n\
             email = \"sync@acme.example\"\napi_token = \"file:secrets/emea-token\"\nendpoint = \"{{atlassian}}\"\n"
        )
    };
    let policy = staff().with_sections(&format!("{}{}", site("jira"), site("confluence"))).policy();
    let emails = (0..6).map(Company::email).chain(["sync@acme.example".to_owned()]);
    let accounts: Vec<Value> = emails.map(|email| json!({ "email": email, "site": "emea" })).collect();
    let emea = json!({ "op": "load", "sites": [{ "name": "emea", "cloud_id": "cloud-emea" }], "accounts": accounts });
    let beginning = Beginning { edits: vec![emea], sites: vec!["emea".to_owned()], ..Beginning::default() };
    (policy.replace("to = [\"cloud\"]", "to = [\"jira\", \"confluence\"]"), beginning)
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_01_a_sites_token_is_checked_with_what_it_may_change() -> Result<()> {
    let (policy, beginning) = sites();
    let outside = Outside::begin(&staff().snapshot(), &policy, &beginning).await?;
    let before = outside.sequence();
    let good = outside.rollcall(&["doctor"]).await?;
    assert_eq!(good.code, 0, "{}{}", good.out, good.err);
    // It reads everything, and may change nothing: that is told now, and not by the first apply.
    outside.twin.twin.world().atlassian.switches.site_administrators = false;
    let ordinary = outside.rollcall(&["doctor"]).await?;
    assert_eq!(ordinary.code, 1, "{}{}", ordinary.out, ordinary.err);
    for right in ["the global permission \"Administer Jira\"", "the right to administer Confluence"] {
        assert!(ordinary.out.contains(right), "{right} is not named: {}", ordinary.out);
    }
    outside.twin.twin.world().atlassian.switches.site_administrators = true;
    std::fs::write(outside.folder.path().join("secrets/emea-token"), "not-the-token")?;
    let bad = outside.rollcall(&["doctor"]).await?;
    assert_eq!(bad.code, 1, "{}{}", bad.out, bad.err);
    assert!(bad.out.contains("directory jira") && bad.out.contains("directory confluence"), "{}", bad.out);
    assert!(!bad.out.contains("not-the-token"), "{}", bad.out);
    assert_eq!(outside.sequence(), before, "a check writes nothing");
    Ok(())
}

/// The names of the users in a user directory of an instance.
fn users(outside: &Outside, instance: &str, directory: &str) -> Result<BTreeSet<String>> {
    let world = outside.twin.twin.world();
    let instance = world.dc.instance(instance).context("no such instance")?;
    let found = instance.directories.iter().find(|it| it.name == directory).context("no such directory")?;
    Ok(found.people.keys().cloned().collect())
}

const PEOPLE: &str = "\n[[people.provision]]\nfrom = \"workspace\"\n";

/// Bitbucket tells in which of its directories users are made: where that is not the one that is named, nobody is.
#[tokio::test(flavor = "multi_thread")]
async fn p2_12_nobody_is_made_in_another_directory_than_the_one_that_is_named() -> Result<()> {
    let instance = "\n[directory.git]\nkind = \"bitbucket-dc\"\nurl = \"{atlassian}/dc/bitbucket\"\n\
        token = \"file:secrets/bitbucket-token\"\nuser_directory = \"Second\"\nlag = \"0s\"\n";
    let company = staff().with_sections(&format!("{instance}{PEOPLE}to = \"git\"\n"));
    let policy = company.policy().replace("to = [\"cloud\"]", "to = [\"git\"]");
    let outside = Outside::start(&company.snapshot(), &policy).await?;
    outside.tell("dc", &json!({ "op": "directory", "instance": "bitbucket", "directory": "Second" })).await?;
    let before = users(&outside, "bitbucket", "Internal")?;
    let refused = outside.rollcall(&["apply", "--yes"]).await?;
    assert_ne!(refused.code, 0, "{}{}", refused.out, refused.err);
    let said = format!("{}{}", refused.out, refused.err);
    assert!(said.contains("users are made in \"Internal\""), "{said}");
    assert_eq!(users(&outside, "bitbucket", "Internal")?, before, "nobody was made in the wrong one");
    assert_eq!(users(&outside, "bitbucket", "Second")?, BTreeSet::new());
    // Named as it is, the same people are made.
    outside.write_policy(&policy.replace("\"Second\"", "\"Internal\""))?;
    outside.tell("dc", &json!({ "op": "directory", "instance": "bitbucket", "directory": "Internal" })).await?;
    let applied = outside.rollcall(&["apply", "--yes", "--journal", "another"]).await?;
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    assert_eq!(users(&outside, "bitbucket", "Internal")?.len(), before.len() + 7, "six people and the administrator");
    Ok(())
}

/// Where no call chooses and nothing tells, the file is refused; the Crowd behind the directory is the way to choose it.
#[tokio::test(flavor = "multi_thread")]
async fn p2_12_a_directory_is_chosen_through_the_crowd_that_it_comes_from() -> Result<()> {
    let jira = "\n[directory.jira-dc]\nkind = \"jira-dc\"\nurl = \"{atlassian}/dc/jira\"\n\
        token = \"file:secrets/jira-token\"\nuser_directory = \"Staff\"\nlag = \"0s\"\n";
    let crowd = "\n[directory.staff]\nkind = \"crowd\"\nurl = \"{atlassian}/dc/crowd\"\napplication = \"rollcall\"\n\
        password = \"file:secrets/crowd-password\"\nlag = \"0s\"\n";
    let company = staff();
    let with = |section: &str, to: &str| {
        let text = company.clone().with_sections(&format!("{section}{PEOPLE}to = \"{to}\"\n")).policy();
        text.replace("to = [\"cloud\"]", &format!("to = [\"{to}\"]"))
    };
    let outside = Outside::start(&company.snapshot(), &with(jira, "jira-dc")).await?;
    let before = outside.sequence();
    let refused = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(refused.code, 64, "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("E0230") && refused.err.contains("kind = \"crowd\""), "{}", refused.err);
    assert_eq!(outside.sequence(), before, "nothing was written");
    outside.write_policy(&with(crowd, "staff"))?;
    let there = users(&outside, "crowd", "Internal")?.len();
    let applied = outside.rollcall(&["apply", "--yes"]).await?;
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    assert_eq!(users(&outside, "crowd", "Internal")?.len(), there + 7, "six people and the administrator");
    assert!(!users(&outside, "jira", "Internal")?.contains(&Company::email(1)), "and not in Jira's own");
    Ok(())
}
