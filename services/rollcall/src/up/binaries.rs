//! Finding the servers that `up` and `demo` start privately.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use runtime::{Exit, Fault};

/// The programs that are needed to run everything on one machine.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// `nats-server`.
    pub nats: PathBuf,
    /// PostgreSQL's `initdb`.
    pub initdb: PathBuf,
    /// PostgreSQL's `postgres`.
    pub postgres: PathBuf,
}

impl Binaries {
    /// Looks on the PATH, where Debian puts versioned PostgreSQL binaries, and where `./dev` puts what it fetched.
    ///
    /// # Errors
    /// Names what is missing and how to install it.
    pub fn find(needs: Needs) -> Result<Self, Fault> {
        let nats = find("nats-server");
        let (initdb, postgres) = (find("initdb"), find("postgres"));
        let mut missing = Vec::new();
        if needs.nats && nats.is_none() {
            missing.push("nats-server");
        }
        if needs.postgres && (initdb.is_none() || postgres.is_none()) {
            missing.push("postgresql");
        }
        if !missing.is_empty() {
            let fault = Fault::new("E0110", Exit::Error, format!("cannot find {}", missing.join(" and ")));
            return Err(fault.help(format!(
                "install with `apt-get install {}`, run `./dev setup`, or give the address of a running one with --nats and --database",
                missing.join(" ")
            )));
        }
        Ok(Self {
            nats: nats.unwrap_or_default(),
            initdb: initdb.unwrap_or_default(),
            postgres: postgres.unwrap_or_default(),
        })
    }
}

/// Which servers are to be started here.
#[derive(Debug, Clone, Copy)]
pub struct Needs {
    /// A private NATS.
    pub nats: bool,
    /// A private PostgreSQL.
    pub postgres: bool,
}

/// The program by its name. Debian's own `initdb` and `postgres` come before a `postgres` that happens to be on the
/// PATH, so that both are of one version.
fn find(name: &str) -> Option<PathBuf> {
    debian_folders().into_iter().chain(path_folders()).map(|folder| folder.join(name)).find(|file| is_program(file))
}

fn path_folders() -> Vec<PathBuf> {
    let path = runtime::config::env("PATH").unwrap_or_default();
    std::env::split_paths(OsStr::new(&path)).collect()
}

/// The newest first.
fn debian_folders() -> Vec<PathBuf> {
    let mut folders: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    folders.sort_unstable_by(|a, b| b.cmp(a));
    folders.into_iter().map(|(_, folder)| folder).collect()
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
