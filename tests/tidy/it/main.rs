//! The house rules, as tests.
//!
//! A rule is here, or in clippy's configuration, or it is no rule. Each test looks at the whole repository and reports all
//! that breaks it at once, with file and line. Rules about files that do not exist yet wait for them.

mod alerts;
mod imports;
mod kept;
mod manifests;
mod outside;
mod pages;
mod scan;
mod sizes;
mod tree;
mod words;
