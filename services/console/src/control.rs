//! Asking for reads, pausing, resuming.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use contract::ops;
use model::{AccountId, DirectoryId, Email, Time};
use policy::Policy;
use store::audit::AuditEntry;
use store::directory::Wish;

use crate::body::{self, Body};
use crate::failure::Failure;
use crate::gate::Asked;
use crate::state::Api;

/// How long the reconciler may take to say that it lets things go. The request is a row: it is taken up anyway.
const HEARD_WITHIN: Duration = Duration::from_secs(2);

/// The same when somebody signs in, who waits for a page to open.
const HEARD_AT_SIGN_IN: Duration = Duration::from_millis(500);

/// `POST /sync`: a wish is written for each directory, and the request for whoever decides; then the services are woken
/// with `control.<tenant>.sync`. What was accepted is not lost, whether anybody hears it or not. The address stays in the
/// row and off the bus.
pub(crate) async fn sync(
    State(api): State<Api>,
    asked: Asked,
    Body(request): Body<ops::SyncRequest>,
) -> Result<Json<ops::Accepted>, Failure> {
    let policy = api.policy(&asked.tenant).await?;
    let place = place(request.person.as_deref())?;
    let directories = directories(&policy, request.directory.as_deref())?;
    let wished = wish(&api, &asked, directories, &place, "control").await?;
    ask(&api, &asked, api.now(), &wished, request.person.is_some()).await?;
    let heard = api.inner.bus.ask(&asked.tenant, "sync", wished.join(" ").into_bytes(), HEARD_WITHIN).await;
    let what = if request.person.is_some() { "that one place" } else { "everything" };
    let message = match (wished.as_slice(), heard) {
        ([], _) => "no watcher has read anything yet: its first sweep reads everything".to_owned(),
        (names, Ok(_)) => format!("{} now: {what}", names.join(", ")),
        (names, Err(_)) => format!("{}: {what}, as soon as the services run; none answered", names.join(", ")),
    };
    Ok(Json(ops::Accepted { message }))
}

/// `POST /hints/sign-in`: somebody signed in somewhere, so what they may do should be right now. A hint: its content is
/// no fact, it only says where to look. The same words whoever it is, so that a hook learns nothing about anybody.
pub(crate) async fn signed_in(
    State(api): State<Api>,
    asked: Asked,
    Body(hint): Body<ops::SyncRequest>,
) -> Result<Json<ops::Accepted>, Failure> {
    let policy = api.policy(&asked.tenant).await?;
    let email = Email::new(hint.person.as_deref().unwrap_or_default().trim())
        .map_err(|_| Failure::usage("person is the address of who signed in"))?;
    let wished = wish(&api, &asked, directories(&policy, None)?, &format!("email/{}", email.key()), "sign-in").await?;
    // Nobody waits for the watchers: somebody waits at a sign-in page. The wish is a row, and they look by themselves.
    let wake = api.inner.bus.ask(&asked.tenant, "sync", wished.join(" ").into_bytes(), HEARD_AT_SIGN_IN).await;
    if let Err(error) = wake {
        tracing::debug!(event.name = "rollcall.console.wake", %error, "no watcher heard of a sign-in yet");
    }
    Ok(Json(ops::Accepted { message: "heard".to_owned() }))
}

/// Writes that this place is to be read, in each of these directories that a watcher has met. Gives which.
async fn wish(
    api: &Api,
    asked: &Asked,
    directories: Vec<DirectoryId>,
    place: &str,
    asked_by: &str,
) -> Result<Vec<String>, Failure> {
    let now = api.now();
    let wish = Wish {
        id: 0,
        place: place.to_owned(),
        asked_at: now,
        asked_by: asked_by.to_owned(),
        traceparent: runtime::trace::current_traceparent(),
        due_at: now,
    };
    let mut wished = Vec::new();
    for directory in directories {
        // One that no watcher has met has no row, and its first sweep is on its way.
        if let Some(key) = api.store().find_directory(&asked.tenant, &directory).await? {
            api.store().wish(&key, std::slice::from_ref(&wish)).await?;
            wished.push(directory.to_string());
        }
    }
    Ok(wished)
}

/// Writes the request down. The address of whom is asked about goes neither into its row nor into the chain.
async fn ask(api: &Api, asked: &Asked, now: Time, wished: &[String], one: bool) -> Result<(), Failure> {
    let entry = AuditEntry {
        at: now,
        actor: asked.person.name.clone(),
        verb: "sync.asked".to_owned(),
        key: if wished.is_empty() { "directory/*".to_owned() } else { format!("directory/{}", wished.join(",")) },
        before: Vec::new(),
        after: if one { b"one place".to_vec() } else { b"all".to_vec() },
        cause: "asked by a person".to_owned(),
    };
    Ok(api.store().ask_sync(&asked.tenant, &entry).await?)
}

/// Where to look: an address, an id, or everything.
fn place(person: Option<&str>) -> Result<String, Failure> {
    let Some(text) = person.map(str::trim) else { return Ok("all".to_owned()) };
    if text.contains('@') {
        let email = Email::new(text).map_err(|_| Failure::usage("that is no e-mail address"))?;
        return Ok(format!("email/{}", email.key()));
    }
    let id = AccountId::new(text).map_err(|_| Failure::usage("name a person or a group by address or id"))?;
    Ok(format!("user/{id}"))
}

/// Everything is read on both sides, and so is a person: a new hire may be in no mirror yet, at either side.
fn directories(policy: &Policy, named: Option<&str>) -> Result<Vec<DirectoryId>, Failure> {
    let Some(name) = named else { return Ok(policy.directories.keys().cloned().collect()) };
    let found = policy.directories.keys().find(|directory| directory.as_str() == name);
    found.map(|directory| vec![directory.clone()]).ok_or_else(|| Failure::not_found("directory"))
}

/// `POST /pause`.
pub(crate) async fn pause(
    State(api): State<Api>,
    asked: Asked,
    Body(request): Body<ops::PauseRequest>,
) -> Result<Json<ops::Accepted>, Failure> {
    set(&api, &asked, &request, true).await
}

/// `POST /resume`.
pub(crate) async fn resume(
    State(api): State<Api>,
    asked: Asked,
    Body(request): Body<ops::PauseRequest>,
) -> Result<Json<ops::Accepted>, Failure> {
    set(&api, &asked, &request, false).await
}

async fn set(
    api: &Api,
    asked: &Asked,
    request: &ops::PauseRequest,
    paused: bool,
) -> Result<Json<ops::Accepted>, Failure> {
    let reason = body::reason(&request.reason)?;
    let policy = api.policy(&asked.tenant).await?;
    let target = match request.target.as_deref() {
        None | Some("*") => None,
        Some(name) => {
            let found = policy.directories.keys().find(|directory| directory.as_str() == name);
            Some(found.ok_or_else(|| Failure::not_found("target"))?)
        }
    };
    api.store().set_pause(&asked.tenant, target, paused, &api.decider(&asked.person, reason)).await?;
    api.wake(&asked.tenant).await;
    let name = target.map_or("every target", DirectoryId::as_str);
    let message = if paused {
        format!("paused {name}: reading and planning go on, nothing is sent; calls in flight end")
    } else {
        format!("resumed {name}")
    };
    Ok(Json(ops::Accepted { message }))
}
