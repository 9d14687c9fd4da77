//! What can go wrong with the database, sorted by what the caller does about it.

use tokio_postgres::error::SqlState;

/// Why a query or a commit failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, or the connection broke: try later; nothing was committed unless the commit
    /// itself was under way.
    #[error("the database cannot be reached: check that PostgreSQL runs and that the URL is right")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Another transaction was in the way: repeat the whole transaction.
    #[error("another transaction was in the way: repeat")]
    Conflict(#[source] tokio_postgres::Error),
    /// The lease is lost: stop acting, nothing was committed.
    #[error("the lease \"{name}\" is no longer held with epoch {epoch}: another holder may act")]
    LeaseLost {
        /// Which lease.
        name: String,
        /// The epoch that is over.
        epoch: i64,
    },
    /// The directory behind a name in the policy file is not the one that was pinned at first sight.
    #[error(
        "directory \"{directory}\" was pinned to \"{pinned}\" and now names itself \"{found}\": review before it is read"
    )]
    OtherDirectory {
        /// Which directory.
        directory: model::DirectoryId,
        /// The vendor's id at first sight.
        pinned: String,
        /// The vendor's id now.
        found: String,
    },
    /// A row holds what no version of this program writes.
    #[error("{table} holds a row that cannot be read: {why}")]
    Corrupt {
        /// In which table.
        table: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The database belongs to another environment.
    #[error("the database is stamped \"{found}\" and this process is set up for \"{expected}\": refuse to act on it")]
    OtherEnvironment {
        /// As configured.
        expected: String,
        /// As stamped.
        found: String,
    },
    /// A constraint refused a row, such as a second decision by the proposer.
    #[error("refused by {constraint}")]
    Refused {
        /// The constraint's name.
        constraint: String,
    },
    /// The schema could not be brought up to date.
    #[error("the schema could not be brought up to date: {0}")]
    Migration(String),
    /// Any other answer of the database: a mistake of ours.
    #[error("the database refused a statement: {0}")]
    Database(String, #[source] tokio_postgres::Error),
}

impl StoreError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Conflict(_))
    }

    /// The kind of error in one word, for figures.
    pub(crate) const fn class(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Conflict(_) => "conflict",
            Self::LeaseLost { .. } => "lease_lost",
            Self::Refused { .. } => "refused",
            Self::OtherDirectory { .. }
            | Self::Corrupt { .. }
            | Self::OtherEnvironment { .. }
            | Self::Migration(_)
            | Self::Database(..) => "database",
        }
    }

    /// What the server or the network said, for the operator's eyes.
    pub fn why(&self) -> String {
        let source = match self {
            Self::Unreachable(cause) => cause.source().map(ToString::to_string).or_else(|| Some(cause.to_string())),
            _ => None,
        };
        source.unwrap_or_else(|| self.to_string())
    }

    /// The server's code for a statement that it refused.
    pub(crate) fn sql_state(&self) -> Option<&SqlState> {
        match self {
            Self::Database(_, error) => error.code(),
            _ => None,
        }
    }

    /// A row that no version of this program writes.
    pub(crate) fn corrupt(table: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Corrupt { table, why: why.to_string() }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else { return Self::Unreachable(Box::new(error)) };
        let code = db.code().code();
        match code.get(..2) {
            Some("40" | "55") => Self::Conflict(error),
            // Connection exceptions, too many connections, shutting down, starting up.
            Some("08" | "53" | "57") => Self::Unreachable(Box::new(error)),
            Some("23") => Self::Refused { constraint: db.constraint().unwrap_or("a constraint").to_owned() },
            // The message names tables and columns, never values: those are in the detail, which stays here.
            _ => Self::Database(format!("{code} {}", db.message()), error),
        }
    }
}

impl From<deadpool_postgres::PoolError> for StoreError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => Self::from(error),
            other => Self::Unreachable(Box::new(other)),
        }
    }
}
