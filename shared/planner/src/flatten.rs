//! Who is in a group once its nested groups are opened: by id, each group once, whatever the shape of the nesting.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry};

use model::{GroupId, Role};
use policy::Nested;

use crate::mirror::{GroupSlot, Mirror};

/// How a rule opens groups.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening<'a> {
    pub(crate) nested: Nested,
    /// The roles that count, by the entries of the matched group itself: whoever is in a nested group has the role
    /// that the nested group's entry has, as at Google.
    pub(crate) roles: &'a BTreeSet<Role>,
}

/// The groups that were opened on the way, the matched group first, each once.
///
/// Tarjan's components are not needed: a visited set gives every group of a cycle the same people, since all of them
/// are reached from each.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    seen: Vec<u32>,
    epoch: u32,
    pub(crate) opened: Vec<u32>,
}

/// Whether a group of the walk also counts what it lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Graph {
    /// What is.
    Current,
    /// What is, and what was and has a tombstone.
    WithLost,
}

impl Walk {
    fn start(&mut self, groups: usize) {
        self.opened.clear();
        if self.seen.len() < groups {
            self.seen.resize(groups, 0);
        }
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.seen.fill(0);
            self.epoch = 1;
        }
    }

    fn visit(&mut self, slot: u32) {
        let epoch = self.epoch;
        if let Some(seen) = self.seen.get_mut(slot as usize)
            && *seen != epoch
        {
            *seen = epoch;
            self.opened.push(slot);
        }
    }

    /// Opens a group: `opened` holds it and everything below that contributes people.
    pub(crate) fn open(&mut self, mirror: &Mirror, root: u32, opening: Opening<'_>, graph: Graph) {
        self.start(mirror.groups.len());
        self.visit(root);
        if opening.nested == Nested::Direct {
            return;
        }
        let mut next = 0;
        while let Some(slot) = self.opened.get(next).copied() {
            next += 1;
            let Some(group) = mirror.group_at(slot) else { continue };
            for packed in &group.nested {
                let counts = slot != root || opening.roles.contains(&packed.role());
                let open = |group: &GroupSlot| graph == Graph::WithLost || contributes(group);
                if counts && mirror.group_at(packed.slot()).is_some_and(open) {
                    self.visit(packed.slot());
                }
            }
            if graph == Graph::WithLost {
                for (slot, _) in &group.lost_nested {
                    self.visit(*slot);
                }
            }
        }
    }

    /// Opens many groups as they are now: `opened` holds, each once, whatever [`Walk::open`] would for any of them, and
    /// it takes no longer than one walk over the whole directory.
    pub(crate) fn open_all(&mut self, mirror: &Mirror, roots: &[(u32, Opening<'_>)]) {
        self.start(mirror.groups.len());
        for (root, opening) in roots.iter().filter(|(_, opening)| opening.nested != Nested::Direct) {
            for packed in mirror.group_at(*root).into_iter().flat_map(|group| &group.nested) {
                if opening.roles.contains(&packed.role()) && mirror.group_at(packed.slot()).is_some_and(contributes) {
                    self.visit(packed.slot());
                }
            }
        }
        let mut next = 0;
        while let Some(slot) = self.opened.get(next).copied() {
            next += 1;
            for packed in mirror.group_at(slot).into_iter().flat_map(|group| &group.nested) {
                if mirror.group_at(packed.slot()).is_some_and(contributes) {
                    self.visit(packed.slot());
                }
            }
        }
        // Only now: a group that is opened by one rule and taken by itself by another is both.
        for (root, _) in roots {
            self.visit(*root);
        }
    }
}

/// Whether a nested group's members count: it is there, and it is ours to read or was once.
pub(crate) fn contributes(group: &GroupSlot) -> bool {
    group.is_live() && (!group.is_opaque() || group.turned_unreadable())
}

/// Puts the people of an opened root into `people`: unsorted, somebody reached twice stands there twice.
pub(crate) fn collect(mirror: &Mirror, walk: &Walk, roles: &BTreeSet<Role>, people: &mut Vec<u32>) {
    let all_roles = roles.len() == 3;
    for (at, slot) in walk.opened.iter().enumerate() {
        let Some(group) = mirror.group_at(*slot) else { continue };
        let is_root = at == 0;
        if is_root && !all_roles {
            people.extend(
                group.people.iter().filter(|packed| roles.contains(&packed.role())).map(|packed| packed.slot()),
            );
        } else {
            people.extend(group.people.iter().map(|packed| packed.slot()));
        }
        let everyone = group
            .odd
            .iter()
            .any(|(kind, role)| matches!(kind, model::MemberKind::Everyone(_)) && (!is_root || roles.contains(role)));
        if everyone {
            people.extend(everybody(mirror));
        }
    }
}

/// Everybody of the customer: whoever is listed and works.
fn everybody(mirror: &Mirror) -> impl Iterator<Item = u32> {
    mirror.people.iter().enumerate().filter_map(|(at, person)| {
        let row = person.row.as_ref()?;
        let counts = row.gone_at.is_none() && row.user.standing == model::Standing::Listed && row.user.state.works();
        counts.then(|| crate::mirror::number(at))
    })
}

/// The shortest way from a group down to one that holds the person; among equally short ones the first by ids.
pub(crate) fn path(
    mirror: &Mirror,
    root: u32,
    person: u32,
    opening: Opening<'_>,
    graph: Graph,
) -> Option<Vec<GroupId>> {
    let top = mirror.group_at(root)?;
    if holds(top, person, true, opening.roles, mirror, graph) {
        return Some(vec![top.id.clone()]);
    }
    let mut came_from: BTreeMap<u32, u32> = [(root, root)].into();
    let mut queue = VecDeque::from([root]);
    while let Some(slot) = queue.pop_front() {
        let group = mirror.group_at(slot)?;
        if holds(group, person, slot == root, opening.roles, mirror, graph) {
            return Some(trace(mirror, &came_from, root, slot));
        }
        if opening.nested == Nested::Direct {
            return None;
        }
        let counts = |packed: &&crate::mirror::Packed| slot != root || opening.roles.contains(&packed.role());
        let mut below: Vec<u32> = group.nested.iter().filter(counts).map(|packed| packed.slot()).collect();
        if graph == Graph::WithLost {
            below.extend(group.lost_nested.iter().map(|(slot, _)| *slot));
        } else {
            below.retain(|slot| mirror.group_at(*slot).is_some_and(contributes));
        }
        below.sort_by(|a, b| id(mirror, *a).cmp(&id(mirror, *b)));
        for next in below {
            if let Entry::Vacant(place) = came_from.entry(next) {
                place.insert(slot);
                queue.push_back(next);
            }
        }
    }
    None
}

fn id(mirror: &Mirror, slot: u32) -> Option<&GroupId> {
    mirror.group_at(slot).map(|group| &group.id)
}

fn holds(group: &GroupSlot, person: u32, is_root: bool, roles: &BTreeSet<Role>, mirror: &Mirror, graph: Graph) -> bool {
    if let Ok(at) = group.people.binary_search_by_key(&person, |packed| packed.slot()) {
        return !is_root || group.people.get(at).is_some_and(|packed| roles.contains(&packed.role()));
    }
    if graph == Graph::WithLost && group.lost_people.binary_search_by_key(&person, |lost| lost.0).is_ok() {
        return true;
    }
    let listed = || {
        mirror.live(person).is_some_and(|row| row.user.standing == model::Standing::Listed && row.user.state.works())
    };
    (group.holds_everyone() || (graph == Graph::WithLost && group.lost_everyone.is_some())) && listed()
}

fn trace(mirror: &Mirror, came_from: &BTreeMap<u32, u32>, root: u32, end: u32) -> Vec<GroupId> {
    let mut path = Vec::new();
    let mut at = end;
    loop {
        path.extend(id(mirror, at).cloned());
        if at == root {
            break;
        }
        let Some(before) = came_from.get(&at) else { break };
        at = *before;
    }
    path.reverse();
    path
}
