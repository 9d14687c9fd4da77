//! Measures the planner on a made-up tenant in memory and prints one JSON object.
//!
//!     cargo run --release -p rollcall-planner --example scale [users groups memberships]
//!
//! Beside each figure stands the bare cost in the same run: a merge of the same two sets of sorted numbers. Each is the
//! best of several runs, so that neighbours on a shared machine count for little.

#![expect(clippy::disallowed_methods, reason = "a measurement needs a clock and its arguments")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a measurement, not a service")]

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use model::{
    AccountId, Delta, DirectoryId, Email, Group, GroupId, GroupRow, LinkHow, MemberKind, MemberRow, ReadRow, ReadScope,
    Role, Time, User, UserRow,
};
use planner::{Memory, Occasion, Pin, Planner};
use policy::Policy;

/// As in the services.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const POLICY: &str = r#"
tenant = "acme"
[directory.workspace]
kind = "google-workspace"
customer = "my_customer"
service_account = "file:google.json"
subject = "rollcall@acme.com"
[directory.cloud]
kind = "atlassian-org"
org = "o"
directory = "d"
api_key = "file:key"
[people]
domains = ["acme.com"]
[[sync]]
name = "teams"
from = "workspace"
groups = ["*"]
to = "cloud"
rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]
"#;

/// A stream of numbers that is the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

struct Tenant {
    users: usize,
    wanted: Vec<Vec<u32>>,
    observed: Vec<Vec<u32>>,
}

fn main() {
    let mut sizes = std::env::args().skip(1).map(|text| text.parse::<usize>().unwrap());
    let users = sizes.next().unwrap_or(100_000);
    let groups = sizes.next().unwrap_or(10_000);
    let memberships = sizes.next().unwrap_or(1_000_000);
    let tenant = tenant(users, groups, memberships);
    let bare = best(10, || {
        let started = Instant::now();
        let differing: usize = tenant.wanted.iter().zip(&tenant.observed).map(|(a, b)| differing(a, b)).sum();
        assert!(differing > 0);
        millis(started)
    });

    let policy = Arc::new(Policy::parse(POLICY).unwrap_or_else(|problems| panic!("{problems}")));
    let mut planner = Planner::new(policy.clone());
    let started = Instant::now();
    let source = dir("workspace");
    planner.apply(&people(&source, users, ""));
    planner.apply(&people(&dir("cloud"), users, "a"));
    load(&mut planner, &source, &tenant.wanted, "", "g");
    load(&mut planner, &dir("cloud"), &tenant.observed, "a", "t");
    let loading = millis(started);
    let memory = memory(users, groups);
    let loaded_rss = status("VmRSS:");

    let now = Time::from_secs(2_000);
    let (mut planned, mut rss) = (0, 0);
    let whole = best(10, || {
        // A policy is laid out from nothing: only the mirrors stay, and which names their groups come to.
        planner.set_policy(policy.clone());
        let started = Instant::now();
        let decision = planner.decide(&memory, now, Occasion::Event);
        let elapsed = millis(started);
        planned = decision.plan.cases().map(|(_, case)| case.steps.len()).sum();
        rss = rss.max(status("VmRSS:"));
        elapsed
    });
    let again = best(10, || {
        let started = Instant::now();
        let decision = planner.decide(&memory, now, Occasion::Event);
        let elapsed = millis(started);
        assert!(decision.plan.cases().count() > 0);
        elapsed
    });
    load(&mut planner, &dir("cloud"), &tenant.wanted, "a", "t");
    repair(&mut planner, &tenant);
    let times = one_by_one(&mut planner, &memory, &tenant, now);
    let report = serde_json::json!({
        "users": users,
        "groups": groups,
        "memberships": tenant.wanted.iter().map(Vec::len).sum::<usize>(),
        "planned_edges": planned,
        "bare_merge_ms": bare,
        "whole_plan_ms": whole,
        "ratio": whole / bare,
        "second_plan_ms": again,
        "one_change_p50_ms": times[times.len() / 2],
        "one_change_p99_ms": times[times.len() * 99 / 100],
        "loading_ms": loading,
        "rss_loaded_mb": loaded_rss / 1024,
        "rss_mb": rss / 1024,
        "rss_peak_mb": status("VmHWM:") / 1024,
    });
    println!("{report:#}");
}

/// One membership at a time begins at the source of a converged tenant: from the row to the edge.
fn one_by_one(planner: &mut Planner, memory: &Memory, tenant: &Tenant, now: Time) -> Vec<f64> {
    let quiet = planner.decide(memory, now, Occasion::Event);
    assert_eq!(quiet.plan.cases().count(), 0, "converged");
    let source = dir("workspace");
    let mut numbers = Numbers(7);
    let mut times = Vec::new();
    for round in 0..400_u64 {
        let (group, user) = (numbers.below(tenant.wanted.len()), numbers.below(tenant.users));
        if tenant.wanted[group].binary_search(&u32::try_from(user).unwrap()).is_ok() {
            continue;
        }
        let mut delta = empty(&source, 100 + round * 2);
        delta.members.push(member("g", group, "", user, None));
        let started = Instant::now();
        planner.apply(&delta);
        let decision = planner.decide(memory, now, Occasion::Event);
        times.push(millis(started));
        assert_eq!(decision.plan.cases().map(|(_, case)| case.steps.len()).sum::<usize>(), 1);
        let mut delta = empty(&source, 101 + round * 2);
        delta.members.push(member("g", group, "", user, Some(now)));
        planner.apply(&delta);
        planner.decide(memory, now, Occasion::Event);
    }
    times.sort_by(f64::total_cmp);
    times
}

fn millis(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}

fn best(rounds: usize, mut run: impl FnMut() -> f64) -> f64 {
    (0..rounds).map(|_| run()).fold(f64::INFINITY, f64::min)
}

fn differing(a: &[u32], b: &[u32]) -> usize {
    let (mut i, mut j, mut count) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => (i, count) = (i + 1, count + 1),
            std::cmp::Ordering::Greater => (j, count) = (j + 1, count + 1),
            std::cmp::Ordering::Equal => (i, j) = (i + 1, j + 1),
        }
    }
    count + a.len() - i + b.len() - j
}

/// Sizes as in real directories: most groups are small, a few are large.
fn tenant(users: usize, groups: usize, memberships: usize) -> Tenant {
    let mut numbers = Numbers(1);
    let mean = memberships / groups;
    let mut wanted = Vec::new();
    for group in 0..groups {
        let size = (mean * 24 / 10 * (1 + group % 10) / 13).clamp(1, users);
        let members: BTreeSet<u32> = (0..size).map(|_| u32::try_from(numbers.below(users)).unwrap()).collect();
        wanted.push(members.into_iter().collect::<Vec<u32>>());
    }
    let mut observed = wanted.clone();
    for group in &mut observed {
        // One in a hundred differs: half of those are missing, half are strangers.
        let changes = (group.len() + numbers.below(100)) / 100;
        for change in 0..changes {
            if change % 2 == 0 {
                group.remove(numbers.below(group.len()));
            } else if let Err(at) = group.binary_search(&u32::try_from(numbers.below(users)).unwrap()) {
                let stranger = if at == 0 { 0 } else { group[at - 1] + 1 };
                if !group.contains(&stranger) && (stranger as usize) < users {
                    group.insert(at, stranger);
                }
            }
        }
        group.sort_unstable();
        group.dedup();
    }
    Tenant { users, wanted, observed }
}

fn dir(id: &str) -> DirectoryId {
    DirectoryId::new(id).unwrap()
}

fn account(prefix: &str, user: usize) -> AccountId {
    AccountId::new(format!("{prefix}{user:09}")).unwrap()
}

fn group_id(prefix: &str, group: usize) -> GroupId {
    GroupId::new(format!("{prefix}{group:07}")).unwrap()
}

fn empty(directory: &DirectoryId, version: u64) -> Delta {
    Delta {
        directory: directory.clone(),
        version,
        users: Vec::new(),
        groups: Vec::new(),
        members: Vec::new(),
        reads: Vec::new(),
        corroborations: Vec::new(),
    }
}

fn read(scope: ReadScope, rows: usize) -> ReadRow {
    let rows = rows as u64;
    let at = Time::from_secs(1_000);
    ReadRow { scope, complete_began_at: Some(at), ended_at: at, complete: true, rows, rows_before: rows, digest: None }
}

fn people(directory: &DirectoryId, users: usize, prefix: &str) -> Delta {
    let mut delta = empty(directory, 1);
    for user in 0..users {
        let mut row = User::new(account(prefix, user), Email::new(format!("user{user}@acme.com")).ok());
        row.display_name = Some(format!("User {user}"));
        delta.users.push(UserRow { user: row, gone_at: None });
    }
    delta.reads.push(read(ReadScope::Users, users));
    delta
}

fn member(prefix: &str, group: usize, people: &str, user: usize, gone_at: Option<Time>) -> MemberRow {
    let member = MemberKind::User(account(people, user));
    MemberRow { group: group_id(prefix, group), member, role: Role::Member, gone_at }
}

fn load(planner: &mut Planner, directory: &DirectoryId, members: &[Vec<u32>], people: &str, prefix: &str) {
    for (group, members) in members.iter().enumerate() {
        let mut delta = empty(directory, 2 + group as u64);
        let mut row = Group::new(group_id(prefix, group), format!("group-{group}"));
        if prefix == "g" {
            row.email = Email::new(format!("group-{group}@acme.com")).ok();
        }
        delta.groups.push(GroupRow { group: row, gone_at: None });
        delta.members.extend(members.iter().map(|user| member(prefix, group, people, *user as usize, None)));
        delta.reads.push(read(ReadScope::Members(group_id(prefix, group)), members.len()));
        planner.apply(&delta);
    }
    let mut delta = empty(directory, 2 + members.len() as u64);
    delta.reads.push(read(ReadScope::Groups, members.len()));
    planner.apply(&delta);
}

fn repair(planner: &mut Planner, tenant: &Tenant) {
    let mut delta = empty(&dir("cloud"), 90);
    for (group, (wanted, observed)) in tenant.wanted.iter().zip(&tenant.observed).enumerate() {
        let strangers = observed.iter().filter(|user| wanted.binary_search(user).is_err());
        delta
            .members
            .extend(strangers.map(|user| member("t", group, "a", *user as usize, Some(Time::from_secs(1_000)))));
    }
    assert!(tenant.users > 0);
    planner.apply(&delta);
}

fn memory(users: usize, groups: usize) -> Memory {
    let people = (0..users).map(|user| ((dir("workspace"), account("", user), dir("cloud")), account("a", user)));
    let pins = (0..groups).map(|group| {
        let source = Some((dir("workspace"), group_id("g", group)));
        let pin = Pin { group: group_id("t", group), how: LinkHow::Created, equal_once: true, source };
        ((dir("cloud"), format!("group-{group}")), pin)
    });
    Memory { people: people.collect(), pins: pins.collect(), ..Memory::default() }
}

fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or("0");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
