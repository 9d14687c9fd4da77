//! Explaining from the rows that the reconciler decides from.

use contract::ops;
use model::{
    AccountId, DirectoryId, Email, Group, GroupId, GroupsRead, Member, MemberKind, MembersRead, Reading, Role, Time,
    User, UsersRead,
};
use reqwest::StatusCode;
use store::directory::Pass;

use crate::world::{NOW, World, tenant};

/// A sweep that saw these people, and one group with these members.
fn sweep(at: i64, people: &[(&str, &str)], group: (&str, &str, Option<&str>), members: &[&str]) -> Reading {
    let account = |id: &str| AccountId::new(id).unwrap();
    let mut reading = Reading::begun(Time(at));
    reading.ended_at = Time(at + 1);
    let seen = people.iter().map(|(id, email)| User::new(account(id), Some(Email::new(email).unwrap()))).collect();
    reading.users = UsersRead { seen, complete: true, gone: Vec::new() };
    let mut row = Group::new(GroupId::new(group.0).unwrap(), group.1);
    row.email = group.2.map(|email| Email::new(email).unwrap());
    reading.groups = GroupsRead { seen: vec![row], complete: true, gone: Vec::new() };
    let seen = members.iter().map(|id| Member { kind: MemberKind::User(account(id)), role: Role::Member }).collect();
    reading.members.push(MembersRead {
        group: GroupId::new(group.0).unwrap(),
        seen,
        complete: true,
        began_at: Time(at),
    });
    reading
}

async fn read(world: &World, directory: &str, reading: &Reading) {
    let id = DirectoryId::new(directory).unwrap();
    let key = world.watcher.directory(&tenant(), &id).await.unwrap();
    world.watcher.commit_reading(None, &key, Pass::Sweep, reading, None, |_| Vec::new()).await.unwrap();
}

async fn ask(world: &World, query: &str) -> Vec<ops::Explanation> {
    let (status, answer) = world.get("viewer", &format!("/explain?{query}")).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    serde_json::from_value::<ops::ExplanationList>(answer).unwrap().explanations
}

#[tokio::test]
async fn the_first_missing_link_is_named_and_newer_rows_are_taken_in() {
    let world = World::start().await;
    let people = [("10", "pat@acme.com"), ("11", "bo@acme.com")];
    let team = ("g-eng", "team-eng", Some("team-eng@acme.com"));
    read(&world, "workspace", &sweep(NOW - 20, &people, team, &["10"])).await;
    // The target knows one of them, in no group yet.
    let accounts = [("a-10", "pat@acme.com")];
    let target = ("t-eng", "team-eng", None);
    read(&world, "cloud", &sweep(NOW - 10, &accounts, target, &[])).await;

    let pat = ask(&world, "person=PAT@acme.com&group=team-eng").await;
    assert_eq!((pat.len(), pat[0].has, pat[0].person.as_str()), (1, false, "10"));
    let last = pat[0].links.last().unwrap();
    assert_eq!((last.link.as_str(), last.holds), ("in-target-group", false), "{:?}", pat[0]);
    assert_eq!(pat[0].paths, ["g-eng"]);

    let bo = ask(&world, "person=11&group=team-eng&target=cloud").await;
    let last = bo[0].links.last().unwrap();
    assert_eq!((last.link.as_str(), last.holds), ("in-scope", false), "{:?}", bo[0]);
    assert!(ask(&world, "person=11&target=elsewhere&group=team-eng").await.is_empty());

    read(&world, "cloud", &sweep(NOW, &accounts, target, &["a-10"])).await;
    let pat = ask(&world, "person=pat@acme.com").await;
    assert_eq!((pat.len(), pat[0].has), (1, true));
    assert!(pat[0].links.iter().all(|link| link.holds), "{:?}", pat[0]);

    assert_eq!(world.get("viewer", "/explain?person=eve@acme.com").await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.get("viewer", "/explain").await.0, StatusCode::BAD_REQUEST);
    let rows = world.console_role.audit_page(&tenant(), None, 100).await.unwrap();
    let looked: Vec<_> = rows.iter().filter(|row| row.entry.verb == "person.explained").collect();
    assert_eq!(looked.len(), 4);
    assert!(looked.iter().all(|row| row.entry.actor == "viewer" && !row.entry.key.contains('@')));
}
