//! Deciding once, from everything that was taken in.

use std::collections::BTreeSet;

use model::{Canonical as _, Case, Digest, EdgeOp, Fact, Plan, PlanBody, ReadScope, Span, TargetPlan, Time, WaitWhy};
use planner::{Decision, Occasion};
use store::plan::{PlanRow, Turn, Verdicts};

use crate::{
    settle,
    state::{AccountKey, State},
    story, tell,
};

/// A fact is asked for again when its answer did not suffice, but not sooner than this.
const ASK_AGAIN: Span = Span::from_secs(5);
/// A letter that nothing wants is moot after it was unwanted for so long.
const MOOT_AFTER: Span = Span::from_secs(10);

/// Lays what people decided over the memory.
pub(crate) fn lay_over(state: &mut State, verdicts: Verdicts) {
    recall::lay_over(&mut state.memory, &verdicts);
    state.verdicts = verdicts;
}

/// Decides, asks for a second opinion, and notes what was learned. Says whether the second opinion agrees; if not, nothing
/// of the plan may go, and nothing of it was learned.
pub(crate) fn decide(state: &mut State, now: Time, turn: &mut Turn) -> (Decision, bool) {
    let occasion = if std::mem::take(&mut state.swept) { Occasion::Sweep } else { Occasion::Event };
    if occasion == Occasion::Sweep {
        state.memory.forget_newcomers(now);
    }
    state.planner.forget_given(&mut state.memory, now);
    let mut decision = state.planner.decide(&state.memory, now, occasion);
    state.stories.reached(state.planner.take_reached(), story::here().as_ref());
    if let Err(violations) = planner::check::check(&decision.plan, &state.planner, &state.memory) {
        for violation in violations.iter().take(20) {
            tracing::error!(event.name = "rollcall.plan.refused", rollcall.org = state.tenant.as_str(), %violation,
                "the second opinion differs: this plan is not carried out");
        }
        state.swept |= occasion == Occasion::Sweep;
        return (decision, false);
    }
    settle::learn(state, &decision, now, turn);
    state.sources.extend(decision.sources.iter().map(|(key, source)| (key.clone(), source.clone())));
    keep_plan(state, &mut decision, now, turn);
    (decision, true)
}

/// Stores the plan where it says something else than the last one. Steps are stored once, by the digests of their
/// cases, which bind them: a first import shows the same million steps in plan after plan.
fn keep_plan(state: &mut State, decision: &mut Decision, now: Time, turn: &mut Turn) {
    let outline = outline(&decision.plan);
    let digest = Digest::of(&outline.body.canonical_bytes());
    if let Some((number, last)) = state.last_plan
        && last == digest
    {
        decision.plan.number = Some(number);
        return;
    }
    let number = state.next_plan();
    decision.plan.number = Some(number);
    let body = serde_json::to_vec(&Plan { number: Some(number), ..outline }).unwrap_or_default();
    let summary = Summary::of(decision);
    tell::proposed(state, number, &summary);
    let (policy, summary) = (decision.plan.policy, serde_json::to_string(&summary).unwrap_or_default());
    turn.plan = Some(PlanRow { number, made_at: now, policy, digest, body, summary });
    for (_, case) in decision.plan.cases().filter(|(_, case)| !state.stored_cases.contains(&case.digest)) {
        turn.case_steps.push((case.digest, serde_json::to_vec(&case.steps).unwrap_or_default()));
    }
    state.stored_cases = decision.plan.cases().map(|(_, case)| case.digest).collect();
    state.last_plan = Some((number, digest));
}

/// The plan with its cases named by their digests alone.
fn outline(plan: &Plan) -> Plan {
    let case = |case: &Case| Case {
        digest: case.digest,
        kind: case.kind.clone(),
        lane: case.lane,
        steps: Vec::new(),
        guards: case.guards.clone(),
        held: case.held.clone(),
        needs: case.needs.clone(),
    };
    let target = |of: &TargetPlan| TargetPlan {
        target: of.target.clone(),
        cases: of.cases.iter().map(case).collect(),
        refusals: of.refusals.clone(),
        waits: of.waits.clone(),
        links: of.links.clone(),
        seats: of.seats.clone(),
    };
    let PlanBody { schema, tenant, targets, wider } = &plan.body;
    let targets = targets.iter().map(target).collect();
    let body = PlanBody { schema: schema.clone(), tenant: tenant.clone(), targets, wider: wider.clone() };
    Plan { number: None, made_at: plan.made_at, policy: plan.policy, calls: plan.calls.clone(), body }
}

/// Counts for lists of plans.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Summary {
    pub(crate) cases: usize,
    pub(crate) held: usize,
    pub(crate) additions: usize,
    pub(crate) removals: usize,
    pub(crate) steps: usize,
    pub(crate) refusals: usize,
    pub(crate) waits: usize,
}

impl Summary {
    fn of(decision: &Decision) -> Self {
        let targets = &decision.plan.body.targets;
        let cases = || decision.plan.cases().map(|(_, case)| case);
        let edges = |op| cases().map(|case| case.count(op)).sum();
        Self {
            additions: edges(EdgeOp::Add),
            removals: edges(EdgeOp::Remove),
            cases: cases().count(),
            held: cases().filter(|case| !case.held.is_empty()).count(),
            steps: cases().map(|case| case.steps.len()).sum(),
            refusals: targets.iter().map(|target| target.refusals.len()).sum(),
            waits: targets.iter().map(|target| target.waits.len()).sum(),
        }
    }
}

/// Which facts are to be read by themselves from now on: what the decision needs, and what tells whether accounts are
/// as they were made. Gives the new ones.
pub(crate) fn questions(state: &mut State, decision: &Decision, now: Time, turn: &mut Turn) -> Vec<Fact> {
    let mut wanted: BTreeSet<Fact> = decision.needs.iter().cloned().collect();
    wanted.extend(read_back(state, now, turn));
    let mut new = Vec::new();
    for fact in &wanted {
        let asked = state.asked.get(fact).copied();
        let answer = state.planner.mirror(fact.directory()).and_then(|mirror| mirror.answer_to(fact));
        let due = match (asked, answer) {
            (None, _) => true,
            (Some(asked), Some((_, read_at))) => read_at >= asked && now >= read_at.plus(ASK_AGAIN),
            (Some(_), None) => false,
        };
        if due {
            state.asked.insert(fact.clone(), now);
            new.push(fact.clone());
        }
    }
    let dropped: Vec<Fact> = state.asked.keys().filter(|fact| !wanted.contains(*fact)).cloned().collect();
    for fact in dropped {
        state.asked.remove(&fact);
        turn.unneeded.push(fact);
    }
    turn.needs.extend(new.iter().cloned());
    new
}

/// Closes accounts that have been read since their change, and names those that are to be read.
fn read_back(state: &mut State, now: Time, turn: &mut Turn) -> Vec<Fact> {
    let (mut read, mut ask): (Vec<AccountKey>, Vec<Fact>) = (Vec::new(), Vec::new());
    for (key, open) in &state.accounts {
        let (Some(done), Some(mirror)) = (&open.done, state.planner.mirror(&key.0)) else { continue };
        if now < done.after {
            continue;
        }
        let listed = mirror.read_of(&ReadScope::Users).and_then(|read| read.complete_began_at);
        let fact = done.account.clone().map(|user| Fact::User { directory: key.0.clone(), user });
        let answered = fact.as_ref().and_then(|fact| mirror.answer_to(fact)).map(|(_, read_at)| read_at);
        if [listed, answered].into_iter().flatten().any(|at| at >= done.after) {
            read.push(key.clone());
        } else {
            ask.extend(fact);
        }
    }
    for key in read {
        settle::close(state, &key, turn);
    }
    ask
}

/// Dead letters that nothing waits for any more: what was at fault is no longer wanted.
pub(crate) fn moot_letters(state: &mut State, decision: &Decision, now: Time) -> Vec<u64> {
    let mut waited: BTreeSet<u64> = BTreeSet::new();
    let mut unclear = BTreeSet::new();
    for target in &decision.plan.body.targets {
        for wait in &target.waits {
            match &wait.why {
                WaitWhy::DeadLetter { id } => {
                    waited.insert(*id);
                }
                WaitWhy::CompleteRead { .. } | WaitWhy::TargetRead { .. } | WaitWhy::SourceBlind { .. } => {
                    unclear.insert(target.target.clone());
                }
                _ => {}
            }
        }
    }
    let mut idle = std::collections::BTreeMap::new();
    let mut moot = Vec::new();
    for letter in &state.verdicts.letters {
        let under_way = || {
            state.released.iter().any(|((target, group, account), row)| {
                target == &letter.target && letter.fault.covers(group, account, row.op)
            })
        };
        let blind =
            || state.planner.sources_of(&letter.target).iter().any(|source| state.memory.blind.contains(source));
        if waited.contains(&letter.id) || unclear.contains(&letter.target) || blind() || under_way() {
            continue;
        }
        let since = state.idle_letters.get(&letter.id).copied().unwrap_or(now);
        if now >= since.plus(MOOT_AFTER) {
            moot.push(letter.id);
        } else {
            idle.insert(letter.id, since);
        }
    }
    state.idle_letters = idle;
    moot
}
