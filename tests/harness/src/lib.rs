//! Private NATS, PostgreSQL and services for tests and benchmarks, on free ports, in folders of their own.
//!
//! Purpose: a test says what it needs and gets the real thing: `Postgres::start()`, `Nats::start()`,
//! `Service::spawn(…)`. Everything can be killed, stopped and started again on the same port with the same data.
//!
//! Guarantees:
//! * imports nothing of ours, so that what is tested cannot hide in how it is tested;
//! * nothing outlives the test: a value's end ends its process, and the death of the test process, however sudden, ends
//!   all of them;
//! * tests may run in parallel, in one process or in many: ports are reserved across processes;
//! * data survives a kill, and in PostgreSQL a power cut, unless a test asks for `fast`; in NATS a power cut as in
//!   production where a test asks for [`Nats::durable`], which needs a current server.
//!
//! Assumptions: Linux; the servers come from the PATH, from Debian's folders or from `.dev/`, which `./dev setup` fills.
//! As root PostgreSQL runs as `postgres`, or as `nobody` where there is no such user, because it refuses root.
//!
//! Waiting is done with [`eventually`]: a condition, a deadline and what was waited for; never a bare sleep.

#![expect(clippy::disallowed_methods, reason = "tests run on the real clock, in the real environment")]

pub mod find;
pub mod nats;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod service;
pub mod versions;
mod wait;

pub use nats::{Nats, NatsCluster, NatsOptions, NatsServer};
pub use postgres::{Durability, Postgres};
pub use process::{Lines, Process};
pub use service::Service;
pub use wait::{Deadline, eventually};

/// Prepares a test process for network connections: one TLS provider. Called by everything here that connects.
pub fn prepare() {
    // The error says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// An HTTP client for asking our own services and the twin; never goes through a proxy.
///
/// # Errors
/// When the TLS library cannot be set up.
pub fn http() -> anyhow::Result<reqwest::Client> {
    prepare();
    Ok(reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_secs(10)).build()?)
}
