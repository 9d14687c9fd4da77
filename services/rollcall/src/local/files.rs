//! The files of a journal: written whole or not at all, or by appended lines; what a crash left of one is cut off.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
};

use runtime::{Exit, Fault};
use serde::{Deserialize, Serialize};

/// The ledger's name in the folder of the journal.
pub const LEDGER: &str = "ledger.ndjson";

/// The audit's name in the folder of the journal.
pub const AUDIT: &str = "audit.ndjson";

/// Writes a file of the folder, whole or not at all; it is on the disk when this returns.
///
/// # Errors
/// When the folder cannot be written.
pub fn replace(folder: &Path, name: &str, value: &impl Serialize) -> Result<(), Fault> {
    let (path, fresh) = (folder.join(name), folder.join(format!("{name}.new")));
    let bytes = serde_json::to_vec(value).map_err(|cause| unusable(&path, &cause.into()))?;
    let written = File::create(&fresh).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &path)?;
        File::open(folder)?.sync_all()
    });
    written.map_err(|cause| unusable(&path, &cause))
}

/// Adds to a file; it is on the disk when this returns.
///
/// # Errors
/// When the folder cannot be written.
pub fn append(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    let written = File::options().create(true).append(true).open(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_data()
    });
    written.map_err(|cause| unusable(path, &cause))
}

/// What a file says, where there is one.
///
/// # Errors
/// When it cannot be read or understood.
pub fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, Fault> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(unusable(path, &cause)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|cause| unusable(path, &cause.into()))
}

/// Cuts off what a crash left of a line: it was never synced, so nothing came of it.
///
/// # Errors
/// When the file can be opened and not be cut.
pub fn cut_torn_line(path: &Path) -> Result<(), Fault> {
    let cut = || -> std::io::Result<()> {
        let mut file = File::options().read(true).write(true).open(path)?;
        let length = file.metadata()?.len();
        let end = end_of_line(&mut file, length)?;
        if end < length { file.set_len(end) } else { Ok(()) }
    };
    there(path, cut()).map(|_| ())
}

/// The last whole line without its end; empty where there is none.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn last_line(path: &Path) -> Result<Vec<u8>, Fault> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let end = end_of_line(&mut file, length)?.saturating_sub(1);
        let start = end_of_line(&mut file, end)?;
        let mut line = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.take(end - start).read_to_end(&mut line)?;
        Ok(line)
    };
    there(path, read()).map(Option::unwrap_or_default)
}

/// Where the last line that ends before `end` ends, its mark included; 0 where none does. It is looked for from the
/// end, for the file may be long and its lines are not.
fn end_of_line(file: &mut File, mut end: u64) -> std::io::Result<u64> {
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        block.clear();
        file.seek(SeekFrom::Start(start))?;
        file.take(end - start).read_to_end(&mut block)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + u64::try_from(at).unwrap_or(0) + 1);
        }
        end = start;
    }
    Ok(0)
}

/// So much is read at once when the end of a line is looked for.
const BLOCK: u64 = 64 * 1024;

/// Nothing where the file is not there.
fn there<T>(path: &Path, done: std::io::Result<T>) -> Result<Option<T>, Fault> {
    match done {
        Ok(value) => Ok(Some(value)),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(unusable(path, &cause)),
    }
}

/// The journal, or a file of it, cannot be used.
pub fn unusable(path: &Path, cause: &std::io::Error) -> Fault {
    Fault::new("E0116", Exit::Error, format!("the journal {} cannot be used: {cause}", path.display()))
        .help("restore it, or give another folder with --journal; a new journal means a first contact with every group")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_last_whole_line_is_found_and_a_torn_one_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(AUDIT);
        assert!(last_line(&path).unwrap().is_empty());
        cut_torn_line(&path).unwrap();
        append(&path, b"torn").unwrap();
        cut_torn_line(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        let long = "x".repeat(100_000);
        append(&path, format!("first\n{long}\nsecond").as_bytes()).unwrap();
        assert_eq!(last_line(&path).unwrap(), long.as_bytes(), "longer than what is read at once");
        cut_torn_line(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("first\n{long}\n"));
        append(&path, b"third\n").unwrap();
        assert_eq!(last_line(&path).unwrap(), b"third");
    }
}
