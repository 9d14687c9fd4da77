//! The journal as a ledger: every attempt is on the disk before its call.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use effect::{Admission, Answered, Call, Ledger, LedgerError};
use model::{AccountId, CommandId, DirectoryId, GroupId, Outcome, Time};
use runtime::{Fault, Shutdown};
use serde::{Deserialize, Serialize};
use store::effect::{AttemptEnd, UnendedAttempt};

use super::{
    deeds::{Begun, Calls},
    files::{LEDGER, unusable},
};

/// One line of the ledger. What a version before this one did not write has a default.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub(super) enum Line {
    /// A run begins at a target.
    Begun { begun: Begun },
    /// A call is about to be made.
    Attempt {
        target: DirectoryId,
        call: Call,
        #[serde(default = "beginning")]
        at: Time,
    },
    /// It was answered.
    Answer {
        command: CommandId,
        attempt: u32,
        status: Option<u16>,
        text: String,
        #[serde(default)]
        disposition: String,
        #[serde(default = "beginning")]
        at: Time,
        #[serde(default)]
        group: Option<GroupId>,
        #[serde(default)]
        account: Option<AccountId>,
    },
    /// The command is over.
    Outcome { outcome: Outcome },
}

const fn beginning() -> Time {
    Time(0)
}

/// The ledger of one run at one target. The journal's lock makes this the only run, so nothing is ever outdated.
#[derive(Debug, Clone)]
pub struct JournalLedger {
    target: DirectoryId,
    file: Arc<Mutex<File>>,
    calls: Arc<Mutex<BTreeMap<CommandId, Calls>>>,
    shutdown: Shutdown,
}

impl JournalLedger {
    /// Opens the ledger of a journal folder. Once the end has begun it admits nothing more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(folder: &Path, target: &DirectoryId, shutdown: &Shutdown) -> Result<Self, Fault> {
        let path = folder.join(LEDGER);
        let file = File::options().create(true).append(true).open(&path).map_err(|cause| unusable(&path, &cause))?;
        let (file, shutdown) = (Arc::new(Mutex::new(file)), shutdown.clone());
        Ok(Self { target: target.clone(), file, calls: Arc::default(), shutdown })
    }

    /// Notes what is about to be done at the target.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn begin(&self, begun: &Begun) -> Result<(), LedgerError> {
        self.write(&Line::Begun { begun: begun.clone() }, true).await
    }

    /// Notes what became of a command, and gives its calls.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn settle(&self, outcome: &Outcome) -> Result<Calls, LedgerError> {
        self.write(&Line::Outcome { outcome: outcome.clone() }, true).await?;
        Ok(self.calls().remove(&outcome.command).unwrap_or_default())
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

    fn calls(&self) -> std::sync::MutexGuard<'_, BTreeMap<CommandId, Calls>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger for JournalLedger {
    async fn admit(&self, call: &Call) -> Result<Admission, LedgerError> {
        // Somebody stopped the run: calls that were made end, others are not begun.
        if self.shutdown.has_begun() {
            return Ok(Admission { allowed: vec![false; call.what.len()], not_now: false });
        }
        let at = Time(runtime::clock::now_micros());
        self.write(&Line::Attempt { target: self.target.clone(), call: call.clone(), at }, true).await?;
        let begun = UnendedAttempt {
            id: call.id,
            command: call.command,
            edges: writer::lines(&call.what, |_| true),
            began_at: at,
        };
        self.calls().entry(call.command).or_default().begun.push(begun);
        Ok(Admission { allowed: vec![true; call.what.len()], not_now: false })
    }

    async fn answered(&self, call: &Call, answered: &Answered) -> Result<(), LedgerError> {
        let (status, text, at) = (answered.status, answered.text.clone(), Time(runtime::clock::now_micros()));
        let disposition = writer::word(answered.disposition).to_owned();
        let line = Line::Answer {
            command: call.command,
            attempt: call.attempt,
            status,
            text: text.clone(),
            disposition: disposition.clone(),
            at,
            group: answered.group.clone(),
            account: answered.account.clone(),
        };
        let end = AttemptEnd { id: call.id, ended_at: at, disposition, status, answer: text };
        self.calls().entry(call.command).or_default().ends.push(end);
        self.write(&line, false).await
    }
}
