//! One change is one story: from the read at Google to the write at Atlassian, over three processes and NATS.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use axum::{Json, Router, routing::post};
use harness::eventually;
use scenarios::{Company, Options, World, scrape};
use serde_json::{Value, json};
use twin::engine::fault::FaultKind;

use crate::WITHIN;

/// A span as a collector got it.
#[derive(Clone, Debug)]
struct Span {
    service: String,
    name: String,
    kind: u64,
    trace: String,
    parent: String,
    links: Vec<String>,
    /// When it began, in microseconds.
    began: i64,
    attributes: BTreeMap<String, String>,
}

/// All spans so far, by their ids.
type Spans = BTreeMap<String, Span>;

/// A collector on loopback, and what it got as text.
pub(crate) async fn collector() -> Result<(String, Arc<Mutex<Vec<Value>>>)> {
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

fn attribute(attribute: &Value) -> (String, String) {
    let value = attribute["value"].as_object().and_then(|value| value.values().next()).cloned().unwrap_or_default();
    (text(&attribute["key"]), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
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
                    kind: span["kind"].as_u64().unwrap_or_default(),
                    trace: text(&span["traceId"]),
                    parent: text(&span["parentSpanId"]),
                    links,
                    began: span["startTimeUnixNano"].as_str().and_then(|at| at.parse::<i64>().ok()).unwrap_or(0)
                        / 1_000,
                    attributes: list(span, "attributes").map(attribute).collect(),
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
    span.service == "rollcall-writer" && !span.name.starts_with("GET ") && span.name.contains("/memberships")
}

const CONSUMER: u64 = 5;
const PRODUCER: u64 = 4;
const CLIENT: u64 = 3;

/// The stations of a change, from the write back to the read: each lies in the one after it.
const STATIONS: [(&str, &str, u64); 6] = [
    ("rollcall-writer", "POST /admin/v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}/memberships", CLIENT),
    ("rollcall-writer", "process rollcall.v1.command.{tenant}.{target}.{lane}", CONSUMER),
    ("rollcall-reconciler", "publish rollcall.v1.command.{tenant}.{target}.{lane}", PRODUCER),
    ("rollcall-reconciler", "process rollcall.v1.directory.{tenant}.{directory}.{kind}", CONSUMER),
    ("rollcall-watcher", "publish rollcall.v1.directory.{tenant}.{directory}.{kind}", PRODUCER),
    ("rollcall-watcher", "watch reread", 1),
];

/// What a message's span says of it.
const MESSAGING: [&str; 6] = [
    "messaging.system",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.destination.name",
    "messaging.destination.template",
    "messaging.message.id",
];

/// What is said only where a message is taken in.
const TAKEN: [&str; 4] = [
    "messaging.consumer.group.name",
    "messaging.batch.message_count",
    "rollcall.nats.stream_seq",
    "rollcall.nats.delivery_count",
];

/// The stations from a span on, as they are.
fn stations(spans: &Spans, from: &str) -> Vec<(String, String, u64)> {
    let mut at = from.to_owned();
    let mut found = Vec::new();
    while let Some(span) = spans.get(&at) {
        found.push((span.service.clone(), span.name.clone(), span.kind));
        at.clone_from(&span.parent);
    }
    found
}

fn check(spans: &Spans, write: &str) {
    let mut at = write;
    while let Some(span) = spans.get(at) {
        let says = |key: &str| span.attributes.contains_key(key);
        assert!(says("rollcall.org") && says("rollcall.site"), "{span:?} does not say whose it is");
        let expected: &[&str] = match span.kind {
            CLIENT => &[
                "http.request.method",
                "url.template",
                "server.address",
                "http.response.status_code",
                "rollcall.api.budget_remaining",
                "rollcall.change.id",
                "rollcall.plan.id",
            ],
            PRODUCER => &MESSAGING,
            CONSUMER => &[MESSAGING.as_slice(), TAKEN.as_slice()].concat(),
            _ => &[],
        };
        let missing: Vec<_> = expected.iter().filter(|key| !says(key)).collect();
        assert!(missing.is_empty(), "{span:?} does not say {missing:?}");
        at = &span.parent;
    }
    // What the database and the bus do lies below what it is done for. A writer commits what many commands wait for.
    let below = |service: &str, name: &str| {
        let of = spans.values().filter(|span| span.service == service && span.name == name);
        let works: BTreeSet<&str> =
            of.filter_map(|span| spans.get(&span.parent)).map(|work| work.name.as_str()).collect();
        works
    };
    let [_, (_, command, _), _, (_, event, _), _, (_, read, _)] = STATIONS;
    for (service, name, work) in [
        ("rollcall-watcher", "commit_readings rollcall", read),
        ("rollcall-reconciler", "commit_turn rollcall", event),
        ("rollcall-reconciler", "ack ROLLCALL_DIRECTORY", event),
        ("rollcall-writer", "ack ROLLCALL_COMMAND", command),
    ] {
        assert!(below(service, name).contains(work), "{name} of {service} lies below {:?}", below(service, name));
    }
    for span in spans.values() {
        assert!(span.attributes.contains_key("rollcall.org"), "{span:?} does not say whose it is");
    }
}

/// A company whose changes reach a collector, with a product whose seats are counted. The reconciler looks by itself every
/// `tick` seconds.
async fn told(tick: u32) -> Result<(World, Arc<Mutex<Vec<Value>>>)> {
    let (address, got) = collector().await?;
    let company = Company::of(14).group("readers", 0..4).group("staff", 0..12);
    let company = company.with_sections("\n[guard]\nseat_limit = { jira-software = 50 }\n");
    let mut options = Options::default();
    options.reconciler.retain(|option| !option.starts_with("--tick"));
    options.reconciler.push(format!("--tick={tick}"));
    // One of the calls is slow.
    options.writer.retain(|option| !option.starts_with("--call-timeout"));
    options.writer.push("--call-timeout=20".to_owned());
    for more in [&mut options.watcher, &mut options.reconciler, &mut options.writer] {
        more.push(format!("--otlp={address}"));
    }
    let world = World::start(&company.snapshot(), &company.policy(), &options).await?;
    world.until_in_sync(WITHIN).await?;
    Ok((world, got))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_one_trace_from_the_read_at_google_to_the_write_at_atlassian() -> Result<()> {
    // Nothing but messages wakes it, so that each of them is seen.
    let (world, got) = told(3_600).await?;
    let known = || spans(&got.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    let (spans, write) = story(&world, &known).await?;
    let causes = causes(&spans, &write);
    let read = spans.values().find(|span| is_read_at_google(span) && causes.contains(&span.parent));
    let read = read.with_context(|| format!("no read at Google belongs to {causes:?}"))?;
    assert_eq!(read.trace, spans[&write].trace, "what flows without waiting is one trace");
    check(&spans, &write);
    // The write's request leads from the trace to the attempt in the ledger, and to what happened at Atlassian.
    let write = &spans[&write];
    let id = write.attributes.get("http.request.header.x_request_id").context("the write does not name its request")?;
    assert_eq!(world.one(&format!("select count(*) from effect.attempt where id = '{id}'")).await?, 1);
    let effects = world.twin.twin.world().log.after(0).filter(|change| change.request_id == *id).count();
    assert_eq!(effects, 1, "one effect by the request {id}");
    let all = format!("{:?}", got.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    for private in ["acme.example\"", "Given6", "Family6", "twin-org-key"] {
        assert!(!all.contains(private), "{private} is in a span");
    }
    figures(&world).await?;
    what_waited(&world, &known).await
}

/// A change that is one story, with its write.
async fn story(world: &World, known: &impl Fn() -> Spans) -> Result<(Spans, String)> {
    let once = FaultKind::Throttle { retry_after: None, shape: None };
    world.fault("google.directory", "*", once, |fault| fault.times = Some(1));
    world.at_google(
        json!([joins("readers", 6), { "op": "member_removed", "group": "grp_readers", "id": Company::id(1) }]),
    )?;
    world.sync(Some("readers@acme.example")).await?;
    world.until_equal(WITHIN).await?;
    let expected = STATIONS.map(|(service, name, kind)| (service.to_owned(), name.to_owned(), kind));
    // Exporters send every few seconds, and the span that another lies in comes after it.
    eventually(WITHIN, "the story of the change to be told", async || {
        let spans = known();
        // What the first import wrote came of a sweep.
        let told = |(id, span): &(&String, &Span)| {
            is_write(span) && stations(&spans, id).get(..STATIONS.len()) == Some(&expected)
        };
        let write = spans.iter().find(told).map(|(id, _)| id.clone());
        let told: Vec<String> = spans.values().map(|span| format!("{} {}", span.service, span.name)).collect();
        let write = write.with_context(|| format!("told was: {told:#?}"))?;
        Ok(Some((spans, write)))
    })
    .await
}

fn joins(group: &str, who: usize) -> Value {
    json!({ "op": "member_added", "group": format!("grp_{group}"), "id": Company::id(who), "type": "USER", "role": "MEMBER" })
}

/// Events and outcomes get lost from now on; what they tell of is committed.
async fn lose_messages(world: &World) -> Result<()> {
    let lose = "create function public.lose() returns trigger language plpgsql as $$ begin return null; end $$;
        create trigger lose before insert on directory.outbox for each row execute function public.lose();
        create trigger lose before insert on effect.outbox for each row execute function public.lose();";
    Ok(world.sql().await?.batch_execute(lose).await?)
}

/// A write, as it was told.
struct Told {
    trace: String,
    /// The reads at Google that it comes of and that began since: their traces.
    reads: BTreeSet<String>,
}

/// What was written since, once it is told of so many commands, each with a read at Google that it comes of.
async fn told_since(known: &impl Fn() -> Spans, since: i64, count: usize) -> Result<Vec<Told>> {
    eventually(WITHIN, "what was written to be told with its cause", async || {
        let spans = known();
        let mut told = BTreeMap::new();
        for (id, write) in spans.iter().filter(|(_, span)| is_write(span) && span.began >= since) {
            let causes = causes(&spans, id);
            let reads = spans.values().filter(|span| is_read_at_google(span) && span.began >= since);
            let reads = reads.filter(|read| causes.contains(&read.parent)).map(|read| read.trace.clone()).collect();
            // A call that was sent again is of the same command.
            let command = write.attributes.get("rollcall.change.id").context("a write does not name its command")?;
            told.insert(command.clone(), Told { trace: write.trace.clone(), reads });
        }
        ensure!(told.len() == count, "{} commands were told of {count}", told.len());
        let told: Vec<Told> = told.into_values().collect();
        ensure!(told.iter().all(|told| !told.reads.is_empty()), "no read at Google is a cause of a write");
        Ok(Some(told))
    })
    .await
}

/// Waits until a change at Google was read that began or ended since.
async fn until_read(world: &World, since: i64) -> Result<()> {
    let read = format!(
        "select count(*) from directory.membership m join directory.directory d on d.key = m.dir
          where d.directory = 'workspace' and greatest(m.since_at, m.until_at) >= {since}"
    );
    eventually(WITHIN, "the change to be read", async || Ok((world.one(&read).await? > 0).then_some(()))).await
}

/// Has the first change under way at Atlassian, and then the second waiting for it; and gives what was written.
async fn one_after_the_other(world: &World, known: &impl Fn() -> Spans, changes: [Value; 2]) -> Result<Vec<Told>> {
    let none = "select count(*) from plan.command where settled_at is null";
    eventually(WITHIN, "nothing to be under way", async || Ok((world.one(none).await? == 0).then_some(()))).await?;
    let since = world.now().await?;
    world.fault("atlassian.org", "memberships.*", FaultKind::Slow { ms: 6_000 }, |fault| fault.times = Some(1));
    let [first, second] = changes;
    world.at_google(json!([first]))?;
    world.sync(Some("readers@acme.example")).await?;
    let begun =
        "select count(*) from plan.command c join effect.attempt a on a.command = c.id where c.settled_at is null";
    eventually(WITHIN, "the first to be under way", async || Ok((world.one(begun).await? == 1).then_some(()))).await?;
    let before = world.now().await?;
    world.at_google(json!([second]))?;
    world.sync(Some("readers@acme.example")).await?;
    until_read(world, before).await?;
    world.until_decided().await?;
    ensure!(world.one(begun).await? == 1, "the first was done before the second was decided");
    world.until_equal(WITHIN).await?;
    told_since(known, since, 2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_one_story_also_where_no_message_told_of_it_and_where_it_waited() -> Result<()> {
    let (mut world, got) = told(1).await?;
    let known = || spans(&got.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    lose_messages(&world).await?;

    // Found by looking: in the trace of the read, as if it had been told.
    let since = world.now().await?;
    world.at_google(json!([joins("readers", 6)]))?;
    world.sync(Some("readers@acme.example")).await?;
    world.until_equal(WITHIN).await?;
    let told = told_since(&known, since, 1).await?;
    assert!(
        told.iter().all(|told| told.reads == [told.trace.clone()].into()),
        "what flows without waiting is one trace"
    );

    // A group is made first: its members are of the same story, though nobody heard that it is there.
    let since = world.now().await?;
    world.at_google(json!([
        { "op": "group_created", "id": "grp_writers", "email": "writers@acme.example", "name": "writers" },
        joins("writers", 7),
    ]))?;
    world.sync(None).await?;
    world.until_equal(WITHIN).await?;
    told_since(&known, since, 1).await?;

    // A change that waits for the command of another one is a story of its own; also the opposite, which is decided anew
    // when that command is done.
    let gone = json!({ "op": "member_removed", "group": "grp_readers", "id": Company::id(10) });
    for changes in [[joins("readers", 8), joins("readers", 9)], [joins("readers", 10), gone]] {
        let told = one_after_the_other(&world, &known, changes).await?;
        let reads: BTreeSet<&String> = told.iter().flat_map(|told| &told.reads).collect();
        assert_eq!(reads.len(), 2, "two changes were read, and each was written");
    }

    // Read while nobody decided: whoever loads it goes on with the story.
    let since = world.now().await?;
    world.reconciler.kill();
    world.at_google(json!([joins("readers", 11)]))?;
    world.sync(Some("readers@acme.example")).await?;
    until_read(&world, since).await?;
    world.reconciler.restart()?;
    world.until_equal(WITHIN).await?;
    told_since(&known, since, 1).await?;
    Ok(())
}

/// What is scraped is the whole table, but for the figures of dead letters; and each service speaks for its own part.
async fn figures(world: &World) -> Result<()> {
    let gone = |n| json!({ "op": "member_removed", "group": "grp_staff", "id": Company::id(n) });
    world.at_google(Value::Array((0..7).map(gone).collect()))?;
    world.sync(None).await?;
    eventually(WITHIN, "every figure to be exposed", async || {
        let all = world.scrape().await?;
        let amiss: Vec<String> = scrape::amiss(&all)
            .into_iter()
            .filter(|line| !scrape::LETTERS.iter().any(|name| line.starts_with(name)))
            .collect();
        anyhow::ensure!(amiss.is_empty(), "{amiss:#?}");
        let by = |service: &str, family: &str, stream: &str| {
            let of = all.iter().filter(|it| it.service == service && it.family == family);
            of.flat_map(|it| it.labels.values()).any(|value| value == stream)
        };
        for (service, stream) in [
            ("watcher", "ROLLCALL_DIRECTORY"),
            ("reconciler", "ROLLCALL_DIRECTORY"),
            ("reconciler", "ROLLCALL_OUTCOME"),
            ("writer", "ROLLCALL_COMMAND"),
        ] {
            for family in ["messaging_process_duration_seconds", "rollcall_jetstream_consumer_pending"] {
                anyhow::ensure!(by(service, family, stream), "{service} exposes no {family} of {stream}");
            }
        }
        Ok(Some(()))
    })
    .await
}

/// What a person had to approve is a trace of its own, linked to the one in which it came to be held; a sweep that was
/// asked for is linked to whoever asked.
async fn what_waited(world: &World, known: &impl Fn() -> Spans) -> Result<()> {
    let held =
        eventually(WITHIN, "the removals to be held", async || Ok(world.held().await?.into_iter().next())).await?;
    let verdict = json!({ "digests": [held["digest"]], "verdict": "approve", "reason": "a reorganisation" });
    world.post("cases/verdict", &verdict).await?;
    world.until_equal(WITHIN).await?;
    eventually(WITHIN, "links to what waited", async || {
        let spans = known();
        let linked = |service: &str, decides: &dyn Fn(&str) -> bool| {
            spans.values().any(|span| span.service == service && decides(&span.name) && !span.links.is_empty())
        };
        anyhow::ensure!(linked("rollcall-watcher", &|name| name == "watch sweep"), "no sweep is linked");
        let decided = |name: &str| name == "reconcile" || name.starts_with("process ");
        let of_held = spans.values().filter(|span| span.service == "rollcall-reconciler" && decided(&span.name));
        let link = of_held.flat_map(|span| span.links.iter().map(move |link| (span, link)));
        let mut waited = link.filter_map(|(span, link)| Some((span, spans.get(link)?)));
        let found = waited.any(|(span, cause)| cause.service == "rollcall-reconciler" && cause.trace != span.trace);
        anyhow::ensure!(found, "no decision is linked to the one that held its case");
        Ok(Some(()))
    })
    .await
}
