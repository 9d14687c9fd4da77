//! What differs between the wanted and the observed members of a target group: one merge of two sorted lists.

use model::{DirectoryId, EdgeOp, LinkHow, Span, Time};
use policy::{MembersMode, OnConflict, SyncRule};

use crate::{
    Confirmed, ConflictDecision, EdgeKey, Memory, Pin,
    mirror::Mirror,
    state::{Bound, Target, TargetGroup},
};

/// Members of a group of the target as far as they are known: as read, with what writers confirmed since laid over.
pub(crate) fn observed(
    mirror: &mut Mirror,
    memory: &Memory,
    target: &DirectoryId,
    slot: u32,
    lag: Span,
    out: &mut Vec<u32>,
) {
    out.clear();
    let Some(group) = mirror.group_at(slot) else { return };
    out.extend(group.people.iter().map(|packed| packed.slot()));
    if memory.confirmed.is_empty() {
        return;
    }
    let (id, began) = (group.id.clone(), group.read.complete_began_at);
    for ((_, _, account), confirmed) in of_group(&memory.confirmed, target, &id) {
        if yields(*confirmed, began, lag) {
            continue;
        }
        let account = mirror.intern_person(account);
        match (out.binary_search(&account), confirmed.present) {
            (Err(at), true) => out.insert(at, account),
            (Ok(at), false) => {
                out.remove(at);
            }
            _ => {}
        }
    }
}

/// A confirmed fact yields only to a complete read that began after it plus the target's lag.
pub(crate) fn yields(confirmed: Confirmed, began: Option<Time>, lag: Span) -> bool {
    began.is_some_and(|began| began > confirmed.at.plus(lag))
}

/// The entries of one group of one target, in the order of the accounts.
pub(crate) fn of_group<'a, V>(
    map: &'a std::collections::BTreeMap<EdgeKey, V>,
    target: &'a DirectoryId,
    group: &'a model::GroupId,
) -> impl Iterator<Item = (&'a EdgeKey, &'a V)> {
    // A space is the least text that is an id: ids are not empty and hold no control characters.
    let least = model::AccountId::new(" ").ok().map(|least| (target.clone(), group.clone(), least));
    let entries = least.map(|least| map.range(least..));
    entries.into_iter().flatten().take_while(move |((at, of, _), _)| at == target && of == group)
}

/// What may be removed from a group: the rule's mode, narrowed by what was decided when we first met it.
pub(crate) fn mode(
    mirror: &Mirror,
    rules: &[SyncRule],
    memory: &Memory,
    target: &DirectoryId,
    group: &TargetGroup,
    pin: Option<&Pin>,
) -> MembersMode {
    let mode = group.mode(rules);
    let met = match (pin, group.bound) {
        (Some(pin), _) if pin.how == LinkHow::Adopted => Some(&pin.group),
        (None, Bound::Found(slot)) => mirror.group_at(slot).map(|found| &found.id),
        _ => None,
    };
    let Some(met) = met else { return mode };
    let add_only = match memory.conflicts.get(&(target.clone(), met.clone())) {
        Some(ConflictDecision::AddOnly) => true,
        Some(_) => false,
        None => group.lead(rules).is_some_and(|rule| rule.on_conflict == OnConflict::AddOnly),
    };
    if add_only { MembersMode::AddOnly } else { mode }
}

/// Takes the difference of a group anew.
pub(crate) fn renew(
    mirror: &Mirror,
    memory: &Memory,
    target: &mut Target,
    at: u32,
    mode: MembersMode,
    observed: &[u32],
) {
    let (own, protected) = (std::mem::take(&mut target.own), std::mem::take(&mut target.protected));
    let spares = |account: &u32| own.binary_search(account).is_ok() || protected.binary_search(account).is_ok();
    if let Some(group) = target.groups.get_mut(at as usize) {
        let (adds, removes, spared) = (&mut group.adds, &mut group.removes, &mut group.spared);
        group.digests = None;
        adds.clear();
        removes.clear();
        spared.clear();
        merge(&group.wanted, observed, adds, removes);
        removes.retain(|account| group.shielded.binary_search(account).is_err());
        if mirror.has_namesakes() {
            same_under_another_name(mirror, adds, removes);
        }
        keep_ours(mirror, memory, &target.id, group.bound, mode, removes);
        if !own.is_empty() || !protected.is_empty() {
            for (list, op) in [(removes, EdgeOp::Remove), (adds, EdgeOp::Add)] {
                spared.extend(list.iter().filter(|account| spares(account)).map(|account| (*account, op)));
                list.retain(|account| !spares(account));
            }
        }
        target.observed = target.observed.saturating_sub(group.counted);
        group.observed = observed.len() as u64;
        group.counted = if matches!(group.bound, Bound::Pinned(_)) { group.observed } else { 0 };
        target.observed = target.observed.saturating_add(group.counted);
    }
    target.own = own;
    target.protected = protected;
}

/// Drops what is in and wanted, and was met under two ids: a group was read after a rename, the accounts before it, or
/// the other way round.
fn same_under_another_name(mirror: &Mirror, adds: &mut Vec<u32>, removes: &mut Vec<u32>) {
    adds.retain(|account| {
        let twin = mirror.namesakes(*account).find_map(|slot| removes.iter().position(|each| *each == slot));
        twin.map(|at| removes.remove(at)).is_none()
    });
}

/// Whether the membership is one that we added, under whichever id of the account.
pub(crate) fn is_ours(
    mirror: &Mirror,
    memory: &Memory,
    target: &DirectoryId,
    group: &model::GroupId,
    account: u32,
) -> bool {
    let ours = |slot: u32| {
        mirror
            .person(slot)
            .is_some_and(|person| memory.managed.contains_key(&(target.clone(), group.clone(), person.id.clone())))
    };
    ours(account) || (mirror.has_namesakes() && mirror.namesakes(account).any(ours))
}

/// Drops the removals that the mode forbids.
pub(crate) fn keep_ours(
    mirror: &Mirror,
    memory: &Memory,
    target: &DirectoryId,
    bound: Bound,
    mode: MembersMode,
    removes: &mut Vec<u32>,
) {
    match (mode, bound) {
        (MembersMode::Exact, _) => {}
        (MembersMode::Managed, Bound::Pinned(slot)) => removes.retain(|account| {
            mirror.group_at(slot).is_some_and(|group| is_ours(mirror, memory, target, &group.id, *account))
        }),
        (MembersMode::Managed | MembersMode::AddOnly, _) => removes.clear(),
    }
}

/// Splits two sorted lists: what only the first has, what only the second has.
pub(crate) fn merge(wanted: &[u32], observed: &[u32], adds: &mut Vec<u32>, removes: &mut Vec<u32>) {
    let (mut wanted, mut observed) = (wanted, observed);
    while let ([want, wants @ ..], [have, haves @ ..]) = (wanted, observed) {
        match want.cmp(have) {
            std::cmp::Ordering::Less => {
                adds.push(*want);
                wanted = wants;
            }
            std::cmp::Ordering::Greater => {
                removes.push(*have);
                observed = haves;
            }
            std::cmp::Ordering::Equal => {
                wanted = wants;
                observed = haves;
            }
        }
    }
    adds.extend_from_slice(wanted);
    removes.extend_from_slice(observed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_says_what_only_one_side_has() {
        let (mut adds, mut removes) = (Vec::new(), Vec::new());
        merge(&[1, 3, 4, 9], &[2, 3, 9, 10], &mut adds, &mut removes);
        assert_eq!((adds, removes), (vec![1, 4], vec![2, 10]));
    }
}
