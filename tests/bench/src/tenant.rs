//! A large tenant in memory, the same in every run: 100,000 people, 10,000 groups, 1,000,000 memberships.
//!
//! Sizes as in real directories: most groups are small, a few are large. At the target one membership in a hundred
//! differs: half of those are missing, half are strangers.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::{Context as _, Result};
use model::{
    AccountId, Delta, DirectoryId, Email, Group, GroupId, GroupRow, LinkHow, MemberKind, MemberRow, ReadRow, ReadScope,
    Role, Time, User, UserRow,
};
use planner::{Memory, Pin, Planner};
use policy::Policy;

const USERS: usize = 100_000;
const GROUPS: usize = 10_000;
const MEMBERSHIPS: usize = 1_000_000;

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
#[derive(Debug)]
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % end.max(1)
    }
}

/// The members of each group, as sorted numbers: what is wanted and what the target has.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) wanted: Vec<Vec<u32>>,
    pub(crate) observed: Vec<Vec<u32>>,
}

impl Tenant {
    pub(crate) fn new() -> Self {
        let mut numbers = Numbers(1);
        let wanted: Vec<Vec<u32>> = (0..GROUPS).map(|group| members(group, &mut numbers)).collect();
        let observed = wanted.iter().map(|members| drifted(members, &mut numbers)).collect();
        Self { wanted, observed }
    }

    pub(crate) fn memberships(&self) -> usize {
        self.wanted.iter().map(Vec::len).sum()
    }

    pub(crate) fn users() -> usize {
        USERS
    }

    /// A planner with both sides in its mirrors, and the policy.
    pub(crate) fn planner(&self) -> Result<(Planner, Arc<Policy>)> {
        let policy = Policy::parse(POLICY).map_err(|problems| anyhow::anyhow!("{problems}"))?;
        let policy = Arc::new(policy);
        let mut planner = Planner::new(Arc::clone(&policy));
        for side in [SOURCE, TARGET] {
            planner.apply(&people(side)?);
        }
        load(&mut planner, SOURCE, &self.wanted)?;
        load(&mut planner, TARGET, &self.observed)?;
        Ok((planner, policy))
    }

    /// Makes the target as it is wanted.
    pub(crate) fn converge(&self, planner: &mut Planner) -> Result<()> {
        load(planner, TARGET, &self.wanted)?;
        let mut delta = empty(TARGET, 90)?;
        for (group, (wanted, observed)) in self.wanted.iter().zip(&self.observed).enumerate() {
            for user in observed.iter().filter(|user| wanted.binary_search(user).is_err()) {
                delta.members.push(member(TARGET, group, *user as usize, Some(Time::from_secs(1_000)))?);
            }
        }
        planner.apply(&delta);
        Ok(())
    }
}

/// What stands before the ids of a side: of its people and of its groups.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side {
    directory: &'static str,
    people: &'static str,
    groups: &'static str,
}

pub(crate) const SOURCE: Side = Side { directory: "workspace", people: "", groups: "g" };
pub(crate) const TARGET: Side = Side { directory: "cloud", people: "a", groups: "t" };

impl Side {
    fn id(self) -> Result<DirectoryId> {
        Ok(DirectoryId::new(self.directory)?)
    }

    fn account(self, user: usize) -> Result<AccountId> {
        Ok(AccountId::new(format!("{}{user:09}", self.people))?)
    }

    fn group(self, group: usize) -> Result<GroupId> {
        Ok(GroupId::new(format!("{}{group:07}", self.groups))?)
    }
}

fn members(group: usize, numbers: &mut Numbers) -> Vec<u32> {
    let mean = MEMBERSHIPS / GROUPS;
    let size = (mean * 24 / 10 * (1 + group % 10) / 13).clamp(1, USERS);
    let members: BTreeSet<u32> = (0..size).filter_map(|_| u32::try_from(numbers.below(USERS)).ok()).collect();
    members.into_iter().collect()
}

fn drifted(members: &[u32], numbers: &mut Numbers) -> Vec<u32> {
    let mut observed = members.to_vec();
    let changes = (observed.len() + numbers.below(100)) / 100;
    for change in 0..changes {
        if change % 2 == 0 && !observed.is_empty() {
            observed.remove(numbers.below(observed.len()));
        } else {
            let stranger = u32::try_from(numbers.below(USERS)).unwrap_or(0);
            if let Err(at) = observed.binary_search(&stranger) {
                observed.insert(at, stranger);
            }
        }
    }
    observed
}

pub(crate) fn empty(side: Side, version: u64) -> Result<Delta> {
    Ok(Delta {
        directory: side.id()?,
        version,
        users: Vec::new(),
        groups: Vec::new(),
        members: Vec::new(),
        reads: Vec::new(),
        corroborations: Vec::new(),
    })
}

fn read(scope: ReadScope, rows: usize) -> ReadRow {
    let rows = rows as u64;
    let at = Time::from_secs(1_000);
    ReadRow { scope, complete_began_at: Some(at), ended_at: at, complete: true, rows, rows_before: rows, digest: None }
}

fn people(side: Side) -> Result<Delta> {
    let mut delta = empty(side, 1)?;
    for user in 0..USERS {
        let mut row = User::new(side.account(user)?, Email::new(format!("user{user}@acme.com")).ok());
        row.display_name = Some(format!("User {user}"));
        delta.users.push(UserRow { user: row, gone_at: None });
    }
    delta.reads.push(read(ReadScope::Users, USERS));
    Ok(delta)
}

pub(crate) fn member(side: Side, group: usize, user: usize, gone_at: Option<Time>) -> Result<MemberRow> {
    let member = MemberKind::User(side.account(user)?);
    Ok(MemberRow { group: side.group(group)?, member, role: Role::Member, gone_at })
}

fn load(planner: &mut Planner, side: Side, members: &[Vec<u32>]) -> Result<()> {
    for (group, members) in members.iter().enumerate() {
        let mut delta = empty(side, 2 + group as u64)?;
        let mut row = Group::new(side.group(group)?, format!("group-{group}"));
        if side.directory == SOURCE.directory {
            row.email = Email::new(format!("group-{group}@acme.com")).ok();
        }
        delta.groups.push(GroupRow { group: row, gone_at: None });
        for user in members {
            delta.members.push(member(side, group, *user as usize, None)?);
        }
        delta.reads.push(read(ReadScope::Members(side.group(group)?), members.len()));
        planner.apply(&delta);
    }
    let mut delta = empty(side, 2 + members.len() as u64)?;
    delta.reads.push(read(ReadScope::Groups, members.len()));
    planner.apply(&delta);
    Ok(())
}

/// What is remembered of such a tenant: who is whose, and which group is which.
pub(crate) fn memory() -> Result<Memory> {
    let mut memory = Memory::default();
    for user in 0..USERS {
        memory.people.insert((SOURCE.id()?, SOURCE.account(user)?, TARGET.id()?), TARGET.account(user)?);
    }
    for group in 0..GROUPS {
        let source = Some((SOURCE.id()?, SOURCE.group(group)?));
        let pin = Pin { group: TARGET.group(group)?, how: LinkHow::Created, equal_once: true, source };
        memory.pins.insert((TARGET.id()?, format!("group-{group}")), pin);
    }
    memory.pins.len().checked_sub(GROUPS).context("every group has a pin")?;
    Ok(memory)
}
