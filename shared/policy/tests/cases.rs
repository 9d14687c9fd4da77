//! Cases beside a policy file, and what a policy covers of the groups that are there.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;

use model::{DirectoryId, Email, Group, GroupId, Role, UserState};
use policy::{Cases, Policy};

const POLICY: &str = r#"tenant = "t"
[directory.google]
kind = "google-workspace"
service_account = "env:KEY"
subject = "a@b.c"
[directory.cloud]
kind = "atlassian-org"
org = "o"
directory = "d"
api_key = "env:KEY"
[directory.jira]
kind = "jira-cloud"
site = "https://x.atlassian.net"
email = "a@b.c"
api_token = "env:T"
org = "cloud"

[[sync]]
name = "teams"
from = "google"
groups = ["eng-*@b.c"]
to = "cloud"
rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]

[[sync]]
name = "staff"
from = "google"
groups = ["hr@b.c", "it@b.c"]
to = "cloud"
into = "Staff"

[[sync]]
name = "odd"
from = "google"
groups = ["re:^eng-odd@"]
to = "cloud"
into = "ENG-odd"
"#;

fn policy() -> Policy {
    Policy::parse(POLICY).unwrap()
}

fn directory(id: &str) -> DirectoryId {
    DirectoryId::new(id).unwrap()
}

fn refusal(text: &str) -> String {
    Cases::parse(text, &policy()).unwrap_err().render("policy.tests.toml").to_string()
}

#[test]
fn a_case_says_who_is_where_and_what_follows() {
    let text = r#"
[[case]]
name = "an owner"
person = "jo@b.c"
groups = ["eng-web@b.c"]
role = "OWNER"
org_unit = "/Staff"
state = "suspended"
attributes = { "organizations[primary].title" = "Engineer" }
new = true
expect = ["jira/eng-web", "cloud/a/b"]

[[case]]
person = "Al@b.c"
expect = []

[nested]
"eng@b.c" = ["eng-web@b.c"]
"#;
    let cases = Cases::parse(text, &policy()).unwrap();
    let (first, second) = (&cases.cases[0], &cases.cases[1]);
    assert_eq!(
        (first.name.as_str(), first.line, first.role, first.state),
        ("an owner", 2, Role::Owner, UserState::Suspended)
    );
    assert_eq!((first.from.clone(), first.groups.len(), first.is_new), (directory("google"), 1, true));
    assert_eq!(first.org_unit.as_deref(), Some("/Staff"));
    assert_eq!(first.attributes["organizations[primary].title"], "Engineer");
    let expected = [(directory("cloud"), "a/b".to_owned()), (directory("cloud"), "eng-web".to_owned())];
    assert_eq!(first.expect, BTreeSet::from(expected), "a view stands for its organization");
    assert_eq!((second.name.as_str(), second.role, second.state), ("Al@b.c", Role::Member, UserState::Active));
    assert!(second.groups.is_empty() && second.expect.is_empty());
    assert_eq!(cases.nested["eng@b.c"], ["eng-web@b.c"]);
}

#[test]
fn a_file_of_cases_that_cannot_be_right_is_refused_with_line_and_remedy() {
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("cases_that_are_wrong", refusal(concat!(
            "[[case]]\nperson = \"nobody\"\ngroup = [\"x\"]\nstate = \"gone\"\nexpect = [\"clod/x\", \"cloud\"]\n",
            "[[case]]\nperson = \"jo@b.c\"\nfrom = \"gogle\"\n",
        )));
        insta::assert_snapshot!("no_cases", refusal(""));
        insta::assert_snapshot!("cases_that_are_not_toml", refusal("[[case]\n"));
    });
}

fn group(address: &str) -> Group {
    let mut group = Group::new(GroupId::new(address).unwrap(), address);
    group.email = Email::new(address).ok();
    group
}

#[test]
fn coverage_names_idle_rules_unclaimed_groups_and_shared_targets() {
    let (google, cloud) = (directory("google"), directory("cloud"));
    let groups = ["eng-web@b.c", "eng-odd@b.c", "hr@b.c", "it@b.c", "ops@b.c"].map(group);
    let theirs = group("Staff");
    let read = groups.iter().map(|group| (&google, group)).chain([(&cloud, &theirs)]);
    let coverage = policy().coverage(read);
    assert!(coverage.idle.is_empty());
    assert_eq!(coverage.unclaimed, BTreeSet::from([(google.clone(), "ops@b.c".to_owned())]), "targets are no sources");
    let shared: Vec<_> =
        coverage.shared.iter().map(|s| (s.name.as_str(), s.rules.len(), s.groups.len(), s.is_union)).collect();
    assert_eq!(shared, [("eng-odd", 2, 1, false), ("Staff", 1, 2, true)]);
    assert!(!coverage.is_whole());
    let coverage = policy().coverage([(&google, &groups[0])]);
    let idle: Vec<_> = coverage.idle.iter().map(|(rule, line, from)| (rule.as_str(), *line, from.as_str())).collect();
    assert_eq!(idle, [("staff", 25, "google"), ("odd", 32, "google")]);
}

#[test]
fn what_rules_and_entries_fill_is_not_unclaimed_and_each_source_of_a_rule_counts() {
    let rest = r#"
[directory.other]
kind = "google-workspace"
service_account = "env:KEY"
subject = "a@b.c"

[[sync]]
name = "everywhere"
from = ["google", "other"]
groups = ["sig-*@b.c"]
to = "cloud"
rename = [{ pattern = '@.*$', replace = '' }]

[[sync]]
name = "product access"
from = "cloud"
groups = ["scim-*"]
to = "cloud"
into = "jira-users"
members = "managed"
default_access_group = true

[[people.provision]]
name = "newcomers"
from = "people"
to = "cloud"
default_groups = { new = ["welcome"], all = ["Staff"] }

[directory.people]
kind = "google-workspace"
service_account = "env:KEY"
subject = "a@b.c"

[adopt]
"g9" = "cloud/by hand"
"#;
    let text = POLICY.replace("into = \"Staff\"", "into = \"Staff\"\nmembers = \"managed\"");
    let policy = Policy::parse(&format!("{text}{rest}")).unwrap();
    let [google, cloud, other, people] = ["google", "cloud", "other", "people"].map(directory);
    let sources: Vec<&str> = policy.sources().iter().map(|id| id.as_str()).collect();
    assert_eq!(sources, ["cloud", "google", "other", "people"]);
    let theirs = ["eng-web", "scim-all", "welcome", "STAFF", "by hand", "theirs"].map(group);
    let ours = ["eng-web@b.c", "hr@b.c", "sig-node@b.c"].map(group);
    let alone = group("alone@b.c");
    let read = theirs.iter().map(|group| (&cloud, group)).chain(ours.iter().map(|group| (&google, group)));
    let coverage = policy.coverage(read.chain([(&people, &alone)]));
    let unclaimed = [(cloud.clone(), "theirs".to_owned()), (people, "alone@b.c".to_owned())];
    assert_eq!(coverage.unclaimed, BTreeSet::from(unclaimed), "what is filled needs nobody else");
    let idle: Vec<_> = coverage.idle.iter().map(|(rule, _, from)| (rule.as_str(), from.clone())).collect();
    assert_eq!(idle, [("odd", google), ("everywhere", other)]);
    let shared: Vec<_> = coverage.shared.iter().map(|each| (each.name.as_str(), each.rules.len())).collect();
    assert_eq!(shared, [("Staff", 2)], "an entry and a rule fill it together");
}
