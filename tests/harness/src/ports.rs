//! Free ports, reserved across test processes.
//!
//! Ports of the range that the system gives to outgoing connections are of no use: while a killed server is down, a
//! client's connection attempt may be given the server's own port, connect to itself and keep the server out.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};

/// Below Linux's default for outgoing connections, above what daemons use.
const RANGE: std::ops::Range<u16> = 12_000..32_000;

/// Locks that say which ports this process has taken; given back when it ends, however it ends.
static TAKEN: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port on 127.0.0.1 that nobody listens on and no other test process was given.
///
/// # Errors
/// When none is found, or the folder of locks cannot be written.
pub fn free() -> Result<u16> {
    let folder = std::env::temp_dir().join("rollcall-test-ports");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // Others may run tests too; the folder holds nothing but names.
    let _ = std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o1777));
    for _ in 0..1_000 {
        let port = rand::random_range(RANGE);
        let Ok(lock) = File::options().create(true).append(true).open(folder.join(port.to_string())) else { continue };
        if lock.try_lock().is_err() || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
            continue;
        }
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
        return Ok(port);
    }
    bail!("no free port on 127.0.0.1 between {} and {}", RANGE.start, RANGE.end)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let ports: std::collections::BTreeSet<u16> = (0..50).map(|_| free().unwrap()).collect();
        assert_eq!(ports.len(), 50);
        assert!(ports.iter().all(|port| RANGE.contains(port)));
    }
}
