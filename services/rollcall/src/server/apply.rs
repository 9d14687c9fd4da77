//! `apply --server`: lets the newest plan of the running services go, or exactly what a saved plan says.

use std::collections::BTreeSet;
use std::time::Duration;

use contract::ops;
use model::{GuardName, Plan};
use runtime::{Exit, Fault};
use serde_json::json;

use super::{client::Client, plan, short};
use crate::args::{ApplyArgs, Output};
use crate::local::{apply as local, planfile};
use crate::show::{self, counted, plan::Totals, progress::Progress};

/// So many cases are named in one request.
const AT_ONCE: usize = 900;
/// How long what goes is waited for. It goes on without us.
const WAIT: Duration = Duration::from_mins(10);
/// How often it is looked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// What became of the plan.
#[derive(Debug, Default)]
struct Applied {
    gone: u64,
    open: u64,
    held: u64,
    /// Refused until somebody changes the rule or the target.
    refused: u64,
    dead_letters: u64,
}

/// Shows the newest plan, asks, and lets it go. With a plan file: exactly the cases that it names, or nothing. What a
/// guard holds goes with `--override`, if your role reaches and it is not your own proposal.
///
/// # Errors
/// When the operators' API cannot be asked or refuses, the saved plan is stale, or nobody can be asked.
pub async fn apply(args: &ApplyArgs, quiet: bool) -> Result<Exit, Fault> {
    let saved = args.planfile.as_deref().map(planfile::load).transpose()?;
    let overrides = local::guards(&args.overrides)?;
    let client = Client::of(&args.server)?;
    let Some(detail) = plan::newest(&client).await? else {
        show::data("The services have not planned yet.\n");
        return Ok(Exit::Done);
    };
    let fresh: Plan = plan::document(&detail)?;
    let named = saved.as_ref().map(|saved| planfile::still_holds(saved, &fresh)).transpose()?;
    let named: Option<BTreeSet<String>> = named.map(|named| named.iter().map(ToString::to_string).collect());
    let is_named = |case: &&ops::CaseSummary| named.as_ref().is_none_or(|named| named.contains(&case.digest));
    if args.output == Output::Table {
        show::data(&plan::text(&detail));
    }
    let cases: Vec<&ops::CaseSummary> = detail.cases.iter().filter(is_named).collect();
    let (held, mut go): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| waits(case));
    let (lifted, held): (Vec<_>, Vec<_>) = held.into_iter().partition(|case| is_lifted(case, &overrides));
    let removals: u64 = go.iter().chain(&lifted).map(|case| case.removals).sum();
    if !(go.is_empty() && lifted.is_empty() || args.yes || local::asked(removals).await?) {
        show::note("Nothing was applied.");
        return Ok(Exit::Held);
    }
    let refused = approve(&client, &lifted, args.reason.as_deref().unwrap_or_default()).await?;
    go.extend(lifted.iter().filter(|case| !refused.contains(&case.digest)));
    let before = letters(&client).await?.1;
    for some in go.chunks(AT_ONCE) {
        let digests = some.iter().map(|case| case.digest.clone()).collect();
        let _said: ops::Accepted = client.post(&["plans", "apply"], &ops::PlanApply { digests }).await?;
    }
    let open = if go.is_empty() { 0 } else { wait(&client, &go, quiet).await? };
    let result = Applied {
        gone: go.len() as u64 - open,
        open,
        held: (held.len() + refused.len()) as u64,
        refused: Totals::of(&fresh).to_change,
        dead_letters: letters(&client).await?.1.saturating_sub(before),
    };
    report(&result, args.output);
    Ok(exit_of(&result))
}

/// Whether a case waits for a person.
fn waits(case: &ops::CaseSummary) -> bool {
    !matches!(case.state.as_str(), "released" | "needs" | "approved")
}

/// Whether everything that holds a case is to be overridden. What a person rejected is not ours to lift.
fn is_lifted(case: &ops::CaseSummary, overrides: &BTreeSet<GuardName>) -> bool {
    let lifted = |held: &ops::Guard| GuardName::parse(&held.guard).is_some_and(|guard| overrides.contains(&guard));
    case.state == "held" && !case.held.is_empty() && case.held.iter().all(lifted)
}

/// Approves cases in our name. Gives those that we may not.
async fn approve(client: &Client, cases: &[&ops::CaseSummary], reason: &str) -> Result<BTreeSet<String>, Fault> {
    let mut refused = BTreeSet::new();
    for some in cases.chunks(AT_ONCE) {
        let digests = some.iter().map(|case| case.digest.clone()).collect();
        let verdict = ops::Verdict { digests, verdict: "approve".to_owned(), reason: reason.to_owned() };
        let answer: ops::VerdictAnswer = client.post(&["cases", "verdict"], &verdict).await?;
        for result in answer.results.into_iter().filter(|result| result.result != "approved") {
            show::note(&format!("{} stays held: {}", short(&result.digest), result.why));
            refused.insert(result.digest);
        }
    }
    Ok(refused)
}

/// Waits until the cases have left the plan and no command is open. Gives how many have not left in time.
async fn wait(client: &Client, go: &[&ops::CaseSummary], quiet: bool) -> Result<u64, Fault> {
    let until = runtime::clock::deadline(WAIT);
    let running = Progress::new(quiet).begin("applying", go.len() as u64);
    let mut gone = 0;
    loop {
        // In this order: a group that was made shows the filling of it in the plan as soon as its command is settled.
        let commands = letters(client).await?.0;
        let left = plan::newest(client).await?.map(|detail| detail.cases).unwrap_or_default();
        let open = go.iter().filter(|case| left.iter().any(|left| is_of(case, left))).count() as u64;
        let now = go.len() as u64 - open;
        running.add(now.saturating_sub(gone));
        gone = gone.max(now);
        if open == 0 && commands == 0 || runtime::clock::deadline(Duration::ZERO) > until {
            running.finish();
            return Ok(open);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether what is left is this case, or the filling of the group that it makes.
fn is_of(case: &ops::CaseSummary, left: &ops::CaseSummary) -> bool {
    let fills = case.kind == "create" && left.kind == "additions" && !waits(left);
    left.digest == case.digest || (fills && left.target == case.target && left.group == case.group)
}

/// How many commands and how many dead letters are open.
async fn letters(client: &Client) -> Result<(u64, u64), Fault> {
    let list: ops::StatusList = client.get(&["status"], &[]).await?;
    let targets = || list.tenants.iter().flat_map(|status| &status.targets);
    let commands = targets().flat_map(|target| target.open_commands.values()).sum();
    Ok((commands, targets().map(|target| target.dead_letters).sum()))
}

fn report(result: &Applied, output: Output) {
    if output != Output::Table {
        let document = json!({
            "schema": "rollcall.applied/1", "cases": result.gone, "open": result.open, "held": result.held,
            "refused": result.refused, "dead_letters": result.dead_letters,
        });
        return show::json(&document, output == Output::Json);
    }
    let mut line = format!("Applied {}", counted(result.gone, "case", "cases"));
    if result.open > 0 {
        line.extend([format!("; {} on the way, see `rollcall status`", result.open)]);
    }
    if result.dead_letters > 0 {
        line.extend([format!("; {}", counted(result.dead_letters, "new dead letter", "new dead letters"))]);
    }
    if result.held > 0 {
        line.extend([format!("; {} held for a person, see `rollcall review`", counted(result.held, "case", "cases"))]);
    }
    if result.refused > 0 {
        line.extend([format!("; {} refused", counted(result.refused, "change", "changes"))]);
    }
    show::data(&(line + ".\n"));
}

const fn exit_of(result: &Applied) -> Exit {
    if result.dead_letters > 0 {
        Exit::Partly
    } else if result.open > 0 {
        Exit::TryLater
    } else if result.held > 0 || result.refused > 0 {
        Exit::Held
    } else {
        Exit::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(state: &str, guards: &[&str]) -> ops::CaseSummary {
        let guard = |name: &&str| ops::Guard { guard: (*name).to_owned(), ..ops::Guard::default() };
        ops::CaseSummary {
            state: state.to_owned(),
            held: guards.iter().map(guard).collect(),
            ..ops::CaseSummary::default()
        }
    }

    #[test]
    fn an_override_lifts_what_only_its_guards_hold() {
        let overrides = BTreeSet::from([GuardName::PerGroupRemovals]);
        assert!(is_lifted(&case("held", &["per-group-removals"]), &overrides));
        assert!(!is_lifted(&case("held", &["per-group-removals", "source-shrink"]), &overrides));
        assert!(!is_lifted(&case("rejected", &["per-group-removals"]), &overrides));
        assert!(!is_lifted(&case("held", &[]), &overrides));
    }

    #[test]
    fn what_is_left_says_the_exit_code() {
        let result = |open, held, refused, dead_letters| Applied { gone: 1, open, held, refused, dead_letters };
        let codes = [
            (result(0, 0, 0, 0), 0),
            (result(0, 2, 0, 0), 3),
            (result(0, 0, 1, 0), 3),
            (result(1, 2, 1, 0), 75),
            (result(0, 2, 1, 1), 4),
        ];
        for (result, code) in codes {
            assert_eq!(exit_of(&result).code(), code, "{result:?}");
        }
    }
}
