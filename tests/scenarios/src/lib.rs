//! End-to-end scenarios on real parts. The tests are in `it/`.
