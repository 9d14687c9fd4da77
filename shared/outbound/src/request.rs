//! What to ask: a method, a path from a template, a query and a body.

use std::fmt;
use std::sync::Arc;

use model::{Lane, Time};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::Value;

use crate::turn::{Requests, Turn};

/// One request to a vendor.
///
/// The path is made from a template, so that spans, metrics and errors can name the call without its ids, and so that
/// nothing in an id can leave its place in the path.
#[derive(Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) template: &'static str,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Body,
    pub(crate) lane: Lane,
    pub(crate) resend: u32,
    pub(crate) traced: bool,
    pub(crate) turn_by: Option<Time>,
    pub(crate) requests: Option<Arc<Requests>>,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
}

/// What a request carries.
#[derive(Clone)]
pub enum Body {
    /// Nothing.
    Empty,
    /// A JSON document.
    Json(Value),
    /// A JSON document with the media type of SCIM.
    Scim(Value),
    /// A form whose values are secrets (a token request).
    Form(Vec<(&'static str, SecretString)>),
}

impl Request {
    /// A request for the path that the template becomes once its `{placeholders}` are filled, in order, with
    /// percent-encoded values. A placeholder without a value stays as it is and the vendor will not know the path; a
    /// value without a placeholder is ignored.
    pub fn new(method: Method, template: &'static str, values: &[&str]) -> Self {
        Self {
            method,
            template,
            path: fill(template, values),
            query: Vec::new(),
            body: Body::Empty,
            lane: Lane::Normal,
            resend: 0,
            traced: false,
            turn_by: None,
            requests: None,
            headers: Vec::new(),
        }
    }

    /// A GET.
    pub fn get(template: &'static str, values: &[&str]) -> Self {
        Self::new(Method::GET, template, values)
    }

    /// A POST.
    pub fn post(template: &'static str, values: &[&str]) -> Self {
        Self::new(Method::POST, template, values)
    }

    /// The same request with one more query parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// The same request with a JSON body.
    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = Body::Json(body);
        self
    }

    /// The same request with this body.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// The same request in this lane.
    #[must_use]
    pub const fn lane(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    /// The same request, known to be the n-th repetition (`http.request.resend_count`).
    #[must_use]
    pub const fn resend(mut self, count: u32) -> Self {
        self.resend = count;
        self
    }

    /// The same request with the trace context in its headers: for a vendor that is ours (a twin, a gateway).
    #[must_use]
    pub const fn traced(mut self) -> Self {
        self.traced = true;
        self
    }

    /// The same request as a write of this turn: in its lane, given up unsent if its turn has not come in time, and named
    /// after the turn's attempt.
    #[must_use]
    pub fn turn(mut self, turn: &Turn) -> Self {
        self.lane = turn.lane();
        self.turn_by = Some(turn.by());
        self.requests = Some(turn.requests());
        self
    }

    /// The same request with this header, in place of the one that is sent otherwise (`accept`). Never a secret.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The path's template.
    pub const fn template(&self) -> &'static str {
        self.template
    }

    /// The method.
    pub const fn method(&self) -> &Method {
        &self.method
    }
}

/// Shows the call, not whom it is about.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.template)
    }
}

fn fill(template: &str, values: &[&str]) -> String {
    let mut path = String::with_capacity(template.len() + 32);
    let mut rest = template;
    let mut values = values.iter();
    while let Some((before, after)) = rest.split_once('{') {
        let Some((_, after)) = after.split_once('}') else { break };
        let Some(value) = values.next() else { break };
        path.push_str(before);
        encode(value, &mut path);
        rest = after;
    }
    path.push_str(rest);
    path
}

/// Percent-encodes everything but RFC 3986's unreserved characters, as Google's and Atlassian's own clients do. A
/// segment of dots alone is encoded too: a URL library would walk up the path.
fn encode(value: &str, into: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let dots = value.bytes().all(|byte| byte == b'.');
    for byte in value.bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') || (byte == b'.' && !dots);
        if plain {
            into.push(char::from(byte));
        } else {
            into.push('%');
            for nibble in [byte >> 4, byte & 15] {
                into.push(HEX.get(usize::from(nibble)).copied().map_or('0', char::from));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_leave_its_place_in_the_path() {
        let request = Request::get("/groups/{groupKey}/members/{memberKey}", &["a/b?c#d", "x@y.z"]);
        assert_eq!(request.path, "/groups/a%2Fb%3Fc%23d/members/x%40y.z");
        assert!(Request::get("/groups/{id}", &[".."]).path.contains("%2E%2E"));
        assert_eq!(format!("{request:?}"), "GET /groups/{groupKey}/members/{memberKey}");
    }

    #[test]
    fn a_missing_value_stays_visible() {
        assert_eq!(Request::get("/groups/{id}", &[]).path, "/groups/{id}");
    }
}
