//! One group of a mirror: its row, its members as sorted numbers, and what it lost.

use std::collections::BTreeMap;

use model::{Digest, GroupId, GroupRow, MemberKind, ReadRow, Role, Time};

/// A member's slot with the role in the two lowest bits: sorted by it, members are sorted by slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Packed(u32);

impl Packed {
    pub(crate) const fn new(slot: u32, role: Role) -> Self {
        let role = match role {
            Role::Member => 0,
            Role::Manager => 1,
            Role::Owner => 2,
        };
        Self(slot << 2 | role)
    }

    pub(crate) const fn slot(self) -> u32 {
        self.0 >> 2
    }

    pub(crate) const fn role(self) -> Role {
        match self.0 & 3 {
            1 => Role::Manager,
            2 => Role::Owner,
            _ => Role::Member,
        }
    }
}

/// What is known of the reads of one scope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScopeRead {
    /// When the last complete read began, if there ever was one.
    pub complete_began_at: Option<Time>,
    /// Whether the last read was complete.
    pub complete: bool,
    /// How many rows the last complete read saw.
    pub rows: u64,
    /// How many rows the complete read before that saw.
    pub rows_before: u64,
    /// The watcher's digest of a group's members.
    pub digest: Option<Digest>,
    /// When a fact that the last complete read missed was last read by itself and found to hold.
    pub voided_at: Option<Time>,
}

impl ScopeRead {
    pub(crate) fn take(&mut self, row: &ReadRow) {
        *self = Self {
            complete_began_at: row.complete_began_at,
            complete: row.complete,
            rows: row.rows,
            rows_before: row.rows_before,
            digest: row.digest,
            voided_at: self.voided_at,
        };
    }

    /// Whether somebody may be removed by what this scope does not hold: the last read was complete, and nothing read
    /// by itself since it began contradicts it.
    pub fn is_sound(&self) -> bool {
        self.complete
            && self.complete_began_at.is_some_and(|began| self.voided_at.is_none_or(|voided_at| voided_at < began))
    }

    /// Whether the last complete read began longer ago than this moment.
    pub(crate) fn is_older_than(&self, moment: Time) -> bool {
        self.complete_began_at.is_none_or(|began| began < moment)
    }

    pub(crate) fn void(&mut self, read_at: Time) {
        self.voided_at = self.voided_at.max(Some(read_at));
    }
}

/// A group as the mirror keeps it.
#[derive(Debug, Clone)]
pub(crate) struct GroupSlot {
    pub(crate) id: GroupId,
    /// Absent while the group is known only as a member of another one.
    pub(crate) row: Option<GroupRow>,
    /// People, by slot.
    pub(crate) people: Vec<Packed>,
    /// Groups, by slot.
    pub(crate) nested: Vec<Packed>,
    /// Members that are neither.
    pub(crate) odd: BTreeMap<MemberKind, Role>,
    /// People who were members: slot and when a complete read found them gone.
    pub(crate) lost_people: Vec<(u32, Time)>,
    /// Groups that were members.
    pub(crate) lost_nested: Vec<(u32, Time)>,
    /// That everybody of the customer, given by its id, was a member: when a complete read found it gone.
    pub(crate) lost_everyone: Option<(Time, String)>,
    /// Groups that hold this one now.
    pub(crate) parents: Vec<u32>,
    pub(crate) read: ScopeRead,
}

impl GroupSlot {
    pub(crate) fn new(id: GroupId) -> Self {
        Self {
            id,
            row: None,
            people: Vec::new(),
            nested: Vec::new(),
            odd: BTreeMap::new(),
            lost_people: Vec::new(),
            lost_nested: Vec::new(),
            lost_everyone: None,
            parents: Vec::new(),
            read: ScopeRead::default(),
        }
    }

    /// Whether the group is there as far as we know.
    pub(crate) fn is_live(&self) -> bool {
        self.row.as_ref().is_some_and(|row| row.gone_at.is_none())
    }

    pub(crate) fn is_opaque(&self) -> bool {
        self.row.as_ref().is_some_and(|row| row.group.opaque)
    }

    /// Opaque now, but its members were read once: whoever was in it may still be.
    pub(crate) fn turned_unreadable(&self) -> bool {
        self.is_opaque() && self.read.complete_began_at.is_some()
    }

    pub(crate) fn holds_everyone(&self) -> bool {
        self.odd.keys().any(|kind| matches!(kind, MemberKind::Everyone(_)))
    }

    /// Takes a person's membership in. Says whether anything changed.
    pub(crate) fn put_person(&mut self, slot: u32, role: Role, gone_at: Option<Time>) -> bool {
        put(&mut self.people, &mut self.lost_people, slot, role, gone_at)
    }

    /// Takes a nested group's membership in. Says whether anything changed.
    pub(crate) fn put_nested(&mut self, slot: u32, role: Role, gone_at: Option<Time>) -> bool {
        put(&mut self.nested, &mut self.lost_nested, slot, role, gone_at)
    }

    /// Takes another kind of member in. Says whether anything changed.
    pub(crate) fn put_odd(&mut self, kind: &MemberKind, role: Role, gone_at: Option<Time>) -> bool {
        let everyone = if let MemberKind::Everyone(id) = kind { Some(id) } else { None };
        if let Some(at) = gone_at {
            let was = self.odd.remove(kind).is_some();
            let lost = everyone.map(|id| (at, id.clone()));
            let is_news = lost > self.lost_everyone;
            if is_news {
                self.lost_everyone = lost;
            }
            was || is_news
        } else {
            if everyone.is_some() {
                self.lost_everyone = None;
            }
            self.odd.insert(kind.clone(), role) != Some(role)
        }
    }
}

fn put(now: &mut Vec<Packed>, lost: &mut Vec<(u32, Time)>, slot: u32, role: Role, gone_at: Option<Time>) -> bool {
    let packed = Packed::new(slot, role);
    let found = now.binary_search_by_key(&slot, |each| each.slot());
    let lost_at = lost.binary_search_by_key(&slot, |each| each.0);
    match (gone_at, found) {
        (None, Ok(at)) => {
            let place = now.get_mut(at);
            place.is_some_and(|place| std::mem::replace(place, packed) != packed)
        }
        (None, Err(at)) => {
            now.insert(at, packed);
            if let Ok(at) = lost_at {
                lost.remove(at);
            }
            true
        }
        (Some(gone), found) => {
            if let Ok(at) = found {
                now.remove(at);
            }
            match lost_at {
                Ok(at) => {
                    lost.get_mut(at).is_some_and(|entry| std::mem::replace(&mut entry.1, gone) != gone) || found.is_ok()
                }
                Err(at) => {
                    lost.insert(at, (slot, gone));
                    true
                }
            }
        }
    }
}
