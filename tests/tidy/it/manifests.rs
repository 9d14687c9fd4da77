//! What stands in the manifests.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use cargo_metadata::DependencyKind;
use toml::{Table, Value};

use crate::scan;
use crate::tree::{assert_none, file, files, packages, root};

/// Needed for what they switch on in other crates, not for what is called.
const NOT_CALLED: [&str; 1] = ["rollcall-harness"];

fn manifests() -> Result<Vec<(String, Table)>> {
    let mut manifests = Vec::new();
    for file in files().iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        manifests.push((file.path.clone(), file.text.parse().with_context(|| file.path.clone())?));
    }
    Ok(manifests)
}

#[test]
fn every_workspace_dependency_is_somebodys() -> Result<()> {
    let workspace: Table = file("Cargo.toml").context("there is no workspace")?.text.parse()?;
    let declared = workspace.get("workspace").and_then(|table| table.get("dependencies")).and_then(Value::as_table);
    let mut used = BTreeSet::new();
    for (_, manifest) in manifests()? {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            used.extend(
                manifest.get(section).and_then(Value::as_table).into_iter().flat_map(|table| table.keys().cloned()),
            );
        }
    }
    let declared = declared.context("the workspace declares no dependencies")?;
    let unused: Vec<String> = declared.keys().filter(|name| !used.contains(*name)).cloned().collect();
    assert_none("dependencies of the workspace that no crate uses:", &unused);
    Ok(())
}

#[test]
fn every_crate_takes_version_and_lints_from_the_workspace() -> Result<()> {
    let mut violations = Vec::new();
    for (path, manifest) in manifests()? {
        let inherits = |section: &str, key: &str| {
            let value =
                manifest.get(section).and_then(|table| if key.is_empty() { Some(table) } else { table.get(key) });
            value.and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true)
        };
        if !inherits("lints", "") {
            violations.push(format!("{path}: [lints] workspace = true"));
        }
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            if !inherits("package", key) {
                violations.push(format!("{path}: {key}.workspace = true"));
            }
        }
    }
    assert_none("manifests without:", &violations);
    Ok(())
}

#[test]
fn the_licence_is_apache_2_0() -> Result<()> {
    let text = std::fs::read_to_string(root().join("LICENSE"))?;
    assert!(text.contains("Apache License") && text.contains("Version 2.0, January 2004"), "LICENSE is another one");
    let workspace: toml::Table = toml::from_str(&std::fs::read_to_string(root().join("Cargo.toml"))?)?;
    let package = workspace.get("workspace").and_then(|all| all.get("package"));
    let licence = package.and_then(|package| package.get("license")).and_then(Value::as_str);
    assert_eq!(licence, Some("Apache-2.0"), "what every crate takes from the workspace");
    Ok(())
}

#[test]
fn every_dependency_is_used_where_it_is_declared() {
    let mut violations = Vec::new();
    for package in packages() {
        let folder = package.manifest_path.parent().map_or("", |folder| folder.as_str());
        let folder =
            folder.strip_prefix(&root().display().to_string()).unwrap_or(folder).trim_start_matches('/').to_owned();
        let sources: Vec<String> = files()
            .iter()
            .filter(|file| file.is_rust() && file.is_in(&folder))
            .map(|file| scan::masked(&file.text))
            .collect();
        for dependency in package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Build) {
            let name = dependency.rename.as_deref().unwrap_or(&dependency.name).replace('-', "_");
            let called = |text: &String| scan::names(text, &name).next().is_some();
            if !NOT_CALLED.contains(&dependency.name.as_str()) && !sources.iter().any(called) {
                violations.push(format!("{} declares {name}", package.name));
            }
        }
    }
    assert_none("dependencies that are declared and not used:", &violations);
}

#[test]
fn every_crate_says_what_it_is() {
    let mut violations = Vec::new();
    for package in packages() {
        for target in package.targets.iter().filter(|target| target.is_lib() || target.is_bin() || target.is_test()) {
            let text = std::fs::read_to_string(&target.src_path).unwrap_or_default();
            if !text.lines().any(|line| line.starts_with("//!")) {
                violations.push(format!("{} ({})", package.name, target.name));
            }
        }
    }
    assert_none("crates without a `//!` that says what they are:", &violations);
}
