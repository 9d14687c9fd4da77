//! The file operators write: parsed, diagnosed with line and column, compiled to matchers.
