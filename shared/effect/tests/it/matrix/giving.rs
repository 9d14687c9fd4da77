//! The rows of the matrix in which a group is to give something: a product, or a portal.

use model::{Access, EdgeOp, GroupId, Rejection, StepResult};
use twin::engine::fault::FaultKind;

use super::{ALL_OWN, Cell, DESKS_OWN, DONE, Door, Halts, Is, NO_GROUP, Not, SEATS, hold};
use crate::world::{World, portal, product, run};

/// The rows, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Grant,
    GrantAgain,
    /// Too many calls, then room.
    GrantThrottled,
    GrantToUnknownGroup,
    GrantOfAnothersGroup,
    /// No such product, no such desk.
    GrantWhatIsNotThere,
    GrantAdministration,
    GrantByBadCredential,
    /// What was refused keeps nobody out.
    AddAfterwards,
}

const REFUSED: Cell = Is(StepResult::Rejected(Rejection::Validation));
const GIVES_NOTHING: Cell = Not("nothing is given here, so whose group it is makes no difference");

/// Only an organization gives products and only an organization of customers a portal; both take a repetition as done
/// (reference/atlassian-cloud.md §1.6, §6). Everywhere else it is refused before a call, so that a credential that is
/// none is not noticed. That an organization lets what an identity provider owns give a product is its default (§15).
const MATRIX: [(Case, [Cell; 11]); 9] = [
    (Case::Grant, only(DONE, DONE, REFUSED)),
    (Case::GrantAgain, only(DONE, DONE, REFUSED)),
    (Case::GrantThrottled, only(DONE, DONE, REFUSED)),
    (Case::GrantToUnknownGroup, only(NO_GROUP, NO_GROUP, REFUSED)),
    (
        Case::GrantOfAnothersGroup,
        [
            DONE,
            ALL_OWN,
            GIVES_NOTHING,
            GIVES_NOTHING,
            DESKS_OWN,
            DONE,
            GIVES_NOTHING,
            GIVES_NOTHING,
            GIVES_NOTHING,
            GIVES_NOTHING,
            GIVES_NOTHING,
        ],
    ),
    (Case::GrantWhatIsNotThere, [REFUSED; 11]),
    (Case::GrantAdministration, [REFUSED; 11]),
    (Case::GrantByBadCredential, only(Halts, Halts, REFUSED)),
    // The organization's group really gives the product now, of which no seat is left.
    (Case::AddAfterwards, only(SEATS, DONE, DONE)),
];

/// A row in which the organization and organizations of customers have cells of their own.
const fn only(organization: Cell, customers: Cell, others: Cell) -> [Cell; 11] {
    let o = others;
    [organization, o, o, o, o, customers, o, o, o, o, o]
}

impl Door {
    fn is_of_customers(&self) -> bool {
        self.family == "atlassian.servicedesk"
    }

    fn access(&self) -> Access {
        if self.is_of_customers() { portal("HELP") } else { product("jira-software", "atlassian/user") }
    }

    async fn grants(&self, world: &World, group: &GroupId, access: &Access, is_refused: bool) -> Cell {
        let runner = if is_refused { &self.refused } else { &self.runner };
        let finished = run(runner, &world.grant(group, access)).await;
        if finished.halted {
            assert_eq!(finished.outcome.result, StepResult::NotTried, "what is halted was not done");
            return Halts;
        }
        Is(finished.outcome.result)
    }

    /// What one of these rows comes to here.
    async fn given(&self, world: &World, case: Case) -> Cell {
        let access = self.access();
        match case {
            Case::Grant | Case::GrantAgain => self.grants(world, &self.group, &access, false).await,
            Case::GrantThrottled => {
                let throttle = FaultKind::Throttle { retry_after: Some("0".to_owned()), shape: None };
                world.fault(self.family, "*", 2, throttle);
                let came_to = self.grants(world, &self.group, &access, false).await;
                world.twin.twin.engine.faults.clear();
                came_to
            }
            Case::GrantToUnknownGroup => self.grants(world, &GroupId::new(self.missing).unwrap(), &access, false).await,
            Case::GrantOfAnothersGroup => self.grants(world, self.anothers.as_ref().unwrap(), &access, false).await,
            Case::GrantWhatIsNotThere => {
                let nothing =
                    if self.is_of_customers() { portal("NONE") } else { product("no-such", "atlassian/user") };
                self.grants(world, &self.group, &nothing, false).await
            }
            Case::GrantAdministration => {
                self.grants(world, &self.group, &product("jira-software", "atlassian/admin"), false).await
            }
            Case::GrantByBadCredential => self.grants(world, &self.group, &access, true).await,
            Case::AddAfterwards => self.edge(world, &self.group, &self.stranger, EdgeOp::Add).await,
        }
    }
}

#[tokio::test]
async fn what_a_group_is_to_give_is_given_once_and_every_refusal_has_its_class() {
    hold(&MATRIX, async |door, world, case| door.given(world, case).await).await;
}

/// Where an identity provider's groups may not be changed, theirs is what they give, too.
#[tokio::test]
async fn a_group_that_an_identity_provider_keeps_to_itself_gives_nothing_by_us() {
    let world = World::start().await;
    let door = super::open(&world, super::Api::Organization).await;
    world.twin.twin.world().atlassian.switches.org_roles_on_external_groups = false;
    assert_eq!(door.given(&world, Case::GrantOfAnothersGroup).await, super::OWNED);
    assert_eq!(door.given(&world, Case::Grant).await, DONE);
}
