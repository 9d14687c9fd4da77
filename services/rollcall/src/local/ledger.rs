//! The journal as a ledger: every attempt is on the disk before its call.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Write as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use effect::{Admission, Answered, Call, Ledger, LedgerError, What};
use model::{CommandId, DirectoryId, Outcome};
use runtime::Fault;
use serde::{Deserialize, Serialize};

use super::journal::unusable;

/// One line of the ledger.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
enum Line {
    /// A call is about to be made.
    Attempt { target: DirectoryId, call: Call },
    /// It was answered.
    Answer { command: CommandId, attempt: u32, status: Option<u16>, text: String },
    /// The command is over.
    Outcome { outcome: Outcome },
}

/// The ledger of one run at one target. The journal's lock makes this the only run, so nothing is ever outdated.
#[derive(Debug, Clone)]
pub struct JournalLedger {
    target: DirectoryId,
    file: Arc<Mutex<File>>,
}

impl JournalLedger {
    /// Opens the ledger of a journal folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(folder: &Path, target: &DirectoryId) -> Result<Self, Fault> {
        let path = folder.join("ledger.ndjson");
        let file = File::options().create(true).append(true).open(&path).map_err(|cause| unusable(&path, &cause))?;
        Ok(Self { target: target.clone(), file: Arc::new(Mutex::new(file)) })
    }

    /// Notes what became of a command.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn settle(&self, outcome: &Outcome) -> Result<(), LedgerError> {
        self.write(&Line::Outcome { outcome: outcome.clone() }, true).await
    }

    async fn write(&self, line: &Line, synced: bool) -> Result<(), LedgerError> {
        let failed = |cause: &dyn std::fmt::Display| LedgerError(cause.to_string());
        let mut bytes = serde_json::to_vec(line).map_err(|cause| failed(&cause))?;
        bytes.push(b'\n');
        let file = Arc::clone(&self.file);
        let written = tokio::task::spawn_blocking(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(&bytes)?;
            if synced { file.sync_data() } else { Ok(()) }
        });
        written.await.map_err(|cause| failed(&cause))?.map_err(|cause| failed(&cause))
    }
}

impl Ledger for JournalLedger {
    async fn admit(&self, call: &Call) -> Result<Admission, LedgerError> {
        self.write(&Line::Attempt { target: self.target.clone(), call: call.clone() }, true).await?;
        Ok(Admission { allowed: vec![true; call.what.len()], not_now: false })
    }

    async fn answered(&self, call: &Call, answered: &Answered) -> Result<(), LedgerError> {
        let (status, text) = (answered.status, answered.text.clone());
        self.write(&Line::Answer { command: call.command, attempt: call.attempt, status, text }, false).await
    }
}

/// The groups whose creation an earlier run began and did not see the end of: if one of that name is there now, it is
/// ours and no conflict.
///
/// # Errors
/// When the ledger is there and cannot be read.
pub fn unended_creations(folder: &Path) -> Result<BTreeSet<(DirectoryId, String)>, Fault> {
    let path = folder.join("ledger.ndjson");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(cause) => return Err(unusable(&path, &cause)),
    };
    let mut open: BTreeMap<CommandId, (DirectoryId, String)> = BTreeMap::new();
    // A crash may have cut the last line in two; what it says had not begun.
    for line in text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
        match line {
            Line::Attempt { target, call: Call { command, what: What::CreateGroup { name }, .. } } => {
                open.insert(command, (target, name));
            }
            Line::Outcome { outcome } => {
                open.remove(&outcome.command);
            }
            Line::Attempt { .. } | Line::Answer { .. } => {}
        }
    }
    Ok(open.into_values().collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use model::{StepResult, TenantId, Time};

    use super::*;

    #[tokio::test]
    async fn i06_an_attempt_is_on_the_disk_before_its_call_and_open_until_its_outcome() {
        let folder = tempfile::tempdir().unwrap();
        let target = DirectoryId::new("cloud").unwrap();
        let ledger = JournalLedger::open(folder.path(), &target).unwrap();
        let command = CommandId(uuid::Uuid::nil());
        let what = What::CreateGroup { name: "eng".to_owned() };
        let admission = ledger.admit(&Call { id: uuid::Uuid::from_u128(1), command, attempt: 1, what }).await.unwrap();
        assert_eq!(admission.allowed, [true]);
        let open = unended_creations(folder.path()).unwrap();
        assert!(open.contains(&(target.clone(), "eng".to_owned())));
        let outcome = Outcome {
            command,
            tenant: TenantId::new("acme").unwrap(),
            target,
            at: Time(1),
            result: StepResult::Done,
            edges: Vec::new(),
            group: None,
            account: None,
            behind: None,
        };
        ledger.settle(&outcome).await.unwrap();
        assert!(unended_creations(folder.path()).unwrap().is_empty());
    }
}
