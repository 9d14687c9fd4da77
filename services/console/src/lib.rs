//! Operators' API: status, plans, held cases, dead letters, explain.
