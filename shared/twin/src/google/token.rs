//! The token endpoint (google.md §5): service account assertions, refresh tokens, authorization codes.

use std::collections::BTreeSet;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::dialect::Google;
use super::key::public_key;
use super::wire::pairs;
use crate::engine::credentials::{AccessToken, Grant};
use crate::engine::{Answer, Call, Credentials, Millis, run};
use crate::server::Shared;
use crate::world::World;
use crate::world::google::Owner;

/// How long an access token lives, as Google answers it.
const LIFETIME_SECONDS: i64 = 3599;
/// How far a client's clock may be off.
const SKEW_SECONDS: i64 = 300;
const BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Answers one token request.
pub(super) async fn token(State(twin): State<Shared>, request: Request) -> Response {
    let audiences = audiences(&request);
    let request_id =
        request.headers().get("x-request-id").and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
    let Ok(body) = to_bytes(request.into_body(), 1024 * 1024).await else {
        return refuse(400, "invalid_request", "Request body is too large.").into_response();
    };
    let form = Form(pairs(&body));
    let operation = match form.get("grant_type") {
        BEARER => "token.jwt-bearer",
        "refresh_token" => "token.refresh",
        "authorization_code" => "token.code",
        _ => "token.other",
    };
    let call = Call { family: "google.token", operation, request_id, ..Call::default() };
    let answer = run(&twin, &Google, call, |world, _| {
        let now = twin.engine.clock.sign_in_time();
        let mut credentials = twin.engine.credentials();
        let granted = match operation {
            "token.jwt-bearer" => by_assertion(&form, &credentials, world, &audiences, now),
            "token.refresh" => by_refresh_token(&form, &credentials, world),
            "token.code" => return by_code(&form, &mut credentials, world, now),
            _ => Err(refuse(400, "unsupported_grant_type", "Invalid grant_type")),
        };
        match granted {
            Ok(granted) => hand_out(&mut credentials, granted, now),
            Err(refused) => refused,
        }
    })
    .await;
    answer.into_response()
}

/// Whom a token is for and what it may do.
struct Granted {
    subject: String,
    client: String,
    scopes: BTreeSet<String>,
}

struct Form(Vec<(String, String)>);

impl Form {
    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// The real address of Google's endpoint, which some libraries always write, and the twin's own.
fn audiences(request: &Request) -> Vec<String> {
    let mut all: Vec<String> = [
        "https://oauth2.googleapis.com/token",
        "https://www.googleapis.com/oauth2/v4/token",
        "https://accounts.google.com/o/oauth2/token",
    ]
    .map(str::to_owned)
    .into();
    if let Some(host) = request.headers().get("host").and_then(|it| it.to_str().ok()) {
        all.push(format!("http://{host}/token"));
        all.push(format!("https://{host}/token"));
        let port = host.rsplit_once(':').map(|(_, port)| port).unwrap_or_default();
        all.push(format!("http://localhost:{port}/token"));
        all.push(format!("http://127.0.0.1:{port}/token"));
    }
    all
}

fn by_assertion(
    form: &Form,
    credentials: &Credentials,
    world: &World,
    audiences: &[String],
    now: Millis,
) -> Result<Granted, Answer> {
    let invalid = |text: &str| refuse(400, "invalid_grant", text);
    let assertion = form.get("assertion");
    let (signed, signature) = assertion.rsplit_once('.').ok_or_else(|| invalid("Bad Request"))?;
    let (header, claims) = signed.split_once('.').ok_or_else(|| invalid("Bad Request"))?;
    let header = object(header).ok_or_else(|| invalid("Invalid JWT: Failed to parse header"))?;
    let claims = object(claims).ok_or_else(|| invalid("Invalid JWT: Failed to parse claims"))?;
    if header.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(invalid("Invalid JWT: unsupported algorithm"));
    }
    let issuer = text(&claims, "iss");
    let account = credentials.service_accounts.get(issuer);
    let account = account.ok_or_else(|| invalid("Invalid grant: account not found"))?;
    let key = public_key(&account.public_key).unwrap_or_default();
    let signature = decode(signature).ok_or_else(|| invalid("Invalid JWT Signature."))?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| invalid("Invalid JWT Signature."))?;
    check_times(&claims, now)?;
    if !audiences.iter().any(|it| it == text(&claims, "aud")) {
        return Err(invalid(
            "Invalid JWT: Failed audience check. The right audience is https://oauth2.googleapis.com/token",
        ));
    }
    let scopes: BTreeSet<String> = text(&claims, "scope").split_whitespace().map(str::to_owned).collect();
    if scopes.is_empty() {
        return Err(refuse(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided."));
    }
    let subject = text(&claims, "sub");
    if subject.is_empty() {
        return Ok(Granted { subject: issuer.to_owned(), client: issuer.to_owned(), scopes });
    }
    if !scopes.is_subset(&account.scopes) {
        return Err(refuse(
            401,
            "unauthorized_client",
            "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of \
             the scopes requested.",
        ));
    }
    if !is_active(world, subject) {
        return Err(invalid("Invalid email or User ID"));
    }
    Ok(Granted { subject: subject.to_owned(), client: issuer.to_owned(), scopes })
}

/// `iat` and `exp` must be there, at most an hour apart, and now must lie between them.
fn check_times(claims: &Map<String, Value>, now: Millis) -> Result<(), Answer> {
    let seconds = |name: &str| claims.get(name).and_then(Value::as_i64);
    let now = now / 1000;
    let sane = match (seconds("iat"), seconds("exp")) {
        (Some(iat), Some(exp)) => {
            exp > iat && exp - iat <= 3600 && iat <= now + SKEW_SECONDS && now < exp + SKEW_SECONDS
        }
        _ => false,
    };
    if sane {
        return Ok(());
    }
    Err(refuse(
        400,
        "invalid_grant",
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and \
         exp values in the JWT claim.",
    ))
}

fn by_refresh_token(form: &Form, credentials: &Credentials, world: &World) -> Result<Granted, Answer> {
    let client = credentials.oauth_clients.get(form.get("client_id"));
    let client = client.filter(|it| it.client_secret == form.get("client_secret"));
    let client = client.ok_or_else(|| refuse(401, "invalid_client", "The OAuth client was not found."))?;
    let grant = client.refresh_tokens.get(form.get("refresh_token"));
    let grant = grant.filter(|it| is_active(world, &it.subject));
    let grant = grant.ok_or_else(|| refuse(400, "invalid_grant", "Token has been expired or revoked."))?;
    Ok(Granted { subject: grant.subject.clone(), client: client.client_id.clone(), scopes: grant.scopes.clone() })
}

/// A code is good once; a refresh token comes with the access token.
fn by_code(form: &Form, credentials: &mut Credentials, world: &World, now: Millis) -> Answer {
    let client = credentials.oauth_clients.get_mut(form.get("client_id"));
    let Some(client) = client.filter(|it| it.client_secret == form.get("client_secret")) else {
        return refuse(401, "invalid_client", "The OAuth client was not found.");
    };
    let Some(grant) = client.codes.remove(form.get("code")).filter(|it| is_active(world, &it.subject)) else {
        return refuse(400, "invalid_grant", "Malformed auth code.");
    };
    let refresh_token = format!("1//twin-{}", Uuid::new_v4().simple());
    let Grant { subject, scopes } = grant.clone();
    client.refresh_tokens.insert(refresh_token.clone(), grant);
    let granted = Granted { subject, client: client.client_id.clone(), scopes };
    let mut answer = hand_out(credentials, granted, now);
    if let Some(body) = answer.body_mut().and_then(Value::as_object_mut) {
        body.insert("refresh_token".to_owned(), json!(refresh_token));
    }
    answer
}

fn hand_out(credentials: &mut Credentials, granted: Granted, now: Millis) -> Answer {
    let token = format!("ya29.twin-{}", Uuid::new_v4().simple());
    let scope: Vec<String> = granted.scopes.iter().cloned().collect();
    let expires_at = now.saturating_add(LIFETIME_SECONDS * 1000);
    credentials.access_tokens.retain(|_, it| now < it.expires_at);
    let Granted { subject, client, scopes } = granted;
    credentials.access_tokens.insert(token.clone(), AccessToken { subject, client, scopes, expires_at });
    Answer::json(
        200,
        json!({
            "access_token": token,
            "expires_in": LIFETIME_SECONDS,
            "token_type": "Bearer",
            "scope": scope.join(" "),
        }),
    )
}

fn is_active(world: &World, subject: &str) -> bool {
    match world.google.owner(subject) {
        Some(Owner::User(id)) => world.google.user(&id, i64::MAX).is_some_and(|it| !it.suspended && !it.archived),
        _ => false,
    }
}

fn refuse(status: u16, error: &str, description: &str) -> Answer {
    Answer::json(status, json!({"error": error, "error_description": description}))
}

fn object(segment: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&decode(segment)?).ok()
}

/// base64url, with the padding that yup-oauth2 sends and Google accepts.
fn decode(segment: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(segment.trim_end_matches('=')).ok()
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> &'a str {
    claims.get(name).and_then(Value::as_str).unwrap_or_default()
}
