//! The command line: plan, apply, up, twin, status, approve, explain, doctor.

fn main() {}
