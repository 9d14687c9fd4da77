//! Single facts of a source that can be asked for by themselves, and the answers.

use serde::{Deserialize, Serialize};

use crate::{AccountId, DirectoryId, GroupId, Time};

/// A source fact whose loss would remove somebody: it is read by itself before anything is removed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Fact {
    /// This person is a direct member of this group.
    Member {
        /// Where.
        directory: DirectoryId,
        /// The group.
        group: GroupId,
        /// The person.
        user: AccountId,
    },
    /// This group is a direct member of that group.
    Nested {
        /// Where.
        directory: DirectoryId,
        /// The group that holds.
        group: GroupId,
        /// The group that is held.
        nested: GroupId,
    },
    /// This person exists.
    User {
        /// Where.
        directory: DirectoryId,
        /// The person.
        user: AccountId,
    },
    /// This group exists.
    Group {
        /// Where.
        directory: DirectoryId,
        /// The group.
        group: GroupId,
    },
}

impl Fact {
    /// In which directory the fact holds or not.
    pub const fn directory(&self) -> &DirectoryId {
        match self {
            Self::Member { directory, .. }
            | Self::Nested { directory, .. }
            | Self::User { directory, .. }
            | Self::Group { directory, .. } => directory,
        }
    }

    /// One line that names the fact, for keys of rows: parts joined by `/`, each with `%` and `/` escaped.
    pub fn key(&self) -> String {
        let escape = |text: &str| text.replace('%', "%25").replace('/', "%2F");
        match self {
            Self::Member { group, user, .. } => format!("member/{}/{}", escape(group.as_str()), escape(user.as_str())),
            Self::Nested { group, nested, .. } => {
                format!("nested/{}/{}", escape(group.as_str()), escape(nested.as_str()))
            }
            Self::User { user, .. } => format!("user/{}", escape(user.as_str())),
            Self::Group { group, .. } => format!("group/{}", escape(group.as_str())),
        }
    }

    /// Reads what [`Fact::key`] wrote.
    pub fn from_key(directory: &DirectoryId, key: &str) -> Option<Self> {
        let unescape = |text: &str| text.replace("%2F", "/").replace("%25", "%");
        let mut parts = key.split('/');
        let kind = parts.next()?;
        let first = unescape(parts.next()?);
        let second = parts.next().map(unescape);
        let directory = directory.clone();
        match (kind, second) {
            ("member", Some(second)) => {
                Some(Self::Member { directory, group: GroupId::new(first).ok()?, user: AccountId::new(second).ok()? })
            }
            ("nested", Some(second)) => {
                Some(Self::Nested { directory, group: GroupId::new(first).ok()?, nested: GroupId::new(second).ok()? })
            }
            ("user", None) => Some(Self::User { directory, user: AccountId::new(first).ok()? }),
            ("group", None) => Some(Self::Group { directory, group: GroupId::new(first).ok()? }),
            _ => None,
        }
    }
}

/// What a read of one fact by itself said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The fact does not hold: a not-found by id, confirmed.
    Gone,
    /// The fact holds: the read that missed it is void.
    Holds,
    /// No read of this fact by itself exists (people of other domains): a second whole walk, after the lag, serves.
    NoPointRead,
}

/// A committed answer, and when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corroboration {
    /// Which fact.
    pub fact: Fact,
    /// What the read said.
    pub answer: Answer,
    /// When the read began.
    pub read_at: Time,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_key_reads_back_whatever_the_ids_hold() {
        let directory = DirectoryId::new("w").unwrap();
        let fact = Fact::Member {
            directory: directory.clone(),
            group: GroupId::new("a/b%2F").unwrap(),
            user: AccountId::new("%25/").unwrap(),
        };
        assert_eq!(Fact::from_key(&directory, &fact.key()), Some(fact));
        let fact = Fact::Group { directory: directory.clone(), group: GroupId::new("g").unwrap() };
        assert_eq!(Fact::from_key(&directory, &fact.key()), Some(fact));
    }
}
