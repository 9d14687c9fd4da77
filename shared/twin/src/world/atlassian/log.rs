//! What really changed: the record that invariants are checked against.

use serde::Serialize;

use crate::engine::Millis;

/// Who asked for a change, and when.
#[derive(Clone, Debug)]
pub struct Origin {
    /// When, on the twin's clock.
    pub at: Millis,
    /// Through what: `org`, `scim`, `jira`, `users`, `admin`, `twin` (an effect that fell due by itself).
    pub api: &'static str,
    /// Name of the credential, never its secret.
    pub token: String,
    /// Id of the request.
    pub request: String,
    /// How long readers may still see what was before; older traces are dropped.
    pub remembered: Millis,
}

impl Origin {
    /// The operator's hand, at that time.
    pub fn hand(at: Millis) -> Self {
        Self { at, api: "admin", token: "operator".to_owned(), request: String::new(), remembered: 0 }
    }
}

/// One effective change. Repeats that changed nothing are not here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mutation {
    /// Position in the log, from 1.
    pub number: u64,
    /// Milliseconds since 1970.
    pub at: Millis,
    /// Through what.
    pub api: &'static str,
    /// Name of the credential.
    pub token: String,
    /// Id of the request.
    pub request: String,
    /// What kind of fact: `membership`, `group`, `group-name`, `owner`, `role`, `account`, `standing`, `scim-user`.
    pub kind: &'static str,
    /// Organization, site or SCIM directory.
    pub directory: String,
    /// Group or, for facts about people, account id.
    pub object: String,
    /// The other end: account of a membership, role of an assignment; otherwise empty.
    pub subject: String,
    /// Value before; `absent` where there was none.
    pub old: String,
    /// Value after; `absent` where there is none.
    pub new: String,
}

/// All effective changes, oldest first.
#[derive(Clone, Debug, Default)]
pub struct MutationLog {
    entries: Vec<Mutation>,
    dropped: u64,
}

/// The fact that changed, before it is numbered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fact<'a> {
    pub(crate) kind: &'static str,
    pub(crate) directory: &'a str,
    pub(crate) object: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) old: &'a str,
    pub(crate) new: &'a str,
}

impl MutationLog {
    pub(crate) fn record(&mut self, origin: &Origin, fact: Fact<'_>) {
        let number = self.dropped + self.entries.len() as u64 + 1;
        self.entries.push(Mutation {
            number,
            at: origin.at,
            api: origin.api,
            token: origin.token.clone(),
            request: origin.request.clone(),
            kind: fact.kind,
            directory: fact.directory.to_owned(),
            object: fact.object.to_owned(),
            subject: fact.subject.to_owned(),
            old: fact.old.to_owned(),
            new: fact.new.to_owned(),
        });
    }

    /// Changes with a number above `after`, oldest first.
    pub fn since(&self, after: u64) -> &[Mutation] {
        let skip = usize::try_from(after.saturating_sub(self.dropped)).unwrap_or(usize::MAX);
        self.entries.get(skip..).unwrap_or(&[])
    }

    /// Number of the newest change; 0 when there is none.
    pub fn last(&self) -> u64 {
        self.dropped + self.entries.len() as u64
    }

    /// Forgets all entries; numbers go on.
    pub fn clear(&mut self) {
        self.dropped += self.entries.len() as u64;
        self.entries.clear();
    }
}
