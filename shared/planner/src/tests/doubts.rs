//! People of whom nobody can say which account is theirs, and who are in no group that would say so.

use model::{Email, UserState};

use super::people::{JIRA, ORG, SCIM, doubts, is_in_sync, newcomer, swept, world};
use crate::testing::{acc, account_changes};

#[test]
fn who_is_in_doubt_and_in_no_group_is_told_of_and_nothing_is_in_sync() {
    for kind in [SCIM, JIRA, ORG] {
        let mut world = world(kind, "");
        let mut other = model::User::new(acc("a-ann-admin"), Email::new("ann@acme.com").ok());
        other.attributes.insert("userName".to_owned(), "ann-admin".to_owned());
        world.target.users.insert(acc("a-ann-admin"), other);
        swept(&mut world);
        assert_eq!((doubts(&mut world), is_in_sync(&mut world)), (vec!["ann".to_owned()], false), "{kind}");
        // Who leaves: one of the two accounts lets her in, and nobody knows which.
        world.source.user("ann").state = UserState::Suspended;
        world.sweep_source();
        assert_eq!((doubts(&mut world), is_in_sync(&mut world)), (vec!["ann".to_owned()], false), "{kind}");
        assert!(account_changes(&mut world).is_empty());
        // Once neither works, there is nothing to tell.
        for account in ["a-ann", "a-ann-admin"] {
            world.target.user(account).state = UserState::Deactivated;
        }
        world.sweep_target();
        assert_eq!((doubts(&mut world), is_in_sync(&mut world)), (vec![], true), "{kind}");
    }
}

#[test]
fn who_is_hired_again_under_an_address_that_a_leaver_s_account_has_is_told_of() {
    let mut world = world(SCIM, "");
    world.converge();
    world.source.user("ann").state = UserState::Suspended;
    world.converge();
    world.source.users.remove(&acc("ann"));
    newcomer(&mut world, "ann-2", "ann@acme.com");
    swept(&mut world);
    assert_eq!((doubts(&mut world), is_in_sync(&mut world)), (vec!["ann-2".to_owned()], false));
    // Who leaves again has nothing that could be theirs: the account is for certain somebody else's.
    world.source.user("ann-2").state = UserState::Suspended;
    swept(&mut world);
    assert_eq!((doubts(&mut world), is_in_sync(&mut world)), (vec![], true));
}

#[test]
fn a_doubt_is_told_once_and_only_of_whom_an_entry_takes() {
    let twice = |entry: &str| {
        let mut world = world(SCIM, entry);
        world.target.users.insert(acc("a-2"), model::User::new(acc("a-2"), Email::new("ann@acme.com").ok()));
        world
    };
    let mut member = twice("");
    member.fill("eng", &["ann"]);
    swept(&mut member);
    assert_eq!(doubts(&mut member), ["ann"], "the group that waits for her says so");
    let mut outside = twice("people = [\"b*\"]\non_leave = { deleted = \"keep\", suspended = \"keep\" }\n");
    swept(&mut outside);
    assert!(doubts(&mut outside).is_empty());
    let mut members = twice("who = \"members\"\n");
    swept(&mut members);
    assert!(doubts(&mut members).is_empty(), "she is to be a member of nothing");
}
