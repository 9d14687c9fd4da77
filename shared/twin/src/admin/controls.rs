//! Faults, quotas, lag, the clock and counters.

use std::collections::BTreeMap;

use axum::extract::{Path, Request, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Outcome, body, ok, parse, read, refuse};
use crate::engine::clock::rfc3339;
use crate::engine::{Fault, Limit, Millis};
use crate::server::Shared;

pub(super) async fn status(State(twin): State<Shared>) -> Outcome {
    let world = twin.world();
    let now = twin.engine.clock.now();
    Ok(ok(json!({
        "twin": "rollcall",
        "now": now,
        "time": rfc3339(now),
        "virtual": twin.engine.clock.is_virtual(),
        "sequence": world.log.sequence(),
        "faults": twin.engine.faults.all().len(),
    })))
}

pub(super) async fn faults(State(twin): State<Shared>) -> Outcome {
    Ok(ok(json!({"faults": twin.engine.faults.all()})))
}

/// One fault or a list of them.
pub(super) async fn inject(State(twin): State<Shared>, request: Request) -> Outcome {
    let value: Value = parse(&body(request).await?)?;
    let list = if let Value::Array(list) = value { list } else { vec![value] };
    let faults: Result<Vec<Fault>, _> = list.into_iter().map(serde_json::from_value).collect();
    let faults = faults.map_err(|error| refuse(400, &error))?;
    let ids: Vec<u64> = faults.into_iter().map(|it| twin.engine.faults.inject(it)).collect();
    Ok(ok(json!({"ids": ids})))
}

pub(super) async fn clear_faults(State(twin): State<Shared>) -> Outcome {
    twin.engine.faults.clear();
    Ok(ok(json!({})))
}

pub(super) async fn remove_fault(State(twin): State<Shared>, Path(id): Path<u64>) -> Outcome {
    if twin.engine.faults.remove(id) { Ok(ok(json!({}))) } else { Err(refuse(404, &"no fault with that id")) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotaSettings {
    #[serde(default)]
    enabled: Option<bool>,
    /// `null` turns one limit off.
    #[serde(default)]
    limits: BTreeMap<String, Option<Limit>>,
    /// `null` turns one limit off.
    #[serde(default)]
    concurrency: BTreeMap<String, Option<u32>>,
}

fn quota_body(twin: &Shared) -> Value {
    let (enabled, limits, concurrency) = twin.engine.quota.all();
    json!({"enabled": enabled, "limits": limits, "concurrency": concurrency})
}

pub(super) async fn quota(State(twin): State<Shared>) -> Outcome {
    Ok(ok(quota_body(&twin)))
}

pub(super) async fn set_quota(State(twin): State<Shared>, request: Request) -> Outcome {
    let settings: QuotaSettings = read(request).await?;
    let quota = &twin.engine.quota;
    if let Some(enabled) = settings.enabled {
        quota.enable(enabled);
    }
    for (name, limit) in settings.limits {
        quota.set(&name, limit);
    }
    for (family, limit) in settings.concurrency {
        quota.set_concurrency(&family, limit);
    }
    Ok(ok(quota_body(&twin)))
}

pub(super) async fn reset_quota(State(twin): State<Shared>) -> Outcome {
    twin.engine.quota.reset();
    Ok(ok(quota_body(&twin)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LagSettings {
    #[serde(default)]
    visibility: BTreeMap<String, Millis>,
    #[serde(default)]
    latency: BTreeMap<String, Millis>,
}

fn lag_body(twin: &Shared) -> Value {
    let (visibility, latency) = twin.engine.lag.all();
    json!({"visibility": visibility, "latency": latency})
}

pub(super) async fn lag(State(twin): State<Shared>) -> Outcome {
    Ok(ok(lag_body(&twin)))
}

pub(super) async fn set_lag(State(twin): State<Shared>, request: Request) -> Outcome {
    let settings: LagSettings = read(request).await?;
    for (family, milliseconds) in settings.visibility {
        twin.engine.lag.set_visibility(&family, milliseconds);
    }
    for (family, milliseconds) in settings.latency {
        twin.engine.lag.set_latency(&family, milliseconds);
    }
    Ok(ok(lag_body(&twin)))
}

pub(super) async fn clear_lag(State(twin): State<Shared>) -> Outcome {
    twin.engine.lag.clear();
    Ok(ok(lag_body(&twin)))
}

/// What is named happens, in this order. Times are in milliseconds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockSetting {
    #[serde(default)]
    real: Option<bool>,
    #[serde(default)]
    set: Option<Millis>,
    #[serde(default)]
    advance: Option<Millis>,
    #[serde(default)]
    sign_in: Option<bool>,
}

pub(super) async fn clock(State(twin): State<Shared>) -> Outcome {
    let clock = &twin.engine.clock;
    let now = clock.now();
    Ok(ok(json!({"now": now, "time": rfc3339(now), "virtual": clock.is_virtual()})))
}

pub(super) async fn set_clock(State(twin): State<Shared>, request: Request) -> Outcome {
    let setting: ClockSetting = read(request).await?;
    let its = &twin.engine.clock;
    match setting.real {
        Some(true) => its.follow_machine(),
        Some(false) => its.set(its.now()),
        None => {}
    }
    if let Some(now) = setting.set {
        its.set(now);
    }
    if let Some(by) = setting.advance {
        its.advance(by);
    }
    if let Some(by_virtual_time) = setting.sign_in {
        its.judge_sign_in(by_virtual_time);
    }
    clock(State(twin)).await
}

pub(super) async fn counters(State(twin): State<Shared>) -> Outcome {
    let (operations, peak) = twin.engine.counters.all();
    Ok(ok(json!({"operations": operations, "peak_concurrency": peak})))
}

pub(super) async fn clear_counters(State(twin): State<Shared>) -> Outcome {
    twin.engine.counters.clear();
    Ok(ok(json!({})))
}
