use std::collections::BTreeSet;

use model::{
    Answer, Corroboration, DirectoryId, Fact, Group, LinkHow, Member, MemberKind, ReadScope, Role as MemberRole, Span,
    Standing, Time,
};
use store::Schema;
use store::directory::{Pass, Wish};
use store::plan::{PersonLinkRow, PinRow, Turn};

use crate::world::{World, account, group, id, member, no_messages, reading, sweep, tenant, user, walk};

/// The members of a group that hold now, by the mirror.
async fn now_in(world: &World, of: &str) -> BTreeSet<String> {
    let directory = world.directory().await;
    let members = world.watcher.members_at(&directory, &group(of), Time(i64::MAX - 1)).await.unwrap();
    members.iter().map(|member| member.kind.id().to_owned()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn i02_a_partial_read_never_removes_and_a_complete_one_does() {
    let world = World::start().await;
    let directory = world.directory().await;
    let commit = async |pass, reading| {
        world.watcher.commit_reading(None, &directory, pass, &reading, None, no_messages).await.unwrap()
    };
    let first = commit(Pass::Sweep, sweep(10, &["ann", "bob"], &[("g", &["ann", "bob"])])).await;
    assert!(first.whole && first.is_news());
    assert_eq!((first.members_added, first.users.len(), first.groups.len()), (2, 2, 1));

    // A partial walk that sees one other person, a sweep that broke off after one user: nobody is gone.
    let partial = commit(Pass::Targeted, walk(20, "g", &["cid"], false)).await;
    assert_eq!((partial.members_added, partial.members_removed), (1, 0));
    let mut broken = sweep(30, &["ann"], &[]);
    (broken.users.complete, broken.groups.complete) = (false, false);
    let broken = commit(Pass::Sweep, broken).await;
    assert_eq!((broken.users_gone, broken.groups_gone), (0, 0));
    assert_eq!(now_in(&world, "g").await, set(&["ann", "bob", "cid"]));
    let delta = world.reconciler.delta_since(&directory, 0, Time(40)).await.unwrap();
    let list = delta.reads.iter().find(|read| read.scope == ReadScope::Users).unwrap();
    assert!(!list.complete && list.complete_began_at == Some(Time(10)), "the list is marked as not completely read");
    let walked = delta.reads.iter().find(|read| read.scope == ReadScope::Members(group("g"))).unwrap();
    assert!(!walked.complete && walked.digest.is_none());

    let complete = commit(Pass::Targeted, walk(50, "g", &["cid"], true)).await;
    assert_eq!(complete.members_removed, 2);
    assert_eq!(complete.member_groups, [group("g")]);
    assert_eq!(now_in(&world, "g").await, set(&["cid"]));
    let before = world.watcher.members_at(&directory, &group("g"), Time(25)).await.unwrap();
    assert_eq!(before.len(), 3, "who was in the group then is still known");
}

#[tokio::test]
async fn i02_an_older_read_changes_nothing_about_what_a_newer_one_saw() {
    let world = World::start().await;
    let directory = world.directory().await;
    let commit = async |pass, reading| {
        world.watcher.commit_reading(None, &directory, pass, &reading, None, no_messages).await.unwrap()
    };
    commit(Pass::Sweep, sweep(10, &["ann", "bob"], &[("g", &["ann"])])).await;
    // Read again one by one at 50, while a sweep that began at 20 is still under way.
    let mut targeted = walk(50, "g", &["bob"], true);
    targeted.users.gone.push(account("ann"));
    commit(Pass::Targeted, targeted).await;
    let late = commit(Pass::Sweep, sweep(20, &["ann", "bob"], &[("g", &["ann"])])).await;
    assert_eq!(late.outdated, 1);
    assert_eq!(now_in(&world, "g").await, set(&["bob"]));
    let delta = world.reconciler.delta_since(&directory, 0, Time(60)).await.unwrap();
    let ann = delta.users.iter().find(|row| row.user.id == account("ann")).unwrap();
    assert_eq!(ann.gone_at, Some(Time(51)), "proven gone at 50, listed at 20: gone");
}

#[tokio::test]
async fn copy_and_arrays_come_to_the_same_rows() {
    let world = World::start().await;
    let directory = world.directory().await;
    let names: Vec<String> = (0..1_000).map(|n| format!("u{n:04}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let group_names: Vec<String> = (0..300).map(|n| format!("g{n:03}")).collect();
    let groups: Vec<(&str, &[&str])> =
        group_names.iter().enumerate().map(|(n, name)| (name.as_str(), &all[n..n + 20])).collect();
    let bulk = sweep(10, &all, &groups);
    let committed =
        world.watcher.commit_reading(None, &directory, Pass::Sweep, &bulk, None, no_messages).await.unwrap();
    assert_eq!((committed.members_added, committed.users.len(), committed.groups.len()), (6_000, 1_000, 300));

    // The same in another directory, one group and a few users at a time.
    let other = world.watcher.directory(&tenant(), &id("other")).await.unwrap();
    let mut singles = Vec::new();
    for read in &bulk.members {
        let mut single = reading(10);
        single.members.push(read.clone());
        singles.push(single);
    }
    for part in singles.chunks(7) {
        world.watcher.commit_readings(None, &other, Pass::Targeted, part, None, no_messages).await.unwrap();
    }
    let one = world.reconciler.delta_since(&directory, 0, Time(99)).await.unwrap();
    let two = world.reconciler.delta_since(&other, 0, Time(99)).await.unwrap();
    assert_eq!(one.members, two.members);
    let digests = |delta: &model::Delta| -> Vec<_> {
        delta
            .reads
            .iter()
            .filter(|r| matches!(r.scope, ReadScope::Members(_)))
            .map(|r| (r.scope.clone(), r.digest))
            .collect()
    };
    assert_eq!(digests(&one), digests(&two));

    // Shift every group by one person through COPY: as many ends as beginnings, and nothing else.
    let shifted: Vec<(&str, &[&str])> =
        group_names.iter().enumerate().map(|(n, name)| (name.as_str(), &all[n + 1..n + 21])).collect();
    let second = sweep(100, &all[..900], &shifted[..299]);
    let committed =
        world.watcher.commit_reading(None, &directory, Pass::Sweep, &second, None, no_messages).await.unwrap();
    assert_eq!((committed.members_added, committed.members_removed), (299, 299));
    assert_eq!((committed.users_gone, committed.groups_gone), (100, 1));
    // What a group's digest says in the mirror is what its rows say.
    let delta = world.reconciler.delta_since(&directory, 0, Time(200)).await.unwrap();
    let first = delta.reads.iter().find(|r| r.scope == ReadScope::Members(group("g000"))).unwrap();
    let rows: Vec<&str> = delta
        .members
        .iter()
        .filter(|m| m.group == group("g000") && m.gone_at.is_none())
        .map(|m| m.member.id())
        .collect();
    assert_eq!(first.digest, Some(model::members_digest(rows)));
    assert_eq!((first.rows, first.rows_before), (20, 20));
}

/// What is not dealt with waits, for a person, a letter or the end of a grace, and a start must not forget it.
#[tokio::test]
async fn what_ended_long_ago_is_remembered_where_something_refers_to_it() {
    let world = World::start().await;
    let directory = world.directory().await;
    let cloud = world.watcher.directory(&tenant(), &id("cloud")).await.unwrap();
    let commit = async |key, reading| {
        world.watcher.commit_reading(None, key, Pass::Sweep, &reading, None, no_messages).await.unwrap();
    };
    let lease = world.lease(&world.reconciler, "reconciler/acme").await;
    let link = |person: &str, name: &str| PersonLinkRow {
        source: id("workspace"),
        person: account(person),
        target: id("cloud"),
        account: account(name),
        behind: None,
        how: LinkHow::Email,
        linked_at: Time(5),
    };
    let pin = |name: &str, source: Option<&str>| PinRow {
        target: id("cloud"),
        name: name.to_owned(),
        group: group(&format!("c-{name}")),
        how: LinkHow::Adopted,
        equal_once: true,
        source: source.map(|source| (id("workspace"), group(source))),
        pinned_at: Time(5),
    };
    let turn = Turn {
        links: vec![link("ann", "a-ann"), link("bob", "a-bob"), link("dan", "a-dan")],
        pins: vec![pin("eng", Some("eng")), pin("all", Some("top")), pin("was", Some("was"))],
        ..Turn::default()
    };
    world.reconciler.commit_turn(&lease, &tenant(), &turn).await.unwrap();
    let all = ["ann", "bob", "cid", "dan"];
    let mut first = sweep(10, &all, &[("eng", &all), ("ops", &all), ("below", &["dan"]), ("was", &[]), ("old", &[])]);
    let mut top = walk(10, "top", &[], true);
    top.members[0].seen.push(Member { kind: MemberKind::Group(group("below")), role: MemberRole::Member });
    first.groups.seen.push(Group::new(group("top"), "top"));
    first.members.extend(top.members);
    commit(&directory, first).await;
    // At the target two are still in what they were taken out of at the source.
    commit(&cloud, sweep(10, &["a-ann", "a-bob", "a-dan"], &[("c-eng", &["a-ann"]), ("c-all", &["a-dan"])])).await;
    // Ann, bob and cid are gone, dan left a group below; two groups are gone, of which one filled another.
    commit(&directory, sweep(20, &["dan"], &[("eng", &["dan"]), ("ops", &["dan"]), ("below", &[]), ("top", &[])]))
        .await;
    let days = |days: u64| Time(20).plus(Span::from_secs(days * 24 * 3600));
    let delta = world.reconciler.delta_since(&directory, 0, days(40)).await.unwrap();
    let people: Vec<&str> =
        delta.users.iter().filter(|row| row.gone_at.is_some()).map(|row| row.user.id.as_str()).collect();
    assert_eq!(people, ["ann", "bob"], "nobody asks for cid any more");
    let groups: Vec<&str> =
        delta.groups.iter().filter(|row| row.gone_at.is_some()).map(|row| row.group.id.as_str()).collect();
    assert_eq!(groups, ["was"]);
    let gone = delta.members.iter().filter(|row| row.gone_at.is_some());
    let members: Vec<String> = gone.map(|row| format!("{}/{}", row.group, row.member.id())).collect();
    assert_eq!(members, ["below/dan", "eng/ann", "top/below"], "of those who are still in what these groups fill");
    // What is newer than a version comes whole, as ever; and the target remembers the accounts.
    let later = world.reconciler.delta_since(&directory, 1, days(40)).await.unwrap();
    assert!(later.users.iter().any(|row| row.user.id == account("cid")));
    commit(&cloud, sweep(30, &["a-ann"], &[("c-all", &[])])).await;
    let there = world.reconciler.delta_since(&cloud, 0, days(40)).await.unwrap();
    assert_eq!((there.users.len(), there.groups.len()), (3, 2), "two accounts and a pinned group that are gone");
}

/// What the source lost is counted from what the last decision knew, however often it was read since.
#[tokio::test]
async fn i03_a_loss_that_nobody_decided_upon_stays_a_loss() {
    let world = World::start().await;
    let directory = world.directory().await;
    let all: Vec<String> = (0..20).map(|n| format!("u{n:02}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let lease = world.lease(&world.reconciler, "reconciler/acme").await;
    let commit = async |at: i64, count: usize| {
        let reading = sweep(at, &all[..count], &[("g", &all[..count])]);
        world.watcher.commit_reading(None, &directory, Pass::Sweep, &reading, None, no_messages).await.unwrap().version
    };
    let rows = async |at: i64| {
        let delta = world.reconciler.delta_since(&directory, 0, Time(at)).await.unwrap();
        let of =
            |scope: ReadScope| delta.reads.iter().find(|r| r.scope == scope).map(|r| (r.rows, r.rows_before)).unwrap();
        (of(ReadScope::Users), of(ReadScope::Members(group("g"))))
    };
    let first = commit(10, 20).await;
    let decided = async |version: u64| {
        let turn = Turn { at: Time(11), progress: vec![(directory.directory.clone(), version)], ..Turn::default() };
        world.reconciler.commit_turn(&lease, &tenant(), &turn).await.unwrap();
    };
    decided(first).await;
    commit(20, 5).await;
    let third = commit(30, 5).await;
    assert_eq!(rows(40).await, ((5, 20), (5, 20)), "read twice, decided upon never");
    decided(third).await;
    commit(50, 5).await;
    assert_eq!(rows(60).await, ((5, 5), (5, 5)), "decided upon");
}

#[tokio::test]
async fn a_sweep_without_news_moves_marks_and_no_rows() {
    let world = World::start().await;
    let directory = world.directory().await;
    let first = sweep(10, &["ann"], &[("g", &["ann"])]);
    let v1 =
        world.watcher.commit_reading(None, &directory, Pass::Sweep, &first, None, no_messages).await.unwrap().version;
    let mut again = walk(20, "g", &["ann"], true);
    again.users.seen.push(user("ann"));
    let v2 = world.watcher.commit_reading(None, &directory, Pass::Targeted, &again, None, no_messages).await.unwrap();
    assert!(!v2.is_news() && v2.version > v1);
    let delta = world.reconciler.delta_since(&directory, v1, Time(30)).await.unwrap();
    assert!(delta.users.is_empty() && delta.members.is_empty() && delta.groups.is_empty());
    assert_eq!(delta.reads.len(), 1, "the fresher mark reaches the mirror");
    assert_eq!(delta.reads[0].complete_began_at, Some(Time(20)));
    assert_eq!(delta.version, v2.version);
}

#[tokio::test]
async fn i01_versions_under_concurrency_show_every_row_up_to_them() {
    let world = World::start().await;
    let directory = world.directory().await;
    let tasks: Vec<_> = (0..8_i64)
        .map(|task| {
            let (store, directory) = (world.watcher.clone(), directory.clone());
            tokio::spawn(async move {
                let mut versions = Vec::new();
                for n in 0..25_i64 {
                    let name = format!("g{task}-{n}");
                    let walk = walk(10 + n, &name, &["ann"], true);
                    let done =
                        store.commit_reading(None, &directory, Pass::Targeted, &walk, None, no_messages).await.unwrap();
                    versions.push(done.version);
                }
                versions
            })
        })
        .collect();
    // Whoever reads meanwhile, delta upon delta, has everything at the end.
    let (mut version, mut seen) = (0, BTreeSet::new());
    while version < 200 {
        let delta = world.reconciler.delta_since(&directory, version, Time(99)).await.unwrap();
        assert!(delta.version >= version);
        version = delta.version;
        for row in delta.members {
            assert!(seen.insert(row.group.clone()), "each row is told once");
        }
        tokio::task::yield_now().await;
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all.sort_unstable();
    assert_eq!(all, (1..=200).collect::<Vec<u64>>(), "no version twice, none left out");
    assert_eq!(seen.len(), 200);
}

#[tokio::test]
async fn a_person_who_comes_back_is_told_as_present() {
    let world = World::start().await;
    let directory = world.directory().await;
    for (at, members) in [(10, &["ann", "bob"][..]), (20, &["bob"]), (30, &["ann", "bob"])] {
        let walk = walk(at, "g", members, true);
        world.watcher.commit_reading(None, &directory, Pass::Targeted, &walk, None, no_messages).await.unwrap();
    }
    let delta = world.reconciler.delta_since(&directory, 1, Time(40)).await.unwrap();
    let ann: Vec<_> = delta.members.iter().filter(|m| m.member.id() == "ann").collect();
    assert_eq!(ann.len(), 1);
    assert_eq!(ann[0].gone_at, None);
    let at = async |time| world.watcher.members_at(&directory, &group("g"), Time(time)).await.unwrap().len();
    assert_eq!((at(15).await, at(25).await, at(35).await), (2, 1, 2));
}

#[tokio::test]
async fn people_of_other_domains_are_not_gone_because_a_list_does_not_name_them() {
    let world = World::start().await;
    let directory = world.directory().await;
    let mut first = sweep(10, &["ann"], &[("g", &["ann", "guest"])]);
    let mut guest = user("guest");
    guest.standing = Standing::Unlisted;
    first.users.seen.push(guest.clone());
    world.watcher.commit_reading(None, &directory, Pass::Sweep, &first, None, no_messages).await.unwrap();
    let done = world
        .watcher
        .commit_reading(
            None,
            &directory,
            Pass::Sweep,
            &sweep(20, &["ann"], &[("g", &["ann", "guest"])]),
            None,
            no_messages,
        )
        .await
        .unwrap();
    assert_eq!(done.users_gone, 0);
    // And a listed person who is seen as a mere member stays listed.
    let mut targeted = walk(30, "g", &["ann", "guest"], true);
    let mut ann = user("ann");
    ann.standing = Standing::Unlisted;
    targeted.users.seen.push(ann);
    let done =
        world.watcher.commit_reading(None, &directory, Pass::Targeted, &targeted, None, no_messages).await.unwrap();
    assert!(done.users.is_empty());
}

#[tokio::test]
async fn answers_reach_the_mirror_and_close_the_question() {
    let world = World::start().await;
    let directory = world.directory().await;
    let fact = Fact::Member { directory: id("workspace"), group: group("g"), user: account("a/b%") };
    let lease = world.lease(&world.reconciler, "reconciler/acme").await;
    let turn = store::plan::Turn { at: Time(100), needs: vec![fact.clone()], ..Default::default() };
    world.reconciler.commit_turn(&lease, &tenant(), &turn).await.unwrap();
    assert_eq!(world.watcher.open_needs(&directory, 10).await.unwrap(), [(fact.clone(), Time(100))]);
    let answer = |at| Corroboration { fact: fact.clone(), answer: Answer::Gone, read_at: Time(at) };
    // An answer from before the question is none.
    world.watcher.commit_answers(None, &directory, &[answer(99)], &[], None, no_messages).await.unwrap();
    assert_eq!(world.watcher.open_needs(&directory, 10).await.unwrap().len(), 1);
    let done = world.watcher.commit_answers(None, &directory, &[answer(101)], &[], None, no_messages).await.unwrap();
    assert!(done.is_news());
    assert!(world.watcher.open_needs(&directory, 10).await.unwrap().is_empty());
    let delta = world.reconciler.delta_since(&directory, done.version - 1, Time(200)).await.unwrap();
    assert_eq!(delta.corroborations, [answer(101)]);
}

#[tokio::test]
async fn a_wish_is_kept_once_and_a_directory_stays_the_one_it_was() {
    let world = World::start().await;
    let directory = world.directory().await;
    let wish = |due| Wish {
        id: 0,
        place: "user/ann".to_owned(),
        asked_at: Time(1),
        asked_by: "push".to_owned(),
        traceparent: None,
        due_at: Time(due),
    };
    world.console.wish(&directory, &[wish(5), wish(9)]).await.unwrap();
    assert!(world.watcher.wishes(&directory, Time(4), 10).await.unwrap().is_empty());
    let due = world.watcher.wishes(&directory, Time(5), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    world.watcher.wishes_done(&[due[0].id], Time(6)).await.unwrap();
    world.watcher.wish(&directory, &[wish(7)]).await.unwrap();
    assert_eq!(world.watcher.wishes(&directory, Time(8), 10).await.unwrap().len(), 1, "asked again after it was read");

    world.watcher.pin_directory(&directory, "C01").await.unwrap();
    world.watcher.pin_directory(&directory, "C01").await.unwrap();
    let error = world.watcher.pin_directory(&directory, "C02").await.unwrap_err();
    assert!(matches!(error, store::StoreError::OtherDirectory { .. }));
}

#[tokio::test]
async fn what_no_text_can_hold_does_not_stop_a_commit() {
    let world = World::start().await;
    let directory = world.directory().await;
    let mut odd = walk(10, "g", &["ann"], true);
    odd.members[0].seen.push(model::Member { kind: MemberKind::Other("a\0b".to_owned()), role: model::Role::Member });
    let mut named = user("ann");
    named.display_name = Some("nul \0 and \u{FFFF}".to_owned());
    odd.users.seen.push(named.clone());
    world.watcher.commit_reading(None, &directory, Pass::Targeted, &odd, None, no_messages).await.unwrap();
    let delta = world.reconciler.delta_since(&directory, 0, Time(20)).await.unwrap();
    assert_eq!(delta.users[0].user, named);
    assert_eq!(delta.members.len(), 2);
    assert_eq!(member("ann").kind.id(), "ann");
}

#[tokio::test]
async fn the_oldest_commit_that_no_decision_knows_is_told_with_the_versions() {
    let world = World::start().await;
    let directory = world.directory().await;
    let undecided = async || {
        let versions = world.reconciler.directory_versions(&tenant()).await.unwrap();
        versions.iter().find(|of| of.directory == directory.directory).and_then(|of| of.undecided_since)
    };
    let commit = async |at: i64| {
        let mut read = walk(at, "g", &["ann"], true);
        read.ended_at = Time(at + 1);
        world.watcher.commit_reading(None, &directory, Pass::Targeted, &read, None, no_messages).await.unwrap().version
    };
    assert_eq!(undecided().await, None);
    let first = commit(10).await;
    let second = commit(20).await;
    assert_eq!(undecided().await, Some(Time(11)));
    let lease = world.lease(&world.reconciler, "reconciler/acme").await;
    let decided = |version| Turn { progress: vec![(directory.directory.clone(), version)], ..Turn::default() };
    for (version, expected) in [(first, Some(Time(21))), (second, None)] {
        world.reconciler.commit_turn(&lease, &tenant(), &decided(version)).await.unwrap();
        assert_eq!(undecided().await, expected);
    }
    // What is decided is pruned, what is not stays.
    commit(30).await;
    let late = Time::from_secs(3600);
    world.watcher.prune(Schema::Directory, Span::from_secs(1), late, 100).await.unwrap();
    assert_eq!(world.count("select count(*) from directory.commit").await, 1);
    assert_eq!(undecided().await, Some(Time(31)));
}

#[tokio::test]
async fn the_traces_of_what_is_undecided_are_told() {
    let world = World::start().await;
    let directory = world.directory().await;
    let commit = async |at: i64, who: &[&str], trace: Option<&str>| {
        let read = walk(at, "g", who, true);
        world.watcher.commit_reading(None, &directory, Pass::Targeted, &read, trace, no_messages).await.unwrap().version
    };
    let traces = async |up_to: u64, most| {
        let up_to = [(directory.directory.clone(), up_to), (DirectoryId::new("nobody-reads-it").unwrap(), 9)];
        let traces = world.reconciler.undecided_traces(&tenant(), &up_to, most).await.unwrap();
        traces.into_iter().map(|of| (of.version, of.traceparent)).collect::<Vec<_>>()
    };
    let first = commit(10, &["ann"], Some("one")).await;
    commit(20, &["ann", "bob"], None).await;
    let second = commit(30, &["bob"], Some("two")).await;
    let again = commit(40, &["ann"], Some("two")).await;
    let (one, two) = ((first, "one".to_owned()), (again, "two".to_owned()));
    assert_eq!(traces(again, 9).await, [two.clone(), one.clone()], "a trace of several commits is one");
    assert_eq!(traces(again, 1).await, std::slice::from_ref(&two), "of many the newest");
    assert_eq!(traces(second, 9).await, [(second, "two".to_owned()), one], "what came later is not told");
    let lease = world.lease(&world.reconciler, "reconciler/acme").await;
    let decided = Turn { progress: vec![(directory.directory.clone(), first)], ..Turn::default() };
    world.reconciler.commit_turn(&lease, &tenant(), &decided).await.unwrap();
    assert_eq!(traces(again, 9).await, [two]);
}
