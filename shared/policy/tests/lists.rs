//! Lists of customers as targets: every matched group fills the one list, and what has no effect there is refused.
#![expect(clippy::unwrap_used, reason = "tests")]

use model::{DirectoryId, Email, Group, GroupId};
use policy::{Customers, Policy, Settings};

fn text(rule: &str) -> String {
    format!(
        r#"tenant = "acme"

[directory.workspace]
kind = "google-workspace"
service_account = "file:google.json"
subject = "rollcall@acme.com"

[directory.cloud]
kind = "atlassian-org"
org = "org-1"
directory = "dir-1"
api_key = "file:key"

[directory.helpdesk]
kind = "jsm-customers"
site = "https://acme.atlassian.net"
email = "sync@acme.com"
api_token = "file:token"
desk = "HELP"

[directory.partners]
kind = "jsm-customers"
site = "https://acme.atlassian.net"
email = "sync@acme.com"
api_token = "file:token"
customer_organization = "Acme partners"

[[sync]]
from = "workspace"
groups = ["*@acme.com"]
{rule}
"#
    )
}

fn id(text: &str) -> DirectoryId {
    DirectoryId::new(text).unwrap()
}

#[test]
fn each_target_has_the_name_that_fits_it() {
    let rename = "rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]";
    let policy = Policy::parse(&text(&format!("to = [\"cloud\", \"helpdesk\", \"partners\"]\n{rename}"))).unwrap();
    let mut group = Group::new(GroupId::new("g").unwrap(), "Customers");
    group.email = Some(Email::new("customers@acme.com").unwrap());
    let rule = policy.rules.first().unwrap();
    for (target, name, union) in
        [("cloud", "customers", false), ("helpdesk", "HELP", true), ("partners", "Acme partners", true)]
    {
        assert_eq!(rule.target_name(&id(target), &group), name);
        assert_eq!(rule.into_at(&id(target)).is_some(), union, "{target}");
    }
}

#[test]
fn an_organization_of_customers_is_attached_to_a_desk_or_told_that_it_opens_no_portal() {
    let customers = |policy: &Policy| match &policy.directories.get("partners").unwrap().settings {
        Settings::Jsm { customers, .. } => customers.clone(),
        _ => unreachable!("a list of customers"),
    };
    let name = "Acme partners".to_owned();
    let alone = Policy::parse(&text("to = \"partners\"")).unwrap();
    assert_eq!(customers(&alone), Customers::Organization { name: name.clone(), desk: None });
    let notes: Vec<String> = alone.notes.iter().map(|note| note.as_note("acme.toml").to_string()).collect();
    assert!(notes.len() == 1 && notes.concat().contains("opens the portals of the desks"), "{notes:?}");
    let with_desk = text("to = \"partners\"").replace(
        "customer_organization = \"Acme partners\"",
        "customer_organization = \"Acme partners\"\ndesk = \"HELP\"",
    );
    let attached = Policy::parse(&with_desk).unwrap();
    assert_eq!(customers(&attached), Customers::Organization { name, desk: Some("HELP".to_owned()) });
    assert!(attached.notes.is_empty());
}

#[test]
fn several_rules_may_fill_one_list() {
    let second = "to = \"helpdesk\"\n[[sync]]\nfrom = \"cloud\"\ngroups = [\"staff\"]\nto = \"helpdesk\"";
    assert_eq!(Policy::parse(&text(second)).unwrap().rules.len(), 2);
    let another = format!("{second}\nmembers = \"managed\"");
    let refused = Policy::parse(&text(&another)).unwrap_err().render("acme.toml").to_string();
    assert!(refused.contains("E0219") || refused.contains("another `members`"), "{refused}");
}

#[test]
fn what_has_no_effect_on_a_list_is_refused_with_its_line_and_the_remedy() {
    for (rule, words) in [
        ("to = \"helpdesk\"\ninto = \"HELP\"", ["acme.toml:32:", "`into`", "leave it out"]),
        (
            "to = \"partners\"\nrename = [{ pattern = 'a', replace = 'b' }]",
            ["acme.toml:32:", "`rename`", "leave it out"],
        ),
        ("to = \"helpdesk\"\non_source_deleted = \"delete\"", ["acme.toml:32:", "never deleted", "\"empty\""]),
    ] {
        let refused = Policy::parse(&text(rule)).unwrap_err().render("acme.toml").to_string();
        for word in words {
            assert!(refused.contains(word), "{word:?} is not in {refused}");
        }
    }
    let organization = text("to = \"partners\"\non_source_deleted = \"delete\"");
    assert!(Policy::parse(&organization).is_ok(), "an organization of customers can go, after approval");
}
