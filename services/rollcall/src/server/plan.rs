//! `plan --server`: the newest plan of the running services.

use contract::ops;
use runtime::{Exit, Fault};

use super::{about, client::Client, short};
use crate::{
    args::{Output, PlanArgs},
    show::{self, table::table},
};

/// Shows the newest plan, with what became of its cases.
///
/// # Errors
/// When the operators' API cannot be asked.
pub async fn plan(args: &PlanArgs) -> Result<Exit, Fault> {
    let server = args.server.server.as_deref().unwrap_or_default();
    let client = Client::new(server, args.server.token_file.as_deref())?;
    let list: ops::PlanList = client.get(&["plans"], &[("limit", "1")]).await?;
    let Some(newest) = list.plans.first() else {
        show::data("The services have not planned yet.\n");
        return Ok(Exit::Done);
    };
    let number = newest.number.to_string();
    let detail: ops::PlanDetail = client.get(&["plans", &number], &[]).await?;
    match args.output {
        Output::Table => show::data(&text(newest, &detail)),
        Output::Json | Output::Ndjson => {
            let document: serde_json::Value = serde_json::from_str(&detail.document).unwrap_or_default();
            show::json(&document, args.output == Output::Json);
        }
    }
    Ok(if args.detailed_exitcode && newest.cases > 0 { Exit::Changes } else { Exit::Done })
}

fn text(plan: &ops::PlanSummary, detail: &ops::PlanDetail) -> String {
    let mut text = format!(
        "Plan {} of {}: {} to add, {} to remove, {} held.\n",
        plan.number, plan.made_at, plan.additions, plan.removals, plan.held
    );
    let rows = detail.cases.iter().map(|case| {
        let changes = format!("-{} +{}", case.removals, case.additions);
        vec![short(&case.digest), case.target.clone(), case.kind.clone(), about(case), changes, case.state.clone()]
    });
    text.push_str(&table(&["CASE", "TARGET", "KIND", "ABOUT", "CHANGES", "STATE"], rows));
    text
}
