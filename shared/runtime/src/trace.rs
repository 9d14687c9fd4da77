//! Trace context across processes: W3C `traceparent` in headers and in the rows that wait. Spans: [`crate::spans`].
//!
//! Rules: a *parent* when one message causes one piece of work; a *link* for batches, coalesced events and whatever
//! waited for a person. A malformed context is ignored: a trace is worth less than the work.

use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The header, and the name of the column, that carries the context.
pub const TRACEPARENT: &str = "traceparent";

/// Writes the current span's context into headers; nothing when there is no trace.
pub fn inject(carrier: &mut dyn Injector) {
    TraceContextPropagator::new().inject_context(&Span::current().context(), carrier);
}

/// Writes the current span's context into the headers of an HTTP request.
pub fn inject_headers(headers: &mut http::HeaderMap) {
    struct Headers<'a>(&'a mut http::HeaderMap);
    impl Injector for Headers<'_> {
        fn set(&mut self, key: &str, value: String) {
            let name = http::HeaderName::try_from(key);
            let value = http::HeaderValue::try_from(value);
            if let (Ok(name), Ok(value)) = (name, value) {
                self.0.insert(name, value);
            }
        }
    }
    inject(&mut Headers(headers));
}

/// The current span's context as a `traceparent`, to be kept in a row or a header; `None` when there is no trace.
pub fn current_traceparent() -> Option<String> {
    traceparent_of(&Span::current())
}

/// A span's context as a `traceparent`; `None` when it belongs to no trace.
pub(crate) fn traceparent_of(span: &Span) -> Option<String> {
    let mut carrier = One(None);
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    carrier.0
}

/// The current trace's id, 32 hexadecimal digits, to be shown beside an error; `None` when there is no trace.
pub fn current_trace_id() -> Option<String> {
    ids_of(&Span::current()).map(|(trace, _)| trace)
}

/// Makes the span a child of what `traceparent` names. To be called before the span is first entered; ignored when the
/// context is malformed or the span is not recorded.
pub fn set_parent(span: &Span, traceparent: &str) {
    if let Some(context) = parse(traceparent) {
        // Fails only on a span that is disabled or has begun already; neither must stop the work.
        let _ = span.set_parent(context);
    }
}

/// Links the span to what `traceparent` names; ignored when that is malformed.
pub fn link(span: &Span, traceparent: &str) {
    if let Some(context) = parse(traceparent) {
        span.add_link(context.span().span_context().clone());
    }
}

/// Trace id and span id of a span, in hexadecimal.
pub(crate) fn ids_of(span: &Span) -> Option<(String, String)> {
    let context = span.context();
    let here = context.span().span_context().clone();
    here.is_valid().then(|| (here.trace_id().to_string(), here.span_id().to_string()))
}

/// The context that a `traceparent` names; `None` when it is malformed.
pub(crate) fn parse(traceparent: &str) -> Option<opentelemetry::Context> {
    let context = TraceContextPropagator::new()
        .extract_with_context(&opentelemetry::Context::new(), &One(Some(traceparent.to_owned())));
    let valid = context.span().span_context().is_valid();
    valid.then_some(context)
}

/// A carrier that holds the `traceparent` and nothing else.
struct One(Option<String>);

impl Injector for One {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACEPARENT {
            self.0 = Some(value);
        }
    }
}

impl Extractor for One {
    fn get(&self, key: &str) -> Option<&str> {
        if key == TRACEPARENT { self.0.as_deref() } else { None }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt as _;

    const UPSTREAM: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// Keeps what was finished.
    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    /// Runs `work` under a subscriber of its own and gives the spans that it finished.
    fn recorded(work: impl FnOnce()) -> Vec<SpanData> {
        let exporter = Kept::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        exporter.0.lock().unwrap().clone()
    }

    #[test]
    fn a_change_keeps_its_trace_from_process_to_process() {
        let mut carried = None;
        let spans = recorded(|| {
            let span = tracing::info_span!("apply command");
            set_parent(&span, UPSTREAM);
            span.in_scope(|| carried = current_traceparent());
        });
        let carried = carried.unwrap();
        assert!(carried.starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
        assert_ne!(carried, UPSTREAM, "the next process hangs below this span, not beside it");
        assert_eq!(spans[0].parent_span_id.to_string(), "b7ad6b7169203331");
    }

    #[test]
    fn what_waited_starts_anew_and_links_back() {
        let spans = recorded(|| {
            let span = tracing::info_span!("plan batch");
            link(&span, UPSTREAM);
            link(&span, "not a context");
        });
        let links: Vec<_> = spans[0].links.iter().collect();
        assert_eq!(links.len(), 1);
        assert_eq!(links[0].span_context.span_id().to_string(), "b7ad6b7169203331");
        assert_ne!(spans[0].span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    }

    #[test]
    fn a_malformed_context_is_as_good_as_none() {
        for bad in ["", "00-zz-b7ad6b7169203331-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01"] {
            assert!(parse(bad).is_none(), "{bad}");
        }
        assert_eq!(current_traceparent(), None);
        let mut headers = http::HeaderMap::new();
        inject_headers(&mut headers);
        assert!(headers.is_empty());
    }
}
