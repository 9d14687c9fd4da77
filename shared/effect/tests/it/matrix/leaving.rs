//! The rows of the matrix in which something or somebody leaves: groups that are deleted, accounts that are switched off
//! and on again. One after the other in one world: what a row leaves is what the next one finds.

use model::{AccountChange, AccountId, CommandBody, GroupId, Lane, StepResult};
use twin::engine::fault::FaultKind;

use super::{
    ALL_OWN, BY_PEOPLE, CROWD_GIVES, Cell, DONE, Door, Halts, Is, NO_ACCOUNTS, NO_PRODUCT, NOBODY, Not, OWNED, SO,
    TAKEN, hold,
};
use crate::world::{World, run};

/// The rows, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    RestoreWhoWorks,
    Deactivate,
    DeactivateAgain,
    Restore,
    DeactivateUnknownUser,
    RestoreUnknownUser,
    /// Too many calls, then room.
    DeactivateThrottled,
    DeactivateByBadCredential,
    DeleteDefaultGroup,
    DeleteAnothers,
    DeleteMissingGroup,
    DeleteByBadCredential,
    DeleteWithMember,
    DeleteEmptyGroup,
    DeleteGroupAgain,
}

const CUSTOMERS: Cell = Not("customers leave by the list, and their accounts are not ours");

/// SCIM and Data Center set a person's state, and nothing tells a repetition from a change. Bitbucket has no such state:
/// who leaves is taken out of what lets them in, and comes back with the groups. Data Center deletes a default group like
/// any other: what keeps it is the plan.
const MATRIX: [(Case, [Cell; 11]); 15] = [
    (Case::RestoreWhoWorks, [SO, DONE, NO_ACCOUNTS, NO_ACCOUNTS, CUSTOMERS, CUSTOMERS, DONE, DONE, SO, DONE, DONE]),
    (Case::Deactivate, [DONE, DONE, NO_ACCOUNTS, NO_ACCOUNTS, CUSTOMERS, CUSTOMERS, DONE, DONE, DONE, DONE, DONE]),
    (Case::DeactivateAgain, [SO, DONE, NO_ACCOUNTS, NO_ACCOUNTS, CUSTOMERS, CUSTOMERS, DONE, DONE, SO, DONE, DONE]),
    (Case::Restore, [DONE, DONE, NO_ACCOUNTS, NO_ACCOUNTS, CUSTOMERS, CUSTOMERS, DONE, DONE, SO, DONE, DONE]),
    (
        Case::DeactivateUnknownUser,
        [SO, NOBODY, NO_ACCOUNTS, NO_ACCOUNTS, CUSTOMERS, CUSTOMERS, NOBODY, NOBODY, SO, NOBODY, NOBODY],
    ),
    (
        Case::RestoreUnknownUser,
        [NOBODY, NOBODY, NO_ACCOUNTS, NO_ACCOUNTS, CUSTOMERS, CUSTOMERS, NOBODY, NOBODY, NOBODY, NOBODY, NOBODY],
    ),
    (
        Case::DeactivateThrottled,
        [DONE, DONE, NO_ACCOUNTS, NO_ACCOUNTS, CUSTOMERS, CUSTOMERS, DONE, DONE, SO, DONE, DONE],
    ),
    (
        Case::DeactivateByBadCredential,
        [Halts, Halts, NO_ACCOUNTS, NO_ACCOUNTS, CUSTOMERS, CUSTOMERS, Halts, Halts, Halts, Halts, Halts],
    ),
    (
        Case::DeleteDefaultGroup,
        [OWNED, ALL_OWN, OWNED, OWNED, BY_PEOPLE, NO_PRODUCT, DONE, DONE, DONE, CROWD_GIVES, CROWD_GIVES],
    ),
    (Case::DeleteAnothers, [OWNED, ALL_OWN, OWNED, OWNED, BY_PEOPLE, OWNED, OWNED, OWNED, OWNED, OWNED, OWNED]),
    (Case::DeleteMissingGroup, [SO, SO, SO, SO, BY_PEOPLE, SO, SO, SO, SO, SO, SO]),
    (Case::DeleteByBadCredential, [Halts, Halts, Halts, Halts, BY_PEOPLE, Halts, Halts, Halts, Halts, Halts, Halts]),
    // The organization keeps a group until it is empty (409-5); elsewhere its members go with it.
    (Case::DeleteWithMember, [TAKEN, DONE, DONE, DONE, BY_PEOPLE, DONE, DONE, DONE, DONE, DONE, DONE]),
    (Case::DeleteEmptyGroup, [DONE, DONE, DONE, DONE, BY_PEOPLE, DONE, DONE, DONE, DONE, DONE, DONE]),
    (Case::DeleteGroupAgain, [SO, SO, SO, SO, BY_PEOPLE, SO, SO, SO, SO, SO, SO]),
];

impl Door {
    /// What a change of an account comes to.
    async fn leaves(&self, world: &World, account: &str, change: AccountChange, is_refused: bool) -> Cell {
        let body = CommandBody::Account {
            account: Some(AccountId::new(account).unwrap()),
            person: AccountId::new(self.person).unwrap(),
            change,
            generation: 1,
        };
        self.told(world, body, is_refused).await
    }

    async fn deletes(&self, world: &World, group: &GroupId, is_refused: bool) -> Cell {
        let body = CommandBody::DeleteGroup { group: group.clone(), generation: 1 };
        self.told(world, body, is_refused).await
    }

    async fn told(&self, world: &World, body: CommandBody, is_refused: bool) -> Cell {
        let runner = if is_refused { &self.refused } else { &self.runner };
        let finished = run(runner, &world.job(Lane::Normal, body)).await;
        if finished.halted {
            assert_eq!(finished.outcome.result, StepResult::NotTried, "what is halted was not done");
            return Halts;
        }
        Is(finished.outcome.result)
    }

    /// What one of these rows comes to here.
    async fn left(&self, world: &World, case: Case) -> Cell {
        use AccountChange::{Deactivate, Restore};
        let member = self.member_named(world);
        let missing = GroupId::new(self.missing).unwrap();
        match case {
            Case::Restore | Case::RestoreWhoWorks => self.leaves(world, &member, Restore, false).await,
            Case::Deactivate | Case::DeactivateAgain => self.leaves(world, &member, Deactivate, false).await,
            Case::DeactivateUnknownUser => self.leaves(world, self.nobody, Deactivate, false).await,
            Case::RestoreUnknownUser => self.leaves(world, self.nobody, Restore, false).await,
            Case::DeactivateThrottled => {
                let throttle = || FaultKind::Throttle { retry_after: Some("0".to_owned()), shape: None };
                let family = if self.family == "atlassian.org" { "atlassian.users" } else { self.family };
                world.fault(family, "*", 2, throttle());
                self.leaves(world, &member, Deactivate, false).await
            }
            Case::DeactivateByBadCredential => self.leaves(world, &member, Restore, true).await,
            Case::DeleteDefaultGroup => self.deletes(world, self.default.as_ref().unwrap(), false).await,
            Case::DeleteAnothers => self.deletes(world, self.anothers.as_ref().unwrap(), false).await,
            Case::DeleteMissingGroup => self.deletes(world, &missing, false).await,
            Case::DeleteByBadCredential => self.deletes(world, &self.group, true).await,
            Case::DeleteWithMember => self.deletes(world, &self.group, false).await,
            Case::DeleteEmptyGroup => {
                let group = world.group(&self.runner, "short-lived").await;
                self.deletes(world, &group, false).await
            }
            Case::DeleteGroupAgain => {
                let group = world.group(&self.runner, "shorter-lived").await;
                assert_eq!(self.deletes(world, &group, false).await, DONE);
                self.deletes(world, &group, false).await
            }
        }
    }
}

#[tokio::test]
async fn whatever_leaves_does_so_once_and_every_refusal_has_its_class() {
    hold(&MATRIX, async |door, world, case| door.left(world, case).await).await;
}
