//! `rollcall apply`.

use std::collections::{BTreeMap, BTreeSet};

use model::{Case, Digest, DirectoryId, EdgeOp, GuardName, LinkHow, Plan, Time};
use planner::{Decision, Verdict};
use runtime::{Exit, Fault, Shutdown};
use serde_json::json;

use super::{
    execute::{Applied, execute},
    journal::Journal,
    ledger, plan, planfile,
    world::World,
};
use crate::{
    args::{ApplyArgs, Output},
    policy_file::{self, Loaded},
    show::{self, counted, plan::Totals, progress::Progress},
};

/// Plans, shows, asks and applies; with a plan file applies exactly that or refuses.
///
/// # Errors
/// When the policy cannot be right, a directory cannot be read, the plan is stale, or nobody can be asked.
pub async fn apply(args: &ApplyArgs, quiet: bool) -> Result<Exit, Fault> {
    let saved = args.planfile.as_deref().map(planfile::load).transpose()?;
    let overrides = guards(&args.overrides)?;
    let loaded = policy_file::load(&args.policy)?;
    let mut journal = plan::open_journal(&loaded, &super::journal_args(args))?;
    let shutdown = Shutdown::on_signals()
        .map_err(|cause| Fault::new("E0130", Exit::Error, format!("signals cannot be caught: {cause}")))?;
    let progress = Progress::new(quiet);
    let mut world = World::read(&loaded, &mut journal, &progress).await?;
    recover_creations(&world, &mut journal)?;
    let now = Time(runtime::clock::now_micros());
    let decision = world.decide(&mut journal, now).await;
    let decision = override_guards(&mut world, &mut journal, decision, &overrides, args.reason.as_deref(), now).await?;
    let named = saved.as_ref().map(|saved| planfile::still_holds(saved, &decision.plan)).transpose()?;
    if args.output == Output::Table {
        plan::print(&decision.plan, &world, args.output, false);
    }
    let cases = released(&decision.plan, named.as_ref());
    if !cases.is_empty() && !args.yes && !agreed(&cases)? {
        show::note("Nothing was applied.");
        world.aside.tell();
        return Ok(Exit::Held);
    }
    let applied = carry_out(&loaded, &world, &mut journal, &decision, &cases, (&shutdown, &progress)).await?;
    report(&applied, &decision.plan, &world, args.output);
    world.aside.tell();
    Ok(exit_of(&applied, &decision.plan, world.aside.exit()))
}

async fn carry_out(
    loaded: &Loaded,
    world: &World,
    journal: &mut Journal,
    decision: &Decision,
    cases: &BTreeMap<DirectoryId, Vec<&Case>>,
    (shutdown, progress): (&Shutdown, &Progress),
) -> Result<Applied, Fault> {
    journal.memory.learn(decision);
    let digests: Vec<Digest> = cases.values().flatten().map(|case| case.digest).collect();
    let detail = json!({ "policy": loaded.policy.hash, "cases": digests });
    journal.audit(decision.plan.made_at, "apply", "plan", &detail)?;
    // What is learned now must outlive a crash in the middle.
    journal.save()?;
    let total = cases.values().flatten().map(|case| case.steps.len() as u64).sum();
    let running = progress.begin("applying", total);
    let applied = execute(world, &loaded.base, journal, decision, cases, (shutdown, &running)).await?;
    running.finish();
    let detail = json!({ "holds": applied.holds, "open": applied.open, "rejected": applied.rejected.len() });
    journal.audit(Time(runtime::clock::now_micros()), "applied", "plan", &detail)?;
    journal.save()?;
    Ok(applied)
}

/// The cases that may go, by target; of a saved plan only those that it names.
fn released<'a>(plan: &'a Plan, named: Option<&BTreeSet<Digest>>) -> BTreeMap<DirectoryId, Vec<&'a Case>> {
    let mut cases: BTreeMap<DirectoryId, Vec<&Case>> = BTreeMap::new();
    for (target, case) in plan.cases() {
        if case.is_released() && named.is_none_or(|named| named.contains(&case.digest)) {
            cases.entry(target.clone()).or_default().push(case);
        }
    }
    cases
}

/// Asks for the number of removals when there are any, else for a yes.
fn agreed(cases: &BTreeMap<DirectoryId, Vec<&Case>>) -> Result<bool, Fault> {
    asked(cases.values().flatten().map(|case| case.count(EdgeOp::Remove) as u64).sum())
}

/// Asks for this number of removals, or for a yes when there are none.
///
/// # Errors
/// When nobody can be asked.
pub fn asked(removals: u64) -> Result<bool, Fault> {
    if removals == 0 {
        return show::ask("Apply this? Type yes:", "yes");
    }
    let removals = removals.to_string();
    show::ask(&format!("This removes {removals} memberships. Type {removals}:"), &removals)
}

/// The guards of these names.
///
/// # Errors
/// When there is none such.
pub fn guards(names: &[String]) -> Result<BTreeSet<GuardName>, Fault> {
    let parse = |name: &String| {
        GuardName::parse(name).ok_or_else(|| {
            let known: Vec<&str> = GuardName::ALL.into_iter().map(GuardName::as_str).collect();
            Fault::new("E0125", Exit::Usage, format!("there is no guard \"{name}\""))
                .help(format!("the guards are {}", known.join(", ")))
        })
    };
    names.iter().map(parse).collect()
}

/// Releases what only these guards hold, recorded with user and reason. One person, one run: four eyes bind the servers.
async fn override_guards(
    world: &mut World,
    journal: &mut Journal,
    decision: Decision,
    overrides: &BTreeSet<GuardName>,
    reason: Option<&str>,
    now: Time,
) -> Result<Decision, Fault> {
    if overrides.is_empty() {
        return Ok(decision);
    }
    let mut released = 0;
    for (target, case) in decision.plan.cases() {
        if !case.held.is_empty() && case.held.iter().all(|held| overrides.contains(&held.guard)) {
            journal.memory.approvals.insert(case.digest, Verdict::Approved);
            let held: Vec<&str> = case.held.iter().map(|held| held.guard.as_str()).collect();
            let detail = json!({ "target": target, "guards": held, "reason": reason });
            journal.audit(now, "override", &case.digest.to_string(), &detail)?;
            released += 1;
        }
    }
    show::note(&format!(
        "{} released by --override; a one-shot run has one person, so nobody else looked at it.",
        counted(released, "case", "cases")
    ));
    Ok(world.decide(journal, now).await)
}

/// A group whose creation an earlier run began is ours if it is there now.
fn recover_creations(world: &World, journal: &mut Journal) -> Result<(), Fault> {
    for (target, name) in ledger::unended_creations(journal.folder())? {
        let folded = world.policy.fold_group_name(&target, &name);
        let key = (target.clone(), folded.clone());
        let known = journal.memory.pins.get(&key).is_some();
        let found = journal.snapshots.get(&target).and_then(|snapshot| {
            let groups = snapshot.whole().groups;
            groups
                .into_iter()
                .find(|row| row.gone_at.is_none() && world.policy.fold_group_name(&target, &row.group.name) == folded)
        });
        if let (false, Some(row)) = (known, found) {
            let pin = planner::Pin { group: row.group.id, how: LinkHow::Created, equal_once: false, source: None };
            journal.memory.pins.insert(key, pin);
        }
    }
    Ok(())
}

fn report(applied: &Applied, plan: &Plan, world: &World, output: Output) {
    let totals = Totals::of(plan);
    if output != Output::Table {
        let rejected: Vec<_> = applied
            .rejected
            .iter()
            .map(|(target, class, what, words)| json!({ "target": target, "class": class, "what": what, "answer": words }))
            .collect();
        let result = json!({
            "schema": "rollcall.applied/1", "plan": plan::document(plan, world), "holds": applied.holds,
            "open": applied.open, "rejected": rejected, "halted": applied.halted, "held": totals.held,
        });
        show::json(&result, output == Output::Json);
        return;
    }
    let mut line = format!("Applied {}", counted(applied.holds, "change", "changes"));
    if applied.open > 0 {
        line.extend([format!("; {} not finished, the next run goes on", applied.open)]);
    }
    if !applied.rejected.is_empty() {
        line.extend([format!("; {} refused by a target", applied.rejected.len())]);
    }
    if totals.held > 0 {
        line.extend([format!("; {} held for a person", counted(totals.held, "case", "cases"))]);
    }
    show::data(&(line + ".\n"));
    for (target, class, what, words) in &applied.rejected {
        show::data(&format!("  {target} [{}] {what}: {words}\n    {}\n", class.as_str(), class.remedy()));
    }
    for target in &applied.halted {
        show::note(&format!("{target} refuses our credentials: renew them and run again"));
    }
}

/// `unread`: how the run ends for what could not be read, if nothing worse happened.
fn exit_of(applied: &Applied, plan: &Plan, unread: Option<Exit>) -> Exit {
    if applied.interrupted {
        Exit::Interrupted
    } else if !applied.halted.is_empty() || unread == Some(Exit::Error) {
        Exit::Error
    } else if !applied.rejected.is_empty() {
        Exit::Partly
    } else if applied.open > 0 || unread.is_some() {
        Exit::TryLater
    } else if Totals::of(plan).held > 0 {
        Exit::Held
    } else {
        Exit::Done
    }
}
