//! What ./dev bench measures.

fn main() {}
