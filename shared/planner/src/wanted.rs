//! Who is wanted in a target group: the people of its source groups, as accounts of the target.

use policy::Policy;

use crate::{
    Memory,
    flatten::{self, Graph, Opening, Walk},
    mirror::Mirror,
    people::{self, Found, Look, Pairing},
    state::TargetGroup,
};

/// What the wanted members are worked out from.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) mirrors: &'a [Mirror],
    pub(crate) pairings: &'a [Pairing],
    pub(crate) memory: &'a Memory,
}

/// Buffers that are used again and again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) walk: Walk,
    people: Vec<u32>,
    candidates: Vec<u32>,
}

impl<'a> Sources<'a> {
    /// The people of a source as accounts of a target.
    pub(crate) fn pairing(&self, source: usize, target: usize) -> Option<&'a Pairing> {
        self.pairings.iter().find(|pairing| pairing.source == source && pairing.target == target)
    }
}

/// Takes the wanted members of a group anew.
pub(crate) fn renew(from: Sources<'_>, target: usize, group: &mut TargetGroup, scratch: &mut Scratch) {
    group.wanted.clear();
    group.waiting.clear();
    group.shielded.clear();
    group.opaque.clear();
    for claim in group.claims.iter().filter(|claim| claim.live) {
        let (Some(rule), Some(mirror)) = (from.policy.rules.get(claim.rule), from.mirrors.get(claim.source)) else {
            continue;
        };
        let (Some(accounts), Some(pairing)) = (from.mirrors.get(target), from.pairing(claim.source, target)) else {
            continue;
        };
        let look = Look { policy: from.policy, source: mirror, target: accounts };
        scratch.people.clear();
        if let Some((entry, joining)) = rule.default_of {
            let Some(entry) = from.policy.provisions.get(entry) else { continue };
            people::of_entry(look, entry, joining, from.memory, &mut scratch.people);
        } else {
            let opening = Opening { nested: rule.nested, roles: &rule.roles };
            scratch.walk.open(mirror, claim.group, opening, Graph::Current);
            flatten::collect(mirror, &scratch.walk, &rule.roles, &mut scratch.people);
        }
        let is_taken = |person: u32| {
            let user = || mirror.person(person).and_then(|person| Some(&person.row.as_ref()?.user));
            rule.people.is_everybody() || rule.people.admits(user())
        };
        for person in &scratch.people {
            let place = pairing.place(*person);
            if !place.is_wanted(rule.external) || !is_taken(*person) {
                continue;
            }
            match place.found {
                Found::Account(account) => group.wanted.push(account),
                found => {
                    group.waiting.push((claim.source, *person));
                    scratch.candidates.clear();
                    if let Found::Unusable(account) = found {
                        group.shielded.push(account);
                        // Of an account that is there, everybody knows whose it is.
                        if accounts.live(account).is_some() {
                            continue;
                        }
                        scratch.candidates.extend(accounts.namesakes(account));
                    }
                    Pairing::candidates(look, *person, &mut scratch.candidates);
                    // What is certainly somebody else's goes or stays with that person.
                    let free = scratch.candidates.iter().filter(|account| pairing.person_of(**account).is_none());
                    group.shielded.extend(free);
                }
            }
        }
        if !claim.is_of_people() {
            opaque_below(mirror, &scratch.walk, claim.source, &mut group.opaque);
        }
    }
    for list in [&mut group.wanted, &mut group.shielded] {
        list.sort_unstable();
        list.dedup();
    }
    group.waiting.sort_unstable();
    group.waiting.dedup();
    group.opaque.sort_unstable();
    group.opaque.dedup();
}

/// Nested groups that belong to others and cannot be read: they contribute nobody and are listed.
fn opaque_below(mirror: &Mirror, walk: &Walk, source: usize, out: &mut Vec<(usize, u32)>) {
    for slot in &walk.opened {
        let Some(group) = mirror.group_at(*slot) else { continue };
        for packed in &group.nested {
            let nested = mirror.group_at(packed.slot());
            if nested.is_some_and(|nested| nested.is_opaque() && !nested.turned_unreadable() && nested.is_live()) {
                out.push((source, packed.slot()));
            }
        }
    }
}
