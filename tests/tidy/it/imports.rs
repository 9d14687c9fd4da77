//! Who may import whom: the order pure → worldly, and the borders that must not be crossed.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Package};

use crate::tree::{assert_none, packages};

/// What each library and service may import of ours, in production code. A crate that is not here may import nothing.
const MAY_IMPORT: [(&str, &[&str]); 20] = [
    ("model", &[]),
    ("policy", &["model"]),
    ("planner", &["model", "policy"]),
    ("contract", &["model"]),
    ("scim", &["model"]),
    ("runtime", &[]),
    ("store", &["model"]),
    // Rows become what the planner remembers: once, for whoever decides and whoever explains.
    ("recall", &["model", "planner", "store"]),
    ("bus", &["model", "contract", "store"]),
    ("outbound", &["model", "runtime"]),
    ("google", &["model", "outbound", "scim"]),
    ("atlassian", &["model", "outbound", "scim"]),
    ("atlassian-write", &["model", "outbound", "atlassian"]),
    ("effect", &["model", "outbound", "atlassian-write"]),
    // Plays the outside world from the vendors' documents: with our own types in it, its mistakes would cancel ours.
    ("twin", &[]),
    // Reads; does not decide and does not write.
    ("watcher", &["model", "policy", "contract", "store", "bus", "runtime", "outbound", "google", "atlassian", "scim"]),
    // Decides; talks to no outside system.
    ("reconciler", &["model", "policy", "planner", "recall", "contract", "store", "bus", "runtime"]),
    // Writes, through `effect` and nothing else.
    ("writer", &["model", "policy", "contract", "store", "bus", "runtime", "outbound", "effect"]),
    ("console", &["model", "policy", "planner", "recall", "contract", "store", "bus", "runtime"]),
    // Assembles everything; reaches Atlassian's writing side through `effect` alone.
    (
        "rollcall",
        &[
            "model",
            "policy",
            "planner",
            "contract",
            "scim",
            "store",
            "bus",
            "runtime",
            "outbound",
            "google",
            "atlassian",
            "effect",
            "twin",
            "watcher",
            "reconciler",
            "writer",
            "console",
        ],
    ),
];

/// Crates whose results depend on nothing but their arguments.
const PURE: [&str; 4] = ["model", "policy", "planner", "scim"];

/// What a pure crate must not link: whoever has it can wait, look at a clock, draw lots or reach the outside.
const NOT_IN_PURE: [&str; 12] = [
    "async-nats",
    "axum",
    "futures-util",
    "hyper",
    "jiff",
    "rand",
    "reqwest",
    "tokio",
    "tokio-postgres",
    "tokio-util",
    "tracing",
    "yup-oauth2",
];

/// Libraries that reach the outside, and who alone may link them in production code.
const ONLY_IN: [(&str, &[&str]); 6] = [
    ("async-nats", &["bus"]),
    ("tokio-postgres", &["store"]),
    ("deadpool-postgres", &["store"]),
    ("reqwest", &["outbound", "rollcall"]),
    ("yup-oauth2", &["google"]),
    ("rand", &["runtime", "twin"]),
];

/// Packages that exist for tests; they may import what they test.
fn is_for_tests(package: &Package) -> bool {
    package.manifest_path.as_str().contains("/tests/")
}

fn short(package: &str) -> &str {
    package.strip_prefix("rollcall-").unwrap_or(package)
}

/// Short names of our own crates that `package` imports in the given way.
fn imported(package: &Package, kind: DependencyKind) -> BTreeSet<&str> {
    let ours = package.dependencies.iter().filter(|dependency| dependency.path.is_some() && dependency.kind == kind);
    ours.map(|dependency| short(&dependency.name)).collect()
}

#[test]
fn crates_import_only_what_they_may() {
    let rules: BTreeMap<&str, &[&str]> = MAY_IMPORT.into_iter().collect();
    let mut violations = Vec::new();
    for package in packages().into_iter().filter(|package| !is_for_tests(package)) {
        let name = short(&package.name);
        let Some(allowed) = rules.get(name) else {
            violations.push(format!("{name} is not in the table of who may import whom"));
            continue;
        };
        for kind in [DependencyKind::Normal, DependencyKind::Build] {
            let wrong = imported(package, kind).into_iter().filter(|other| !allowed.contains(other));
            violations.extend(wrong.map(|other| format!("{name} imports {other}")));
        }
        // Tests of a crate may play the outside and start servers, and still not reach across a border.
        let for_tests = imported(package, DependencyKind::Development).into_iter();
        let wrong = for_tests.filter(|other| !allowed.contains(other) && !["twin", "harness"].contains(other));
        violations.extend(wrong.map(|other| format!("{name} imports {other} in its tests")));
    }
    let known: BTreeSet<&str> = packages().into_iter().map(|package| short(&package.name)).collect();
    violations.extend(rules.keys().filter(|name| !known.contains(*name)).map(|name| format!("{name} does not exist")));
    assert_none("who may import whom:", &violations);
}

#[test]
fn the_harness_and_tidy_import_nothing_of_ours() {
    let mut violations = Vec::new();
    for package in packages().into_iter().filter(|package| ["harness", "tidy"].contains(&short(&package.name))) {
        for kind in [DependencyKind::Normal, DependencyKind::Build, DependencyKind::Development] {
            violations
                .extend(imported(package, kind).into_iter().map(|other| format!("{} imports {other}", package.name)));
        }
    }
    assert_none("what tests must not lean on what they test:", &violations);
}

#[test]
fn pure_crates_link_nothing_that_can_wait_or_look_outside() {
    let mut violations = Vec::new();
    for package in packages().into_iter().filter(|package| PURE.contains(&short(&package.name))) {
        let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        let wrong = normal.filter(|dependency| NOT_IN_PURE.contains(&dependency.name.as_str()));
        violations.extend(wrong.map(|dependency| format!("{} links {}", package.name, dependency.name)));
    }
    assert_none("pure crates:", &violations);
}

#[test]
fn what_reaches_outside_is_linked_in_one_place() {
    let mut violations = Vec::new();
    for package in packages().into_iter().filter(|package| !is_for_tests(package)) {
        for dependency in package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal) {
            let rule = ONLY_IN.iter().find(|(library, _)| *library == dependency.name);
            if rule.is_some_and(|(_, allowed)| !allowed.contains(&short(&package.name))) {
                violations.push(format!("{} links {}", package.name, dependency.name));
            }
        }
    }
    assert_none("libraries that reach the outside:", &violations);
}
