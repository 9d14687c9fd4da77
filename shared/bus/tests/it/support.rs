//! Servers to test on, and values to send.

use std::time::Duration;

use bus::Bus;
use contract::{DirectoryEvent, EventKind, subjects::Subject};
use harness::{Nats, NatsOptions, NatsServer};
use model::{DirectoryId, TenantId};

/// How long a test waits for what must come.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The servers that are here: the distribution's, which with `CI=true` must be 2.9, and the current one, 2.12 or newer.
pub(crate) fn servers() -> Vec<NatsServer> {
    harness::versions::to_test_on().unwrap()
}

/// A server and a connection.
pub(crate) async fn start(server: NatsServer) -> (Nats, Bus) {
    let nats = Nats::start_with(NatsOptions { server, ..NatsOptions::default() }).await.unwrap();
    let bus = Bus::connect(&nats.url(), "test").await.unwrap();
    (nats, bus)
}

pub(crate) fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

pub(crate) fn directory() -> DirectoryId {
    DirectoryId::new("workspace").unwrap()
}

/// An event that is told from others by its version.
pub(crate) fn event(version: u64) -> DirectoryEvent {
    DirectoryEvent {
        tenant: tenant(),
        directory: directory(),
        version,
        kind: EventKind::Members,
        ids: vec![format!("g{version}")],
    }
}

pub(crate) fn subject() -> Subject {
    Subject::Directory { tenant: tenant(), directory: directory(), kind: EventKind::Members }
}

pub(crate) async fn publish(bus: &Bus, version: u64) {
    bus.publish(&subject(), &format!("v{version}"), &event(version)).await.unwrap();
}
