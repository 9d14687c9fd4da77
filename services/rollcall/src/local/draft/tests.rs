//! What is taken over, and what is written.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use model::{Email, Member, MemberKind, MembersRead, Reading, Role, Snapshot, Span, User};

use super::*;

const DIRECTORIES: &str = "tenant = \"t\"\n[directory.google]\nkind = \"google-workspace\"\n\
    service_account = \"env:K\"\nsubject = \"a@b.c\"\n[directory.cloud]\nkind = \"atlassian-org\"\norg = \"o\"\n\
    directory = \"d\"\napi_key = \"env:K\"\n";

fn id(text: &str) -> DirectoryId {
    DirectoryId::new(text).unwrap()
}

/// Groups by id, name or address, and members by number.
fn side(directory: &str, prefix: &str, groups: &[(&str, &str, &[u8])]) -> Delta {
    let mut reading = Reading::begun(Time::from_secs(1_000));
    reading.ended_at = Time::from_secs(1_001);
    reading.users.complete = true;
    reading.groups.complete = true;
    let account = |n: u8| AccountId::new(format!("{prefix}{n}")).unwrap();
    reading.users.seen = (0..8).map(|n| User::new(account(n), Email::new(format!("p{n}@b.c")).ok())).collect();
    for (group_id, name, members) in groups {
        let mut group = Group::new(GroupId::new(*group_id).unwrap(), name.split('@').next().unwrap());
        group.email = Email::new(*name).ok();
        let seen = members.iter().map(|n| Member { kind: MemberKind::User(account(*n)), role: Role::Member });
        let (group_id, seen) = (group.id.clone(), seen.collect());
        reading.members.push(MembersRead { group: group_id, seen, complete: true, began_at: reading.began_at });
        reading.groups.seen.push(group);
    }
    let mut snapshot = Snapshot::new(id(directory));
    snapshot.observe(&reading);
    snapshot.whole()
}

fn sides() -> Sides {
    let google: [(&str, &str, &[u8]); 6] = [
        ("g1", "eng@b.c", &[1, 2, 3]),
        ("g2", "ops@b.c", &[4, 5]),
        ("g3", "old-name@b.c", &[1, 4, 6, 7]),
        ("g4", "nowhere@b.c", &[1, 2]),
        ("g5", "org-admins@b.c", &[1]),
        ("g6", "a[b]@b.c", &[6]),
    ];
    let cloud: [(&str, &str, &[u8]); 5] = [
        ("c1", "Eng", &[1, 2, 3]),
        ("c2", "ops", &[4, 5, 6]),
        ("c3", "new name", &[1, 4, 6, 7]),
        ("c4", "two people", &[1, 2]),
        ("c5", "org-admins", &[1]),
    ];
    let rows = [(id("google"), side("google", "g", &google)), (id("cloud"), side("cloud", "c", &cloud))].into();
    Sides { rows, memory: Memory::default(), now: Time::from_secs(1_000).plus(Span::from_secs(60)) }
}

#[test]
fn what_is_equal_by_name_or_by_people_is_taken_over_and_the_plan_is_empty() {
    let (base, sides) = (Policy::parse_draft(DIRECTORIES).unwrap(), sides());
    let pairs = pairs(&base, &[], &[]);
    assert_eq!(pairs, [(id("google"), id("cloud"))]);
    let draft = draft(DIRECTORIES, &base, &pairs, &sides).unwrap();
    let taken: Vec<&str> = draft.taken[&pairs[0]].iter().map(String::as_str).collect();
    assert_eq!(taken, ["eng@b.c", "old-name@b.c"]);
    let adopted: Vec<(&str, &str)> = draft.adopt.iter().map(|(s, (_, g))| (s.as_str(), g.as_str())).collect();
    assert_eq!(adopted, [("g1", "c1"), ("g3", "c3")]);
    assert_eq!(draft.differing[&(id("cloud"), "ops".to_owned())], (1, 0));
    assert_eq!(draft.unclaimed[&id("cloud")], 3);
    let text = written(DIRECTORIES, &draft) + &remarks(&draft, &[]);
    let policy = Policy::parse(&text).unwrap();
    let decision = decide(DIRECTORIES, &draft, &sides).unwrap();
    assert!(decision.plan.is_empty() && decision.plan.body.targets.iter().all(|plan| plan.refusals.is_empty()));
    assert_eq!(policy.adopt.len(), 2);
    let told = ["cloud/ops: 1 would be removed, 0 added", "google: nowhere@b.c", "cloud: 3"];
    assert!(told.iter().all(|line| text.contains(line)), "{text}");
    assert!(!text.contains("google: old-name"), "what was found by its people is not missing");
}

#[test]
fn what_the_file_claims_already_stays_as_it_is() {
    let rule = "\n[[sync]]\nname = \"mine\"\nfrom = \"google\"\nto = \"cloud\"\ngroups = [\"eng@b.c\"]\n\
                rename = [{ pattern = '@.*', replace = '' }]\n\n[adopt] # by hand\n\"g1\" = \"cloud/c1\"\n";
    let text = format!("{DIRECTORIES}{rule}");
    let (base, sides) = (Policy::parse_draft(&text).unwrap(), sides());
    let draft = draft(&text, &base, &pairs(&base, &[], &[]), &sides).unwrap();
    assert!(!draft.taken.values().any(|groups| groups.contains("eng@b.c")));
    let policy = Policy::parse(&written(&text, &draft)).unwrap();
    assert_eq!((policy.rules.len(), policy.adopt.len()), (2, 2));
}

#[test]
fn further_targets_are_filled_too_and_a_pair_in_which_nothing_is_equal_writes_no_rule() {
    let more = "[directory.jira]\nkind = \"jira-dc\"\nurl = \"https://j.b.c\"\ntoken = \"env:K\"\n\
        [directory.wiki]\nkind = \"confluence-dc\"\nurl = \"https://w.b.c\"\ntoken = \"env:K\"\n\
        [directory.desk]\nkind = \"jsm-customers\"\nsite = \"https://s.atlassian.net\"\nemail = \"a@b.c\"\n\
        api_token = \"env:K\"\ndesk = \"HELP\"\n";
    let text = format!("{DIRECTORIES}{more}");
    let (base, mut sides) = (Policy::parse_draft(&text).unwrap(), sides());
    let jira: [(&str, &str, &[u8]); 2] = [("j1", "eng", &[1, 2, 3]), ("j2", "Renamed", &[1, 4, 6, 7])];
    sides.rows.insert(id("jira"), side("jira", "j", &jira));
    sides.rows.insert(id("wiki"), side("wiki", "w", &[("w1", "eng", &[7])]));
    let pairs = pairs(&base, &[], &[]);
    assert_eq!(pairs.len(), 3, "a list of customers is no target for groups: {pairs:?}");
    assert_eq!(lists(&base), [&id("desk")]);
    let draft = draft(&text, &base, &pairs, &sides).unwrap();
    assert_eq!(draft.adopt[&GroupId::new("g3").unwrap()].0, id("cloud"));
    let into: Vec<_> = draft.into.iter().map(|(((_, to), of), (_, name))| (to.as_str(), &**of, &**name)).collect();
    assert_eq!(into, [("jira", "old-name@b.c", "Renamed")]);
    let policy = Policy::parse(&written(&text, &draft)).unwrap();
    let targets: Vec<_> = policy.rules.iter().map(|rule| (rule.to[0].as_str(), rule.into.as_deref())).collect();
    assert_eq!(targets, [("cloud", None), ("jira", None), ("jira", Some("Renamed"))]);
    assert!(super::decide(&text, &draft, &sides).unwrap().plan.is_empty());
    // Every group is claimed already: there is nothing to add, and that is no mistake.
    let rule = "\n[[sync]]\nname = \"all\"\nfrom = \"google\"\nto = [\"cloud\", \"jira\", \"wiki\"]\n\
        groups = [\"*\"]\nrename = [{ pattern = '@.*', replace = '' }]\n";
    let text = format!("{text}{rule}");
    let base = Policy::parse_draft(&text).unwrap();
    let draft = super::draft(&text, &base, &pairs, &sides).unwrap();
    assert!(draft.taken.is_empty() && draft.into.is_empty());
    assert_eq!(Policy::parse(&written(&text, &draft)).unwrap().rules.len(), 1);
}

/// Two companies' worth of groups, in which people and names are no sign of who may fill what.
#[test]
fn a_group_that_nobody_may_fill_or_that_another_fills_is_left_out_and_told() {
    let google: [(&str, &str, &[u8]); 8] = [
        ("g1", "platform-team@b.c", &[1, 2, 3, 4]),
        ("g2", "platform-oncall@b.c", &[1, 2, 3, 4]),
        ("g3", "everybody-here@b.c", &[1, 2, 3, 4, 5, 6]),
        ("g4", "bosses@b.c", &[1, 2, 5]),
        ("g5", "from-okta@b.c", &[2, 5, 6]),
        ("g6", "seats@b.c", &[3, 5, 6]),
        ("g7", "twin@b.c", &[7]),
        ("g8", "twin@sub.b.c", &[7]),
    ];
    let cloud: [(&str, &str, &[u8]); 6] = [
        ("c1", "platform-team", &[1, 2, 3, 4]),
        ("c2", "jira-users-acme", &[1, 2, 3, 4, 5, 6]),
        ("c3", "helpers", &[1, 2, 5]),
        ("c4", "okta", &[2, 5, 6]),
        ("c5", "seats", &[3, 5, 6]),
        ("c6", "twin", &[7]),
    ];
    let mut theirs = side("cloud", "c", &cloud);
    for row in &mut theirs.groups {
        match row.group.id.as_str() {
            "c2" | "c5" => row.group.default_access = true,
            "c3" => (row.group.grants_admin, row.group.roles_known) = (true, true),
            "c4" => row.group.ownership = model::Ownership::IdentityProvider,
            _ => {}
        }
    }
    let rows = [(id("google"), side("google", "g", &google)), (id("cloud"), theirs)].into();
    let now = Time::from_secs(1_000).plus(Span::from_secs(60));
    let sides = Sides { rows, memory: Memory::default(), now };
    let base = Policy::parse_draft(DIRECTORIES).unwrap();
    let draft = draft(DIRECTORIES, &base, &pairs(&base, &[], &[]), &sides).unwrap();
    let adopted: Vec<(&str, &str)> = draft.adopt.iter().map(|(s, (_, g))| (s.as_str(), g.as_str())).collect();
    assert_eq!(adopted, [("g1", "c1")], "the group of the same people has the name of another");
    let text = written(DIRECTORIES, &draft) + &remarks(&draft, &[]);
    assert_eq!(Policy::parse(&text).unwrap().rules.len(), 1);
    assert!(decide(DIRECTORIES, &draft, &sides).unwrap().plan.is_empty());
    for line in [
        "cloud/jira-users-acme: it gives a product by default",
        "cloud/seats: it gives a product by default",
        "cloud/helpers: it makes administrators",
        "cloud/okta: it belongs to an identity provider",
        "cloud/twin: more than one source group",
        "google: platform-oncall@b.c",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("0 would be removed, 0 added"), "{text}");
}

#[test]
fn a_name_with_signs_is_a_pattern_for_itself() {
    assert_eq!(literal("a[b]*\\x"), "a\\[b\\]\\*\\\\x");
    let matcher = policy::NameMatcher::new([literal("a[b]{c}").as_str()]).unwrap();
    assert!(matcher.matches("a[b]{c}") && !matcher.matches("ab{c}"));
}
