//! End-to-end scenarios on real parts.
