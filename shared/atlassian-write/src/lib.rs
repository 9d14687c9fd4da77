//! Changing Atlassian. A crate of its own so that the boundary is a dependency, not a habit.
