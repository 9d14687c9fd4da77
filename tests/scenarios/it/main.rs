//! End-to-end scenarios on real parts. Each asserts on the twin's *world*, not on calls.

#![expect(clippy::indexing_slicing, reason = "tests")]

mod access;
mod confluence;
mod crash;
mod customers;
mod dc;
mod demo;
mod directories;
mod doctor;
mod everywhere;
mod flow;
mod gives;
mod import;
mod letters;
mod oneshot;
mod parity;
mod policy_test;
mod protected;
mod readme;
mod reads;
mod refusals;
mod replay;
mod secrets;
mod secured;
mod server;
mod stop;
mod story;
mod tenants;
mod unread;
mod verbs;

use std::time::Duration;

/// How long anything may take before a scenario has failed. Debug builds on a busy machine are slow.
const WITHIN: Duration = Duration::from_secs(90);
