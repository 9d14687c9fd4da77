//! A small world that proptest can make up: people and groups at a source, accounts and groups at a target.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{
    AccountId, DirectoryId, EdgeOp, Email, Group, GroupId, Member, MemberKind, MembersRead, Plan, Reading, Role,
    Snapshot, Step, Time, User,
};
use planner::{Decision, Memory, Occasion, Planner};
use policy::Policy;
use proptest::prelude::*;

/// The policy of all properties: every group of the source by its own name, exactly.
pub(crate) const POLICY: &str = r#"
tenant = "acme"

[directory.workspace]
kind = "google-workspace"
service_account = "env:GOOGLE_KEY"
subject = "sync@example.com"

[directory.cloud]
kind = "atlassian-org"
org = "o"
directory = "d"
api_key = "env:ORG_KEY"

[people]
domains = ["example.com"]

[[sync]]
name = "all"
from = "workspace"
groups = ["*"]
to = ["cloud"]
rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]
on_conflict = "adopt"

[guard]
per_group = { removals = { count = 1000, percent = 100 }, additions = { count = 1000, percent = 100 } }
per_plan = { removals = { count = 1000, percent = 100 }, additions = { count = 1000, percent = 100 } }
per_day = { removals = { count = 1000, percent = 100 }, deactivations = { count = 1000, percent = 100 } }
per_week = { removals = { count = 1000, percent = 100 } }
emptied_group_from = 1000
source_shrink_percent = 100
"#;

/// How many people and groups there can be.
const PEOPLE: usize = 8;
const GROUPS: usize = 5;

/// Direct members by group: people and nested groups, by number.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) people: Vec<BTreeSet<usize>>,
    pub(crate) nested: Vec<BTreeSet<usize>>,
}

/// Any source, cycles and diamonds included.
pub(crate) fn any_source() -> impl Strategy<Value = Source> {
    let sets = |of: usize| prop::collection::vec(prop::collection::btree_set(0..of, 0..4), GROUPS);
    (sets(PEOPLE), sets(GROUPS)).prop_map(|(people, nested)| Source { people, nested })
}

/// Any holding of the target: who is in the group of the same number, if there is one.
pub(crate) fn any_target() -> impl Strategy<Value = Vec<Option<BTreeSet<usize>>>> {
    prop::collection::vec(prop::option::of(prop::collection::btree_set(0..PEOPLE, 0..5)), GROUPS)
}

impl Source {
    /// Who should be where: everybody below, found by walking until nothing new comes.
    pub(crate) fn flat(&self) -> Vec<BTreeSet<usize>> {
        let mut flat = self.people.clone();
        loop {
            let before = flat.clone();
            for (group, nested) in self.nested.iter().enumerate() {
                for below in nested {
                    let more = before[*below].clone();
                    flat[group].extend(more);
                }
            }
            if flat == before {
                return flat;
            }
        }
    }

    /// The source as a complete read saw it.
    pub(crate) fn reading(&self, at: i64) -> Reading {
        let mut reading = begun(at);
        reading.users.complete = true;
        reading.users.seen = (0..PEOPLE).map(|n| User::new(person(n), Some(email(n)))).collect();
        for (group, (people, nested)) in self.people.iter().zip(&self.nested).enumerate() {
            let mut seen = source_group(group);
            seen.email = Email::new(format!("g{group}@example.com")).ok();
            reading.groups.seen.push(seen);
            let people = people.iter().map(|n| MemberKind::User(person(*n)));
            let nested = nested.iter().map(|n| MemberKind::Group(id(*n)));
            let seen = people.chain(nested).map(|kind| Member { kind, role: Role::Member }).collect();
            reading.members.push(MembersRead { group: id(group), seen, complete: true, began_at: Time(at) });
        }
        reading
    }
}

/// The target: groups by name with accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) groups: BTreeMap<String, (GroupId, BTreeSet<AccountId>)>,
}

impl Target {
    pub(crate) fn new(holdings: &[Option<BTreeSet<usize>>]) -> Self {
        let groups = holdings.iter().enumerate().filter_map(|(n, members)| {
            let members = members.as_ref()?.iter().map(|n| account(*n)).collect();
            Some((format!("g{n}"), (GroupId::new(format!("t{n}")).unwrap(), members)))
        });
        Self { groups: groups.collect() }
    }

    /// The target as a complete read saw it.
    pub(crate) fn reading(&self, at: i64) -> Reading {
        let mut reading = begun(at);
        reading.users.complete = true;
        reading.users.seen = (0..PEOPLE).map(|n| User::new(account(n), Some(email(n)))).collect();
        for (name, (id, members)) in &self.groups {
            reading.groups.seen.push(Group::new(id.clone(), name));
            let member = |account: &AccountId| Member { kind: MemberKind::User(account.clone()), role: Role::Member };
            let seen = members.iter().map(member).collect();
            reading.members.push(MembersRead { group: id.clone(), seen, complete: true, began_at: Time(at) });
        }
        reading
    }

    /// Does what a plan says, as a vendor would.
    pub(crate) fn carry_out(&mut self, plan: &Plan) {
        for (_, case) in plan.cases() {
            for step in &case.steps {
                match step {
                    Step::CreateGroup { name, .. } => {
                        let id = GroupId::new(format!("new-{name}")).unwrap();
                        self.groups.insert(name.clone(), (id, BTreeSet::new()));
                    }
                    Step::Edge { edge, .. } => {
                        let (_, members) = self.groups.get_mut(&edge.group_name).expect("the group exists");
                        let account = edge.account.clone().expect("everybody has an account");
                        let changed = match edge.op {
                            EdgeOp::Add => members.insert(account),
                            EdgeOp::Remove => members.remove(&account),
                        };
                        assert!(changed, "a step changes something");
                    }
                    Step::DeleteGroup { .. } | Step::GrantAccess { .. } | Step::Account { .. } => {
                        panic!("nothing asked for this")
                    }
                }
            }
        }
    }
}

/// Decides from complete reads of both sides.
pub(crate) fn decide(source: &Reading, target: &Reading, memory: &Memory) -> Decision {
    let mut planner = Planner::new(Arc::new(Policy::parse(POLICY).expect("the policy is right")));
    for (name, reading) in [("workspace", source), ("cloud", target)] {
        let mut snapshot = Snapshot::new(DirectoryId::new(name).unwrap());
        snapshot.observe(reading);
        planner.apply(&snapshot.whole());
    }
    planner.decide(memory, Time(1_000_000_000), Occasion::OneShot)
}

pub(crate) fn begun(at: i64) -> Reading {
    let mut reading = Reading::begun(Time(at));
    reading.ended_at = Time(at + 1);
    reading.groups.complete = true;
    reading
}

pub(crate) fn person(n: usize) -> AccountId {
    AccountId::new(format!("p{n}")).unwrap()
}

pub(crate) fn account(n: usize) -> AccountId {
    AccountId::new(format!("a{n}")).unwrap()
}

pub(crate) fn id(n: usize) -> GroupId {
    GroupId::new(format!("s{n}")).unwrap()
}

fn email(n: usize) -> Email {
    Email::new(format!("person{n}@example.com")).unwrap()
}

fn source_group(n: usize) -> Group {
    Group::new(id(n), format!("Group {n}"))
}
