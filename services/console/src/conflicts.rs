//! What becomes of groups that existed before we came.

use axum::Json;
use axum::extract::State;
use contract::ops;
use model::{DirectoryId, GroupId, Time};
use policy::ApprovalFor;

use crate::body::{self, Body};
use crate::failure::Failure;
use crate::gate::{Asked, Parts1};
use crate::state::Api;
use crate::tokens::Role;

/// How many groups one request may decide about.
const GROUPS_MAX: usize = 1000;

/// `POST /conflicts/decision`.
pub(crate) async fn decide_many(
    State(api): State<Api>,
    asked: Asked,
    Body(decision): Body<ops::ConflictDecision>,
) -> Result<Json<ops::Accepted>, Failure> {
    decide(&api, &asked, decision).await
}

/// `POST /conflicts/{target}/{group}`.
pub(crate) async fn decide_one(
    State(api): State<Api>,
    asked: Asked,
    Parts1((target, group)): Parts1<(String, String)>,
    Body(decision): Body<ops::ConflictDecision>,
) -> Result<Json<ops::Accepted>, Failure> {
    decide(&api, &asked, ops::ConflictDecision { target, groups: vec![group], ..decision }).await
}

async fn decide(api: &Api, asked: &Asked, decision: ops::ConflictDecision) -> Result<Json<ops::Accepted>, Failure> {
    let reason = body::reason(&decision.reason)?;
    let policy = api.policy(&asked.tenant).await?;
    let target = DirectoryId::new(&decision.target).ok().filter(|target| policy.directories.contains_key(target));
    let target = target.ok_or_else(|| Failure::not_found("target"))?;
    let (word, until) = word(&decision, api.now())?;
    // Adopting gives or takes access. Where the policy wants such a group approved, an operator alone is not enough.
    let gives = matches!(word, "adopt" | "add-only") && policy.approval.required_for.contains(&ApprovalFor::Conflict);
    if gives && asked.person.role < Role::Approver {
        let what = format!("{word} {} groups of {target}", decision.groups.len());
        return Err(api.refuse(&asked.tenant, &asked.person, &what, Failure::forbidden()).await);
    }
    if decision.groups.is_empty() || decision.groups.len() > GROUPS_MAX {
        return Err(Failure::usage(format!("name between one and {GROUPS_MAX} groups by their ids")));
    }
    let groups = decision.groups.iter().map(|group| GroupId::new(group).map(|group| (target.clone(), group)));
    let groups: Vec<_> = groups.collect::<Result<_, _>>().map_err(|error| Failure::usage(error.to_string()))?;
    api.store().decide_conflicts(&asked.tenant, &groups, word, until, &api.decider(&asked.person, reason)).await?;
    api.wake(&asked.tenant).await;
    Ok(Json(ops::Accepted {
        message: format!("{word}: {} at {target}; taken in with the next decision", groups.len()),
    }))
}

/// The decision in the word that is stored, and until when it holds.
fn word(decision: &ops::ConflictDecision, now: Time) -> Result<(&'static str, Option<Time>), Failure> {
    let until = match &decision.until {
        Some(text) => {
            Some(parse_time(text).ok_or_else(|| Failure::usage("until is a time such as 2026-12-24T00:00:00Z"))?)
        }
        None => None,
    };
    match (decision.decision.as_str(), until) {
        ("adopt", None) => Ok(("adopt", None)),
        ("add-only", None) => Ok(("add-only", None)),
        ("keep-apart", None) => Ok(("keep-apart", None)),
        ("ignore" | "ignore-until", Some(until)) if until > now => Ok(("ignore", Some(until))),
        ("ignore" | "ignore-until", _) => Err(Failure::usage("to ignore a group say until when, in the future")),
        ("adopt" | "add-only" | "keep-apart", Some(_)) => Err(Failure::usage("until goes with ignore alone")),
        _ => Err(Failure::usage("decision is adopt, add-only, keep-apart or ignore")),
    }
}

/// RFC 3339 in UTC with whole seconds, as this API writes it.
fn parse_time(text: &str) -> Option<Time> {
    let digits = |from: usize, to: usize| -> Option<i64> {
        let part = text.get(from..to)?;
        if part.bytes().all(|byte| byte.is_ascii_digit()) { part.parse().ok() } else { None }
    };
    let marks = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":"), (19, "Z")];
    if text.len() != 20 || marks.iter().any(|(at, mark)| text.get(*at..at + 1) != Some(mark)) {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days since the epoch (Howard Hinnant's `days_from_civil`).
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted - era * 400;
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let time = Time::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second);
    // A day that the month does not have comes out as another day.
    (time.to_string() == text).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_and_dates_that_do_not_exist_are_none() {
        for text in ["2026-11-21T14:32:07Z", "2000-02-29T00:00:00Z", "1970-01-01T00:00:00Z"] {
            assert_eq!(parse_time(text).map(|time| time.to_string()).as_deref(), Some(text));
        }
        for text in ["2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-11-21", "2026-11-21T14:32:07+", "x"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn ignoring_needs_a_future_and_nothing_else_has_one() {
        let decision = |word: &str, until: Option<&str>| ops::ConflictDecision {
            decision: word.to_owned(),
            until: until.map(str::to_owned),
            ..ops::ConflictDecision::default()
        };
        let now = Time::from_secs(1_700_000_000);
        assert!(word(&decision("adopt", None), now).is_ok());
        assert!(word(&decision("ignore", Some("2026-12-24T00:00:00Z")), now).is_ok());
        assert!(word(&decision("ignore-until", Some("2001-12-24T00:00:00Z")), now).is_err());
        assert!(word(&decision("ignore", None), now).is_err());
        assert!(word(&decision("adopt", Some("2026-12-24T00:00:00Z")), now).is_err());
        assert!(word(&decision("bridge", None), now).is_err());
    }
}
