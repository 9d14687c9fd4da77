//! The last administrators: how many of them would still work once everything that is decided, released or under way
//! was done.
//!
//! What counts depends on what a directory tells. An organization says of each account whether it administers; a
//! provisioning directory does not, but whoever it deactivates is out of the organization as well, so the accounts of
//! the same addresses there are asked. Elsewhere the groups that are seen to grant administration are counted, each by
//! itself: only their own members, for who is in by a nested group may be out by it tomorrow.

use std::collections::BTreeSet;

use model::{DirectoryKind, UserState};
use policy::Policy;

use super::Judge;
use crate::{
    Memory,
    mirror::{Mirror, number},
    people::Pairing,
};

/// An account: the mirror of its directory and its slot there.
pub(crate) type At = (usize, u32);

/// Who leaves by this decision, or left by one whose effect was not read back yet.
#[derive(Debug, Default)]
pub(crate) struct Going {
    accounts: BTreeSet<At>,
}

/// Directories and who is whose in them.
#[derive(Clone, Copy)]
pub(crate) struct Directories<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) mirrors: &'a [Mirror],
    pub(crate) pairings: &'a [Pairing],
}

impl Going {
    /// Whoever has an open command may be on the way out: what it does is known to the writer alone.
    pub(crate) fn under_way(directories: Directories<'_>, memory: &Memory) -> Self {
        let mut going = Self::default();
        let Directories { mirrors, pairings, .. } = directories;
        let at = |id: &model::DirectoryId| mirrors.iter().position(|mirror| mirror.directory() == id);
        for (target, source, person) in &memory.accounts_open {
            let (Some(source), Some(target)) = (at(source), at(target)) else { continue };
            let pairing = pairings.iter().find(|each| each.source == source && each.target == target);
            let slot = mirrors.get(source).and_then(|mirror| mirror.person_slot(person));
            if let Some(account) = pairing.zip(slot).and_then(|(pairing, slot)| pairing.account_of(slot)) {
                going.accounts.extend(directories.same(target, account));
            }
        }
        going
    }
}

impl Directories<'_> {
    fn kind(&self, mirror: &Mirror) -> Option<DirectoryKind> {
        self.policy.directories.get(mirror.directory()).map(|directory| directory.kind)
    }

    fn of_kind(&self, kind: DirectoryKind) -> impl Iterator<Item = (usize, &Mirror)> {
        self.mirrors.iter().enumerate().filter(move |(_, mirror)| self.kind(mirror) == Some(kind))
    }

    /// The account, and those of the same person that stop working with it.
    fn same(&self, mirror: usize, account: u32) -> BTreeSet<At> {
        let mut same = BTreeSet::from([(mirror, account)]);
        let Some(accounts) = self.mirrors.get(mirror) else { return same };
        if self.kind(accounts) == Some(DirectoryKind::AtlassianScim) {
            let row = accounts.person(account).and_then(|person| person.row.as_ref());
            let emails: Vec<&model::Email> = row.into_iter().flat_map(|row| &row.user.email).collect();
            for (at, org) in self.of_kind(DirectoryKind::AtlassianOrg) {
                same.extend(emails.iter().flat_map(|email| org.by_address(email.key())).map(|slot| (at, slot)));
                // By the link, where the addresses differ for a while.
                let to = |target: usize| self.pairings.iter().filter(move |each| each.target == target);
                for ours in to(mirror) {
                    let person = ours.person_of(account);
                    let theirs = to(at).find(|each| each.source == ours.source);
                    let linked = person.zip(theirs).and_then(|(person, theirs)| theirs.account_of(person));
                    same.extend(linked.map(|slot| (at, slot)));
                }
            }
        }
        same
    }

    /// The accounts that administer together, each set of them for itself, as far as they work.
    fn circles(&self, mirror: usize) -> Vec<BTreeSet<At>> {
        let Some(accounts) = self.mirrors.get(mirror) else { return Vec::new() };
        match self.kind(accounts) {
            Some(DirectoryKind::AtlassianOrg) => vec![self.flagged(mirror, accounts)],
            Some(DirectoryKind::AtlassianScim) => {
                self.of_kind(DirectoryKind::AtlassianOrg).map(|(at, org)| self.flagged(at, org)).collect()
            }
            _ => {
                let groups = accounts.groups.iter().filter(|group| group.is_live());
                let grant = groups.filter(|group| group.row.as_ref().is_some_and(|row| row.group.grants_admin));
                let working = |slot: &u32| works(accounts, *slot);
                let members = grant.map(|group| group.people.iter().map(|packed| packed.slot()).filter(working));
                let mut circles: Vec<BTreeSet<At>> =
                    members.map(|slots| slots.map(|slot| (mirror, slot)).collect()).collect();
                circles.push(self.flagged(mirror, accounts));
                circles
            }
        }
    }

    /// The accounts that the directory itself calls administrators. One that a provisioning directory has deactivated
    /// does not work, whenever the organization is read again.
    fn flagged(&self, mirror: usize, accounts: &Mirror) -> BTreeSet<At> {
        let is = |slot: &u32| {
            works(accounts, *slot)
                && accounts.live(*slot).is_some_and(|row| row.user.admin)
                && !self.is_out(accounts, *slot)
        };
        (0..number(accounts.people.len())).filter(is).map(|slot| (mirror, slot)).collect()
    }

    fn is_out(&self, accounts: &Mirror, slot: u32) -> bool {
        let Some(email) = accounts.live(slot).and_then(|row| row.user.email.as_ref()) else { return false };
        self.kind(accounts) == Some(DirectoryKind::AtlassianOrg)
            && self.of_kind(DirectoryKind::AtlassianScim).any(|(_, scim)| {
                let out = |slot| scim.live(slot).is_some_and(|row| row.user.state == UserState::Deactivated);
                scim.by_address(email.key()).any(out)
            })
    }
}

fn works(accounts: &Mirror, slot: u32) -> bool {
    accounts.live(slot).is_some_and(|row| row.user.state.works())
}

impl Judge<'_> {
    /// The accounts that administer this target together, and what stops working with it.
    pub(super) fn circles(&self) -> Vec<BTreeSet<At>> {
        self.directories().circles(self.target.mirror)
    }

    /// Whether fewer working administrators than the policy asks for would be left in one of the circles.
    pub(super) fn is_last_administrator(&self, circles: &[BTreeSet<At>], account: u32) -> bool {
        let least = self.policy.guard.minimum_administrators;
        let same = self.directories().same(self.target.mirror, account);
        circles.iter().filter(|circle| !circle.is_disjoint(&same)).any(|circle| {
            // Whom an earlier case takes along already is not counted twice.
            let stays = |at: &&At| !same.contains(*at) && !self.going.accounts.contains(*at);
            (circle.iter().filter(stays).count() as u64) < least
        })
    }

    /// Counts somebody as gone from now on, at this target and those after it.
    pub(super) fn takes_out(&mut self, account: u32) {
        let same = self.directories().same(self.target.mirror, account);
        self.going.accounts.extend(same);
    }

    const fn directories(&self) -> Directories<'_> {
        Directories { policy: self.policy, mirrors: self.mirrors, pairings: self.pairings }
    }
}
