//! `plan --server`: the newest plan of the running services.

use contract::ops;
use model::Plan;
use runtime::{Exit, Fault};

use super::{about, client::Client, short};
use crate::{
    args::{Output, PlanArgs},
    local::planfile,
    show::{self, table::table},
};

/// Shows the newest plan, with what became of its cases.
///
/// # Errors
/// When the operators' API cannot be asked.
pub async fn plan(args: &PlanArgs) -> Result<Exit, Fault> {
    let client = Client::of(&args.server)?;
    let Some(detail) = newest(&client).await? else {
        show::data("The services have not planned yet.\n");
        return Ok(Exit::Done);
    };
    if let Some(path) = &args.out {
        planfile::save(path, &document(&detail)?)?;
    }
    match args.output {
        Output::Table => show::data(&text(&detail)),
        Output::Json | Output::Ndjson => {
            let document: serde_json::Value = serde_json::from_str(&detail.document).unwrap_or_default();
            show::json(&document, args.output == Output::Json);
        }
    }
    let is_empty = detail.cases.is_empty();
    Ok(if args.detailed_exitcode && !is_empty { Exit::Changes } else { Exit::Done })
}

/// The newest plan, if there is one.
pub(super) async fn newest(client: &Client) -> Result<Option<ops::PlanDetail>, Fault> {
    let list: ops::PlanList = client.get(&["plans"], &[("limit", "1")]).await?;
    let Some(newest) = list.plans.first() else { return Ok(None) };
    client.get(&["plans", &newest.number.to_string()], &[]).await.map(Some)
}

/// The plan itself.
pub(super) fn document(detail: &ops::PlanDetail) -> Result<Plan, Fault> {
    serde_json::from_str(&detail.document).map_err(|_| {
        Fault::new("E0316", Exit::Error, "the plan of the operators' API cannot be read")
            .help("check that the console and this command are of one release")
    })
}

pub(super) fn text(detail: &ops::PlanDetail) -> String {
    let plan = detail.summary.clone().unwrap_or_default();
    let mut text = format!(
        "Plan {} of {}: {} to add, {} to remove, {} held.\n",
        plan.number, plan.made_at, plan.additions, plan.removals, plan.held
    );
    let rows = detail.cases.iter().map(|case| {
        let changes = format!("-{} +{}", case.removals, case.additions);
        vec![short(&case.digest), case.target.clone(), case.kind.clone(), about(case), changes, case.state.clone()]
    });
    text.push_str(&table(&["CASE", "TARGET", "KIND", "ABOUT", "CHANGES", "STATE"], rows));
    if let Ok(plan) = document(detail) {
        text.push_str(&show::plan::wider(&plan));
    }
    text
}
