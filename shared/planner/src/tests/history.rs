//! The real change history of a large organization, commit by commit, through the planner alone.

#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use model::{Digest, Email, Group, MemberKind, Role, Standing, Time, User};
use serde_json::Value;

use crate::{
    Decision, Planner, Verdict,
    testing::{World, acc, cases, grp},
};

/// The history by its digest, and how many cases the default guards hold in it where every commit is looked at by itself.
/// Nothing in here is left to chance: another number is another behaviour. Of other data nothing but *some* is known.
const KNOWN: (&str, usize) = ("ca7907ba08c9363d818f9a1c1e2ff24e7f7726efc8032762cb9736a9028cc527", 141);

/// The folder of the data, if it is there.
fn data() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let there = folder.join("k8s-google-groups/history.jsonl").exists();
    #[expect(clippy::disallowed_methods, reason = "where the data must be there is said by the environment")]
    let required = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(there || !required, "the data folder is missing");
    there.then_some(folder)
}

fn history(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("k8s-google-groups/history.jsonl")).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

struct Replay {
    world: World,
    held: usize,
    writes: usize,
    net: usize,
    approve: bool,
}

impl Replay {
    fn new(folder: &Path, guard: &str) -> Self {
        let file = std::fs::read_to_string(folder.join("k8s-policy.toml")).unwrap();
        let policy = policy::Policy::parse(&format!("{file}\n{guard}")).unwrap();
        let mut world = World::new("", "");
        world.planner = Planner::new(policy.into());
        Self { world, held: 0, writes: 0, net: 0, approve: true }
    }

    fn change(&mut self, change: &Value) {
        let world = &mut self.world;
        match text(change, "op") {
            "user_created" => {
                let (id, email) = (text(change, "id"), Email::new(text(change, "email")).unwrap());
                let mut user = User::new(acc(id), Some(email.clone()));
                if change["external"].as_bool().unwrap_or_default() {
                    user.standing = Standing::Unlisted;
                }
                world.source.users.insert(acc(id), user);
                let account = acc(&format!("a-{id}"));
                world.target.users.insert(account.clone(), User::new(account, Some(email)));
            }
            "user_renamed" => {
                if let Some(email) = change["set"]["email"].as_str() {
                    world.source.user(text(change, "id")).email = Email::new(email).ok();
                }
            }
            "user_deleted" => {
                world.source.users.remove(&acc(text(change, "id")));
            }
            "group_created" => {
                let id = grp(text(change, "id"));
                let mut group = Group::new(id.clone(), text(change, "name"));
                group.email = Email::new(text(change, "email")).ok();
                group.opaque = change["external"].as_bool().unwrap_or_default();
                world.source.groups.insert(id.clone(), group);
                world.source.members.entry(id).or_default();
            }
            "group_updated" => {
                if let Some(email) = change["set"]["email"].as_str() {
                    world.source.group(text(change, "id")).email = Email::new(email).ok();
                }
            }
            "group_deleted" => {
                world.source.groups.remove(&grp(text(change, "id")));
                world.source.members.remove(&grp(text(change, "id")));
            }
            op => self.change_member(op, change),
        }
    }

    fn change_member(&mut self, op: &str, change: &Value) {
        let members = self.world.source.members.get_mut(&grp(text(change, "group"))).unwrap();
        let kind = match text(change, "type") {
            "GROUP" => MemberKind::Group(grp(text(change, "id"))),
            _ => MemberKind::User(acc(text(change, "id"))),
        };
        if op == "member_removed" {
            members.remove(&kind);
        } else {
            members.insert(kind, Role::parse(text(change, "role")).unwrap());
        }
    }

    /// Looks, decides, has questions answered, approves what is held, does what is released, until nothing moves.
    fn settle(&mut self) {
        let before = self.memberships();
        for _ in 0..12 {
            self.world.sweep_source();
            self.world.sweep_target();
            let decision = self.world.decide_informed();
            self.held += cases(&decision).iter().filter(|case| !case.held.is_empty()).count();
            let done = self.world.carry_out(&decision);
            self.writes +=
                cases(&decision).iter().filter(|case| case.is_released()).flat_map(|case| case.edges()).count();
            let waits = self.approve_held(&decision);
            let second_read = cases(&decision).iter().any(|case| !case.needs.is_empty());
            if done == 0 && !waits && !second_read {
                let after = self.memberships();
                self.net += before.symmetric_difference(&after).count();
                return;
            }
        }
        panic!("it does not settle: {:#?}", self.world.decide().plan.body);
    }

    fn approve_held(&mut self, decision: &Decision) -> bool {
        let held: Vec<model::Digest> =
            cases(decision).iter().filter(|case| !case.held.is_empty()).map(|case| case.digest).collect();
        for digest in &held {
            assert!(self.approve, "nothing is held where every budget is the whole");
            self.world.memory.approvals.insert(*digest, Verdict::Approved);
        }
        !held.is_empty()
    }

    fn memberships(&self) -> BTreeSet<(String, String)> {
        let members = self.world.target.members.iter();
        members.flat_map(|(group, all)| all.keys().map(|kind| (group.to_string(), kind.id().to_owned()))).collect()
    }

    fn run(&mut self, folder: &Path) {
        let history = history(folder);
        for line in history.lines() {
            let commit: Value = serde_json::from_str(line).unwrap();
            self.world.now = self.world.now.max(Time::from_secs(commit["t"].as_i64().unwrap()));
            for change in commit["changes"].as_array().unwrap() {
                self.change(change);
            }
            self.settle();
        }
    }

    /// The memberships of every mapped group that is still there, by name.
    fn end(&self) -> BTreeMap<String, BTreeSet<String>> {
        let source = &self.world.source;
        let mapped = source.groups.values().filter(|group| !group.opaque);
        let name = |group: &Group| group.email.as_ref().map(|email| email.local().to_owned()).unwrap();
        mapped.map(|group| (name(group), self.world.in_target(&name(group)))).collect()
    }

    /// Who is below a group, by a search of another kind.
    fn below(&self, group: &model::GroupId, seen: &mut BTreeSet<model::GroupId>, people: &mut BTreeSet<String>) {
        if !seen.insert(group.clone()) || self.world.source.groups.get(group).is_none_or(|group| group.opaque) {
            return;
        }
        for kind in self.world.source.members.get(group).into_iter().flat_map(BTreeMap::keys) {
            match kind {
                MemberKind::User(person) => {
                    people.insert(format!("a-{person}"));
                }
                MemberKind::Group(nested) => self.below(nested, seen, people),
                _ => {}
            }
        }
    }
}

#[test]
fn the_history_of_a_real_organization_ends_the_same_with_and_without_guards() {
    let Some(folder) = data() else {
        println!("the data folder is absent: nothing was replayed");
        return;
    };
    let whole = "{ count = 0, percent = 100 }";
    let wide = format!(
        "[guard]\nper_group = {{ removals = {whole}, additions = {{ count = 10000, percent = 100 }} }}\n\
         per_plan = {{ removals = {whole}, additions = {{ count = 10000, percent = 100 }} }}\n\
         per_day = {{ removals = {whole}, deactivations = {whole} }}\nper_week = {{ removals = {{ count = 10000, percent = 100 }} }}\n\
         emptied_group_from = 10000\nsource_shrink_percent = 100"
    );
    let mut free = Replay::new(&folder, &wide);
    free.run(&folder);
    let mut guarded = Replay::new(&folder, "");
    guarded.run(&folder);
    let end = free.end();
    assert_eq!(end, guarded.end());
    assert!(end.values().map(BTreeSet::len).sum::<usize>() >= 1_000);
    for group in free.world.source.groups.values().filter(|group| !group.opaque) {
        let mut people = BTreeSet::new();
        free.below(&group.id, &mut BTreeSet::new(), &mut people);
        let name = group.email.as_ref().map(Email::local).unwrap();
        assert_eq!(end[name], people, "{name}");
    }
    println!("writes {} for {} net; held {} with the default guards", free.writes, free.net, guarded.held);
    assert!(free.writes * 100 <= free.net * 110, "{} writes for {} net changes", free.writes, free.net);
    let (digest, held) = KNOWN;
    if Digest::of(history(&folder).as_bytes()).to_string() == digest {
        assert_eq!(guarded.held, held, "cases held with the default guards");
    } else {
        println!("this is another history than the one that we know: how many cases must be held is not");
        assert!(guarded.held > 0);
    }
}
