//! Rows: what watchers committed since the mirrors were last brought up to date.

use std::collections::BTreeMap;

use model::{Delta, DirectoryId, ReadScope, Time};
use store::plan::{EdgeKey as EdgeRow, Turn};
use store::{Store, StoreError, directory::DirectoryVersion};

use crate::state::{EdgeKey, State, of_group};

/// So many members are held against digests at a time: some tens of milliseconds.
const AT_A_TIME: u64 = 200_000;

/// Reads the rows of directories of which a newer version than the mirror's was announced.
pub(crate) async fn announced(
    store: &Store,
    state: &State,
    versions: &[(DirectoryId, u64)],
    now: Time,
) -> Result<BTreeMap<DirectoryId, Delta>, StoreError> {
    let mut deltas = BTreeMap::new();
    for (directory, announced) in versions {
        let Some((key, version)) = state.directories.get(directory) else { continue };
        if announced > version && !deltas.contains_key(directory) {
            deltas.insert(directory.clone(), store.delta_since(key, *version, now).await?);
        }
    }
    Ok(deltas)
}

/// Reads every directory that has a newer version than its mirror, unless that was just read, and takes its rows in.
/// Gives how many rows came.
pub(crate) async fn advance(
    store: &Store,
    state: &mut State,
    newest: Vec<DirectoryVersion>,
    mut announced: BTreeMap<DirectoryId, Delta>,
    now: Time,
    turn: &mut Turn,
) -> Result<usize, StoreError> {
    let mut rows = 0;
    for newest in newest {
        if !state.planner.policy().directories.contains_key(&newest.directory) {
            continue;
        }
        let (key, version) = match state.directories.get(&newest.directory) {
            Some((key, version)) => (key.clone(), *version),
            None => match store.find_directory(&state.tenant, &newest.directory).await? {
                Some(key) => (key, 0),
                None => continue,
            },
        };
        if newest.version <= version && state.directories.contains_key(&newest.directory) {
            continue;
        }
        let delta = match announced.remove(&newest.directory) {
            Some(delta) if delta.version >= newest.version => delta,
            _ => store.delta_since(&key, version, now).await?,
        };
        rows += delta.users.len() + delta.groups.len() + delta.members.len() + delta.corroborations.len();
        take(state, &delta, turn);
        turn.progress.push((newest.directory.clone(), delta.version));
        state.directories.insert(newest.directory, (key, delta.version));
    }
    Ok(rows)
}

/// Takes the rows of one directory in.
pub(crate) fn take(state: &mut State, delta: &Delta, turn: &mut Turn) {
    let lists = |scope: &ReadScope| matches!(scope, ReadScope::Users | ReadScope::Groups);
    state.swept |= delta.reads.iter().any(|read| lists(&read.scope) && read.complete);
    let told = delta.reads.iter().filter(|read| read.digest.is_some());
    let groups = told.filter_map(|read| match &read.scope {
        ReadScope::Members(group) => Some(group.clone()),
        ReadScope::Users | ReadScope::Groups => None,
    });
    let loaded = state.directories.contains_key(&delta.directory);
    state.unproven.extend(groups.map(|group| ((delta.directory.clone(), group), loaded)));
    state.planner.apply(delta);
    if state.memory.confirmed.is_empty() {
        return;
    }
    let lag = state.planner.policy().directories.get(&delta.directory).map(|of| of.lag).unwrap_or_default();
    for read in &delta.reads {
        let (ReadScope::Members(group), Some(began)) = (&read.scope, read.complete_began_at) else { continue };
        let replaced: Vec<EdgeKey> = of_group(&state.memory.confirmed, &delta.directory, group)
            .filter(|(_, confirmed)| began > confirmed.at.plus(lag))
            .map(|(key, _)| key.clone())
            .collect();
        for key in replaced {
            state.memory.confirmed.remove(&key);
            turn.unconfirmed.push(EdgeRow { target: key.0, group: key.1, account: key.2 });
        }
    }
}

/// How a mirror stands to what its watchers read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Whatever was looked at is equal.
    Equal,
    /// Rows differ that were loaded so: only another read can mend that.
    Differs,
    /// Rows differ that came one after the other: loading them anew mends it.
    Drifted,
}

/// Holds groups that came in against the digests that their watchers gave, so many members at a time. Called when
/// nobody waits for a decision.
pub(crate) fn prove(state: &mut State) -> Proof {
    let mut proof = Proof::Equal;
    let mut looked_at = 0;
    while looked_at < AT_A_TIME {
        let Some(((directory, group), late)) = state.unproven.pop_first() else { break };
        let read = ReadScope::Members(group.clone());
        looked_at += state.planner.mirror(&directory).and_then(|mirror| mirror.read_of(&read)).map_or(0, |of| of.rows);
        if state.planner.prove(&directory, &group) {
            continue;
        }
        tracing::error!(
            event.name = "rollcall.mirror.differs",
            rollcall.org = state.tenant.as_str(),
            rollcall.directory = directory.as_str(),
            group = group.as_str(),
            "the mirror does not hold what the watcher read; nobody is removed by it until it is read again"
        );
        proof = if late { Proof::Drifted } else { proof };
        if proof == Proof::Equal {
            proof = Proof::Differs;
        }
    }
    proof
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::sync::Arc;

    use model::{AccountId, GroupId, Member, MemberKind, MembersRead, Reading, Role, Snapshot, TenantId};
    use policy::Policy;
    use store::plan::MemoryRows;

    use super::*;
    use crate::testing::POLICY;

    /// What the source's watcher commits of one group with these members.
    fn seen(snapshot: &mut Snapshot, members: &[&str]) -> Delta {
        let mut reading = Reading::begun(Time::from_secs(1));
        let member = |id: &&str| Member { kind: MemberKind::User(AccountId::new(*id).unwrap()), role: Role::Member };
        let (group, seen) = (GroupId::new("g").unwrap(), members.iter().map(member).collect());
        reading.members.push(MembersRead { group, seen, complete: true, began_at: Time::from_secs(1) });
        snapshot.observe(&reading)
    }

    #[test]
    fn what_came_in_is_held_against_the_watchers_digest() {
        let workspace = DirectoryId::new("workspace").unwrap();
        let mut snapshot = Snapshot::new(workspace.clone());
        let rows = MemoryRows::default();
        let tenant = TenantId::new("acme").unwrap();
        let mut state = State::new(tenant, Arc::new(Policy::parse(POLICY).unwrap()), rows, Time::from_secs(9));
        let mut turn = Turn::default();
        take(&mut state, &seen(&mut snapshot, &["ann", "bob"]), &mut turn);
        assert_eq!(state.unproven.len(), 1);
        assert_eq!(prove(&mut state), Proof::Equal);
        assert!(state.unproven.is_empty());
        // A row that got lost.
        let mut short = seen(&mut snapshot, &["ann", "bob", "cho"]);
        short.members.clear();
        take(&mut state, &short, &mut turn);
        assert_eq!(prove(&mut state), Proof::Differs, "while it is loaded only another read mends it");
        let mut again = seen(&mut snapshot, &["ann", "bob", "cho", "dan"]);
        again.members.clear();
        let group = GroupId::new("g").unwrap();
        state.unproven.insert((workspace.clone(), group), true);
        state.planner.apply(&again);
        assert_eq!(prove(&mut state), Proof::Drifted, "after that the rows are loaded anew");
    }
}
