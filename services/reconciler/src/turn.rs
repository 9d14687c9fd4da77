//! One turn: everything that waits is taken in ([`take_in`]), one decision is made, and all that follows is committed at
//! once ([`decide`]).

use model::{CommandId, DirectoryId, Fact, Span, Time};
use planner::Decision;
use runtime::metrics;
use store::directory::DirectoryVersion;
use store::plan::{Awaited, News, Turn};
use store::{Envelope, Lease, Store, StoreError};

use crate::{decide, dispatch, gate, mirror, settle, state::State, story};

/// How many outcomes one turn takes in.
const OUTCOMES: u32 = 5_000;
/// How often a commit that another transaction got in the way of is tried.
const TRIES: u32 = 5;
/// How long what people decided is not looked for again when events and outcomes wake us.
const VERDICTS_GOOD_FOR: Span = Span::from_secs(1);
/// A request to verify names at most so many facts; the watcher reads all of them from rows.
const FACTS: usize = 200;

/// What a turn came to.
#[derive(Debug)]
pub(crate) struct Turned {
    pub(crate) outcomes: usize,
    pub(crate) rows: usize,
    pub(crate) commands: usize,
    pub(crate) released: usize,
    /// More outcomes wait than one turn takes in.
    pub(crate) more: bool,
    /// What may go out now.
    pub(crate) messages: Vec<Envelope>,
    /// The decision, for what is shown.
    pub(crate) decision: Decision,
    /// Whether the second opinion agrees with it. If not, nothing of it goes.
    pub(crate) agreed: bool,
}

impl Turned {
    /// In a few words.
    pub(crate) fn words(&self) -> String {
        let Self { outcomes, rows, commands, released, .. } = self;
        format!("{rows} rows, {outcomes} outcomes, {released} edges released, {commands} commands")
    }
}

/// What a turn is to take in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    /// The commands of which outcomes were told.
    pub(crate) outcomes: &'a [CommandId],
    /// All outcomes that there are are to be taken in, whether they were told or not, and what people decided.
    pub(crate) everything: bool,
    /// Directories of which a newer version was announced.
    pub(crate) versions: &'a [(DirectoryId, u64)],
    /// An outcome tells of trouble.
    pub(crate) trouble: bool,
}

/// What a turn took in.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// What is to be committed.
    turn: Turn,
    outcomes: usize,
    rows: usize,
    /// The traces of what came in before a message told of it: the decision is part of their stories.
    pub(crate) untold: Vec<String>,
}

/// Takes in what others committed. `begun`: what is to be committed with it anyway.
///
/// # Errors
/// When the database does not answer: the state is then not to be used any more.
pub(crate) async fn take_in(
    store: &Store,
    state: &mut State,
    told: Told<'_>,
    begun: Turn,
    now: Time,
) -> Result<Taken, StoreError> {
    let mut turn = Turn { at: now, ..begun };
    let before = story::Before::of(state, &turn);
    let awaited = if told.everything { Awaited::All(OUTCOMES) } else { Awaited::Of(told.outcomes) };
    // A letter comes with an outcome that tells of trouble, and a person's decision with a request, which looks for
    // everything; else a look a second does.
    let look = told.everything || told.trouble || now >= state.verdicts_read_at.plus(VERDICTS_GOOD_FOR);
    // What was announced is there: its rows need not wait for the look.
    let (news, announced) = tokio::try_join!(
        store.news(&state.tenant, now, awaited, look),
        mirror::announced(store, state, told.versions, now)
    )?;
    let News { outcomes, verdicts, directories } = news;
    let told_late = story::of_outcomes(&outcomes, told.outcomes);
    let unclear = store.unclear(&settle::found_groups(&outcomes)).await?;
    settle::outcomes(state, &outcomes, &unclear, &mut turn);
    if told.everything {
        settle::abandoned(state, now, &mut turn);
    }
    state.detected_at = detected_at(state, &directories, now);
    state.memory.blind =
        directories.iter().filter(|of| of.blind_since.is_some()).map(|of| of.directory.clone()).collect();
    let rows = Box::pin(mirror::advance(store, state, directories, announced, now, &mut turn)).await?;
    if let Some(verdicts) = verdicts {
        state.verdicts_read_at = now;
        decide::lay_over(state, verdicts);
    }
    let mut untold = before.untold(store, state, &turn.progress, told.versions).await;
    untold.extend(told_late);
    Ok(Taken { turn, outcomes: outcomes.len(), rows, untold })
}

/// Decides from what was taken in, and commits it with all that follows. `due`: the policy's schedule lets something new go
/// now; otherwise only what a person approved goes, and what was released before.
///
/// # Errors
/// When the database does not answer, or the lease is lost: the state is then not to be used any more.
pub(crate) async fn decide(
    store: &Store,
    lease: &Lease,
    state: &mut State,
    taken: Taken,
    now: Time,
    due: bool,
) -> Result<Turned, StoreError> {
    let Taken { mut turn, outcomes, rows, untold: _ } = taken;
    let (decision, agreed) = decide::decide(state, now, &mut turn);
    if agreed {
        let mut ids = || CommandId(runtime::ids::uuid());
        gate::release(state, &decision, due, now, &mut turn, &mut ids);
        gate::hold(state, &decision, now, &mut turn);
        dispatch::commands(state, now, &mut turn, &mut ids);
        let asked = decide::questions(state, &decision, now, &mut turn);
        ask(state, &asked, now, &mut turn);
        turn.moot_letters = decide::moot_letters(state, &decision, now);
    }
    dispatch::tidy(&mut turn);
    let mut turned = Turned {
        outcomes,
        rows,
        commands: turn.commands.len(),
        released: turn.released.len(),
        more: outcomes >= OUTCOMES as usize,
        messages: Vec::new(),
        decision,
        agreed,
    };
    if says_something(&turn) {
        turned.messages = commit(store, lease, state, &turn).await?;
    }
    Ok(turned)
}

/// When the oldest change was detected that is part of no decision yet; now where there is none.
fn detected_at(state: &State, directories: &[DirectoryVersion], now: Time) -> Time {
    let ours = |of: &&DirectoryVersion| state.planner.policy().directories.contains_key(&of.directory);
    let oldest = directories.iter().filter(ours).filter_map(|of| of.undecided_since).min();
    let detected_at = oldest.map_or(now, |oldest| oldest.min(now));
    metrics::process().oldest_pending_age(state.tenant.as_str(), "decide", detected_at.until(now).to_std());
    detected_at
}

/// Requests to verify, one for each directory with new questions.
fn ask(state: &State, facts: &[Fact], now: Time, turn: &mut Turn) {
    let mut directories: Vec<_> = facts.iter().map(Fact::directory).collect();
    directories.sort();
    directories.dedup();
    for directory in directories {
        let of = facts.iter().filter(|fact| fact.directory() == directory).take(FACTS).cloned().collect();
        let verify = contract::Verify { tenant: state.tenant.clone(), directory: directory.clone(), facts: of };
        // One plan may ask several times; the time tells them apart.
        let number = now.0.unsigned_abs();
        turn.messages.push(bus::outgoing::verify(&verify, number, runtime::trace::current_traceparent().as_deref()));
    }
}

/// Whether there is anything to commit.
pub(crate) fn says_something(turn: &Turn) -> bool {
    let Turn {
        at: _,
        settled,
        unreleased,
        managed,
        unmanaged,
        confirmed,
        unconfirmed,
        links,
        pins,
        plan_holds,
        leaving,
        plan,
        case_steps: _,
        held,
        released_cases,
        released,
        openings,
        accounts_open,
        accounts_closed,
        commands,
        generations,
        windows,
        windows_back,
        needs,
        unneeded,
        wishes,
        progress,
        moot_letters,
        sync_states,
        sync_taken,
        messages,
        audit,
    } = turn;
    !(settled.is_empty()
        && unreleased.is_empty()
        && managed.is_empty()
        && unmanaged.is_empty()
        && confirmed.is_empty()
        && unconfirmed.is_empty()
        && links.is_empty()
        && pins.is_empty()
        && released_cases.is_empty()
        && released.is_empty()
        && openings.is_empty()
        && accounts_open.is_empty()
        && accounts_closed.is_empty())
        || plan_holds.is_some()
        || leaving.is_some()
        || sync_taken.is_some()
        || plan.is_some()
        || held.is_some()
        || !(commands.is_empty()
            && generations.is_empty()
            && windows.is_empty()
            && windows_back.is_empty()
            && needs.is_empty()
            && unneeded.is_empty()
            && wishes.is_empty()
            && progress.is_empty()
            && moot_letters.is_empty()
            && sync_states.is_empty()
            && messages.is_empty()
            && audit.is_empty())
}

/// Commits, again where another transaction got in the way. A commit whose answer got lost fails when it is repeated,
/// for its plan and commands are there; the state is then loaded again and knows them.
/// Gives the messages that may go out now.
pub(crate) async fn commit(
    store: &Store,
    lease: &Lease,
    state: &State,
    turn: &Turn,
) -> Result<Vec<Envelope>, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match Box::pin(store.commit_turn(lease, &state.tenant, turn)).await {
            Err(StoreError::Conflict(error)) if tries < TRIES => {
                tracing::debug!(%error, "another transaction got in the way of a turn, trying again");
                tokio::time::sleep(runtime::ids::jitter(std::time::Duration::from_millis(20))).await;
            }
            result => return result,
        }
    }
}
