//! Logs and traces of a process.
//!
//! Logs go to standard error: for people on a terminal, one JSON object a line otherwise, each with the trace it belongs
//! to. Traces go as OTLP over HTTP to a collector when one is named. Spans are made in either case, so that trace ids
//! stand in logs, rows and dead letters.
//!
//! A collector that is dead or slow costs spans, never work: they wait in a queue of bounded length that drops what does
//! not fit, and are sent by a thread of their own.

use std::fmt;
use std::io::IsTerminal as _;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use secrecy::{ExposeSecret, SecretString};

use crate::config::secret_text;
use crate::fault::{Exit, Fault, without_password};

mod json;

/// Libraries whose spans and events say nothing of ours: HTTP internals (the exporter would trace itself) and the token
/// library, which logs requests that carry credentials.
const SILENCED: [&str; 7] = ["hyper", "hyper_util", "h2", "reqwest", "rustls", "tower", "yup_oauth2"];

/// Longest that one export, or the last one at the end, may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(3);

/// Spans that wait for the collector; about 2 MB. More are dropped.
const QUEUE_SPANS_MAX: usize = 4096;

/// Where logs and traces go; `#[command(flatten)]` it.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Collector for traces (OTLP over HTTP), for example http://127.0.0.1:4318; none: traces are not sent
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide_env_values = true,
        value_parser = secret_text)]
    pub otlp: Option<SecretString>,

    /// Shape of the log lines on standard error
    #[arg(long, value_name = "FORMAT", env = "ROLLCALL_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// Shape of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Compact on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Compact,
    /// One JSON object a line.
    Json,
}

/// Keeps telemetry going; sends what is left when dropped, for at most three seconds.
#[must_use = "telemetry ends when the guard is dropped"]
pub struct Guard {
    provider: SdkTracerProvider,
}

impl Guard {
    /// Sends what is left and ends tracing. Dropping does the same.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A collector that does not answer has had its chance; the process ends all the same.
        let _ = self.provider.shutdown_with_timeout(EXPORT_TIMEOUT);
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Guard")
    }
}

/// Starts logs and traces for the service `rollcall-<service>`. Once per process, in `main`.
///
/// The level comes from `ROLLCALL_LOG` (`info` unless set; same syntax as `RUST_LOG`).
///
/// # Errors
/// E0108 when `ROLLCALL_LOG` or the collector's address cannot be understood, or telemetry runs already.
pub fn init(service: &str, options: &Options) -> Result<Guard, Fault> {
    let refused = |message: String| {
        Fault::new("E0108", Exit::Usage, message)
            .help("ROLLCALL_LOG takes levels such as `info` or `info,planner=debug`; --otlp takes http://HOST:4318")
    };
    let filter = log_filter(crate::config::env("ROLLCALL_LOG").as_deref())
        .map_err(|error| refused(format!("the log level cannot be understood: {error}")))?;
    let provider =
        provider(service, options).map_err(|error| refused(format!("the trace collector cannot be used: {error}")))?;
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());

    let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("rollcall")).with_filter(trace_filter());
    let as_json = match options.log_format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Compact => false,
        LogFormat::Json => true,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let logs = if as_json {
        lines.event_format(json::Format::new(service)).fmt_fields(json::Fields).with_filter(filter).boxed()
    } else {
        lines.compact().with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed()
    };
    tracing_subscriber::registry()
        .with(traces)
        .with(logs)
        .try_init()
        .map_err(|error| refused(format!("telemetry cannot be started: {error}")))?;
    Ok(Guard { provider })
}

fn log_filter(level: Option<&str>) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    let mut filter = EnvFilter::builder().parse(level.unwrap_or("info"))?;
    for target in SILENCED {
        filter = filter.add_directive(format!("{target}=off").parse()?);
    }
    Ok(filter)
}

fn trace_filter() -> Targets {
    SILENCED.iter().fold(Targets::new().with_default(LevelFilter::INFO), |targets, name| {
        targets.with_target(*name, LevelFilter::OFF)
    })
}

fn provider(service: &str, options: &Options) -> Result<SdkTracerProvider, String> {
    let resource = Resource::builder()
        .with_service_name(format!("rollcall-{service}"))
        .with_attributes([
            KeyValue::new("service.namespace", "rollcall"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", crate::ids::uuid().to_string()),
        ])
        .build();
    let builder = SdkTracerProvider::builder().with_resource(resource);
    let Some(exporter) = exporter(options)? else { return Ok(builder.build()) };
    crate::spans::collect();
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE_SPANS_MAX)
        .with_scheduled_delay(Duration::from_secs(1))
        .build();
    let builder = builder.with_span_processor(crate::spans::Inherit);
    Ok(builder.with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build()).build())
}

/// The exporter, when a collector is named: by the option, or for traces alone by OpenTelemetry's own variable.
/// An error is without what the address may say of user and password.
fn exporter(options: &Options) -> Result<Option<opentelemetry_otlp::SpanExporter>, String> {
    let disabled = crate::config::env("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let traces_only = crate::config::env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").filter(|url| !url.is_empty());
    let base = options.otlp.as_ref().map(ExposeSecret::expose_secret).filter(|url| !url.is_empty());
    let endpoint = match (traces_only, base) {
        _ if disabled => return Ok(None),
        (Some(url), _) => url,
        (None, Some(base)) => format!("{}/v1/traces", base.trim_end_matches('/')),
        (None, None) => return Ok(None),
    };
    crate::tls::install_provider();
    opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpJson)
        .with_timeout(EXPORT_TIMEOUT)
        .with_endpoint(&endpoint)
        .build()
        .map(Some)
        .map_err(|error| error.to_string().replace(&endpoint, &without_password(&endpoint)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_token_library_and_http_internals_stay_silent_at_any_level() {
        let filter = log_filter(Some("trace")).unwrap().to_string();
        for target in SILENCED {
            assert!(filter.contains(&format!("{target}=off")), "{filter}");
        }
        assert!(log_filter(Some("=,=")).is_err());
    }

    #[test]
    fn without_a_collector_nothing_is_exported_and_a_bad_address_is_refused() {
        assert!(exporter(&Options::default()).unwrap().is_none());
        let bad = Options { otlp: Some("no address://user:hunter2@here".into()), ..Options::default() };
        let refused = exporter(&bad).unwrap_err();
        assert!(refused.contains("no address://here") && !format!("{refused}{bad:?}").contains("hunter2"), "{refused}");
    }

    #[test]
    fn a_collector_that_never_answers_stops_nobody() {
        use opentelemetry::trace::{Span as _, Tracer as _};
        // Accepts, and then says nothing.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let otlp = Some(format!("http://user:hunter2@{}", silent.local_addr().unwrap()).into());
        let provider = provider("writer", &Options { otlp, ..Options::default() }).unwrap();
        let tracer = provider.tracer("test");
        let began = crate::clock::monotonic();
        for _ in 0..QUEUE_SPANS_MAX * 4 {
            tracer.start("apply command").end();
        }
        assert!(began.elapsed() < EXPORT_TIMEOUT, "work waited for the collector: {:?}", began.elapsed());
        let began = crate::clock::monotonic();
        drop(Guard { provider });
        assert!(began.elapsed() < EXPORT_TIMEOUT * 3, "the end waited for the collector: {:?}", began.elapsed());
    }
}
