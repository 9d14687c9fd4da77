//! Where the servers and our own binaries are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::Deadline;

/// So long a build may take to put a new binary in the place of the old one.
const REPLACED_WITHIN: Duration = Duration::from_secs(5);
/// How often we look whether it has.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The root of the repository.
pub fn repository() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_owned()
}

/// The folder of shared reference data beside the repository; `None` where there is none.
///
/// # Errors
/// With `CI=true` its absence is a failure.
pub fn shared() -> Result<Option<PathBuf>> {
    shared_at(&repository().join("../shared"), ci())
}

/// As [`shared`], of this folder; `ci`: its absence is a failure.
///
/// # Errors
/// As [`shared`].
pub fn shared_at(folder: &Path, ci: bool) -> Result<Option<PathBuf>> {
    match folder.canonicalize() {
        Ok(found) => Ok(Some(found)),
        Err(_) if ci => bail!("CI=true, and {} is absent", folder.display()),
        Err(_) => Ok(None),
    }
}

/// One of our binaries, built beside this test: `rollcall`, `rollcall-watcher`, …
///
/// A build that runs beside the tests takes a binary away before it puts the new one there, so one that is not there is
/// looked for again for a while.
///
/// # Errors
/// When it has not been built; says how, and what the file system said.
pub fn ours(name: &str) -> Result<PathBuf> {
    // target/debug/deps/<test> or target/debug/<bench>.
    let this = std::env::current_exe().context("cannot tell where this test is")?;
    let beside: Vec<PathBuf> = this.ancestors().skip(1).take(2).map(|folder| folder.join(name)).collect();
    let deadline = Deadline::after(REPLACED_WITHIN);
    loop {
        let mut why = Vec::new();
        for path in &beside {
            match path.metadata() {
                Ok(about) if about.is_file() => return Ok(path.clone()),
                Ok(_) => why.push(format!("{} is no file", path.display())),
                Err(error) => why.push(error.to_string()),
            }
        }
        if deadline.is_over() {
            let (this, why) = (this.display(), why.join("; "));
            bail!("{name} is not built beside {this} ({why}); run `cargo build --workspace --bins`");
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// nats-server as the distribution has it: the one on the PATH, or unpacked by `./dev setup` from the distribution's package.
/// Where there is none, the current one.
///
/// # Errors
/// When there is none; says how to get one.
pub fn nats_server() -> Result<PathBuf> {
    on_path("nats-server")
        .or_else(|| existing(Path::new("/usr/sbin/nats-server")))
        .or_else(|| existing(&repository().join(".dev/debian/usr/sbin/nats-server")))
        .or_else(|| existing(&repository().join(".dev/nats/nats-server")))
        .context("nats-server is not installed; run `./dev setup`, or `apt-get install nats-server`")
}

/// The current nats-server (2.12) that `./dev setup` brings.
///
/// # Errors
/// When it is not there; says how to get it.
pub fn nats_server_current() -> Result<PathBuf> {
    existing(&repository().join(".dev/nats/nats-server")).context("there is no current nats-server; run `./dev setup`")
}

/// The folder with PostgreSQL's `initdb` and `postgres`, newest first.
///
/// # Errors
/// When there is none; says how to get one.
pub fn postgres_bin() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("ROLLCALL_POSTGRES_BIN").map(PathBuf::from) {
        return Ok(folder);
    }
    let beside_path = on_path("initdb").and_then(|initdb| initdb.parent().map(Path::to_owned));
    let mut installed: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    installed.sort();
    let folders = installed.into_iter().rev().map(|(_, folder)| folder);
    let brought = repository().join(".dev/postgres/bin");
    beside_path
        .into_iter()
        .chain(folders)
        .chain([brought])
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .context("PostgreSQL is not installed; run `./dev setup`, or `apt-get install postgresql`")
}

/// Whether this is a run of the gate (`CI=true`), for which everything must be there.
pub fn ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// A program on the PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find_map(|folder| existing(&folder.join(name)))
}

fn existing(path: &Path) -> Option<PathBuf> {
    path.is_file().then(|| path.to_owned())
}
