//! A leaver's leads are handed over before the sign-in goes, whatever is cut off in between.

use effect::DcProduct;
use model::{AccountChange, AccountId};
use twin::engine::fault::FaultKind;

use crate::dc::{change, led, of, user, world};
use crate::world::run;

#[tokio::test]
async fn a_hand_over_that_is_cut_off_anywhere_is_finished_by_the_next() {
    let fault = || FaultKind::Reset { after: true };
    for (operation, skip) in [
        ("project.update", 0),
        ("project.update", 1),
        ("component.update", 0),
        ("user.update", 0),
        ("component.page", 0),
    ] {
        let world = world().await;
        led(&world);
        let runner = world.dc(DcProduct::Jira, "jira", None);
        let bob = AccountId::new(user(&world, "jira", "bob").0).unwrap();
        let cut = twin::engine::fault::Fault {
            times: Some(5),
            skip,
            ..twin::engine::fault::Fault::new("atlassian.dc.jira", operation, fault())
        };
        world.twin.twin.engine.faults.inject(cut);
        let hand_over = AccountChange::HandOver { project: Some("ann".to_owned()), component: Some("cat".to_owned()) };
        let first = change(&world, &runner, Some(&bob), hand_over.clone()).await.outcome.result;
        world.twin.twin.engine.faults.clear();
        // Whether the first came through or not: whoever takes over after a crash knows of a call that may have begun.
        let mut job = of(&world, Some(&bob), hand_over);
        job.begun_before = true;
        let again = run(&runner, &job).await.outcome.result;
        assert!(again.holds(), "after {operation}: {first:?}, then {again:?}");
        assert!(!user(&world, "jira", "bob").2, "after {operation}");
        let changes = world.effects("project.update") + world.effects("component.update");
        assert_eq!(changes, 4, "after {operation}: each lead is replaced once");
    }
}
