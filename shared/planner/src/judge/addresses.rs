//! Addresses that move from one account to another: whoever holds one gets a new one first.
//!
//! A directory refuses an address that another of its accounts has, and updates go in no particular order. So an update
//! waits until the holder was read with its new address. Where accounts wait for each other in a circle, one of them
//! steps aside, to an address that nobody has; what it should have is then as free as any other.

use std::collections::{BTreeMap, BTreeSet};

use model::{AccountId, DirectoryKind, Email};

use super::{
    Judge,
    accounts::{Entry, Task, task},
};
use crate::people::Found;

/// The attribute that holds the address.
pub(super) const ADDRESS: &str = "emails[primary].value";

/// What stands in the way of an update that moves an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum InTheWay {
    /// Another account that is to move first.
    Holder,
    /// A circle: this account steps aside to this address.
    Circle {
        /// Which nobody has.
        aside: String,
        /// Whether an address of the circle moves to another domain, so that a person is to look at all of it.
        changes_domain: bool,
    },
}

impl Judge<'_> {
    /// By account: what stands in the way of its new address. Accounts that may have theirs at once are left out.
    pub(super) fn in_the_way(&self, entries: &[Entry<'_>]) -> BTreeMap<u32, InTheWay> {
        if !matches!(self.kind, Some(DirectoryKind::AtlassianScim | DirectoryKind::AtlassianOrg)) {
            return BTreeMap::new();
        }
        let wanted = self.new_addresses(entries);
        // The account that has the address which this one is to get, if it moves on.
        let holder = |account: u32| {
            let address = wanted.get(&account)?;
            self.accounts.by_address(address.key()).find(|other| *other != account && wanted.contains_key(other))
        };
        let mut found = BTreeMap::new();
        for (account, address) in &wanted {
            let Some(first) = holder(*account) else { continue };
            let circle = circle(*account, first, holder);
            let is_next = circle.iter().min() == Some(account);
            let aside = if is_next { self.aside(*account, address) } else { None };
            let in_the_way = aside.map_or(InTheWay::Holder, |aside| InTheWay::Circle {
                aside,
                changes_domain: circle.iter().any(|at| wanted.get(at).is_some_and(|to| self.moves_domain(*at, to))),
            });
            found.insert(*account, in_the_way);
        }
        found
    }

    /// The new addresses of the accounts that get one now: whoever is never touched moves nowhere.
    fn new_addresses(&self, entries: &[Entry<'_>]) -> BTreeMap<u32, Email> {
        let mut wanted = BTreeMap::new();
        for Entry { provision, source, persons } in entries {
            let (Some(mirror), Some(pairing)) = (self.mirrors.get(*source), self.pairing(*source)) else { continue };
            for person in *persons {
                let place = pairing.place(*person);
                let Found::Account(account) = place.found else { continue };
                if self.spared_why(account).is_some() {
                    continue;
                }
                let task = task(self.policy, provision, mirror, self.accounts, place, *person);
                let Some(Task::Update(_, attributes)) = task else { continue };
                if let Some(address) = attributes.get(ADDRESS).and_then(|address| Email::new(address).ok()) {
                    wanted.insert(account, address);
                }
            }
        }
        wanted
    }

    /// An address that nobody has, in the domain that the account has one of; `None`: not a domain of ours, so it is not
    /// ours to make addresses in.
    fn aside(&self, account: u32, wanted: &Email) -> Option<String> {
        let now = self.accounts.live(account)?.user.email.as_ref()?;
        let ours =
            [now, wanted].into_iter().find(|email| self.policy.people.domains.iter().any(|it| it == email.domain()))?;
        let local: String = self
            .account(account)
            .map(AccountId::as_str)?
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(40)
            .collect();
        let address = Email::new(format!("rollcall-moves-{}@{}", local.to_ascii_lowercase(), ours.domain())).ok()?;
        let is_free = self.accounts.by_address(address.key()).next().is_none();
        is_free.then(|| address.as_written().to_owned())
    }

    pub(super) fn moves_domain(&self, account: u32, next: &Email) -> bool {
        let now = self.accounts.live(account).and_then(|row| row.user.email.as_ref());
        now.is_some_and(|now| now.domain() != next.domain())
    }
}

/// The accounts that wait for each other, this one among them; nobody where it waits for others only.
fn circle(account: u32, first: u32, holder: impl Fn(u32) -> Option<u32>) -> BTreeSet<u32> {
    let mut circle = BTreeSet::from([account]);
    let mut next = Some(first);
    while let Some(at) = next {
        if at == account {
            return circle;
        }
        if !circle.insert(at) {
            break;
        }
        next = holder(at);
    }
    BTreeSet::new()
}
