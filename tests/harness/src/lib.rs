//! Private NATS, PostgreSQL, twin and services for tests.
