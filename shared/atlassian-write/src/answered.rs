//! What a call that changes something came to.

use model::{AccountId, Disposition, GroupId};
use outbound::{Answer, CallError, Client, Sense};
use serde_json::Value;

use crate::target::text;

/// What became of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// What to do now.
    pub disposition: Disposition,
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// The vendor's stable code and sentence, or why there was no answer; without addresses and secrets.
    pub text: String,
    /// The group that was created or found.
    pub group: Option<GroupId>,
    /// The account that was created or found.
    pub account: Option<AccountId>,
    /// The Atlassian account behind it, where the directory has ids of its own.
    pub behind: Option<AccountId>,
}

/// What a read after an unclear answer showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// The membership, group or account is there.
    There,
    /// It is not, and what it would be part of is.
    NotThere,
    /// The group is not there.
    NoGroup,
    /// The account is not there.
    NoAccount,
    /// It could not be read: what this says.
    Unreadable(Answered),
}

/// Longest text of a vendor that is kept.
const TEXT_MAX: usize = 200;

impl Answered {
    /// What no judgement of the vendor came to.
    pub fn failed(error: &CallError) -> Self {
        Self {
            disposition: error.disposition(),
            status: None,
            text: error.message.clone(),
            group: None,
            account: None,
            behind: None,
        }
    }

    /// An answer with its disposition: what speaks of the vendor itself is settled here, what speaks of the request is
    /// asked of `judge`, which is given the status, the stable code and the lower-case words.
    pub fn of(client: &Client, answer: &Answer, judge: impl FnOnce(u16, &str, &str) -> Disposition) -> Self {
        let status = answer.status.as_u16();
        let words = Words::of(answer);
        let after = answer.retry_after();
        let disposition = match client.sense(answer) {
            Sense::Throttled | Sense::Overloaded => Disposition::Throttled { after },
            Sense::Troubled => Disposition::Unknown,
            Sense::Unauthenticated => Disposition::Halt,
            Sense::Judged if answer.is_success() => Disposition::Done,
            Sense::Judged => judge(status, &words.code, &words.text.to_ascii_lowercase()),
        };
        let text = if answer.is_success() { String::new() } else { words.shown() };
        Self { disposition, status: Some(status), text, group: None, account: None, behind: None }
    }

    /// The same with another disposition.
    #[must_use]
    pub fn with(mut self, disposition: Disposition) -> Self {
        self.disposition = disposition;
        self
    }

    /// Whether a part was done and another is left, for another attempt: progress, and no repetition.
    pub fn is_progress(&self) -> bool {
        let done = self.status.is_some_and(|status| (200..300).contains(&status));
        done && matches!(self.disposition, Disposition::Retry { .. })
    }

    /// Whether the target now holds what was asked for.
    pub const fn holds(&self) -> bool {
        matches!(self.disposition, Disposition::Done | Disposition::AlreadySo)
    }
}

/// The stable code and the sentence of an error, in any of the vendor's shapes.
struct Words {
    code: String,
    text: String,
}

impl Words {
    fn of(answer: &Answer) -> Self {
        let Ok(body) = answer.json::<Value>() else {
            return Self { code: String::new(), text: answer.text() };
        };
        // Organization: {"errors":[{code,title,detail}]}; Jira: {"errorMessages":[…],"errors":{…}}; SCIM:
        // {"scimType","detail"}; Bitbucket: {"errors":[{message}]}; Crowd and Confluence: {"reason","message"}; gateways:
        // {"message"} and {"error"}.
        let field = |names: &[&str]| {
            let said = names.iter().map(|name| text(&body, name)).find(|said| !said.is_empty());
            said.unwrap_or_default().to_owned()
        };
        let of_field = body.get("errors").and_then(Value::as_object).and_then(|fields| fields.values().next());
        let words = field(&[
            "/errors/0/detail",
            "/errors/0/title",
            "/errors/0/message",
            "/errorMessages/0",
            "/errorMessage",
            "/detail",
            "/message",
            "/error",
            "/key",
        ]);
        let words =
            if words.is_empty() { of_field.and_then(Value::as_str).unwrap_or_default().to_owned() } else { words };
        // User management names beside the key why: {"key","context":{"reason":{"key"}}}.
        let code = field(&["/errors/0/code", "/scimType", "/reason", "/context/reason/key"]);
        Self { code, text: words }
    }

    /// For dead letters and logs: words with an `@` are addresses, words in quotes are names.
    fn shown(&self) -> String {
        let mut shown = self.code.clone();
        let mut quoted = false;
        for word in self.text.split_whitespace() {
            let begins = word.starts_with(['\'', '"']);
            let ends = word.trim_end_matches(['.', ',', ';']).ends_with(['\'', '"']) && (word.len() > 1 || quoted);
            let hidden = quoted || begins || word.contains('@');
            quoted = (quoted || begins) && !ends;
            if !shown.is_empty() {
                shown.push(' ');
            }
            shown.push_str(if hidden { "…" } else { word });
            if shown.len() >= TEXT_MAX {
                break;
            }
        }
        shown.chars().take(TEXT_MAX).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i11_addresses_and_names_are_taken_out_of_what_is_kept() {
        let words = Words {
            code: "ADMIN-404-8".to_owned(),
            text: "Cannot add user 'Ana B', user ana@example.com is already a member of 'eng all'. Sorry".to_owned(),
        };
        assert_eq!(words.shown(), "ADMIN-404-8 Cannot add user … … user … is already a member of … … Sorry");
    }
}
