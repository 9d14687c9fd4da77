//! Who lays claim to an account.

use rustc_hash::FxHashMap;

/// By account: nearly always one person, now and then rivals.
#[derive(Debug, Default)]
pub(super) struct Claimants {
    /// `u32::MAX` where there is none.
    first: Vec<u32>,
    /// The others, looked up and never walked.
    rivals: FxHashMap<u32, Vec<u32>>,
}

impl Claimants {
    const NONE: u32 = u32::MAX;

    pub(super) fn of(&self, account: u32) -> impl Iterator<Item = u32> {
        let first = self.first.get(account as usize).copied().filter(|person| *person != Self::NONE);
        // There are rivals only where there is a first.
        let rivals = if first.is_some() && !self.rivals.is_empty() { self.rivals.get(&account) } else { None };
        first.into_iter().chain(rivals.into_iter().flatten().copied())
    }

    pub(super) fn add(&mut self, account: u32, person: u32) {
        if self.of(account).any(|each| each == person) {
            return;
        }
        if self.first.len() <= account as usize {
            self.first.resize(account as usize + 1, Self::NONE);
        }
        match self.first.get_mut(account as usize) {
            Some(first) if *first == Self::NONE => *first = person,
            _ => self.rivals.entry(account).or_default().push(person),
        }
    }

    pub(super) fn remove(&mut self, account: u32, person: u32) {
        let Some(first) = self.first.get_mut(account as usize) else { return };
        if *first == person {
            let next = self.rivals.get_mut(&account).and_then(Vec::pop);
            *first = next.unwrap_or(Self::NONE);
        } else if let Some(rivals) = self.rivals.get_mut(&account) {
            rivals.retain(|each| *each != person);
        }
        if self.rivals.get(&account).is_some_and(Vec::is_empty) {
            self.rivals.remove(&account);
        }
    }
}
