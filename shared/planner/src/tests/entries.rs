//! Several entries for people between the same directories, and to different targets: whose is whom.

use std::collections::BTreeMap;

use model::{AccountChange, Email, UserState};

use crate::testing::{World, acc, account_changes, edges, policy_for};

const SCIM: &str = "kind = \"atlassian-scim\"\ndirectory_id = \"d\"\ntoken = \"file:token\"";

/// An entry from the source to this target with these lines.
fn entry(to: &str, lines: &str) -> String {
    format!("[[people.provision]]\nfrom = \"workspace\"\nto = \"{to}\"\n{lines}\n")
}

fn world(rest: &str) -> World {
    World::of(policy_for(SCIM, "", rest))
}

/// Somebody with an account, in this organizational unit.
fn person(world: &mut World, name: &str, unit: &str) {
    world.person(name);
    world.source.user(name).org_unit = Some(unit.to_owned());
}

fn swept(world: &mut World) {
    world.sweep_source();
    world.sweep_target();
}

#[test]
fn a_leaver_goes_by_the_entry_that_took_them_and_by_no_other() {
    let staff = entry("cloud", "org_units = [\"/Staff/**\"]");
    let keep = "on_leave = { suspended = \"keep\", archived = \"keep\", deleted = \"keep\" }";
    let contractors = entry("cloud", &format!("org_units = [\"/Contractors/**\"]\n{keep}"));
    let mut world = world(&format!("{staff}{contractors}"));
    for (name, unit) in [("ann", "/Staff"), ("bob", "/Contractors"), ("cho", "/Staff/A"), ("dan", "/Contractors/B")] {
        person(&mut world, name, unit);
    }
    swept(&mut world);
    world.source.user("ann").state = UserState::Suspended;
    world.source.user("bob").state = UserState::Suspended;
    world.source.users.remove(&acc("cho"));
    world.source.users.remove(&acc("dan"));
    world.sweep_source();
    let gone = |names: &[&str]| -> Vec<(String, AccountChange)> {
        names.iter().map(|name| ((*name).to_owned(), AccountChange::Deactivate)).collect()
    };
    assert_eq!(account_changes(&mut world), gone(&["ann", "cho"]));
}

#[test]
fn whom_no_entry_takes_any_more_goes_by_the_mildest_of_them() {
    let staff = entry("cloud", "org_units = [\"/Staff/**\"]");
    let contractors =
        |way: &str| entry("cloud", &format!("org_units = [\"/Contractors/**\"]\non_leave = {{ deleted = \"{way}\" }}"));
    for (way, expected) in [("keep", 0), ("deactivate", 1)] {
        let mut world = world(&format!("{staff}{}", contractors(way)));
        person(&mut world, "ann", "/Staff");
        world.fill("eng", &["ann"]);
        world.converge();
        world.source.user("ann").org_unit = Some("/Elsewhere".to_owned());
        world.sweep_source();
        assert_eq!(account_changes(&mut world).len(), expected, "{way}");
        assert_eq!(edges(&world.decide()), ["-eng a-ann"], "the memberships go either way");
    }
}

#[test]
fn a_person_is_within_scope_by_the_entries_for_the_target_at_hand() {
    let wiki = "[directory.wiki]\nkind = \"confluence-dc\"\nurl = \"https://wiki.acme.com\"\ntoken = \"file:t\"\n";
    let here = entry("cloud", "org_units = [\"/Eng/**\"]");
    let elsewhere = entry("wiki", "create = false\norg_units = [\"/Eng/**\", \"/Sales/**\"]");
    let mut world = world(&format!("{elsewhere}{here}{wiki}"));
    person(&mut world, "ann", "/Eng");
    world.fill("eng", &["ann"]);
    world.converge();
    assert!(world.in_target("eng").contains("a-ann"));
    // Sales has the wiki, and nothing here.
    world.source.user("ann").org_unit = Some("/Sales".to_owned());
    world.sweep_source();
    assert_eq!(account_changes(&mut world), [("ann".to_owned(), AccountChange::Deactivate)]);
    assert_eq!(edges(&world.decide()), ["-eng a-ann"]);
}

#[test]
fn where_no_entry_brings_anybody_those_for_other_targets_say_who_is_in_scope() {
    let wiki = "[directory.wiki]\nkind = \"confluence-dc\"\nurl = \"https://wiki.acme.com\"\ntoken = \"file:t\"\n";
    let elsewhere = entry("wiki", "create = false\norg_units = [\"/Eng/**\"]");
    let mut world = world(&format!("{elsewhere}{wiki}"));
    person(&mut world, "ann", "/Eng");
    person(&mut world, "bob", "/Guests");
    world.fill("eng", &["ann", "bob"]);
    world.converge();
    assert_eq!(world.in_target("eng").into_iter().collect::<Vec<_>>(), ["a-ann"]);
}

#[test]
fn of_entries_that_overlap_the_first_takes_the_person() {
    let title = |path: &str| format!("attributes = {{ title = \"{path}\" }}");
    let first = entry("cloud", &format!("org_units = [\"/Staff/Eng/**\"]\n{}", title("custom.grade")));
    let second = entry("cloud", &format!("org_units = [\"/Staff/**\"]\n{}", title("custom.job")));
    let mut world = world(&format!("{first}{second}"));
    for (name, unit) in [("ann", "/Staff/Eng"), ("bob", "/Staff/Sales")] {
        person(&mut world, name, unit);
        let said = [("custom.grade", "senior"), ("custom.job", "worker")];
        world.source.user(name).attributes.extend(said.map(|(path, value)| (path.to_owned(), value.to_owned())));
    }
    let newcomer = model::User::new(acc("fay"), Email::new("fay@acme.com").ok());
    world.source.users.insert(acc("fay"), newcomer);
    world.source.user("fay").org_unit = Some("/Staff/Eng".to_owned());
    swept(&mut world);
    let found = account_changes(&mut world);
    let title = |change: &AccountChange| match change {
        AccountChange::Create { attributes } | AccountChange::Update { attributes } => attributes.get("title").cloned(),
        _ => None,
    };
    let titles: BTreeMap<&str, Option<String>> =
        found.iter().map(|(who, change)| (who.as_str(), title(change))).collect();
    assert_eq!(found.len(), 3, "one change for each person: {found:?}");
    assert_eq!(titles.get("ann"), Some(&Some("senior".to_owned())));
    assert_eq!(titles.get("bob"), Some(&Some("worker".to_owned())));
    world.converge();
    swept(&mut world);
    assert!(account_changes(&mut world).is_empty(), "and nobody changes it back");
}

const CROWD: &str =
    "kind = \"crowd\"\nurl = \"https://crowd.acme.com\"\napplication = \"rollcall\"\npassword = \"file:p\"";

#[test]
fn p2_10_what_crowd_keeps_beside_an_account_is_set_changed_and_cleared() {
    let mapped = "attributes = { department = \"custom.team\", userName = \"custom.name\" }";
    let mut world = World::of(policy_for(CROWD, "", &entry("cloud", mapped)));
    person(&mut world, "ann", "/Eng");
    world.target.user("a-ann").attributes.insert("userName".to_owned(), "ann".to_owned());
    swept(&mut world);
    let come_to = |world: &mut World, value: Option<&str>| {
        world.source.user("ann").attributes.remove("custom.team");
        world.source.user("ann").attributes.extend(value.map(|value| ("custom.team".to_owned(), value.to_owned())));
        world.converge();
        assert!(account_changes(world).is_empty(), "{value:?}");
        world.target.user("a-ann").attributes.get("department").cloned()
    };
    assert_eq!(come_to(&mut world, Some("Tools")).as_deref(), Some("Tools"));
    assert_eq!(come_to(&mut world, Some("Ops")).as_deref(), Some("Ops"));
    assert_eq!(come_to(&mut world, None), None);
    // An account's own fields are none of those that could be taken away.
    assert_eq!(world.target.user("a-ann").attributes.get("userName").map(String::as_str), Some("ann"));
}
