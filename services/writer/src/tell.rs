//! What became of commands: figures, and lines in the log within the trace of each.

use std::{collections::BTreeMap, time::Duration};

use model::{CommandBody, StepResult};
use runtime::{events, metrics};
use store::effect::NewLetter;

use crate::{settle::Done, setup::Place};

/// How often something of a kind was done in a way.
type Counts = BTreeMap<(&'static str, &'static str, StepResult), u64>;

/// A command was settled: counts what became of it, and how long that took since it was detected.
pub(crate) fn settled(place: &Place, one: &Done) {
    let (org, site) = (place.tenant.as_str(), place.directory.as_str());
    let (metrics, counts) = (metrics::process(), counts(one));
    for ((kind, action, result), count) in &counts {
        metrics.changes(org, site, kind, action, result.as_str(), *count);
        if *result == StepResult::Done {
            metrics.change_latency(org, site, kind, action, latency(one), *count);
        }
    }
    let again = of(&counts, StepResult::NotTried) + of(&counts, StepResult::Unknown);
    if again > 0 {
        one.span.in_scope(|| {
            tracing::info!(
                event.name = events::CHANGE_RETRIED,
                again,
                "not everything could be said to be done: it is decided afresh"
            );
        });
    }
    // Nobody's time is spent on lines that nobody reads.
    if tracing::enabled!(tracing::Level::DEBUG) {
        one.span.in_scope(|| line(one, &counts));
    }
}

/// Dead letters were opened.
pub(crate) fn letters(place: &Place, done: &[Done], opened: &[(u64, NewLetter)]) {
    for (id, letter) in opened {
        let of = done.iter().find(|one| one.open.command.id == letter.command);
        let _within = of.map(|one| one.span.enter());
        tracing::warn!(
            event.name = events::CHANGE_DEAD_LETTERED,
            rollcall.org = place.tenant.as_str(),
            rollcall.site = letter.target.as_str(),
            rollcall.change.id = %letter.command,
            letter = id,
            class = letter.class.as_str(),
            edges = letter.edges.len(),
            "the target will not have it: it is a dead letter"
        );
    }
}

fn latency(one: &Done) -> Duration {
    let since = one.open.detected_at.unwrap_or(one.open.created_at);
    since.until(one.finished.outcome.at).to_std()
}

/// What became of the parts of a command.
fn counts(one: &Done) -> Counts {
    let outcome = &one.finished.outcome;
    let mut counts = Counts::new();
    let mut note = |kind, action, result| *counts.entry((kind, action, result)).or_default() += 1;
    match &one.open.command.body {
        CommandBody::Edges { .. } => {
            for edge in &outcome.edges {
                note("membership", edge.op.as_str(), edge.result);
            }
        }
        CommandBody::CreateGroup { .. } => note("group", "create", outcome.result),
        CommandBody::DeleteGroup { .. } => note("group", "delete", outcome.result),
        CommandBody::GrantAccess { .. } => note("group", "grant", outcome.result),
        CommandBody::Account { change, .. } => note("account", change.as_str(), outcome.result),
    }
    counts
}

/// How much ended like this.
fn of(counts: &Counts, wanted: StepResult) -> u64 {
    counts.iter().filter(|((.., result), _)| *result == wanted).map(|(_, count)| count).sum()
}

/// One line for a command.
fn line(one: &Done, counts: &Counts) {
    let (done, already_so) = (of(counts, StepResult::Done), of(counts, StepResult::AlreadySo));
    let outdated = of(counts, StepResult::Outdated);
    let latency_ms = u64::try_from(latency(one).as_millis()).unwrap_or(u64::MAX);
    if done > 0 {
        tracing::debug!(event.name = events::CHANGE_APPLIED, done, already_so, outdated, latency_ms, "applied");
    } else if already_so + outdated > 0 {
        tracing::debug!(
            event.name = events::CHANGE_NOOP,
            already_so,
            outdated,
            latency_ms,
            "nothing had to be changed"
        );
    }
}
