//! `rollcall apply`.

use std::collections::{BTreeMap, BTreeSet};

use model::{Case, Digest, DirectoryId, EdgeOp, GuardName, Plan, Time};
use planner::{Decision, Verdict};
use runtime::{Exit, Fault, Shutdown};
use serde_json::json;

use super::{
    execute::{Applied, because, execute},
    journal::Journal,
    plan, planfile,
    world::World,
};
use crate::{
    args::{ApplyArgs, Output},
    policy_file::{self, Loaded},
    show::{self, counted, plan::Totals, progress::Progress},
};

/// Plans, shows, asks and applies; with a plan file applies exactly that or refuses. The first signal lets calls in
/// flight end and begins no other; the second ends at once, and the next run goes on from the journal.
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
    let run = Run { args, loaded: &loaded, overrides: &overrides, shutdown: &shutdown, quiet };
    tokio::select! {
        ended = Box::pin(run.to_the_end(&mut journal, saved.as_ref())) => ended,
        () = shutdown.hard().cancelled() => {
            show::note("\nStopped at once. What was under way is looked for by the next run: the same command goes on.");
            Ok(Exit::Interrupted)
        }
    }
}

/// One run, as it was asked for.
struct Run<'a> {
    args: &'a ApplyArgs,
    loaded: &'a Loaded,
    overrides: &'a BTreeSet<GuardName>,
    shutdown: &'a Shutdown,
    quiet: bool,
}

impl Run<'_> {
    async fn to_the_end(&self, journal: &mut Journal, saved: Option<&Plan>) -> Result<Exit, Fault> {
        let progress = Progress::new(self.quiet);
        let Some((world, decision)) = self.unless_stopped(Box::pin(self.decided(journal, &progress))).await? else {
            return Ok(nothing_applied());
        };
        let named = saved.map(|saved| planfile::still_holds(saved, &decision.plan)).transpose()?;
        if self.args.output == Output::Table {
            plan::print(&decision.plan, &world, self.args.output, false);
        }
        let cases = released(&decision.plan, named.as_ref());
        if !cases.is_empty() && !self.args.yes {
            match self.unless_stopped(agreed(&cases)).await? {
                None => return Ok(nothing_applied()),
                Some(true) => {}
                Some(false) => {
                    show::note("Nothing was applied.");
                    world.aside.tell();
                    return Ok(Exit::Held);
                }
            }
        }
        let shown = (self.shutdown, &progress);
        let applied = carry_out(self.loaded, &world, journal, &decision, &cases, shown).await?;
        report(&applied, &decision.plan, &world, self.args.output);
        if applied.interrupted {
            show::note("Stopped. What was begun is settled; the same command goes on with the rest.");
        }
        world.aside.tell();
        Ok(exit_of(&applied, &decision.plan, world.aside.exit()))
    }

    /// Both sides, read, and what is decided about them.
    async fn decided(&self, journal: &mut Journal, progress: &Progress) -> Result<(World, Decision), Fault> {
        let mut world = World::read(self.loaded, journal, progress).await?;
        let now = Time(runtime::clock::now_micros());
        let decision = world.decide(journal, now).await?;
        let reason = self.args.reason.as_deref();
        let decision = override_guards(&mut world, journal, decision, self.overrides, reason, now).await?;
        Ok((world, decision))
    }

    /// Does this; `None`: somebody stopped the run first.
    async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<Option<T>, Fault> {
        tokio::select! {
            done = work => done.map(Some),
            () = self.shutdown.begun() => Ok(None),
        }
    }
}

/// The run was stopped before anything was begun.
fn nothing_applied() -> Exit {
    show::note("\nStopped; nothing was applied. The same command begins anew.");
    Exit::Interrupted
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
    let detail = json!({ "policy": loaded.policy.hash, "plan": because(decision), "cases": digests });
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
async fn agreed(cases: &BTreeMap<DirectoryId, Vec<&Case>>) -> Result<bool, Fault> {
    asked(cases.values().flatten().map(|case| case.count(EdgeOp::Remove) as u64).sum()).await
}

/// Asks for this number of removals, or for a yes when there are none.
///
/// # Errors
/// When nobody can be asked.
pub async fn asked(removals: u64) -> Result<bool, Fault> {
    if removals == 0 {
        return show::ask("Apply this? Type yes:", "yes").await;
    }
    let removals = removals.to_string();
    show::ask(&format!("This removes {removals} memberships. Type {removals}:"), &removals).await
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
    world.decide(journal, now).await
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
            "refused": totals.to_change,
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
    if totals.to_change > 0 {
        line.extend([format!("; {} refused", counted(totals.to_change, "change", "changes"))]);
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
    } else {
        held_or_refused(plan)
    }
}

/// How a run ends that did whatever might go: 3 where a person has to release something, or to change the rule or the
/// target. Whom and what the policy protects is left alone on purpose, and nothing is left to do about it.
fn held_or_refused(plan: &Plan) -> Exit {
    let totals = Totals::of(plan);
    if totals.held > 0 || totals.to_change > 0 { Exit::Held } else { Exit::Done }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use model::{PlanBody, Reason, Refusal, RefusalWhy, Step, TargetPlan, TenantId};

    use super::*;

    #[test]
    fn what_a_rule_asks_for_and_does_not_get_ends_with_3_and_what_is_protected_does_not() {
        let code = |why: RefusalWhy| {
            let reason = Reason::Policy { rule: model::RuleId::new("teams").unwrap() };
            let step = Step::CreateGroup { name: "eng".to_owned(), description: String::new(), reason };
            let target = TargetPlan {
                target: DirectoryId::new("cloud").unwrap(),
                cases: Vec::new(),
                refusals: vec![Refusal { step, why }],
                waits: Vec::new(),
                links: Vec::new(),
                seats: Vec::new(),
            };
            let (tenant, schema) = (TenantId::new("acme").unwrap(), "rollcall.plan/1".to_owned());
            let body = PlanBody { schema, tenant, targets: vec![target], wider: Vec::new() };
            let (calls, policy) = (BTreeMap::new(), Digest([0; 32]));
            let plan = Plan { number: None, made_at: Time(0), policy, calls, body };
            exit_of(&Applied::default(), &plan, None).code()
        };
        for why in [RefusalWhy::NotOurs, RefusalWhy::DefaultAccessGroup, RefusalWhy::MayNotCreate] {
            assert_eq!(code(why), 3, "{why:?}");
        }
        for why in [
            RefusalWhy::ProtectedGroup,
            RefusalWhy::ProtectedPerson,
            RefusalWhy::OurOwnAccount,
            RefusalWhy::LastAdministrator,
            RefusalWhy::Skipped,
        ] {
            assert_eq!(code(why), 0, "{why:?}");
        }
    }
}
