//! Budgets, protection, approvals.

#![expect(clippy::indexing_slicing, reason = "tests")]

use model::{Case, CaseKind, EdgeOp, GuardName, Lane, MemberKind, RefusalWhy};

use crate::{
    Occasion, Verdict, WindowEntry, WindowKind,
    testing::{Side, World, acc, cases, dir, edges, grp, only},
};

/// A company with one group of `size` people, everything equal.
fn large(size: usize, rule: &str) -> World {
    let mut world = World::new(rule, "");
    let names: Vec<String> = (0..size).map(|at| format!("p{at:03}")).collect();
    for name in &names {
        world.person(name);
    }
    let people: Vec<&str> = names.iter().map(String::as_str).collect();
    world.fill("big", &people);
    world.converge();
    world
}

fn guards(case: &Case) -> Vec<GuardName> {
    case.held.iter().map(|held| held.guard).collect()
}

#[test]
fn i03_removals_of_one_group_above_the_budget_wait_for_a_person() {
    let mut world = large(20, "");
    for at in 0..6 {
        world.leave("big", &format!("p{at:03}"));
    }
    world.sweep_source();
    let decision = world.decide_informed();
    let case = only(&decision);
    assert!(guards(case).contains(&GuardName::PerGroupRemovals), "{:?}", case.held);
    assert!(case.guards.iter().any(|verdict| verdict.found == 6 && verdict.limit == 5));
    let digest = case.digest;
    world.memory.approvals.insert(digest, Verdict::Approved);
    let decision = world.decide();
    let case = only(&decision);
    assert!(case.is_released(), "approved and proven: {case:#?}");
    assert_eq!(case.lane, Lane::Normal, "it goes after the urgent");
    // One more leaver is another case: the approval does not stretch.
    world.leave("big", "p010");
    world.sweep_source();
    let decision = world.decide_informed();
    assert!(!only(&decision).held.is_empty());
    world.memory.approvals.insert(only(&decision).digest, Verdict::Rejected);
    assert!(only(&world.decide()).held.iter().any(|held| held.reason.contains("rejected")));
}

#[test]
fn i03_holding_removals_never_stops_additions() {
    let mut world = large(20, "");
    world.person("new");
    world.fill("big", &["new"]);
    for at in 0..10 {
        world.leave("big", &format!("p{at:03}"));
    }
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide_informed();
    let released: Vec<&Case> = cases(&decision).into_iter().filter(|case| case.is_released()).collect();
    assert_eq!(released.len(), 1);
    assert_eq!(released[0].count(EdgeOp::Add), 1);
}

#[test]
fn i03_additions_are_guarded_once_a_group_was_equal() {
    let mut world = large(60, "");
    world.fill("small", &["p000"]);
    world.converge();
    world.nest("small", "big");
    world.sweep_source();
    let decision = world.decide();
    let case = only(&decision);
    assert_eq!(guards(case), [GuardName::PerGroupAdditions], "a company nested into a small group: {:?}", case.held);
    assert_eq!(case.count(EdgeOp::Add), 59);
}

#[test]
fn i03_the_window_of_a_day_catches_slow_drips() {
    let mut world = large(60, "");
    let entry = |count| WindowEntry { target: dir("cloud"), at: world.now, kind: WindowKind::Removals, count };
    let full = entry(49);
    world.memory.window.push(full);
    world.leave("big", "p000");
    world.leave("big", "p001");
    world.sweep_source();
    let decision = world.decide_informed();
    assert_eq!(guards(only(&decision)), [GuardName::PerDayRemovals]);
    world.tick(25 * 3600);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide_informed();
    assert!(only(&decision).is_released(), "a day later the window has moved on: {:?}", only(&decision));
}

#[test]
fn i03_a_plan_above_its_budget_is_held_whole_until_the_next_sweep() {
    let mut world = World::new("", "[guard]\nsource_shrink_percent = 100");
    for at in 0..60 {
        world.person(&format!("p{at:03}"));
    }
    for group in 0..10 {
        let people: Vec<String> = (0..6).map(|at| format!("p{:03}", group * 6 + at)).collect();
        world.fill(&format!("g{group}"), &people.iter().map(String::as_str).collect::<Vec<_>>());
    }
    world.converge();
    for group in 0..10 {
        for at in 0..3 {
            world.leave(&format!("g{group}"), &format!("p{:03}", group * 6 + at));
        }
    }
    world.sweep_source();
    let decision = world.decide_informed();
    assert_eq!(cases(&decision).len(), 10);
    assert!(cases(&decision).iter().all(|case| guards(case).contains(&GuardName::PerPlanRemovals)));
    world.memory.learn(&decision);
    let decision = world.decide_on(Occasion::Event);
    assert!(cases(&decision).iter().all(|case| !case.is_released()), "an event does not let through what a sweep held");
}

#[test]
fn i03_leavers_count_under_deactivations_and_nowhere_else() {
    let mut world = large(60, "");
    for at in 0..5 {
        world.source.user(&format!("p{at:03}")).state = model::UserState::Suspended;
    }
    world.sweep_source();
    let decision = world.decide();
    let (held, free): (Vec<&Case>, Vec<&Case>) = cases(&decision).into_iter().partition(|case| !case.held.is_empty());
    assert_eq!((free.len(), held.len()), (3, 2), "three people a day, or one in a hundred");
    assert!(held.iter().all(|case| guards(case) == [GuardName::PerDayDeactivations]));
    assert!(cases(&decision).iter().all(|case| matches!(case.kind, CaseKind::Leaver { .. })));
}

#[test]
fn i03_a_grace_counts_nobody_twice() {
    let entry = "[[people.provision]]\nname = \"people\"\nfrom = \"workspace\"\nto = \"cloud\"\n\
                 on_leave = { suspended = \"suspend\", grace = \"12h\" }\n";
    let mut world = large(60, entry);
    let leave = |world: &mut World, at: usize| {
        world.source.user(&format!("p{at:03}")).state = model::UserState::Suspended;
        world.sweep_source();
    };
    (0..3).for_each(|at| leave(&mut world, at));
    let decision = world.decide();
    assert_eq!(cases(&decision).iter().filter(|case| case.is_released()).count(), 3, "the memberships go at once");
    world.carry_out(&decision);
    world.tick(12 * 3600);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert_eq!(cases(&decision).len(), 3);
    assert!(cases(&decision).iter().all(|case| case.is_released() && case.guards.is_empty()), "the accounts follow");
    world.carry_out(&decision);
    world.sweep_target();
    assert_eq!(world.memory.released_since(&dir("cloud"), WindowKind::Deactivations, model::Time::NEVER), 3);
    leave(&mut world, 3);
    assert_eq!(guards(only(&world.decide())), [GuardName::PerDayDeactivations], "a fourth in a day is one too many");
}

#[test]
fn i03_a_source_that_shrank_holds_every_removal() {
    let mut world = World::new("", "");
    for at in 0..40 {
        world.person(&format!("p{at:03}"));
    }
    for group in 0..10 {
        let people: Vec<String> = (0..4).map(|at| format!("p{:03}", group * 4 + at)).collect();
        world.fill(&format!("g{group}"), &people.iter().map(String::as_str).collect::<Vec<_>>());
    }
    world.converge();
    for group in 0..10 {
        world.leave(&format!("g{group}"), &format!("p{:03}", group * 4));
    }
    world.sweep_source();
    let decision = world.decide_informed();
    assert_eq!(cases(&decision).len(), 10);
    assert!(cases(&decision).iter().all(|case| guards(case).contains(&GuardName::SourceShrink)));
}

#[test]
fn i04_protected_people_and_our_own_accounts_are_in_no_case() {
    let rest = "[guard]\nprotected_people = [\"breakglass@acme.com\"]";
    let mut world = World::converged("", rest);
    for name in ["breakglass", "sync-bot", "robot"] {
        world.person(name);
    }
    world.memory.own_accounts.entry(dir("cloud")).or_default().insert(acc("a-robot"));
    let eng = world.group_named("eng").to_string();
    for account in ["a-breakglass", "a-sync-bot", "a-robot"] {
        world.target.add(&eng, MemberKind::User(acc(account)));
    }
    world.fill("ops", &["breakglass", "robot"]);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide_informed();
    assert!(cases(&decision).is_empty(), "{:#?}", edges(&decision));
    let refusals = &decision.plan.body.targets[0].refusals;
    let count = |why| refusals.iter().filter(|refusal| refusal.why == why).count();
    assert_eq!(count(RefusalWhy::ProtectedPerson), 3, "removed from eng; added to ops and all");
    assert_eq!(count(RefusalWhy::OurOwnAccount), 4, "two removed from eng; one added to ops and all");
    let state = world.planner.sync_state(&world.memory, &decision)[&dir("cloud")].clone();
    assert!(state.in_sync, "what may not change is no reason to be out of sync: {state:#?}");
}

#[test]
fn i04_administrators_groups_are_never_touched() {
    let mut world = World::new("on_conflict = \"adopt\"", "");
    world.person("ann");
    for (group, id) in
        [("site-admins", "t1"), ("jira-administrators-x", "t2"), ("platform-admins", "t3"), ("roots", "t4")]
    {
        world.fill(group, &["ann"]);
        world.existing(id, group, &[]);
    }
    world.target.group("t4").grants_admin = true;
    world.fill("brand-new-admins", &["ann"]);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    let refused: Vec<RefusalWhy> = decision.plan.body.targets[0].refusals.iter().map(|refusal| refusal.why).collect();
    assert_eq!(refused, [RefusalWhy::ProtectedGroup; 4]);
    let case = only(&decision);
    assert_eq!(
        case.kind,
        CaseKind::Create { name: "brand-new-admins".to_owned() },
        "what we make ourselves grants nothing"
    );
    world.carry_out(&decision);
    world.sweep_target();
    world.memory.learn(&decision);
    world.person("bob");
    world.fill("brand-new-admins", &["bob"]);
    world.sweep_source();
    world.sweep_target();
    assert_eq!(edges(&world.decide()), ["+brand-new-admins a-bob"], "and stays ours");
}

#[test]
fn i04_no_approval_lifts_protection() {
    let mut world = World::new("on_conflict = \"review\"", "");
    world.person("ann");
    world.fill("org-admins", &["ann"]);
    world.existing("t", "org-admins", &[]);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert!(cases(&decision).is_empty(), "there is nothing that could be approved");
    assert_eq!(decision.plan.body.targets[0].refusals.len(), 1);
}

#[test]
fn seats_are_counted_and_additions_beyond_them_are_held() {
    let rest = "[guard]\nseat_limit = { jira-software = 3 }";
    let mut world = World::new("members = \"managed\"\ndefault_access_group = true\non_conflict = \"adopt\"", rest);
    for name in ["ann", "bob", "cho", "dan"] {
        world.person(name);
    }
    world.fill("jira-users", &["ann", "bob"]);
    world.existing("t", "jira-users", &["a-ann", "a-bob"]);
    world.target.group("t").default_access = true;
    world.converge();
    world.fill("jira-users", &["cho"]);
    world.sweep_source();
    let decision = world.decide();
    assert!(only(&decision).is_released());
    assert_eq!(decision.plan.body.targets[0].seats[0].gained, 1);
    world.fill("jira-users", &["dan"]);
    world.sweep_source();
    let decision = world.decide();
    assert_eq!(guards(only(&decision)), [GuardName::Seats]);
}

#[test]
fn a_default_access_group_is_refused_unless_the_rule_says_so() {
    let mut world = World::new("on_conflict = \"adopt\"", "");
    world.person("ann");
    world.fill("jira-users", &["ann"]);
    world.existing("t", "jira-users", &[]);
    world.target.group("t").default_access = true;
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert!(cases(&decision).is_empty());
    assert_eq!(decision.plan.body.targets[0].refusals[0].why, RefusalWhy::DefaultAccessGroup);
    let _ = grp("t");
}

#[test]
fn a_large_case_that_is_held_asks_one_question_a_group_until_it_is_approved() {
    let mut world = large(150, "");
    for at in 0..120 {
        world.leave("big", &format!("p{at:03}"));
    }
    world.sweep_source();
    let decision = world.decide();
    assert_eq!((decision.needs.len(), only(&decision).needs.len()), (1, 120));
    world.memory.approvals.insert(only(&decision).digest, Verdict::Approved);
    assert_eq!(world.decide().needs.len(), 120);
}

#[test]
fn i03_an_approval_is_for_one_target_alone() {
    let entry = |to| {
        format!(
            "[[people.provision]]\nname = \"to {to}\"\nfrom = \"workspace\"\nto = \"{to}\"\n\
             on_leave = {{ suspended = \"suspend\" }}\n"
        )
    };
    let other =
        "[directory.other]\nkind = \"atlassian-org\"\norg = \"o2\"\ndirectory = \"d2\"\napi_key = \"file:key2\"\n";
    let none = "[guard]\nper_day = { deactivations = { count = 0, percent = 0 } }\n";
    let mut world = World::new("", &format!("{}{}{other}{none}", entry("cloud"), entry("other")));
    world.person("ann");
    world.source.user("ann").state = model::UserState::Suspended;
    world.sweep_source();
    world.sweep_target();
    // The other organization knows the same account: their ids are global.
    let mut there = Side::new("other");
    there.users.clone_from(&world.target.users);
    let delta = there.observe(&there.reading(world.now));
    world.planner.apply(&delta);
    let decision = world.decide();
    let twins: Vec<&Case> = cases(&decision);
    assert_eq!((twins.len(), &twins[0].steps), (2, &twins[1].steps), "they differ in nothing else");
    assert!(twins.iter().all(|case| guards(case) == [GuardName::PerDayDeactivations]));
    world.memory.approvals.insert(twins[0].digest, Verdict::Approved);
    let decision = world.decide();
    let released: Vec<&str> =
        decision.plan.cases().filter(|(_, case)| case.is_released()).map(|(target, _)| target.as_str()).collect();
    assert_eq!(released, ["cloud"]);
}
