//! Properties of the pure core.
