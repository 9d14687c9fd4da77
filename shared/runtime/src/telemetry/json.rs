//! One log event as one line of JSON: time, level, service, message, fields, the spans around it and the trace.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::{clock, trace};

/// Formats events; holds what is the same in all lines of a process.
#[derive(Debug)]
pub(super) struct Format {
    service: String,
}

impl Format {
    pub(super) fn new(service: &str) -> Self {
        Self { service: format!("rollcall-{service}") }
    }
}

impl<S, N> FormatEvent<S, N> for Format
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = Map::new();
        line.insert("time".to_owned(), Value::from(clock::rfc3339(clock::now_micros())));
        line.insert("level".to_owned(), Value::from(event.metadata().level().as_str()));
        line.insert("service".to_owned(), Value::from(self.service.as_str()));
        line.insert("target".to_owned(), Value::from(event.metadata().target()));
        // Before anything of the registry is borrowed: asking for the context does so too.
        if let Some((trace_id, span_id)) = trace::ids_of(&tracing::Span::current()) {
            line.insert("trace_id".to_owned(), Value::from(trace_id));
            line.insert("span_id".to_owned(), Value::from(span_id));
        }
        // Outer spans first, so that what is nearest to the event wins.
        for span in ctx.event_scope().into_iter().flat_map(tracing_subscriber::registry::Scope::from_root) {
            line.insert("span".to_owned(), Value::from(span.name()));
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>()
                && let Ok(Value::Object(fields)) = serde_json::from_str(&fields.fields)
            {
                line.extend(fields);
            }
        }
        event.record(&mut Collect(&mut line));
        let text = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writeln!(writer, "{text}")
    }
}

/// Formats a span's fields as a JSON object, which the lines inside it take over.
#[derive(Debug)]
pub(super) struct Fields;

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: tracing_subscriber::field::RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut object = Map::new();
        fields.record(&mut Collect(&mut object));
        write!(writer, "{}", serde_json::to_string(&object).map_err(|_| fmt::Error)?)
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &tracing::span::Record<'_>,
    ) -> fmt::Result {
        let mut object = match serde_json::from_str(&current.fields) {
            Ok(Value::Object(object)) => object,
            _ => Map::new(),
        };
        fields.record(&mut Collect(&mut object));
        current.fields = serde_json::to_string(&object).map_err(|_| fmt::Error)?;
        Ok(())
    }
}

/// Puts fields into an object under their own names.
struct Collect<'a>(&'a mut Map<String, Value>);

impl Collect<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Collect<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt as _;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_json_with_the_fields_of_its_spans() {
        let buffer = Buffer::default();
        let target = buffer.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || target.clone())
            .event_format(Format::new("writer"))
            .fmt_fields(Fields);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let outer = tracing::info_span!("apply", tenant = "acme", attempt = tracing::field::Empty);
            outer.record("attempt", 2);
            outer.in_scope(|| tracing::warn!(event.name = "rollcall.change.retried", wait_ms = 250, "said \"later\""));
        });
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1);
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["service"], "rollcall-writer");
        assert_eq!(line["message"], "said \"later\"");
        assert_eq!(line["event.name"], "rollcall.change.retried");
        assert_eq!((&line["span"], &line["tenant"]), (&Value::from("apply"), &Value::from("acme")));
        assert_eq!((&line["attempt"], &line["wait_ms"]), (&Value::from(2), &Value::from(250)));
    }
}
