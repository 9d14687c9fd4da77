//! Faults and kills on real parts.
