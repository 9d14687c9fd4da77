//! A directory's rows kept in memory: what PostgreSQL does for the services, for a one-shot run and as an oracle.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    AccountId, Delta, DirectoryId, GroupId, GroupRow, MemberKind, MemberRow, MembersRead, ReadRow, ReadScope, Reading,
    Role, Standing, Time, User, UserRow, members_digest,
};

/// The rows of one directory as of its version.
///
/// [`Snapshot::observe`] keeps the promise that the whole design rests on: only a complete read of a scope ends
/// anything. A partial read adds and updates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    directory: DirectoryId,
    version: u64,
    users: BTreeMap<AccountId, UserRow>,
    groups: BTreeMap<GroupId, GroupRow>,
    members: BTreeMap<GroupId, BTreeMap<MemberKind, (Role, Option<Time>)>>,
    reads: BTreeMap<ReadScope, ReadRow>,
}

impl Snapshot {
    /// A directory of which nothing is known.
    pub fn new(directory: DirectoryId) -> Self {
        Self {
            directory,
            version: 0,
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            members: BTreeMap::new(),
            reads: BTreeMap::new(),
        }
    }

    /// The rows that a whole delta holds, as written by [`Snapshot::whole`].
    pub fn from_whole(delta: &Delta) -> Self {
        let mut snapshot = Self::new(delta.directory.clone());
        snapshot.version = delta.version;
        snapshot.users = delta.users.iter().map(|row| (row.user.id.clone(), row.clone())).collect();
        snapshot.groups = delta.groups.iter().map(|row| (row.group.id.clone(), row.clone())).collect();
        for row in &delta.members {
            snapshot.members.entry(row.group.clone()).or_default().insert(row.member.clone(), (row.role, row.gone_at));
        }
        snapshot.reads = delta.reads.iter().map(|row| (row.scope.clone(), row.clone())).collect();
        snapshot
    }

    /// All rows, tombstones included, as one delta from nothing.
    pub fn whole(&self) -> Delta {
        Delta {
            directory: self.directory.clone(),
            version: self.version,
            users: self.users.values().cloned().collect(),
            groups: self.groups.values().cloned().collect(),
            members: self
                .members
                .iter()
                .flat_map(|(group, members)| {
                    members.iter().map(|(member, (role, gone_at))| MemberRow {
                        group: group.clone(),
                        member: member.clone(),
                        role: *role,
                        gone_at: *gone_at,
                    })
                })
                .collect(),
            reads: self.reads.values().cloned().collect(),
            corroborations: Vec::new(),
        }
    }

    /// The version after the last observation.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Takes in what a pass saw and says what changed by it. The version rises by one.
    pub fn observe(&mut self, reading: &Reading) -> Delta {
        self.version += 1;
        let mut delta = Delta::empty(self.directory.clone(), self.version);
        self.observe_users(reading, &mut delta);
        self.observe_groups(reading, &mut delta);
        for read in &reading.members {
            self.observe_members(read, reading.ended_at, &mut delta);
        }
        delta
    }

    fn observe_users(&mut self, reading: &Reading, delta: &mut Delta) {
        let read = &reading.users;
        let seen: BTreeSet<&AccountId> = read.seen.iter().map(|user| &user.id).collect();
        for user in &read.seen {
            let row = UserRow { user: user.clone(), gone_at: None };
            if self.users.get(&user.id) != Some(&row) && !self.would_hide(user) {
                self.users.insert(user.id.clone(), row.clone());
                delta.users.push(row);
            }
        }
        let listed = |row: &UserRow| row.user.standing == Standing::Listed;
        for (id, row) in &mut self.users {
            let absent = read.complete && listed(row) && !seen.contains(id);
            if row.gone_at.is_none() && (absent || read.gone.contains(id)) {
                row.gone_at = Some(reading.ended_at);
                delta.users.push(row.clone());
            }
        }
        // A read of a few users by id is no attempt at the list, so it leaves the mark of the list alone.
        if read.complete {
            let rows = count(read.seen.iter().filter(|user| user.standing == Standing::Listed).count());
            self.mark(ReadScope::Users, reading.began_at, reading.ended_at, true, rows, None, delta);
        }
    }

    /// A person who is listed is not turned into somebody known only as a member by a read of members.
    fn would_hide(&self, user: &User) -> bool {
        user.standing == Standing::Unlisted
            && self
                .users
                .get(&user.id)
                .is_some_and(|row| row.gone_at.is_none() && row.user.standing == Standing::Listed)
    }

    fn observe_groups(&mut self, reading: &Reading, delta: &mut Delta) {
        let read = &reading.groups;
        let seen: BTreeSet<&GroupId> = read.seen.iter().map(|group| &group.id).collect();
        for group in &read.seen {
            let row = GroupRow { group: group.clone(), gone_at: None };
            if self.groups.get(&group.id) != Some(&row) {
                self.groups.insert(group.id.clone(), row.clone());
                delta.groups.push(row);
            }
        }
        for (id, row) in &mut self.groups {
            if row.gone_at.is_none() && ((read.complete && !seen.contains(id)) || read.gone.contains(id)) {
                row.gone_at = Some(reading.ended_at);
                delta.groups.push(row.clone());
            }
        }
        if read.complete {
            let rows = count(read.seen.len());
            self.mark(ReadScope::Groups, reading.began_at, reading.ended_at, true, rows, None, delta);
        }
    }

    fn observe_members(&mut self, read: &MembersRead, ended_at: Time, delta: &mut Delta) {
        let members = self.members.entry(read.group.clone()).or_default();
        let row = |member: &MemberKind, role, gone_at| MemberRow {
            group: read.group.clone(),
            member: member.clone(),
            role,
            gone_at,
        };
        for member in &read.seen {
            if members.insert(member.kind.clone(), (member.role, None)) != Some((member.role, None)) {
                delta.members.push(row(&member.kind, member.role, None));
            }
        }
        if read.complete {
            let seen: BTreeSet<&MemberKind> = read.seen.iter().map(|member| &member.kind).collect();
            for (member, (role, gone_at)) in members.iter_mut() {
                if gone_at.is_none() && !seen.contains(member) {
                    *gone_at = Some(ended_at);
                    delta.members.push(row(member, *role, *gone_at));
                }
            }
        }
        let mut ids: Vec<&str> =
            members.iter().filter(|(_, (_, gone_at))| gone_at.is_none()).map(|(member, _)| member.id()).collect();
        ids.sort_unstable();
        ids.dedup();
        let (rows, digest) = (count(ids.len()), members_digest(ids));
        let scope = ReadScope::Members(read.group.clone());
        self.mark(scope, read.began_at, ended_at, read.complete, rows, Some(digest), delta);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one row, each named at the call")]
    fn mark(
        &mut self,
        scope: ReadScope,
        began_at: Time,
        ended_at: Time,
        complete: bool,
        rows: u64,
        digest: Option<crate::Digest>,
        delta: &mut Delta,
    ) {
        let before = self.reads.get(&scope);
        let row = ReadRow {
            scope: scope.clone(),
            complete_began_at: if complete { Some(began_at) } else { before.and_then(|row| row.complete_began_at) },
            ended_at,
            complete,
            rows: if complete { rows } else { before.map_or(0, |row| row.rows) },
            rows_before: match before {
                Some(row) if complete => row.rows,
                Some(row) => row.rows_before,
                None => rows,
            },
            digest,
        };
        self.reads.insert(scope, row.clone());
        delta.reads.push(row);
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;
    use crate::{Group, Member};

    fn group() -> GroupId {
        GroupId::new("g").unwrap()
    }

    fn member(id: &str) -> Member {
        Member { kind: MemberKind::User(AccountId::new(id).unwrap()), role: Role::Member }
    }

    fn read(at: i64, ids: &[&str], complete: bool) -> Reading {
        let mut reading = Reading::begun(Time(at));
        reading.ended_at = Time(at + 1);
        reading.groups.seen = vec![Group::new(group(), "g")];
        reading.groups.complete = complete;
        reading.members.push(MembersRead {
            group: group(),
            seen: ids.iter().map(|id| member(id)).collect(),
            complete,
            began_at: Time(at),
        });
        reading
    }

    #[test]
    fn i02_a_partial_read_adds_and_never_removes() {
        let mut snapshot = Snapshot::new(DirectoryId::new("w").unwrap());
        snapshot.observe(&read(1, &["a", "b"], true));
        let delta = snapshot.observe(&read(10, &["c"], false));
        assert_eq!(delta.members.len(), 1);
        assert!(delta.members.iter().all(|row| row.gone_at.is_none()));
        let delta = snapshot.observe(&read(20, &["a", "c"], true));
        assert_eq!(delta.members.len(), 1);
        assert_eq!(delta.members[0].gone_at, Some(Time(21)));
    }

    #[test]
    fn seeing_the_same_again_changes_no_row_but_the_time_of_the_read() {
        let mut snapshot = Snapshot::new(DirectoryId::new("w").unwrap());
        snapshot.observe(&read(1, &["a"], true));
        let delta = snapshot.observe(&read(10, &["a"], true));
        assert!(delta.members.is_empty() && delta.groups.is_empty() && delta.users.is_empty());
        assert!(delta.reads.iter().all(|row| row.complete_began_at == Some(Time(10))));
    }

    #[test]
    fn a_whole_delta_gives_the_same_snapshot_back() {
        let mut snapshot = Snapshot::new(DirectoryId::new("w").unwrap());
        snapshot.observe(&read(1, &["a", "b"], true));
        snapshot.observe(&read(5, &["b"], true));
        assert_eq!(Snapshot::from_whole(&snapshot.whole()), snapshot);
    }
}
