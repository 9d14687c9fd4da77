//! A large tenant in memory, the same in every run: 100,000 people, 10,000 groups, 1,000,000 memberships once nested
//! groups are opened.
//!
//! Sizes, nesting and people as in real directories (`shape`): most groups are small, a few are large; one in six contains
//! others, up to five deep. One person in twenty is external and known as a member only, and two groups belong to others
//! and cannot be read. At the target one membership in a hundred differs: half of those are missing, half are strangers.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::{Context as _, Result};
use model::{
    AccountId, Delta, DirectoryId, Email, Group, GroupId, GroupRow, LinkHow, MemberKind, MemberRow, ReadRow, ReadScope,
    Role, Standing, Time, User, UserRow,
};
use planner::{Memory, Pin, Planner};
use policy::Policy;

use crate::shape::{self, Numbers};

const USERS: usize = 100_000;
const GROUPS: usize = 10_000;
/// People of a group's own in the mean, so that there are 1,000,000 memberships once nested groups are opened.
const OWN_PEOPLE: usize = 53;
/// One person in so many is external.
const EXTERNAL: usize = 20;
/// Groups of others, which cannot be read, and how many of ours contain each.
const UNREADABLE: usize = 2;
const CONTAIN_UNREADABLE: usize = 10;

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
external = "match"
rename = [{ pattern = '^(.+)@.*$', replace = '$1' }]
"#;

/// Who is in each group, as sorted numbers of people.
#[derive(Debug)]
pub(crate) struct Tenant {
    /// People that the source has in the group itself.
    own: Vec<Vec<u32>>,
    /// Groups that the source has in the group itself.
    nested: Vec<Vec<usize>>,
    /// What is wanted: everybody below.
    pub(crate) wanted: Vec<Vec<u32>>,
    /// What the target has.
    pub(crate) observed: Vec<Vec<u32>>,
}

impl Tenant {
    pub(crate) fn new() -> Self {
        let mut numbers = Numbers(1);
        let nested = shape::nesting(GROUPS, &mut numbers);
        let (mut own, mut wanted) = (Vec::with_capacity(GROUPS), Vec::<Vec<u32>>::with_capacity(GROUPS));
        for (group, children) in nested.iter().enumerate() {
            let people = shape::people(shape::size(group, GROUPS, OWN_PEOPLE), USERS, &mut numbers);
            own.push(people.iter().copied().collect());
            // What a group contains comes before it.
            let below = children.iter().filter_map(|child| wanted.get(*child)).flatten().copied();
            let everybody: BTreeSet<u32> = people.iter().copied().chain(below).collect();
            wanted.push(everybody.into_iter().collect());
        }
        let observed = wanted.iter().map(|members| drifted(members, &mut numbers)).collect();
        Self { own, nested, wanted, observed }
    }

    pub(crate) fn memberships(&self) -> usize {
        self.wanted.iter().map(Vec::len).sum()
    }

    /// How many people and groups the source has in groups themselves, and how many groups contain others.
    pub(crate) fn direct(&self) -> (usize, usize, usize) {
        let lengths = |lists: &[Vec<usize>]| lists.iter().map(Vec::len).sum();
        let containing = self.nested.iter().filter(|children| !children.is_empty()).count();
        (self.own.iter().map(Vec::len).sum(), lengths(&self.nested), containing)
    }

    /// Whether somebody is wanted in a group.
    pub(crate) fn has(&self, group: usize, user: usize) -> bool {
        let members = self.wanted.get(group).map_or(&[][..], Vec::as_slice);
        u32::try_from(user).is_ok_and(|user| members.binary_search(&user).is_ok())
    }

    /// For each group the groups that somebody in it is in: the group first, and whatever contains it at any depth.
    pub(crate) fn above(&self) -> Vec<Vec<usize>> {
        let mut above: Vec<BTreeSet<usize>> = (0..GROUPS).map(|group| BTreeSet::from([group])).collect();
        // From the top down: what contains a group comes after it.
        for (group, children) in self.nested.iter().enumerate().rev() {
            let own = above.get(group).cloned().unwrap_or_default();
            for child in children {
                above.get_mut(*child).into_iter().for_each(|of_child| of_child.extend(&own));
            }
        }
        // What contains a group has a higher number.
        above.into_iter().map(|groups| groups.into_iter().collect()).collect()
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
        load(&mut planner, SOURCE, &self.own, &self.nested)?;
        planner.apply(&unreadable()?);
        load(&mut planner, TARGET, &self.observed, &[])?;
        Ok((planner, policy))
    }

    /// Makes the target as it is wanted.
    pub(crate) fn converge(&self, planner: &mut Planner) -> Result<()> {
        load(planner, TARGET, &self.wanted, &[])?;
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
        let external = user % EXTERNAL == EXTERNAL - 1;
        let domain = if external { format!("partner{}.example", user % 97) } else { "acme.com".to_owned() };
        let mut row = User::new(side.account(user)?, Email::new(format!("user{user}@{domain}")).ok());
        if external && side.directory == SOURCE.directory {
            row.standing = Standing::Unlisted;
        }
        row.display_name = Some(format!("User {user}"));
        delta.users.push(UserRow { user: row, gone_at: None });
    }
    let listed = delta.users.iter().filter(|row| row.user.standing == Standing::Listed).count();
    delta.reads.push(read(ReadScope::Users, listed));
    Ok(delta)
}

pub(crate) fn member(side: Side, group: usize, user: usize, gone_at: Option<Time>) -> Result<MemberRow> {
    let member = MemberKind::User(side.account(user)?);
    Ok(MemberRow { group: side.group(group)?, member, role: Role::Member, gone_at })
}

fn contained(side: Side, group: usize, child: usize) -> Result<MemberRow> {
    let member = MemberKind::Group(side.group(child)?);
    Ok(MemberRow { group: side.group(group)?, member, role: Role::Member, gone_at: None })
}

/// Groups of others: some of ours contain them, and who is in them nobody tells us.
fn unreadable() -> Result<Delta> {
    let mut delta = empty(SOURCE, 3 + GROUPS as u64)?;
    for other in GROUPS..GROUPS + UNREADABLE {
        let mut row = Group::new(SOURCE.group(other)?, format!("others-{other}"));
        row.email = Email::new(format!("others-{other}@partner.example")).ok();
        row.opaque = true;
        delta.groups.push(GroupRow { group: row, gone_at: None });
        for n in 0..CONTAIN_UNREADABLE {
            delta.members.push(contained(SOURCE, (other + n * 997) % GROUPS, other)?);
        }
    }
    Ok(delta)
}

fn load(planner: &mut Planner, side: Side, members: &[Vec<u32>], nested: &[Vec<usize>]) -> Result<()> {
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
        let children = nested.get(group).map_or(&[][..], Vec::as_slice);
        for child in children {
            delta.members.push(contained(side, group, *child)?);
        }
        delta.reads.push(read(ReadScope::Members(side.group(group)?), members.len() + children.len()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opened_there_are_a_million_memberships_and_one_in_a_hundred_differs() {
        let tenant = Tenant::new();
        assert!((990_000..1_010_000).contains(&tenant.memberships()), "{}", tenant.memberships());
        let pairs = tenant.wanted.iter().zip(&tenant.observed);
        let differing: usize = pairs.map(|(wanted, observed)| crate::plan::differing(wanted, observed)).sum();
        assert!((9_500..10_500).contains(&differing), "{differing}");
        let above = tenant.above();
        let deepest = above.iter().map(Vec::len).max();
        assert!(deepest > Some(5), "{deepest:?}");
    }
}
