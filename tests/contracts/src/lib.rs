//! Messages as bytes: a later version reads an earlier one. The tests are in `it/`.
