//! Messages as bytes: a later version reads an earlier one.
