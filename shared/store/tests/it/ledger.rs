use model::{
    Canonical as _, Command, CommandBody, DeadLetterState, EdgeOp, EdgeOutcome, Fault, Lane, Outcome, Rejection,
    StepResult, Time,
};
use store::audit::AuditEntry;
use store::console::Decider;
use store::effect::{AttemptEnd, NewAttempt, NewLetter, RecordedOutcomes};
use store::plan::Turn;
use store::{Lease, OutboxMessage, StoreError};
use uuid::Uuid;

use crate::world::{World, account, command, group, id, message, tenant, turn_with};

fn attempt(command: &Command) -> NewAttempt {
    NewAttempt {
        id: Uuid::new_v4(),
        command: command.id,
        digest: command.digest(),
        target: id("cloud"),
        request: "POST /v2/…/memberships".to_owned(),
        edges: vec!["add/g/a".to_owned(), "add/g/b".to_owned()],
        began_at: Time(10),
    }
}

fn outcome(command: &Command, who: &str, result: StepResult, at: i64) -> Outcome {
    Outcome {
        command: command.id,
        tenant: tenant(),
        target: id("cloud"),
        at: Time(at),
        result: StepResult::Done,
        edges: vec![EdgeOutcome {
            group: group("g"),
            account: account(who),
            op: EdgeOp::Add,
            result,
            confirmed_at: Some(Time(at)),
        }],
        group: None,
        account: None,
        behind: None,
    }
}

fn rejected(command: &Command, who: &str, at: i64) -> NewLetter {
    let class = Rejection::UnknownUser;
    NewLetter {
        target: id("cloud"),
        fault: Fault::of_edge(&group("g"), &account(who), EdgeOp::Add, class),
        class,
        at: Time(at),
        answer: "404 user not found".to_owned(),
        command: command.id,
        edges: vec![format!("add/g/{who}")],
        traceparent: None,
    }
}

fn silent(_: &RecordedOutcomes) -> Vec<OutboxMessage> {
    Vec::new()
}

struct Ledger {
    world: World,
    writing: Lease,
    deciding: Lease,
}

impl Ledger {
    async fn start() -> Self {
        let world = World::start().await;
        let writing = world.lease(&world.writer, "writer/acme/cloud").await;
        let deciding = world.lease(&world.reconciler, "reconciler/acme").await;
        Self { world, writing, deciding }
    }

    async fn issue(&self, command: &Command) {
        let turn = turn_with(std::slice::from_ref(command));
        self.world.reconciler.commit_turn(&self.deciding, &tenant(), &turn).await.unwrap();
    }

    async fn settle(&self, command: &Command) {
        let turn = Turn { at: Time(99), settled: vec![command.id], ..Turn::default() };
        self.world.reconciler.commit_turn(&self.deciding, &tenant(), &turn).await.unwrap();
    }

    async fn record(&self, outcomes: &[Outcome], letters: &[NewLetter]) -> RecordedOutcomes {
        let store = &self.world.writer;
        store.record_outcomes(&self.writing, &tenant(), &[], outcomes, letters, &[], silent).await.unwrap().0
    }

    async fn open_letters(&self) -> Vec<u64> {
        let verdicts = self.world.reconciler.load_verdicts(&tenant(), Time(1_000)).await.unwrap();
        verdicts.letters.iter().map(|letter| letter.id).collect()
    }
}

#[tokio::test]
async fn i06_no_call_without_an_attempt_and_no_attempt_without_the_same_command() {
    let ledger = Ledger::start().await;
    let store = &ledger.world.writer;
    let real = command("g", &["a", "b"], Lane::Normal, 1);
    ledger.issue(&real).await;
    let mut widened = real.clone();
    if let model::CommandBody::Edges { edges, .. } = &mut widened.body {
        edges.push(model::EdgeChange { account: account("c"), op: EdgeOp::Add, person_generation: 0 });
    }
    let invented = command("h", &["a"], Lane::Normal, 1);
    let attempts = [attempt(&real), attempt(&widened), attempt(&invented)];
    let allowed = store.begin_attempts(&ledger.writing, &tenant(), &attempts).await.unwrap();
    assert_eq!(allowed, [attempts[0].id]);
    assert_eq!(store.waiting_commands(&tenant(), &id("cloud"), Lane::Normal, 9).await.unwrap()[0].command, real);

    // A crash here leaves it unended: unknown.
    let unended = store.unended_attempts(&tenant(), &id("cloud")).await.unwrap();
    assert_eq!((unended.len(), unended[0].edges.len()), (1, 2));
    let end = AttemptEnd {
        id: attempts[0].id,
        ended_at: Time(20),
        disposition: "done".to_owned(),
        status: Some(201),
        answer: String::new(),
    };
    let entry = AuditEntry {
        at: Time(20),
        actor: "writer".to_owned(),
        verb: "member.add".to_owned(),
        key: "cloud/g/a".to_owned(),
        before: vec![],
        after: vec![],
        cause: attempts[0].id.to_string(),
    };
    let done = outcome(&real, "a", StepResult::Done, 20);
    let announce =
        |recorded: &RecordedOutcomes| recorded.new.iter().map(|id| message("acme/cloud", &id.to_string(), 1)).collect();
    store
        .record_outcomes(&ledger.writing, &tenant(), &[end], std::slice::from_ref(&done), &[], &[entry], announce)
        .await
        .unwrap();
    assert!(store.unended_attempts(&tenant(), &id("cloud")).await.unwrap().is_empty());
    assert!(store.load_commands(&[real.id]).await.unwrap().is_empty(), "a command has one outcome");
    let twice = ledger.record(&[outcome(&real, "a", StepResult::Unknown, 30)], &[]).await;
    assert!(twice.new.is_empty());

    let waiting = ledger.world.reconciler.unapplied_outcomes(&tenant(), 9).await.unwrap();
    assert_eq!(waiting, [(done, None)]);
    ledger.settle(&real).await;
    assert!(ledger.world.reconciler.unapplied_outcomes(&tenant(), 9).await.unwrap().is_empty());
    let late = store.begin_attempts(&ledger.writing, &tenant(), &[attempt(&real)]).await.unwrap();
    assert!(late.is_empty(), "nothing is tried for a settled command");
}

#[tokio::test]
async fn i08_a_writer_that_was_replaced_neither_tries_nor_records() {
    let ledger = Ledger::start().await;
    let store = &ledger.world.writer;
    let real = command("g", &["a"], Lane::Normal, 1);
    ledger.issue(&real).await;
    store.release(&ledger.writing).await.unwrap();
    let error = store.begin_attempts(&ledger.writing, &tenant(), &[attempt(&real)]).await.unwrap_err();
    assert!(matches!(error, StoreError::LeaseLost { .. }));
    let done = outcome(&real, "a", StepResult::Done, 20);
    let error = store.record_outcomes(&ledger.writing, &tenant(), &[], &[done], &[], &[], silent).await.unwrap_err();
    assert!(matches!(error, StoreError::LeaseLost { .. }));
    assert_eq!(ledger.world.count("select count(*) from effect.attempt").await, 0);
    assert_eq!(ledger.world.count("select count(*) from effect.outcome").await, 0);
}

#[tokio::test]
async fn i07_a_writer_sees_the_newest_generation() {
    let ledger = Ledger::start().await;
    for (group, account) in [(1, 0), (3, 2), (2, 1)] {
        let generations =
            vec![(id("cloud"), "group/g".to_owned(), group), (id("cloud"), "account/a".to_owned(), account)];
        let turn = Turn { at: Time(1), generations, ..Turn::default() };
        ledger.world.reconciler.commit_turn(&ledger.deciding, &tenant(), &turn).await.unwrap();
    }
    let asked = ["group/g".to_owned(), "account/a".to_owned(), "account/b".to_owned()];
    let found = ledger.world.writer.generations(&tenant(), &id("cloud"), &asked).await.unwrap();
    assert_eq!((found["group/g"], found["account/a"], found.get("account/b")), (3, 2, None));
}

#[tokio::test]
async fn one_fault_is_one_letter_until_a_redrive_resolves_it() {
    let ledger = Ledger::start().await;
    let commands: Vec<Command> = (0..4).map(|n| command(&format!("g{n}"), &["poison"], Lane::Normal, 1)).collect();
    for command in &commands {
        ledger.issue(command).await;
    }
    let first = ledger.record(&[], &[rejected(&commands[0], "poison", 10), rejected(&commands[1], "poison", 11)]).await;
    assert_eq!(first.letters, [(1, true), (1, false)]);
    let again = ledger.record(&[], &[rejected(&commands[2], "poison", 12)]).await;
    assert_eq!(again.letters, [(1, false)]);
    assert_eq!(ledger.open_letters().await, [1]);
    let shown = ledger.world.console.letter(&tenant(), 1).await.unwrap().unwrap();
    assert_eq!(shown.attempts.len(), 3);

    // Redriven: no longer in the way. Rejected again: in the way again.
    let decider = Decider { actor: "ann".to_owned(), reason: "invited".to_owned(), at: Time(20) };
    ledger.world.console.judge_letters(&tenant(), &[1], false, &decider).await.unwrap();
    assert!(ledger.open_letters().await.is_empty());
    let states = ledger.world.console.letters(&tenant(), &[DeadLetterState::Redriven], 9).await.unwrap();
    assert_eq!(states.len(), 1);
    ledger.record(&[], &[rejected(&commands[3], "poison", 30)]).await;
    assert_eq!(ledger.open_letters().await, [1]);

    // Redriven and done: resolved.
    let decider = Decider { at: Time(40), ..decider };
    ledger.world.console.judge_letters(&tenant(), &[1], false, &decider).await.unwrap();
    let resolved = ledger.record(&[outcome(&commands[3], "poison", StepResult::Done, 50)], &[]).await.resolved;
    assert_eq!(resolved, [1]);
    let all = [DeadLetterState::Open, DeadLetterState::Redriven];
    assert!(ledger.world.console.letters(&tenant(), &all, 9).await.unwrap().is_empty());
}

/// What could not be made has no id: its letter closes when the same is made after all.
#[tokio::test]
async fn the_letter_of_what_could_not_be_made_closes_when_it_is() {
    let ledger = Ledger::start().await;
    let make = |number: u64, body: CommandBody| Command { body, ..command(&format!("g{number}"), &[], Lane::Bulk, 1) };
    let create = || CommandBody::CreateGroup { name: "ops".to_owned(), description: String::new() };
    let invite = || CommandBody::Account {
        account: None,
        person: account("ann"),
        change: model::AccountChange::Create { attributes: std::collections::BTreeMap::new() },
        generation: 1,
    };
    let give = || CommandBody::GrantAccess {
        group: group("g"),
        access: model::Access::Portal { desk: "HELP".to_owned() },
        generation: 1,
    };
    let pairs = [
        [make(1, create()), make(2, create())],
        [make(3, invite()), make(4, invite())],
        [make(5, give()), make(6, give())],
    ];
    for (place, [first, second]) in pairs.into_iter().enumerate() {
        let number = u64::try_from(place).unwrap() + 1;
        let letter = NewLetter { fault: Fault::of_command(&first.body), ..rejected(&first, "ann", 10) };
        ledger.issue(&first).await;
        let whole = |of: &Command, result: StepResult, at: i64| Outcome {
            result,
            edges: Vec::new(),
            group: Some(group("made-1")),
            account: Some(account("made-2")),
            ..outcome(of, "ann", result, at)
        };
        let refused = whole(&first, StepResult::Rejected(Rejection::Conflict), 10);
        assert_eq!(ledger.record(&[refused], &[letter]).await.letters, [(number, true)]);
        ledger.settle(&first).await;
        ledger.issue(&second).await;
        let resolved = ledger.record(&[whole(&second, StepResult::Done, 20)], &[]).await.resolved;
        assert_eq!(resolved, [number]);
    }
}

#[tokio::test]
async fn a_moot_letter_makes_room_for_a_new_one() {
    let ledger = Ledger::start().await;
    let command = command("g", &["poison"], Lane::Normal, 1);
    ledger.issue(&command).await;
    ledger.record(&[], &[rejected(&command, "poison", 10)]).await;
    let turn = Turn { at: Time(20), moot_letters: vec![1], ..Turn::default() };
    ledger.world.reconciler.commit_turn(&ledger.deciding, &tenant(), &turn).await.unwrap();
    assert!(ledger.open_letters().await.is_empty());
    let opened = ledger.record(&[], &[rejected(&command, "poison", 30)]).await;
    assert!(opened.letters[0].1 && opened.letters[0].0 != 1, "{opened:?}");
}

#[tokio::test]
async fn buried_bytes_are_kept_once() {
    let world = World::start().await;
    for _ in 0..2 {
        world.writer.bury("rollcall.v1.command.acme.cloud.normal", 7, &[0xff], "no command").await.unwrap();
    }
    assert_eq!(world.count("select count(*) from effect.buried").await, 1);
}
