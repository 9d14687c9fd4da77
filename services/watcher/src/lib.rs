//! Sees: reads directories on both sides and announces what changed.
