//! A whole deployment for tests: both vendors played by the twin, real NATS and PostgreSQL, our own binaries.
//!
//! [`Outside`] is the vendors and a policy file that points at them; enough for `rollcall plan` and `apply`. [`World`]
//! adds the servers and the running services. What the two sides *should* hold is worked out here from the twin's own
//! state ([`Outside::wanted`]), in code that shares nothing with the planner.

mod company;
mod outside;
pub mod scrape;
mod world;

pub use company::{Company, WIDE, real, real_of};
pub use outside::{Beginning, Members, Outside, Said};
pub use world::{Options, World};
