//! PostgreSQL: migrations, the directory mirror, plans, commands, outbox, leases, dead letters, audit.
