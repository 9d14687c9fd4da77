//! Dead letters: what will not be tried again by itself.

use axum::Json;
use axum::extract::{Query, State};
use contract::ops;
use model::{DeadLetterState, Fault, Rejection};
use serde::Deserialize;
use store::effect::LetterView;

use crate::body::{self, Body};
use crate::failure::Failure;
use crate::gate::{Asked, Parts1};
use crate::state::Api;

/// How many letters a list has, and one request may act on, at most.
const LETTERS_MAX: u32 = 10_000;

/// `?state=&target=&class=`.
#[derive(Debug, Deserialize)]
pub(crate) struct LetterQuery {
    state: Option<String>,
    target: Option<String>,
    class: Option<String>,
}

/// `GET /dead-letters`.
pub(crate) async fn list(
    State(api): State<Api>,
    asked: Asked,
    Query(query): Query<LetterQuery>,
) -> Result<Json<ops::DeadLetterList>, Failure> {
    const ALL: [DeadLetterState; 5] = [
        DeadLetterState::Open,
        DeadLetterState::Redriven,
        DeadLetterState::Resolved,
        DeadLetterState::Moot,
        DeadLetterState::Discarded,
    ];
    let states = match query.state.as_deref() {
        None => vec![DeadLetterState::Open, DeadLetterState::Redriven],
        Some("all") => ALL.to_vec(),
        Some(word) => {
            let state = DeadLetterState::parse(word);
            vec![state.ok_or_else(|| Failure::usage("state is open, redriven, resolved, moot, discarded or all"))?]
        }
    };
    let letters = api.store().letters(&asked.tenant, &states, LETTERS_MAX).await?;
    let letters = letters.iter().filter(|view| named(view, query.target.as_deref(), query.class.as_deref()));
    Ok(Json(ops::DeadLetterList { letters: letters.rev().map(wire).collect() }))
}

/// `GET /dead-letters/{id}`.
pub(crate) async fn show(
    State(api): State<Api>,
    asked: Asked,
    Parts1(id): Parts1<u64>,
) -> Result<Json<ops::DeadLetterDetail>, Failure> {
    let view = api.store().letter(&asked.tenant, id).await?.ok_or_else(|| Failure::not_found("dead letter"))?;
    let calls = api.store().letter_calls(&asked.tenant, id).await?;
    let mut attempts: Vec<ops::Attempt> = calls
        .into_iter()
        .map(|call| ops::Attempt {
            at: call.began_at.to_string(),
            request: call.request,
            status: call.status.map(u32::from),
            answer: call.answer,
        })
        .collect();
    if attempts.is_empty() {
        // The calls are pruned, or nothing was called: what attached says at least which command and which answer.
        attempts.extend(view.attempts.iter().rev().map(|(command, edges, at, answer)| ops::Attempt {
            at: at.to_string(),
            request: format!("command {command}: {}", edges.join(", ")),
            status: None,
            answer: answer.clone(),
        }));
    }
    Ok(Json(ops::DeadLetterDetail { letter: Some(wire(&view)), attempts }))
}

/// `POST /dead-letters/redrive`.
pub(crate) async fn redrive_many(
    State(api): State<Api>,
    asked: Asked,
    Body(action): Body<ops::DeadLetterAction>,
) -> Result<Json<ops::DeadLetterActionAnswer>, Failure> {
    act(&api, &asked, action, false).await
}

/// `POST /dead-letters/discard`.
pub(crate) async fn discard_many(
    State(api): State<Api>,
    asked: Asked,
    Body(action): Body<ops::DeadLetterAction>,
) -> Result<Json<ops::DeadLetterActionAnswer>, Failure> {
    act(&api, &asked, action, true).await
}

/// `POST /dead-letters/{id}/redrive`.
pub(crate) async fn redrive_one(
    State(api): State<Api>,
    asked: Asked,
    Parts1(id): Parts1<u64>,
    Body(because): Body<ops::Because>,
) -> Result<Json<ops::DeadLetterActionAnswer>, Failure> {
    one(&api, &asked, id, because.reason, false).await
}

/// `POST /dead-letters/{id}/discard`.
pub(crate) async fn discard_one(
    State(api): State<Api>,
    asked: Asked,
    Parts1(id): Parts1<u64>,
    Body(because): Body<ops::Because>,
) -> Result<Json<ops::DeadLetterActionAnswer>, Failure> {
    one(&api, &asked, id, because.reason, true).await
}

async fn one(
    api: &Api,
    asked: &Asked,
    id: u64,
    reason: String,
    discard: bool,
) -> Result<Json<ops::DeadLetterActionAnswer>, Failure> {
    api.store().letter(&asked.tenant, id).await?.ok_or_else(|| Failure::not_found("dead letter"))?;
    act(api, asked, ops::DeadLetterAction { ids: vec![id], reason, ..ops::DeadLetterAction::default() }, discard).await
}

async fn act(
    api: &Api,
    asked: &Asked,
    action: ops::DeadLetterAction,
    discard: bool,
) -> Result<Json<ops::DeadLetterActionAnswer>, Failure> {
    let reason = if discard { body::reason(&action.reason)? } else { action.reason.trim() };
    let filtered = action.target.is_some() || action.class.is_some();
    if action.ids.is_empty() && !action.all && !filtered {
        return Err(Failure::usage("say which dead letters: ids, a target, a class, or all"));
    }
    let every = [
        DeadLetterState::Open,
        DeadLetterState::Redriven,
        DeadLetterState::Resolved,
        DeadLetterState::Moot,
        DeadLetterState::Discarded,
    ];
    let among = if action.ids.is_empty() { every.get(..1).unwrap_or(&every) } else { &every };
    let letters = api.store().letters(&asked.tenant, among, LETTERS_MAX).await?;
    let mut answer = ops::DeadLetterActionAnswer::default();
    let mut ids = Vec::new();
    for view in &letters {
        let id = view.letter.id.unwrap_or(0);
        let meant = (action.ids.is_empty() || action.ids.contains(&id))
            && named(view, action.target.as_deref(), action.class.as_deref());
        if !meant {
            continue;
        }
        match view.letter.state {
            DeadLetterState::Open | DeadLetterState::Redriven => ids.push(id),
            DeadLetterState::Moot => answer.moot += 1,
            DeadLetterState::Resolved | DeadLetterState::Discarded => answer.superseded += 1,
        }
    }
    answer.acted = ids.len() as u64;
    if !ids.is_empty() {
        let decider = api.decider(&asked.person, if reason.is_empty() { "redrive" } else { reason });
        api.store().judge_letters(&asked.tenant, &ids, discard, &decider).await?;
        api.wake(&asked.tenant).await;
    }
    Ok(Json(answer))
}

fn named(view: &LetterView, target: Option<&str>, class: Option<&str>) -> bool {
    target.is_none_or(|target| view.letter.target.as_str() == target)
        && class.is_none_or(|class| view.letter.class.as_str() == class)
}

fn wire(view: &LetterView) -> ops::DeadLetter {
    let letter = &view.letter;
    let (fault, group, account) = match &letter.fault {
        Fault::Person { account, .. } => ("person", None, Some(account.to_string())),
        Fault::Group { group } => ("group", Some(group.clone()), None),
        Fault::Access { group, .. } => ("access", Some(group.to_string()), None),
        Fault::Edge { group, account } => ("edge", Some(group.to_string()), Some(account.to_string())),
    };
    ops::DeadLetter {
        id: letter.id.unwrap_or(0),
        target: letter.target.to_string(),
        fault: fault.to_owned(),
        group,
        account,
        class: letter.class.as_str().to_owned(),
        state: letter.state.as_str().to_owned(),
        first_at: letter.first_at.to_string(),
        last_at: letter.last_at.to_string(),
        attempts: letter.attempts,
        answer: letter.answer.clone(),
        remedy: remedy(letter.class).to_owned(),
        trace: view.traceparent.as_deref().and_then(|trace| trace.split('-').nth(1)).map(str::to_owned),
    }
}

/// What to do about a class of rejections.
const fn remedy(class: Rejection) -> &'static str {
    match class {
        Rejection::Auth => "give the credential the rights that the runbook lists, then redrive",
        Rejection::Ownership => {
            "the group belongs to an identity provider or to its members: map another group, then discard"
        }
        Rejection::Licence => "free a seat or raise the limit, then redrive",
        Rejection::UnknownUser => "the account is gone or was never made: restore or invite it, then redrive",
        Rejection::UnknownGroup => "the group is gone at the target: make it again or unmap it, then redrive",
        Rejection::Conflict => "something of that name stands in the way: rename or adopt it, then redrive",
        Rejection::Validation => "the target does not take this value: correct it at the source, then redrive",
    }
}
