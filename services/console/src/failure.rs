//! What goes wrong, as callers see it: a status, a stable word, what is wrong, what to do.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use store::StoreError;

/// A request that was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status.
    pub status: StatusCode,
    /// A stable word for scripts.
    pub code: &'static str,
    /// What is wrong; no secret and no address.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Failure {
    /// A failure without help.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), help: String::new() }
    }

    /// The same with what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// No token, or one that is nobody's: the same words for each reason.
    pub fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "a bearer token is needed")
            .help("send `Authorization: Bearer …` with a token whose SHA-256 stands in the console's token file")
    }

    /// The person's role does not reach, or the tenant is not theirs: the same words for each.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "your role does not allow this")
            .help("ask somebody whose role does, or have yours changed in the console's token file")
    }

    /// The `Host` header is none of ours.
    pub fn misdirected() -> Self {
        Self::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", "this host name is not served here")
            .help("ask by the address that the console listens on, or name the host with --host")
    }

    /// There is no such thing, or it is another tenant's.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", format!("there is no such {what}"))
    }

    /// The request cannot be understood.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "usage", message)
    }

    /// What is decided about has changed or gone meanwhile.
    pub fn stale(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "stale", message).help("look at what is held now with `rollcall review`")
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused { constraint } if constraint == "four_eyes" => {
                Self::new(StatusCode::FORBIDDEN, "four-eyes", "nobody approves what they set in motion themselves")
                    .help("ask somebody else whose role is approver")
            }
            StoreError::Refused { constraint } => Self::usage(format!("refused by {constraint}")),
            error if error.is_transient() => {
                tracing::warn!(event.name = "rollcall.console.database", %error, "the database does not answer");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the database does not answer")
                    .help("try again; nothing was changed unless the answer was lost after the change")
            }
            error => {
                tracing::error!(event.name = "rollcall.console.database", %error, "a query failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "a query failed; the console's log says which")
            }
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = contract::ops::Failure { code: self.code.to_owned(), message: self.message, help: self.help };
        (self.status, Json(body)).into_response()
    }
}
