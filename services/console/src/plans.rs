//! Plans as stored.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use contract::ops;
use model::{Digest, EdgeOp, Plan};
use runtime::events;
use serde::Deserialize;
use store::audit::AuditEntry;
use store::plan::CaseState;

use crate::body::Body;
use crate::cases::{self, Beside};
use crate::failure::Failure;
use crate::gate::{Asked, Parts1};
use crate::state::Api;

/// How many cases one request may name: as many as fit into its body.
const CASES_MAX: usize = 900;

/// How long the reconciler may take to answer: it finishes the turn in hand first.
const HEARD_WITHIN: Duration = Duration::from_secs(20);

/// How many plans a page has at most.
const PAGE_MAX: u32 = 200;

/// `?limit=&before=`.
#[derive(Debug, Deserialize)]
pub(crate) struct PageQuery {
    limit: Option<u32>,
    before: Option<u64>,
}

/// The counts that a plan's row carries for lists.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    cases: u64,
    held: u64,
    additions: u64,
    removals: u64,
}

/// `GET /plans`.
pub(crate) async fn list(
    State(api): State<Api>,
    asked: Asked,
    Query(page): Query<PageQuery>,
) -> Result<Json<ops::PlanList>, Failure> {
    let limit = page.limit.unwrap_or(50).clamp(1, PAGE_MAX);
    let rows = api.store().plans(&asked.tenant, page.before, limit).await?;
    let next_before = if rows.len() < limit as usize { None } else { rows.last().map(|row| row.number) };
    let plans = rows.into_iter().map(|row| {
        let counts: Counts = serde_json::from_str(&row.summary).unwrap_or_default();
        ops::PlanSummary {
            number: row.number,
            made_at: row.made_at.to_string(),
            policy: row.policy.to_string(),
            cases: counts.cases,
            held: counts.held,
            additions: counts.additions,
            removals: counts.removals,
        }
    });
    Ok(Json(ops::PlanList { plans: plans.collect(), next_before }))
}

/// `GET /plans/{number}`.
pub(crate) async fn show(
    State(api): State<Api>,
    asked: Asked,
    Parts1(number): Parts1<u64>,
) -> Result<Json<ops::PlanDetail>, Failure> {
    let plan = api.store().plan(&asked.tenant, number).await?.ok_or_else(|| Failure::not_found("plan"))?;
    let beside = Beside::load(&api, &asked.tenant).await?;
    let every = [CaseState::Held, CaseState::Approved, CaseState::Rejected, CaseState::Released, CaseState::Void];
    let rows = api.store().cases(&asked.tenant, &every).await?;
    let states: BTreeMap<Digest, CaseState> = rows.iter().map(|row| (row.case.digest, beside.state(row))).collect();
    let cases = plan.cases().map(|(target, case)| {
        let state = match states.get(&case.digest) {
            Some(state) if !case.held.is_empty() => state.as_str(),
            _ if case.is_released() => "released",
            _ if case.held.is_empty() => "needs",
            _ => "held",
        };
        cases::summary(&asked.tenant, target, case, state, number)
    });
    let cases = cases.collect();
    let document = serde_json::to_string(&plan).unwrap_or_default();
    Ok(Json(ops::PlanDetail { summary: Some(summary(&plan, number)), document, cases }))
}

/// `POST /plans/apply`: lets cases of the newest plan go where the schedule alone would not yet. All that are named stand
/// in it, or nothing goes; what a guard holds waits for an approval all the same.
pub(crate) async fn apply(
    State(api): State<Api>,
    asked: Asked,
    Body(request): Body<ops::PlanApply>,
) -> Result<Json<ops::Accepted>, Failure> {
    if request.digests.is_empty() || request.digests.len() > CASES_MAX {
        return Err(Failure::usage(format!("name between one and {CASES_MAX} cases")));
    }
    let newest = api.store().plans(&asked.tenant, None, 1).await?;
    let Some(number) = newest.first().map(|row| row.number) else { return Err(Failure::not_found("plan")) };
    let plan = api.store().plan(&asked.tenant, number).await?.ok_or_else(|| Failure::not_found("plan"))?;
    let there: BTreeSet<String> = plan.cases().map(|(_, case)| case.digest.to_string()).collect();
    let gone = request.digests.iter().filter(|digest| !there.contains(*digest)).count();
    if gone > 0 {
        let named = request.digests.len();
        tracing::info!(event.name = events::PLAN_STALE, rollcall.org = %asked.tenant, rollcall.plan.id = number, gone,
            "a plan was to be applied that is not the newest any more");
        let failure = Failure::stale(format!("{gone} of {named} cases are not in plan {number}, the newest"))
            .help("look at the plan of now with `rollcall plan --server`; nothing was applied");
        return Err(api.refuse(&asked.tenant, &asked.person, "apply plan", failure).await);
    }
    let entry = AuditEntry {
        at: api.now(),
        actor: asked.person.name.clone(),
        verb: "plan.applied".to_owned(),
        key: format!("plan/{number}"),
        before: Vec::new(),
        after: request.digests.join(" ").into_bytes(),
        cause: "asked by a person".to_owned(),
    };
    api.store().append_audit(&asked.tenant, &[entry]).await?;
    let body = request.digests.join("\n").into_bytes();
    if let Err(error) = api.inner.bus.ask(&asked.tenant, "apply", body, HEARD_WITHIN).await {
        tracing::warn!(event.name = "rollcall.console.unheard", %error, "no reconciler heard that a plan is to be applied");
        return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "no reconciler answers")
            .help("is it running? ask again when it is: nothing was applied"));
    }
    Ok(Json(ops::Accepted { message: format!("{} of plan {number} go", request.digests.len()) }))
}

fn summary(plan: &Plan, number: u64) -> ops::PlanSummary {
    let count = |op| plan.cases().map(|(_, case)| case.count(op) as u64).sum();
    ops::PlanSummary {
        number,
        made_at: plan.made_at.to_string(),
        policy: plan.policy.to_string(),
        cases: plan.cases().count() as u64,
        held: plan.cases().filter(|(_, case)| !case.held.is_empty()).count() as u64,
        additions: count(EdgeOp::Add),
        removals: count(EdgeOp::Remove),
    }
}
