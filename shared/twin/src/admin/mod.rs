//! The operator's endpoint under `/_twin/`: load a world, change it, break things, read everything back.
//!
//! Bodies and answers are JSON. An error is `{"error": "…"}` with status 400 (not understood), 404 or 409 (the world
//! does not allow it). There is no authentication: a twin listens on loopback.

mod changes;
mod controls;
mod credentials;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::routing::{delete, get, post};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::engine::Answer;
use crate::server::Shared;

/// All routes of the operator.
pub fn router() -> Router<Shared> {
    Router::new()
        .route("/_twin", get(controls::status))
        .route("/_twin/load", post(changes::load))
        .route("/_twin/reset", post(changes::reset))
        .route("/_twin/changes", post(changes::google))
        .route("/_twin/atlassian", post(changes::atlassian))
        .route("/_twin/dc", post(changes::dc))
        .route("/_twin/atlassian/switches", get(changes::switches).put(changes::set_switches))
        .route("/_twin/world", get(changes::world))
        .route("/_twin/world/{side}", get(changes::side))
        .route("/_twin/log", get(changes::log).put(changes::set_log))
        .route("/_twin/faults", get(controls::faults).post(controls::inject).delete(controls::clear_faults))
        .route("/_twin/faults/{id}", delete(controls::remove_fault))
        .route("/_twin/quota", get(controls::quota).put(controls::set_quota).delete(controls::reset_quota))
        .route("/_twin/lag", get(controls::lag).put(controls::set_lag).delete(controls::clear_lag))
        .route("/_twin/clock", get(controls::clock).put(controls::set_clock))
        .route("/_twin/counters", get(controls::counters).delete(controls::clear_counters))
        .route("/_twin/credentials", get(credentials::show).post(credentials::add))
        .route("/_twin/credentials/key-file", get(credentials::default_key_file).post(credentials::service_account))
        .route("/_twin/credentials/revoke", post(credentials::revoke))
}

/// A world of a hundred thousand people is 70 MB.
const LARGEST: usize = 1 << 30;

type Outcome = Result<Answer, Answer>;

async fn body(request: Request) -> Result<Bytes, Answer> {
    to_bytes(request.into_body(), LARGEST).await.map_err(|error| refuse(400, &error))
}

async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Answer> {
    parse(&body(request).await?)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Answer> {
    serde_json::from_slice(bytes).map_err(|error| refuse(400, &error))
}

fn refuse(status: u16, error: &dyn std::fmt::Display) -> Answer {
    Answer::json(status, json!({"error": error.to_string()}))
}

fn ok(body: Value) -> Answer {
    Answer::json(200, body)
}

/// The address that the request was sent to, for key files.
fn base_url(request: &Request) -> String {
    let host = request.headers().get("host").and_then(|it| it.to_str().ok()).unwrap_or("127.0.0.1");
    format!("http://{host}")
}
