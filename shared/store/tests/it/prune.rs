//! What is old and closed goes; what is open, or of which a dead letter speaks, stays.

use model::{
    AccountId, Answer, Case, CaseKind, Command, Corroboration, Digest, Edge, EdgeOp, Fact, Lane, Outcome, Plan,
    PlanBody, Reason, RuleId, Span, Step, StepResult, TargetPlan, Time,
};
use store::Schema;
use store::directory::Wish;
use store::effect::{NewAttempt, NewLetter};
use store::plan::{PlanRow, Turn};

use crate::world::{World, account, command, group, id, no_messages, sweep, tenant, turn_with};

const KEEP: Span = Span::from_secs(3600);

/// Two hours after everything of these tests.
fn later() -> Time {
    Time::from_secs(2 * 3600)
}

fn attempt(command: &Command) -> NewAttempt {
    NewAttempt {
        id: uuid::Uuid::new_v4(),
        command: command.id,
        digest: model::Canonical::digest(command),
        target: id("cloud"),
        request: "POST /".to_owned(),
        edges: vec!["add/g/a".to_owned()],
        began_at: Time(10),
    }
}

fn outcome(command: &Command, result: StepResult) -> Outcome {
    Outcome {
        command: command.id,
        tenant: tenant(),
        target: id("cloud"),
        at: Time(20),
        result,
        edges: Vec::new(),
        group: None,
        account: None,
        behind: None,
    }
}

#[tokio::test]
async fn closed_commands_go_with_their_tries_and_open_or_rejected_ones_stay() {
    let world = World::start().await;
    let writing = world.lease(&world.writer, "writer/acme/cloud").await;
    let deciding = world.lease(&world.reconciler, "reconciler/acme").await;
    // Settled; done and not taken in; tried and unknown; settled and rejected.
    let commands: Vec<_> = ["done", "told", "tried", "poison"].map(|of| command(of, &["a"], Lane::Normal, 1)).into();
    world.reconciler.commit_turn(&deciding, &tenant(), &turn_with(&commands)).await.unwrap();
    let attempts: Vec<NewAttempt> = commands.iter().map(attempt).collect();
    assert_eq!(world.writer.begin_attempts(&writing, &tenant(), &attempts).await.unwrap().len(), 4);
    let outcome = |at: usize, result| outcome(&commands[at], result);
    let class = model::Rejection::UnknownUser;
    let outcomes =
        [outcome(0, StepResult::Done), outcome(1, StepResult::Done), outcome(3, StepResult::Rejected(class))];
    let letter = NewLetter {
        target: id("cloud"),
        fault: model::Fault::of_edge(&group("poison"), &account("a"), model::EdgeOp::Add, class),
        class,
        at: Time(20),
        answer: "404".to_owned(),
        command: commands[3].id,
        edges: vec!["add/poison/a".to_owned()],
        traceparent: None,
    };
    let silent = |_: &store::effect::RecordedOutcomes| Vec::new();
    world.writer.record_outcomes(&writing, &tenant(), &[], &outcomes, &[letter], &[], silent).await.unwrap();
    let settled = vec![commands[0].id, commands[3].id];
    let turn = Turn { at: Time(30), settled, ..Turn::default() };
    world.reconciler.commit_turn(&deciding, &tenant(), &turn).await.unwrap();

    let audited = world.count("select count(*) from common.audit").await;
    for (store, schema, gone) in [(&world.writer, Schema::Effect, 2), (&world.reconciler, Schema::Plan, 1)] {
        assert_eq!(store.prune(schema, KEEP, Time::from_secs(3000), 100).await.unwrap(), 0, "nothing is old");
        let mut found = 0;
        // In batches of one.
        for _ in 0..6 {
            found += store.prune(schema, KEEP, later(), 1).await.unwrap();
        }
        assert_eq!(found, gone, "{schema:?}");
    }
    assert_eq!(world.count("select count(*) from plan.command").await, 3);
    assert_eq!(world.count("select count(*) from effect.attempt").await, 3);
    assert_eq!(world.count("select count(*) from effect.outcome").await, 2);
    let told = world.reconciler.unapplied_outcomes(&tenant(), 9).await.unwrap();
    assert_eq!(told.len(), 1, "what nobody has taken in stays");
    assert_eq!(world.writer.unended_attempts(&tenant(), &id("cloud")).await.unwrap().len(), 3);
    assert_eq!(world.console.letter(&tenant(), 1).await.unwrap().unwrap().attempts.len(), 1);
    assert_eq!(world.count("select count(*) from common.audit").await, audited);
    let again = world.writer.begin_attempts(&writing, &tenant(), &attempts[..1]).await.unwrap();
    assert!(again.is_empty(), "a command that is gone is never carried out again");
}

fn case(name: &str) -> Case {
    let kind = CaseKind::Additions { group: group(name), name: name.to_owned() };
    let edge = Edge {
        group: Some(group(name)),
        group_name: name.to_owned(),
        account: Some(AccountId::new("a").unwrap()),
        person: None,
        op: EdgeOp::Add,
    };
    let steps = vec![Step::Edge { edge, reason: Reason::Policy { rule: RuleId::new("teams").unwrap() } }];
    let digest = Case::digest_of(&id("cloud"), &kind, &steps);
    Case { digest, kind, lane: Lane::Normal, steps, guards: vec![], held: vec![], needs: vec![] }
}

/// A turn with a plan of these cases, of which these were not in the one before.
fn planned(number: u64, cases: &[&str], new: &[&str]) -> Turn {
    let outline = |name: &&str| Case { steps: Vec::new(), ..case(name) };
    let target = TargetPlan {
        target: id("cloud"),
        cases: cases.iter().map(outline).collect(),
        refusals: vec![],
        waits: vec![],
        links: vec![],
        seats: vec![],
    };
    let body =
        PlanBody { schema: "rollcall.plan/1".to_owned(), tenant: tenant(), targets: vec![target], wider: Vec::new() };
    let made_at = Time(i64::try_from(number).unwrap());
    let policy = Digest::of(b"policy");
    let plan = Plan { number: Some(number), made_at, policy, calls: std::collections::BTreeMap::new(), body };
    let row = PlanRow {
        number,
        made_at,
        policy,
        digest: model::Canonical::digest(&plan.body),
        body: serde_json::to_vec(&plan).unwrap(),
        summary: "{}".to_owned(),
    };
    let steps = |name: &&str| (case(name).digest, serde_json::to_vec(&case(name).steps).unwrap());
    Turn { at: made_at, plan: Some(row), case_steps: new.iter().map(steps).collect(), ..Turn::default() }
}

#[tokio::test]
async fn old_plans_go_and_the_steps_of_what_later_ones_show_stay() {
    let world = World::start().await;
    let lease = world.lease(&world.reconciler, "reconciler/acme").await;
    let turns = [
        planned(1, &["stays", "goes", "returns"], &["stays", "goes", "returns"]),
        planned(2, &["stays", "goes"], &[]),
        planned(3, &["stays"], &[]),
        planned(4, &["returns", "stays"], &["returns"]),
    ];
    for turn in &turns {
        world.reconciler.commit_turn(&lease, &tenant(), turn).await.unwrap();
    }
    // The first two are old: two plans and the steps of one case.
    let gone = world.reconciler.prune(Schema::Plan, Span(3), Time(6), 100).await.unwrap();
    assert_eq!(gone, 3);
    let last = world.console.plan(&tenant(), 4).await.unwrap().unwrap();
    assert!(last.cases().all(|(_, case)| case.steps.len() == 1), "{last:?}");
    // All are old: the newest stays, with its steps.
    assert_eq!(world.reconciler.prune(Schema::Plan, KEEP, later(), 100).await.unwrap(), 1);
    let last = world.console.plan(&tenant(), 4).await.unwrap().unwrap();
    assert!(last.cases().count() == 2 && last.cases().all(|(_, case)| case.steps.len() == 1));
    assert_eq!(world.count("select count(*) from plan.case_body").await, 2);
}

#[tokio::test]
async fn wishes_that_were_looked_at_and_answers_of_old_go_and_contradictions_stay() {
    let world = World::start().await;
    let directory = world.directory().await;
    let reading = sweep(10, &["ann", "bob"], &[("g", &["ann"])]);
    world
        .watcher
        .commit_reading(None, &directory, store::directory::Pass::Sweep, &reading, None, no_messages)
        .await
        .unwrap();
    let wish = |place: &str| Wish {
        id: 0,
        place: place.to_owned(),
        asked_at: Time(1),
        asked_by: "control".to_owned(),
        traceparent: None,
        due_at: Time(1),
    };
    world.watcher.wish(&directory, &[wish("all"), wish("user/ann")]).await.unwrap();
    let due = world.watcher.wishes(&directory, Time(5), 1).await.unwrap();
    world.watcher.wishes_done(&[due[0].id], Time(6)).await.unwrap();
    let fact = |user: &str| Fact::User { directory: id("workspace"), user: account(user) };
    let answer = |user: &str, answer| Corroboration { fact: fact(user), answer, read_at: Time(20) };
    let answers = [answer("ann", Answer::Gone), answer("bob", Answer::Holds)];
    world.watcher.commit_answers(None, &directory, &answers, &[], None, no_messages).await.unwrap();
    let now = Time::from_secs(8 * 24 * 3600);
    assert_eq!(world.watcher.prune(Schema::Directory, Span(now.0.unsigned_abs()), now, 100).await.unwrap(), 1);
    assert_eq!(world.watcher.prune(Schema::Directory, KEEP, now, 100).await.unwrap(), 1);
    assert_eq!(world.count("select count(*) from directory.wish").await, 1);
    assert_eq!(world.count("select count(*) from directory.corroboration where answer = 1").await, 1);
    assert_eq!(world.count("select count(*) from directory.membership").await, 1);
}
