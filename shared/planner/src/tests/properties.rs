//! Properties that hold for every directory.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use model::{Delta, EdgeOp, MemberKind, Role, UserState};
use policy::Nested;
use proptest::prelude::*;

use crate::{
    Memory, Occasion, Planner, Verdict,
    flatten::{Graph, Opening, Walk, collect},
    judge::every_role,
    testing::{World, acc, dir, grp, policy},
};

const PEOPLE: usize = 8;
const GROUPS: usize = 5;

/// One thing that happens at the source or the target.
#[derive(Debug, Clone)]
enum Happening {
    Join(usize, usize),
    Leave(usize, usize),
    Nest(usize, usize),
    Unnest(usize, usize),
    Suspend(usize),
    Return(usize),
    Stray(usize, usize),
    Lose(usize, usize),
    Deactivate(usize),
    Readdress(usize),
    Twin(usize),
    Rename(usize),
    Delete(usize),
    Everyone(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    let (person, group) = (0..PEOPLE, 0..GROUPS);
    prop_oneof![
        4 => (group.clone(), person.clone()).prop_map(|(g, p)| Happening::Join(g, p)),
        3 => (group.clone(), person.clone()).prop_map(|(g, p)| Happening::Leave(g, p)),
        1 => (group.clone(), group.clone()).prop_map(|(a, b)| Happening::Nest(a, b)),
        1 => (group.clone(), group.clone()).prop_map(|(a, b)| Happening::Unnest(a, b)),
        1 => person.clone().prop_map(Happening::Suspend),
        1 => person.clone().prop_map(Happening::Return),
        1 => (group.clone(), person.clone()).prop_map(|(g, p)| Happening::Stray(g, p)),
        1 => (group, person).prop_map(|(g, p)| Happening::Lose(g, p)),
    ]
}

/// What happens to identities, too: nobody can say in advance where that ends, only that it ends the same.
fn wild() -> impl Strategy<Value = Happening> {
    let (person, group) = (0..PEOPLE, 0..GROUPS);
    prop_oneof![
        6 => happening(),
        1 => person.clone().prop_map(Happening::Deactivate),
        1 => person.clone().prop_map(Happening::Readdress),
        1 => person.prop_map(Happening::Twin),
        1 => group.clone().prop_map(Happening::Rename),
        1 => group.clone().prop_map(Happening::Delete),
        1 => group.prop_map(Happening::Everyone),
    ]
}

fn name(person: usize) -> String {
    format!("p{person}")
}

fn company() -> World {
    let wide = "guard = { per_group = { removals = { count = 99, percent = 100 }, additions = { count = 99, percent = 100 } }, \
                per_plan = { removals = { count = 999, percent = 100 }, additions = { count = 999, percent = 100 } }, \
                per_day = { removals = { count = 9999, percent = 100 }, deactivations = { count = 99, percent = 100 } }, \
                per_week = { removals = { count = 9999, percent = 100 } }, emptied_group_from = 999, \
                source_shrink_percent = 100 }";
    let rest = format!(
        "[guard]\n{}",
        wide.trim_start_matches("guard = { ")
            .trim_end_matches(" }")
            .replace("}, per_", "}\nper_")
            .replace("}, emptied", "}\nemptied")
            .replace("999, source", "999\nsource")
    );
    let mut world = World::new("", &rest);
    for person in 0..PEOPLE {
        world.person(&name(person));
    }
    for group in 0..GROUPS {
        world.fill(&format!("g{group}"), &[&name(group)]);
    }
    world.converge();
    world
}

fn happen(world: &mut World, happening: &Happening) {
    let group = |at: &usize| format!("g{at}");
    match happening {
        Happening::Join(at, person) => world.source.add(&group(at), MemberKind::User(acc(&name(*person)))),
        Happening::Leave(at, person) => world.leave(&group(at), &name(*person)),
        Happening::Nest(at, nested) => world.nest(&group(at), &group(nested)),
        Happening::Unnest(at, nested) => {
            world.source.members.get_mut(&grp(&group(at))).unwrap().remove(&MemberKind::Group(grp(&group(nested))));
        }
        Happening::Deactivate(person) => {
            world.target.user(&format!("a-{}", name(*person))).state = UserState::Deactivated;
        }
        Happening::Readdress(person) => {
            world.source.user(&name(*person)).email = model::Email::new(format!("{}@acme.com", name(person + 1))).ok();
        }
        Happening::Twin(person) => {
            let email = model::Email::new(format!("{}@acme.com", name(*person))).ok();
            let twin = acc(&format!("twin-{person}"));
            world.target.users.insert(twin.clone(), model::User::new(twin, email));
        }
        Happening::Rename(at) => {
            let id = group(at);
            if let Some(renamed) = world.source.groups.get_mut(&grp(&id)) {
                renamed.email = model::Email::new(format!("new-{id}@acme.com")).ok();
            }
        }
        Happening::Delete(at) => {
            world.source.groups.remove(&grp(&group(at)));
        }
        Happening::Everyone(at) => world.source.add(&group(at), MemberKind::Everyone("C01".to_owned())),
        Happening::Suspend(person) => world.source.user(&name(*person)).state = UserState::Suspended,
        Happening::Return(person) => world.source.user(&name(*person)).state = UserState::Active,
        Happening::Stray(at, person) => {
            let id = world.group_named(&group(at)).to_string();
            world.target.add(&id, MemberKind::User(acc(&format!("a-{}", name(*person)))));
        }
        Happening::Lose(at, person) => {
            let id = world.group_named(&group(at));
            let account = MemberKind::User(acc(&format!("a-{}", name(*person))));
            world.target.members.get_mut(&id).unwrap().remove(&account);
        }
    }
}

/// Who is wanted in a group, by a closure that is computed in another way: a matrix, squared until it stands still.
fn closure(world: &World, group: usize) -> BTreeSet<String> {
    let mut below = [[false; GROUPS]; GROUPS];
    for (at, row) in below.iter_mut().enumerate() {
        row[at] = true;
        for (nested, cell) in row.iter_mut().enumerate() {
            let kind = MemberKind::Group(grp(&format!("g{nested}")));
            *cell |= world.source.members[&grp(&format!("g{at}"))].contains_key(&kind);
        }
    }
    for _ in 0..GROUPS {
        let before = below;
        for a in 0..GROUPS {
            for b in 0..GROUPS {
                below[a][b] |= (0..GROUPS).any(|via| before[a][via] && before[via][b]);
            }
        }
    }
    let mut people = BTreeSet::new();
    for nested in (0..GROUPS).filter(|nested| below[group][*nested]) {
        for kind in world.source.members[&grp(&format!("g{nested}"))].keys() {
            if let MemberKind::User(person) = kind
                && world.source.users[person].state.works()
            {
                people.insert(format!("a-{person}"));
            }
        }
    }
    people
}

/// A delta cut into single rows, in another order.
fn shuffled(delta: &Delta, seed: u64) -> Vec<Delta> {
    let empty = || Delta {
        directory: delta.directory.clone(),
        version: delta.version,
        users: Vec::new(),
        groups: Vec::new(),
        members: Vec::new(),
        reads: Vec::new(),
        corroborations: Vec::new(),
    };
    let mut parts = Vec::new();
    parts.extend(delta.users.iter().map(|row| Delta { users: vec![row.clone()], ..empty() }));
    parts.extend(delta.groups.iter().map(|row| Delta { groups: vec![row.clone()], ..empty() }));
    parts.extend(delta.members.iter().map(|row| Delta { members: vec![row.clone()], ..empty() }));
    parts.extend(delta.reads.iter().map(|row| Delta { reads: vec![row.clone()], ..empty() }));
    let mut state = seed;
    for at in (1..parts.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        parts.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
    }
    parts
}

/// A planner that starts from the rows as they are, told in a shuffled order.
fn from_nothing(world: &World, seed: u64, corroborations: &[Delta]) -> Planner {
    let mut planner = Planner::new(world.planner.policy().clone());
    for whole in [world.source.whole(), world.target.whole()] {
        for part in shuffled(&whole, seed) {
            planner.apply(&part);
        }
    }
    for delta in corroborations {
        planner.apply(delta);
    }
    planner
}

proptest! {

    #[test]
    fn i10_carrying_out_a_plan_reaches_what_is_wanted_and_then_nothing(
        rounds in prop::collection::vec(prop::collection::vec(happening(), 1..6), 1..4),
    ) {
        let mut world = company();
        for happenings in &rounds {
            for each in happenings {
                happen(&mut world, each);
            }
            world.converge();
            for group in 0..GROUPS {
                prop_assert_eq!(world.in_target(&format!("g{group}")), closure(&world, group), "group g{}", group);
            }
            let decision = world.decide();
            prop_assert!(decision.plan.body.targets.is_empty());
        }
    }

    #[test]
    fn starting_over_in_any_order_decides_the_same_bytes(
        happenings in prop::collection::vec(wild(), 1..12),
        seed in any::<u64>(),
        linked in any::<bool>(),
    ) {
        let mut world = company();
        if !linked {
            world.memory.people.clear();
        }
        for each in &happenings {
            happen(&mut world, each);
            world.sweep_source();
            world.decide_on(Occasion::Event);
            world.sweep_target();
        }
        let now = world.now;
        let incremental = world.planner.decide(&world.memory, now, Occasion::Event);
        let mut fresh = from_nothing(&world, seed, &[]);
        // Answers were given while the world converged; both have to know the same.
        let answers = world.answers.clone();
        for delta in &answers {
            fresh.apply(delta);
        }
        let whole = fresh.decide(&world.memory.clone(), now, Occasion::Event);
        prop_assert_eq!(&incremental.plan.body, &whole.plan.body);
        prop_assert_eq!(&incremental.needs, &whole.needs);
        let mut states = (world.planner.sync_state(&world.memory, &incremental), fresh.sync_state(&world.memory, &whole));
        prop_assert_eq!(states.0.remove(&dir("cloud")), states.1.remove(&dir("cloud")));
    }

    #[test]
    fn opening_groups_equals_the_closure_of_the_matrix(
        edges in prop::collection::vec((0..9_usize, 0..9_usize), 0..30),
        people in prop::collection::vec((0..9_usize, 0..6_usize), 0..30),
    ) {
        let mut mirror = crate::Mirror::new(dir("workspace"));
        let mut delta = Delta { directory: dir("workspace"), version: 1, users: vec![], groups: vec![], members: vec![], reads: vec![], corroborations: vec![] };
        for group in 0..9 {
            let row = model::Group::new(grp(&format!("g{group}")), format!("g{group}"));
            delta.groups.push(model::GroupRow { group: row, gone_at: None });
        }
        let member = |group: usize, member| model::MemberRow { group: grp(&format!("g{group}")), member, role: Role::Member, gone_at: None };
        delta.members.extend(edges.iter().map(|(a, b)| member(*a, MemberKind::Group(grp(&format!("g{b}"))))));
        delta.members.extend(people.iter().map(|(a, p)| member(*a, MemberKind::User(acc(&name(*p))))));
        mirror.apply(&delta);
        let mut below = [[false; 9]; 9];
        for (at, row) in below.iter_mut().enumerate() {
            row[at] = true;
        }
        for (a, b) in &edges {
            below[*a][*b] = true;
        }
        for via in 0..9 {
            for a in 0..9 {
                for b in 0..9 {
                    below[a][b] |= below[a][via] && below[via][b];
                }
            }
        }
        let roles = every_role();
        let mut walk = Walk::default();
        for (group, row) in below.iter().enumerate() {
            let slot = mirror.group_slot(&grp(&format!("g{group}"))).unwrap();
            walk.open(&mirror, slot, Opening { nested: Nested::Flatten, roles: &roles }, Graph::Current);
            let mut found = Vec::new();
            collect(&mirror, &walk, &roles, &mut found);
            let found: BTreeSet<String> = found.iter().map(|slot| mirror.person(*slot).unwrap().id.to_string()).collect();
            let expected: BTreeSet<String> =
                people.iter().filter(|(at, _)| row[*at]).map(|(_, p)| name(*p)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn i03_what_goes_without_approval_is_within_every_budget(
        happenings in prop::collection::vec(happening(), 1..40),
    ) {
        let mut world = company();
        let tight = "[guard]\nper_group = { removals = { count = 1, percent = 0 }, additions = { count = 2, percent = 0 } }\n\
                     per_plan = { removals = { count = 4, percent = 0 }, additions = { count = 6, percent = 0 } }\n\
                     per_day = { removals = { count = 3, percent = 0 }, deactivations = { count = 1, percent = 0 } }";
        world.planner.set_policy(policy("", tight));
        world.memory.window.clear();
        for each in &happenings {
            happen(&mut world, each);
        }
        world.sweep_source();
        world.sweep_target();
        let decision = world.decide_informed();
        let (mut removals, mut additions, mut leavers) = (0, 0, 0);
        for (_, case) in decision.plan.cases().filter(|(_, case)| case.is_released()) {
            if matches!(case.kind, model::CaseKind::Leaver { .. }) {
                leavers += 1;
                continue;
            }
            prop_assert!(case.count(EdgeOp::Remove) <= 1 && case.count(EdgeOp::Add) <= 2);
            removals += case.count(EdgeOp::Remove);
            additions += case.count(EdgeOp::Add);
        }
        prop_assert!(removals <= 3 && additions <= 6 && leavers <= 1, "{removals} {additions} {leavers}");
        // Approving everything lets everything go, and nothing else.
        let digests: Vec<model::Digest> = decision.plan.cases().map(|(_, case)| case.digest).collect();
        let approved = digests.iter().map(|digest| (*digest, Verdict::Approved)).collect();
        let memory = Memory { approvals: approved, ..world.memory.clone() };
        let now = world.now;
        let after = world.planner.decide(&memory, now, Occasion::Sweep);
        prop_assert!(after.plan.cases().all(|(_, case)| case.held.is_empty()));
        prop_assert_eq!(after.plan.cases().map(|(_, case)| case.digest).collect::<Vec<_>>(), digests);
    }
}
