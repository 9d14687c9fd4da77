//! Groups that everybody of an entry gets, and those that newcomers get once.

#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use model::{GuardName, Reason, RefusalWhy, Step, UserState};

use crate::testing::{World, acc, cases, dir, edges, grp, only};

const STAFF: &str = r#"
[[people.provision]]
name = "staff"
from = "workspace"
to = "cloud"
org_units = ["/Staff/**"]
"#;

/// Four people of the staff and one guest, who is in no scope of the entry; nobody is in any group.
fn company(defaults: &str) -> World {
    let guests =
        "[[people.provision]]\nname = \"guests\"\nfrom = \"workspace\"\nto = \"cloud\"\norg_units = [\"/Guests\"]\n";
    let mut world = World::new("", &format!("{STAFF}default_groups = {{ {defaults} }}\n{guests}"));
    for name in ["ann", "bob", "cho", "dan", "gus"] {
        world.person(name);
        let unit = if name == "gus" { "/Guests" } else { "/Staff/Engineering" };
        world.source.user(name).org_unit = Some(unit.to_owned());
    }
    world
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn everybody_of_the_entry_gets_into_the_groups_for_all() {
    let mut world = company("all = [\"Everyone\"]");
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    let [Step::CreateGroup { name, reason: Reason::Missing { rule, group: None, .. }, .. }, rest @ ..] =
        &only(&decision).steps[..]
    else {
        panic!("{:#?}", decision.plan.body);
    };
    assert_eq!((name.as_str(), rule.as_str(), rest.len()), ("Everyone", "staff", 4));
    let by_entry = |step: &Step| matches!(step, Step::Edge { reason: Reason::Provision { .. }, .. });
    assert!(rest.iter().all(by_entry), "{rest:#?}");
    world.converge();
    assert_eq!(world.in_target("Everyone"), set(&["a-ann", "a-bob", "a-cho", "a-dan"]));
}

#[test]
fn who_leaves_the_entry_or_the_company_leaves_its_groups_and_nobody_else_does() {
    let mut world = company("all = [\"everyone\"]");
    world.existing("e", "Everyone", &["a-gus"]);
    world.converge();
    assert_eq!(world.in_target("Everyone"), set(&["a-ann", "a-bob", "a-cho", "a-dan", "a-gus"]), "used as it is found");
    world.source.user("ann").org_unit = Some("/Guests".to_owned());
    world.source.user("bob").state = UserState::Suspended;
    world.converge();
    assert_eq!(world.in_target("Everyone"), set(&["a-cho", "a-dan", "a-gus"]), "whom we did not add stays");
    world.source.user("bob").state = UserState::Active;
    world.converge();
    assert!(world.in_target("Everyone").contains("a-bob"));
}

#[test]
fn who_is_put_out_by_hand_comes_in_again() {
    let mut world = company("all = [\"everyone\"]");
    world.converge();
    let id = world.group_named("everyone");
    world.target.members.get_mut(&id).unwrap().retain(|kind, _| kind.id() != "a-ann");
    world.sweep_target();
    assert_eq!(edges(&world.decide()), ["+everyone a-ann"]);
}

#[test]
fn newcomers_get_into_the_groups_for_new_once() {
    let mut world = company("new = [\"welcome\"]");
    world.target.users.remove(&acc("a-ann"));
    world.converge();
    assert_eq!(world.in_target("welcome"), set(&["a-ann"]), "the others had accounts before");
    // Somebody takes ann out, and means it.
    let id = world.group_named("welcome");
    world.target.members.get_mut(&id).unwrap().clear();
    world.sweep_target();
    let decision = world.decide();
    assert!(cases(&decision).is_empty(), "{:#?}", decision.plan.body);
    // A week later she is no newcomer, wherever she is.
    world.tick(8 * 24 * 3600);
    let now = world.now;
    world.memory.forget_newcomers(now);
    world.target.add(id.as_str(), model::MemberKind::User(acc("a-ann")));
    world.sweep_source();
    world.sweep_target();
    assert!(cases(&world.decide()).is_empty());
    assert!(world.memory.newcomers.is_empty());
}

#[test]
fn a_rule_and_an_entry_fill_one_group_together() {
    let mut world = World::new(
        "into = \"everyone\"\nmembers = \"managed\"",
        &format!("{STAFF}default_groups = {{ all = [\"everyone\"] }}"),
    );
    for name in ["ann", "bob"] {
        world.person(name);
        world.source.user(name).org_unit = Some("/Staff".to_owned());
    }
    world.outsider("zoe");
    world.fill("partners", &["zoe"]);
    world.converge();
    assert_eq!(world.in_target("everyone"), set(&["a-ann", "a-bob", "a-zoe"]));
    world.leave("partners", "zoe");
    world.source.user("ann").state = UserState::Archived;
    world.sweep_source();
    world.tick(120);
    world.sweep_source();
    let decision = world.decide_informed();
    assert_eq!(edges(&decision), ["-everyone a-ann", "-everyone a-zoe"]);
}

#[test]
fn a_source_group_that_comes_to_the_name_of_a_default_group_is_held() {
    let mut world = company("all = [\"everyone\"]");
    world.fill("everyone", &["gus"]);
    world.sweep_source();
    world.sweep_target();
    assert_eq!(only(&world.decide()).held[0].guard, GuardName::NameCollision);
}

#[test]
fn i04_a_default_group_that_gives_a_product_is_filled_only_on_purpose() {
    let with = |purpose: &str| {
        let mut world = company(&format!("all = [\"jira-users\"]{purpose}"));
        world.existing("j", "jira-users", &[]);
        world.target.group("j").default_access = true;
        world.sweep_source();
        world.sweep_target();
        world.decide()
    };
    let refused = with("");
    assert!(cases(&refused).is_empty());
    let refusals = &refused.plan.body.targets[0].refusals;
    assert!(refusals.len() == 4 && refusals.iter().all(|each| each.why == RefusalWhy::DefaultAccessGroup));
    let on_purpose = with(", default_access_group = true");
    assert_eq!(edges(&on_purpose).len(), 4);
    assert_eq!(only(&on_purpose).held[0].guard, GuardName::DefaultAccessGroup, "a person looks at it first");
}

/// A file with such a union is refused; a plan from one that was not must not let the second rule's people in.
#[test]
fn i04_a_union_gives_a_product_only_if_every_rule_says_so() {
    let union = "members = \"managed\"\ninto = \"jira-users\"\ndefault_access_group = true\n";
    let second = format!(
        "{union}on_conflict = \"adopt\"\n[[sync]]\nname = \"second\"\nfrom = \"workspace\"\nto = \"cloud\"\n\
         groups = [\"guests@acme.com\"]\n{union}on_conflict = \"adopt\""
    );
    let mut policy = (*crate::testing::policy(&second, "")).clone();
    let of = |policy: policy::Policy| {
        let mut world = World::new("", "");
        world.planner = crate::Planner::new(std::sync::Arc::new(policy));
        world.person("ann");
        world.person("gus");
        world.fill("staff", &["ann"]);
        world.fill("guests", &["gus"]);
        world.existing("j", "jira-users", &[]);
        world.target.group("j").default_access = true;
        world.sweep_source();
        world.sweep_target();
        world.decide()
    };
    assert_eq!(edges(&of(policy.clone())).len(), 2);
    policy.rules[1].default_access_group = false;
    let refused = of(policy);
    assert!(cases(&refused).is_empty());
    assert!(refused.plan.body.targets[0].refusals.iter().all(|each| each.why == RefusalWhy::DefaultAccessGroup));
    assert!(!refused.plan.body.targets[0].refusals.is_empty());
}

#[test]
fn i02_who_is_absent_leaves_a_default_group_only_once_that_is_proven() {
    let mut world = company("all = [\"everyone\"]");
    world.converge();
    world.tick(600);
    let mut reading = world.source.reading(world.now);
    reading.users.complete = false;
    reading.users.seen.retain(|user| user.id != acc("ann"));
    world.see(&reading);
    world.tick(5);
    let decision = world.decide();
    assert!(cases(&decision).is_empty(), "a partial read removes nobody: {:#?}", decision.plan.body);
    world.source.users.remove(&acc("ann"));
    world.sweep_source();
    let decision = world.decide();
    assert_eq!(decision.needs, [model::Fact::User { directory: dir("workspace"), user: acc("ann") }]);
    assert!(!only(&decision).is_released());
    assert_eq!(edges(&world.decide_informed()), ["-everyone a-ann"]);
}

#[test]
fn explain_says_by_which_entry_somebody_is_in() {
    let mut world = company("all = [\"everyone\"]");
    world.converge();
    let explained = |world: &mut World, who: &str| {
        let now = world.now;
        let memory = world.memory.clone();
        world.planner.explain(&memory, now, who, Some("everyone")).persons.remove(0).groups.remove(0)
    };
    let ann = explained(&mut world, "ann@acme.com");
    assert_eq!((ann.has_access, ann.missing, ann.paths), (true, None, vec![Vec::new()]));
    let gus = explained(&mut world, "gus@acme.com");
    assert_eq!((gus.has_access, gus.missing), (false, Some(crate::explain::Missing::NotInSourceGroup)));
    assert_eq!(ann.group, Some(grp("made-1")));
}
