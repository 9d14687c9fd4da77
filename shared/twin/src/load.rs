//! Worlds from files: snapshots of a directory and changes to it.
