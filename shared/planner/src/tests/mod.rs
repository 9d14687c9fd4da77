//! Tests start converged and change one thing; their names are facts.

mod basic;
