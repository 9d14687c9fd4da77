//! Which account of a target is a person's: link, then external id, then address, then alias. A doubt is held.
//!
//! Every person is looked at alone first ([`Pairing::raw`]); when two persons lay claim to one account the stronger
//! claim wins, and equally strong ones are doubts for both. So the result does not depend on the order in which people
//! became known.

mod claimants;

use std::cmp::Reverse;

use model::{AccountId, DirectoryId, Fact, LinkHow, Standing, User, UserRow, UserState};
use policy::{Joining, LeaveAction, MatchBy, Outsiders, Policy, Provision};
use rustc_hash::FxHashMap;

use claimants::Claimants;

use crate::{
    Memory,
    mirror::{Mirror, UserChange, number},
};

/// What became of the search for a person's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// This account.
    Account(u32),
    /// This account, and it is deactivated, suspended or gone.
    Unusable(u32),
    /// None.
    Nobody,
    /// More than one could be it, or the address is not to be trusted.
    Doubt,
}

/// How strong a claim to an account is; the order of [`MatchBy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    /// Somebody who is gone from the source and was never linked: anybody else's claim is better.
    Departed,
    Alias,
    Email,
    ExternalId,
    /// The account that was linked, under the name that it has now.
    Renamed,
    Link,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Raw {
    Nobody,
    Doubt,
    At(u32, Strength),
}

/// What a rule has to know of a person, in one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) found: Found,
    /// May work at the source.
    pub(crate) works: bool,
    /// Is within some scope that the policy names.
    pub(crate) in_scope: bool,
    /// Has an address outside of the tenant's own domains.
    pub(crate) external: bool,
}

/// The people of one source and the accounts of one target.
#[derive(Debug)]
pub(crate) struct Pairing {
    pub(crate) source: usize,
    pub(crate) target: usize,
    raw: Vec<Raw>,
    pub(crate) places: Vec<Place>,
    links: FxHashMap<u32, u32>,
    /// By account: the persons who lay claim to it.
    claimants: Claimants,
    /// Persons with an account that is not recorded as a link.
    pub(crate) unlinked: std::collections::BTreeSet<u32>,
    /// How many persons have an account.
    pub(crate) paired: u64,
}

/// What a pairing is looked up in.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) source: &'a Mirror,
    pub(crate) target: &'a Mirror,
}

impl Place {
    const UNKNOWN: Self = Self { found: Found::Nobody, works: true, in_scope: true, external: false };

    /// Whether a rule that takes or skips external people wants the person at all.
    pub(crate) fn is_wanted(self, external: policy::External) -> bool {
        self.works && self.in_scope && (!self.external || external == policy::External::Match)
    }
}

/// Whether a person may work, by the row of the source. Somebody known only as a member is judged by memberships
/// alone: no list says whether such a person still exists.
pub(crate) fn works(mirror: &Mirror, slot: u32) -> bool {
    let Some(row) = mirror.person(slot).and_then(|person| person.row.as_ref()) else { return true };
    row.user.state.works() && (row.gone_at.is_none() || row.user.standing == Standing::Unlisted)
}

/// Whether a leaver's row proves by itself that the person may not work: a state, not an absence.
pub(crate) fn is_positive(state: UserState) -> bool {
    !state.works()
}

/// The fact that a listed person without a state that says so is gone by.
pub(crate) fn user_fact(directory: &DirectoryId, person: &AccountId) -> Fact {
    Fact::User { directory: directory.clone(), user: person.clone() }
}

impl Pairing {
    pub(crate) fn new(source: usize, target: usize) -> Self {
        Self {
            source,
            target,
            raw: Vec::new(),
            places: Vec::new(),
            links: FxHashMap::default(),
            claimants: Claimants::default(),
            unlinked: std::collections::BTreeSet::new(),
            paired: 0,
        }
    }

    pub(crate) fn place(&self, person: u32) -> Place {
        self.places.get(person as usize).copied().unwrap_or(Place::UNKNOWN)
    }

    /// The one person whose account this is.
    pub(crate) fn person_of(&self, account: u32) -> Option<u32> {
        self.claimants.of(account).find(
            |person| matches!(self.place(*person).found, Found::Account(at) | Found::Unusable(at) if at == account),
        )
    }

    /// Sets or clears the recorded link of a person.
    pub(crate) fn link(&mut self, person: u32, account: Option<u32>) {
        match account {
            Some(account) => self.links.insert(person, account),
            None => self.links.remove(&person),
        };
    }

    pub(crate) fn forget_links(&mut self) {
        self.links.clear();
    }

    /// The account of a person, usable or not.
    pub(crate) fn account_of(&self, person: u32) -> Option<u32> {
        match self.place(person).found {
            Found::Account(account) | Found::Unusable(account) => Some(account),
            Found::Nobody | Found::Doubt => None,
        }
    }

    /// How the account of a person without a recorded link was found.
    pub(crate) fn how(&self, person: u32) -> LinkHow {
        match self.raw.get(person as usize) {
            Some(Raw::At(_, Strength::ExternalId | Strength::Renamed)) => LinkHow::ExternalId,
            Some(Raw::At(_, Strength::Alias)) => LinkHow::Alias,
            _ => LinkHow::Email,
        }
    }

    /// Looks at everybody again; used once, and when the policy changes.
    pub(crate) fn rebuild(&mut self, look: Look<'_>) {
        self.raw = (0..number(look.source.people.len())).map(|person| self.raw(look, person)).collect();
        self.claimants = Claimants::default();
        for (person, raw) in self.raw.iter().enumerate() {
            if let Raw::At(account, _) = raw {
                self.claimants.add(*account, number(person));
            }
        }
        self.places.clear();
        self.unlinked.clear();
        self.paired = 0;
        for person in 0..number(self.raw.len()) {
            self.places.push(Place::UNKNOWN);
            self.settle(look, person);
        }
    }

    /// Looks at these persons again, and gives back whose place changed, these or their rivals'; and those of them who
    /// have no account, for what could be theirs may have changed.
    pub(crate) fn refresh(&mut self, look: Look<'_>, persons: &[u32]) -> Vec<u32> {
        let known = self.raw.len();
        for person in known..look.source.people.len() {
            self.raw.push(Raw::Nobody);
            self.places.push(Place::UNKNOWN);
            self.settle(look, number(person));
        }
        let fresh = number(known)..number(look.source.people.len());
        let mut again: std::collections::BTreeSet<u32> = persons.iter().copied().chain(fresh).collect();
        for person in again.clone() {
            let raw = self.raw(look, person);
            let Some(place) = self.raw.get_mut(person as usize) else { continue };
            let before = std::mem::replace(place, raw);
            for side in [before, raw] {
                if let Raw::At(account, _) = side {
                    self.claimants.remove(account, person);
                    again.extend(self.claimants.of(account));
                }
            }
            if let Raw::At(account, _) = raw {
                self.claimants.add(account, person);
            }
        }
        let mut changed: Vec<u32> = again.into_iter().filter(|person| self.settle(look, *person)).collect();
        let open = |person: &&u32| matches!(self.place(**person).found, Found::Nobody | Found::Doubt);
        changed.extend(persons.iter().filter(open));
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// The persons whose account may be another since these accounts changed.
    pub(crate) fn touched_by_accounts(&self, look: Look<'_>, changes: &[UserChange], out: &mut Vec<u32>) {
        for change in changes {
            out.extend(self.claimants.of(change.slot));
            if look.target.has_namesakes() {
                out.extend(look.target.namesakes(change.slot).flat_map(|slot| self.claimants.of(slot)));
            }
            let row = look.target.person(change.slot);
            for key in change.addresses(row) {
                out.extend(look.source.by_address(key).chain(look.source.by_alias(key)));
            }
            let now = row.and_then(|person| person.row.as_ref()?.user.external_id.as_ref());
            for id in change.external_id_before.iter().chain(now) {
                out.extend(AccountId::new(id).ok().and_then(|id| look.source.person_slot(&id)));
            }
        }
    }

    /// Accounts that may be the person's though none is taken: nobody is removed by what is in doubt.
    pub(crate) fn candidates(look: Look<'_>, person: u32, out: &mut Vec<u32>) {
        let Some(slot) = look.source.person(person) else { return };
        out.extend(look.target.by_external_id(slot.id.as_str()));
        let Some(row) = &slot.row else { return };
        for email in row.user.email.iter().chain(&row.user.aliases) {
            out.extend(look.target.by_address(email.key()).chain(look.target.by_alias(email.key())));
        }
    }

    fn raw(&self, look: Look<'_>, person: u32) -> Raw {
        let Some(slot) = look.source.person(person) else { return Raw::Nobody };
        // A directory that fills its own groups: everybody is who they are.
        if look.source.directory() == look.target.directory() {
            return Raw::At(person, Strength::Link);
        }
        let departed =
            slot.row.as_ref().is_some_and(|row| row.gone_at.is_some() || row.user.state == UserState::Deleted);
        let link = || self.links.get(&person).map(|account| Self::linked(look, person, *account, departed));
        let raw = look.policy.people.match_by.iter().find_map(|by| match by {
            MatchBy::Link => link(),
            by => Self::by_rule(look, person, *by),
        });
        let raw = raw.unwrap_or(Raw::Nobody);
        match raw {
            Raw::At(account, strength) if departed && strength < Strength::Renamed => {
                Raw::At(account, Strength::Departed)
            }
            raw => raw,
        }
    }

    /// The account that a recorded link means. One that is gone says nothing any more: what has its stable key is the
    /// same account under another name; else whatever the other rules find, if they find one without a doubt, for it
    /// was made again. The address of somebody who is gone may be another's by now, and finds nobody.
    fn linked(look: Look<'_>, person: u32, account: u32, departed: bool) -> Raw {
        let is_gone = |row: &UserRow| row.gone_at.is_some() || row.user.state == UserState::Deleted;
        let known = look.target.person(account).and_then(|slot| slot.row.as_ref());
        // Of an account that is known by its id alone, a row under another name says that this name is old.
        let mut names = look.target.namesakes(account).filter(|slot| look.target.live(*slot).is_some());
        if known.is_some_and(|row| !is_gone(row)) || (known.is_none() && !look.target.has_namesakes()) {
            return Raw::At(account, Strength::Link);
        }
        if let (Some(renamed), None) = (names.next(), names.next()) {
            return Raw::At(renamed, Strength::Renamed);
        }
        let mut rules = look.policy.people.match_by.iter().filter(|by| !departed || **by == MatchBy::ExternalId);
        match rules.find_map(|by| Self::by_rule(look, person, *by)) {
            Some(again @ Raw::At(..)) if known.is_some() => again,
            _ => Raw::At(account, Strength::Link),
        }
    }

    fn by_rule(look: Look<'_>, person: u32, by: MatchBy) -> Option<Raw> {
        let slot = look.source.person(person)?;
        if by == MatchBy::ExternalId {
            return one(look.target.by_external_id(slot.id.as_str()), Strength::ExternalId);
        }
        let user = &slot.row.as_ref()?.user;
        let own = |email: &model::Email| !look.policy.people.is_external(email);
        match by {
            MatchBy::Link | MatchBy::ExternalId => None,
            MatchBy::Email => {
                let email = user.email.as_ref()?;
                // Somebody of our own domain whom the list of users does not know is nobody's to vouch for.
                let orphan = user.standing == Standing::Unlisted && own(email);
                if orphan || email.doubt().is_some() {
                    return Some(Raw::Doubt);
                }
                one(look.target.by_address(email.key()), Strength::Email)
            }
            MatchBy::Alias => {
                let aliases = user.aliases.iter().filter(|alias| own(alias) && alias.doubt().is_none());
                let mut accounts: Vec<u32> = aliases.flat_map(|alias| look.target.by_address(alias.key())).collect();
                accounts.sort_unstable();
                accounts.dedup();
                one(accounts.into_iter(), Strength::Alias)
            }
        }
    }

    /// Decides between a person and the rivals for the account. Says whether the person's place changed.
    fn settle(&mut self, look: Look<'_>, person: u32) -> bool {
        let found = match self.raw.get(person as usize).copied().unwrap_or(Raw::Nobody) {
            Raw::Nobody => Found::Nobody,
            Raw::Doubt => Found::Doubt,
            Raw::At(account, strength) if self.is_beaten(person, account, strength) => Found::Doubt,
            Raw::At(account, _) => usable(look.target, account),
        };
        let row = look.source.person(person).and_then(|person| person.row.as_ref());
        let email = row.and_then(|row| row.user.email.as_ref());
        let place = Place {
            found,
            works: works(look.source, person),
            in_scope: in_scope(look, person),
            external: email.is_some_and(|email| look.policy.people.is_external(email)),
        };
        let linked = matches!(self.raw.get(person as usize), Some(Raw::At(_, Strength::Link)));
        if matches!(found, Found::Account(_)) && !linked && place.works {
            self.unlinked.insert(person);
        } else {
            self.unlinked.remove(&person);
        }
        let Some(old) = self.places.get_mut(person as usize) else { return false };
        let before = std::mem::replace(old, place);
        let has = |place: Place| u64::from(matches!(place.found, Found::Account(_)));
        self.paired = (self.paired + has(place)).saturating_sub(has(before));
        before != place
    }

    fn is_beaten(&self, person: u32, account: u32, strength: Strength) -> bool {
        let rivals = self.claimants.of(account).filter(|rival| *rival != person);
        let mut strengths = rivals.filter_map(|rival| match self.raw.get(rival as usize) {
            Some(Raw::At(at, strength)) if *at == account => Some(*strength),
            _ => None,
        });
        strengths.any(|rival| rival >= strength)
    }
}

fn one(mut found: impl Iterator<Item = u32>, strength: Strength) -> Option<Raw> {
    match (found.next(), found.next()) {
        (None, _) => None,
        (Some(account), None) => Some(Raw::At(account, strength)),
        (Some(_), Some(_)) => Some(Raw::Doubt),
    }
}

/// An account of which nothing but the id is known is taken as usable: the target itself will say if it is not.
fn usable(target: &Mirror, account: u32) -> Found {
    match target.person(account).and_then(|person| person.row.as_ref()) {
        Some(row) if row.gone_at.is_some() || !row.user.state.works() => Found::Unusable(account),
        _ => Found::Account(account),
    }
}

/// A listed person is out of scope at a target when the entries of the policy that bring people of this source there
/// say which people they are for, and the person is none of them. Where no entry brings anybody there, those of the
/// source for other targets say it: who is no staff anywhere is none here.
fn in_scope(look: Look<'_>, person: u32) -> bool {
    let Some(row) = look.source.person(person).and_then(|person| person.row.as_ref()) else { return true };
    if row.user.standing == Standing::Unlisted {
        return true;
    }
    let (from, to) = (look.source.directory(), look.target.directory());
    let mut here = of_pair(look.policy, from, to).peekable();
    if here.peek().is_some() {
        return here.any(|entry| is_for(entry, &row.user));
    }
    let mut elsewhere = look.policy.provisions.iter().filter(|entry| &entry.from == from).peekable();
    elsewhere.peek().is_none() || elsewhere.any(|entry| is_for(entry, &row.user))
}

/// The entries between two directories, in the order of the file.
fn of_pair<'a>(policy: &'a Policy, from: &DirectoryId, to: &DirectoryId) -> impl Iterator<Item = &'a Provision> {
    policy.provisions.iter().filter(move |entry| &entry.from == from && &entry.to == to)
}

/// Whether an entry is for this person: by organizational unit, address and attributes.
fn is_for(entry: &Provision, user: &User) -> bool {
    entry.org_units.matches(user.org_unit.as_deref()) && entry.people.admits(Some(user))
}

/// Whether an entry takes this person: the first one between its two directories that is for somebody listed, and does
/// not leave them out as an outsider. A person is one entry's alone, or two would make and change one account.
pub(crate) fn is_taken(policy: &Policy, entry: &Provision, user: &User) -> bool {
    user.standing == Standing::Listed
        && could_take(policy, entry, user)
        && of_pair(policy, &entry.from, &entry.to)
            .find(|each| could_take(policy, each, user))
            .is_some_and(|first| first.id == entry.id)
}

fn could_take(policy: &Policy, entry: &Provision, user: &User) -> bool {
    is_for(entry, user) && !skips(policy, entry, user)
}

fn skips(policy: &Policy, entry: &Provision, user: &User) -> bool {
    entry.external == Outsiders::Skip && is_outsider(policy, user)
}

/// Whether it is this entry that says what becomes of the account of somebody who leaves.
///
/// The entry that takes the person by the last known row says it. Of somebody whom no entry takes any more nobody
/// knows by which entry the account came: then the mildest of all entries between the two directories holds that do
/// not leave the person out as an outsider; of equally mild ones that with the longest grace, then the first.
pub(crate) fn sees_off(policy: &Policy, entry: &Provision, row: &UserRow) -> bool {
    let user = &row.user;
    let all = || of_pair(policy, &entry.from, &entry.to);
    let mildness = |each: &&Provision| (harshness(on_leave(each, row)), Reverse(each.on_leave.grace));
    let taker = all().find(|each| could_take(policy, each, user));
    let says = taker.or_else(|| all().filter(|each| !skips(policy, each, user)).min_by_key(mildness));
    says.is_some_and(|says| says.id == entry.id)
}

/// What an entry does with the account of somebody with this row who leaves.
pub(crate) const fn on_leave(entry: &Provision, row: &UserRow) -> LeaveAction {
    match row.user.state {
        UserState::Suspended | UserState::Deactivated => entry.on_leave.suspended,
        UserState::Archived => entry.on_leave.archived,
        // Who has no such state is gone from the list or out of scope: that is as good as deleted.
        UserState::Deleted | UserState::Active | UserState::Pending | UserState::Uninvited => entry.on_leave.deleted,
    }
}

const fn harshness(way: LeaveAction) -> u8 {
    match way {
        LeaveAction::Keep => 0,
        LeaveAction::Suspend => 1,
        LeaveAction::Remove => 2,
        LeaveAction::Deactivate => 3,
    }
}

/// Whether the person's address is outside of the tenant's own domains.
pub(crate) fn is_outsider(policy: &Policy, user: &User) -> bool {
    user.email.as_ref().is_some_and(|email| policy.people.is_outsider(email))
}

/// The people of an entry who belong into its default groups: all that it takes, or the newcomers among them. Whether
/// they may work and are in scope is asked of their places.
pub(crate) fn of_entry(look: Look<'_>, entry: &Provision, joining: Joining, memory: &Memory, out: &mut Vec<u32>) {
    let is_taken = |slot: &u32| look.source.live(*slot).is_some_and(|row| is_taken(look.policy, entry, &row.user));
    match joining {
        Joining::All => out.extend((0..number(look.source.people.len())).filter(is_taken)),
        Joining::New => {
            let made = memory
                .newcomers
                .keys()
                .filter(|(target, source, _)| target == look.target.directory() && source == look.source.directory());
            out.extend(made.filter_map(|(_, _, person)| look.source.person_slot(person)).filter(is_taken));
        }
    }
}
