//! Atlassian's shapes of errors: organization, gateway, SCIM, Jira (reference/atlassian-cloud.md §1.6, §3.2, §4).

use model::{Disposition, Rejection};
use outbound::{Answer, ReadError, Sense, default_sense};
use serde_json::Value;

/// What an answer gave as the reason.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AtlassianError {
    /// The stable part: `ADMIN-404-10`, `uniqueness`; empty where there is none.
    pub code: String,
    /// The vendor's sentence, without words that hold an address.
    pub message: String,
}

impl AtlassianError {
    /// Reads the body of an answer that is no success.
    pub fn of(answer: &Answer) -> Self {
        let Ok(body) = answer.json::<Value>() else {
            return Self { code: String::new(), message: tidy(&answer.text()) };
        };
        let text = |value: Option<&Value>| match value {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        // Organization: a list of errors. Jira: `errors` is an object by field, and `errorMessages` a list of text.
        if let Some(first) = body.pointer("/errors/0") {
            let words = format!("{} {}", text(first.get("title")), text(first.get("detail")));
            return Self { code: text(first.get("code")), message: tidy(&words) };
        }
        let fields = body.get("errors").and_then(Value::as_object);
        let by_field = fields.into_iter().flat_map(|fields| fields.values());
        let listed = body.get("errorMessages").and_then(Value::as_array).into_iter().flatten();
        let messages: Vec<&str> = listed.chain(by_field).filter_map(Value::as_str).collect();
        if !messages.is_empty() {
            return Self { code: String::new(), message: tidy(&messages.join("; ")) };
        }
        let message = ["detail", "message", "errorMessage", "error"]
            .iter()
            .map(|name| text(body.get(*name)))
            .find(|it| !it.is_empty());
        Self { code: text(body.get("scimType")), message: tidy(&message.unwrap_or_default()) }
    }
}

/// The error of a read whose answer is no success.
pub fn read_error(call: &str, answer: &Answer) -> ReadError {
    let error = AtlassianError::of(answer);
    if let Some(known) = outbound::read_error(call, answer, default_sense(answer), &error.code) {
        return known;
    }
    let status = answer.status.as_u16();
    let (disposition, remedy) = match status {
        403 => (Disposition::Reject(Rejection::Auth), "give the key or account the right to read users and groups"),
        404 => (Disposition::Reject(Rejection::UnknownGroup), "check the ids in this directory's settings"),
        // "More than ten seconds" of users/search in Jira.
        409 => (Disposition::Retry { after: None }, "it will be tried again"),
        410 => (Disposition::Reject(Rejection::Validation), "this API is gone: a newer version of Rollcall is needed"),
        _ => (Disposition::Reject(Rejection::Validation), "check this directory's settings"),
    };
    let said = if error.message.is_empty() { "nothing more".to_owned() } else { format!("\"{}\"", error.message) };
    let code = if error.code.is_empty() { status.to_string() } else { error.code };
    ReadError {
        disposition,
        message: format!("{call}: status {status}, Atlassian says {said} ({code}): {remedy}"),
        code,
    }
}

/// Whether an answer is a success that came from the vendor.
pub(crate) fn is_good(answer: &Answer) -> bool {
    answer.is_success() && default_sense(answer) == Sense::Judged
}

/// A read whose answer has another shape than documented: trouble that may pass.
pub(crate) fn shape(call: &str, text: &str) -> ReadError {
    ReadError {
        disposition: Disposition::Retry { after: None },
        message: format!("{call}: {text}"),
        code: "shape".to_owned(),
    }
}

/// What a read beside the lists told, or nothing where we have not the right to it. Trouble that may pass and bad
/// credentials are errors: what protects a group must not be lost to them.
pub(crate) fn if_permitted<T: Default>(read: Result<T, ReadError>) -> Result<T, ReadError> {
    match read {
        Err(error) if error.may_pass() || error.is_about_us() => Err(error),
        read => Ok(read.unwrap_or_default()),
    }
}

/// Our own account lacks a right without which nothing can be changed there.
pub(crate) fn lacks(call: &str, right: &str) -> ReadError {
    ReadError {
        disposition: Disposition::Halt,
        message: format!("{call}: our own account may not change groups here: give it {right}"),
        code: "rights".to_owned(),
    }
}

/// The same where a read that only such an account may make is refused to credentials that were just accepted: with 403, or,
/// as Bitbucket does, with 401. Other refusals of it say nothing about rights.
pub(crate) fn lacks_if_refused<T>(read: Result<T, ReadError>, call: &str, right: &str) -> Result<(), ReadError> {
    match read {
        Err(error) if error.is_refusal() => Err(lacks(call, right)),
        Err(error) if error.may_pass() => Err(error),
        _ => Ok(()),
    }
}

/// The first 200 characters, without the words that hold an address.
fn tidy(text: &str) -> String {
    let words = text.split_whitespace().map(|word| if word.contains('@') { "…" } else { word });
    words.collect::<Vec<_>>().join(" ").chars().take(200).collect()
}
