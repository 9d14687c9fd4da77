//! Faults and kills on real parts. The tests are in `it/`.
