//! Which people entries and rules take, what their accounts are called, and how they go.

#![expect(clippy::panic, reason = "tests")]

use model::{AccountChange, Email, LET_IN, Reason, RefusalWhy, Step, UserState, WaitWhy};

use crate::testing::{Side, World, acc, account_changes, cases, dir, edges, only, policy_for};

const ENTRY: &str = "[[people.provision]]\nname = \"people\"\nfrom = \"workspace\"\nto = \"cloud\"\n";
pub(super) const JIRA: &str = "kind = \"jira-dc\"\nurl = \"https://jira.acme.com\"\ntoken = \"file:token\"";
const GIT: &str = "kind = \"bitbucket-dc\"\nurl = \"https://git.acme.com\"\ntoken = \"file:token\"";
pub(super) const SCIM: &str = "kind = \"atlassian-scim\"\ndirectory_id = \"d\"\ntoken = \"file:token\"";
pub(super) const ORG: &str = "kind = \"atlassian-org\"\norg = \"o\"\ndirectory = \"d\"\napi_key = \"file:key\"";
const NAMES: &str = "username = [{ pattern = '(.*)@.*', replace = '$1' }]\n";

/// A target of this kind with ann, bob and cho, who have accounts, and this entry.
pub(super) fn world(kind: &str, entry: &str) -> World {
    let names = if kind == JIRA { NAMES } else { "" };
    let mut world = World::of(policy_for(kind, "", &format!("{names}{ENTRY}{entry}")));
    for name in ["ann", "bob", "cho"] {
        world.person(name);
        let user_name = if kind == JIRA { name.to_owned() } else { format!("{name}@acme.com") };
        world.target.user(&format!("a-{name}")).attributes.insert("userName".to_owned(), user_name);
    }
    world
}

/// Somebody of the source without an account.
pub(super) fn newcomer(world: &mut World, name: &str, email: &str) {
    world.source.users.insert(acc(name), model::User::new(acc(name), Email::new(email).ok()));
}

fn created(world: &mut World) -> Vec<(String, String)> {
    let name = |change: AccountChange| match change {
        AccountChange::Create { mut attributes } => attributes.remove("userName").unwrap_or_default(),
        other => panic!("{other:?}"),
    };
    account_changes(world).into_iter().map(|(person, change)| (person, name(change))).collect()
}

pub(super) fn doubts(world: &mut World) -> Vec<String> {
    let decision = world.decide();
    let waits = decision.plan.body.targets.iter().flat_map(|target| &target.waits);
    waits.filter(|wait| wait.why == WaitWhy::Doubt).filter_map(|wait| Some(wait.person.as_ref()?.to_string())).collect()
}

pub(super) fn is_in_sync(world: &mut World) -> bool {
    let decision = world.decide();
    world.planner.sync_state(&world.memory, &decision).get(&dir("cloud")).is_some_and(|state| state.in_sync)
}

pub(super) fn swept(world: &mut World) {
    world.sweep_source();
    world.sweep_target();
}

#[test]
fn p2_05_a_user_name_is_what_the_regular_expression_makes_of_the_address() {
    let mut world = world(JIRA, "");
    newcomer(&mut world, "fay", "Fay.Moe@acme.com");
    swept(&mut world);
    assert_eq!(created(&mut world), [("fay".to_owned(), "fay.moe".to_owned())]);
}

#[test]
fn one_user_name_for_two_people_or_for_somebody_elses_account_is_a_doubt() {
    let mut world = world(JIRA, "external = \"create\"\n");
    newcomer(&mut world, "fay", "fay@acme.com");
    newcomer(&mut world, "fay-2", "fay@acme.org");
    newcomer(&mut world, "bob-2", "BOB@acme.org");
    newcomer(&mut world, "gil", "gil@acme.com");
    swept(&mut world);
    assert_eq!(created(&mut world), [("gil".to_owned(), "gil".to_owned())]);
    assert_eq!(doubts(&mut world), ["bob-2", "fay", "fay-2"]);
}

#[test]
fn two_entries_that_come_to_one_user_name_are_a_doubt_too() {
    let entry = |name: &str, people: &str| {
        format!(
            "[[people.provision]]\nname = \"{name}\"\nfrom = \"workspace\"\nto = \"cloud\"\nexternal = \"create\"\n\
             people = [\"{people}\"]\n"
        )
    };
    let entries = format!("{NAMES}{}{}", entry("here", "*@acme.com"), entry("there", "*@acme.eu"));
    let mut world = World::of(policy_for(JIRA, "", &entries));
    newcomer(&mut world, "john", "john@acme.com");
    newcomer(&mut world, "john-2", "john@acme.eu");
    newcomer(&mut world, "gil", "gil@acme.eu");
    swept(&mut world);
    assert_eq!(created(&mut world), [("gil".to_owned(), "gil".to_owned())]);
    assert_eq!(doubts(&mut world), ["john", "john-2"]);
    // Whose creation is under way counts as well: the name is as good as given.
    world.memory.accounts_open.insert((dir("cloud"), dir("workspace"), acc("john")));
    assert_eq!(created(&mut world), [("gil".to_owned(), "gil".to_owned())]);
    assert_eq!(doubts(&mut world), ["john-2"]);
}

#[test]
fn who_would_get_no_account_takes_nobodys_user_name() {
    let mut world = world(JIRA, "external = \"create\"\nwho = \"members\"\n");
    newcomer(&mut world, "fay", "fay@acme.com");
    newcomer(&mut world, "fay-2", "fay@acme.org");
    world.fill("eng", &["fay"]);
    swept(&mut world);
    assert_eq!(created(&mut world), [("fay".to_owned(), "fay".to_owned())]);
    assert!(doubts(&mut world).is_empty());
}

#[test]
fn one_person_of_two_sources_is_made_once() {
    let other = "[directory.partners]\nkind = \"scim-inbound\"\ntoken = \"file:t\"\n";
    let entries = format!("{NAMES}{ENTRY}[[people.provision]]\nfrom = \"partners\"\nto = \"cloud\"\n{other}");
    let mut world = World::of(policy_for(JIRA, "", &entries));
    newcomer(&mut world, "fay", "fay@acme.com");
    let mut partners = Side::new("partners");
    partners.users.insert(acc("p-fay"), model::User::new(acc("p-fay"), Email::new("Fay@acme.com").ok()));
    partners.users.insert(acc("p-gil"), model::User::new(acc("p-gil"), Email::new("gil@acme.com").ok()));
    swept(&mut world);
    let delta = partners.observe(&partners.reading(world.now));
    world.planner.apply(&delta);
    let name = |person: &str, name: &str| (person.to_owned(), name.to_owned());
    assert_eq!(created(&mut world), [name("p-gil", "gil"), name("fay", "fay")]);
    assert!(doubts(&mut world).is_empty(), "the same address is the same person, whoever tells of it");
}

#[test]
fn where_nobody_has_a_user_name_two_addresses_are_two_people() {
    // Another target has user names.
    let there = format!(
        "[[people.provision]]\nfrom = \"workspace\"\nto = \"there\"\ncreate = false\nupdate = false\n[directory.there]\n{JIRA}\n"
    );
    let mut world = World::of(policy_for(ORG, "", &format!("{NAMES}{ENTRY}external = \"create\"\n{there}")));
    newcomer(&mut world, "fay", "fay@acme.com");
    newcomer(&mut world, "fay-2", "fay@acme.org");
    swept(&mut world);
    let name = |person: &str, name: &str| (person.to_owned(), name.to_owned());
    assert_eq!(created(&mut world), [name("fay", "fay@acme.com"), name("fay-2", "fay@acme.org")]);
    assert!(doubts(&mut world).is_empty());
}

#[test]
fn a_provisioning_directory_knows_people_by_address() {
    let mut world = world(SCIM, "");
    newcomer(&mut world, "fay", "Fay@acme.com");
    swept(&mut world);
    assert_eq!(created(&mut world), [("fay".to_owned(), "fay@acme.com".to_owned())]);
}

#[test]
fn a_new_address_keeps_the_account_and_takes_its_user_name_along() {
    let mut world = world(SCIM, "");
    world.target.user("a-bob").attributes.insert("userName".to_owned(), "bobby".to_owned());
    world.fill("eng", &["ann", "bob"]);
    world.converge();
    for name in ["ann", "bob"] {
        world.source.user(name).email = Email::new(format!("{name}.new@acme.com")).ok();
    }
    swept(&mut world);
    let update = |entries: &[(&str, &str)]| AccountChange::Update {
        attributes: entries.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect(),
    };
    let ann = update(&[("emails[primary].value", "ann.new@acme.com"), ("userName", "ann.new@acme.com")]);
    let bob = update(&[("emails[primary].value", "bob.new@acme.com")]);
    assert_eq!(account_changes(&mut world), [("ann".to_owned(), ann), ("bob".to_owned(), bob)], "a chosen name stays");
    world.converge();
    assert_eq!(world.in_target("eng").len(), 2, "nobody was taken for somebody new");
}

#[test]
fn attributes_are_mapped_and_set_again_only_where_they_differ() {
    let mut world = world(
        SCIM,
        "attributes = { department = \"organizations[primary].department\", nickName = \"custom.nick\" }\n",
    );
    let mapped = [("organizations[primary].department", "Tools"), ("custom.nick", "Annie")];
    let known = mapped.map(|(path, value)| (path.to_owned(), value.to_owned()));
    world.source.user("ann").attributes.extend(known);
    swept(&mut world);
    let [(person, AccountChange::Update { attributes })] = &account_changes(&mut world)[..] else {
        panic!("one update")
    };
    assert_eq!((person.as_str(), attributes.len()), ("ann", 2), "the account reports neither, so both are missing");
    let account = world.target.user("a-ann");
    account.attributes.insert("department".to_owned(), "Tools".to_owned());
    account.attributes.insert("nickName".to_owned(), "Annie".to_owned());
    world.sweep_target();
    assert!(account_changes(&mut world).is_empty());
}

#[test]
fn what_an_organization_tells_of_an_account_is_kept_up_to_date_too() {
    let mut world = world(ORG, "attributes = { title = \"organizations[primary].title\" }\n");
    let title = ("organizations[primary].title".to_owned(), "Lead".to_owned());
    world.source.user("ann").attributes.extend([title]);
    swept(&mut world);
    let [(person, AccountChange::Update { attributes })] = &account_changes(&mut world)[..] else {
        panic!("one update")
    };
    assert_eq!((person.as_str(), attributes["title"].as_str()), ("ann", "Lead"));
    world.target.user("a-ann").attributes.insert("title".to_owned(), "Lead".to_owned());
    world.sweep_target();
    assert!(account_changes(&mut world).is_empty());
}

#[test]
fn no_update_is_asked_for_that_an_organization_cannot_make() {
    for (name, value, updates) in
        [("claimStatus", "managed", 1), ("claimStatus", "unmanaged", 0), ("managementSource", "synced", 0)]
    {
        let mut world = world(ORG, "");
        world.source.user("ann").display_name = Some("Ann B.".to_owned());
        let account = world.target.user("a-ann");
        account.display_name = Some("Ann".to_owned());
        account.attributes.insert(name.to_owned(), value.to_owned());
        swept(&mut world);
        assert_eq!(account_changes(&mut world).len(), updates, "{name} {value}");
        // Who leaves is kept out all the same: that an organization can do with everybody.
        world.source.user("ann").state = UserState::Suspended;
        world.sweep_source();
        assert_eq!(account_changes(&mut world), [("ann".to_owned(), AccountChange::Deactivate)], "{name} {value}");
    }
}

#[test]
fn an_attribute_that_the_source_has_no_more_is_cleared() {
    for (kind, path) in [(SCIM, "department"), (ORG, "title")] {
        let mut world = world(kind, &format!("attributes = {{ {path} = \"organizations[primary].x\" }}\n"));
        let attribute = "organizations[primary].x".to_owned();
        let come_to = |world: &mut World, value: Option<&str>| {
            world.source.user("ann").attributes.remove(&attribute);
            world.source.user("ann").attributes.extend(value.map(|value| (attribute.clone(), value.to_owned())));
            world.converge();
            assert!(account_changes(world).is_empty(), "{kind} {value:?}");
            world.target.user("a-ann").attributes.get(path).cloned()
        };
        assert_eq!(come_to(&mut world, Some("Tools")).as_deref(), Some("Tools"));
        assert_eq!(come_to(&mut world, Some("Ops")).as_deref(), Some("Ops"));
        assert_eq!(come_to(&mut world, None), None, "{kind}");
        assert_eq!(come_to(&mut world, Some("Tools")).as_deref(), Some("Tools"));
        assert_eq!(come_to(&mut world, Some("")), None, "{kind}: nothing is no value");
    }
}

#[test]
fn only_people_of_the_scope_get_accounts() {
    let mut world = world(
        SCIM,
        "people = [\"*@acme.com\"]\nexcept_people = [\"bot-*\"]\nwhere = { \"organizations[primary].title\" = \"eng*\" }\n",
    );
    for (name, title) in [("fay", "Engineer"), ("gil", "Sales"), ("bot-1", "Engineer")] {
        newcomer(&mut world, name, &format!("{name}@acme.com"));
        world.source.user(name).attributes.insert("organizations[primary].title".to_owned(), title.to_owned());
    }
    for name in ["ann", "bob", "cho"] {
        world.source.user(name).attributes.insert("organizations[primary].title".to_owned(), "Engineer".to_owned());
    }
    swept(&mut world);
    assert_eq!(created(&mut world), [("fay".to_owned(), "fay@acme.com".to_owned())]);
    // Whose attribute says otherwise from now on is out of scope, and so a leaver.
    world.source.user("ann").attributes.insert("organizations[primary].title".to_owned(), "Retired".to_owned());
    world.sweep_source();
    let decision = world.decide();
    let left = |step: &Step| {
        matches!(step, Step::Account { change: AccountChange::Deactivate, reason: Reason::OutOfScope { .. }, .. })
    };
    assert!(cases(&decision).iter().any(|case| case.steps.iter().any(left)), "{:#?}", decision.plan.body);
}

#[test]
fn outsiders_get_accounts_only_where_the_entry_says_so() {
    let of = |external: &str| {
        let mut world = world(SCIM, external);
        newcomer(&mut world, "zoe", "zoe@other.org");
        newcomer(&mut world, "yan", "yan@other.org");
        let mut account = model::User::new(acc("a-yan"), Email::new("yan@other.org").ok());
        account.display_name = Some("Y.".to_owned());
        world.target.users.insert(acc("a-yan"), account);
        world.source.user("yan").display_name = Some("Yan".to_owned());
        swept(&mut world);
        account_changes(&mut world)
            .into_iter()
            .map(|(person, change)| format!("{person} {}", change.as_str()))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(""), ["yan update"], "matched to an account that exists");
    assert_eq!(of("external = \"create\"\n"), ["yan update", "zoe create"]);
    assert!(of("external = \"skip\"\n").is_empty());
}

#[test]
fn a_rule_takes_members_by_address_and_attribute() {
    let mut world = World::new("people = [\"*@acme.com\"]\nexcept_people = [\"bob@acme.com\"]", "");
    for name in ["ann", "bob"] {
        world.person(name);
    }
    world.outsider("zoe");
    world.fill("eng", &["ann", "bob", "zoe"]);
    world.converge();
    assert_eq!(world.in_target("eng").into_iter().collect::<Vec<_>>(), ["a-ann"]);
    // An address that a rule no longer takes goes by policy, and needs no question.
    world.source.user("ann").email = Email::new("ann@else.org").ok();
    world.sweep_source();
    let decision = world.decide();
    assert_eq!(edges(&decision), ["-eng a-ann"]);
    let policy = |step: &Step| matches!(step, Step::Edge { reason: Reason::Policy { .. }, .. });
    assert!(only(&decision).steps.iter().all(policy));
}

#[test]
fn each_state_takes_the_path_that_the_entry_names() {
    let entry = "on_leave = { suspended = \"keep\", archived = \"deactivate\", deleted = \"keep\" }\n";
    for (state, expected) in [
        (UserState::Suspended, None),
        (UserState::Archived, Some(AccountChange::Deactivate)),
        (UserState::Deleted, None),
    ] {
        let mut world = world(SCIM, entry);
        world.fill("eng", &["ann", "bob", "cho"]);
        world.converge();
        world.source.user("ann").state = state;
        world.sweep_source();
        let decision = world.decide_informed();
        assert_eq!(edges(&decision), ["-eng a-ann"], "memberships go in every state: {state:?}");
        let change = account_changes(&mut world).into_iter().map(|(_, change)| change).next();
        assert_eq!(change, expected, "{state:?}");
    }
}

#[test]
fn a_grace_that_a_rehire_cancels_begins_anew_with_the_next_leave() {
    let mut world = world(SCIM, "on_leave = { suspended = \"deactivate\", grace = \"2h\" }\n");
    world.fill("eng", &["ann", "bob", "cho"]);
    world.converge();
    let state = |world: &mut World, state: UserState, hours: u64| {
        world.source.user("ann").state = state;
        swept(world);
        let decision = world.decide();
        world.carry_out(&decision);
        world.tick(hours * 3600);
        swept(world);
        account_changes(world).into_iter().map(|(_, change)| change).collect::<Vec<_>>()
    };
    assert!(state(&mut world, UserState::Suspended, 1).is_empty(), "the grace lasts");
    assert!(!world.memory.leaving.is_empty());
    assert!(state(&mut world, UserState::Active, 1).is_empty(), "back in time: the account was never touched");
    assert!(world.memory.leaving.is_empty() && world.in_target("eng").contains("a-ann"));
    assert!(state(&mut world, UserState::Suspended, 1).is_empty(), "two hours again, not what was left of the first");
    assert_eq!(state(&mut world, UserState::Suspended, 1), [AccountChange::Deactivate]);
}

#[test]
fn p2_13_p2_14_who_leads_something_hands_over_before_the_sign_in_goes() {
    let mut world = world(JIRA, "lead_fallback = { project = \"cho\", component = \"bob\" }\n");
    world.converge();
    world.source.user("ann").state = UserState::Suspended;
    world.sweep_source();
    let hand_over = AccountChange::HandOver { project: Some("cho".to_owned()), component: Some("bob".to_owned()) };
    assert_eq!(account_changes(&mut world), [("ann".to_owned(), hand_over)]);
    // Nobody takes over what they lead themselves: the target says what is left.
    world.source.user("ann").state = UserState::Active;
    world.source.user("cho").state = UserState::Suspended;
    world.sweep_source();
    let hand_over = AccountChange::HandOver { project: None, component: Some("bob".to_owned()) };
    assert_eq!(account_changes(&mut world), [("cho".to_owned(), hand_over)]);
}

#[test]
fn without_a_fallback_or_elsewhere_the_sign_in_just_goes() {
    for kind in [JIRA, SCIM] {
        let mut world = world(kind, "");
        world.converge();
        world.source.user("ann").state = UserState::Suspended;
        world.sweep_source();
        assert_eq!(account_changes(&mut world), [("ann".to_owned(), AccountChange::Deactivate)]);
    }
}

#[test]
fn the_order_of_match_rules_is_that_of_the_file() {
    let with = |order: &str| {
        let mut world = World::new("", &format!("match = [{order}]\n"));
        world.person("ann");
        let mut other = model::User::new(acc("a-other"), Email::new("other@acme.com").ok());
        other.external_id = Some("ann".to_owned());
        world.target.users.insert(acc("a-other"), other);
        world.fill("eng", &["ann"]);
        swept(&mut world);
        edges(&world.decide())
    };
    assert_eq!(with("\"link\", \"external-id\", \"email\""), ["+eng a-other"]);
    assert_eq!(with("\"link\", \"email\", \"external-id\""), ["+eng a-ann"]);
}

#[test]
fn crowd_gets_every_attribute_that_an_entry_maps() {
    const CROWD: &str = "kind = \"crowd\"\nurl = \"https://c.acme.com\"\napplication = \"a\"\npassword = \"file:p\"";
    let mut world = world(CROWD, "attributes = { department = \"organizations[primary].department\" }\n");
    world.converge();
    let department = |world: &mut World, value: &str| {
        let path = "organizations[primary].department".to_owned();
        world.source.user("ann").attributes.insert(path, value.to_owned());
        swept(world);
        account_changes(world)
    };
    let set = AccountChange::Update { attributes: [("department".to_owned(), "Web".to_owned())].into() };
    assert_eq!(department(&mut world, "Web"), [("ann".to_owned(), set)]);
    world.target.user("a-ann").attributes.insert("department".to_owned(), "Web".to_owned());
    assert!(department(&mut world, "Web").is_empty());
}

/// The changes to the account of `ann`, who left, and what was refused about her.
fn farewell(world: &mut World) -> (Vec<AccountChange>, Vec<RefusalWhy>) {
    world.source.user("ann").state = UserState::Suspended;
    swept(world);
    let refused =
        world.decide_informed().plan.body.targets.iter().flat_map(|it| &it.refusals).map(|it| it.why).collect();
    (account_changes(world).into_iter().map(|(_, change)| change).collect(), refused)
}

#[test]
fn p2_11_where_nobody_is_deactivated_who_leaves_is_locked_out_and_only_once() {
    let git = || {
        let mut world = world(GIT, "");
        world.fill("eng", &["ann", "bob", "cho"]);
        world.existing("vip-admins-1", "vip-admins-1", &["a-bob"]);
        world.target.group("vip-admins-1").gives.push(model::ProductAccess::new("bitbucket", ""));
        world.converge();
        world
    };
    assert_eq!(farewell(&mut git()), (vec![AccountChange::Deactivate], vec![]));
    // Nothing lets her in any more: that is done.
    let mut out = git();
    out.target.user("a-ann").attributes.insert(LET_IN.to_owned(), "false".to_owned());
    assert_eq!(farewell(&mut out), (vec![], vec![]));
    // Who administers, or is in a protected group that lets people in, is left to a person.
    let mut administers = git();
    administers.target.user("a-ann").admin = true;
    assert_eq!(farewell(&mut administers), (vec![], vec![RefusalWhy::ProtectedGroup]));
    let mut protected = git();
    protected.target.add("vip-admins-1", model::MemberKind::User(acc("a-ann")));
    assert_eq!(farewell(&mut protected), (vec![], vec![RefusalWhy::ProtectedGroup]));
}
