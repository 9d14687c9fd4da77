use model::{Digest, EdgeOp, GuardName, Lane, LinkHow, Span, Time};
use store::StoreError;
use store::console::Decider;
use store::plan::{
    CaseState, ConfirmedRow, EdgeKey, HeldRow, LeavingRow, OpeningRow, PersonLinkRow, PinRow, PlanHoldRow, PlanRow,
    ReleasedRow, Turn, WindowKind, WindowRow,
};

use crate::world::{World, account, command, group, id, new_command, tenant, turn_with};

fn edge(of: &str, who: &str) -> EdgeKey {
    EdgeKey { target: id("cloud"), group: group(of), account: account(who) }
}

fn case() -> model::Case {
    let kind = model::CaseKind::Removals { group: group("g"), name: "g".to_owned() };
    let (steps, lane) = (Vec::new(), Lane::Urgent);
    model::Case {
        digest: model::Case::digest_of(&id("cloud"), &kind, &steps),
        kind,
        lane,
        steps,
        guards: Vec::new(),
        held: Vec::new(),
        needs: Vec::new(),
    }
}

/// A turn in which everything that a turn can say is said.
fn full_turn() -> Turn {
    let command = command("g", &["a"], Lane::Normal, 3);
    Turn {
        at: Time(5),
        managed: vec![edge("g", "old")],
        plan_holds: Some(vec![PlanHoldRow {
            target: id("cloud"),
            name: "eng".to_owned(),
            op: EdgeOp::Remove,
            guard: GuardName::SourceShrink,
        }]),
        plan: Some(PlanRow {
            number: 1,
            made_at: Time(5),
            policy: Digest::of(b"policy"),
            digest: Digest::of(b"plan"),
            body: b"{}".to_vec(),
            summary: "{}".to_owned(),
        }),
        held: Some(vec![held()]),
        released: vec![released("a", Some(command.id)), released("b", None)],
        openings: vec![OpeningRow { target: id("cloud"), name: "new".to_owned(), command: command.id }],
        commands: vec![new_command(&command, 3)],
        generations: vec![(id("cloud"), "group/g".to_owned(), 3)],
        windows: windows(),
        progress: vec![(id("workspace"), 7)],
        ..learned()
    }
}

/// What a turn learned from directories and outcomes.
fn learned() -> Turn {
    Turn {
        confirmed: vec![ConfirmedRow { edge: edge("g", "c"), present: true, confirmed_at: Time(4) }],
        links: vec![PersonLinkRow {
            source: id("workspace"),
            person: account("p"),
            target: id("cloud"),
            account: account("a"),
            behind: None,
            how: LinkHow::Email,
            linked_at: Time(5),
        }],
        pins: vec![PinRow {
            target: id("cloud"),
            name: "eng".to_owned(),
            group: group("g"),
            how: LinkHow::Created,
            equal_once: false,
            source: Some((id("workspace"), group("s"))),
            pinned_at: Time(5),
        }],
        leaving: Some(vec![LeavingRow {
            target: id("cloud"),
            source: id("workspace"),
            person: account("p"),
            since: Time(2),
            removed_at: Some(Time(3)),
        }]),
        ..Turn::default()
    }
}

fn released(who: &str, command: Option<model::CommandId>) -> ReleasedRow {
    ReleasedRow {
        edge: edge("g", who),
        op: EdgeOp::Add,
        lane: Lane::Normal,
        revocation: false,
        plan: 1,
        command,
        released_at: Time(5),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
    }
}

fn held() -> HeldRow {
    let case = case();
    HeldRow {
        digest: case.digest,
        target: id("cloud"),
        kind: "removals".to_owned(),
        body: serde_json::to_vec(&case).unwrap(),
        state: CaseState::Held,
        traceparent: Some("00-trace".to_owned()),
    }
}

fn windows() -> Vec<WindowRow> {
    let window = |kind, count, person| WindowRow { target: id("cloud"), at: Time(5), kind, count, person };
    vec![
        window(WindowKind::Removals, 2, None),
        window(WindowKind::Deactivations, 1, Some((id("workspace"), account("p")))),
    ]
}

#[tokio::test]
async fn of_what_a_turn_learns_twice_the_last_is_kept() {
    let world = World::start().await;
    let lease = world.lease(&world.reconciler, "reconciler/acme").await;
    let mut turn = full_turn();
    // A group whose making is reported is found equal in the same turn; somebody joins and leaves in one.
    let (pin, confirmed) = (turn.pins[0].clone(), turn.confirmed[0].clone());
    turn.pins.push(PinRow { equal_once: true, ..pin });
    turn.confirmed.push(ConfirmedRow { present: false, ..confirmed });
    turn.links.push(PersonLinkRow { account: account("b"), ..turn.links[0].clone() });
    world.reconciler.commit_turn(&lease, &tenant(), &turn).await.unwrap();
    let memory = world.reconciler.load_memory(&tenant(), Time(10)).await.unwrap();
    assert_eq!(memory.pins, turn.pins[1..]);
    assert_eq!(memory.confirmed, turn.confirmed[1..]);
    assert_eq!(memory.people, turn.links[1..]);
}

#[tokio::test]
async fn a_turn_is_remembered_whole_and_its_end_too() {
    let world = World::start().await;
    let lease = world.lease(&world.reconciler, "reconciler/acme").await;
    let store = &world.reconciler;
    let turn = full_turn();
    store.commit_turn(&lease, &tenant(), &turn).await.unwrap();
    let memory = store.load_memory(&tenant(), Time(10)).await.unwrap();
    assert_eq!(memory.people, turn.links);
    assert_eq!(memory.pins, turn.pins);
    assert_eq!(memory.managed, turn.managed);
    assert_eq!(Some(&memory.plan_holds), turn.plan_holds.as_ref());
    assert_eq!(Some(&memory.leaving), turn.leaving.as_ref());
    assert_eq!(memory.confirmed, turn.confirmed);
    assert_eq!(memory.released, turn.released);
    assert_eq!(memory.openings, turn.openings);
    assert_eq!(memory.windows, turn.windows);
    assert_eq!(memory.progress, turn.progress);
    assert_eq!(memory.generations, turn.generations);
    assert_eq!(memory.commands.len(), 1);
    assert_eq!(memory.commands[0].command, turn.commands[0].command);
    assert_eq!(memory.commands[0].detected_at, Some(Time(1)));
    let held = &memory.held[0];
    assert_eq!((memory.held.len(), held.digest, held.state), (1, case().digest, CaseState::Held));
    assert_eq!((held.since, held.traceparent.as_deref()), (turn.at, Some("00-trace")));
    assert_eq!(memory.last_plan, Some((1, Digest::of(b"plan"))));

    let end = Turn {
        at: Time(9),
        settled: vec![turn.commands[0].command.id],
        unreleased: vec![edge("g", "b")],
        unconfirmed: vec![edge("g", "c")],
        unmanaged: vec![edge("g", "old")],
        managed: vec![edge("g", "a")],
        held: Some(vec![]),
        leaving: Some(vec![]),
        windows_back: vec![(id("cloud"), id("workspace"), account("p"))],
        generations: vec![(id("cloud"), "group/g".to_owned(), 2)],
        progress: vec![(id("workspace"), 6)],
        ..Turn::default()
    };
    store.commit_turn(&lease, &tenant(), &end).await.unwrap();
    let memory = store.load_memory(&tenant(), Time(10)).await.unwrap();
    assert!(memory.released.is_empty() && memory.openings.is_empty() && memory.commands.is_empty());
    assert!(memory.confirmed.is_empty() && memory.held.is_empty());
    assert!(memory.leaving.is_empty() && memory.plan_holds.len() == 1);
    assert_eq!(memory.windows, turn.windows[..1]);
    assert_eq!(memory.managed, [edge("g", "a")]);
    assert_eq!(memory.generations[0].2, 3, "i07: a generation never goes back");
    assert_eq!(memory.progress[0].1, 7);
    let cases = store.cases(&tenant(), &[CaseState::Void]).await.unwrap();
    assert_eq!(cases.len(), 1, "a case that is no longer held is void");
}

#[tokio::test]
async fn i08_an_object_has_one_open_command_in_a_lane() {
    let world = World::start().await;
    let lease = world.lease(&world.reconciler, "reconciler/acme").await;
    let store = &world.reconciler;
    let first = command("g", &["a"], Lane::Normal, 1);
    store.commit_turn(&lease, &tenant(), &turn_with(std::slice::from_ref(&first))).await.unwrap();
    let second = command("g", &["b"], Lane::Normal, 2);
    let error = store.commit_turn(&lease, &tenant(), &turn_with(std::slice::from_ref(&second))).await.unwrap_err();
    assert!(matches!(&error, StoreError::Refused { constraint } if constraint == "command_open"), "{error:?}");
    // Another lane does not wait, and what settles makes room in the same turn.
    let urgent = command("g", &["b"], Lane::Urgent, 3);
    let mut turn = turn_with(&[second, urgent]);
    turn.settled = vec![first.id];
    store.commit_turn(&lease, &tenant(), &turn).await.unwrap();
    assert_eq!(store.unsettled_commands(&tenant()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn i08_a_reconciler_that_was_replaced_decides_nothing() {
    let world = World::start().await;
    let lease = world.lease(&world.reconciler, "reconciler/acme").await;
    world.reconciler.release(&lease).await.unwrap();
    let error = world.reconciler.commit_turn(&lease, &tenant(), &full_turn()).await.unwrap_err();
    assert!(matches!(error, StoreError::LeaseLost { .. }));
    assert_eq!(world.count("select count(*) from plan.command").await, 0);
    assert_eq!(world.count("select count(*) from plan.outbox").await, 0);
    assert_eq!(world.count("select count(*) from plan.person_link").await, 0);
}

#[tokio::test]
async fn i03_nobody_approves_what_they_proposed_and_approvals_end() {
    let world = World::start().await;
    let digest = case().digest;
    let decider =
        |actor: &str, at| Decider { actor: actor.to_owned(), reason: "looked at it".to_owned(), at: Time(at) };
    let hour = Span::from_secs(3600);
    let own = world.console.decide_case(&tenant(), digest, true, "ann", &decider("ann", 10), hour).await.unwrap_err();
    assert!(matches!(&own, StoreError::Refused { constraint } if constraint == "four_eyes"), "{own:?}");
    assert_eq!(world.count("select count(*) from common.audit").await, 0, "refused is not recorded as decided");
    world.console.decide_case(&tenant(), digest, true, "ann", &decider("bob", 10), hour).await.unwrap();
    let verdicts = async |at| world.reconciler.load_verdicts(&tenant(), Time(at)).await.unwrap().cases;
    let approved = verdicts(11).await;
    assert_eq!((approved.len(), approved[0].approved, approved[0].actor.as_str()), (1, true, "bob"));
    assert!(verdicts(10 + 3_600_000_000).await.is_empty(), "an approval ends by itself");
    world.console.decide_case(&tenant(), digest, false, "ann", &decider("cid", 20), hour).await.unwrap();
    assert!(!verdicts(21).await[0].approved, "the newest verdict holds");
    assert!(!verdicts(20 + 3_600_000_000).await[0].approved, "a rejection does not end");
    assert_eq!(world.count("select count(*) from common.audit where verb like 'case.%'").await, 2);
}

#[tokio::test]
async fn pauses_and_conflicts_are_read_as_last_said() {
    let world = World::start().await;
    let decider = Decider { actor: "ann".to_owned(), reason: String::new(), at: Time(10) };
    let cloud = id("cloud");
    world.console.set_pause(&tenant(), Some(&cloud), true, &decider).await.unwrap();
    world.console.set_pause(&tenant(), None, true, &decider).await.unwrap();
    world.console.set_pause(&tenant(), None, false, &decider).await.unwrap();
    let groups = [(cloud.clone(), group("g")), (cloud.clone(), group("h"))];
    world.console.decide_conflicts(&tenant(), &groups, "add-only", None, &decider).await.unwrap();
    world.console.decide_conflicts(&tenant(), &groups[..1], "adopt", None, &decider).await.unwrap();
    let verdicts = world.reconciler.load_verdicts(&tenant(), Time(11)).await.unwrap();
    assert_eq!(verdicts.paused, ["cloud"]);
    let said: Vec<&str> = verdicts.conflicts.iter().map(|row| row.decision.as_str()).collect();
    assert_eq!(said, ["adopt", "add-only"]);
}
