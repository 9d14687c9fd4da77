//! In which user directory of a Data Center instance people are made.

use model::{AccountChange, Rejection, StepResult};
use serde_json::json;

use crate::dc::{attributes, change, world};
use crate::world::World;

fn create(name: &str) -> AccountChange {
    AccountChange::Create { attributes: attributes(name) }
}

fn lookups(world: &World) -> u64 {
    let (families, _) = world.twin.twin.engine.counters.all();
    families["atlassian.dc.bitbucket"].get("directory.list").map_or(0, |it| it.calls)
}

/// The instance is asked before the first, and once; where the named one is not the one that it takes, nobody is made.
#[tokio::test]
async fn p2_12_bitbucket_makes_nobody_in_another_directory_than_the_one_that_is_named() {
    let world = world().await;
    world.edit_dc(json!({ "op": "directory", "instance": "bitbucket", "directory": "Second" }));
    for (named, told) in [("Second", "users are made in \"Internal\""), ("Third", "no active user directory")] {
        let finished = change(&world, &world.bitbucket_with(named), None, create("dan")).await;
        assert_eq!(finished.outcome.result, StepResult::Rejected(Rejection::Validation), "{named}");
        let text = &finished.answers[0].as_ref().unwrap().text;
        assert!(text.contains(told), "{text}");
    }
    assert_eq!(world.effects("user.create"), 0);
    let (runner, before) = (world.bitbucket_with("Internal"), lookups(&world));
    for name in ["dan", "eve"] {
        assert_eq!(change(&world, &runner, None, create(name)).await.outcome.result, StepResult::Done, "{name}");
    }
    assert_eq!((world.effects("user.create"), lookups(&world)), (2, before + 1));
    world.every_effect_was_admitted();
}
