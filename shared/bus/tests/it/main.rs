//! The bus on real servers: nats-server of the distribution (2.9.10), a current one, three current ones.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]

mod cluster;
mod control;
mod deliveries;
mod disposable;
mod relay;
mod room;
mod support;
