//! Properties of the pure core. The tests are in `it/`.
