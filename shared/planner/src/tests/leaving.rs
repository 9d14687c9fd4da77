//! How accounts go from an organization: in more than one step, and not at once.

use model::{AccountChange, UserState};

use super::people::{ORG, is_in_sync, swept, world};
use crate::testing::{World, acc, account_changes, dir, only};

#[test]
fn who_was_suspended_first_and_is_deleted_later_takes_the_path_of_that_state_too() {
    let ways = |entry: &str, managed: bool| {
        let mut world = world(ORG, &format!("on_leave = {{ {entry} }}\n"));
        let claim = if managed { "managed" } else { "unmanaged" };
        world.target.user("a-ann").attributes.insert("claimStatus".to_owned(), claim.to_owned());
        world.fill("eng", &["ann", "bob", "cho"]);
        world.converge();
        let mut steps = Vec::new();
        for state in [UserState::Suspended, UserState::Deleted] {
            world.source.user("ann").state = state;
            swept(&mut world);
            steps.extend(account_changes(&mut world).into_iter().map(|(_, change)| change.as_str()));
            world.converge();
            assert!(account_changes(&mut world).is_empty(), "{entry}: what was done is done");
        }
        steps
    };
    assert_eq!(ways("suspended = \"suspend\", deleted = \"remove\"", true), ["suspend", "remove"]);
    assert_eq!(ways("suspended = \"suspend\", deleted = \"deactivate\"", true), ["suspend", "deactivate"]);
    assert_eq!(ways("suspended = \"deactivate\", deleted = \"remove\"", true), ["deactivate", "remove"]);
    // Nobody may deactivate an account of a domain that is not claimed: it stays suspended.
    assert_eq!(ways("suspended = \"suspend\", deleted = \"deactivate\"", false), ["suspend"]);
    assert_eq!(ways("suspended = \"remove\", deleted = \"suspend\"", true), ["remove"], "and never back");
}

#[test]
fn an_organization_that_removes_from_a_queue_is_asked_once_and_counts_once() {
    let mut world = world(ORG, "on_leave = { suspended = \"remove\" }\n");
    world.converge();
    let suspend = |world: &mut World, state: UserState| {
        world.source.user("ann").state = state;
        swept(world);
    };
    let removed = [("ann".to_owned(), AccountChange::Remove)];
    suspend(&mut world, UserState::Suspended);
    assert_eq!(account_changes(&mut world), removed);
    // Accepted, and shown as a member for as long as the queue takes.
    let accept = |world: &mut World| {
        let decision = world.decide();
        world.memory.learn(&decision);
        world.memory.count(&dir("cloud"), only(&decision), world.now);
        world.memory.removing.insert((dir("cloud"), dir("workspace"), acc("ann")), world.now);
    };
    accept(&mut world);
    for _ in 0..3 {
        swept(&mut world);
        assert!(account_changes(&mut world).is_empty() && !is_in_sync(&mut world));
    }
    // Whatever takes a day is asked for again, and is still the same person's way out.
    world.tick(24 * 3600);
    swept(&mut world);
    assert_eq!(account_changes(&mut world), removed);
    accept(&mut world);
    assert_eq!(world.memory.window.len(), 1);
    // Who comes back before it is their turn is taken out anew the next time.
    suspend(&mut world, UserState::Active);
    let decision = world.decide();
    world.memory.learn(&decision);
    suspend(&mut world, UserState::Suspended);
    assert_eq!(account_changes(&mut world), removed);
    accept(&mut world);
    world.target.user("a-ann").state = UserState::Uninvited;
    swept(&mut world);
    assert!(account_changes(&mut world).is_empty() && is_in_sync(&mut world), "it is done");
}
