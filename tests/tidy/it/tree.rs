//! The repository as the rules see it: its files and its packages.

#![expect(clippy::panic, reason = "a repository that cannot be read fails the test that asked for it")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context as _, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package};

use crate::scan;

/// One text file.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// From the root of the repository.
    pub(crate) path: String,
    /// As it is.
    pub(crate) text: String,
    /// Rust with comments, strings and tests blanked out; other files as they are.
    pub(crate) code: String,
}

impl SourceFile {
    pub(crate) fn is_rust(&self) -> bool {
        is_rust(&self.path)
    }

    /// Whether the file holds tests and nothing else.
    pub(crate) fn is_test(&self) -> bool {
        let below_src = self.path.split_once("/src/").map_or("", |(_, below)| below);
        self.path.contains("/it/")
            || self.path.ends_with("tests.rs")
            || below_src.split('/').any(|part| part == "tests")
    }

    /// Whether the file belongs to the crate at `folder`, such as `shared/twin`.
    pub(crate) fn is_in(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_owned()
}

/// All text files that git knows or would add; read once.
pub(crate) fn files() -> &'static [SourceFile] {
    static FILES: LazyLock<Vec<SourceFile>> =
        LazyLock::new(|| read_files().unwrap_or_else(|error| panic!("{error:#}")));
    &FILES
}

/// One file by its path; `None` where it does not exist (yet).
pub(crate) fn file(path: &str) -> Option<&'static SourceFile> {
    files().iter().find(|file| file.path == path)
}

/// The packages of the workspace, read once.
pub(crate) fn packages() -> Vec<&'static Package> {
    static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
        let mut command = MetadataCommand::new();
        command.current_dir(root()).no_deps().other_options(vec!["--offline".to_owned()]);
        command.exec().unwrap_or_else(|error| panic!("cargo metadata: {error}"))
    });
    METADATA.workspace_packages()
}

/// Fails with all violations, one a line.
pub(crate) fn assert_none(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}\n  {}", violations.join("\n  "));
}

fn read_files() -> Result<Vec<SourceFile>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .context("git cannot be run")?;
    anyhow::ensure!(listed.status.success(), "git cannot list the files of the repository");
    let names = String::from_utf8(listed.stdout).context("a file name is not UTF-8")?;
    let mut files = Vec::new();
    for path in names.split('\0').filter(|path| !path.is_empty()) {
        // Deleted but not yet committed, or not text.
        let Ok(text) = std::fs::read_to_string(root().join(path)) else { continue };
        let code = if is_rust(path) { scan::without_tests(&scan::masked(&text)) } else { text.clone() };
        files.push(SourceFile { path: path.to_owned(), text, code });
    }
    anyhow::ensure!(files.len() > 20, "only {} files were found; the rules would say nothing", files.len());
    Ok(files)
}
