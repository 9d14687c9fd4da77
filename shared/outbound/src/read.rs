//! What every connector that reads a directory offers.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use model::{AccountId, Answer as FactAnswer, Disposition, Email, Fact, Group, GroupId, MembersRead, Reading, User};

use crate::answer::{Answer, CallError, CallErrorKind, Sense};

/// A directory that can be read.
///
/// Reads keep to one rule: what is `complete` was walked to its end without error, and nothing else may say that
/// something is gone.
pub trait ReadDirectory: Send + Sync {
    /// One pass over everything: users, groups, and the members of the groups in scope.
    ///
    /// What could be read before an error is in the reading, marked incomplete. An error is returned only when nothing
    /// at all could be said.
    fn sweep(&self, scope: &Scope, progress: &dyn Progress) -> impl Future<Output = Result<Reading, ReadError>> + Send;

    /// The members of one group, walked to the end.
    fn read_members(&self, group: &GroupId) -> impl Future<Output = Result<MembersRead, ReadError>> + Send;

    /// One group by id; `None`: certainly gone.
    fn read_group(&self, group: &GroupId) -> impl Future<Output = Result<Option<Group>, ReadError>> + Send;

    /// One person by id; `None`: certainly gone.
    fn read_user(&self, user: &AccountId) -> impl Future<Output = Result<Option<User>, ReadError>> + Send;

    /// The person with this address, where the directory can be asked; `None`: nobody, or more than one.
    fn find_person(&self, email: &Email) -> impl Future<Output = Result<Option<User>, ReadError>> + Send;

    /// Reads one fact by itself.
    fn verify(&self, fact: &Fact) -> impl Future<Output = Result<FactAnswer, ReadError>> + Send;

    /// Reads these groups with their members, and these people, by id: what a hint named. Nothing else is looked at.
    ///
    /// # Errors
    /// When one of them could not be read at all; nothing is then known.
    fn reread(
        &self,
        groups: &[GroupId],
        users: &[AccountId],
    ) -> impl Future<Output = Result<Reading, ReadError>> + Send;

    /// The groups that a person is a direct member of, where the vendor can be asked; it need not know them all.
    fn groups_of(&self, user: &AccountId) -> impl Future<Output = Result<Vec<GroupId>, ReadError>> + Send;

    /// Which accounts the credentials belong to, where the vendor tells: they are never touched.
    fn who_am_i(&self) -> impl Future<Output = Result<Vec<AccountId>, ReadError>> + Send;
}

/// Whose members a sweep walks.
#[derive(Clone)]
pub enum Scope {
    /// Every group's.
    All,
    /// No group's.
    Nobody,
    /// Those of the groups for which this holds.
    Where(Arc<dyn Fn(&Group) -> bool + Send + Sync>),
}

impl Scope {
    /// The groups for which this holds.
    pub fn of(predicate: impl Fn(&Group) -> bool + Send + Sync + 'static) -> Self {
        Self::Where(Arc::new(predicate))
    }

    /// Whether this group's members are walked.
    pub fn holds(&self, group: &Group) -> bool {
        match self {
            Self::All => true,
            Self::Nobody => false,
            Self::Where(predicate) => predicate(group),
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "All",
            Self::Nobody => "Nobody",
            Self::Where(_) => "Where(…)",
        })
    }
}

/// Why a read failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReadError {
    /// What to do: `Halt` when the credentials are at fault, `Retry` or `Throttled` when a later try may go well,
    /// `Reject` when the vendor will not answer this.
    pub disposition: Disposition,
    /// What happened and what to do, without secrets and personal data.
    pub message: String,
    /// The vendor's own reason (`userRateLimitExceeded`, `ADMIN-404-10`), or the HTTP status; empty when there was no
    /// answer.
    pub code: String,
}

impl ReadError {
    /// The code of an error that comes from a certificate that is not to be trusted.
    pub const UNTRUSTED: &'static str = "untrusted-certificate";
    /// The code of an error that comes from another directory than the one that was met first under this name.
    pub const OTHER_DIRECTORY: &'static str = "E0140";

    /// The stable code under which the runbook says what to do about it, whatever the vendor calls it.
    pub fn stable_code(&self) -> &'static str {
        match self.code.as_str() {
            Self::OTHER_DIRECTORY => Self::OTHER_DIRECTORY,
            Self::UNTRUSTED => "E0141",
            _ if self.is_about_us() => "E0118",
            _ => "E0119",
        }
    }

    /// Whether the credentials are at fault: nothing that this pass did not see may be believed gone.
    pub const fn is_about_us(&self) -> bool {
        matches!(self.disposition, Disposition::Halt)
    }

    /// Whether the vendor does not let us read this: the credentials are at fault, or their rights.
    pub const fn is_refusal(&self) -> bool {
        matches!(self.disposition, Disposition::Halt | Disposition::Reject(model::Rejection::Auth))
    }

    /// The same error as one of the credentials: a listing that is refused is not about one object.
    #[must_use]
    pub fn about_us(self) -> Self {
        Self { disposition: Disposition::Halt, ..self }
    }

    /// The same, where the vendor does not let us read this.
    #[must_use]
    pub fn about_us_if_refused(self) -> Self {
        if self.is_refusal() { self.about_us() } else { self }
    }

    /// Whether a later try may go well by itself.
    pub const fn may_pass(&self) -> bool {
        matches!(self.disposition, Disposition::Retry { .. } | Disposition::Throttled { .. } | Disposition::Unknown)
    }
}

impl From<CallError> for ReadError {
    fn from(error: CallError) -> Self {
        let disposition = match error.kind {
            CallErrorKind::NotSent | CallErrorKind::Unknown => Disposition::Retry { after: None },
            CallErrorKind::NoTurn
            | CallErrorKind::Untrusted
            | CallErrorKind::Credentials
            | CallErrorKind::Impossible => error.disposition(),
        };
        let code = if error.kind == CallErrorKind::Untrusted { Self::UNTRUSTED } else { "" };
        Self { disposition, message: error.to_string(), code: code.to_owned() }
    }
}

/// The error of a read whose answer speaks about the vendor rather than about the request; `None` when the vendor
/// judged the request and the connector must look.
pub fn read_error(call: &str, answer: &Answer, sense: Sense, code: &str) -> Option<ReadError> {
    let after = answer.retry_after();
    let status = answer.status.as_u16();
    let (disposition, message) = match sense {
        Sense::Judged => return None,
        Sense::Throttled => (Disposition::Throttled { after }, "the vendor refuses more calls for now".to_owned()),
        Sense::Overloaded => {
            (Disposition::Retry { after }, "the vendor refuses so many calls at once for now".to_owned())
        }
        Sense::Troubled if answer.is_web_page() => {
            (Disposition::Retry { after }, format!("a web page came in the place of an answer (status {status})"))
        }
        Sense::Troubled => (Disposition::Retry { after }, format!("the vendor is in trouble (status {status})")),
        Sense::Unauthenticated => {
            (Disposition::Halt, format!("the vendor does not accept the credentials (status {status}): renew them"))
        }
    };
    let code = if code.is_empty() { status.to_string() } else { code.to_owned() };
    Some(ReadError { disposition, message: format!("{call}: {message}"), code })
}

/// Where a pass stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Listing users.
    Users,
    /// Listing groups.
    Groups,
    /// Walking groups for their members.
    Members,
}

impl Stage {
    /// For people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Groups => "groups",
            Self::Members => "members of groups",
        }
    }
}

/// Who is told how far a pass is.
pub trait Progress: Send + Sync {
    /// So many of a stage are done, of so many if that is known.
    fn step(&self, stage: Stage, done: u64, of: Option<u64>);

    /// Something could not be read, and the pass goes on without it.
    fn trouble(&self, error: &ReadError) {
        tracing::warn!(
            event.name = "rollcall.read.incomplete",
            error.code = error.code.as_str(),
            "a read is incomplete: {error}"
        );
    }
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn step(&self, _stage: Stage, _done: u64, _of: Option<u64>) {}
}
