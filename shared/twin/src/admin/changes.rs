//! The world: load, change, read back.

use axum::extract::{Path, Query, Request, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Outcome, body, ok, parse, read, refuse};
use crate::engine::{Answer, Millis};
use crate::load::{Change, Error};
use crate::server::Shared;
use crate::world::atlassian::edit::Edit;
use crate::world::atlassian::{Act, AtlassianSwitches};
use crate::world::dc::edit::Edit as DcEdit;
use crate::world::{Cause, Mutation};

pub(super) async fn load(State(twin): State<Shared>, request: Request) -> Outcome {
    let bytes = body(request).await?;
    twin.load(&bytes).map_err(|error| refused(&error))?;
    Ok(ok(summary(&twin)))
}

pub(super) async fn reset(State(twin): State<Shared>) -> Outcome {
    twin.reset().map_err(|error| refused(&error))?;
    Ok(ok(summary(&twin)))
}

fn refused(error: &Error) -> Answer {
    refuse(if matches!(error, Error::Refused { .. } | Error::Atlassian { .. }) { 409 } else { 400 }, error)
}

fn summary(twin: &Shared) -> Value {
    let world = twin.world();
    json!({
        "users": world.google.live_users().count(),
        "groups": world.google.groups_after("", Millis::MAX).count(),
        "accounts": world.atlassian.accounts().len(),
        "sequence": world.log.sequence(),
    })
}

/// A batch of changes, or one line of a history.
#[derive(Deserialize)]
struct Batch<T> {
    changes: Vec<T>,
    /// The line's time in seconds since 1970.
    #[serde(default)]
    t: Option<i64>,
    /// Sets the virtual clock to `t` first.
    #[serde(default)]
    set_clock: bool,
}

/// Changes come as `{"changes": […]}`, as a bare list, or as a single change.
fn batch<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<Batch<T>, Answer> {
    let value: Value = parse(bytes)?;
    let from = |value: Value| serde_json::from_value(value).map_err(|error| refuse(400, &error));
    match value {
        Value::Object(object) if object.contains_key("changes") => {
            serde_json::from_value(Value::Object(object)).map_err(|error| refuse(400, &error))
        }
        Value::Array(list) => {
            Ok(Batch { changes: list.into_iter().map(from).collect::<Result<_, _>>()?, t: None, set_clock: false })
        }
        one => Ok(Batch { changes: vec![from(one)?], t: None, set_clock: false }),
    }
}

pub(super) async fn google(State(twin): State<Shared>, request: Request) -> Outcome {
    let batch: Batch<Change> = batch(&body(request).await?)?;
    if let Some(seconds) = batch.t.filter(|_| batch.set_clock) {
        twin.engine.clock.set(seconds.saturating_mul(1000));
    }
    match twin.change(&batch.changes) {
        Ok(()) => Ok(changed(&twin, batch.changes.len(), None)),
        Err((applied, error)) => Ok(changed(&twin, applied, Some(error.to_string()))),
    }
}

pub(super) async fn atlassian(State(twin): State<Shared>, request: Request) -> Outcome {
    let batch: Batch<Edit> = batch(&body(request).await?)?;
    for (applied, edit) in batch.changes.into_iter().enumerate() {
        let cause = cause(&twin, "edit");
        let mut world = twin.world();
        let world = &mut *world;
        let done = world.atlassian.edit(edit, &mut Act { cause: &cause, log: &mut world.log });
        if let Err(error) = done {
            return Ok(Answer::json(409, json!({"error": error, "applied": applied})));
        }
    }
    Ok(changed(&twin, 0, None))
}

pub(super) async fn dc(State(twin): State<Shared>, request: Request) -> Outcome {
    let batch: Batch<DcEdit> = batch(&body(request).await?)?;
    for (applied, edit) in batch.changes.into_iter().enumerate() {
        let cause = cause(&twin, "edit");
        if let Err(error) = twin.world().edit_dc(edit, &cause) {
            return Ok(Answer::json(409, json!({"error": error, "applied": applied})));
        }
    }
    Ok(changed(&twin, 0, None))
}

fn changed(twin: &Shared, applied: usize, error: Option<String>) -> Answer {
    let world = twin.world();
    let status = if error.is_some() { 409 } else { 200 };
    let mut body = json!({
        "applied": applied,
        "sequence": world.log.sequence(),
        "at": twin.engine.clock.now(),
    });
    if let (Some(error), Some(body)) = (error, body.as_object_mut()) {
        body.insert("error".to_owned(), json!(error));
    }
    Answer::json(status, body)
}

fn cause(twin: &Shared, operation: &str) -> Cause {
    let at = twin.engine.clock.now();
    Cause { at, visible_at: at, family: "twin".to_owned(), operation: operation.to_owned(), ..Cause::default() }
}

pub(super) async fn switches(State(twin): State<Shared>) -> Outcome {
    let switches = twin.world().atlassian.switches.clone();
    Ok(ok(json!(switches)))
}

/// Only what is named changes.
pub(super) async fn set_switches(State(twin): State<Shared>, request: Request) -> Outcome {
    let named: serde_json::Map<String, Value> = read(request).await?;
    let mut world = twin.world();
    let mut all = json!(world.atlassian.switches);
    if let Some(all) = all.as_object_mut() {
        all.extend(named);
    }
    let switches: AtlassianSwitches = serde_json::from_value(all).map_err(|error| refuse(400, &error))?;
    world.atlassian.switches = switches;
    Ok(ok(json!(world.atlassian.switches)))
}

pub(super) async fn world(State(twin): State<Shared>) -> Outcome {
    let world = twin.world();
    Ok(ok(json!({
        "now": twin.engine.clock.now(),
        "sequence": world.log.sequence(),
        "google": world.google.dump(),
        "atlassian": world.atlassian.dump(),
        "dc": world.dc.dump(),
    })))
}

pub(super) async fn side(State(twin): State<Shared>, Path(side): Path<String>) -> Outcome {
    let world = twin.world();
    match side.as_str() {
        "google" => Ok(ok(world.google.dump())),
        "atlassian" => Ok(ok(world.atlassian.dump())),
        "dc" => Ok(ok(world.dc.dump())),
        _ => Err(refuse(404, &"the sides are google, atlassian and dc")),
    }
}

#[derive(Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
    #[serde(default)]
    family: Option<String>,
}

/// The log after a number, all of it by default; `family` is a glob.
pub(super) async fn log(State(twin): State<Shared>, Query(asked): Query<After>) -> Outcome {
    let world = twin.world();
    let fits = |it: &&Mutation| asked.family.as_deref().is_none_or(|glob| crate::engine::fault::glob(glob, &it.family));
    let entries: Vec<&Mutation> = world.log.after(asked.after).filter(fits).collect();
    Ok(ok(json!({"sequence": world.log.sequence(), "mutations": entries})))
}

#[derive(Deserialize)]
struct LogSettings {
    only_count: bool,
}

pub(super) async fn set_log(State(twin): State<Shared>, request: Request) -> Outcome {
    let settings: LogSettings = read(request).await?;
    twin.world().log.only_count = settings.only_count;
    Ok(ok(json!({"only_count": settings.only_count})))
}
