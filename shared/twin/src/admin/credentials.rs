//! Credentials: what exists, more of them, key files, and taking them back.

use std::collections::BTreeSet;

use axum::extract::{Request, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Outcome, base_url, body, ok, parse, read};
use crate::engine::Credentials;
use crate::google::key;
use crate::server::Shared;

/// Everything, secrets included: they protect nothing.
pub(super) async fn show(State(twin): State<Shared>) -> Outcome {
    let credentials = twin.engine.credentials();
    let mut body = json!(*credentials);
    if let Some(body) = body.as_object_mut() {
        body.insert("access_tokens".to_owned(), json!(credentials.access_tokens));
    }
    Ok(ok(body))
}

pub(super) async fn add(State(twin): State<Shared>, request: Request) -> Outcome {
    let more: Credentials = read(request).await?;
    twin.engine.credentials().merge(more);
    Ok(ok(json!({})))
}

/// The key file of the service account that every twin has.
pub(super) async fn default_key_file(request: Request) -> Outcome {
    let token_uri = format!("{}/token", base_url(&request));
    Ok(ok(key::key_file(key::DEFAULT_EMAIL, key::DEFAULT_CLIENT_ID, &token_uri)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAccount {
    #[serde(default)]
    client_email: Option<String>,
    #[serde(default)]
    client_id: Option<String>,
    /// Scopes granted by delegation; those of the default account if absent.
    #[serde(default)]
    scopes: Option<BTreeSet<String>>,
    #[serde(default)]
    token_uri: Option<String>,
}

/// Registers a service account, or changes its scopes, and answers with its key file.
pub(super) async fn service_account(State(twin): State<Shared>, request: Request) -> Outcome {
    let base = base_url(&request);
    let asked: NewAccount = parse(&body(request).await?)?;
    let email = asked.client_email.unwrap_or_else(|| key::DEFAULT_EMAIL.to_owned());
    let client_id = asked.client_id.unwrap_or_else(|| key::DEFAULT_CLIENT_ID.to_owned());
    let scopes = asked.scopes.unwrap_or_else(key::default_scopes);
    let account = key::service_account(&email, &client_id, scopes);
    twin.engine.credentials().service_accounts.insert(email.clone(), account);
    let token_uri = asked.token_uri.unwrap_or_else(|| format!("{base}/token"));
    Ok(ok(key::key_file(&email, &client_id, &token_uri)))
}

/// What is taken back: each named secret, all of a service account, all access tokens.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revocation {
    #[serde(default)]
    secret: Option<String>,
    #[serde(default)]
    service_account: Option<String>,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    access_tokens: bool,
}

pub(super) async fn revoke(State(twin): State<Shared>, request: Request) -> Outcome {
    let what: Revocation = read(request).await?;
    let mut credentials = twin.engine.credentials();
    let mut revoked = 0_usize;
    if let Some(secret) = what.secret {
        for it in credentials.secrets.iter_mut().filter(|it| it.secret == secret) {
            it.revoked = true;
            revoked += 1;
        }
    }
    if let Some(email) = what.service_account {
        revoked += usize::from(credentials.service_accounts.remove(&email).is_some());
        credentials.access_tokens.retain(|_, it| it.client != email);
    }
    if let Some(token) = what.refresh_token {
        let clients = credentials.oauth_clients.values_mut();
        revoked += clients.filter_map(|it| it.refresh_tokens.remove(&token)).count();
    }
    if what.access_tokens {
        revoked += credentials.access_tokens.len();
        credentials.access_tokens.clear();
    }
    Ok(ok(json!({ "revoked": Value::from(revoked) })))
}
