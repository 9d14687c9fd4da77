//! What groups are to give: a product after a person's word, a portal at once, and nothing that is not known to be missing.

#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

use model::{Access, CaseKind, Fault, GuardName, ProductAccess, RefusalWhy, Span, Step, WaitWhy};

use super::customers::portal;
use crate::{
    Verdict, check,
    check::Violation,
    sync_state::WhyNot,
    testing::{World, cases, dir, edges, grp, only},
};

const SITE: &str = "https://acme.atlassian.net";
const GIVES: &str = "gives = [{ product = \"jira-software\", site = \"https://acme.atlassian.net\" }]";

/// The usual company in step, but that no group gives anything.
fn company(rest: &str) -> World {
    let mut world = World::converged("", rest);
    for group in world.target.groups.values_mut() {
        group.roles_known = true;
    }
    world.planner.set_policy(crate::testing::policy(GIVES, rest));
    world.sweep_target();
    world
}

fn company_access() -> Access {
    Access::Product { product: "jira-software".to_owned(), site: SITE.to_owned(), role: "atlassian/user".to_owned() }
}

fn grants(case: &model::Case) -> Vec<&Access> {
    let steps = case.steps.iter();
    steps.filter_map(|step| if let Step::GrantAccess { access, .. } = step { Some(access) } else { None }).collect()
}

fn why_not(world: &mut World) -> Vec<WhyNot> {
    let decision = world.decide();
    let state = world.planner.sync_state(&world.memory, &decision)[&dir("cloud")].clone();
    state.why_not.into_iter().collect()
}

#[test]
fn i04_a_product_is_given_when_a_person_said_so_and_once() {
    let mut world = company("");
    let decision = world.decide();
    let held = cases(&decision);
    assert_eq!(held.len(), 3, "one for each group: {held:#?}");
    for case in &held {
        assert!(matches!(case.kind, CaseKind::Access { .. }));
        assert_eq!(case.held[0].guard, GuardName::DefaultAccessGroup);
        assert_eq!(grants(case).len(), 1);
    }
    let eng = held.iter().find(|case| matches!(&case.kind, CaseKind::Access { name, .. } if name == "eng")).unwrap();
    let reason =
        "it would give jira-software on https://acme.atlassian.net as atlassian/user to everybody in it, 4 now";
    assert_eq!(eng.held[0].reason, reason);
    assert!(edges(&decision).is_empty());
    assert_eq!(why_not(&mut world), [WhyNot::Held]);
    let (digest, group) = (eng.digest, world.group_named("eng"));
    world.memory.approvals.insert(digest, Verdict::Approved);
    world.converge();
    assert_eq!(world.target.group(group.as_str()).gives, [ProductAccess::new("jira-software", SITE)]);
    assert_eq!(cases(&world.decide()).len(), 2, "the others wait on");
}

#[test]
fn what_is_given_in_another_role_or_beside_it_stays() {
    let mut world = company("");
    for group in world.target.groups.values_mut() {
        group.gives = vec![
            ProductAccess::new("Jira-Software", "https://ACME.atlassian.net/"),
            ProductAccess::new("confluence", SITE),
        ];
    }
    world.sweep_target();
    assert!(cases(&world.decide()).is_empty());
    assert!(why_not(&mut world).is_empty());
}

#[test]
fn what_is_not_known_is_waited_for_and_not_given() {
    let mut world = company("");
    let group = world.group_named("eng");
    world.target.group(group.as_str()).roles_known = false;
    world.sweep_target();
    let decision = world.decide();
    assert_eq!(cases(&decision).len(), 2, "the other two");
    let waits = &decision.plan.body.targets[0].waits;
    assert_eq!(waits.len(), 1);
    assert_eq!(waits[0].why, WaitWhy::TargetRead { group });
    assert!(why_not(&mut world).contains(&WhyNot::Waiting));
}

#[test]
fn nothing_waits_for_a_person_where_the_policy_asks_for_none() {
    let mut world = company("[approval]\nrequired_for = [\"guard\"]");
    assert!(cases(&world.decide()).iter().all(|case| case.is_released()));
    world.converge();
    assert!(world.target.groups.values().all(|group| group.gives.len() == 1));
    assert!(why_not(&mut world).is_empty());
}

#[test]
fn i04_seats_are_counted_of_everybody_who_would_be_let_in() {
    let mut world = company("[guard]\nseat_limit = { jira-software = 3 }\n[approval]\nrequired_for = [\"guard\"]");
    let decision = world.decide();
    let of = |name: &str| {
        let is = |case: &&&model::Case| matches!(&case.kind, CaseKind::Access { name: of, .. } if of == name);
        cases(&decision).iter().find(is).unwrap().held.first().map(|held| held.guard)
    };
    assert_eq!((of("eng"), of("all")), (Some(GuardName::Seats), Some(GuardName::Seats)), "four and five people");
    assert_eq!(of("ops"), None, "two people");
}

#[test]
fn i04_a_group_that_is_not_ours_to_change_is_given_nothing() {
    let mut world = company("");
    let group = world.group_named("eng");
    world.target.group(group.as_str()).grants_admin = true;
    world.sweep_target();
    let decision = world.decide();
    assert_eq!(cases(&decision).len(), 2, "the other two");
    let refusals = &decision.plan.body.targets[0].refusals;
    let refused = refusals.iter().find(|refusal| matches!(refusal.step, Step::GrantAccess { .. })).unwrap();
    assert_eq!(refused.why, RefusalWhy::ProtectedGroup);
    assert!(why_not(&mut world).contains(&WhyNot::Differs));
}

#[test]
fn what_was_refused_waits_with_its_letter_and_holds_no_membership_back() {
    let mut world = company("");
    let group = world.group_named("eng");
    world.memory.dead_letters.push((dir("cloud"), 7, Fault::Access { group, access: company_access() }));
    world.fill("eng", &["eve"]);
    world.sweep_source();
    let decision = world.decide();
    assert_eq!(edges(&decision), ["+eng a-eve"]);
    assert!(decision.plan.body.targets[0].waits.iter().any(|wait| wait.why == WaitWhy::DeadLetter { id: 7 }));
    assert_eq!(cases(&decision).iter().filter(|case| !grants(case).is_empty()).count(), 2);
}

#[test]
fn a_group_that_is_met_for_the_first_time_is_given_nothing_before_it_is_decided_upon() {
    let mut world = World::new(GIVES, "");
    world.person("ann");
    world.fill("eng", &["ann"]);
    world.existing("g", "eng", &[]);
    world.target.group("g").roles_known = true;
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert!(matches!(only(&decision).kind, CaseKind::Conflict { .. }));
    assert!(grants(only(&decision)).is_empty());
}

#[test]
fn p3_05_an_organization_of_customers_that_is_equal_already_is_attached_to_its_desk() {
    let mut world = portal("customer_organization = \"Partners\"\ndesk = \"HELP\"", "", "");
    world.person("ann");
    world.fill("customers", &["ann"]);
    world.existing("7", "Partners", &["a-ann"]);
    world.target.group("7").roles_known = true;
    world.sweep_source();
    world.sweep_target();
    // Met as equal, so it is ours from now on.
    let decision = world.decide();
    let case = only(&decision);
    assert!(case.is_released(), "the policy says so, and it opens nothing but the portal: {case:#?}");
    assert_eq!(grants(case), [&Access::Portal { desk: "HELP".to_owned() }]);
    assert!(why_not(&mut world).contains(&WhyNot::UnderWay));
    world.converge();
    assert_eq!(world.target.group("7").gives, [ProductAccess::new(Access::PORTAL, "HELP")]);
    assert!(cases(&world.decide()).is_empty());
    assert!(why_not(&mut world).is_empty());
    // Somebody detaches it by hand.
    world.target.group("7").gives.clear();
    world.sweep_target();
    assert_eq!(grants(only(&world.decide())).len(), 1);
}

#[test]
fn what_a_writer_gave_is_under_way_until_it_is_read_and_never_in_sync_before() {
    let mut world = company("[approval]\nrequired_for = [\"guard\"]");
    let decision = world.decide();
    for case in cases(&decision) {
        let [Step::GrantAccess { group: Some(group), access, .. }] = &case.steps[..] else { panic!("{case:#?}") };
        world.memory.given.insert((dir("cloud"), group.clone(), access.clone()), world.now);
    }
    assert!(cases(&world.decide()).is_empty(), "not decided again");
    assert_eq!(why_not(&mut world), [WhyNot::UnderWay]);
    let now = world.now;
    world.planner.forget_given(&mut world.memory, now);
    assert_eq!(world.memory.given.len(), 3, "nothing of it is read");
    // One of them is read as given, the others as not: the target said so, and it is not so.
    let eng = world.group_named("eng");
    world.target.group(eng.as_str()).gives.push(ProductAccess::new("jira-software", SITE));
    world.sweep_target();
    let at = *world.memory.given.values().next().unwrap();
    world.planner.forget_given(&mut world.memory, at);
    assert_eq!(world.memory.given.len(), 2);
    assert_eq!(cases(&world.decide()).len(), 2);
    // What no read shows in time is decided again.
    let shown_by = at.plus(world.planner.policy().directories[&dir("cloud")].lag).plus(crate::access::SHOWN_WITHIN);
    world.planner.forget_given(&mut world.memory, shown_by.minus(Span::from_secs(1)));
    assert_eq!(world.memory.given.len(), 2);
    world.planner.forget_given(&mut world.memory, shown_by);
    assert!(world.memory.given.is_empty());
    assert_eq!(cases(&world.decide()).len(), 2);
}

#[test]
fn i04_seats_are_counted_of_what_was_just_given() {
    let mut world = company("[guard]\nseat_limit = { jira-software = 5 }\n[approval]\nrequired_for = [\"guard\"]");
    let group = world.group_named("eng");
    let access = company_access();
    world.memory.given.insert((dir("cloud"), group, access), world.now);
    world.fill("eng", &["eve"]);
    world.person("fay");
    world.fill("eng", &["fay"]);
    world.sweep_source();
    world.sweep_target();
    let listed = world.now;
    for at in world.memory.given.values_mut() {
        *at = listed;
    }
    let decision = world.decide();
    let is_eng = |case: &&model::Case| matches!(&case.kind, CaseKind::Additions { name, .. } if name == "eng");
    let joins = cases(&decision).into_iter().find(is_eng).unwrap();
    assert_eq!(
        joins.held.first().map(|held| held.guard),
        Some(GuardName::Seats),
        "four are in, two would come: {joins:#?}"
    );
}

#[test]
fn i04_who_is_not_wanted_is_let_into_nothing_without_a_word() {
    for members in ["managed", "exact"] {
        let rule = format!("members = \"{members}\"\non_conflict = \"adopt\"");
        let mut world = portal("customer_organization = \"Partners\"\ndesk = \"HELP\"", &rule, "");
        world.person("ann");
        for n in 0..9 {
            world.outsider(&format!("x{n}"));
        }
        world.fill("customers", &["ann"]);
        let strangers: Vec<String> = (0..9).map(|n| format!("a-x{n}")).collect();
        let all: Vec<&str> = std::iter::once("a-ann").chain(strangers.iter().map(String::as_str)).collect();
        world.existing("7", "Partners", &all);
        world.target.group("7").roles_known = true;
        world.sweep_source();
        world.sweep_target();
        let decision = world.decide();
        let case = cases(&decision).into_iter().find(|case| !grants(case).is_empty()).unwrap();
        assert_eq!(case.held[0].guard, GuardName::DefaultAccessGroup, "{members}: {case:#?}");
        assert!(case.held[0].reason.contains("to 9 in it whom the rule does not want"), "{}", case.held[0].reason);
    }
}

#[test]
fn a_product_waits_until_the_group_is_as_it_is_to_be() {
    let mut world = company("");
    world.fill("eng", &["eve"]);
    world.sweep_source();
    let decision = world.decide();
    assert_eq!(edges(&decision), ["+eng a-eve"]);
    assert_eq!(cases(&decision).iter().filter(|case| !grants(case).is_empty()).count(), 2, "of the others");
}

#[test]
fn what_people_took_away_is_not_given_again_where_the_rule_does_not_repair() {
    let mut world = portal("customer_organization = \"Partners\"\ndesk = \"HELP\"", "drift = \"report\"", "");
    world.person("ann");
    world.fill("customers", &["ann"]);
    world.converge();
    let made = world.group_named("Partners");
    world.target.group(made.as_str()).roles_known = true;
    world.target.group(made.as_str()).gives.clear();
    world.sweep_target();
    assert_eq!(only(&world.decide()).held[0].guard, GuardName::DriftReport);
}

#[test]
fn i04_a_group_that_would_be_a_default_access_group_by_its_name_is_given_nothing_unless_that_is_said() {
    let into = |more: &str| format!("into = \"jira-users-emea\"\nmembers = \"managed\"\n{GIVES}\n{more}");
    let world = |more: &str| {
        let mut world = World::new(&into(more), "");
        world.person("ann");
        world.fill("eng", &["ann"]);
        world.existing("j", "jira-users-emea", &["a-ann"]);
        world.target.group("j").roles_known = true;
        world.sweep_source();
        world.sweep_target();
        world
    };
    let mut unsaid = world("");
    let decision = unsaid.decide();
    assert!(cases(&decision).is_empty());
    let refused = &decision.plan.body.targets[0].refusals[0];
    assert_eq!(refused.why, RefusalWhy::DefaultAccessGroup);
    let mut said = world("default_access_group = true");
    assert_eq!(grants(only(&said.decide())).len(), 1);
}

#[test]
fn p3_05_a_new_organization_of_customers_opens_its_desk_from_the_beginning() {
    let mut world = portal("customer_organization = \"Partners\"\ndesk = \"HELP\"", "", "");
    world.person("ann");
    world.fill("customers", &["ann"]);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert!(matches!(only(&decision).kind, CaseKind::Create { .. }));
    assert_eq!(grants(only(&decision)), [&Access::Portal { desk: "HELP".to_owned() }]);
    world.converge();
    let made = world.group_named("Partners");
    assert_eq!(world.target.group(made.as_str()).gives, [ProductAccess::new(Access::PORTAL, "HELP")]);
}

#[test]
fn the_second_opinion_stops_what_nobody_approved_and_what_makes_administrators() {
    let mut world = company("");
    let mut plan = world.decide().plan;
    let case = &mut plan.body.targets[0].cases[0];
    let CaseKind::Access { group, .. } = case.kind.clone() else { panic!("{case:#?}") };
    case.held.clear();
    let is_stopped = |plan: &model::Plan, world: &World| {
        let found = check::check(plan, &world.planner, &world.memory).unwrap_err();
        found.contains(&Violation::Access { target: dir("cloud"), group: Some(group.clone()) })
    };
    assert!(is_stopped(&plan, &world), "nobody approved it");
    let case = &mut plan.body.targets[0].cases[0];
    world.memory.approvals.insert(case.digest, Verdict::Approved);
    assert_eq!(check::check(&plan, &world.planner, &world.memory), Ok(()));
    let case = &mut plan.body.targets[0].cases[0];
    let Step::GrantAccess { access: Access::Product { role, .. }, .. } = &mut case.steps[0] else { panic!() };
    "atlassian/user-access-admin".clone_into(role);
    case.digest = model::Case::digest_of(&dir("cloud"), &case.kind, &case.steps);
    world.memory.approvals.insert(case.digest, Verdict::Approved);
    assert!(is_stopped(&plan, &world), "a role that makes administrators");
    let mut plan = world.decide().plan;
    let case = &mut plan.body.targets[0].cases[0];
    case.held.clear();
    if let CaseKind::Access { group, .. } = &mut case.kind {
        *group = grp("x");
    }
    assert!(check::check(&plan, &world.planner, &world.memory).is_err());
}
