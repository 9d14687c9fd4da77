//! The brain: desired state, drift, guards, cases, plans. Synchronous, deterministic, no I/O, no clock.
