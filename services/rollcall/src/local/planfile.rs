//! Saved plans: what was shown is what is applied, or nothing is.

use std::{collections::BTreeSet, path::Path};

use model::{Digest, Plan};
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
    if stale > 0 {
        let message = format!("the plan is stale: {stale} of its {} cases are no longer what they were", named.len());
        return Err(
            Fault::new("E0123", Exit::Held, message).help("make a new plan, and look at it; nothing was applied")
        );
    }
    Ok(named.into_iter().map(|(_, digest)| digest).collect())
}
