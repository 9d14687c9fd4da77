//! People whose account nobody can tell: said, for nothing is done about them, and so a target is not in sync.

use model::{AccountId, Standing, Wait, WaitWhy};
use policy::{LeaveAction, Policy, Provision, Who};

use super::{Judge, accounts::stays};
use crate::{
    mirror::Mirror,
    people::{Found, Look, Pairing, Place, on_leave, sees_off},
};

/// Somebody of whom nobody can say which account is theirs, though the entry would do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InDoubt {
    /// It would be made, or kept up to date.
    Stays,
    /// It would be taken away.
    Leaves,
}

/// Whether the entry would do something about the person if it were known which account is theirs. Decided by rows alone.
pub(super) fn doubt(
    policy: &Policy,
    provision: &Provision,
    source: &Mirror,
    place: Place,
    person: u32,
) -> Option<InDoubt> {
    let row = source.person(person)?.row.as_ref()?;
    if place.found != Found::Doubt || row.user.standing == Standing::Unlisted {
        return None;
    }
    if stays(policy, provision, place, &row.user) {
        return Some(InDoubt::Stays);
    }
    let leaves = sees_off(policy, provision, row) && on_leave(provision, row) != LeaveAction::Keep;
    leaves.then_some(InDoubt::Leaves)
}

impl Judge<'_> {
    /// Says that nobody knows which account is somebody's, unless a group that waits for them says so. Of who leaves it
    /// is worth a word only while some account that works may be theirs.
    pub(super) fn tell_doubt(
        &mut self,
        provision: &Provision,
        (source, person): (usize, u32),
        id: AccountId,
        doubt: InDoubt,
    ) {
        let is_told = self.out.waiting.contains_key(&(source, person));
        let matters = match doubt {
            // Who is to be a member of something waits there.
            InDoubt::Stays => provision.who != Who::Members,
            InDoubt::Leaves => self.may_still_work(source, person),
        };
        if is_told || !matters {
            return;
        }
        let blind = self.memory.blind.contains(&provision.from);
        let directory = provision.from.clone();
        let why = if blind { WaitWhy::SourceBlind { directory } } else { WaitWhy::Doubt };
        self.out.waits.push(Wait { group: None, person: Some(id), why, edges: 0 });
    }

    /// Whether one of the accounts that may be the person's works and is nobody else's for certain.
    fn may_still_work(&self, source: usize, person: u32) -> bool {
        let (Some(mirror), Some(pairing)) = (self.mirrors.get(source), self.pairing(source)) else { return false };
        let mut candidates = Vec::new();
        let look = Look { policy: self.policy, source: mirror, target: self.accounts };
        Pairing::candidates(look, person, &mut candidates);
        let works = |account: u32| {
            self.accounts.live(account).is_some_and(|row| row.user.state.works() && row.user.is_let_in())
        };
        candidates
            .into_iter()
            .any(|account| works(account) && pairing.person_of(account).is_none() && !self.target.spares(account))
    }
}
