//! Budgets of rules, our own accounts, groups whose source is gone, seats: what holds changes back, one by one.

#![expect(clippy::indexing_slicing, reason = "tests")]

use model::{Case, CaseKind, GuardName, MemberKind, ProductAccess, RefusalWhy, SeatCount, WaitWhy};

use crate::{
    Decision, Occasion, WindowEntry, WindowKind,
    explain::Missing,
    testing::{World, acc, cases, dir, edges, grp, only, policy_for},
};

/// A group of so many people in both directories, everything equal.
fn company(size: usize, rule: &str, rest: &str) -> World {
    let mut world = World::new(rule, rest);
    let names: Vec<String> = (0..size).map(|at| format!("p{at:03}")).collect();
    for name in &names {
        world.person(name);
    }
    world.fill("big", &names.iter().map(String::as_str).collect::<Vec<_>>());
    world.converge();
    world
}

fn leave(world: &mut World, count: usize) {
    for at in 0..count {
        world.leave("big", &format!("p{at:03}"));
    }
    world.sweep_source();
}

fn guards(case: &Case) -> Vec<GuardName> {
    case.held.iter().map(|held| held.guard).collect()
}

fn holds(decision: &Decision, guard: GuardName) -> bool {
    cases(decision).iter().any(|case| guards(case).contains(&guard))
}

/// A rule with this budget of its own, the others so wide that they say nothing.
fn budget(own: &str) -> String {
    let wide = "{ count = 999, percent = 100 }";
    let all = [
        ("per_group", format!("per_group = {{ removals = {wide}, additions = {wide} }}")),
        ("per_plan", format!("per_plan = {{ removals = {wide}, additions = {wide} }}")),
        ("per_day", format!("per_day = {{ removals = {wide} }}")),
        ("per_week", format!("per_week = {{ removals = {wide} }}")),
        ("source_shrink", "source_shrink_percent = 100".to_owned()),
    ];
    let others: Vec<String> = all.into_iter().filter(|(key, _)| !own.starts_with(key)).map(|(_, text)| text).collect();
    format!("guard = {{ {own}, {} }}", others.join(", "))
}

#[test]
fn i03_every_budget_of_a_rule_holds_its_cases() {
    let tight = "{ count = 1 }";
    for (own, guard) in [
        (format!("per_plan = {{ removals = {tight} }}"), GuardName::PerPlanRemovals),
        (format!("per_day = {{ removals = {tight} }}"), GuardName::PerDayRemovals),
        (format!("per_week = {{ removals = {tight} }}"), GuardName::PerWeekRemovals),
        ("source_shrink_percent = 2".to_owned(), GuardName::SourceShrink),
    ] {
        let mut world = company(40, &budget(&own), "");
        leave(&mut world, 3);
        let decision = world.decide_informed();
        assert_eq!(guards(only(&decision)), [guard], "{own}");
    }
}

#[test]
fn a_wider_budget_of_a_rule_lets_its_cases_go() {
    let mut world = company(
        40,
        &budget("per_plan = { removals = { count = 50 } }"),
        "[guard]\nper_plan = { removals = { count = 1 } }\nper_day = { removals = { count = 1 } }\nsource_shrink_percent = 1",
    );
    leave(&mut world, 3);
    let decision = world.decide_informed();
    assert!(only(&decision).is_released(), "{:?}", only(&decision).held);
    let wider: Vec<&str> = decision.plan.body.wider.iter().map(|wider| wider.budget.as_str()).collect();
    assert!(wider.iter().any(|budget| budget.starts_with("per_plan.removals is { count = 50,")), "{wider:?}");
    // What it lets go counts in the one window of the target all the same.
    world.carry_out(&decision);
    let used = world.memory.released_since(&dir("cloud"), WindowKind::Removals, model::Time(0));
    assert_eq!(used, 3);
}

#[test]
fn of_rules_that_fill_one_group_the_narrowest_budget_holds() {
    let other = "into = \"big\"\nguard = { per_day = { removals = { count = 1 } } }\n[[sync]]\nfrom = \"workspace\"\n\
                 groups = [\"big@acme.com\"]\nto = \"cloud\"\ninto = \"big\"\n";
    let mut world = company(40, other, "");
    leave(&mut world, 2);
    assert!(holds(&world.decide_informed(), GuardName::PerDayRemovals));
}

#[test]
fn a_rules_own_window_counts_what_other_rules_let_go() {
    let mut world = company(40, &budget("per_week = { removals = { count = 5 } }"), "");
    leave(&mut world, 2);
    assert!(only(&world.decide_informed()).is_released());
    let (target, kind) = (dir("cloud"), WindowKind::Removals);
    world.memory.window.push(WindowEntry { target, at: world.now, kind, count: 4 });
    assert_eq!(guards(only(&world.decide())), [GuardName::PerWeekRemovals]);
}

#[test]
fn leavers_go_by_the_budgets_of_the_rules_whose_groups_they_leave() {
    let none = "guard = { per_day = { deactivations = { count = 0 } } }";
    for (rule, held) in [("", false), (none, true)] {
        let mut world = company(20, rule, "");
        world.source.user("p000").state = model::UserState::Suspended;
        world.sweep_source();
        assert_eq!(holds(&world.decide(), GuardName::PerDayDeactivations), held, "{rule}");
    }
}

/// `big` is gone from the source, and so is everybody's membership of it.
fn delete_source(world: &mut World) {
    world.source.groups.remove(&grp("big"));
    world.source.members.remove(&grp("big"));
    world.sweep_source();
}

#[test]
fn i03_emptying_a_group_whose_source_is_gone_passes_every_guard_of_removals() {
    let rest = "[approval]\nrequired_for = [\"guard\"]\n[guard]\nsource_shrink_percent = 100";
    let mut world = company(8, "on_source_deleted = \"empty\"", rest);
    delete_source(&mut world);
    let decision = world.decide_informed();
    let case = only(&decision);
    assert!(matches!(case.kind, CaseKind::Removals { .. }));
    assert_eq!(guards(case), [GuardName::PerGroupRemovals, GuardName::EmptiedGroup], "{:#?}", case.held);
    assert_eq!(case.steps.len(), 8);
}

#[test]
fn an_edge_with_an_open_dead_letter_is_not_emptied_either() {
    let rest = "[approval]\nrequired_for = [\"guard\"]\n[guard]\nsource_shrink_percent = 100";
    let mut world = company(4, "on_source_deleted = \"empty\"", rest);
    let group = world.group_named("big");
    let fault = model::Fault::Edge { group, account: acc("a-p000") };
    world.memory.dead_letters.push((dir("cloud"), 7, fault));
    delete_source(&mut world);
    let decision = world.decide_informed();
    assert_eq!(edges(&decision).len(), 3);
    let waits = &decision.plan.body.targets[0].waits;
    assert!(waits.iter().any(|wait| wait.why == WaitWhy::DeadLetter { id: 7 }));
}

#[test]
fn i05_whom_the_policy_names_as_ours_anywhere_is_touched_nowhere() {
    let site = "kind = \"jira-cloud\"\nsite = \"https://acme.atlassian.net\"\nemail = \"site-bot@acme.com\"\n\
                api_token = \"file:token\"";
    let desk = "[directory.desk]\nkind = \"confluence-cloud\"\nsite = \"https://acme.atlassian.net\"\n\
                email = \"wiki-bot@acme.com\"\napi_token = \"file:token\"\nowner = \"desk-owner@acme.com\"\n";
    // Of the site itself, of another directory, an owner elsewhere, and in whose name the source is read.
    for name in ["site-bot", "wiki-bot", "desk-owner", "rollcall"] {
        let mut world = World::of(policy_for(site, "on_conflict = \"adopt\"", desk));
        world.person("ann");
        world.person(name);
        world.fill("eng", &["ann"]);
        world.existing("t", "eng", &["a-ann", &format!("a-{name}")]);
        world.sweep_source();
        world.sweep_target();
        let decision = world.decide();
        assert!(edges(&decision).is_empty(), "{name}: {:#?}", decision.plan.body);
        let refusals = &decision.plan.body.targets[0].refusals;
        assert!(refusals.iter().any(|refusal| refusal.why == RefusalWhy::OurOwnAccount), "{name}");
    }
}

/// Two groups of default access with these products, both filled by rules, and so many seats.
fn products(limits: &str, told: bool) -> World {
    let rule = "members = \"managed\"\ndefault_access_group = true\non_conflict = \"adopt\"";
    let mut world = World::new(rule, &format!("[guard]\nseat_limit = {{ {limits} }}"));
    for name in ["ann", "bob", "cho", "dan"] {
        world.person(name);
    }
    for (id, name, product) in [
        ("j", "staff-a", "jira-software"),
        ("c", "confluence-users-acme", "confluence"),
        ("k", "staff-b", "jira-software"),
    ] {
        world.fill(name, &["ann"]);
        world.existing(id, name, &["a-ann"]);
        world.target.group(id).default_access = true;
        if told {
            let access = ProductAccess::new(product, "");
            world.target.group(id).gives.push(access);
        }
    }
    world.converge();
    world
}

#[test]
fn seats_are_counted_by_what_groups_give_and_not_by_their_names() {
    let mut world = products("jira-software = 2", true);
    // Confluence takes none of Jira's seats, though there is one limit only.
    world.fill("confluence-users-acme", &["bob", "cho", "dan"]);
    world.sweep_source();
    let decision = world.decide();
    assert!(only(&decision).is_released() && decision.plan.body.targets[0].seats.is_empty());
    world.carry_out(&decision);
    // Who has the product by another group takes no second seat; a third person finds none.
    world.fill("staff-a", &["bob"]);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    assert!(only(&decision).is_released());
    world.carry_out(&decision);
    world.fill("staff-b", &["bob", "cho"]);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    let case = only(&decision);
    assert_eq!(guards(case), [GuardName::Seats]);
    assert!(case.guards.iter().any(|verdict| (verdict.guard, verdict.found) == (GuardName::Seats, 3)));
}

/// The same without a limit of the policy, where each site counts its seats.
fn counted(seats: &[(&str, &str, u64)]) -> World {
    let mut world = products("", true);
    for (group, site, left) in seats {
        let seats = Some(SeatCount { total: 10, left: *left });
        world.target.group(group).gives = vec![ProductAccess { seats, ..ProductAccess::new("jira-software", *site) }];
    }
    world.sweep_target();
    world
}

#[test]
fn the_seats_that_a_site_counts_are_the_limit_where_the_policy_writes_none() {
    let mut world = counted(&[("j", "a", 1), ("k", "a", 1)]);
    world.fill("staff-a", &["bob"]);
    world.sweep_source();
    let decision = world.decide();
    assert!(only(&decision).is_released());
    let seats = &decision.plan.body.targets[0].seats[0];
    assert_eq!((seats.product.as_str(), seats.limit, seats.used, seats.gained), ("jira-software", 10, 9, 1));
    // Done, and the site was not read again: who was let in since counts all the same.
    world.memory.confirm(&(dir("cloud"), grp("j"), acc("a-bob")), model::EdgeOp::Add, world.now);
    world.fill("staff-b", &["cho"]);
    world.sweep_source();
    let decision = world.decide();
    assert_eq!(guards(only(&decision)), [GuardName::Seats]);
    // Another site has its own seats.
    let mut world = counted(&[("j", "a", 0), ("k", "b", 4)]);
    world.fill("staff-a", &["bob"]);
    world.fill("staff-b", &["bob"]);
    world.sweep_source();
    let decision = world.decide();
    let told: Vec<(bool, usize)> = cases(&decision).iter().map(|case| (case.is_released(), case.held.len())).collect();
    assert_eq!(told, [(false, 1), (true, 0)], "{:#?}", decision.plan.body);
    assert!(decision.plan.body.targets[0].seats.iter().any(|seats| seats.product == "jira-software (b)"));
}

#[test]
fn what_a_site_does_not_tell_holds_who_would_come_in_and_nobody_who_goes() {
    let mut world = products("", true);
    world.target.group("j").access_unread = true;
    world.fill("staff-a", &["bob"]);
    world.fill("staff-b", &["bob"]);
    world.sweep_source();
    world.sweep_target();
    let decision = world.decide();
    let told: Vec<Vec<GuardName>> = cases(&decision).iter().map(|case| guards(case)).collect();
    assert_eq!(told, [vec![GuardName::DefaultAccessGroup], vec![]]);
    world.target.group("j").access_unread = false;
    world.sweep_target();
    assert!(cases(&world.decide()).iter().all(|case| case.is_released()));
}

#[test]
fn names_do_only_where_nobody_knows_what_groups_give() {
    let mut world = products("jira-software = 1", false);
    world.fill("confluence-users-acme", &["bob"]);
    world.sweep_source();
    assert!(only(&world.decide()).is_released(), "its name says another product");
    world.fill("staff-a", &["bob"]);
    world.sweep_source();
    assert!(holds(&world.decide(), GuardName::Seats));
}

#[test]
fn who_finds_no_seat_waits_for_one_and_explain_says_so() {
    let mut world = products("jira-software = 1", true);
    world.fill("staff-a", &["bob"]);
    world.sweep_source();
    let decision = world.decide();
    let seat = |decision: &Decision| {
        let waits = decision.plan.body.targets.iter().flat_map(|target| &target.waits);
        waits.filter(|wait| wait.why == WaitWhy::Seat).map(|wait| (wait.group.clone(), wait.edges)).collect::<Vec<_>>()
    };
    assert_eq!(seat(&decision), [(Some("staff-a".to_owned()), 1)]);
    let now = world.now;
    let missing = |world: &mut World| {
        let explained = world.planner.explain(&world.memory, now, "bob", Some("staff-a"));
        explained.persons[0].groups[0].missing.clone()
    };
    assert_eq!(missing(&mut world), Some(Missing::Waits { why: WaitWhy::Seat }));
    // Whoever approves it says that there is one.
    world.memory.approvals.insert(only(&decision).digest, crate::Verdict::Approved);
    assert!(seat(&world.decide()).is_empty());
    assert_eq!(missing(&mut world), Some(Missing::UnderWay));
}

#[test]
fn a_mirror_that_differs_from_what_the_watcher_read_removes_nobody_and_is_not_in_sync() {
    let mut world = company(4, "", "");
    leave(&mut world, 1);
    let (source, group) = (dir("workspace"), grp("big"));
    assert!(world.planner.prove(&source, &group) && world.planner.prove(&source, &grp("nobody-knows")));
    assert!(only(&world.decide_informed()).is_released());
    // A row got lost on the way: the watcher saw somebody whom the mirror does not hold.
    let mut delta = world.source.whole();
    delta.version += 1;
    delta.users.clear();
    delta.groups.clear();
    delta.members.clear();
    for read in delta.reads.iter_mut().filter(|read| read.scope == model::ReadScope::Members(grp("big"))) {
        read.digest = Some(model::members_digest(["p000", "p001", "p002", "p003"]));
    }
    world.planner.apply(&delta);
    assert!(!world.planner.prove(&source, &group));
    let decision = world.decide();
    assert!(cases(&decision).is_empty(), "{:#?}", decision.plan.body);
    assert!(!world.planner.sync_state(&world.memory, &decision)[&dir("cloud")].in_sync);
    world.sweep_source();
    assert!(world.planner.prove(&source, &group));
    assert!(only(&world.decide_informed()).is_released());
}

#[test]
fn in_sync_compares_what_is_observed_with_what_is_wanted() {
    let mut world = company(4, "", "");
    let group = world.group_named("big");
    let state = |world: &mut World| {
        let decision = world.decide_on(Occasion::Event);
        world.planner.sync_state(&world.memory, &decision)[&dir("cloud")].clone()
    };
    let before = state(&mut world);
    // A writer's word counts before the next read, in both directions.
    let key = (dir("cloud"), group.clone(), acc("a-p000"));
    world.memory.confirm(&key, model::EdgeOp::Remove, world.now);
    let after = state(&mut world);
    assert_ne!(after.observed, before.observed);
    assert_eq!(after.wanted, before.wanted);
    world.memory.confirm(&key, model::EdgeOp::Add, world.now);
    assert_eq!(state(&mut world).observed, before.observed);
    // Somebody whom nobody wants there is observed.
    world.person("zoe");
    world.target.members.entry(group).or_default().insert(MemberKind::User(acc("a-zoe")), model::Role::Member);
    world.sweep_source();
    world.sweep_target();
    let after = state(&mut world);
    assert!(after.observed != after.wanted && after.drifted.contains("big"));
}
