//! What a one-shot run remembers: the journal, a folder under an exclusive lock.
//!
//! ```text
//! lock                  held while a run lasts
//! memory.json           links, pins, windows, what we added: planner::Memory, and how much of the ledger is in it
//! directory-<id>.json   the rows of each directory as last read, so that a loss is told from drift
//! pinned.json           the vendors' own ids of the directories, as first read
//! ledger.ndjson         every attempt before its call, every outcome after it; synced
//! audit.ndjson          who did what, when, why, and each effect; each line holds the hash of the one before
//! ```
//!
//! What a run did and could not remember, since it crashed, is taken from the ledger when the journal is opened.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::{Path, PathBuf},
};

use model::{Delta, Digest, DirectoryId, Snapshot, TenantId, Time};
use planner::Memory;
use runtime::{Exit, Fault};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::audit::AuditEntry;

use super::{
    deeds::Open,
    files::{self, AUDIT, LEDGER, append, cut_torn_line, last_line, read_json, unusable},
    past::{Past, Replayed},
};

/// The journal of one tenant, open and locked.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    _lock: File,
    /// What the planner is given.
    pub memory: Memory,
    /// The rows of each directory as last read.
    pub snapshots: BTreeMap<DirectoryId, Snapshot>,
    /// The vendor's own id of each directory, as first read.
    pub pinned: BTreeMap<DirectoryId, String>,
    /// Nothing was remembered before this run: every target group is a first contact.
    pub is_first_contact: bool,
    /// Calls of earlier runs of which nobody knows yet what they did.
    pub open: Vec<Open>,
    /// Effects of earlier runs that are not in the audit yet.
    owed: Vec<AuditEntry>,
    /// The hash of the audit's last line, once it was read.
    head: Option<Digest>,
}

/// One line of the audit.
#[derive(Debug, Serialize)]
struct AuditLine<'a> {
    at: String,
    actor: &'a str,
    verb: &'a str,
    object: &'a str,
    detail: &'a Value,
    before: Digest,
}

/// The memory as it is saved.
#[derive(Debug, Serialize)]
struct Saved<'a> {
    #[serde(flatten)]
    memory: &'a Memory,
    #[serde(flatten)]
    mark: Mark,
}

/// How far the ledger is in the memory beside it, and what of it is still open. A journal of an earlier version has
/// none: its memory was saved when its runs ended.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Mark {
    #[serde(default)]
    ledger_until: Option<u64>,
    #[serde(default)]
    open: Vec<Open>,
}

impl Journal {
    /// The folder where a tenant's journal is when none is named.
    pub fn default_folder(tenant: &TenantId) -> PathBuf {
        state_home().join("rollcall").join(tenant.as_str())
    }

    /// Opens the journal, or begins it, and locks it.
    ///
    /// # Errors
    /// When another run has it, or it cannot be read or written.
    pub fn open(folder: PathBuf) -> Result<Self, Fault> {
        let unusable = |cause: std::io::Error| unusable(&folder, &cause);
        std::fs::create_dir_all(&folder).map_err(unusable)?;
        let lock = File::options().create(true).truncate(false).write(true).open(folder.join("lock"));
        let lock = lock.map_err(unusable)?;
        lock.try_lock().map_err(|_| {
            Fault::new("E0115", Exit::TryLater, format!("another run has the journal {}", folder.display()))
                .help("wait for it to end, or give another folder with --journal")
        })?;
        let memory: Option<Memory> = read_json(&folder.join("memory.json"))?;
        let mut snapshots = BTreeMap::new();
        for entry in std::fs::read_dir(&folder).map_err(unusable)?.flatten() {
            let name = entry.file_name();
            let is_directory = name.to_str().is_some_and(|name| name.starts_with("directory-"));
            if let Some(delta) = is_directory.then(|| read_json::<Delta>(&entry.path())).transpose()?.flatten() {
                snapshots.insert(delta.directory.clone(), Snapshot::from_whole(&delta));
            }
        }
        let is_first_contact = memory.is_none();
        let mut memory = memory.unwrap_or_default();
        // An override is for the run that it was given to.
        memory.approvals.clear();
        let pinned = read_json(&folder.join("pinned.json"))?.unwrap_or_default();
        for name in [LEDGER, AUDIT] {
            cut_torn_line(&folder.join(name))?;
        }
        let Mark { ledger_until, mut open } = read_json(&folder.join("memory.json"))?.unwrap_or_default();
        let past = Past::read(&folder, ledger_until)?;
        let replayed = match ledger_until {
            Some(_) => past.replay(&mut memory),
            None => Replayed { open: past.open(), audit: Vec::new() },
        };
        open.extend(replayed.open);
        let owed = not_in_audit(&folder, replayed.audit)?;
        Ok(Self { folder, _lock: lock, memory, snapshots, pinned, is_first_contact, open, owed, head: None })
    }

    /// Pins the vendor's own id of a directory at first sight.
    ///
    /// # Errors
    /// When another id is pinned: what was read is of another directory, and nothing is made of it.
    pub fn pin(&mut self, directory: &DirectoryId, id: String) -> Result<(), Fault> {
        let first = self.pinned.entry(directory.clone()).or_insert_with(|| id.clone());
        if *first == id {
            return Ok(());
        }
        let message =
            format!("directory \"{directory}\" was \"{first}\" before and is \"{id}\" now; nothing was made of it");
        Err(Fault::new("E0140", Exit::Error, message)
            .help("correct its credentials and ids; for another directory on purpose, begin another journal"))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes what is remembered, each file whole or not at all. No call may be under way.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save(&mut self) -> Result<(), Fault> {
        let owed = std::mem::take(&mut self.owed);
        self.audit_effects(&owed)?;
        for (directory, snapshot) in &self.snapshots {
            files::replace(&self.folder, &format!("directory-{directory}.json"), &snapshot.whole())?;
        }
        files::replace(&self.folder, "pinned.json", &self.pinned)?;
        let until = std::fs::metadata(self.folder.join(LEDGER)).map_or(0, |file| file.len());
        let mark = Mark { ledger_until: Some(until), open: self.open.clone() };
        files::replace(&self.folder, "memory.json", &Saved { memory: &self.memory, mark })
    }

    /// Adds effects of earlier runs to those that the next [`Journal::save`] writes into the audit.
    pub fn owe(&mut self, entries: Vec<AuditEntry>) {
        self.owed.extend(entries);
    }

    /// Adds a line to the audit, synced before this returns.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn audit(&mut self, at: Time, verb: &str, object: &str, detail: &Value) -> Result<(), Fault> {
        self.chain([(at, verb, object, detail)])
    }

    /// Adds a line for each effect, in the form of the services' audit chain: what was before and after, and the
    /// attempts that it is due to.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn audit_effects(&mut self, entries: &[AuditEntry]) -> Result<(), Fault> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let detail = |entry: &AuditEntry| json!({ "before": text(&entry.before), "after": text(&entry.after), "cause": entry.cause });
        let details: Vec<Value> = entries.iter().map(detail).collect();
        let lines = entries.iter().zip(&details);
        self.chain(lines.map(|(entry, detail)| (entry.at, entry.verb.as_str(), entry.key.as_str(), detail)))
    }

    fn chain<'a>(&mut self, lines: impl IntoIterator<Item = (Time, &'a str, &'a str, &'a Value)>) -> Result<(), Fault> {
        let path = self.folder.join(AUDIT);
        let mut head = match self.head {
            Some(head) => head,
            None => Digest::of(&last_line(&path)?),
        };
        let (actor, mut bytes) = (actor(), Vec::new());
        for (at, verb, object, detail) in lines {
            let line = AuditLine { at: at.to_string(), actor: &actor, verb, object, detail, before: head };
            let line = serde_json::to_vec(&line).map_err(|cause| unusable(&path, &cause.into()))?;
            head = Digest::of(&line);
            bytes.extend(line);
            bytes.push(b'\n');
        }
        if !bytes.is_empty() {
            append(&path, &bytes)?;
        }
        self.head = Some(head);
        Ok(())
    }
}

/// What of these effects no line of the audit tells of: a crash may have come before the line, or after it.
fn not_in_audit(folder: &Path, entries: Vec<AuditEntry>) -> Result<Vec<AuditEntry>, Fault> {
    let path = folder.join(AUDIT);
    let text = match std::fs::read(&path) {
        _ if entries.is_empty() => return Ok(entries),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(entries),
        read => read.map_err(|cause| unusable(&path, &cause))?,
    };
    let mut told = BTreeSet::new();
    for line in text.split(|byte| *byte == b'\n') {
        let line: Value = serde_json::from_slice(line).unwrap_or_default();
        let word = |pointer: &str| line.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        told.insert((word("/verb"), word("/object"), word("/detail/cause")));
    }
    let is_new = |entry: &AuditEntry| !told.contains(&(entry.verb.clone(), entry.key.clone(), entry.cause.clone()));
    Ok(entries.into_iter().filter(is_new).collect())
}

/// Who runs this, as the audit names them.
pub fn actor() -> String {
    ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(runtime::config::env).unwrap_or_else(|| "unknown".to_owned())
}

/// Where programs keep their state.
pub fn state_home() -> PathBuf {
    let home = || runtime::config::env("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    runtime::config::env("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(home)
        .unwrap_or_else(runtime::config::temporary_folder)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_journal_has_one_run_at_a_time_and_remembers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acme");
        let mut journal = Journal::open(path.clone()).unwrap();
        assert!(journal.is_first_contact);
        assert_eq!(Journal::open(path.clone()).unwrap_err().code, "E0115");
        let directory = DirectoryId::new("w").unwrap();
        journal.snapshots.insert(directory.clone(), Snapshot::new(directory.clone()));
        journal.memory.blind.insert(directory.clone());
        journal.pin(&directory, "C1".to_owned()).unwrap();
        assert_eq!(journal.pin(&directory, "C2".to_owned()).unwrap_err().code, "E0140");
        journal.memory.approvals.insert(Digest([1; 32]), planner::Verdict::Approved);
        journal.save().unwrap();
        drop(journal);
        let mut journal = Journal::open(path).unwrap();
        assert_eq!(journal.pin(&directory, "C2".to_owned()).unwrap_err().code, "E0140", "of an earlier run, too");
        assert!(journal.memory.approvals.is_empty(), "an override holds for one run");
        assert!(!journal.is_first_contact && journal.memory.blind.contains(&directory));
        assert!(journal.snapshots.contains_key(&directory));
    }

    #[test]
    fn each_line_of_the_audit_holds_the_hash_of_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path().join("acme")).unwrap();
        let detail = serde_json::json!({});
        journal.audit(Time(1), "apply", "plan", &detail).unwrap();
        journal.audit(Time(2), "apply", "plan", &detail).unwrap();
        let text = std::fs::read_to_string(journal.folder().join("audit.ndjson")).unwrap();
        let mut lines = text.lines();
        let (first, second) = (lines.next().unwrap(), lines.next().unwrap());
        assert!(second.contains(&Digest::of(first.as_bytes()).to_string()));
    }

    #[test]
    fn a_broken_journal_is_an_error_and_never_a_first_contact() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("memory.json"), "{").unwrap();
        assert_eq!(Journal::open(folder.path().to_owned()).unwrap_err().code, "E0116");
    }
}
