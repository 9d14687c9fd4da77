//! Acts: carries commands out at Atlassian.

fn main() {}
