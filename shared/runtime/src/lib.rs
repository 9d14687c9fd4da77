//! What every process needs: clock, ids, secrets, configuration, telemetry, health and an orderly end.
//!
//! Purpose: the rest of the workspace takes time, randomness and settings as arguments; this crate is where they come
//! from. It imports nothing of ours.
//!
//! Guarantees:
//! * the wall clock, the monotonic clock, random numbers and the environment are each read in one function of this
//!   crate and nowhere else (clippy's `disallowed-methods` sees to it);
//! * a secret never shows in an error, in `Debug` or in a log line;
//! * telemetry never blocks work: a dead collector costs dropped spans and nothing else;
//! * a metric bears only the labels of [`metrics::ALLOWED_LABELS`], so no person, group or plan can become a series.
//!
//! Caveats: [`telemetry::init`] sets process-wide state (subscriber, propagator) and is for `main`. Under `rollcall up`,
//! where all services share one process, there is one [`metrics::process`] registry and one telemetry guard.
//!
//! Rejected: a configuration crate with layers (loses where a value came from), an OpenTelemetry metrics pipeline
//! beside the scrape endpoint (two registries that can disagree).

pub mod clock;
pub mod config;
pub mod events;
pub mod fault;
pub mod health;
pub mod ids;
pub mod lifecycle;
mod loops;
pub mod metrics;
pub mod secret;
pub mod spans;
pub mod telemetry;
pub mod tls;
pub mod trace;

pub use clock::Clock;
pub use fault::{Exit, Fault};
pub use lifecycle::Shutdown;
pub use loops::Loops;
