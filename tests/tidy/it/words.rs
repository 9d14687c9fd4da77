//! What must not stand in a file.

use crate::scan::{line_of, words};
use crate::tree::{SourceFile, assert_none, files};

/// Where `needle` stands in the code of the files that `applies` to.
fn found(needle: &str, applies: impl Fn(&SourceFile) -> bool) -> Vec<String> {
    let mut places = Vec::new();
    for file in files().iter().filter(|file| file.is_rust() && applies(file)) {
        places
            .extend(words(&file.code, needle).map(|at| format!("{}:{}: {needle}", file.path, line_of(&file.code, at))));
    }
    places
}

#[test]
fn only_the_command_line_prints() {
    let applies = |file: &SourceFile| {
        // Examples are programs of their own.
        let speaks = file.is_in("services/rollcall") || file.is_in("tests") || file.path.contains("/examples/");
        !speaks && !file.is_test() && !file.path.ends_with("/build.rs")
    };
    let violations: Vec<String> = ["println!", "print!"].iter().flat_map(|needle| found(needle, applies)).collect();
    assert_none("standard output belongs to the command line; others log:", &violations);
}

#[test]
fn no_test_is_ignored() {
    let mut violations = Vec::new();
    for file in files().iter().filter(|file| file.is_rust() && file.path != "tests/tidy/it/words.rs") {
        // In the masked text of the whole file, since the code leaves tests out.
        let text = crate::scan::masked(&file.text);
        violations.extend(words(&text, "#[ignore").map(|at| format!("{}:{}", file.path, line_of(&text, at))));
    }
    assert_none("a test that is not run is no test:", &violations);
}

#[test]
fn services_track_their_tasks() {
    let services = ["services/watcher", "services/reconciler", "services/writer", "services/console"];
    let applies = |file: &SourceFile| services.iter().any(|service| file.is_in(service)) && !file.is_test();
    assert_none(
        "tasks are spawned through `Shutdown::spawn`, which the end waits for:",
        &found("tokio::spawn", applies),
    );
}

#[test]
fn nothing_is_left_to_do() {
    let mut violations = Vec::new();
    for file in files().iter().filter(|file| file.is_rust() && !file.is_in("tests/tidy")) {
        for marker in ["TODO", "FIXME", "XXX"] {
            violations.extend(words(&file.text, marker).map(|at| format!("{}:{}", file.path, line_of(&file.text, at))));
        }
    }
    assert_none("what is not done stands in the issue, not in the code:", &violations);
}

#[test]
fn no_machine_and_no_package_host_is_named() {
    // In two halves, so that this file does not break its own rule.
    let needles = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("pypi", ".org"),
        concat!("files.python", "hosted"),
        concat!("npm", "js.org"),
        concat!("index.", "crates.io"),
        concat!("static.", "crates.io"),
        concat!("proxy.", "golang.org"),
    ];
    let mut violations = Vec::new();
    for file in files().iter().filter(|file| file.path != "Cargo.lock") {
        for needle in needles {
            let places = file.text.match_indices(needle);
            violations.extend(places.map(|(at, _)| format!("{}:{}: {needle}", file.path, line_of(&file.text, at))));
        }
    }
    assert_none("files say nothing of the machine they were written on:", &violations);
}
