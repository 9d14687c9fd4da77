//! The spans that we make, their names and attributes: one place, so that a convention that changes is one change.
//!
//! Names are `{operation} {where to}`, with placeholders where ids would stand. Attributes are those of OpenTelemetry's
//! conventions; what they do not know is ours and begins with `rollcall.`. None holds an address, a name or a secret.
//!
//! A span that begins a piece of work says whose it is; every span below it inherits that. What only a collector
//! reads is added when there is one.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::{Span as _, TraceContextExt as _};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span as SdkSpan, SpanData, SpanProcessor};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::trace;

/// The messaging system, as spans name it: the conventions do not know it yet.
const NATS: &str = "nats";

/// The attributes of messaging spans.
mod name {
    pub(super) const SYSTEM: &str = "messaging.system";
    pub(super) const OPERATION: &str = "messaging.operation.name";
    pub(super) const OPERATION_TYPE: &str = "messaging.operation.type";
    pub(super) const DESTINATION: &str = "messaging.destination.name";
    pub(super) const TEMPLATE: &str = "messaging.destination.template";
    pub(super) const GROUP: &str = "messaging.consumer.group.name";
    pub(super) const MESSAGE: &str = "messaging.message.id";
    pub(super) const COUNT: &str = "messaging.batch.message_count";
    pub(super) const SEQUENCE: &str = "rollcall.nats.stream_seq";
    pub(super) const DELIVERIES: &str = "rollcall.nats.delivery_count";
    pub(super) const ORG: &str = "rollcall.org";
    pub(super) const SITE: &str = "rollcall.site";
    pub(super) const CHANGE: &str = "rollcall.change.id";
    pub(super) const PLAN: &str = "rollcall.plan.id";
}

/// A span links at most so many causes; a batch of thousands is found by its plan.
pub const LINKS: usize = 32;

/// Whether a collector gets the spans of this process.
static COLLECTED: AtomicBool = AtomicBool::new(false);

/// From now on a collector gets the spans of this process.
pub(crate) fn collect() {
    COLLECTED.store(true, Ordering::Relaxed);
}

/// Whether a collector gets the spans of this process: what only it reads is not made otherwise.
pub fn collected() -> bool {
    COLLECTED.load(Ordering::Relaxed)
}

/// The current trace, to be kept with what waits; `None` where nobody collects it.
pub fn kept() -> Option<String> {
    if collected() { trace::current_traceparent() } else { None }
}

/// Links a span that has begun to what else it comes of. What is malformed, too much, or of its own trace already is left
/// out.
pub fn link<'a>(span: &Span, causes: impl IntoIterator<Item = &'a str>) {
    let causes = distinct(causes);
    if causes.is_empty() {
        return;
    }
    let own = trace::ids_of(span).map(|(trace, _)| trace);
    for cause in causes.into_iter().filter(|cause| trace_of(cause) != own.as_deref()).take(LINKS) {
        trace::link(span, cause);
    }
}

/// Each once, in the order given.
fn distinct<'a>(causes: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    causes.into_iter().filter(|cause| seen.insert(*cause)).collect()
}

/// The trace that a `traceparent` names.
fn trace_of(traceparent: &str) -> Option<&str> {
    traceparent.get(3..35)
}

/// Whose work a span is. What is empty is not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whose {
    /// The tenant.
    pub org: String,
    /// The directory.
    pub site: String,
    /// The command.
    pub change: String,
    /// The number of its plan.
    pub plan: Option<u64>,
}

impl Whose {
    /// Of a tenant's directory; an empty one: of the whole tenant.
    pub fn of(org: &str, site: &str) -> Self {
        Self { org: org.to_owned(), site: site.to_owned(), ..Self::default() }
    }

    fn attributes(&self) -> impl Iterator<Item = KeyValue> {
        let texts = [(name::ORG, &self.org), (name::SITE, &self.site), (name::CHANGE, &self.change)];
        let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let plan = self.plan.and_then(|plan| i64::try_from(plan).ok());
        texts
            .map(|(key, text)| KeyValue::new(key, text.clone()))
            .chain(plan.map(|plan| KeyValue::new(name::PLAN, plan)))
    }
}

/// What a piece of work comes of, as `traceparent`s.
#[derive(Clone, Copy, Debug)]
pub enum Cause<'a> {
    /// It follows at once: it is part of their trace if that is one, else linked to all.
    Flows(&'a [&'a str]),
    /// It waited, or gathers what many caused: a trace of its own with links.
    Waited(&'a [&'a str]),
}

/// What messages a piece of work takes in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Messages<'a> {
    /// The stream.
    pub stream: &'a str,
    /// The subject, with placeholders for ids.
    pub template: &'a str,
    /// The durable consumer.
    pub group: &'a str,
    /// How many.
    pub count: usize,
    /// Of a single one: its id; else empty.
    pub id: &'a str,
    /// Of a single one: its place in the stream; else 0.
    pub sequence: u64,
    /// Of a single one: how often it was delivered; else 0.
    pub deliveries: u64,
}

/// Reading at a vendor; `what` begins with `watch`.
pub fn watch(what: &'static str, whose: Whose, cause: Cause<'_>) -> Span {
    let span = tracing::info_span!("watch", otel.name = what, rollcall.org = whose.org, rollcall.site = whose.site);
    begin(&span, whose, cause);
    span
}

/// Taking in messages.
pub fn process(messages: &Messages<'_>, whose: Whose, cause: Cause<'_>) -> Span {
    let span = tracing::info_span!(
        "process",
        otel.name = format!("process {}", messages.template),
        otel.kind = "consumer",
        rollcall.org = whose.org,
        rollcall.site = (!whose.site.is_empty()).then_some(whose.site.as_str()),
        rollcall.change.id = (!whose.change.is_empty()).then_some(whose.change.as_str()),
        rollcall.plan.id = whose.plan,
        error.type = Empty,
        otel.status_code = Empty,
    );
    begin(&span, whose, cause);
    if collected() {
        messaging(&span, "process", messages.stream, messages.template);
        span.set_attribute(name::GROUP, messages.group.to_owned());
        count(&span, name::COUNT, u64::try_from(messages.count).unwrap_or(u64::MAX));
        if !messages.id.is_empty() {
            span.set_attribute(name::MESSAGE, messages.id.to_owned());
            count(&span, name::SEQUENCE, messages.sequence);
            count(&span, name::DELIVERIES, messages.deliveries);
        }
    }
    span
}

/// Deciding without having been told anything: at a tick, or because a person asked.
pub fn decide(whose: Whose, cause: Cause<'_>) -> Span {
    let span = tracing::info_span!(
        "reconcile",
        rollcall.org = whose.org,
        rollcall.plan.id = Empty,
        error.type = Empty,
        otel.status_code = Empty,
    );
    begin(&span, whose, cause);
    span
}

/// The plan that a piece of work led to.
pub fn planned(span: &Span, number: u64) {
    span.record(name::PLAN, number);
}

/// What went wrong, as a class.
pub fn failed(span: &Span, class: &str) {
    span.record("error.type", class);
    span.record("otel.status_code", "ERROR");
}

/// Publishing one message that was made in the trace of `cause`: the span, and the `traceparent` that the message is to
/// carry. `None` where nobody would see it, or the message belongs to no trace: it carries what its row has.
pub fn publish(
    (stream, template): (&str, &str),
    (org, site): (&str, &str),
    (id, change): (&str, &str),
    cause: Option<&str>,
) -> Option<(Span, String)> {
    let cause = cause.filter(|_| collected())?;
    let span = tracing::info_span!(
        "publish",
        otel.name = format!("publish {template}"),
        otel.kind = "producer",
        rollcall.org = org,
        rollcall.site = site,
        error.type = Empty,
        otel.status_code = Empty,
    );
    trace::set_parent(&span, cause);
    messaging(&span, "publish", stream, template);
    span.set_attribute(name::MESSAGE, id.to_owned());
    if !change.is_empty() {
        span.set_attribute(name::CHANGE, change.to_owned());
    }
    let carried = trace::traceparent_of(&span)?;
    Some((span, carried))
}

/// Telling the server that messages of a stream are done, below the work that they led to. `None` where nobody would see
/// it.
pub fn ack(stream: &str, template: &str, messages: usize) -> Option<Span> {
    if messages == 0 || !within_work() {
        return None;
    }
    let span =
        tracing::info_span!("ack", otel.name = format!("ack {stream}"), error.type = Empty, otel.status_code = Empty);
    messaging(&span, "ack", stream, template);
    count(&span, name::COUNT, u64::try_from(messages).unwrap_or(u64::MAX));
    Some(span)
}

/// A call to the database, below the work that it is made for. `None` where nobody would see it, or it is made for none:
/// a look whether there is any.
pub fn database(function: &'static str) -> Option<Span> {
    within_work().then(|| {
        tracing::info_span!(
            "database",
            otel.name = format!("{function} rollcall"),
            otel.kind = "client",
            db.system.name = "postgresql",
            db.operation.name = function,
            error.type = Empty,
            otel.status_code = Empty,
        )
    })
}

/// Whether the current span lies in a piece of work that a collector is told of.
fn within_work() -> bool {
    collected() && Span::current().context().get::<Whose>().is_some()
}

/// A call to an API. `id` is what names the request there; `resend` how often it was sent before.
pub fn call(method: &str, template: &str, server: &str, id: &str, resend: u32) -> Span {
    tracing::info_span!(
        "call",
        otel.name = format!("{method} {template}"),
        otel.kind = "client",
        http.request.method = method,
        http.request.header.x_request_id = id,
        url.template = template,
        server.address = server,
        http.request.resend_count = (resend > 0).then_some(resend),
        http.response.status_code = Empty,
        error.type = Empty,
        otel.status_code = Empty,
        rollcall.api.budget_remaining = Empty,
        rollcall.retry_after_s = Empty,
    )
}

/// How a call to an API ended. `error` is a class, or empty; `left` what is left of the API budget, from 0 to 1.
pub fn answered(span: &Span, status: Option<u16>, error: &str, left: f64, retry_after: Option<Duration>) {
    if let Some(status) = status {
        span.record("http.response.status_code", status);
    }
    if !error.is_empty() {
        failed(span, error);
    }
    span.record("rollcall.api.budget_remaining", left);
    if let Some(after) = retry_after {
        span.record("rollcall.retry_after_s", after.as_secs());
    }
}

/// Somebody calls us. Whose it is is said once it is known: [`asked_for`].
pub fn request(method: &str, route: &str) -> Span {
    tracing::info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        rollcall.org = Empty,
    )
}

/// Which tenant the current request is about.
pub fn asked_for(org: &str) {
    Span::current().record(name::ORG, org);
}

/// How a request to us ended.
pub fn served(span: &Span, status: u16) {
    span.record("http.response.status_code", status);
}

fn messaging(span: &Span, operation: &'static str, stream: &str, template: &str) {
    let kind = match operation {
        "publish" => "send",
        "ack" => "settle",
        other => other,
    };
    span.set_attribute(name::SYSTEM, NATS);
    span.set_attribute(name::OPERATION, operation);
    span.set_attribute(name::OPERATION_TYPE, kind);
    span.set_attribute(name::DESTINATION, stream.to_owned());
    span.set_attribute(name::TEMPLATE, template.to_owned());
}

fn count(span: &Span, key: &'static str, number: u64) {
    span.set_attribute(key, Value::I64(i64::try_from(number).unwrap_or(i64::MAX)));
}

/// Puts a span where it belongs: before it is first entered.
fn begin(span: &Span, whose: Whose, cause: Cause<'_>) {
    let (parent, links) = match cause {
        Cause::Flows([one, others @ ..]) if others.iter().all(|other| trace_of(other) == trace_of(one)) => {
            (trace::parse(one), others)
        }
        Cause::Flows(many) | Cause::Waited(many) => (None, many),
    };
    let heir = collected().then(|| parent.clone().unwrap_or_default().with_value(whose));
    if let Some(context) = heir.or(parent) {
        // Fails only on a span that is disabled or has begun already; neither must stop the work.
        let _ = span.set_parent(context);
    }
    for cause in distinct(links.iter().copied()).into_iter().take(LINKS) {
        trace::link(span, cause);
    }
}

/// Says on every span whose work it is: what the span it lies in says.
#[derive(Debug)]
pub(crate) struct Inherit;

impl SpanProcessor for Inherit {
    fn on_start(&self, span: &mut SdkSpan, context: &Context) {
        // What begins a piece of work says so itself; what it lies in is far away, or nothing.
        let parent = context.span().span_context().clone();
        if parent.is_valid()
            && !parent.is_remote()
            && let Some(whose) = context.get::<Whose>()
        {
            span.set_attributes(whose.attributes());
        }
    }

    fn on_end(&self, _span: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[cfg(test)]
#[path = "spans_tests.rs"]
mod tests;
