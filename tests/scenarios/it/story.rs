//! One change is one story: from the read at Google to the write at Atlassian, over three processes and NATS.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use axum::{Json, Router, routing::post};
use harness::eventually;
use scenarios::{Company, Options, World};
use serde_json::{Value, json};

use crate::WITHIN;

/// A span as a collector got it.
#[derive(Clone, Debug)]
struct Span {
    service: String,
    name: String,
    trace: String,
    parent: String,
    links: Vec<String>,
    attributes: Value,
}

/// All spans so far, by their ids.
type Spans = BTreeMap<String, Span>;

/// A collector on loopback, and what it got as text.
async fn collector() -> Result<(String, Arc<Mutex<Vec<Value>>>)> {
    let got = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&got);
    let take = post(async move |Json(body): Json<Value>| {
        kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(body);
        Json(json!({}))
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let router = Router::new().route("/v1/traces", take).layer(axum::extract::DefaultBodyLimit::disable());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok((address, got))
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn spans(bodies: &[Value]) -> Spans {
    let mut spans = Spans::new();
    for resource in bodies.iter().flat_map(|body| list(body, "resourceSpans")) {
        let mut attributes = list(&resource["resource"], "attributes");
        let service = attributes.find(|attribute| attribute["key"] == "service.name");
        let service = service.map(|attribute| text(&attribute["value"]["stringValue"])).unwrap_or_default();
        for span in list(resource, "scopeSpans").flat_map(|scope| list(scope, "spans")) {
            let links = list(span, "links").map(|link| text(&link["spanId"])).collect();
            spans.insert(
                text(&span["spanId"]),
                Span {
                    service: service.clone(),
                    name: text(&span["name"]),
                    trace: text(&span["traceId"]),
                    parent: text(&span["parentSpanId"]),
                    links,
                    attributes: span["attributes"].clone(),
                },
            );
        }
    }
    spans
}

/// Everything that a span comes from, itself included: parents, and what is linked.
fn causes(spans: &Spans, id: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![id.to_owned()];
    while let Some(id) = open.pop() {
        if let Some(span) = spans.get(&id)
            && found.insert(id)
        {
            open.push(span.parent.clone());
            open.extend(span.links.iter().cloned());
        }
    }
    found
}

fn is_read_at_google(span: &Span) -> bool {
    span.service == "rollcall-watcher" && span.name.starts_with("GET ") && span.name.contains("admin/directory/v1")
}

fn is_write(span: &Span) -> bool {
    span.service == "rollcall-writer" && span.name.starts_with("POST ") && span.name.contains("memberships")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_one_trace_from_the_read_at_google_to_the_write_at_atlassian() -> Result<()> {
    let (address, got) = collector().await?;
    let company = Company::of(8).group("readers", 0..4);
    let mut options = Options::default();
    for more in [&mut options.watcher, &mut options.reconciler, &mut options.writer] {
        more.push(format!("--otlp={address}"));
    }
    let world = World::start(&company.snapshot(), &company.policy(), &options).await?;
    world.until_in_sync(WITHIN).await?;
    let known = || spans(&got.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    let before: BTreeSet<String> = known().into_keys().collect();

    let member = json!([{ "op": "member_added", "group": "grp_readers", "id": Company::id(6), "type": "USER", "role": "MEMBER" }]);
    world.at_google(member)?;
    world.sync(Some("readers@acme.example")).await?;
    world.until_equal(WITHIN).await?;

    // Exporters send every few seconds, and the span that another lies in comes after it.
    let (spans, write) = eventually(WITHIN, "the story of the change to be told", async || {
        let spans = known();
        let write = spans.iter().find(|(id, span)| is_write(span) && !before.contains(*id)).map(|(id, _)| id.clone());
        let Some(write) = write else { return Ok(None) };
        let causes = causes(&spans, &write);
        let tells = |service: &str| causes.iter().any(|id| spans[id].service == service);
        let told = ["rollcall-writer", "rollcall-reconciler", "rollcall-watcher"].into_iter().all(tells);
        Ok(told.then_some((spans, write)))
    })
    .await
    .with_context(|| {
        let told: Vec<String> = known().values().map(|span| format!("{} {}", span.service, span.name)).collect();
        format!("told was: {told:#?}")
    })?;
    let causes = causes(&spans, &write);
    let read = spans
        .iter()
        .find(|(id, span)| is_read_at_google(span) && !before.contains(*id) && causes.contains(&span.parent));
    let (_, read) = read.with_context(|| format!("no read at Google belongs to {causes:?}"))?;
    assert_eq!(read.trace, spans[&write].trace, "what flows without waiting is one trace");
    for id in &causes {
        let attributes = spans[id].attributes.to_string();
        let is_call = spans[id].attributes.to_string().contains("http.request.method");
        assert!(is_call || attributes.contains("rollcall.org"), "{:?} does not say whose it is", spans[id]);
    }
    // The write's request leads from the trace to the attempt in the ledger, and to what happened at Atlassian.
    let write = &spans[&write];
    let mut said = write.attributes.as_array().into_iter().flatten();
    let id =
        said.find(|it| it["key"] == "http.request.header.x_request_id").map(|it| text(&it["value"]["stringValue"]));
    let id = id.context("the write does not name its request")?;
    assert_eq!(world.one(&format!("select count(*) from effect.attempt where id = '{id}'")).await?, 1);
    let effects = world.twin.twin.world().log.after(0).filter(|change| change.request_id == id).count();
    assert_eq!(effects, 1, "one effect by the request {id}");
    let all = format!("{:?}", got.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    for private in ["acme.example\"", "Given6", "Family6", "twin-org-key"] {
        assert!(!all.contains(private), "{private} is in a span");
    }
    Ok(())
}
