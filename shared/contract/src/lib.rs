//! What passes over the bus: generated protobuf, conversions both ways, subjects.
//!
//! A message is a [`Payload`]: it turns into bytes and back into the words of `model`. Bytes of an older release always
//! read; bytes of a newer one read if they only add fields, and are a typed error if they hold a value that this release
//! does not know. `proto/README.md` says how the contracts may evolve.

mod convert;
mod error;
pub mod headers;
mod messages;
mod payload;
pub mod subjects;

pub use error::ContractError;
pub use messages::{DeadLetterNotice, DirectoryEvent, EventKind, Verify};
pub use payload::Payload;

/// The number of the contracts that this release speaks; sent in [`headers::CONTRACT`]. It rises with each addition.
pub const CONTRACT_VERSION: u32 = 2;

/// The generated messages. Everything but the operators' API is used through [`Payload`].
pub mod wire {
    /// `rollcall.directory.v1`: what watchers say and are asked.
    pub mod directory {
        /// Version 1.
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/rollcall.directory.v1.rs"));
        }
        pub use v1::*;
    }
    /// `rollcall.command.v1`: what writers do and what became of it.
    pub mod command {
        /// Version 1.
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/rollcall.command.v1.rs"));
        }
        pub use v1::*;
    }
    /// `rollcall.plan.v1`: a whole plan.
    pub mod plan {
        /// Version 1.
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/rollcall.plan.v1.rs"));
        }
        pub use v1::*;
    }
}

/// `rollcall.ops.v1`: the operators' API, which travels as JSON with the fields' names of `proto/rollcall/ops/v1`.
pub mod ops {
    include!(concat!(env!("OUT_DIR"), "/rollcall.ops.v1.rs"));
}
