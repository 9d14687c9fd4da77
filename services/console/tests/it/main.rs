//! The console on real servers.
