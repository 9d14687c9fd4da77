//! What cannot be done yet, who waits for an account, and which pairings were found.

use std::collections::BTreeMap;

use model::{Link, LinkHow, PersonStep, Wait, WaitWhy};

use super::Judge;
use crate::{people::Found, state::TargetGroup};

impl Judge<'_> {
    /// Memberships of a group that cannot be decided yet.
    pub(crate) fn wait(&mut self, group: &TargetGroup, why: WaitWhy, edges: usize) {
        let edges = edges as u64;
        self.out.waits.push(Wait { group: Some(group.name.clone()), person: None, why, edges });
    }

    /// Persons who are wanted in a group and have no usable account; and nested groups that nobody can read.
    pub(crate) fn note_waiting(&mut self, group: &TargetGroup) {
        // The default groups of an entry make nobody a member of something.
        let by_rule = group.live_claims().any(|claim| !claim.is_of_people());
        for waiting in &group.waiting {
            *self.out.waiting.entry(*waiting).or_default() += 1;
            if by_rule {
                self.out.members.insert(*waiting);
            }
        }
        for (source, slot) in &group.opaque {
            let id = self.mirrors.get(*source).and_then(|mirror| mirror.group_at(*slot)).map(|group| group.id.clone());
            if let Some(id) = id {
                self.wait(group, WaitWhy::Opaque { group: id }, 0);
            }
        }
    }

    /// One wait for each person, however many groups it is about.
    pub(crate) fn tell_waiting(&mut self) {
        for ((source, person), edges) in std::mem::take(&mut self.out.waiting) {
            let Some(pairing) = self.pairing(source) else { continue };
            let why = match pairing.place(person).found {
                Found::Nobody => WaitWhy::NoAccount,
                Found::Doubt => WaitWhy::Doubt,
                Found::Unusable(_) | Found::Account(_) => WaitWhy::AccountUnusable,
            };
            let person = self.person_id(source, person).cloned();
            let letter = person
                .as_ref()
                .and_then(|id| self.memory.dead_letter_of_person(&self.target.id, &[id], PersonStep::Create));
            let why = letter.map_or(why, |id| WaitWhy::DeadLetter { id });
            self.out.waits.push(Wait { group: None, person, why, edges });
        }
    }

    /// Edges that dead letters keep back, by letter.
    pub(crate) fn tell_dead_letters(&mut self, group: &TargetGroup, letters: &BTreeMap<u64, usize>) {
        for (id, edges) in letters {
            self.wait(group, WaitWhy::DeadLetter { id: *id }, *edges);
        }
    }

    /// Pairings of people with accounts that are not recorded yet. From a blind source nothing new is taken.
    pub(crate) fn link_people(&mut self) {
        let mirror = self.target.mirror;
        for pairing in self.pairings.iter().filter(|pairing| pairing.target == mirror) {
            let Some(source) = self.mirrors.get(pairing.source) else { continue };
            if self.memory.blind.contains(source.directory()) {
                continue;
            }
            for person in &pairing.unlinked {
                let Found::Account(account) = pairing.place(*person).found else { continue };
                let ids = source.person(*person).zip(self.accounts.person(account));
                if let Some((person_row, account)) = ids {
                    self.out.links.insert(Link::Person {
                        source: source.directory().clone(),
                        person: person_row.id.clone(),
                        account: account.id.clone(),
                        how: pairing.how(*person),
                    });
                }
            }
        }
    }

    /// Notes that a name stands for a group, and which source group fills it.
    pub(crate) fn link_group(&mut self, group: &TargetGroup, slot: u32, how: LinkHow) {
        let Some(id) = self.group_id(slot).cloned() else { return };
        self.out.links.insert(Link::Group { name: group.key.clone(), group: id, how });
        let mut claims = group.live_claims();
        if let (Some(claim), None) = (claims.next(), claims.next())
            && self.policy.rules.get(claim.rule).is_some_and(|rule| rule.into_at(&self.target.id).is_none())
            && let Some(mirror) = self.mirrors.get(claim.source)
            && let Some(source) = mirror.group_at(claim.group)
        {
            let key = (self.target.id.clone(), group.key.clone());
            self.out.sources.insert(key, (mirror.directory().clone(), source.id.clone()));
        }
    }
}
