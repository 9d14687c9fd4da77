//! The one in-memory world: both sides, and the log of every effective change.

pub mod atlassian;
pub mod dc;
pub mod google;

use serde::Serialize;

use crate::engine::clock::machine_micros;
use crate::engine::{Millis, View};
use crate::load::Options;

/// Everything that the twin plays, behind one lock.
#[derive(Debug, Default)]
pub struct World {
    /// Google Workspace.
    pub google: google::GoogleSide,
    /// Atlassian Cloud.
    pub atlassian: atlassian::AtlassianSide,
    /// Atlassian Data Center.
    pub dc: dc::DcSide,
    /// Every effective change since the world was loaded.
    pub log: MutationLog,
    /// What the world was made with; later changes of the operator go by it.
    pub options: Options,
}

/// One effective change: what invariants speak about as `E`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mutation {
    /// Number of the change, rising, without gaps.
    pub sequence: u64,
    /// When, by the twin's clock.
    pub at: Millis,
    /// When, by the machine's clock, in microseconds since 1970: for measuring latencies.
    pub machine_micros: i64,
    /// The family of the API, or `twin` for a change by the operator.
    pub family: String,
    /// The operation, for example `members.insert` or `member_added`.
    pub operation: String,
    /// What changed, for example `atlassian/group/<id>/member/<id>`.
    pub key: String,
    /// The value before; `None` if it was not there.
    pub old: Option<String>,
    /// The value after; `None` if it is gone.
    pub new: Option<String>,
    /// `X-Request-Id` of the request.
    pub request_id: String,
    /// Name of the credential.
    pub caller: String,
}

/// Who changes something, when and by which call.
#[derive(Debug, Clone, Default)]
pub struct Cause {
    /// When, by the twin's clock.
    pub at: Millis,
    /// From when on reads see it.
    pub visible_at: Millis,
    /// The family of the API, or `twin`.
    pub family: String,
    /// The operation.
    pub operation: String,
    /// `X-Request-Id` of the request.
    pub request_id: String,
    /// Name of the credential.
    pub caller: String,
}

impl From<&View> for Cause {
    fn from(view: &View) -> Self {
        Self {
            at: view.now,
            visible_at: view.visible_at,
            family: view.call.family.to_owned(),
            operation: view.call.operation.to_owned(),
            request_id: view.call.request_id.clone(),
            caller: view.call.caller.clone(),
        }
    }
}

/// The log of effective changes.
#[derive(Debug, Default)]
pub struct MutationLog {
    sequence: u64,
    entries: Vec<Mutation>,
    /// Counts changes without keeping them, for worlds too large to log.
    pub only_count: bool,
}

impl MutationLog {
    /// Takes down one change. Call it only for what really changed.
    pub fn record(&mut self, cause: &Cause, key: impl Into<String>, old: Option<String>, new: Option<String>) {
        self.sequence += 1;
        if self.only_count {
            return;
        }
        self.entries.push(Mutation {
            sequence: self.sequence,
            at: cause.at,
            machine_micros: machine_micros(),
            family: cause.family.clone(),
            operation: cause.operation.clone(),
            key: key.into(),
            old,
            new,
            request_id: cause.request_id.clone(),
            caller: cause.caller.clone(),
        });
    }

    /// Like [`MutationLog::record`], but asks for the text only if it is kept.
    pub(crate) fn record_with(
        &mut self,
        cause: &Cause,
        text: impl FnOnce() -> (String, Option<String>, Option<String>),
    ) {
        if self.only_count {
            self.sequence += 1;
            return;
        }
        let (key, old, new) = text();
        self.record(cause, key, old, new);
    }

    /// Number of the last change.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Changes after a number, oldest first.
    pub fn after(&self, sequence: u64) -> impl Iterator<Item = &Mutation> {
        let start = self.entries.partition_point(|it| it.sequence <= sequence);
        self.entries.iter().skip(start)
    }
}
