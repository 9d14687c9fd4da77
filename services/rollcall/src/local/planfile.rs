//! Saved plans: what was shown is what is applied, or nothing is.

use std::{collections::BTreeSet, path::Path};

use model::{AccountId, Digest, Plan, Step};
use runtime::{Exit, Fault};
use serde::{Deserialize, Serialize};

/// The schema of the file.
const SCHEMA: &str = "rollcall.planfile/1";

/// A plan as `plan --out` saves it.
#[derive(Debug, Serialize, Deserialize)]
pub struct PlanFile {
    schema: String,
    /// The plan.
    pub plan: Plan,
}

/// Saves a plan.
///
/// # Errors
/// When the file cannot be written.
pub fn save(path: &Path, plan: &Plan) -> Result<(), Fault> {
    let file = PlanFile { schema: SCHEMA.to_owned(), plan: plan.clone() };
    let written =
        serde_json::to_vec_pretty(&file).map_err(std::io::Error::from).and_then(|bytes| std::fs::write(path, bytes));
    written.map_err(|cause| {
        Fault::new("E0121", Exit::Error, format!("the plan cannot be saved to {}: {cause}", path.display()))
    })
}

/// Reads a saved plan.
///
/// # Errors
/// When the file cannot be read or is no saved plan.
pub fn load(path: &Path) -> Result<Plan, Fault> {
    let problem = |cause: String| {
        Fault::new("E0122", Exit::Usage, format!("{} is no saved plan: {cause}", path.display()))
            .help("save one with `rollcall plan --out PLANFILE`")
    };
    let bytes = std::fs::read(path).map_err(|cause| problem(cause.to_string()))?;
    let file: PlanFile = serde_json::from_slice(&bytes).map_err(|cause| problem(cause.to_string()))?;
    if file.schema == SCHEMA { Ok(file.plan) } else { Err(problem(format!("its schema is {}", file.schema))) }
}

/// The cases of a saved plan, if the world still is as it was: every case of the file stands in the fresh plan with
/// exactly the same steps.
///
/// # Errors
/// Names how many cases differ. Nothing of a stale plan is applied.
pub fn still_holds(saved: &Plan, fresh: &Plan) -> Result<BTreeSet<Digest>, Fault> {
    let digests = |plan: &Plan| -> BTreeSet<(String, Digest)> {
        plan.cases().map(|(target, case)| (target.to_string(), case.digest)).collect()
    };
    let (named, found) = (digests(saved), digests(fresh));
    let stale = named.difference(&found).count();
    if saved.policy != fresh.policy {
        return Err(Fault::new(
            "E0123",
            Exit::Held,
            "the plan is stale: the policy file has changed since it was made",
        )
        .help("make a new plan, and look at it"));
    }
    let more = beside(saved, &named, fresh);
    if stale > 0 || more > 0 {
        let message = if stale > 0 {
            format!("the plan is stale: {stale} of its {} cases are no longer what they were", named.len())
        } else {
            format!("the plan is stale: more is to be changed now at {more} of the groups and people that it names")
        };
        return Err(
            Fault::new("E0123", Exit::Held, message).help("make a new plan, and look at it; nothing was applied")
        );
    }
    Ok(named.into_iter().map(|(_, digest)| digest).collect())
}

/// Groups and people of the saved plan of which the fresh one has other cases beside: what was shown of them is not all.
fn beside(saved: &Plan, named: &BTreeSet<(String, Digest)>, fresh: &Plan) -> usize {
    let objects = |plan: &Plan, wanted: &dyn Fn(&(String, Digest)) -> bool| -> BTreeSet<(String, String)> {
        let cases = plan.cases().filter(|(target, case)| wanted(&(target.to_string(), case.digest)));
        cases.flat_map(|(target, case)| case.steps.iter().map(move |step| (target.to_string(), object(step)))).collect()
    };
    let (shown, new) = (objects(saved, &|_| true), objects(fresh, &|case| !named.contains(case)));
    shown.intersection(&new).count()
}

/// What a step changes: a group, or a person.
fn object(step: &Step) -> String {
    match step {
        Step::CreateGroup { name, .. } | Step::DeleteGroup { name, .. } | Step::GrantAccess { name, .. } => {
            format!("group {name}")
        }
        Step::Edge { edge, .. } => format!("group {}", edge.group_name),
        Step::Account { account, person, .. } => {
            let id = person.as_ref().or(account.as_ref());
            format!("person {}", id.map(AccountId::as_str).unwrap_or_default())
        }
    }
}
