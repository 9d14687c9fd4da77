//! Rows: what watchers committed since the mirrors were last brought up to date.

use std::collections::BTreeMap;

use model::{AccountId, Delta, DirectoryId, GroupId, ReadScope, Time};
use store::plan::{EdgeKey as EdgeRow, Turn};
use store::{Store, StoreError, directory::DirectoryVersion};

use crate::state::{EdgeKey, State};

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
    state.planner.apply(delta);
    if state.memory.confirmed.is_empty() {
        return;
    }
    let lag = state.planner.policy().directories.get(&delta.directory).map(|of| of.lag).unwrap_or_default();
    for read in &delta.reads {
        let (ReadScope::Members(group), Some(began)) = (&read.scope, read.complete_began_at) else { continue };
        let replaced: Vec<EdgeKey> = confirmed_of(state, &delta.directory, group)
            .filter(|(_, confirmed)| began > confirmed.at.plus(lag))
            .map(|(key, _)| key.clone())
            .collect();
        for key in replaced {
            state.memory.confirmed.remove(&key);
            turn.unconfirmed.push(EdgeRow { target: key.0, group: key.1, account: key.2 });
        }
    }
}

/// What is confirmed of one group.
fn confirmed_of<'a>(
    state: &'a State,
    target: &'a DirectoryId,
    group: &'a GroupId,
) -> impl Iterator<Item = (&'a EdgeKey, &'a planner::Confirmed)> {
    // A space sorts before every id: ids are not empty and hold no control characters.
    let least = AccountId::new(" ").ok().map(|least| (target.clone(), group.clone(), least));
    let entries = least.map(|least| state.memory.confirmed.range(least..));
    entries.into_iter().flatten().take_while(move |((at, of, _), _)| at == target && of == group)
}
