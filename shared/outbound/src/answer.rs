//! What came back, and what it certainly means before a connector looks into it.

use http::{HeaderMap, StatusCode};
use model::{Disposition, Span, Time};
use serde::de::DeserializeOwned;

use crate::pacer::End;

/// Longest wait that we believe a vendor to mean (failure mode 38). What is longer is cut to this and reported.
pub const RETRY_AFTER_MAX: Span = Span::from_secs(15 * 60);

/// For how long ahead the calls that a token bucket will let through are counted.
const BUCKET_AHEAD_SECONDS: u64 = 10;

/// An answer with an HTTP status, good or bad.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most as long as the client allows.
    pub body: Vec<u8>,
    /// When it had arrived.
    pub at: Time,
}

/// What an answer says about the vendor rather than about the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sense {
    /// The vendor judged the request. The connector reads how.
    Judged,
    /// Too many calls in a time. It did not happen.
    Throttled,
    /// Too many calls at once. It did not happen.
    Overloaded,
    /// The vendor, or something on the way to it, is in trouble: it may or may not have happened.
    Troubled,
    /// We are nobody to it.
    Unauthenticated,
}

/// No answer, or none that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {message}")]
pub struct CallError {
    /// Which call: method and template, no ids.
    pub call: String,
    /// What happened.
    pub kind: CallErrorKind,
    /// For people, without secrets and personal data.
    pub message: String,
}

/// Whether the call may have had an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallErrorKind {
    /// It never left: no connection. It certainly did not happen.
    NotSent,
    /// It never left: its turn did not come in time. It certainly did not happen.
    NoTurn,
    /// It left, and no usable answer came back: it may have happened.
    Unknown,
    /// It never left: the certificate of the other end is not to be trusted. It certainly did not happen.
    Untrusted,
    /// There is no token: the credentials are refused.
    Credentials,
    /// The request itself cannot be made.
    Impossible,
}

impl CallError {
    /// What to do about it.
    pub const fn disposition(&self) -> Disposition {
        match self.kind {
            CallErrorKind::NotSent => Disposition::Retry { after: None },
            CallErrorKind::NoTurn => Disposition::Throttled { after: None },
            CallErrorKind::Unknown => Disposition::Unknown,
            CallErrorKind::Credentials | CallErrorKind::Untrusted => Disposition::Halt,
            CallErrorKind::Impossible => Disposition::Reject(model::Rejection::Validation),
        }
    }
}

impl Answer {
    /// Whether the status says success.
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The body as JSON of a shape, whatever the media type says.
    ///
    /// # Errors
    /// When the body is of another shape. The text names the place, not the content.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let kind = match error.classify() {
                serde_json::error::Category::Eof => "ends too early",
                serde_json::error::Category::Syntax => "is not JSON",
                serde_json::error::Category::Data => "has another shape than documented",
                serde_json::error::Category::Io => "cannot be read",
            };
            format!("the answer {kind} (line {}, column {})", error.line(), error.column())
        })
    }

    /// The body as text, the first 2,000 characters; empty when it is not text.
    pub fn text(&self) -> String {
        std::str::from_utf8(&self.body).map_or_else(|_| String::new(), |text| text.chars().take(2_000).collect())
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the body is a web page: a log-in or maintenance page in the place of an answer (failure mode 62).
    pub fn is_web_page(&self) -> bool {
        let said = self.header("content-type").is_some_and(|kind| kind.trim_start().starts_with("text/html"));
        let start = self.body.iter().copied().find(|byte| !byte.is_ascii_whitespace());
        said || (self.is_success() && start == Some(b'<'))
    }

    /// How long the vendor asks to wait, seconds or a date, at most [`RETRY_AFTER_MAX`].
    pub fn retry_after(&self) -> Option<Span> {
        let asked = retry_after(self.header("retry-after")?, self.at)?;
        if asked > RETRY_AFTER_MAX {
            tracing::warn!(
                event.name = "rollcall.api.retry_after_absurd",
                rollcall.retry_after_s = asked.0 / 1_000_000,
                "the vendor asks for an absurd wait; waiting 15 minutes instead"
            );
        }
        Some(asked.min(RETRY_AFTER_MAX))
    }

    /// How many calls are left until when, as `X-RateLimit-Remaining` and `-Reset` say (reference/atlassian-cloud.md
    /// §9). A reset more than a day away is not believed. Data Center tells its bucket instead, how much is in it and how
    /// fast it fills (reference/atlassian-dc.md §1.2): what it will let through in the next ten seconds.
    pub fn remaining(&self) -> Option<(u64, Time)> {
        let left: u64 = self.header("x-ratelimit-remaining")?.trim().parse().ok()?;
        if let Some(fill) = self.header("x-ratelimit-fillrate") {
            let fill: u64 = fill.trim().parse().ok()?;
            let interval: u64 = self.header("x-ratelimit-interval-seconds")?.trim().parse().ok()?;
            let filled = fill.checked_mul(BUCKET_AHEAD_SECONDS)?.checked_div(interval)?;
            return Some((left.saturating_add(filled), self.at.plus(Span::from_secs(BUCKET_AHEAD_SECONDS))));
        }
        let reset = moment(self.header("x-ratelimit-reset")?.trim(), self.at)?;
        (self.at.until(reset) <= Span::from_secs(86_400)).then_some((left, reset))
    }

    /// How the call ended, as far as pacing goes.
    pub(crate) fn end(&self, sense: Sense) -> End {
        match sense {
            Sense::Throttled => End::Throttled { after: self.retry_after() },
            Sense::Overloaded => End::Overloaded { after: self.retry_after() },
            Sense::Troubled if self.status == StatusCode::SERVICE_UNAVAILABLE => {
                End::Overloaded { after: self.retry_after() }
            }
            Sense::Troubled => End::Nothing,
            Sense::Judged | Sense::Unauthenticated => End::Answered,
        }
    }
}

/// Shows the status and the size, not whom it is about.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} with {} bytes", self.status, self.body.len())
    }
}

/// What an answer says where a vendor has no words of its own: 429 throttles, 401 is a refusal of us, 408 and 5xx are
/// trouble, a redirect and a web page are something on the way.
pub fn default_sense(answer: &Answer) -> Sense {
    match answer.status.as_u16() {
        429 => Sense::Throttled,
        401 => Sense::Unauthenticated,
        408 | 425 | 300..=303 | 305..=399 | 500.. => Sense::Troubled,
        _ if answer.is_web_page() => Sense::Troubled,
        _ => Sense::Judged,
    }
}

/// As [`default_sense`], in the words of Data Center (reference/atlassian-dc.md §1.1): an answer to nobody although we
/// showed a token, and an application that comes from an address which is not on its list, are refusals of us whatever
/// the status says; XML is no web page.
pub fn data_center_sense(answer: &Answer) -> Sense {
    let xml = answer.header("content-type").is_some_and(|kind| kind.contains("/xml"));
    let sense = if xml && answer.is_success() { Sense::Judged } else { default_sense(answer) };
    let anonymous = answer.header("x-ausername") == Some("anonymous");
    let address = answer.status == StatusCode::FORBIDDEN && answer.text().contains("is forbidden from making requests");
    if sense == Sense::Judged && (anonymous || address) { Sense::Unauthenticated } else { sense }
}

fn retry_after(text: &str, now: Time) -> Option<Span> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        // Negative and not-a-number are no wait at all.
        return (seconds >= 0.0).then(|| Span::from(std::time::Duration::from_secs_f64(seconds.min(1e9))));
    }
    moment(text, now).map(|at| now.until(at))
}

/// A moment as vendors write it: RFC 3339 with or without seconds, an HTTP date, seconds of the epoch.
fn moment(text: &str, _now: Time) -> Option<Time> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(Time::from_secs(seconds));
    }
    let at = text
        .parse::<jiff::Timestamp>()
        .ok()
        .or_else(|| jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp()))?;
    Some(Time(at.as_microsecond()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// 2026-11-21 19:00:00 UTC.
    const NOW: Time = Time::from_secs(1_795_287_600);

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: body.as_bytes().to_vec(), at: NOW }
    }

    #[test]
    fn both_forms_of_retry_after_are_read_and_absurd_ones_are_cut() {
        let asks = |text: &str| answer(429, &[("retry-after", text)], "").retry_after();
        assert_eq!(asks("7"), Some(Span::from_secs(7)));
        assert_eq!(asks("0.5"), Some(Span::from_millis(500)));
        assert_eq!(asks("Sat, 21 Nov 2026 19:00:30 GMT"), Some(Span::from_secs(30)));
        assert_eq!(asks("Sat, 21 Nov 2026 18:00:00 GMT"), Some(Span::ZERO));
        assert_eq!(asks("86400"), Some(RETRY_AFTER_MAX));
        assert_eq!(asks("1e300"), Some(RETRY_AFTER_MAX));
        for nonsense in ["-5", "NaN", "soon", ""] {
            assert_eq!(asks(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn what_is_left_is_read_with_a_reset_of_minutes_precision() {
        let headers = [("x-ratelimit-remaining", "40"), ("x-ratelimit-reset", "2026-11-21T19:01Z")];
        assert_eq!(answer(200, &headers, "{}").remaining(), Some((40, NOW.plus(Span::from_secs(60)))));
        let headers = [("x-ratelimit-remaining", "40"), ("x-ratelimit-reset", "2027-11-21T19:01Z")];
        assert_eq!(answer(200, &headers, "{}").remaining(), None);
    }

    #[test]
    fn a_token_bucket_lets_through_what_is_in_it_and_what_fills_it() {
        let headers = [("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", "40"), ("x-ratelimit-fillrate", "5")];
        let seen = |interval: &str| {
            answer(200, &[&headers[..], &[("x-ratelimit-interval-seconds", interval)]].concat(), "{}").remaining()
        };
        assert_eq!(seen("1"), Some((90, NOW.plus(Span::from_secs(10)))));
        assert_eq!(seen("2"), Some((65, NOW.plus(Span::from_secs(10)))));
        assert_eq!(seen("0"), None, "a bucket that fills at once is none");
        assert_eq!(answer(200, &headers, "{}").remaining(), None);
    }

    #[test]
    fn a_web_page_is_never_an_answer() {
        assert_eq!(default_sense(&answer(200, &[("content-type", "text/html")], "hello")), Sense::Troubled);
        assert_eq!(default_sense(&answer(200, &[], " <!doctype html>")), Sense::Troubled);
        assert_eq!(default_sense(&answer(200, &[("content-type", "application/json")], "{}")), Sense::Judged);
        assert_eq!(default_sense(&answer(204, &[], "")), Sense::Judged);
    }

    #[test]
    fn data_center_answers_to_nobody_are_refusals() {
        let named = |name: &str| data_center_sense(&answer(200, &[("x-ausername", name)], "{}"));
        assert_eq!((named("rollcall"), named("anonymous")), (Sense::Judged, Sense::Unauthenticated));
        let refused = "Client with address \"10.0.0.1\" is forbidden from making requests to the application";
        assert_eq!(data_center_sense(&answer(403, &[], refused)), Sense::Unauthenticated);
        assert_eq!(data_center_sense(&answer(403, &[], "no")), Sense::Judged);
        assert_eq!(data_center_sense(&answer(200, &[("content-type", "application/xml")], "<a/>")), Sense::Judged);
        assert_eq!(data_center_sense(&answer(200, &[("content-type", "text/html")], "<a/>")), Sense::Troubled);
        assert_eq!(data_center_sense(&answer(429, &[("x-ausername", "anonymous")], "")), Sense::Throttled);
    }

    #[test]
    fn statuses_have_their_sense() {
        for (status, sense) in [
            (429, Sense::Throttled),
            (401, Sense::Unauthenticated),
            (302, Sense::Troubled),
            (500, Sense::Troubled),
            (503, Sense::Troubled),
            (404, Sense::Judged),
            (409, Sense::Judged),
            (304, Sense::Judged),
        ] {
            assert_eq!(default_sense(&answer(status, &[], "")), sense, "{status}");
        }
    }

    #[test]
    fn errors_in_json_name_the_place_and_not_the_content() {
        let error = answer(200, &[], r#"{"email":"ana@example.com"}"#).json::<Vec<u8>>().unwrap_err();
        assert!(!error.contains("ana"), "{error}");
    }
}
