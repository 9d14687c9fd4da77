#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use opentelemetry::trace::{SpanKind, TracerProvider as _};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanExporter};
use std::sync::{Arc, Mutex};
use tracing_subscriber::layer::SubscriberExt as _;

const UPSTREAM: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01";
const COMMANDS: &str = "rollcall.v1.command.{tenant}.{target}.{lane}";

/// Keeps what was finished.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// Runs `work` as a process with a collector does, and gives the spans that it finished, by their names.
fn recorded(work: impl FnOnce()) -> std::collections::BTreeMap<String, SpanData> {
    collect();
    let exporter = Kept::default();
    let provider =
        SdkTracerProvider::builder().with_span_processor(Inherit).with_simple_exporter(exporter.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
    let spans = exporter.0.lock().unwrap().clone();
    spans.into_iter().map(|span| (span.name.to_string(), span)).collect()
}

fn said(span: &SpanData, key: &str) -> Vec<String> {
    let of = span.attributes.iter().filter(|attribute| attribute.key.as_str() == key);
    of.map(|attribute| attribute.value.to_string()).collect()
}

fn a_command() -> (Messages<'static>, Whose) {
    let messages = Messages {
        stream: "ROLLCALL_COMMAND",
        template: COMMANDS,
        group: "writer-acme_cloud_urgent",
        count: 1,
        id: "command/c1",
        sequence: 7,
        deliveries: 2,
    };
    (messages, Whose { change: "c1".to_owned(), plan: Some(3), ..Whose::of("acme", "cloud") })
}

#[test]
fn a_command_and_the_call_below_it_say_what_they_are_and_whose() {
    let spans = recorded(|| {
        let (messages, whose) = a_command();
        let span = process(&messages, whose, Cause::Flows(&[UPSTREAM]));
        span.in_scope(|| {
            let call = call("POST", "/v1/groups/{groupId}", "api.example", "r1", 1);
            answered(&call, Some(429), "429", 0.25, Some(Duration::from_secs(9)));
        });
    });
    let (process, call) = (&spans[&format!("process {COMMANDS}")], &spans["POST /v1/groups/{groupId}"]);
    assert_eq!((&process.span_kind, &call.span_kind), (&SpanKind::Consumer, &SpanKind::Client));
    assert_eq!(process.parent_span_id.to_string(), "b7ad6b7169203331");
    assert_eq!(call.parent_span_id, process.span_context.span_id());
    for (key, value) in [
        ("messaging.system", "nats"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "ROLLCALL_COMMAND"),
        ("messaging.destination.template", COMMANDS),
        ("messaging.consumer.group.name", "writer-acme_cloud_urgent"),
        ("messaging.message.id", "command/c1"),
        ("messaging.batch.message_count", "1"),
        ("rollcall.nats.stream_seq", "7"),
        ("rollcall.nats.delivery_count", "2"),
    ] {
        assert_eq!(said(process, key), [value], "{key}");
    }
    for (key, value) in [
        ("http.request.method", "POST"),
        ("url.template", "/v1/groups/{groupId}"),
        ("server.address", "api.example"),
        ("http.request.resend_count", "1"),
        ("http.response.status_code", "429"),
        ("error.type", "429"),
        ("rollcall.api.budget_remaining", "0.25"),
        ("rollcall.retry_after_s", "9"),
    ] {
        assert_eq!(said(call, key), [value], "{key}");
    }
    for (key, value) in
        [("rollcall.org", "acme"), ("rollcall.site", "cloud"), ("rollcall.change.id", "c1"), ("rollcall.plan.id", "3")]
    {
        assert_eq!((said(process, key), said(call, key)), (vec![value.to_owned()], vec![value.to_owned()]), "{key}");
    }
}

#[test]
fn a_message_carries_the_span_that_published_it() {
    let mut carried = None;
    let spans = recorded(|| {
        let cause = Some(UPSTREAM);
        let (span, sent) =
            publish(("ROLLCALL_COMMAND", COMMANDS), ("acme", "cloud"), ("command/c1", "c1"), cause).unwrap();
        failed(&span, "full");
        carried = Some(sent);
        assert!(publish(("S", "s"), ("acme", ""), ("m", ""), None).is_none(), "what belongs to no trace makes none");
    });
    let publish = &spans[&format!("publish {COMMANDS}")];
    assert_eq!(publish.span_kind, SpanKind::Producer);
    assert_eq!(
        (said(publish, "messaging.operation.type"), said(publish, "error.type")),
        (vec!["send".to_owned()], vec!["full".to_owned()])
    );
    let expected = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", publish.span_context.span_id());
    assert_eq!(carried.unwrap(), expected);
}

#[test]
fn what_waited_and_what_gathers_start_anew_with_links() {
    let spans = recorded(|| {
        drop(watch("watch sweep", Whose::of("acme", "workspace"), Cause::Waited(&[UPSTREAM])));
        drop(decide(Whose::of("acme", ""), Cause::Flows(&[UPSTREAM, OTHER, "not a context"])));
        let beside = UPSTREAM.replace("b7ad", "c8be");
        drop(watch("watch reread", Whose::of("acme", "workspace"), Cause::Flows(&[UPSTREAM, &beside])));
    });
    let reread = &spans["watch reread"];
    assert_eq!(reread.parent_span_id.to_string(), "b7ad6b7169203331", "what all comes of one trace stays in it");
    assert_eq!(reread.links.iter().count(), 1);
    for (name, links) in [("watch sweep", 1), ("reconcile", 2)] {
        assert_eq!(spans[name].links.iter().count(), links, "{name}");
        assert_ne!(spans[name].span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(
            (&spans[name].span_kind, said(&spans[name], "rollcall.org")),
            (&SpanKind::Internal, vec!["acme".to_owned()])
        );
    }
}

#[test]
fn what_the_database_and_the_bus_do_for_a_piece_of_work_lies_below_it_and_what_is_done_for_none_is_not_told() {
    let spans = recorded(|| {
        assert!(database("claim").is_none() && ack("ROLLCALL_COMMAND", COMMANDS, 1).is_none(), "nothing is being done");
        let (messages, whose) = a_command();
        process(&messages, whose, Cause::Flows(&[UPSTREAM])).in_scope(|| {
            let call = database("begin_attempts").unwrap();
            failed(&call, "unreachable");
            assert!(ack("ROLLCALL_COMMAND", COMMANDS, 0).is_none());
            drop(ack("ROLLCALL_COMMAND", COMMANDS, 2));
        });
    });
    let work = &spans["process rollcall.v1.command.{tenant}.{target}.{lane}"];
    let call = &spans["begin_attempts rollcall"];
    assert_eq!((&call.span_kind, call.parent_span_id), (&SpanKind::Client, work.span_context.span_id()));
    assert_eq!(said(call, "db.system.name"), ["postgresql"]);
    assert_eq!(
        (said(call, "db.operation.name"), said(call, "error.type")),
        (vec!["begin_attempts".to_owned()], vec!["unreachable".to_owned()])
    );
    let acked = &spans["ack ROLLCALL_COMMAND"];
    assert_eq!(acked.parent_span_id, work.span_context.span_id());
    assert_eq!(
        (said(acked, "messaging.operation.type"), said(acked, "messaging.batch.message_count")),
        (vec!["settle".to_owned()], vec!["2".to_owned()])
    );
    for span in [call, acked] {
        assert_eq!(
            (said(span, "rollcall.org"), said(span, "rollcall.change.id")),
            (vec!["acme".to_owned()], vec!["c1".to_owned()])
        );
    }
}

#[test]
fn a_span_that_has_begun_is_linked_to_each_other_cause_once() {
    let many: Vec<String> = (1..100).map(|number| OTHER.replace("c7ad", &format!("{number:04}"))).collect();
    let spans = recorded(|| {
        let span = decide(Whose::of("acme", ""), Cause::Flows(&[UPSTREAM]));
        span.in_scope(|| link(&span, [OTHER, UPSTREAM, "nonsense", OTHER]));
    });
    let links: Vec<_> = spans["reconcile"].links.iter().map(|link| link.span_context.trace_id().to_string()).collect();
    assert_eq!(links, ["1af7651916cd43dd8448eb211c80319c"], "not to its own trace");
    let spans = recorded(|| {
        let span = decide(Whose::of("acme", ""), Cause::Flows(&[]));
        link(&span, many.iter().map(String::as_str));
        let waited: Vec<&str> = [OTHER; LINKS].into_iter().chain([UPSTREAM]).collect();
        drop(watch("watch sweep", Whose::of("acme", "w"), Cause::Waited(&waited)));
    });
    assert_eq!(spans["reconcile"].links.len(), LINKS);
    assert_eq!(spans["watch sweep"].links.len(), 2, "a cause that comes often does not hide another one");
}
