//! House rules as tests. The tests are in `it/`.
