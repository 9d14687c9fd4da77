//! Where the clock, randomness and the environment may be met: in `runtime`, which hands them on as arguments, and in few
//! places more, each with its reason.
//!
//! Clippy refuses the methods that `clippy.toml` names, unless somebody expects them. This rule says where that may be, and
//! looks for the ways around that Clippy does not see.

use crate::scan::{line_of, masked, names};
use crate::tree::{SourceFile, assert_none, files};

/// What Clippy is told where a method of `clippy.toml` is called all the same.
const EXPECTED: &str = "disallowed_methods";

/// Files where that may be expected. The twin and tests play the outside, and are told by it what to do.
const EXPECTED_IN: [(&str, &str); 6] = [
    ("shared/runtime/src/clock.rs", "the one clock"),
    ("shared/runtime/src/config.rs", "the one place that reads the environment"),
    ("shared/runtime/src/ids.rs", "the one place that makes ids and draws randomness"),
    ("shared/contract/build.rs", "what cargo tells a build script is no configuration"),
    ("shared/twin/src/lib.rs", "a vendor's service has a clock and draws ids of its own"),
    ("shared/planner/src/tests/history.rs", "a test: where its data must be there is said by the environment"),
];

/// Other ways to the clock, to randomness and to the environment.
const AROUND: [&str; 21] = [
    "env::args",
    "env::args_os",
    "env::current_dir",
    "env::current_exe",
    "env::home_dir",
    "env::remove_var",
    "env::set_var",
    "env::temp_dir",
    "env::vars_os",
    "elapsed",
    "now_local",
    "now_utc",
    "Local::now",
    "Timestamp::now",
    "Utc::now",
    "Zoned::now",
    "fastrand",
    "getrandom",
    "OsRng",
    "SystemRandom",
    "RandomState",
];

/// Where one of them stands, which, and why.
const AROUND_IN: [(&str, &str, &str); 4] = [
    ("shared/runtime/src/config.rs", "env::temp_dir", "the one place that reads the environment"),
    ("services/reconciler/src/tenant.rs", "elapsed", "how long a message took, for its metric: it decides nothing"),
    ("services/watcher/src/ask.rs", "elapsed", "how long a message took, for its metric: it decides nothing"),
    ("services/writer/src/desk.rs", "elapsed", "how long a message took, for its metric: it decides nothing"),
];

/// Test crates, and tests of other crates that stand in files of their own.
fn is_for_tests(file: &SourceFile) -> bool {
    file.is_in("tests") || file.path.contains("/tests/it/")
}

#[test]
fn clock_randomness_and_environment_are_met_where_the_rule_says() {
    let (mut violations, mut unused) = (Vec::new(), EXPECTED_IN.map(|(place, _)| place).to_vec());
    for file in files().iter().filter(|file| file.is_rust() && !is_for_tests(file)) {
        // In the masked text of the whole file: tests beside the code keep to the rule as well.
        let code = masked(&file.text);
        let places: Vec<usize> = names(&code, EXPECTED).collect();
        if EXPECTED_IN.iter().all(|(place, _)| *place != file.path) {
            violations.extend(places.iter().map(|at| format!("{}:{}: {EXPECTED}", file.path, line_of(&code, *at))));
        } else if !places.is_empty() {
            unused.retain(|place| *place != file.path);
        }
    }
    violations.extend(unused.iter().map(|place| format!("{place} stands in the rule and expects nothing")));
    assert_none("the clock, randomness and the environment come from `runtime`:", &violations);
}

#[test]
fn ways_around_are_met_where_the_rule_says() {
    let (mut violations, mut unused) = (Vec::new(), AROUND_IN.to_vec());
    let applies = |file: &&SourceFile| file.is_rust() && !is_for_tests(file) && !file.is_test();
    for file in files().iter().filter(applies).filter(|file| !file.is_in("shared/twin")) {
        for way in AROUND {
            let known = AROUND_IN.iter().any(|(place, of, _)| *place == file.path && *of == way);
            let places: Vec<usize> = names(&file.code, way).collect();
            if !known {
                violations.extend(places.iter().map(|at| format!("{}:{}: {way}", file.path, line_of(&file.code, *at))));
            } else if !places.is_empty() {
                unused.retain(|(place, of, _)| *place != file.path || *of != way);
            }
        }
    }
    violations.extend(unused.iter().map(|(place, way, _)| format!("{place} stands in the rule and has no {way}")));
    assert_none("the clock, randomness and the environment come from `runtime`:", &violations);
}
