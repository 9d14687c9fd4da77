//! The one way every played API answers: count, admit, fail on purpose, do, fail after the effect.

use std::time::Duration;

use serde_json::Value;

use super::answer::Answer;
use super::clock::Millis;
use super::fault::{Fault, FaultKind};
use super::quota::Bucket;
use crate::server::Shared;
use crate::world::World;

/// One call as quotas, faults, counters and the mutation log see it.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// The API, for example `google.directory`, `atlassian.org`, `atlassian.scim`, `atlassian.jira`.
    pub family: &'static str,
    /// The operation in the vendor's words, for example `members.list`.
    pub operation: &'static str,
    /// On whose behalf: an administrator's address, a directory, a key's name.
    pub subject: String,
    /// The object in the path: a group, a user; empty if none.
    pub target: String,
    /// Which page is asked for, from 1; 0 when the operation is not paged.
    pub page: u32,
    /// The page token that was sent, for faults that repeat it.
    pub page_token: String,
    /// The quotas that the call is charged to.
    pub buckets: Vec<Bucket>,
    /// `X-Request-Id` of the request, or one made up.
    pub request_id: String,
    /// A name of the credential, never its secret; goes to the mutation log.
    pub caller: String,
}

/// What a handler may know beside the world: the times that its reads and writes go by, and what to hide.
#[derive(Debug, Clone)]
pub struct View {
    /// The twin's time.
    pub now: Millis,
    /// Reads see what was visible then; before `now` when a stale answer was injected.
    pub read_at: Millis,
    /// Writes become visible to reads then.
    pub visible_at: Millis,
    /// The call itself.
    pub call: Call,
    /// The share of objects in per cent that lists still show, below 100 when visibility was shrunk.
    pub shown_percent: u8,
}

impl View {
    /// Whether lists show the object with this id: false only under an injected visibility shrink. The same ids are
    /// hidden each time.
    pub fn shows(&self, id: &str) -> bool {
        if self.shown_percent >= 100 {
            return true;
        }
        let sum: u32 = id.bytes().fold(2_166_136_261, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(16_777_619));
        sum % 100 < u32::from(self.shown_percent)
    }
}

/// How an API words what the engine decides. One implementation per family of error bodies.
pub trait Dialect: Send + Sync {
    /// The answer to a call beyond a limit: `limit` is the name in the table, the family's name with `.concurrency`, or
    /// the shape that an injected fault asked for. `retry_after` is the header's value, if one is to be sent.
    fn throttled(&self, limit: &str, retry_after: Option<&str>) -> Answer;
    /// An answer of this status, in the usual body, where the call itself is not at fault.
    fn failed(&self, status: u16) -> Answer;
    /// 401, as for a credential that was revoked.
    fn unauthorized(&self) -> Answer;
    /// 403, as for a permission that was taken away.
    fn forbidden(&self) -> Answer;
    /// 404 for the object in the path.
    fn not_found(&self, call: &Call) -> Answer;
    /// What a broken or expired page token is answered with.
    fn bad_page_token(&self) -> Answer;
    /// Empties the collection of a list's body; `keep_next` leaves the token of the next page.
    fn empty_page(&self, body: &mut Value, keep_next: bool);
    /// Takes the token of the next page out of a list's body.
    fn drop_next(&self, body: &mut Value);
    /// Takes the first items out of a list's body, however the collection is called.
    fn skip_items(&self, body: &mut Value, count: usize) {
        for value in body.as_object_mut().into_iter().flat_map(|it| it.values_mut()) {
            if let Some(items) = value.as_array_mut() {
                items.drain(..count.min(items.len()));
            }
        }
    }
    /// Makes a list's body point at the page that was just asked for, for ever.
    fn repeat_page(&self, body: &mut Value, call: &Call);
}

/// Answers a call. The handler runs at most once, under the lock of the world; faults marked "after" replace the answer
/// when its effect has already happened.
pub async fn run<F>(twin: &Shared, dialect: &dyn Dialect, call: Call, handler: F) -> Answer
where
    F: FnOnce(&mut World, &View) -> Answer + Send,
{
    let engine = &twin.engine;
    let (family, operation) = (call.family, call.operation);
    let under_way = engine.counters.enter(family, operation);
    let guard = Leave { twin, family, operation };
    let (answer, throttled) = answered(twin, dialect, call, under_way, handler).await;
    let latency = engine.lag.latency(family);
    if latency > 0 {
        sleep(latency).await;
    }
    guard.done(if answer.reset { 0 } else { answer.status }, throttled, &answer.looked_for);
    answer
}

async fn answered<F>(twin: &Shared, dialect: &dyn Dialect, call: Call, under_way: u32, handler: F) -> (Answer, bool)
where
    F: FnOnce(&mut World, &View) -> Answer + Send,
{
    let engine = &twin.engine;
    let now = engine.clock.now();
    if engine.quota.concurrency(call.family).is_some_and(|limit| under_way > limit) {
        return (dialect.throttled("concurrency", None), true);
    }
    if let Err((limit, wait)) = engine.quota.take(&call.buckets, now) {
        // Whole seconds, rounded up, as both vendors send it; the dialect decides whether it sends one at all.
        let seconds = (wait + 999) / 1000;
        return (dialect.throttled(limit, Some(&seconds.max(1).to_string())), true);
    }
    let fault = engine.faults.pick(&call, now);
    if let Some(FaultKind::Slow { ms }) = fault.as_ref().map(|it| &it.kind) {
        sleep(*ms).await;
    }
    if let Some(answer) = fault.as_ref().and_then(|it| instead(it, dialect, &call)) {
        let throttled = matches!(fault.map(|it| it.kind), Some(FaultKind::Throttle { .. }));
        return (answer, throttled);
    }
    let view = view(twin, fault.as_ref(), call, now);
    let mut answer = {
        let mut world = twin.world();
        handler(&mut world, &view)
    };
    if let Some(fault) = &fault {
        afterwards(fault, dialect, &view.call, &mut answer);
    }
    (answer, false)
}

fn view(twin: &Shared, fault: Option<&Fault>, call: Call, now: Millis) -> View {
    let age = match fault.map(|it| &it.kind) {
        Some(FaultKind::Stale { ms }) => *ms,
        _ => 0,
    };
    let shown_percent = match fault.map(|it| &it.kind) {
        Some(FaultKind::Shrink { shown_percent }) => *shown_percent,
        _ => 100,
    };
    let visible_at = now.saturating_add(twin.engine.lag.visibility(call.family));
    View { now, read_at: now.saturating_sub(age), visible_at, call, shown_percent }
}

/// The answer of a fault that keeps the handler from running.
fn instead(fault: &Fault, dialect: &dyn Dialect, call: &Call) -> Option<Answer> {
    Some(match &fault.kind {
        FaultKind::Throttle { retry_after, shape } => {
            dialect.throttled(shape.as_deref().unwrap_or("injected"), retry_after.as_deref())
        }
        FaultKind::Fail { status, after: false, plain } => failed(dialect, *status, *plain),
        FaultKind::Reset { after: false } => Answer::reset(),
        FaultKind::Html { after: false } => html(),
        FaultKind::Unauthorized => dialect.unauthorized(),
        FaultKind::Forbidden => dialect.forbidden(),
        FaultKind::NotFound => dialect.not_found(call),
        FaultKind::BadToken => dialect.bad_page_token(),
        _ => return None,
    })
}

/// Changes the answer of a call whose effect has happened.
fn afterwards(fault: &Fault, dialect: &dyn Dialect, call: &Call, answer: &mut Answer) {
    match &fault.kind {
        FaultKind::Fail { status, after: true, plain } => *answer = failed(dialect, *status, *plain),
        FaultKind::Reset { after: true } => *answer = Answer::reset(),
        FaultKind::Html { after: true } => *answer = html(),
        _ => {}
    }
    let succeeded = answer.succeeded();
    let Some(body) = answer.body_mut().filter(|_| succeeded) else {
        return;
    };
    match &fault.kind {
        FaultKind::EmptyPage { keep_next } => dialect.empty_page(body, *keep_next),
        FaultKind::SkipItems { count } => dialect.skip_items(body, *count),
        FaultKind::Truncate => dialect.drop_next(body),
        FaultKind::RepeatPage => dialect.repeat_page(body, call),
        _ => {}
    }
}

fn failed(dialect: &dyn Dialect, status: u16, plain: bool) -> Answer {
    if plain {
        Answer::text(status, "upstream connect error or disconnect/reset before headers")
    } else {
        dialect.failed(status)
    }
}

fn html() -> Answer {
    Answer::html(200, "<!DOCTYPE html><html><head><title>Log in</title></head><body>Please log in.</body></html>")
}

async fn sleep(milliseconds: Millis) {
    tokio::time::sleep(Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))).await;
}

/// Counts the end of a call also when the client went away in the middle.
struct Leave<'a> {
    twin: &'a Shared,
    family: &'static str,
    operation: &'static str,
}

impl Leave<'_> {
    fn done(self, status: u16, throttled: bool, looked_for: &[String]) {
        self.twin.engine.counters.leave(self.family, self.operation, status, throttled, looked_for);
        std::mem::forget(self);
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.twin.engine.counters.leave(self.family, self.operation, 0, false, &[]);
    }
}
