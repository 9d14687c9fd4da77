//! What protects a group (who administers through it, and what it gives) is told with the group, or the group is not told:
//! a row without it would be laid over the one that is protected.

use model::{Group, Reading};
use outbound::{ReadDirectory, Scope, Silent};
use serde_json::{Value, json};
use twin::engine::{Fault, FaultKind};

use super::{Stage, named};

const ORG: &str = "atlassian.org";

fn trouble() -> FaultKind {
    FaultKind::Fail { status: 503, after: false, plain: true }
}

/// So many groups that each listing takes more than one page.
async fn stage() -> Stage {
    let stage = Stage::new().await;
    let many: Vec<Value> = (0..230).map(|number| json!({"op": "group", "name": format!("many {number:03}")})).collect();
    stage.edit(Value::Array(many)).await;
    stage
}

/// The reading while this goes wrong.
async fn with(stage: &Stage, reader: &impl ReadDirectory, fault: Fault) -> Reading {
    let id = stage.running.twin.engine.faults.inject(fault);
    let reading = reader.sweep(&Scope::Nobody, &Silent).await.unwrap();
    assert!(stage.running.twin.engine.faults.remove(id));
    reading
}

/// Each group that is told is told as in a pass in which nothing went wrong.
fn told_as_before<'a>(reading: &'a Reading, before: &Reading) -> &'a [Group] {
    for group in &reading.groups.seen {
        assert_eq!(group, named(before, &group.name));
    }
    &reading.groups.seen
}

#[tokio::test]
async fn i04_a_listing_that_breaks_off_tells_its_groups_with_what_protects_them() {
    let stage = stage().await;
    let second = |family, operation| Fault { page: Some(2), ..Fault::new(family, operation, trouble()) };
    let before = stage.org().sweep(&Scope::Nobody, &Silent).await.unwrap();
    let reading = with(&stage, &stage.org(), second(ORG, "groups.search")).await;
    assert!(!reading.groups.complete && told_as_before(&reading, &before).len() == 100);
    let before = stage.jira().sweep(&Scope::Nobody, &Silent).await.unwrap();
    let reading = with(&stage, &stage.jira(), second("atlassian.jira", "group.bulk")).await;
    assert!(!reading.groups.complete && told_as_before(&reading, &before).len() == 50);
    let before = stage.wiki().sweep(&Scope::Nobody, &Silent).await.unwrap();
    let reading = with(&stage, &stage.wiki(), second("atlassian.confluence", "group.list")).await;
    assert!(!reading.groups.complete && told_as_before(&reading, &before).len() == 200);
}

#[tokio::test]
async fn i04_a_search_by_role_that_breaks_off_tells_no_group() {
    let stage = stage().await;
    let before = stage.org().sweep(&Scope::Nobody, &Silent).await.unwrap();
    assert!(named(&before, "helpers").grants_admin && named(&before, "jira-users-acme").default_access);
    // The listing takes three pages; then come the two searches by role, at once, and one for each product.
    for skip in [3, 4] {
        let reading = with(&stage, &stage.org(), Fault { skip, ..Fault::new(ORG, "groups.search", trouble()) }).await;
        assert!(!reading.groups.complete && reading.users.complete, "after {skip}");
        assert!(reading.groups.seen.is_empty(), "after {skip}");
    }
}

/// Which products a group gives is no protection, but seats are counted by it: what may give something waits until all of
/// it is known.
#[tokio::test]
async fn a_search_by_product_that_breaks_off_leaves_what_may_give_something_in_doubt() {
    let stage = stage().await;
    let workspaces = Fault::new(ORG, "workspaces.query", trouble());
    for fault in [Fault { skip: 5, ..Fault::new(ORG, "groups.search", trouble()) }, workspaces.clone()] {
        let reading = with(&stage, &stage.org(), fault).await;
        assert!(reading.groups.complete && named(&reading, "helpers").grants_admin);
        let users = named(&reading, "jira-users-acme");
        assert!(users.access_unread && users.default_access);
        assert!(!named(&reading, "eng").access_unread, "it gives nothing");
    }
    let users = named(&stage.org().sweep(&Scope::Nobody, &Silent).await.unwrap(), "jira-users-acme").clone();
    assert!(!users.access_unread);
    let id = stage.running.twin.engine.faults.inject(workspaces);
    assert!(stage.org().read_group(&users.id).await.is_err(), "also of a group that is read alone");
    assert!(stage.running.twin.engine.faults.remove(id));
    assert_eq!(stage.org().read_group(&users.id).await.unwrap(), Some(users));
}
