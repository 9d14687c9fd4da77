//! Which cases the guards must hold: worked out by the planner alone, from what both sides show at each look of the
//! pipeline, with an approver who says yes to everything and a target that does what it is told.
//!
//! It reads with the same connectors and decides with the same planner as the pipeline, and shares nothing else with it:
//! no rows, no bus, no turns, no writer.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use anyhow::{Context as _, Result, ensure};
use model::{
    Case, Corroboration, Delta, Digest, DirectoryId, Group, GroupId, MembersRead, Reading, Snapshot, Span, Step, Time,
};
use outbound::{Allowance, Limit, ReadDirectory as _, Scope, Silent};
use planner::{Decision, Memory, Occasion, Planner, Verdict};
use policy::Policy;
use runtime::Clock;
use watcher::{Reader, ReaderOptions};

/// More decisions than this upon one look would be a fault of ours.
const MOST_DECISIONS: usize = 50;

/// A directory as it was read last.
struct Side {
    reader: Reader,
    snapshot: Snapshot,
}

pub(crate) struct Oracle {
    planner: Planner,
    memory: Memory,
    sides: BTreeMap<DirectoryId, Side>,
    clock: Arc<AtomicI64>,
    owner: String,
}

impl Oracle {
    /// Of a policy with one target, whose secrets are relative to this folder.
    pub(crate) fn new(policy: &str, base: &Path) -> Result<Self> {
        let policy = Policy::parse(policy).map_err(|problems| anyhow::anyhow!("{problems}"))?;
        let clock = Arc::new(AtomicI64::new(0));
        let allowance = Allowance { calls: 100_000, per: Span::from_secs(1) };
        let options = ReaderOptions {
            clock: Clock::manual(Arc::clone(&clock)),
            limit: Some(Limit::Declared(vec![allowance])),
            ..ReaderOptions::default()
        };
        let mut sides = BTreeMap::new();
        for (id, directory) in &policy.directories {
            let reader = Reader::connect_with(directory, base, &options).map_err(|fault| anyhow::anyhow!("{fault}"))?;
            sides.insert(id.clone(), Side { reader, snapshot: Snapshot::new(id.clone()) });
        }
        let owner = policy.directories.values().find_map(|directory| directory.owner.as_ref());
        let owner = owner.context("nobody owns the target's credentials")?.key().to_owned();
        let planner = Planner::new(Arc::new(policy));
        Ok(Self { planner, memory: Memory::default(), sides, clock, owner })
    }

    /// Reads both sides as they are.
    pub(crate) async fn look(&mut self, at: Time) -> Result<()> {
        self.clock.store(at.0, Ordering::SeqCst);
        for (id, side) in &mut self.sides {
            let mut own = side.reader.who_am_i().await?;
            let reading = side.reader.sweep(&Scope::All, &Silent).await?;
            ensure!(reading.is_whole(), "{id} could not be read whole");
            let owns = |user: &&model::User| user.email.as_ref().is_some_and(|email| email.key() == self.owner);
            own.extend(reading.users.seen.iter().filter(owns).map(|user| user.id.clone()));
            self.memory.own_accounts.entry(id.clone()).or_default().extend(own);
            self.planner.apply(&side.snapshot.observe(&reading));
        }
        self.planner.prune(&mut self.memory, at);
        Ok(())
    }

    /// Decides until nothing is left to do, and gives the cases that were held on the way. `made`: the ids that groups
    /// got at the target, by folded name.
    pub(crate) async fn settle(
        &mut self,
        at: Time,
        made: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<Digest, String>> {
        let mut held = BTreeMap::new();
        let mut occasion = Occasion::Sweep;
        // What was approved at an earlier look has gone, or has expired.
        self.memory.approvals.clear();
        for _ in 0..MOST_DECISIONS {
            let decision = self.planner.decide(&self.memory, at, occasion);
            occasion = Occasion::Event;
            self.memory.learn(&decision);
            let mut busy = self.answer(&decision, at).await?;
            for (target, case) in decision.plan.cases() {
                if !case.held.is_empty() {
                    held.insert(case.digest, format!("{:?}", case.kind));
                    busy |= self.memory.approvals.insert(case.digest, Verdict::Approved).is_none();
                }
                if case.is_released() {
                    self.carry_out(target, case, at, made)?;
                    busy = true;
                }
            }
            if !busy {
                let left: Vec<String> = decision.plan.cases().map(|(_, case)| format!("{:?}", case.kind)).collect();
                ensure!(left.is_empty(), "the planner alone comes to no end: {left:?} is left");
                return Ok(held);
            }
        }
        anyhow::bail!("the planner alone comes to no end in {MOST_DECISIONS} decisions")
    }

    /// Reads the facts that a decision needs. Says whether there were any that had no answer yet.
    async fn answer(&mut self, decision: &Decision, at: Time) -> Result<bool> {
        let mut any = false;
        for fact in &decision.needs {
            let Some(side) = self.sides.get(fact.directory()) else { continue };
            let known = self.planner.mirror(fact.directory()).and_then(|mirror| mirror.answer_to(fact));
            if known.is_some_and(|(_, read_at)| read_at >= at) {
                continue;
            }
            let answer = side.reader.verify(fact).await?;
            let mut delta = Delta::empty(fact.directory().clone(), side.snapshot.version());
            delta.corroborations.push(Corroboration { fact: fact.clone(), answer, read_at: at });
            self.planner.apply(&delta);
            any = true;
        }
        Ok(any)
    }

    /// Does what a released case says, as a target would.
    fn carry_out(
        &mut self,
        target: &DirectoryId,
        case: &Case,
        at: Time,
        made: &BTreeMap<String, String>,
    ) -> Result<()> {
        for step in &case.steps {
            match step {
                Step::CreateGroup { name, .. } => {
                    let folded = name.to_ascii_lowercase();
                    let id = made.get(&folded).with_context(|| format!("the pipeline never made {name}"))?;
                    let id = GroupId::new(id.clone())?;
                    let mut reading = Reading::begun(at);
                    reading.ended_at = at;
                    reading.groups.seen.push(Group::new(id.clone(), name));
                    let (seen, group) = (Vec::new(), id.clone());
                    reading.members.push(MembersRead { group, seen, complete: true, began_at: at });
                    let side = self.sides.get_mut(target).context("the target is unknown")?;
                    self.planner.apply(&side.snapshot.observe(&reading));
                    self.memory.created(target, &folded, &id);
                }
                Step::Edge { edge, .. } => {
                    // Of a group that is still to be made: decided again when it is there.
                    let (Some(group), Some(account)) = (&edge.group, &edge.account) else { continue };
                    self.memory.confirm(&(target.clone(), group.clone(), account.clone()), edge.op, at);
                }
                other => anyhow::bail!("nothing in the history asks for {other:?}"),
            }
        }
        self.memory.count(target, case, at);
        Ok(())
    }
}
