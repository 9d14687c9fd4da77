//! JetStream: topology, typed publish and consume, deliveries that must be settled, outbox relay.
