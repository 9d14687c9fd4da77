//! Compiles the contracts in pure Rust: no installed `protoc` is needed.

use std::{env, error::Error, path::PathBuf};

const FILES: [&str; 6] = [
    "rollcall/directory/v1/directory.proto",
    "rollcall/command/v1/command.proto",
    "rollcall/command/v1/outcome.proto",
    "rollcall/plan/v1/step.proto",
    "rollcall/plan/v1/plan.proto",
    "rollcall/ops/v1/ops.proto",
];

#[expect(clippy::disallowed_methods, reason = "what cargo tells a build script is no configuration")]
fn main() -> Result<(), Box<dyn Error>> {
    // Asked when it runs, not when it is compiled: a target folder may be shared by several checkouts.
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let descriptors = protox::compile(FILES, [&root])?;
    prost_build::Config::new()
        .btree_map(["."])
        .type_attribute(".rollcall.ops", "#[derive(serde::Serialize, serde::Deserialize)]\n#[serde(default)]")
        .compile_fds(descriptors)?;
    Ok(())
}
