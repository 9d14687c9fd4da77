//! The twin against clients and documents we did not write. The tests are in `it/`.
