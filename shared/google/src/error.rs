//! Google's many ways to say no (reference/google.md §1.8).

use model::{Disposition, Rejection};
use outbound::{Answer, ReadError, Sense};
use serde::Deserialize;

/// What Google gave as the reason, in the order of trust: `errors[0].reason`, `details[].reason`, `status`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GoogleError {
    /// The reason; empty for bodies that are plain text or a web page.
    pub reason: String,
    /// The message, without words that hold an address.
    pub message: String,
}

#[derive(Deserialize)]
struct Envelope {
    error: Body,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Body {
    message: String,
    status: String,
    errors: Vec<Reason>,
    details: Vec<Reason>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reason {
    reason: String,
}

impl GoogleError {
    /// Reads the body of an answer that is no success.
    pub fn of(answer: &Answer) -> Self {
        let Ok(Envelope { error }) = answer.json::<Envelope>() else {
            return Self { reason: String::new(), message: without_addresses(&answer.text()) };
        };
        let first = |list: &[Reason]| list.iter().map(|one| one.reason.clone()).find(|reason| !reason.is_empty());
        let reason = first(&error.errors).or_else(|| first(&error.details)).unwrap_or(error.status);
        Self { reason, message: without_addresses(&error.message) }
    }

    /// Whether the reason is about everything that these credentials do, not about this one object.
    pub fn is_about_us(&self) -> bool {
        matches!(
            self.reason.as_str(),
            "insufficientPermissions"
                | "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
                | "accessNotConfigured"
                | "SERVICE_DISABLED"
                | "domainPolicy"
                | "authError"
                | "required"
                | "UNAUTHENTICATED"
        ) || self.message.contains("Domain cannot use apis")
    }

    /// What an administrator should do about it.
    fn remedy(&self) -> &'static str {
        match self.reason.as_str() {
            "insufficientPermissions" | "ACCESS_TOKEN_SCOPE_INSUFFICIENT" => {
                "authorize the scopes admin.directory.user.readonly and admin.directory.group.readonly for this client"
            }
            "accessNotConfigured" | "SERVICE_DISABLED" => "enable the Admin SDK API in the Google Cloud project",
            "domainPolicy" => "allow API access for this client in the Admin console",
            "forbidden" => "give the account that we read as an administrator role that may read users and groups",
            "dailyLimitExceeded" => "the project's daily quota is spent: raise it or wait until tomorrow",
            _ => "check customer, subject and endpoint of this directory",
        }
    }
}

/// What an answer says about Google rather than about the request: 403 is a quota error for three of its reasons, and
/// quota errors may come as plain text.
pub fn sense(answer: &Answer) -> Sense {
    let sense = outbound::default_sense(answer);
    match answer.status.as_u16() {
        403 | 429 => {
            let error = GoogleError::of(answer);
            match error.reason.as_str() {
                "userRateLimitExceeded" | "rateLimitExceeded" | "RESOURCE_EXHAUSTED" | "RATE_LIMIT_EXCEEDED" => {
                    Sense::Throttled
                }
                "quotaExceeded" => Sense::Overloaded,
                "" if speaks_of_quota(&error.message) => Sense::Throttled,
                _ => sense,
            }
        }
        503 if speaks_of_quota(&GoogleError::of(answer).message) => Sense::Throttled,
        _ => sense,
    }
}

/// The error of an answer that is no success.
pub(crate) fn read_error(call: &str, answer: &Answer) -> ReadError {
    let error = GoogleError::of(answer);
    if let Some(known) = outbound::read_error(call, answer, sense(answer), &error.reason) {
        return known;
    }
    let status = answer.status.as_u16();
    let disposition = match status {
        400 if error.reason == "invalid" => Disposition::Reject(Rejection::Validation),
        403 if error.reason == "dailyLimitExceeded" => {
            Disposition::Throttled { after: Some(outbound::RETRY_AFTER_MAX) }
        }
        403 if error.is_about_us() => Disposition::Halt,
        403 => Disposition::Reject(Rejection::Auth),
        404 => Disposition::Reject(Rejection::UnknownGroup),
        _ => Disposition::Reject(Rejection::Validation),
    };
    let code = if error.reason.is_empty() { status.to_string() } else { error.reason.clone() };
    let said = if error.message.is_empty() { format!("status {status}") } else { error.message.clone() };
    ReadError { disposition, message: format!("{call}: Google says \"{said}\" ({code}): {}", error.remedy()), code }
}

fn speaks_of_quota(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("quota exceeded") || text.contains("rate limit exceeded")
}

/// The first 200 characters of a text, without the words that hold an address.
fn without_addresses(text: &str) -> String {
    let words = text.split_whitespace().map(|word| if word.contains('@') { "…" } else { word });
    words.collect::<Vec<_>>().join(" ").chars().take(200).collect()
}
