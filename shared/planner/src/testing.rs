//! A small company for tests: a source and a target that start equal, and verbs that change one thing.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use model::{
    AccountChange, AccountId, Answer, Case, Corroboration, Delta, DirectoryId, EdgeOp, Email, Fact, Group, GroupId,
    Member, MemberKind, MembersRead, Reading, Role, Snapshot, Span, Standing, Step, Time, User, UserState,
};
use policy::Policy;

use crate::{Decision, Memory, Occasion, Planner};

/// One directory as it really is.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    pub(crate) id: DirectoryId,
    pub(crate) users: BTreeMap<AccountId, User>,
    pub(crate) groups: BTreeMap<GroupId, Group>,
    pub(crate) members: BTreeMap<GroupId, BTreeMap<MemberKind, Role>>,
    snapshot: Snapshot,
}

/// A source, a target, a planner and what is remembered.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) source: Side,
    pub(crate) target: Side,
    pub(crate) planner: Planner,
    pub(crate) memory: Memory,
    pub(crate) now: Time,
    /// What was answered so far.
    pub(crate) answers: Vec<Delta>,
    made: u32,
}

pub(crate) fn dir(id: &str) -> DirectoryId {
    DirectoryId::new(id).unwrap()
}
pub(crate) fn acc(id: &str) -> AccountId {
    AccountId::new(id).unwrap()
}
pub(crate) fn grp(id: &str) -> GroupId {
    GroupId::new(id).unwrap()
}

/// The target of most tests: an organization.
const ORG: &str = "kind = \"atlassian-org\"\norg = \"o\"\ndirectory = \"d\"\napi_key = \"file:key\"";

/// A policy with this rule, and this beside it.
pub(crate) fn policy(rule: &str, rest: &str) -> Arc<Policy> {
    policy_for(ORG, rule, rest)
}

/// The same for a target of another kind: its keys, but for the owner.
pub(crate) fn policy_for(kind: &str, rule: &str, rest: &str) -> Arc<Policy> {
    // A union has one name, and nothing is renamed.
    let rename = if rule.contains("into") { "" } else { "rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]" };
    let text = format!(
        r#"
tenant = "acme"
[directory.workspace]
kind = "google-workspace"
customer = "my_customer"
service_account = "file:google.json"
subject = "rollcall@acme.com"
[directory.cloud]
{kind}
owner = "sync-bot@acme.com"
[people]
domains = ["acme.com"]
{rest}
[[sync]]
name = "teams"
from = "workspace"
groups = ["*"]
to = "cloud"
{rename}
{rule}
"#
    );
    Arc::new(Policy::parse(&text).unwrap_or_else(|problems| panic!("{problems}")))
}

impl Side {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: dir(id),
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            members: BTreeMap::new(),
            snapshot: Snapshot::new(dir(id)),
        }
    }

    pub(crate) fn user(&mut self, id: &str) -> &mut User {
        self.users.get_mut(&acc(id)).unwrap()
    }

    pub(crate) fn group(&mut self, id: &str) -> &mut Group {
        self.groups.get_mut(&grp(id)).unwrap()
    }

    pub(crate) fn add(&mut self, group: &str, member: MemberKind) {
        self.members.entry(grp(group)).or_default().insert(member, Role::Member);
    }

    pub(crate) fn people_of(&self, group: &str) -> BTreeSet<String> {
        let members = self.members.get(&grp(group)).into_iter().flatten();
        members.map(|(kind, _)| kind.id().to_owned()).collect()
    }

    /// A complete read of everything.
    pub(crate) fn reading(&self, at: Time) -> Reading {
        let mut reading = Reading::begun(at);
        reading.ended_at = at.plus(Span::from_secs(1));
        reading.users.seen = self.users.values().cloned().collect();
        reading.users.complete = true;
        reading.groups.seen = self.groups.values().cloned().collect();
        reading.groups.complete = true;
        for id in self.groups.values().filter(|group| !group.opaque).map(|group| &group.id) {
            let members = self.members.get(id).into_iter().flatten();
            let seen = members.map(|(kind, role)| Member { kind: kind.clone(), role: *role }).collect();
            reading.members.push(MembersRead { group: id.clone(), seen, complete: true, began_at: at });
        }
        reading
    }

    pub(crate) fn observe(&mut self, reading: &Reading) -> Delta {
        self.snapshot.observe(reading)
    }

    pub(crate) fn version(&self) -> u64 {
        self.snapshot.version()
    }

    pub(crate) fn whole(&self) -> Delta {
        self.snapshot.whole()
    }

    pub(crate) fn holds(&self, fact: &Fact) -> bool {
        let member = |group: &GroupId, kind: MemberKind| self.members.get(group).is_some_and(|m| m.contains_key(&kind));
        match fact {
            Fact::Member { group, user, .. } => member(group, MemberKind::User(user.clone())),
            Fact::Nested { group, nested, .. } => member(group, MemberKind::Group(nested.clone())),
            Fact::User { user, .. } => self.users.contains_key(user),
            Fact::Group { group, .. } => self.groups.contains_key(group),
        }
    }
}

impl World {
    pub(crate) fn new(rule: &str, rest: &str) -> Self {
        Self::of(policy(rule, rest))
    }

    pub(crate) fn of(policy: Arc<Policy>) -> Self {
        Self {
            source: Side::new("workspace"),
            target: Side::new("cloud"),
            planner: Planner::new(policy),
            memory: Memory::default(),
            now: Time::from_secs(1_000_000),
            answers: Vec::new(),
            made: 0,
        }
    }

    /// Five people, three groups, everything equal and learnt: `eng` (ann, bob, cho, dan), `ops` (cho, eve) and `all`,
    /// which holds both.
    pub(crate) fn converged(rule: &str, rest: &str) -> Self {
        let mut world = Self::new(rule, rest);
        for name in ["ann", "bob", "cho", "dan", "eve"] {
            world.person(name);
        }
        world.fill("eng", &["ann", "bob", "cho", "dan"]);
        world.fill("ops", &["cho", "eve"]);
        world.fill("all", &[]);
        world.nest("all", "eng");
        world.nest("all", "ops");
        world.converge();
        world
    }

    /// Somebody in both directories.
    pub(crate) fn person(&mut self, name: &str) {
        let email = Email::new(format!("{name}@acme.com")).unwrap();
        self.source.users.insert(acc(name), User::new(acc(name), Some(email.clone())));
        let account = acc(&format!("a-{name}"));
        self.target.users.insert(account.clone(), User::new(account, Some(email)));
    }

    /// Somebody of another domain: at the source known only as a member.
    pub(crate) fn outsider(&mut self, name: &str) {
        let email = Email::new(format!("{name}@other.org")).unwrap();
        let mut user = User::new(acc(name), Some(email.clone()));
        user.standing = Standing::Unlisted;
        self.source.users.insert(acc(name), user);
        let account = acc(&format!("a-{name}"));
        self.target.users.insert(account.clone(), User::new(account, Some(email)));
    }

    /// A group of the source with these people, made if there is none.
    pub(crate) fn fill(&mut self, group: &str, people: &[&str]) {
        self.source.groups.entry(grp(group)).or_insert_with(|| {
            let mut made = Group::new(grp(group), group);
            made.email = Some(Email::new(format!("{group}@acme.com")).unwrap());
            made
        });
        self.source.members.entry(grp(group)).or_default();
        for person in people {
            self.source.add(group, MemberKind::User(acc(person)));
        }
    }

    pub(crate) fn nest(&mut self, group: &str, nested: &str) {
        self.source.add(group, MemberKind::Group(grp(nested)));
    }

    pub(crate) fn leave(&mut self, group: &str, person: &str) {
        self.source.members.get_mut(&grp(group)).unwrap().remove(&MemberKind::User(acc(person)));
    }

    /// A group that the target has.
    pub(crate) fn existing(&mut self, id: &str, name: &str, accounts: &[&str]) {
        self.target.groups.insert(grp(id), Group::new(grp(id), name));
        self.target.members.entry(grp(id)).or_default();
        for account in accounts {
            self.target.add(id, MemberKind::User(acc(account)));
        }
    }

    /// The id of the target group of this name.
    pub(crate) fn group_named(&self, name: &str) -> GroupId {
        self.target.groups.values().find(|group| group.name == name).map(|group| group.id.clone()).unwrap()
    }

    /// The accounts in the target group of this name.
    pub(crate) fn in_target(&self, name: &str) -> BTreeSet<String> {
        self.target.people_of(self.group_named(name).as_str())
    }

    pub(crate) fn sweep_source(&mut self) {
        self.tick(600);
        let delta = self.source.observe(&self.source.reading(self.now));
        self.planner.apply(&delta);
        self.tick(5);
    }

    pub(crate) fn sweep_target(&mut self) {
        self.tick(600);
        let delta = self.target.observe(&self.target.reading(self.now));
        self.planner.apply(&delta);
        self.tick(5);
    }

    pub(crate) fn tick(&mut self, secs: u64) {
        self.now = self.now.plus(Span::from_secs(secs));
    }

    /// Takes a reading of the source in that somebody prepared.
    pub(crate) fn see(&mut self, reading: &Reading) {
        let delta = self.source.observe(reading);
        self.planner.apply(&delta);
    }

    pub(crate) fn decide(&mut self) -> Decision {
        self.decide_on(Occasion::Sweep)
    }

    pub(crate) fn decide_on(&mut self, occasion: Occasion) -> Decision {
        let decision = self.planner.decide(&self.memory, self.now, occasion);
        let again = self.planner.decide(&self.memory, self.now, occasion);
        assert_eq!(decision, again, "deciding twice from one state is deciding once");
        let checked = crate::check::check(&decision.plan, &self.planner, &self.memory);
        assert_eq!(checked, Ok(()), "the second opinion agrees");
        decision
    }

    /// Answers the questions as it really is.
    pub(crate) fn answer(&mut self, facts: &[Fact]) {
        let answer = |fact: &Fact, side: &Side| {
            let outsider = |user: &AccountId| side.users.get(user).is_none_or(|u| u.standing == Standing::Unlisted);
            match fact {
                Fact::Member { user, .. } if outsider(user) => Answer::NoPointRead,
                fact if side.holds(fact) => Answer::Holds,
                _ => Answer::Gone,
            }
        };
        let corroborations = facts
            .iter()
            .map(|fact| Corroboration { fact: fact.clone(), answer: answer(fact, &self.source), read_at: self.now })
            .collect();
        let version = self.planner.mirror(&self.source.id).map_or(1, |mirror| mirror.version() + 1);
        let delta = Delta {
            directory: self.source.id.clone(),
            version,
            users: Vec::new(),
            groups: Vec::new(),
            members: Vec::new(),
            reads: Vec::new(),
            corroborations,
        };
        self.planner.apply(&delta);
        self.answers.push(delta);
    }

    /// Decides, with every question answered.
    pub(crate) fn decide_informed(&mut self) -> Decision {
        let first = self.decide();
        self.answer(&first.needs);
        self.tick(1);
        self.decide()
    }

    /// Does what a plan releases to the target itself, as a writer would, and remembers it.
    pub(crate) fn carry_out(&mut self, decision: &Decision) -> usize {
        self.memory.learn(decision);
        let mut done = 0;
        for plan in &decision.plan.body.targets {
            for case in plan.cases.iter().filter(|case| case.is_released()) {
                done += case.steps.len();
                self.carry_out_case(case);
            }
        }
        done
    }

    fn carry_out_case(&mut self, case: &Case) {
        self.memory.count(&self.target.id, case, self.now);
        let mut made = None;
        for step in &case.steps {
            match step {
                Step::CreateGroup { name, .. } => {
                    self.made += 1;
                    let id = grp(&format!("made-{}", self.made));
                    self.target.groups.insert(id.clone(), Group::new(id.clone(), name.clone()));
                    self.target.members.entry(id.clone()).or_default();
                    self.memory.created(&self.target.id, &name.to_ascii_lowercase(), &id);
                    made = Some(id);
                }
                Step::DeleteGroup { group, .. } => {
                    self.target.groups.remove(group);
                    self.target.members.remove(group);
                }
                Step::GrantAccess { group, access, .. } => {
                    let group = group.clone().or_else(|| made.clone()).expect("a group");
                    self.target.group(group.as_str()).gives.push(access.listed());
                }
                Step::Edge { edge, .. } => {
                    // Of an account that is still to be made, it is decided again when that is there.
                    let Some(account) = edge.account.clone() else { continue };
                    let group = edge.group.clone().or_else(|| made.clone()).expect("a group");
                    let key = (self.target.id.clone(), group.clone(), account.clone());
                    let members = self.target.members.entry(group).or_default();
                    match edge.op {
                        EdgeOp::Add => {
                            members.insert(MemberKind::User(account), Role::Member);
                            self.memory.managed.insert(key, ());
                        }
                        EdgeOp::Remove => {
                            members.remove(&MemberKind::User(account));
                            self.memory.managed.remove(&key);
                        }
                    }
                }
                Step::Account { account, person, change, .. } => {
                    let person = person.as_ref().expect("a person");
                    self.change_account(account.as_ref(), person, change);
                    if matches!(change, AccountChange::Create { .. }) {
                        self.memory.made_account(&self.target.id, &self.source.id, person, self.now);
                    }
                }
            }
        }
    }

    fn change_account(&mut self, account: Option<&AccountId>, person: &AccountId, change: &AccountChange) {
        let id = account.cloned().unwrap_or_else(|| acc(&format!("a-{person}")));
        let mut user = self.target.users.get(&id).cloned().unwrap_or_else(|| User::new(id.clone(), None));
        match change {
            AccountChange::Create { attributes } | AccountChange::Update { attributes } => {
                user.external_id = Some(person.to_string());
                user.state = if user.state == UserState::Uninvited { UserState::Active } else { user.state };
                if let Some(email) = attributes.get("emails[primary].value") {
                    user.email = Some(Email::new(email).unwrap());
                }
                if let Some(name) = attributes.get("displayName") {
                    user.display_name = Some(name.clone());
                }
                let reported = ["userName", "department", "title"];
                let known = attributes.iter().filter(|(path, _)| reported.contains(&path.as_str()));
                user.attributes.extend(known.map(|(path, value)| (path.clone(), value.clone())));
                user.attributes.retain(|_, value| !value.is_empty());
            }
            AccountChange::Deactivate | AccountChange::HandOver { .. } => user.state = UserState::Deactivated,
            AccountChange::Suspend => user.state = UserState::Suspended,
            AccountChange::Remove => {
                self.target.users.remove(&id);
                return;
            }
            AccountChange::Restore => user.state = UserState::Active,
        }
        self.target.users.insert(id, user);
    }

    /// Reads, decides and does until nothing more is released.
    pub(crate) fn converge(&mut self) {
        for _ in 0..20 {
            self.sweep_source();
            self.sweep_target();
            let decision = self.decide_informed();
            let links: usize = decision.plan.body.targets.iter().map(|target| target.links.len()).sum();
            if self.carry_out(&decision) == 0 && links == 0 && decision.needs.is_empty() {
                return;
            }
        }
        panic!("it does not converge");
    }
}

/// The cases of a plan.
pub(crate) fn cases(decision: &Decision) -> Vec<&Case> {
    decision.plan.cases().map(|(_, case)| case).collect()
}

/// What the next decision does to whose account, by person.
pub(crate) fn account_changes(world: &mut World) -> Vec<(String, AccountChange)> {
    let decision = world.decide();
    let steps = cases(&decision).into_iter().flat_map(|case| &case.steps);
    let change = |step: &Step| match step {
        Step::Account { person, change, .. } => Some((person.as_ref()?.to_string(), change.clone())),
        _ => None,
    };
    steps.filter_map(change).collect()
}

/// The one case of a plan.
pub(crate) fn only(decision: &Decision) -> &Case {
    let cases = cases(decision);
    assert_eq!(cases.len(), 1, "{cases:#?}");
    cases[0]
}

/// The edges of a plan as short texts, sorted: `+eng a-ann`, `-ops a-eve`.
pub(crate) fn edges(decision: &Decision) -> Vec<String> {
    let short = |edge: &model::Edge| {
        let sign = if edge.op == EdgeOp::Add { '+' } else { '-' };
        format!("{sign}{} {}", edge.group_name, edge.account.as_ref().unwrap())
    };
    let mut edges: Vec<String> = cases(decision).into_iter().flat_map(Case::edges).map(short).collect();
    edges.sort();
    edges
}
