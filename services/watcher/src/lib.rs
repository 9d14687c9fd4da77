//! Sees: reads directories on both sides and announces what changed.

pub mod reader;

pub use reader::{Reader, ReaderOptions};
