//! From rules to target groups: which source groups fill which names, and which group a name means.

use model::{DirectoryId, GroupId};
use policy::Policy;

use crate::{
    Pin,
    mirror::Mirror,
    state::{Bound, Claim, Target, TargetGroup},
};

/// A rule's directories as indices of mirrors and targets.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) source: usize,
    pub(crate) targets: Vec<usize>,
}

/// Which target groups each group of a source fills: by slot, (target, group of the target).
pub(crate) type ClaimsOf = Vec<Vec<(usize, u32)>>;

/// Works out anew what one source group fills.
pub(crate) fn renew(
    policy: &Policy,
    routes: &[Route],
    source: usize,
    mirror: &Mirror,
    slot: u32,
    targets: &mut [Target],
    claims_of: &mut ClaimsOf,
) {
    if claims_of.len() <= slot as usize {
        claims_of.resize(mirror.groups.len().max(slot as usize + 1), Vec::new());
    }
    let Some(place) = claims_of.get_mut(slot as usize) else { return };
    for (target, at) in std::mem::take(place) {
        let Some(target) = targets.get_mut(target) else { continue };
        if let Some(group) = target.groups.get_mut(at as usize) {
            group.claims.retain(|claim| claim.source != source || claim.group != slot);
        }
        target.renew_wanted(at);
    }
    let Some(group) = mirror.group_at(slot) else { return };
    let Some(row) = &group.row else { return };
    // A group that belongs to others and was never readable fills nothing; one that turned unreadable still does.
    if row.group.opaque && !group.turned_unreadable() {
        return;
    }
    for (index, (rule, route)) in policy.rules.iter().zip(routes).enumerate() {
        if route.source != source || !rule.matches(&row.group) {
            continue;
        }
        for index_of_target in &route.targets {
            let Some(target) = targets.get_mut(*index_of_target) else { continue };
            let name = rule.target_name(&target.id, &row.group);
            let mut key = policy.fold_group_name(&target.id, &name);
            let origin = (mirror.directory().clone(), group.id.clone());
            if rule.into_at(&target.id).is_none()
                && let Some(pinned) = target.pinned_sources.get(&origin)
            {
                key.clone_from(pinned);
            }
            let at = target.intern(&key, &name);
            let claim = Claim { rule: index, source, group: slot, live: row.gone_at.is_none() };
            if let Some(group) = target.groups.get_mut(at as usize) {
                group.claims.push(claim);
                // Of several claims the first in order gives the name, once they are sorted.
                group.name.clone_from(&name);
            }
            target.renew_wanted(at);
            place.push((*index_of_target, at));
        }
    }
}

/// Puts the claims of a group into the one order that depends on nothing but rules and ids, and takes its name from
/// the first.
pub(crate) fn sort(policy: &Policy, mirrors: &[Mirror], target: &mut Target, at: u32) {
    let Some(group) = target.groups.get_mut(at as usize) else { return };
    if group.claims.len() < 2 {
        return;
    }
    let id = |claim: &Claim| mirrors.get(claim.source)?.group_at(claim.group).map(|group| group.id.clone());
    group.claims.sort_by_cached_key(|claim| (!claim.live, claim.rule, id(claim)));
    let Some(first) = group.claims.first() else { return };
    let row = mirrors.get(first.source).and_then(|mirror| mirror.group_at(first.group)?.row.as_ref());
    if let (Some(row), Some(rule)) = (row, policy.rules.get(first.rule)) {
        group.name = rule.target_name(&target.id, &row.group);
    }
}

/// Which group of the target a name means now.
pub(crate) fn bind(policy: &Policy, pin: Option<&Pin>, mirrors: &[Mirror], target: &Target, at: u32) -> Bound {
    let (Some(group), Some(mirror)) = (target.at(at), mirrors.get(target.mirror)) else { return Bound::Unread };
    let live = |slot: &u32| mirror.group_at(*slot).is_some_and(crate::mirror::GroupSlot::is_live);
    let named = || same_name(policy, mirror, &target.id, &group.key);
    if let Some(pin) = pin {
        // A group that we made may not have been seen by any read yet: its id is known all the same.
        return match mirror.group_slot(&pin.group) {
            Some(slot) if live(&slot) => Bound::Pinned(slot),
            Some(slot) if mirror.group_at(slot).is_some_and(|group| group.row.is_none()) => Bound::Pinned(slot),
            _ => Bound::Lost(named().next()),
        };
    }
    if let Some(slot) = adopted(policy, mirrors, target, at).and_then(|id| mirror.group_slot(id)).filter(live) {
        return Bound::Adopted(slot);
    }
    let mut named = named();
    match (named.next(), named.next()) {
        (None, _) if mirror.groups_read().complete_began_at.is_none() => Bound::Unread,
        (None, _) => Bound::Missing,
        (Some(slot), None) => {
            let taken = mirror.group_at(slot).and_then(|found| target.pinned_groups.get(&found.id));
            if taken.is_some_and(|key| key != &group.key) { Bound::Ambiguous(slot) } else { Bound::Found(slot) }
        }
        (Some(slot), Some(_)) => Bound::Ambiguous(slot),
    }
}

/// Whether another source group came to the name of the one that the target group was pinned for.
pub(crate) fn filled_by_another(
    policy: &Policy,
    mirrors: &[Mirror],
    target: &DirectoryId,
    group: &TargetGroup,
    pin: Option<&Pin>,
) -> bool {
    let Some((directory, source)) = pin.and_then(|pin| pin.source.as_ref()) else { return false };
    let Some(mirror) = mirrors.iter().find(|mirror| mirror.directory() == directory) else { return false };
    let slot = mirror.group_slot(source);
    let still = group.live_claims().any(|claim| Some(claim.group) == slot);
    !still && !group.is_union(target, &policy.rules)
}

fn same_name<'a>(
    policy: &'a Policy,
    mirror: &'a Mirror,
    target: &'a DirectoryId,
    key: &'a str,
) -> impl Iterator<Item = u32> + 'a {
    let same = move |slot: &u32| {
        let row = mirror.group_at(*slot).and_then(|group| group.row.as_ref());
        row.is_some_and(|row| policy.fold_group_name(target, &row.group.name) == key)
    };
    mirror.by_folded_name(key).filter(same)
}

/// The group that `[adopt]` names for the one source group that fills this name.
fn adopted<'a>(policy: &'a Policy, mirrors: &[Mirror], target: &Target, at: u32) -> Option<&'a GroupId> {
    let group = target.at(at)?;
    group.live_claims().find_map(|claim| {
        let id = &mirrors.get(claim.source)?.group_at(claim.group)?.id;
        let (directory, adopted) = policy.adopt.get(id)?;
        (directory == &target.id).then_some(adopted)
    })
}
