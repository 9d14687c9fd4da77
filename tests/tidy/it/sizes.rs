//! How long files and functions may be.

use crate::scan;
use crate::tree::{assert_none, files, packages, root};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const MAIN_LINES_MAX: usize = 100;

/// Files that people write and read. Data, locks and what programs write are not among them.
const WRITTEN: [&str; 7] = [".rs", ".py", ".proto", ".sql", ".sh", "/dev", "/run"];

#[test]
fn files_stay_readable() {
    let mut violations = Vec::new();
    for file in files() {
        let path = format!("/{}", file.path);
        let lines = file.text.lines().count();
        if WRITTEN.iter().any(|ending| path.ends_with(ending)) && lines > FILE_LINES_MAX {
            violations.push(format!("{}: {lines} lines", file.path));
        }
    }
    assert_none(&format!("files have at most {FILE_LINES_MAX} lines:"), &violations);
}

#[test]
fn functions_stay_readable() {
    let mut violations = Vec::new();
    let mut measured = 0;
    for file in files().iter().filter(|file| file.is_rust()) {
        // In the masked text of the whole file, since the code leaves tests out: they are read as often.
        for function in scan::functions(&scan::masked(&file.text)) {
            measured += 1;
            if function.lines > FUNCTION_LINES_MAX {
                violations.push(format!("{}:{} {}: {} lines", file.path, function.line, function.name, function.lines));
            }
        }
    }
    assert!(measured > 5000, "only {measured} functions were found; the rule would say nothing");
    assert_none(&format!("functions have at most {FUNCTION_LINES_MAX} lines, tables excepted:"), &violations);
}

#[test]
fn mains_only_wire() {
    let mut violations = Vec::new();
    for package in packages() {
        for target in package.targets.iter().filter(|target| target.is_bin()) {
            let lines = std::fs::read_to_string(&target.src_path).map_or(0, |text| text.lines().count());
            if lines > MAIN_LINES_MAX {
                let path = target.src_path.as_std_path();
                violations.push(format!("{}: {lines} lines", path.strip_prefix(root()).unwrap_or(path).display()));
            }
        }
    }
    assert_none(&format!("a main has at most {MAIN_LINES_MAX} lines:"), &violations);
}
