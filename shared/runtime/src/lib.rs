//! What every process needs: configuration, secrets, telemetry, lifecycle, clock, health.
