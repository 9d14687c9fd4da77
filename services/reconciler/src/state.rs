//! What a tenant's reconciler holds in memory: the planner with its mirrors, the memory, and what is under way.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use model::{
    AccountId, CaseKind, Command, CommandBody, CommandId, Digest, DirectoryId, EdgeOp, Fact, Generation, GroupId, Lane,
    TenantId, Time,
};
use planner::{Memory, Object, Planner};
use policy::Policy;
use store::directory::DirectoryKey;
use store::plan::{AccountOpenRow, CaseState, EdgeKey as EdgeRow, MemoryRows, ReleasedRow, Verdicts, WaitingCase};

use crate::story::{Stories, Trace};
use crate::{applied::Applied, dispatch::Pace, fresh::Freshness};

/// One membership at a target, as the planner's memory keys it.
pub(crate) type EdgeKey = (DirectoryId, GroupId, AccountId);
/// An account that is being changed: target, source, person.
pub(crate) type AccountKey = (DirectoryId, DirectoryId, AccountId);

/// What is known of the memberships of one group.
pub(crate) fn of_group<'a, V>(
    edges: &'a BTreeMap<EdgeKey, V>,
    target: &'a DirectoryId,
    group: &'a GroupId,
) -> impl Iterator<Item = (&'a EdgeKey, &'a V)> {
    // A space sorts before every id: ids are not empty and hold no control characters.
    let least = AccountId::new(" ").ok().map(|least| (target.clone(), group.clone(), least));
    let entries = least.map(|least| edges.range(least..));
    entries.into_iter().flatten().take_while(move |((at, of, _), _)| at == target && of == group)
}

/// A released edge without an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Released {
    pub(crate) op: EdgeOp,
    pub(crate) lane: Lane,
    pub(crate) revocation: bool,
    pub(crate) plan: u64,
    pub(crate) command: Option<CommandId>,
    /// When the change that it comes of was detected, or a person let it go.
    pub(crate) detected_at: Time,
    /// The trace in which it was released: its command is part of that.
    pub(crate) trace: Option<Trace>,
}

impl Released {
    /// As it is remembered.
    pub(crate) fn row(&self, edge: EdgeRow, released_at: Time) -> ReleasedRow {
        let Self { op, lane, revocation, plan, command, detected_at: _, trace } = self.clone();
        ReleasedRow { edge, op, lane, revocation, plan, command, released_at, traceparent: trace }
    }
}

/// A case that waits for a person, or for what a person approved to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) state: CaseState,
    pub(crate) since: Time,
    /// The trace in which it came to be held: what goes after an approval is linked to it.
    pub(crate) traceparent: Option<String>,
    /// Why, as people are shown it. It may come to more while the steps stay the same: how many are in a group.
    pub(crate) why: Vec<model::Held>,
}

/// A command without an outcome.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) command: Command,
    pub(crate) created_at: Time,
}

/// An account with an open command, or one whose change was done and has not been read back yet.
#[derive(Debug, Clone)]
pub(crate) struct AccountOpen {
    pub(crate) command: CommandId,
    /// Its release counted in the window of deactivations: given back if nothing comes of it.
    pub(crate) counted: bool,
    pub(crate) done: Option<Done>,
}

/// What was done to an account, until it is read back.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    /// The account; `None`: not known any more, a complete read of the list has to do.
    pub(crate) account: Option<AccountId>,
    /// A read that began before this may still show the old state.
    pub(crate) after: Time,
}

/// A tenant in memory. It is thrown away and loaded again whenever a commit fails, so it never holds what is not
/// committed.
pub(crate) struct State {
    pub(crate) tenant: TenantId,
    pub(crate) planner: Planner,
    pub(crate) memory: Memory,
    pub(crate) directories: BTreeMap<DirectoryId, (DirectoryKey, u64)>,
    pub(crate) released: BTreeMap<EdgeKey, Released>,
    /// Released edges that are in no command, by what a command is made for.
    pub(crate) waiting: BTreeMap<(DirectoryId, Lane, GroupId), BTreeSet<(EdgeOp, AccountId)>>,
    pub(crate) open: BTreeMap<CommandId, Open>,
    /// Objects with an open command: target, lane, object.
    pub(crate) busy: BTreeSet<(DirectoryId, Lane, String)>,
    pub(crate) generations: BTreeMap<(DirectoryId, String), Generation>,
    pub(crate) accounts: BTreeMap<AccountKey, AccountOpen>,
    /// Which source group a group is being made for: (target, folded name).
    pub(crate) sources: BTreeMap<(DirectoryId, String), (DirectoryId, GroupId)>,
    pub(crate) asked: BTreeMap<Fact, Time>,
    pub(crate) verdicts: Verdicts,
    /// When they were looked for last.
    pub(crate) verdicts_read_at: Time,
    pub(crate) held: BTreeMap<Digest, Held>,
    /// Groups in conflict, by target.
    pub(crate) conflicts: BTreeSet<(DirectoryId, GroupId)>,
    /// When the oldest change was detected that this turn takes in; the turn's own time where there is none.
    pub(crate) detected_at: Time,
    /// Cases that wait for facts to be read, and since when.
    pub(crate) unread: BTreeMap<(DirectoryId, CaseKind), Time>,
    /// What the objects that something is to be done about come of.
    pub(crate) stories: Stories,
    pub(crate) last_plan: Option<(u64, Digest)>,
    /// Cases of the last stored plan: their steps are stored.
    pub(crate) stored_cases: BTreeSet<Digest>,
    pub(crate) pace: BTreeMap<(DirectoryId, Lane), Pace>,
    /// Open letters that nothing waits for, and since when.
    pub(crate) idle_letters: BTreeMap<u64, Time>,
    /// Targets paused over the bus, until this process ends; `*` is all.
    pub(crate) paused: BTreeSet<String>,
    /// Groups that were deleted and are still in the mirror, and when.
    pub(crate) deleted: BTreeMap<(DirectoryId, GroupId), Time>,
    /// What a person let go where the schedule alone would not.
    pub(crate) applied: Applied,
    pub(crate) sync_said: BTreeMap<DirectoryId, String>,
    /// How old reads are, and which of them were told of.
    pub(crate) fresh: Freshness,
    /// A complete read came in since the last decision.
    pub(crate) swept: bool,
    /// Groups that came in and were not held against their watcher's digest yet, and whether they came after loading.
    pub(crate) unproven: BTreeMap<(DirectoryId, GroupId), bool>,
}

impl State {
    /// From rows. Mirrors are empty; [`crate::mirror::advance`] fills them.
    pub(crate) fn new(tenant: TenantId, policy: Arc<Policy>, rows: MemoryRows, now: Time) -> Self {
        let mut state = Self {
            tenant,
            planner: Planner::new(policy),
            memory: recall::memory(&rows, now),
            directories: BTreeMap::new(),
            released: BTreeMap::new(),
            waiting: BTreeMap::new(),
            open: BTreeMap::new(),
            busy: BTreeSet::new(),
            generations: BTreeMap::new(),
            accounts: BTreeMap::new(),
            sources: BTreeMap::new(),
            asked: rows.needs.iter().cloned().collect(),
            verdicts: Verdicts::default(),
            verdicts_read_at: Time::NEVER,
            held: rows.held.into_iter().map(held).collect(),
            conflicts: BTreeSet::new(),
            detected_at: now,
            unread: BTreeMap::new(),
            stories: Stories::default(),
            last_plan: rows.last_plan,
            stored_cases: BTreeSet::new(),
            pace: BTreeMap::new(),
            idle_letters: BTreeMap::new(),
            paused: BTreeSet::new(),
            deleted: BTreeMap::new(),
            applied: Applied::default(),
            sync_said: BTreeMap::new(),
            fresh: Freshness::default(),
            swept: true,
            unproven: BTreeMap::new(),
        };
        if runtime::spans::collected() {
            state.planner.note_reached();
        }
        for open in rows.commands {
            state.opened(open.command, open.created_at);
        }
        for row in rows.released {
            let (edge, plan, detected_at) = (row.edge, row.plan, row.released_at);
            let ReleasedRow { op, lane, revocation, command, traceparent: trace, .. } = row;
            let released = Released { op, lane, revocation, plan, command, detected_at, trace };
            state.release((edge.target, edge.group, edge.account), released);
        }
        for (target, object, generation) in rows.generations {
            state.generations.insert((target, object), generation);
        }
        for AccountOpenRow { target, source, person, command } in rows.accounts_open {
            // Its outcome was taken in before we came: read back whatever was done.
            let done = (!state.open.contains_key(&command)).then(|| {
                let account = state.memory.people.get(&(source.clone(), person.clone(), target.clone())).cloned();
                let lag = state.planner.policy().directories.get(&target).map(|d| d.lag).unwrap_or_default();
                Done { account, after: now.plus(lag) }
            });
            state.accounts.insert((target, source, person), AccountOpen { command, counted: false, done });
        }
        state
    }

    /// Notes a command that has no outcome.
    pub(crate) fn opened(&mut self, command: Command, created_at: Time) {
        let size = size(&command.body);
        self.busy.insert((command.target.clone(), command.lane, command.object()));
        self.pace.entry((command.target.clone(), command.lane)).or_default().open += size;
        self.open.insert(command.id, Open { command, created_at });
    }

    /// Takes a command out that has an outcome.
    pub(crate) fn closed(&mut self, id: CommandId) -> Option<Open> {
        let open = self.open.remove(&id)?;
        let command = &open.command;
        self.busy.remove(&(command.target.clone(), command.lane, command.object()));
        let pace = self.pace.entry((command.target.clone(), command.lane)).or_default();
        pace.open = pace.open.saturating_sub(size(&command.body));
        Some(open)
    }

    /// Notes a released edge, in a command or waiting for one.
    pub(crate) fn release(&mut self, key: EdgeKey, released: Released) {
        if released.command.is_none() {
            let (target, group, account) = key.clone();
            self.waiting.entry((target, released.lane, group)).or_default().insert((released.op, account));
        }
        self.memory.released.insert(key.clone(), released.op);
        self.released.insert(key, released);
    }

    /// A released edge whose command came to nothing waits for another one: it was decided, and is not decided again.
    /// Whether it is still wanted is looked at when the command is made.
    pub(crate) fn wait_again(&mut self, key: &EdgeKey) -> Option<Released> {
        let released = Released { command: None, ..self.unrelease(key)? };
        self.release(key.clone(), released.clone());
        Some(released)
    }

    /// Whether something that was released of a group is not done yet.
    pub(crate) fn is_under_way(&self, target: &DirectoryId, group: &GroupId) -> bool {
        of_group(&self.released, target, group).next().is_some()
    }

    /// Takes a released edge out.
    pub(crate) fn unrelease(&mut self, key: &EdgeKey) -> Option<Released> {
        self.memory.released.remove(key);
        let released = self.released.remove(key)?;
        let waiting = (key.0.clone(), released.lane, key.1.clone());
        if let Some(edges) = self.waiting.get_mut(&waiting) {
            edges.remove(&(released.op, key.2.clone()));
            if edges.is_empty() {
                self.waiting.remove(&waiting);
            }
        }
        Some(released)
    }

    /// The generation of an object now.
    pub(crate) fn generation(&self, target: &DirectoryId, object: &str) -> Generation {
        self.generations.get(&(target.clone(), object.to_owned())).copied().unwrap_or(0)
    }

    /// Raises the generation of an object.
    pub(crate) fn raise(&mut self, target: &DirectoryId, object: String) -> Generation {
        let generation = self.generations.entry((target.clone(), object)).or_insert(0);
        *generation += 1;
        *generation
    }

    /// Forgets what the objects come of that are as they are to be, with nothing under way that may change that.
    pub(crate) fn forget_stories(&mut self) {
        let mut stories = std::mem::take(&mut self.stories);
        stories.forget(|object| {
            let under_way = || match object {
                Object::Group { target, key } => {
                    let pin = self.memory.pins.get(&(target.clone(), key.clone()));
                    pin.is_some_and(|pin| self.is_under_way(target, &pin.group))
                }
                Object::Account { target, source, person } => {
                    self.accounts.contains_key(&(target.clone(), source.clone(), person.clone()))
                }
            };
            self.planner.is_quiet(object) && !under_way()
        });
        self.stories = stories;
    }

    /// Whether dispatch to a target is paused, by a row or over the bus.
    pub(crate) fn is_paused(&self, target: &DirectoryId) -> bool {
        let named = |name: &str| self.paused.contains(name) || self.verdicts.paused.iter().any(|paused| paused == name);
        named("*") || named(target.as_str())
    }

    /// The number of the plan that the next stored one has.
    pub(crate) fn next_plan(&self) -> u64 {
        self.last_plan.map_or(0, |(number, _)| number) + 1
    }
}

fn held(row: WaitingCase) -> (Digest, Held) {
    let WaitingCase { digest, state, since, traceparent } = row;
    // Written anew with the first decision, for why it waits is not read.
    (digest, Held { state, since, traceparent, why: Vec::new() })
}

/// How much work a command is.
pub(crate) fn size(body: &CommandBody) -> usize {
    match body {
        CommandBody::Edges { edges, .. } => edges.len(),
        _ => 1,
    }
}
