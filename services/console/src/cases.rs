//! Held cases and the verdicts on them.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Query, State};
use contract::ops;
use model::{Case, CaseKind, Digest, DirectoryId, EdgeOp, Fault, GuardName, TenantId, Time};
use runtime::events;
use serde::Deserialize;
use store::StoreError;
use store::plan::{CaseRow, CaseState, VerdictRow};
use store::show::Proposal;

use crate::body::{self, Body};
use crate::failure::Failure;
use crate::gate::{Asked, Parts1};
use crate::state::Api;
use crate::tokens::{POLICY, Person};

/// How many digits of a digest must be given at least.
const PREFIX_MIN: usize = 12;

/// How many cases one request may judge.
const VERDICTS_MAX: usize = 1000;

/// `?state=`.
#[derive(Debug, Deserialize)]
pub(crate) struct StateQuery {
    state: Option<String>,
}

/// What is known beside the rows of cases: who said what, who proposed what.
#[derive(Debug)]
pub(crate) struct Beside {
    verdicts: BTreeMap<Digest, VerdictRow>,
    proposals: Vec<Proposal>,
}

impl Beside {
    pub(crate) async fn load(api: &Api, tenant: &TenantId) -> Result<Self, StoreError> {
        let verdicts = api.store().load_verdicts(tenant, api.now()).await?.cases;
        let verdicts = verdicts.into_iter().map(|verdict| (verdict.digest, verdict)).collect();
        Ok(Self { verdicts, proposals: api.store().proposals(tenant).await? })
    }

    /// Where a case stands: a verdict counts from when it was given, though the reconciler may not have looked yet.
    pub(crate) fn state(&self, row: &CaseRow) -> CaseState {
        match (row.state, self.verdicts.get(&row.case.digest)) {
            (CaseState::Released | CaseState::Void, _) => row.state,
            (_, Some(verdict)) if verdict.approved => CaseState::Approved,
            (_, Some(_)) => CaseState::Rejected,
            // An approval that has expired holds nothing open.
            (CaseState::Approved, None) => CaseState::Held,
            (state, None) => state,
        }
    }

    fn proposer(&self, target: &DirectoryId, case: &Case) -> &str {
        let proposal =
            self.proposals.iter().find(|proposal| &proposal.target == target && touches(case, &proposal.about));
        proposal.map_or(POLICY, |proposal| &proposal.actor)
    }
}

/// Whether a case changes anything of what somebody set in motion.
fn touches(case: &Case, about: &Fault) -> bool {
    let is = |id: Option<&str>, other: &str| id == Some(other);
    match about {
        Fault::Group { group } => {
            let (id, name) = group_of(&case.kind);
            is(id, group)
                || is(name, group)
                || case
                    .edges()
                    .any(|edge| is(edge.group.as_ref().map(AsRef::as_ref), group) || edge.group_name == *group)
        }
        Fault::Person { account, .. } => {
            let person = person_of(&case.kind);
            person == Some(account.as_str())
                || case
                    .edges()
                    .any(|edge| edge.account.as_ref() == Some(account) || edge.person.as_ref() == Some(account))
        }
        Fault::Access { group, .. } => group_of(&case.kind).0 == Some(group.as_str()),
        Fault::Edge { group, account } => {
            case.edges().any(|edge| edge.group.as_ref() == Some(group) && edge.account.as_ref() == Some(account))
        }
    }
}

/// The id and the name of the group that a case is about.
fn group_of(kind: &CaseKind) -> (Option<&str>, Option<&str>) {
    match kind {
        CaseKind::Create { name } => (None, Some(name)),
        CaseKind::Conflict { group, name }
        | CaseKind::Additions { group, name }
        | CaseKind::Removals { group, name }
        | CaseKind::Access { group, name }
        | CaseKind::Delete { group, name } => (Some(group.as_str()), Some(name)),
        CaseKind::Leaver { .. } | CaseKind::Account { .. } => (None, None),
    }
}

fn person_of(kind: &CaseKind) -> Option<&str> {
    match kind {
        CaseKind::Leaver { person, .. } | CaseKind::Account { person, .. } => Some(person.as_str()),
        _ => None,
    }
}

const fn kind_name(kind: &CaseKind) -> &'static str {
    match kind {
        CaseKind::Leaver { .. } => "leaver",
        CaseKind::Create { .. } => "create",
        CaseKind::Conflict { .. } => "conflict",
        CaseKind::Additions { .. } => "additions",
        CaseKind::Removals { .. } => "removals",
        CaseKind::Delete { .. } => "delete",
        CaseKind::Access { .. } => "access",
        CaseKind::Account { .. } => "account",
    }
}

/// Whether a case is about a group that was there before us, and waits for that reason.
pub(crate) fn is_conflict(case: &Case) -> bool {
    matches!(case.kind, CaseKind::Conflict { .. }) && case.held.iter().any(|held| held.guard == GuardName::Conflict)
}

/// A case in one line.
pub(crate) fn summary(
    tenant: &TenantId,
    target: &DirectoryId,
    case: &Case,
    state: &str,
    plan: u64,
) -> ops::CaseSummary {
    let figures = |guard| case.guards.iter().find(|verdict| verdict.guard == guard);
    let held = case.held.iter().map(|held| ops::Guard {
        guard: held.guard.as_str().to_owned(),
        reason: held.reason.clone(),
        found: figures(held.guard).map(|verdict| verdict.found),
        limit: figures(held.guard).map(|verdict| verdict.limit),
    });
    ops::CaseSummary {
        digest: case.digest.to_string(),
        plan,
        target: target.to_string(),
        kind: kind_name(&case.kind).to_owned(),
        state: state.to_owned(),
        group: group_of(&case.kind).1.map(str::to_owned),
        person: person_of(&case.kind).map(str::to_owned),
        additions: case.count(EdgeOp::Add) as u64,
        removals: case.count(EdgeOp::Remove) as u64,
        held: held.collect(),
        since: None,
        expires: None,
        proposer: POLICY.to_owned(),
        tenant: tenant.to_string(),
    }
}

fn row_summary(tenant: &TenantId, row: &CaseRow, beside: &Beside, expires: Time) -> ops::CaseSummary {
    ops::CaseSummary {
        since: Some(row.held_at.to_string()),
        expires: Some(expires.to_string()),
        proposer: beside.proposer(&row.target, &row.case).to_owned(),
        ..summary(tenant, &row.target, &row.case, beside.state(row).as_str(), row.plan)
    }
}

/// `GET /cases`.
pub(crate) async fn list(
    State(api): State<Api>,
    asked: Asked,
    Query(query): Query<StateQuery>,
) -> Result<Json<ops::CaseList>, Failure> {
    let wanted = query.state.as_deref().unwrap_or("held");
    let all = wanted == "all";
    let Some(state) = CaseState::parse(wanted).or(all.then_some(CaseState::Held)) else {
        return Err(Failure::usage("state is held, approved, rejected, released, void or all"));
    };
    let open = [CaseState::Held, CaseState::Approved, CaseState::Rejected];
    let every = [CaseState::Held, CaseState::Approved, CaseState::Rejected, CaseState::Released, CaseState::Void];
    let one = [state];
    let among: &[CaseState] = if all {
        &every
    } else if open.contains(&state) {
        &open
    } else {
        &one
    };
    let beside = Beside::load(&api, &asked.tenant).await?;
    let expires = api.now().plus(api.policy(&asked.tenant).await?.approval.expires);
    let rows = api.store().cases(&asked.tenant, among).await?;
    let rows = rows.iter().filter(|row| all || beside.state(row) == state);
    let mut cases: Vec<_> = rows.map(|row| row_summary(&asked.tenant, row, &beside, expires)).collect();
    let waiting = policy_summary(&api, &asked.tenant, &beside, expires).await?;
    cases.extend(waiting.filter(|case| all || case.state == state.as_str()));
    Ok(Json(ops::CaseList { cases }))
}

/// A policy that would stop managing too much waits like a case; its digest is its hash.
async fn policy_summary(
    api: &Api,
    tenant: &TenantId,
    beside: &Beside,
    expires: Time,
) -> Result<Option<ops::CaseSummary>, Failure> {
    let Some((hash, reason, since)) = api.store().held_policy(tenant).await? else { return Ok(None) };
    let state = match beside.verdicts.get(&hash) {
        Some(verdict) if verdict.approved => CaseState::Approved,
        Some(_) => CaseState::Rejected,
        None => CaseState::Held,
    };
    Ok(Some(ops::CaseSummary {
        digest: hash.to_string(),
        target: "*".to_owned(),
        kind: "policy".to_owned(),
        state: state.as_str().to_owned(),
        held: vec![ops::Guard { guard: GuardName::PolicyShrink.as_str().to_owned(), reason, found: None, limit: None }],
        since: Some(since.to_string()),
        expires: Some(expires.to_string()),
        proposer: POLICY.to_owned(),
        tenant: tenant.to_string(),
        ..ops::CaseSummary::default()
    }))
}

/// `GET /cases/{digest}`.
pub(crate) async fn show(
    State(api): State<Api>,
    asked: Asked,
    Parts1(digest): Parts1<String>,
) -> Result<Json<ops::CaseDetail>, Failure> {
    let row = find(&api, &asked.tenant, &digest).await?;
    let beside = Beside::load(&api, &asked.tenant).await?;
    let expires = api.now().plus(api.policy(&asked.tenant).await?.approval.expires);
    let decided_by =
        beside.verdicts.get(&row.case.digest).map(|verdict| verdict.actor.clone()).or(row.decided_by.clone());
    let document = serde_json::to_string(&row.case).unwrap_or_default();
    let summary = row_summary(&asked.tenant, &row, &beside, expires);
    Ok(Json(ops::CaseDetail { summary: Some(summary), document, decided_by }))
}

/// `POST /cases/{digest}/approve`.
pub(crate) async fn approve(
    State(api): State<Api>,
    asked: Asked,
    Parts1(digest): Parts1<String>,
    Body(because): Body<ops::Because>,
) -> Result<Json<ops::VerdictResult>, Failure> {
    let result = judge(&api, &asked, &digest, true, &because.reason).await?;
    api.wake(&asked.tenant).await;
    Ok(Json(result))
}

/// `POST /cases/{digest}/reject`.
pub(crate) async fn reject(
    State(api): State<Api>,
    asked: Asked,
    Parts1(digest): Parts1<String>,
    Body(because): Body<ops::Because>,
) -> Result<Json<ops::VerdictResult>, Failure> {
    let result = judge(&api, &asked, &digest, false, &because.reason).await?;
    api.wake(&asked.tenant).await;
    Ok(Json(result))
}

/// `POST /cases/verdict`: many at once; what is refused is a line of the answer and stops nothing else.
pub(crate) async fn verdict(
    State(api): State<Api>,
    asked: Asked,
    Body(verdict): Body<ops::Verdict>,
) -> Result<Json<ops::VerdictAnswer>, Failure> {
    let approved = match verdict.verdict.as_str() {
        "approve" => true,
        "reject" => false,
        _ => return Err(Failure::usage("verdict is approve or reject")),
    };
    if verdict.digests.is_empty() || verdict.digests.len() > VERDICTS_MAX {
        return Err(Failure::usage(format!("name between one and {VERDICTS_MAX} digests")));
    }
    body::reason(&verdict.reason)?;
    let mut results = Vec::with_capacity(verdict.digests.len());
    for digest in verdict.digests {
        results.push(match judge(&api, &asked, &digest, approved, &verdict.reason).await {
            Ok(result) => result,
            Err(failure) if failure.status.is_server_error() => return Err(failure),
            Err(failure) => ops::VerdictResult { digest, result: failure.code.to_owned(), why: failure.message },
        });
    }
    api.wake(&asked.tenant).await;
    Ok(Json(ops::VerdictAnswer { results }))
}

/// One case by its digest, or by enough of its first digits to be the only one.
async fn find(api: &Api, tenant: &TenantId, digest: &str) -> Result<CaseRow, Failure> {
    let digest = digest.to_ascii_lowercase();
    if !(PREFIX_MIN..=64).contains(&digest.len()) || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Failure::usage(format!("a digest is 64 hexadecimal digits, or its first {PREFIX_MIN} or more")));
    }
    let found = api.store().cases_by_prefix(tenant, &digest).await?;
    let one = match found.as_slice() {
        [one] => *one,
        [] => {
            return Err(Failure::not_found("case")
                .help("it was never held, or not under this digest: `rollcall review` lists what is"));
        }
        _ => return Err(Failure::usage("several cases begin like that: give more digits")),
    };
    api.store().case(tenant, one).await?.ok_or_else(|| Failure::not_found("case"))
}

async fn judge(
    api: &Api,
    asked: &Asked,
    digest: &str,
    approved: bool,
    reason: &str,
) -> Result<ops::VerdictResult, Failure> {
    let reason = body::reason(reason)?;
    let waiting = api.store().held_policy(&asked.tenant).await?.map(|(hash, ..)| hash);
    if let Some(hash) = waiting.filter(|hash| names(digest, *hash)) {
        let result = record(api, &asked.tenant, &asked.person, hash, POLICY, approved, reason).await?;
        tracing::info!(event.name = decided(approved), rollcall.org = %asked.tenant, policy = hash.short(),
            "a policy is decided");
        return Ok(result);
    }
    let row = find(api, &asked.tenant, digest).await?;
    let what = format!("{} case/{}", if approved { "approve" } else { "reject" }, row.case.digest);
    match decide(api, &asked.tenant, &asked.person, &row, approved, reason).await {
        Ok(result) => Ok(result),
        Err(failure) if failure.status.is_client_error() => {
            Err(api.refuse(&asked.tenant, &asked.person, &what, failure).await)
        }
        Err(failure) => Err(failure),
    }
}

const fn decided(approved: bool) -> &'static str {
    if approved { events::PLAN_APPROVED } else { events::PLAN_REJECTED }
}

async fn decide(
    api: &Api,
    tenant: &TenantId,
    person: &Person,
    row: &CaseRow,
    approved: bool,
    reason: &str,
) -> Result<ops::VerdictResult, Failure> {
    if matches!(row.state, CaseState::Released | CaseState::Void) {
        let why =
            if row.state == CaseState::Released { "it went already" } else { "it changed, or is no longer wanted" };
        tracing::info!(event.name = events::PLAN_STALE, rollcall.org = %tenant, rollcall.site = %row.target,
            rollcall.plan.id = row.plan, "a case was decided that is not held any more");
        return Err(Failure::stale(format!("this case is not held any more: {why}")));
    }
    let beside = Beside::load(api, tenant).await?;
    let proposer = beside.proposer(&row.target, &row.case);
    let result = record(api, tenant, person, row.case.digest, proposer, approved, reason).await?;
    tracing::info!(event.name = decided(approved), rollcall.org = %tenant, rollcall.site = %row.target,
        rollcall.plan.id = row.plan, "a case is decided");
    match &row.case.kind {
        // The digest changes with every member that comes or goes, and who keeps the target's group means the group.
        CaseKind::Conflict { group, .. } if !approved && is_conflict(&row.case) => {
            let decider = api.decider(person, reason);
            let kept = [(row.target.clone(), group.clone())];
            api.store().decide_conflicts(tenant, &kept, "keep-apart", None, &decider).await?;
            let why = "the target keeps its group, whatever changes; `rollcall approve TARGET/GROUP` takes it back";
            Ok(ops::VerdictResult { why: why.to_owned(), ..result })
        }
        _ => Ok(result),
    }
}

/// Whether a text is this digest, or enough of its first digits.
fn names(text: &str, digest: Digest) -> bool {
    text.len() >= PREFIX_MIN && digest.to_string().starts_with(&text.to_ascii_lowercase())
}

async fn record(
    api: &Api,
    tenant: &TenantId,
    person: &Person,
    digest: Digest,
    proposer: &str,
    approved: bool,
    reason: &str,
) -> Result<ops::VerdictResult, Failure> {
    let approval = api.policy(tenant).await?.approval.clone();
    // Where one person is enough, the row says why.
    let proposer = if approval.four_eyes { proposer.to_owned() } else { format!("{proposer} (four_eyes = false)") };
    let decider = api.decider(person, reason);
    let until = decider.at.plus(approval.expires);
    api.store().decide_case(tenant, digest, approved, &proposer, &decider, approval.expires).await?;
    let (result, why) = if approved {
        ("approved", format!("it goes with the next decision; the approval ends {until}"))
    } else {
        ("rejected", "it stays away until it changes".to_owned())
    };
    Ok(ops::VerdictResult { digest: digest.to_string(), result: result.to_owned(), why })
}
